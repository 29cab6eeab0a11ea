"""A table learned: its loss, every way of training, and the commands on a run of it."""

import csv
import json
from dataclasses import replace

import numpy as np
import polars
import pytest
import torch
import torch.nn.functional as F

from aae import inference
from aae.autoencoder import Batch
from aae.build import VARIANTS, build, cells_of, row_error
from aae.data import Columns, TableReading, load
from aae.evaluate import evaluate
from aae.fit import fit
from aae.losses import absolute_error
from aae.training.stacked import lone_step, stack, stacked_step
from aae.training.step import JointStep
from aae.training.trainer import make_step


def make_people(count, seed=0, gaps=0.1):
    """Two trades that differ in all: pay and height, colour and pet; some cells are empty."""
    rng = np.random.default_rng(seed)
    trade = rng.integers(2, size=count)
    pay = np.rint(2000 + 1000 * trade + 150 * rng.standard_normal(count)).tolist()
    height = (170 + 8 * trade + 4 * rng.standard_normal(count)).tolist()
    colour = np.where(rng.random(count) < 0.9, trade, 2)
    table = {
        "pay": [int(v) for v in pay],
        "colour": [("red", "green", "blue")[k] for k in colour],
        "height": height,
        "pet": [("cat", "dog")[k] for k in np.where(rng.random(count) < 0.95, trade, 1 - trade)],
    }
    for values in table.values():
        for row in np.flatnonzero(rng.random(count) < gaps):
            values[row] = None
    return {**table, "trade": [("cook", "smith")[k] for k in trade]}


@pytest.fixture(scope="module")
def columns():
    table = make_people(60)
    del table["trade"]
    return Columns.of(table, missing="impute")


def some(columns, seed):
    table = make_people(30, seed)
    del table["trade"]
    labels = np.random.default_rng(seed).integers(2, size=30)
    return Batch(torch.from_numpy(columns.encode(table)), torch.from_numpy(labels))


# --- the loss


def test_the_loss_is_half_the_squared_error_and_the_cross_entropy_of_what_is_there(columns):
    x = some(columns, 1).x
    logits = 4 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    loss = row_error(columns)(cells_of(columns)(logits), x)
    expected = 0.0
    for block in columns.blocks:
        given, wanted = logits[:, block.cells], x[:, block.cells]
        if block.kind == "numeric":
            there = x[:, columns.masks.start + block.start] == 0
            expected += 0.5 * (given - wanted)[there].square().sum()
        else:
            there = wanted.sum(1) == 1
            classes = wanted[there].argmax(1)
            expected += F.cross_entropy(given[there], classes, reduction="sum")
        assert 0 < int(there.sum()) < len(x)
    torch.testing.assert_close(loss, expected / len(x))
    (grad,), (wanted,) = (torch.autograd.grad(each, logits) for each in (loss, expected / len(x)))
    torch.testing.assert_close(grad, wanted, rtol=1e-4, atol=1e-7)


def test_what_is_missing_moves_nothing(columns):
    x = torch.from_numpy(columns.encode({block.name: [None] for block in columns.blocks}))
    logits = torch.ones_like(x).requires_grad_()
    loss = row_error(columns)(cells_of(columns)(logits), x)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("gap", [30.0, 80.0, 500.0])
def test_the_loss_stays_finite_where_the_model_is_sure_and_wrong(columns, gap):
    x = torch.from_numpy(
        columns.encode({"pay": [2000], "colour": ["red"], "height": [170.0], "pet": ["cat"]})
    )
    logits = torch.zeros_like(x)
    logits[:, columns.blocks[1].cells] = torch.tensor([0.0, gap, 0.0])
    logits.requires_grad_()
    loss = row_error(columns)(cells_of(columns)(logits), x)
    (grad,) = torch.autograd.grad(loss, logits)
    assert grad.isfinite().all()
    if gap < 87:
        expected = F.cross_entropy(logits[:, columns.blocks[1].cells], torch.tensor([2]))
        torch.testing.assert_close(
            grad[:, columns.blocks[1].cells],
            torch.autograd.grad(expected, logits)[0][:, columns.blocks[1].cells],
        )


