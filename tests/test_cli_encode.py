"""``aae encode`` and ``aae predict``."""

import csv

import numpy as np
import pytest
import torch

from aae import inference
from aae.fit import fit


class TestEncode:
    def test_a_data_set(self, run, basic_run, tmp_path, digits):
        out = tmp_path / "codes.npy"
        assert run("encode", basic_run.folder, "digits", "--out", out)[:2] == (0, f"{out}\n")
        expected = inference.encode(basic_run.model(), digits.test_images).mean.numpy()
        assert np.array_equal(np.load(out), expected)

    def test_rows_of_the_own_file_have_columns_that_were_not_learned(
        self, run, tiny, tmp_path, no_pictures
    ):
        rng, data, out = np.random.default_rng(0), tmp_path / "rows.npy", tmp_path / "codes.npy"
        np.save(data, np.c_[rng.normal(size=(60, 3)), np.arange(60) % 2])
        config = tiny(data=str(data), ignore_columns=("1",), label_column="3", epochs=1)
        made = fit(config, tmp_path / "run")
        args = "encode", made.folder, data, "--out", out
        assert run(*args)[0] == 0
        assert np.load(out).shape == (60, 2)
        np.save(data, np.c_[np.load(data), np.zeros(60)])
        code, _, err = run(*args)
        assert code == 2
        assert "rows have 5 values, and those learned from 4" in err

    def test_codes_of_an_embedding_are_its_places(self, run, tiny, tmp_path, digits, no_pictures):
        made = fit(tiny(model="embed", labels=100, epochs=1), tmp_path / "run")
        out = tmp_path / "codes.npy"
        assert run("encode", made.folder, "digits", "--out", out)[0] == 0
        model = made.model()
        codes = inference.encode(model, digits.test_images)
        np.testing.assert_allclose(np.load(out), model.embed(codes).detach(), atol=1e-6)
        assert not np.allclose(np.load(out), codes.mean)

    def test_what_is_read_is_not_written_over(self, run, basic_run, tmp_path, part):
        data = tmp_path / "shards" / "mine.npy"
        data.parent.mkdir()
        np.save(data, part.images[:40])
        for given, out in ((data, data), (data.parent, data), (data.parent, data.parent / "c.npy")):
            code, _, said = run("encode", basic_run.folder, given, "--out", out)
            assert code == 2
            assert "is among the data that are read" in said
        labels = tmp_path / "shards" / "mine.labels.npy"
        code, _, said = run("encode", basic_run.folder, data, "--out", labels)
        assert (code, labels.exists()) == (2, False)
        assert np.array_equal(np.load(data), part.images[:40])
        assert [path.name for path in data.parent.iterdir()] == ["mine.npy"]

    @pytest.mark.parametrize(("split", "count"), [("train", 1317), ("validation", 120)])
    def test_its_parts(self, run, basic_run, tmp_path, split, count):
        out = tmp_path / "codes.npy"
        assert run("encode", basic_run.folder, "digits", "--split", split, "--out", out)[0] == 0
        assert np.load(out).shape == (count, 2)

    @pytest.mark.parametrize("shape", [(-1, 1, 8, 8), (-1, 8, 8), (-1, 64)])
    def test_ones_own_pictures(self, run, basic_run, tmp_path, part, shape):
        np.save(tmp_path / "mine.npy", part.images.reshape(shape))
        out = tmp_path / "codes.npy"
        assert run("encode", basic_run.folder, tmp_path / "mine.npy", "--out", out)[0] == 0
        expected = inference.encode(basic_run.model(), part.images).mean.numpy()
        assert np.array_equal(np.load(out), expected)

    def test_ones_own_pictures_in_an_archive(self, run, tiny, tmp_path, part, no_pictures):
        data, out = tmp_path / "mine.npz", tmp_path / "codes.npy"
        np.savez(data, x=part.images[:, 0], y=part.labels % 2)
        made = fit(tiny(data=str(data), epochs=1), tmp_path / "run")
        assert run("encode", made.folder, data, "--out", out)[0] == 0
        expected = inference.encode(made.model(), part.images).mean.numpy()
        assert np.array_equal(np.load(out), expected)
        # As `--data` reads them: other names, shares of white, and no test set that is split off.
        np.savez(data, X_train=part.images / 255, x_test=part.images[:5] / 255)
        assert run("encode", made.folder, data, "--out", out)[0] == 0
        assert np.array_equal(np.load(out), expected)

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"x": np.zeros((9, 3))}, "holds a table or rows, and the model of"),
            ({"x": np.zeros((9, 4, 4), np.uint8)}, "are 1×4×4, those of"),
            ({"x": np.full((9, 8, 8), 7.0)}, "has 7 among its values"),
            ({"x": np.zeros((0, 8, 8), np.uint8)}, "holds no pictures: its x is [0, 8, 8]"),
            ({"z": np.zeros((9, 8, 8), np.uint8)}, "holds the arrays z; call them x"),
        ],
    )
    def test_other_archives_are_refused(self, run, basic_run, tmp_path, arrays, words):
        np.savez(tmp_path / "mine.npz", **arrays)
        args = tmp_path / "mine.npz", "--out", tmp_path / "codes.npy"
        code, _, err = run("encode", basic_run.folder, *args)
        assert code == 2
        assert words in err

    def test_a_folder_of_files(self, run, basic_run, tmp_path, part):
        for k in range(3):
            np.save(tmp_path / f"{k}.npy", part.images[40 * k : 40 * k + 40])
        out = tmp_path / "codes" / "all.npy"
        assert run("encode", basic_run.folder, tmp_path, "--out", out)[0] == 0
        expected = inference.encode(basic_run.model(), part.images).mean.numpy()
        np.testing.assert_allclose(np.load(out), expected, atol=1e-6)

    def test_what_is_not_written_to_its_end_is_not_there(
        self, run, basic_run, tmp_path, part, monkeypatch
    ):
        def fail(model, images):
            yield inference.Codes(torch.zeros(10, 2), torch.zeros(10, 2))
            raise OSError("the disk is gone")

        np.save(tmp_path / "mine.npy", part.images)
        (tmp_path / "out").mkdir()
        monkeypatch.setattr(inference, "codes", fail)
        out = tmp_path / "out" / "codes.npy"
        assert run("encode", basic_run.folder, tmp_path / "mine.npy", "--out", out)[0] == 1
        assert list(out.parent.iterdir()) == []

    def test_where_it_cannot_be_written_the_file_asked_for_is_named(
        self, run, basic_run, tmp_path, part
    ):
        np.save(tmp_path / "mine.npy", part.images)
        out = tmp_path / "codes.npy"
        out.mkdir()
        code, _, err = run("encode", basic_run.folder, tmp_path / "mine.npy", "--out", out)
        assert (code, err.strip()) == (1, f"aae: {out}: Is a directory")

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros((3, 1, 8, 8)), "float64 [3, 1, 8, 8]; expected uint8 [n, 1, 8"),
            (np.zeros((3, 28, 28), np.uint8), "uint8 [3, 28, 28]"),
            (np.zeros((0, 8, 8), np.uint8), "uint8 [0, 8, 8]"),
            (np.array(["a"], dtype=object), "no .npy file of numbers"),
        ],
    )
    def test_refuses_other_arrays(self, run, basic_run, tmp_path, array, words):
        np.save(tmp_path / "mine.npy", array)
        out = tmp_path / "codes.npy"
        code, _, err = run("encode", basic_run.folder, tmp_path / "mine.npy", "--out", out)
        assert code == 2
        assert words in err
        assert not out.exists()

    def test_refuses_other_data(self, run, basic_run, tmp_path):
        out = "--out", tmp_path / "codes.npy"
        code, _, err = run("encode", basic_run.folder, "mnist", *out)
        assert code == 2
        assert "mnist are 1×28×28" in err
        code, _, err = run("encode", basic_run.folder, "digit", *out)
        assert code == 2
        assert "neither a data set (digits, " in err


class TestPredict:
    @pytest.mark.parametrize("size", [1000, 50])
    def test_writes_a_table(self, run, tiny_run, tmp_path, digits, monkeypatch, size):
        monkeypatch.setattr(inference, "batch_size", lambda model: size)
        out = tmp_path / "labels.csv"
        assert run("predict", tiny_run.folder, "digits", "--out", out)[:2] == (0, f"{out}\n")
        with out.open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["index", "label", "probability"]
        y = inference.encode(tiny_run.model(), digits.test_images).y
        assert [int(index) for index, _, _ in rows] == list(range(360))
        assert [int(label) for _, label, _ in rows] == y.argmax(1).tolist()
        assert [float(p) for _, _, p in rows] == pytest.approx(y.amax(1).tolist(), abs=1e-6)

    def test_says_which_recipe_does(self, run, basic_run, tmp_path):
        out = tmp_path / "labels.csv"
        code, _, err = run("predict", basic_run.folder, "digits", "--out", out)
        assert code == 2
        assert "'gaussian', which does not classify; train one that does: aae train semi" in err
