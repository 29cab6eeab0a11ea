"""What is taken from the cache of decoded pictures, and when they are decoded anew."""

import os
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from aae.data import open_folder

WHITE, BLACK = 255, 0


def save(path, values):
    """A grey picture without compression, whose file is as long whatever its values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), values, np.uint8)).save(path)


def middles(place):
    """The grey in the middle of each picture."""
    return np.asarray(open_folder(place, (1, 4, 4)))[:, 0, 2, 2].tolist()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A white picture and a black one, in a folder."""
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    for name, values in (("a", WHITE), ("b", BLACK)):
        save(tmp_path / "pictures" / f"{name}.bmp", values)
    return tmp_path / "pictures"


def test_files_that_a_new_name_puts_into_another_order_are_read_anew(place):
    for name in ("a", "b"):  # so that nothing but their names tells them apart
        os.utime(place / f"{name}.bmp", ns=(0, 0))
    assert middles(place) == [WHITE, BLACK]
    (place / "a.bmp").rename(place / "c.bmp")
    assert middles(place) == [BLACK, WHITE]


def test_a_zip_of_other_pictures_of_the_same_length_is_read_anew(place, tmp_path):
    packed = tmp_path / "pictures.zip"
    for values in (WHITE, BLACK):
        save(place / "a.bmp", values)
        with ZipFile(packed, "w") as file:
            file.write(place / "a.bmp", "a.bmp")
        assert middles(packed) == [values]