def test_numbers_can_have_another_loss(columns):
    x, cells = some(columns, 1).x, cells_of(columns)
    away = row_error(columns, absolute_error)(cells(torch.zeros_like(x)), x)
    gone = row_error(columns)(cells(torch.zeros_like(x)), x)
    expected = x[:, :2].abs().sum() - 0.5 * x[:, :2].square().sum()
    torch.testing.assert_close(away - gone, expected / len(x))


def test_tables_of_one_kind_alone(tiny):
    for table in ({"a": [1.0, 2, 4]}, {"a": ["x", "y", "x"]}):
        for missing in ("refuse", "impute"):
            columns = Columns.of(table, missing=missing)
            x = torch.from_numpy(columns.encode(table))
            model = build(
                tiny(), (columns.width,), 0, torch.Generator().manual_seed(0), columns=columns
            )
            loss = model.reconstruction_loss(model.reconstruct(x, torch.zeros(3)), x)
            assert 0 < loss.item() < 10


# --- every way of training


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_whole_rows(tiny, columns, variant):
    config = tiny(model=variant, labels=0 if variant == "cluster" else "all")
    model = build(config, (columns.width,), 2, torch.Generator().manual_seed(0), columns=columns)
    labels = torch.arange(8) % 2 if model.decodes_labels else None
    rows = inference.sample(model, labels, 8, torch.Generator().manual_seed(0))
    assert not rows[:, columns.masks].any()
    for block in columns.categorical:
        torch.testing.assert_close(rows[:, block.cells].sum(1), torch.ones(8))
        assert (rows[:, block.cells] > 0).all()


@pytest.mark.parametrize("variant", ["basic", "supervised", "vat"])
def test_the_fast_step_is_the_plain_one(tiny, columns, variant, same_state):
    # Rows cannot be warped.
    config = tiny(model=variant, lr=1e-3, warp_weight=0.0)
    whole, labelled = some(columns, 1), some(columns, 2)

    def after(make):
        model = build(
            config, (columns.width,), 2, torch.Generator().manual_seed(0), columns=columns
        )
        step = make(model.train(), config)
        for count in range(9, 12):
            losses = step(whole, lambda: labelled, count, torch.Generator().manual_seed(count))
        return step, losses, model

    fast, losses, model = after(make_step)
    plain, expected, other = after(JointStep)
    assert type(fast) is not type(plain)
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name], rtol=1e-3, atol=1e-4)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=5e-4)


@pytest.mark.parametrize("variant", ["basic", "semi"])
def test_replicas_stacked_are_each_as_alone(tiny, columns, variant):
    config, count = tiny(model=variant, lr=1e-3, step="joint-plain"), 3
    models = [
        build(
            config, (columns.width,), 2, torch.Generator().manual_seed(k), columns=columns
        ).train()
        for k in range(count)
    ]
    batches = [some(columns, k) for k in range(count)]
    generators = [torch.Generator().manual_seed(k) for k in range(count)]
    alone = []
    for k, model in enumerate(models):
        own = build(
            config, (columns.width,), 2, torch.Generator().manual_seed(k), columns=columns
        ).train()
        own.load_state_dict(model.state_dict())
        draws = torch.Generator().manual_seed(k)
        alone.append(lone_step(own, config)(batches[k], lambda k=k: batches[k], 9, draws))
    whole = stacked_step(stack(models), config, generators)
    beside = Batch(torch.stack([b.x for b in batches]), torch.stack([b.labels for b in batches]))
    losses = whole(beside, lambda: beside, 9, generators[0])
    for k in range(count):
        for name, loss in alone[k].items():
            torch.testing.assert_close(losses[name][k], loss, rtol=1e-4, atol=1e-5)


# --- a run of a table, by the commands


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    place = tmp_path_factory.mktemp("data") / "people.csv"
    polars.DataFrame(make_people(420)).write_csv(place)
    return place


@pytest.fixture(scope="module")
def trained(people, tiny, tmp_path_factory):
    """A semi-supervised run on people."""
    config = tiny(
        model="semi", data=str(people), label_column="trade", missing="impute", labels=40,
        latent_dim=2, epochs=30, lr=3e-3, batch_size=40, sample_every=30,
        classification_every=1,
    )  # fmt: skip
    return fit(config, tmp_path_factory.mktemp("runs") / "people")


