"""A folder of pictures of one's own, from the first command to the last."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aae.fit import resume
from aae.run import Run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty photographs of a disc or a bar, of two sizes, and one file that is none."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    rng = np.random.default_rng(0)
    for k in range(30):
        kind, (height, width) = ("disc", "bar")[k % 2], ((40, 40), (30, 50))[k % 3 == 0]
        rows, columns = np.mgrid[:height, :width]
        y, x = rng.uniform(0.3, 0.7, 2) * (height, width)
        inside = np.hypot(rows - y, columns - x) < 9 if kind == "disc" else abs(columns - x) < 5
        pixels = np.where(inside[..., None], rng.integers(120, 256, 3), 20).astype(np.uint8)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{k}.jpg")
    (folder / "disc" / "broken.jpg").write_text("no")
    return folder


SMALL = ("--epochs", 2, "--hidden", 16, "--batch-size", 8, "--device", "cpu")


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """What `aae train gaussian` makes of them."""
    from aae.cli import main

    folder = tmp_path_factory.mktemp("runs") / "mine"
    size = "--image-size", 12, 16, "--unreadable", "skip"
    args = "train", "gaussian", "--data", photos, *size, *SMALL, "--out", folder
    assert main([str(arg) for arg in args]) == 0
    return folder


def test_what_is_to_be_said_first(run, photos):
    code, _, err = run("train", "gaussian", "--data", photos, *SMALL)
    assert code == 2
    assert "2 sizes" in err
    code, _, err = run("train", "gaussian", "--data", photos, "--image-size", 12, *SMALL)
    assert code == 2
    assert "disc/broken.jpg" in err
    assert "--unreadable skip" in err


def test_a_run_reads_its_pictures_again_as_it_did(trained, photos):
    made = Run(trained)
    assert (made.shape, made.classes) == ((3, 12, 16), ("bar", "disc"))
    assert json.loads((trained / "config.json").read_text())["data"]["left_out"] == 1
    data = made.dataset()
    assert data.shape == made.shape
    assert len(data.train_labels) == 26
    assert resume(trained).epochs_done == 2


def test_it_is_used(trained, photos, run, tmp_path):
    code, out, _ = run("plot", trained)
    assert code == 0
    assert {Path(line).name for line in out.split()} >= {"latent.png", "reconstructions.png"}
    assert run("evaluate", trained)[0] == 0
    sheet = tmp_path / "samples.png"
    assert run("sample", trained, "--count", 9, "--out", sheet)[0] == 0
    with Image.open(sheet) as image:
        width, height = image.size
    assert width > height  # tiles of 12×16


def test_new_pictures_are_brought_to_its_shape(trained, photos, run, tmp_path):
    Image.open(photos / "bar" / "1.jpg").save(tmp_path / "new.png")
    codes = tmp_path / "codes" / "codes.npy"
    assert run("encode", trained, tmp_path, "--out", codes)[0] == 0
    assert np.load(codes).shape == (1, 2)


def test_files_are_named_beside_their_classes(photos, run, tmp_path):
    args = "--image-size", 12, "--unreadable", "skip", "--labels", "all", *SMALL
    assert run("train", "semi", "--data", photos, *args, "--out", tmp_path / "run")[0] == 0
    for name in ("b.png", "a.png"):
        (tmp_path / "new").mkdir(exist_ok=True)
        Image.new("RGB", (70, 70), "red").save(tmp_path / "new" / name)
    table = tmp_path / "labels.csv"
    assert run("predict", tmp_path / "run", tmp_path / "new", "--out", table)[0] == 0
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["index", "label", "probability", "file", "class"]
    assert [(row[0], row[3]) for row in rows] == [("0", "a.png"), ("1", "b.png")]
    classes = Run(tmp_path / "run").classes
    assert all(row[4] == classes[int(row[1])] for row in rows)
    if sys.platform == "linux":  # elsewhere names are text
        Image.new("RGB", (70, 70), "blue").save(tmp_path / "blue.png")
        (tmp_path / "blue.png").rename(tmp_path / "new" / os.fsdecode(b"\xff.png"))
        assert run("predict", tmp_path / "run", tmp_path / "new", "--out", table)[0] == 0
        assert b",\xff.png," in table.read_bytes()
