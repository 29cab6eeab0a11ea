"""Data of one's own in .npy files: found, split, labelled, and refused where they do not fit."""

import numpy as np
import pytest

from aae import plots
from aae.data import Stored, load, open_pictures, stored
from aae.data.npy import write_array
from aae.fit import fit


def numbered(n, shape=(1, 2, 3), start=0):
    """Pictures that show their numbers."""
    pixels = np.arange(start, start + n).astype(np.uint8).repeat(np.prod(shape))
    return pixels.reshape(n, *shape)


def shown(images):
    return np.asarray(images).reshape(len(images), -1)[:, 0].tolist()


@pytest.fixture
def in_files(monkeypatch):
    """Nothing is small enough to be kept in memory."""
    monkeypatch.setattr(stored, "RESIDENT", 0)


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 5), (1, 4, 5)), ((1, 4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5))]
)
def test_a_file_of_pictures(tmp_path, shape, expected):
    np.save(tmp_path / "mine.npy", numbered(70, shape))
    data = load(str(tmp_path / "mine.npy"))
    assert (data.name, data.shape, data.classes) == ("mine", expected, ())
    assert len(data.train_images) == 60
    assert sorted(shown(data.train_images) + shown(data.test_images)) == list(range(70))
    assert (data.train_labels == -1).all()
    assert (data.test_labels == -1).all()


def test_labels_lie_beside_it(tmp_path):
    labels = np.arange(70) % 5 - 1
    np.save(tmp_path / "mine.npy", numbered(70))
    np.save(tmp_path / "mine.labels.npy", labels.astype(np.int8))
    data = load(str(tmp_path / "mine.npy"))
    assert data.classes == ("0", "1", "2", "3")
    for images, part in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        assert part.tolist() == labels[shown(images)].tolist()
    assert np.bincount(data.test_labels + 1).tolist() == [2] * 5


@pytest.fixture
def shards(tmp_path):
    """Three shards, the second without labels."""
    for k, start in enumerate((0, 30, 40)):
        n = (30, 10, 30)[k]
        np.save(tmp_path / f"shard-{k}.npy", numbered(n, start=start))
        if k != 1:
            np.save(tmp_path / f"shard-{k}.labels.npy", np.arange(n) % 3)
    return tmp_path


def test_a_folder_of_shards(shards):
    data = load(str(shards))
    assert data.classes == ("0", "1", "2")
    truth = np.concatenate([np.arange(30) % 3, np.full(10, -1), np.arange(30) % 3])
    assert data.train_labels.tolist() == truth[shown(data.train_images)].tolist()
    assert sorted(shown(data.train_images) + shown(data.test_images)) == list(range(70))
    assert shown(open_pictures(shards)) == list(range(70))


def test_a_test_set_of_its_own(shards):
    (shards / "test").mkdir()
    np.save(shards / "test" / "all.npy", numbered(9, start=100))
    data = load(str(shards))
    assert shown(data.train_images) == list(range(70))
    assert shown(data.test_images) == list(range(100, 109))


def test_memory_and_files_give_the_same(shards, monkeypatch):
    resident = load(str(shards))
    monkeypatch.setattr(stored, "RESIDENT", 0)
    data = load(str(shards))
    for name in ("train_images", "test_images"):
        assert isinstance(getattr(resident, name), np.ndarray)
        assert isinstance(getattr(data, name), Stored)
        np.testing.assert_array_equal(getattr(data, name), getattr(resident, name))
    assert np.array_equal(data.train_labels, resident.train_labels)


def test_a_test_part_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("aae.data.splits.MOST_TEST", 5)
    np.save(tmp_path / "mine.npy", numbered(70))
    data = load(str(tmp_path / "mine.npy"))
    assert (len(data.train_images), len(data.test_images)) == (65, 5)


def test_a_sample_in_memory(shards, in_files):
    data = load(str(shards))
    assert not isinstance(data.train_images, np.ndarray)
    some = data.sample(20 * 6)
    assert len(some.train_images) == 20
    np.testing.assert_array_equal(some.test_images, data.test_images)  # 10 pictures
    every = shown(data.train_images)
    assert some.train_labels.tolist() == [
        data.train_labels[every.index(k)] for k in shown(some.train_images)
    ]
    assert len(some.sample(6).train_images) == 20  # what is in memory is left alone


