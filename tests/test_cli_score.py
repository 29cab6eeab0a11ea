"""What commands write of each example: scores, and codes with the names of files."""

import csv
import json
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

import aae
from aae import inference, plots
from aae.cli import main
from aae.data import names_in
from aae.fit import fit
from aae.splits import Part, Splits


@pytest.fixture(scope="module")
def photos(tmp_path_factory, digits):
    """Sixty digits in files, whose order by name is not the one in which they were written."""
    place = tmp_path_factory.mktemp("data") / "photos"
    for k, image in enumerate(digits.train_images[:60]):
        (place / str(k % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(place / str(k % 2) / f"[{59 - k:02}].png")
    return place


@pytest.fixture(scope="module")
def basic_run(tiny, tmp_path_factory, photos):
    """A run of a model without classes, on that folder."""
    with pytest.MonkeyPatch.context() as patch:
        from aae.training.trainer import Observer

        patch.setattr("aae.fit.Painter", lambda *args: Observer())
        config = tiny(recipe="gaussian", data=str(photos), epochs=1)
        return fit(config, tmp_path_factory.mktemp("runs") / "basic")


def read(place, name):
    """The pictures of names in a folder, as a model takes them."""
    return np.stack([np.asarray(Image.open(place / each))[None] for each in name])


def table(path):
    """The lines of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestScore:
    @pytest.mark.parametrize("size", [1000, 7])
    def test_of_files_by_their_names(self, run, basic_run, photos, tmp_path, monkeypatch, size):
        monkeypatch.setattr(inference, "batch_size", lambda model: size)
        out = tmp_path / "new" / "scores.csv"
        code, said, err = run("score", basic_run.folder, photos, "--out", out)
        assert (code, err.strip()) == (0, "")
        lines, names = table(out), names_in(photos)
        assert list(lines[0]) == ["index", "score", "held_out_below", "file"]
        assert [line["index"] for line in lines] == [str(k) for k in range(60)]
        assert tuple(line["file"] for line in lines) == names
        scores = np.array([line["score"] for line in lines], np.float32)
        expected = aae.load(basic_run.folder).score_samples(read(photos, names))
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        *shown, last = said.splitlines()
        shown = [line.split()[-1] for line in shown if ".png" in line]
        assert shown == [names[k] for k in scores.argsort(kind="stable")[:10]]
        assert last == str(out)

    def test_beside_those_held_out(self, run, basic_run, photos, tmp_path):
        args = "score", basic_run.folder, photos, "--split", "validation"
        assert run(*args, "--out", tmp_path / "s.csv")[0] == 0
        lines = table(tmp_path / "s.csv")
        held_out = Splits.of(basic_run.config, basic_run.dataset()).validation
        assert len(lines) == len(held_out.labels)
        assert "file" not in lines[0]
        order = np.argsort([float(line["score"]) for line in lines])
        shares = [float(lines[k]["held_out_below"]) for k in order]
        assert shares == pytest.approx([k / len(lines) for k in range(len(lines))], abs=1e-6)

    def test_of_a_data_set_as_json(self, run, tiny_run, digits, tmp_path):
        out = tmp_path / "s.csv"
        code, said, err = run("score", tiny_run.folder, "digits", "--out", out, "--json")
        assert (code, err) == (0, "")
        lines, told = table(out), json.loads(said)
        assert (told["out"], told["examples"], len(lines)) == (str(out), 360, 360)
        assert len(told["most_unusual"]) == 10
        worst, scores = told["most_unusual"][0], [float(line["score"]) for line in lines]
        assert worst["score"] == min(scores) == scores[worst["index"]]
        assert worst.keys() == {"index", "score", "held_out_below"}

    @pytest.mark.parametrize("ending", [".npy", ".npz"])
    def test_of_arrays(self, run, basic_run, part, tmp_path, ending):
        data, out = tmp_path / f"mine{ending}", tmp_path / "s.csv"
        np.save(data, part.images) if ending == ".npy" else np.savez(data, x=part.images)
        assert run("score", basic_run.folder, data, "--out", out)[0] == 0
        scores = np.array([line["score"] for line in table(out)], np.float32)
        expected = aae.load(basic_run.folder).score_samples(part.images)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)

    def test_of_a_table(self, run, tiny, tmp_path, no_pictures):
        data, out = tmp_path / "t.csv", tmp_path / "s.csv"
        rows = [f"{k},{'xyz'[k % 3]}" for k in range(90)]
        data.write_text("\n".join(["size,kind", *rows]))
        made = fit(tiny(data=str(data), epochs=1), tmp_path / "run")
        data.write_text("\n".join(["size,kind", *rows, "9000,x"]))
        # With a row more, the run's own data are not what they were.
        code, said, err = run("score", made.folder, data, "--out", out)
        assert code == 0
        assert err.startswith("not compared with the run's validation examples: ")
        lines = table(out)
        assert list(lines[0]) == ["index", "score"]
        columns = {"size": [*range(90), 9000], "kind": [*"xyz" * 30, "x"]}
        expected = aae.load(made.folder).score_samples(columns)
        scores = np.array([line["score"] for line in lines], np.float32)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        assert said.splitlines()[4].split()[0] == "90"
        code, _, err = run("score", made.folder, data, "--out", out, "--sheet")
        assert code == 2
        assert "--sheet draws pictures, and" in err

    def test_a_sheet(self, run, basic_run, photos, tmp_path, monkeypatch):
        args = "score", basic_run.folder, photos, "--sheet", "--out"
        out, drawn = tmp_path / "scores.csv", []
        real = plots.reconstructions
        monkeypatch.setattr(
            plots, "reconstructions", lambda *given: drawn.extend(given) or real(*given)
        )
        code, said, _ = run(*args, out)
        assert code == 0
        lowest = sorted(table(out), key=lambda line: float(line["score"]))[:10]
        expected = read(photos, [line["file"] for line in lowest])
        assert np.array_equal(np.rint(np.asarray(drawn[0]) * 255), expected)
        again = inference.reconstruct(basic_run.model(), Part(expected, np.full(10, -1)))
        np.testing.assert_allclose(drawn[1], again, atol=1e-6)
        assert said.splitlines()[-1] == str(tmp_path / "scores.png")
        with Image.open(tmp_path / "scores.png") as image:
            width, height = image.size
        assert width > 3 * height  # ten pictures above ten reconstructions
        code, _, err = run(*args, photos / "scores.csv")
        assert code == 2
        assert "would be one of the pictures of" in err
        assert not (photos / "scores.csv").exists()

    def test_where_a_class_has_to_be_told(self, run, tiny, photos, tmp_path, no_pictures):
        made = fit(tiny(data=str(photos), model="supervised", epochs=1), tmp_path / "run")
        code, _, err = run("score", made.folder, photos, "--out", tmp_path / "s.csv")
        assert code == 2
        assert "reconstructs only where it is told the class; train one that needs none" in err


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
def test_a_name_may_be_any_bytes(basic_run, photos, tmp_path, capfdbinary):
    (tmp_path / "new").mkdir()
    shutil.copy(next(photos.rglob("*.png")), tmp_path / "new" / os.fsdecode(b"\xff.png"))
    for command in ("score", "encode"):
        out = tmp_path / "out.csv"
        assert main([command, str(basic_run.folder), str(tmp_path / "new"), "--out", str(out)]) == 0
        assert out.read_bytes().endswith(b",\xff.png\r\n")
    assert "\ufffd.png" in capfdbinary.readouterr().out.decode()


class TestCodes:
    def test_names_stand_beside_them(self, run, basic_run, photos, tmp_path):
        for name in ("z.npy", "z.csv"):
            assert run("encode", basic_run.folder, photos, "--out", tmp_path / name)[0] == 0
        lines, names = table(tmp_path / "z.csv"), names_in(photos)
        assert list(lines[0]) == ["index", "z1", "z2", "file"]
        assert tuple(line["file"] for line in lines) == names == tuple(sorted(names))
        codes = np.array([(line["z1"], line["z2"]) for line in lines], np.float32)
        expected = inference.encode(basic_run.model(), read(photos, names)).mean.numpy()
        np.testing.assert_allclose(codes, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(codes, np.load(tmp_path / "z.npy"), rtol=1e-5, atol=1e-6)

    def test_a_part_has_numbers_alone(self, run, basic_run, photos, tmp_path):
        args = photos, "--split", "validation", "--out", tmp_path / "z.csv"
        assert run("encode", basic_run.folder, *args)[0] == 0
        assert list(table(tmp_path / "z.csv")[0]) == ["index", "z1", "z2"]

    def test_other_endings(self, run, basic_run, photos, tmp_path):
        code, _, err = run("encode", basic_run.folder, photos, "--out", tmp_path / "z.txt")
        assert code == 2
        assert "must end in .npy or .csv" in err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("score", "the lower a score, the more unusual"),
        ("sample", "all that the model knows are equally likely, however frequent they are in"),
    ],
)
def test_help_says_what_figures_and_samples_mean(run, command, words):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert words in " ".join(out.replace("│", " ").split())
