"""The commands that use a trained run."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from aae import inference, plots
from aae.fit import fit
from aae.training.trainer import Observer


class TestEvaluate:
    def test_json_is_one_object(self, run, tiny_run):
        code, out, err = run("evaluate", tiny_run.folder, "--json", "--judge", "no")
        assert (code, err) == (0, "")
        figures = json.loads(out)
        assert figures["split"] == "test"
        assert {"recipe", "data", "epochs", "seed", "reconstruction_error", "prior_distance",
                "health", "health_checks", "error"} <= figures.keys()  # fmt: skip

    def test_text_shows_the_same(self, run, tiny_run):
        args = "evaluate", tiny_run.folder, "--split", "validation", "--judge", "no"
        figures = json.loads(run(*args, "--json")[1])
        out = run(*args)[1]
        assert "validation set" in out
        assert f"{figures['error']:.4g}" in out
        assert f"{figures['prior_distance']:.4g}" in out
        row, *_ = [line.split() for line in out.splitlines() if " reconstruction error " in line]
        error = figures["standard_errors"]["reconstruction_error"]
        assert row[2:] == [f"{figures['reconstruction_error']:.4g}", f"{error:.2g}"]
        assert f"Training health: {figures['health']}" in out

    def test_a_judge_that_is_asked_for_reads(self, run, basic_run):
        figures = json.loads(run("evaluate", basic_run.folder, "--judge", "yes", "--json")[1])
        assert figures["judge_accuracy"] > 0.8


def test_runs_are_compared_on_the_set_asked_for(run, basic_run, tiny_run):
    folders = basic_run.folder, tiny_run.folder
    code, out, _ = run("compare", *folders, "--split", "test", "--json")
    told = json.loads(out)
    assert (code, told["split"]) == (0, "test")
    alone = json.loads(run("evaluate", tiny_run.folder, "--judge", "no", "--json")[1])
    (error,) = (each["error"] for each in told["runs"].values() if "error" in each)
    assert error == alone["error"]


@pytest.fixture(scope="module")
def moved(tiny, part, tmp_path_factory):
    """A run whose pictures lie in the folder ``there`` now."""
    place = tmp_path_factory.mktemp("moved")
    np.save(place / "mine.npy", part.images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aae.fit.Painter", lambda *args: Observer())
        made = fit(tiny(data=str(place / "mine.npy"), epochs=1), place / "run")
    (place / "there").mkdir()
    (place / "mine.npy").rename(place / "there" / "mine.npy")
    return made


@pytest.mark.parametrize("command", ["evaluate", "plot", "compare", "score", "explore"])
def test_data_that_have_moved_are_found(run, moved, tmp_path, command):
    there = moved.folder.parent / "there"
    other = shutil.copytree(moved.folder, tmp_path / "other")
    args = {
        "compare": [other],
        "score": [there / "mine.npy", "--out", tmp_path / "scores.csv"],
        "explore": ["--export", tmp_path / "page", "--count", 20],
    }
    args = command, moved.folder, *args.get(command, [])
    code, _, err = run(*args)
    assert "mine.npy" in err
    assert code == (0 if command == "score" else 2)  # which only goes without a comparison
    code, _, err = run(*args, "--data-dir", there)
    assert (code, err) == (0, "")


class TestSample:
    @pytest.mark.parametrize("size", [1000, 3])
    def test_pictures_as_bytes(self, run, tiny_run, tmp_path, monkeypatch, size):
        monkeypatch.setattr(inference, "batch_size", lambda model: size)
        out = tmp_path / "new" / "s.npy"
        code, said, _ = run("sample", tiny_run.folder, "--count", 7, "--label", 3, "--out", out)
        assert (code, said) == (0, f"{out}\n")
        images = np.load(out)
        assert (images.dtype, images.shape) == (np.uint8, (7, 1, 8, 8))
        assert images.std() > 1

    def test_the_seed_decides(self, run, tiny_run, tmp_path):
        drawn = []
        for k, seed in enumerate([0, 0, 1]):
            out = tmp_path / f"{k}.npy"
            assert run("sample", tiny_run.folder, "--seed", seed, "--out", out)[0] == 0
            drawn.append(np.load(out))
        assert drawn[0].shape[0] == 100
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])

    def test_a_sheet(self, run, basic_run, tmp_path):
        out = tmp_path / "s.png"
        assert run("sample", basic_run.folder, "--count", 5, "--out", out)[0] == 0
        generator = torch.Generator().manual_seed(0)
        images = inference.sample(basic_run.model(), None, 5, generator).numpy()
        expected = plots.write_tiles(images, tmp_path / "expected.png", 3, scale=8)
        with Image.open(out) as found, Image.open(expected) as sheet:
            assert np.array_equal(np.asarray(found), np.asarray(sheet))

    @pytest.mark.parametrize(("which", "words"), [("tiny_run", "0 to 9"), ("basic_run", "without")])
    def test_labels_that_a_model_does_not_know(self, run, tmp_path, request, which, words):
        folder = request.getfixturevalue(which).folder
        code, _, err = run("sample", folder, "--label", 10, "--out", tmp_path / "s.png")
        assert code == 2
        assert words in err

    @pytest.mark.parametrize(
        ("label", "words"),
        [
            ("owl", "semi; choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, or take a number from 0 to 9"),
            ("-1", "--label '-1' is no class of"),
            ("9a", "did you mean '9'? choose from 0, 1"),
        ],
    )
    def test_names_that_are_none(self, run, tiny_run, tmp_path, label, words):
        args = "--label", label, "--out", tmp_path / "s.png"
        code, _, err = run("sample", tiny_run.folder, *args)
        assert code == 2
        assert words in err

    @pytest.mark.parametrize("label", ["cat", "1"])
    def test_a_label_where_nothing_has_one(self, run, basic_run, tmp_path, label):
        args = "--label", label, "--out", tmp_path / "s.png"
        code, _, err = run("sample", basic_run.folder, *args)
        assert code == 2
        assert f"--label '{label}' cannot be asked for: this model samples without labels" in err
        assert "style, semi, labels and cluster take them" in err

    def test_clusters_have_numbers_alone(self, run, tiny, tmp_path, no_pictures):
        folder = fit(tiny(model="cluster", clusters=4, epochs=1), tmp_path / "run").folder
        out = tmp_path / "s.npy"
        assert run("sample", folder, "--label", 3, "--count", 5, "--out", out)[0] == 0
        code, _, err = run("sample", folder, "--label", "x", "--out", out)
        assert code == 2
        assert "this model's clusters have no names: take a number from 0 to 3" in err


def test_plot_draws_every_figure_again(run, tiny_run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run.folder, folder)
    before = sorted(path.name for path in (folder / "figures").glob("*.png"))
    shutil.rmtree(folder / "figures")
    code, out, _ = run("plot", folder)
    assert code == 0
    drawn = sorted(path.name for path in (folder / "figures").glob("*.png"))
    assert drawn == before
    assert sorted(out.splitlines()) == [str(folder / "figures" / name) for name in drawn]


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_cannot_be_is_refused_by_its_flag(run, basic_run, tmp_path, seed):
    code, _, said = run("sample", basic_run.folder, "--out", tmp_path / "s.png", "--seed", seed)
    assert code == 2
    assert f"--seed must be 0 or more and below 2^63, not {seed}" in said


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A table, called by names that machines stumble over."""
    place = tmp_path_factory.mktemp("tables") / "w[b].csv"
    rows = "".join(f"{k},{'xyz'[k % 3]}\n" for k in range(90))
    place.write_text("größe,kind\n" + rows, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def mixture(tiny, place):
    """A run on it of a prior with parts, and a model that sees no label."""
    config = tiny(data=str(place), prior="mixture", epochs=1, label_column="kind")
    return fit(config, place.parent / "mixture").folder


class TestOfAFolder:
    def test_only_all_of_it_has_the_names_of_files(self, run, tiny, part, tmp_path, no_pictures):
        place = tmp_path / "pictures"
        for k, image in enumerate(part.images[:60]):
            (place / str(k % 2)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(place / str(k % 2) / f"{k:02}.png")
        made = fit(tiny(data=str(place), model="semi", labels=10, epochs=1), tmp_path / "run")
        out = tmp_path / "classes.csv"
        for split, named in ([], True), (["--split", "validation"], False):
            assert run("predict", made.folder, place, *split, "--out", out)[0] == 0
            with out.open(newline="") as file:
                rows = list(csv.DictReader(file))
            assert ("file" in rows[0]) == named
        assert len(rows) < 60

    def test_a_table_beside_the_pictures_may_be_written_again(self, run, tiny_run, part, tmp_path):
        for k, image in enumerate(part.images[:4]):
            Image.fromarray(image[0]).save(tmp_path / f"{k}.png")
        for _ in range(2):
            args = tmp_path, "--out", tmp_path / "classes.csv"
            assert run("predict", tiny_run.folder, *args)[0] == 0
        # An array would have the folder read as one of arrays.
        code, _, err = run("encode", tiny_run.folder, tmp_path, "--out", tmp_path / "codes.npy")
        assert code == 2
        assert "is among the data that are read" in err


class TestOfATable:
    def test_a_part_of_the_prior_is_no_class(self, run, mixture, tmp_path):
        out = tmp_path / "x.csv"
        assert run("sample", mixture, "--label", 7, "--count", 5, "--out", out)[0] == 0
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["component"] for row in rows] == ["7"] * 5
        assert rows[0].keys() == {"größe", "component"}

    def test_a_class_is_asked_for_by_its_name(self, run, tiny, place, tmp_path, no_pictures):
        config = tiny(data=str(place), model="supervised", epochs=1, label_column="kind")
        folder, drawn = fit(config, tmp_path / "run").folder, []
        for label in ("y", "1"):
            out = tmp_path / "s.csv"
            assert run("sample", folder, "--label", label, "--count", 5, "--out", out)[0] == 0
            with out.open(encoding="utf-8", newline="") as file:
                drawn.append(list(csv.DictReader(file)))
        assert drawn[0] == drawn[1]
        assert [row["kind"] for row in drawn[0]] == ["y"] * 5

    def test_a_part_of_the_prior_that_no_class_names_is_refused(
        self, run, tiny, place, tmp_path, no_pictures
    ):
        own = {"data": str(place), "label_column": "kind", "labels": "all"}
        folder = fit(
            tiny(model="labels", prior="mixture", epochs=1, **own), tmp_path / "run"
        ).folder
        code, _, err = run("sample", folder, "--label", 7, "--out", tmp_path / "x.csv")
        assert code == 2
        assert "--label '7' is no class of" in err
        assert "choose from x, y, z, or take a number from 0 to 2" in err

    def test_a_part_of_the_prior_has_no_name(self, run, mixture, tmp_path):
        code, _, err = run("sample", mixture, "--label", "y", "--out", tmp_path / "x.csv")
        assert code == 2
        assert "this model's parts of its prior have no names: take a number from 0 to 9" in err

    def test_names_with_brackets_are_names(self, run, mixture):
        code, out, err = run("evaluate", mixture, "--judge", "no")
        assert (code, err) == (0, "")
        assert "w[b]" in out

    def test_a_part_of_a_run_s_own_file(self, run, mixture, place, tmp_path):
        counts = []
        for split in ([], ["--split", "test"], ["--split", "validation"]):
            assert run("encode", mixture, place, *split, "--out", tmp_path / "z.npy")[0] == 0
            counts.append(len(np.load(tmp_path / "z.npy")))
        whole, test, validation = counts
        assert whole == 90
        assert 0 < test < whole
        assert 0 < validation < whole - test

    def test_a_part_of_a_file_that_has_moved(self, run, tiny, place, tmp_path, no_pictures):
        data, moved, out = tmp_path / "t.csv", tmp_path / "else" / "t.csv", tmp_path / "z.npy"
        shutil.copy(place, data)
        folder = fit(tiny(data=str(data), epochs=1, label_column="kind"), tmp_path / "run").folder
        assert run("encode", folder, data, "--split", "validation", "--out", out)[0] == 0
        expected = np.load(out)
        moved.parent.mkdir()
        data.rename(moved)
        args = "--split", "validation", "--out", out
        for named in (data, moved):
            out.unlink()
            assert run("encode", folder, named, *args, "--data-dir", moved.parent)[0] == 0
            assert np.array_equal(np.load(out), expected)
        code, _, err = run("encode", folder, moved, *args)
        assert code == 2
        assert "have moved, name their folder by --data-dir" in err
        code, _, err = run("encode", folder, data, *args)
        assert code == 2
        assert "or name the folder where they lie now, under the same name, by --data-dir" in err

    def test_a_part_of_a_stranger_s_file_is_refused(self, run, mixture, place, tmp_path):
        other = tmp_path / "other.csv"
        shutil.copy(place, other)
        out = tmp_path / "z.npy"
        code, _, err = run("encode", mixture, other, "--split", "test", "--out", out)
        assert code == 2
        assert "leave --split out" in err
