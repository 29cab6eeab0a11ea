"""What is taken from the cache of decoded pictures, and when they are decoded anew."""

import os
import threading
import warnings
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from aae.data import Reading, Stored, load, open_folder, stored
from aae.data.decoding import decode

WHITE, BLACK = 255, 0
RED, BLUE = (200, 30, 40), (20, 60, 220)


def picture(colour):
    return Image.new("RGB", (8, 10), colour)


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


def test_files_that_exchange_their_names_are_read_anew(place):
    a, b, aside = place / "a.bmp", place / "b.bmp", place / "aside"
    for path in (a, b):
        os.utime(path, ns=(0, 0))
    assert middles(place) == [WHITE, BLACK]
    for old, new in ((a, aside), (b, a), (aside, b)):
        old.rename(new)
    assert middles(place) == [BLACK, WHITE]


def test_a_file_with_other_content_and_its_old_date_is_read_anew(place):
    assert middles(place) == [WHITE, BLACK]
    before = (place / "b.bmp").stat()
    save(place / "b.bmp", WHITE)
    os.utime(place / "b.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert middles(place) == [WHITE, WHITE]


def test_a_zip_of_other_pictures_of_the_same_length_is_read_anew(place, tmp_path):
    packed = tmp_path / "pictures.zip"
    for values in (WHITE, BLACK):
        save(place / "a.bmp", values)
        with ZipFile(packed, "w") as file:
            file.write(place / "a.bmp", "a.bmp")
        assert middles(packed) == [values]


@pytest.fixture
def counted(monkeypatch):
    """Which sizes pictures were decoded to."""
    sizes = []

    def noted(file, size, channels):
        sizes.append(size)
        return decode(file, size, channels)

    monkeypatch.setattr("aae.data.kept.decode", noted)
    return sizes


def test_pictures_are_decoded_once_until_one_changes(pets, counted):
    first = load(str(pets))
    assert len(counted) == 21
    np.testing.assert_array_equal(load(str(pets)).train_images, first.train_images)
    assert len(counted) == 21
    picture(BLUE).save(pets / "cat" / "00.png")
    assert np.asarray(load(str(pets)).train_images).sum() != np.asarray(first.train_images).sum()
    assert len(counted) == 42
    load(str(pets), reading=Reading((4,)))
    assert counted[42:] == [(4, 4)] * 21


def test_only_the_newest_is_kept(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    for colour in (RED, BLUE):
        picture(colour).save(pets / "cat" / "00.png")
        picture(RED).save(pets / "cat" / f"more-{colour[0]}.png")
        load(str(pets))
    assert len(list((tmp_path / "cache").rglob("pixels.npy"))) == 1
    assert not list((tmp_path / "cache").rglob(".partial*"))


def test_what_a_process_that_was_killed_left_is_removed_a_week_later(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    load(str(pets))
    (place,) = (tmp_path / "cache" / "pictures").iterdir()
    old, new = (place / f".partial-{name}" for name in "ab")
    for left in (old, new):
        left.mkdir()
    os.utime(old, (0, 0))
    picture(BLUE).save(pets / "cat" / "00.png")
    load(str(pets))
    assert (old.exists(), new.exists()) == (False, True)


def test_a_full_disk_is_told(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "aae.data.kept.shutil.disk_usage", lambda place: type("Usage", (), {"free": 21 * 240 - 1})
    )
    with pytest.raises(ValueError, match="take a smaller --image-size, or set AAE_CACHE_DIR"):
        load(str(pets))


def test_a_cache_that_cannot_be_written_is_told(pets, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(
        OSError, match=r"cannot write to the cache .* set AAE_CACHE_DIR to a folder"
    ):
        load(str(pets))


def test_whoever_may_read_the_cache_may_read_what_is_kept(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    load(str(pets))
    (tmp_path / "made").mkdir()
    (kept,) = (tmp_path / "cache").rglob("pixels.npy")
    assert kept.parent.stat().st_mode == (tmp_path / "made").stat().st_mode


def test_warnings_are_silenced_around_the_threads_and_not_in_them(pets, monkeypatch):
    silenced = []

    class Noted(warnings.catch_warnings):
        def __enter__(self):
            silenced.append(threading.current_thread())
            return super().__enter__()

    def warned(file, size, channels):
        warnings.warn("odd metadata", stacklevel=1)
        return decode(file, size, channels)

    monkeypatch.setattr("aae.data.kept.decode", warned)
    before = [*warnings.filters]
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(warnings, "catch_warnings", Noted)
        load(str(pets))
    assert warnings.filters == before
    assert {*silenced} == {threading.current_thread()}


def test_what_does_not_fit_into_memory_stays_in_its_file(pets, monkeypatch):
    resident = load(str(pets))
    monkeypatch.setattr(stored, "RESIDENT", 0)
    data = load(str(pets))
    assert isinstance(data.train_images, Stored)
    np.testing.assert_array_equal(data.train_images, resident.train_images)
    np.testing.assert_array_equal(data.test_labels, resident.test_labels)