def test_a_shape_that_is_asked_for(tmp_path):
    np.save(tmp_path / "flat.npy", numbered(7).reshape(7, 6))
    assert open_pictures(tmp_path, (1, 2, 3)).shape == (7, 1, 2, 3)
    assert open_pictures(tmp_path, (2, 3, 1)).shape == (7, 2, 3, 1)
    with pytest.raises(ValueError, match=r"expected uint8 \[n, 3, 2, 2\] or \[n, 12\]"):
        open_pictures(tmp_path, (3, 2, 2))
    with pytest.raises(ValueError, match=r"flat.npy holds uint8 \[7, 6\]; expected uint8 \[n, h"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 4, 4)), r"float64 \[5, 4, 4\]; expected uint8 \[n, height, width\] or"),
        (np.zeros((5, 4, 4, 1, 1), np.uint8), r"uint8 \[5, 4, 4, 1, 1\]; expected"),
        (np.zeros((0, 4, 4), np.uint8), r"holds no pictures: it is uint8 \[0, 4, 4\]"),
        (np.array(["a"], dtype=object), "no .npy file of numbers"),
        (np.asfortranarray(numbered(5, (4, 4))), "Fortran's order"),
        (numbered(2), "holds 2 examples: too few"),
    ],
)
def test_what_is_no_pictures_is_refused(tmp_path, array, words):
    np.save(tmp_path / "mine.npy", array)
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "mine.npy"))


@pytest.mark.parametrize("labels", [np.zeros(70), np.zeros(69, int), np.zeros((70, 1), int)])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    np.save(tmp_path / "mine.npy", numbered(70))
    np.save(tmp_path / "mine.labels.npy", labels)
    with pytest.raises(ValueError, match=r"expected integers \[70\], one for each picture of mine"):
        load(str(tmp_path / "mine.npy"))


def test_shards_of_two_shapes_are_refused(shards):
    np.save(shards / "shard-9.npy", numbered(5, (1, 3, 3)))
    with pytest.raises(ValueError, match=r"shard-9.npy holds uint8 \[5, 1, 3, 3\]; expected uint8"):
        load(str(shards))


def test_labels_that_are_all_the_same_are_refused(tmp_path):
    np.save(tmp_path / "mine.npy", numbered(70))
    np.save(tmp_path / "mine.labels.npy", np.where(np.arange(70) % 2, 0, -1))
    with pytest.raises(ValueError, match=r"mine\.npy: all labels are 0: .* give none"):
        load(str(tmp_path / "mine.npy"))


def test_more_classes_than_pictures_are_refused(tmp_path):
    np.save(tmp_path / "mine.npy", numbered(70))
    np.save(tmp_path / "mine.labels.npy", np.where(np.arange(70) == 3, 10**9, 0))
    with pytest.raises(ValueError, match=r"labels go up to 1000000000, and there are 70 examples"):
        load(str(tmp_path / "mine.npy"))


@pytest.mark.parametrize("channels", [2, 4])
def test_pictures_of_other_channels_than_eyes_see_are_learned_and_drawn(
    tmp_path, tiny, digits, channels
):
    images = digits.train_images[:60].repeat(channels, 1)
    np.save(tmp_path / "mine.npy", images)
    run = fit(tiny(labels=0, data=str(tmp_path / "mine.npy")), tmp_path / "run")
    assert run.shape == (channels, 8, 8)
    assert (run.figures / "reconstructions.png").exists()
    grey = np.full((1, channels, 2, 2), 0.5)
    grey[0, 0] = 1
    mean = (channels + 1) / (2 * channels)
    assert plots.tile(grey, 1)[1:3, 1:3] == pytest.approx(np.full((2, 2, 1), mean))


def test_channels_that_come_last_are_refused(tmp_path):
    np.save(tmp_path / "mine.npy", numbered(70, (16, 16, 3)))
    with pytest.raises(ValueError, match=r"channels last: give images.transpose\(0, 3, 1, 2\)"):
        load(str(tmp_path / "mine.npy"))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "pictures.txt").write_text("no")
    with pytest.raises(
        ValueError,
        match=r"is no .npy file of pictures and no folder of such; what else is read: a folder or",
    ):
        load(str(tmp_path / "pictures.txt"))


def test_a_path_that_is_not_there_gets_the_nearest(tmp_path):
    np.save(tmp_path / "pictures.npy", numbered(9))
    wanted = tmp_path / "picture.npy"
    with pytest.raises(ValueError, match=f"unknown data set '{wanted}'; did you mean '.*s.npy'"):
        load(str(wanted))


def test_a_path_holds_in_any_folder_and_data_may_move(tmp_path, monkeypatch):
    np.save(tmp_path / "mine.npy", numbered(70))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("digits").origin == "digits"
    path = load("mine.npy").origin
    monkeypatch.chdir("elsewhere")
    assert len(load(path).train_images) == 60
    (tmp_path / "mine.npy").rename("mine.npy")
    moved = load(path, tmp_path / "elsewhere")
    assert len(moved.train_images) == 60
    assert moved.origin == path


def test_an_array_takes_the_disk_s_space_piece_by_piece(tmp_path):
    """A mapped file has its length at once, and a disk that fills up later kills the process."""
    place, seen = tmp_path / "codes.npy", []

    def pieces():
        for k in range(3):
            seen.append(place.stat().st_size)
            yield np.full((50_000, 2), k)

    write_array(place, "<f4", (150_000, 2), pieces())
    assert seen == sorted(seen)
    assert seen[0] < 1000 < seen[1] < seen[2] < place.stat().st_size
    assert np.array_equal(np.load(place), np.repeat(np.arange(3.0), 50_000)[:, None].repeat(2, 1))
