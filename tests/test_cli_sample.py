"""What ``aae sample`` writes: what the seed draws, and each row beside its class."""

import csv

import numpy as np
import pytest
import torch

from aae import inference
from aae.estimators import AdversarialAutoencoder
from aae.fit import fit


def test_pictures_are_those_that_the_seed_draws(
    run, tiny, digits, tmp_path, monkeypatch, no_pictures
):
    made = fit(tiny(model="supervised", epochs=1), tmp_path / "run", dataset=digits)
    monkeypatch.setattr(inference, "batch_size", lambda model: 3)
    out, asked = tmp_path / "s.npy", ("--count", 8, "--label", 3, "--seed", 5)
    assert run("sample", made.folder, *asked, "--out", out)[0] == 0
    generator, labels = torch.Generator().manual_seed(5), torch.full((8,), 3)
    drawn = inference.sample(made.model(), labels, 8, generator)
    assert np.array_equal(np.load(out), np.rint(drawn.numpy() * 255))


def test_classes_stand_beside_their_rows_whatever_the_pieces(
    run, tiny, tmp_path, monkeypatch, no_pictures
):
    data, out = tmp_path / "t.csv", tmp_path / "s.csv"
    data.write_text("size,kind\n" + "".join(f"{k},{'xyz'[k % 3]}\n" for k in range(90)))
    config = tiny(data=str(data), model="supervised", epochs=1, label_column="kind", hidden=8)
    folder, kinds = fit(config, tmp_path / "run").folder, []
    for size in (100, 4):
        monkeypatch.setattr(inference, "batch_size", lambda model, size=size: size)
        assert run("sample", folder, "--count", 11, "--out", out)[0] == 0
        with out.open(newline="") as file:
            kinds.append([row["kind"] for row in csv.DictReader(file)])
    assert kinds[0] == kinds[1]
    assert (len(kinds[0]), {*kinds[0]}) == (11, {*"xyz"})


def test_the_seed_draws_categories_too(run, tiny, tmp_path, monkeypatch, no_pictures):
    data, out = tmp_path / "t.csv", tmp_path / "s.csv"
    data.write_text("size,kind\n" + "".join(f"{k},{'xy'[k % 2]}\n" for k in range(90)))
    folder, written = fit(tiny(data=str(data), epochs=1, hidden=8), tmp_path / "run").folder, []
    alike = torch.full((40, 3), 0.5)
    monkeypatch.setattr(inference, "samples", lambda *_: iter([alike]))
    for seed in (0, 0, 1):
        assert run("sample", folder, "--count", 40, "--seed", seed, "--out", out)[0] == 0
        written.append(out.read_text())
    assert written[0] == written[1] != written[2]


def test_numbers_have_the_digits_that_their_column_can_tell(
    run, tiny, tmp_path, monkeypatch, no_pictures
):
    data, out = tmp_path / "t.csv", tmp_path / "s.csv"
    rows = [f"{1.6e9 + 150 * (-1) ** k},1234567.5,{(123456789.25, 0.5)[k % 2]}" for k in range(90)]
    data.write_text("\n".join(["time,all,some", *rows]))
    config = tiny(data=str(data), epochs=1, hidden=8, categorical_columns=("some",))
    made = fit(config, tmp_path / "run")
    cells = torch.tensor([[0.1234567, 0.0, 1.0, 0.0], [-0.5, 0.0, 0.0, 1.0]])
    monkeypatch.setattr(inference, "samples", lambda *_: iter([cells]))
    assert run("sample", made.folder, "--count", 2, "--out", out)[0] == 0
    times = [round(float(t), 4) for t in made.columns.decode(cells.numpy())["time"]]
    assert times[0] - times[1] == pytest.approx(150 * 0.6234567, abs=1)
    assert out.read_text().splitlines() == [
        "time,all,some", f"{times[0]},1234567.5,0.5", f"{times[1]},1234567.5,123456789.25",
    ]  # fmt: skip


def test_a_clusters_column_is_called_as_no_feature_is(run, tiny, tmp_path, no_pictures):
    data, out = tmp_path / "t.csv", tmp_path / "s.csv"
    data.write_text("cluster,x\n" + "".join(f"{k % 7},{k}\n" for k in range(90)))
    config = tiny(model="cluster", clusters=3, data=str(data), epochs=1, hidden=8)
    folder = fit(config, tmp_path / "run").folder
    assert run("sample", folder, "--count", 4, "--label", 1, "--out", out)[0] == 0
    assert out.read_text().startswith("cluster,x,cluster_\n")


def test_samples_of_a_saved_estimator_are_in_its_own_units(run, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3)) + 1000
    model = AdversarialAutoencoder(hidden=8, layers=1, n_epochs=2, random_state=0).fit(X)
    model.save(tmp_path / "run")
    out = tmp_path / "s.npy"
    assert run("sample", tmp_path / "run", "--count", 50, "--out", out)[0] == 0
    assert np.abs(np.load(out) - 1000).max() < 100
    code, _, err = run("encode", tmp_path / "run", out, "--out", tmp_path / "z.npy")
    assert code == 2
    assert "learned rows of numbers, which this command does not read: open it in Python" in err
    assert f"aae.load('{tmp_path / 'run'}')" in err