def test_it_learns(trained):
    figures = evaluate(trained)
    assert figures["error"] < 0.1
    assert 0 < figures["column_distance_of_training"] < figures["column_distance"] < 0.3
    assert figures["reconstruction_error"] < 0.6 * figures["reconstruction_error_of_mean"]


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_samples_are_people(trained, tmp_path, run):
    out = tmp_path / "rows.csv"
    assert run("sample", trained.folder, "--count", 300, "--out", out)[0] == 0
    made = load(str(out), table=TableReading("trade")).columns
    assert [block.name for block in made.blocks] == ["pay", "colour", "height", "pet"]
    rows = read(out)
    assert len(rows) == 300
    assert all(row["pay"].isdigit() for row in rows)
    rich = np.array([int(row["pay"]) > 2500 for row in rows])
    assert 0.2 < rich.mean() < 0.8
    for column, value in (("pet", "dog"), ("colour", "green")):
        goes_with = np.array([row[column] == value for row in rows])
        assert np.corrcoef(rich, goes_with)[0, 1] > 0.4
    again = tmp_path / "again.csv"
    run("sample", trained.folder, "--count", 300, "--out", again)
    assert again.read_bytes() == out.read_bytes()
    run("sample", trained.folder, "--count", 5, "--label", 1, "--out", again)
    assert {row["trade"] for row in read(again)} == {"smith"}
    code, _, err = run("sample", trained.folder, "--out", tmp_path / "rows.npy")
    assert code == 2
    assert "must end in .csv" in err


def test_its_pictures(trained, run):
    drawn = {path.stem for path in trained.figures.glob("*.png")}
    assert drawn == {"latent", "pairs", "columns", "learning-curves"}
    code, out, _ = run("plot", trained.folder)
    assert (code, len(out.splitlines())) == (0, 4)


def test_new_people_are_read(trained, tmp_path, run):
    table = make_people(50, seed=5)
    place, out = tmp_path / "new.parquet", tmp_path / "new.csv"
    trades = table.pop("trade")
    polars.DataFrame({"more": [0] * 50, **dict(reversed(table.items()))}).write_parquet(place)
    assert run("predict", trained.folder, place, "--out", out)[0] == 0
    rows = read(out)
    assert np.mean([row["class"] == trade for row, trade in zip(rows, trades, strict=True)]) > 0.9
    assert run("encode", trained.folder, place, "--out", tmp_path / "codes.npy")[0] == 0
    assert np.load(tmp_path / "codes.npy").shape == (50, 2)


def test_what_does_not_fit_the_run_is_told(trained, tiny_run, people, tmp_path, run):
    polars.DataFrame({"pay": [1]}).write_csv(tmp_path / "few.csv")
    np.save(tmp_path / "p.npy", np.zeros((9, 8, 8), np.uint8))
    for model, data, words in (
        (trained, tmp_path / "few.csv", "few.csv: the table has no column 'colour'; it has pay"),
        (trained, tmp_path / "p.npy", "holds pictures, and the model of"),
        (tiny_run, people, "holds a table or rows, and the model of"),
    ):
        code, _, err = run("predict", model.folder, data, "--out", tmp_path / "o.csv")
        assert (code, words in err) == (2, True), err


def test_train_and_evaluate_by_command(people, tmp_path, run, no_pictures):
    folder = tmp_path / "run"
    flags = ["--data", people, "--missing", "impute", "--hidden", 32, "--epochs", 2]
    code, _, err = run("train", "gaussian", *flags, "--out", folder)
    assert code == 0, err
    code, out, _ = run("evaluate", folder, "--json")
    assert (code, json.loads(out)["split"]) == (0, "test")
    code, _, err = run("train", "gaussian", "--data", people, "--out", tmp_path / "other")
    assert code == 2
    assert "missing of 420 values" in err
    # Without a label column the trade is one column among others.
    assert run("sample", folder, "--count", 5, "--out", tmp_path / "s.csv")[0] == 0
    assert "trade" in (tmp_path / "s.csv").read_text().partition("\n")[0]


def test_the_same_config_learns_the_same(trained, same_state, tmp_path, no_pictures):
    config = replace(trained.config, epochs=2)
    assert same_state(fit(config, tmp_path / "a").model(), fit(config, tmp_path / "b").model())
