"""A folder of pictures: what it means, how each is read, what is refused, and that it is kept."""

import os
import shutil
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
from PIL import Image

from aae.data import Reading, decoding, folders, load, names_in, open_folder
from aae.data.decoding import UnreadableError, decode, look
from aae.data.folders import arrange

RED, BLUE = (200, 30, 40), (20, 60, 220)


def save(path, colour=RED, size=(10, 8), mode="RGB", **how):
    """A picture of one colour; its size is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size[::-1], colour).convert(mode)
    image.save(path, **how)
    return path


def zipped(folder):
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def colours(images):
    """The colour of the middle of each picture."""
    return np.asarray(images)[:, :, 4, 4].tolist()


# --- what a folder means


@pytest.mark.parametrize(
    ("train", "test", "beside"),
    [("train", "test", "val"), ("Train", "TEST", "Valid"), ("training", "testing", "validation")],
)
def test_parts_by_their_usual_names(train, test, beside):
    names = [f"{part}/{kind}/{part}.png" for part in (train, test, beside) for kind in ("a", "b")]
    tree = arrange(names, Path("pets"))
    assert tree.classes == ("a", "b")
    assert [Path(name).parts[0] for name, t in zip(tree.names, tree.is_test, strict=True) if t] == [
        test, test,
    ]  # fmt: skip
    assert sorted(tree.labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_such_names_alone_are_classes():
    assert arrange(["training/a.png", "resting/b.png"], Path("x")).classes == (
        "resting",
        "training",
    )
    assert arrange(["val/a.png", "other/b.png"], Path("x")).classes == ("other", "val")
    names = [f"{part}/{pet}/a.png" for part in ("training", "val") for pet in ("cat", "dog")]
    tree = arrange(names, Path("x"))
    assert (tree.classes, tree.is_test.any()) == (("cat", "dog"), False)


def test_linked_folders_are_folders_and_no_way_back(pets, tmp_path):
    before = names_in(pets)
    (pets / "dog").rename(tmp_path / "elsewhere")
    (pets / "dog").symlink_to(tmp_path / "elsewhere")
    (pets / "cat" / "up").symlink_to(pets)
    (tmp_path / "elsewhere" / "cats").symlink_to(pets / "cat")
    (pets / "dog" / "out").symlink_to(tmp_path)
    assert sorted(names_in(pets)) == sorted(before)


def test_folders_that_link_to_one_another_are_not_followed_round_and_round(tmp_path):
    for k in range(7):
        save(tmp_path / str(k) / "a.png")
    for k in range(7):
        for other in {*range(7)} - {k}:
            (tmp_path / str(k) / f"to-{other}").symlink_to(tmp_path / str(other))
    assert len(list(names_in(tmp_path))) == 7 + 7 * 6


def test_a_link_to_nowhere_is_an_unreadable_picture(pets):
    (pets / "cat" / "gone.png").symlink_to("/nowhere/at/all.png")
    with pytest.raises(ValueError, match=r"cat/gone.png \(No such file or directory\)"):
        load(str(pets))
    data = load(str(pets), reading=Reading(unreadable="skip"))
    assert data.left_out == ("cat/gone.png",)


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["bus/1.png", "car/1.png", "train/1.png"], "train"),
        (["bus/1.png", "train/1.png", "train/new/2.png"], "train"),
        (["bus/1.png", "car/1.png", "Test/1.png", "2.png"], "Test"),
        (["bus/1.png", "car/1.png", "val/1.png", "test/bus/2.png"], "val"),
    ],
)
def test_a_class_that_is_called_like_a_part_is_refused(names, part):
    words = (
        rf"roads has pictures directly in {part}, .* \(bus(, car)?\): if {part} is a class, too, "
        "give its folder another name; if not, move the folders of classes into train"
    )
    with pytest.raises(ValueError, match=words):
        arrange(names, Path("roads"))


def test_class_folders_are_labels(pets):
    data = load(str(pets))
    assert (data.name, data.classes, data.shape) == ("pets", ("cat", "dog"), (3, 10, 8))
    assert len(data.train_labels) == 18
    assert len(data.test_labels) == 3
    assert data.left_out == ()
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        assert colours(images) == [[list(RED), list(BLUE)][label] for label in labels]
    assert np.bincount(data.test_labels).tolist() == [2, 1]


def test_a_zip_is_read_as_its_folder_is(pets):
    folder, packed = load(str(pets)), load(str(zipped(pets)))
    assert packed.classes == folder.classes
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(packed, name), getattr(folder, name))


@pytest.mark.parametrize(
    ("names", "classes", "labels", "test"),
    [
        (["b.png", "a.png"], (), [-1, -1], []),
        (["cat/b.png", "dog/a.png", "c.png"], ("cat", "dog"), [-1, 0, 1], []),
        (["in/cat/b.png", "in/dog/x/a.png"], ("cat", "dog"), [0, 1], []),
        (["in/test/cat/b.png", "in/test/dog/a.png"], ("cat", "dog"), [0, 1], []),  # as CIFAR's
        (["cat/b.png", "cat/c.png"], (), [-1, -1], []),
        (["train/b/1.png", "train/c/1.png", "test/c/2.png"], ("b", "c"), [1, 0, 1], [0]),
        (["b/1.png", "c/1.png", "test/c/2.png"], ("b", "c"), [0, 1, 1], [2]),
        (["train/1.png", "test/2.png"], (), [-1, -1], [0]),
        (["train/1.png", "test/2.png", "val/3.png", "4.png"], (), [-1] * 4, [1]),
        (["train/b/1.png", "train/c/1.png", "test/2.png"], ("b", "c"), [-1, 0, 1], [0]),
        (["train/b/1.png", "train/c/1.png", "train/2.png"], ("b", "c"), [-1, 0, 1], []),
    ],
)
def test_what_folders_mean(names, classes, labels, test):
    tree = arrange(names, Path("place"))
    assert tree.names == tuple(sorted(names))
    assert (tree.classes, tree.labels.tolist()) == (classes, labels)
    assert np.flatnonzero(tree.is_test).tolist() == test


def test_a_class_that_is_in_the_test_set_alone_is_refused():
    names = ["train/b/1.png", "train/c/1.png", "test/e/2.png", "test/b/2.png"]
    with pytest.raises(ValueError, match="place has the classes e in test alone"):
        arrange(names, Path("place"))


def test_a_test_set_of_its_own(pets):
    save(pets / "test" / "dog" / "x.png", BLUE)
    data = load(str(pets))
    assert (len(data.train_labels), data.test_labels.tolist()) == (21, [1])


def test_hidden_and_other_files_are_left_alone(pets, tmp_path):
    expected = names_in(pets)
    for name in (".thumbs/a.png", "cat/._00.png", "__MACOSX/a.png", "notes.txt"):
        save(pets / "x.png").rename((pets / name).parent.mkdir(exist_ok=True) or pets / name)
    shutil.rmtree(pets / "__MACOSX")
    assert names_in(pets) == expected
    save(pets / "__MACOSX" / "a.png")
    assert names_in(zipped(pets)) == tuple(f"pets/{name}" for name in expected)


def test_a_zip_may_have_backslashes_for_slashes(tmp_path):
    content = save(tmp_path / "a.png").read_bytes()
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        for k in range(10):
            packed.writestr(f"C:\\pets\\{'cat' if k % 2 else 'dog'}\\{k}.png", content)
        packed.writestr("pets\\.thumbs\\0.png", content)
    data = load(str(tmp_path / "a.zip"))
    assert (data.classes, len(data.train_labels)) == (("cat", "dog"), 9)
    with ZipFile(tmp_path / "a.zip", "a") as packed:
        packed.writestr("pets/cat/a.png", content)  # then a backslash is one
    assert names_in(tmp_path / "a.zip")[0] == "C:\\pets\\cat\\1.png"


def test_paths_in_a_zip_may_be_written_in_many_ways(tmp_path):
    content = save(tmp_path / "a.png").read_bytes()
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        for k in range(10):
            packed.writestr(ZipInfo(f"./pets//{'cat' if k % 2 else './dog'}/{k}.png"), content)
        packed.writestr(ZipInfo("pets//.thumbs/0.png"), content)
    data = load(str(tmp_path / "a.zip"))
    assert (data.classes, len(data.train_labels)) == (("cat", "dog"), 9)


def test_a_class_may_have_any_name(tmp_path):
    for name in (b"caf\xe9", b"caf\xe8", "thé".encode()):
        for k in range(3):
            place = tmp_path / os.fsdecode(name)
            save(tmp_path / "a.png").rename(place.mkdir(exist_ok=True) or place / f"{k}.png")
    assert load(str(tmp_path)).classes == ("caf\\xe8", "caf\\xe9", "thé")


def test_a_pipe_is_no_picture(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    with pytest.raises(ValueError, match=r"1 of 22 .* cat/pipe.png \(it is no file\)"):
        load(str(pets), reading=Reading((4,), 3))


@pytest.mark.parametrize("place", ["empty", "empty.zip"])
def test_a_place_without_pictures_is_refused(tmp_path, place):
    (tmp_path / "empty").mkdir()
    ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(ValueError, match=r"holds no pictures: no file in it ends in \.bmp, "):
        load(str(tmp_path / place))


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_text("no")
    with pytest.raises(ValueError, match="is no zip file"):
        load(str(tmp_path / "a.zip"))


# --- sizes and channels


def test_pictures_of_several_sizes_need_one_to_be_brought_to(pets):
    save(pets / "cat" / "wide.png", size=(30, 90))
    words = (
        r"2 sizes, 10 to 30 high and 8 to 90 wide, 21 of 22 being 10×8 \(height×width\): .* "
        "--image-size 64"
    )
    with pytest.raises(ValueError, match=words):
        load(str(pets))
    assert load(str(pets), reading=Reading(image_size=(6,))).shape == (3, 6, 6)
    assert load(str(pets), reading=Reading(image_size=(6, 9))).shape == (3, 6, 9)


def test_a_picture_is_scaled_to_cover_the_size_and_cropped_around_its_centre(tmp_path):
    image = Image.new("RGB", (100, 20), RED)
    image.paste(BLUE, (34, 0, 66, 20))
    image.save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        assert (decode(file, (10, 10), 3) == np.reshape(BLUE, (3, 1, 1))).all()


def test_colour_if_any_picture_is(tmp_path):
    for k in range(10):
        save(tmp_path / f"{k}.png", mode="L")
    assert load(str(tmp_path)).shape == (1, 10, 8)
    assert load(str(tmp_path), reading=Reading(channels=3)).shape == (3, 10, 8)
    save(tmp_path / "x.png")
    assert load(str(tmp_path)).shape == (3, 10, 8)
    grey = load(str(tmp_path), reading=Reading(channels=1))
    assert grey.shape == (1, 10, 8)
    luma = round(0.299 * RED[0] + 0.587 * RED[1] + 0.114 * RED[2])
    assert np.asarray(grey.train_images) == pytest.approx(luma, abs=1)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"image_size": (0,)}, "--image-size 0 is no size"),
        ({"image_size": (5000,)}, "--image-size 5000 is no size"),
        ({"image_size": (8, 8, 8)}, "--image-size 8 8 8 is no size"),
        ({"channels": 4}, r"--channels must be 1 \(grey\) or 3 \(colour\), not 4"),
    ],
)
def test_readings_that_cannot_be(how, words):
    with pytest.raises(ValueError, match=words):
        Reading(**how)


def test_other_data_are_taken_as_they_are(tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros((20, 8, 8), np.uint8))
    for data in ("digits", str(tmp_path / "mine.npy")):
        with pytest.raises(ValueError, match="are taken as they are: --image-size"):
            load(data, reading=Reading(image_size=(8,)))


def test_a_folder_for_a_run_has_the_runs_shape(pets):
    images = open_folder(pets, (1, 4, 5))
    assert images.shape == (21, 1, 4, 5)
    assert names_in(pets)[0] == "cat/00.png"
    values = np.asarray(images)[:, 0, 2, 2]
    assert (values[:14] != values[14:].max()).all()


# --- what cannot be read


@pytest.fixture
def broken(pets):
    """A text, a picture cut short, and nothing at all among the pets."""
    (pets / "cat" / "text.png").write_text("no picture")
    whole = save(pets / "cat" / "cut.jpg", size=(90, 90)).read_bytes()
    (pets / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "nothing.gif").touch()
    return pets


def test_unreadable_files_are_listed_and_refused(broken):
    with pytest.raises(ValueError, match=r"3 of 24 pictures in .* cannot be read: ") as refused:
        load(str(broken), reading=Reading((10, 8)))
    for words in (
        "cat/cut.jpg (Truncated",
        "cat/text.png (it is no BMP, ",
        "dog/nothing.gif (it is no",
        "leave them out by --unreadable skip",
    ):
        assert words in str(refused.value)


@pytest.mark.parametrize("pack", [lambda place: place, zipped])
def test_unreadable_files_are_left_out_if_so_asked(broken, pack):
    data = load(str(pack(broken)), reading=Reading((10, 8), unreadable="skip"))
    assert [name.split("/")[-1] for name in data.left_out] == ["cut.jpg", "text.png", "nothing.gif"]
    assert len(data.train_labels) + len(data.test_labels) == 21
    assert colours(data.train_images) == [[list(RED), list(BLUE)][k] for k in data.train_labels]


def test_nothing_that_can_be_read_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no")
    for reading in (Reading(unreadable="skip"), Reading((4,), 3, "skip")):
        with pytest.raises(ValueError, match="none of the"):
            load(str(tmp_path), reading=reading)


def test_files_that_unfold_without_bound_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 79)
    with save(tmp_path / "a.png").open("rb") as file:
        for work in (look, lambda file: decode(file, (4, 4), 3)):
            with pytest.raises(UnreadableError, match="more than 79 pixels"):
                work(file)


@pytest.mark.parametrize("pack", [lambda place: place, zipped])
def test_files_that_are_too_large_are_not_read(pets, monkeypatch, pack):
    monkeypatch.setattr(folders, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"21 of 21 pictures .* \(it has more than 10 bytes\)"):
        load(str(pack(pets)), reading=Reading((4,), 3))


def test_names_in_a_zip_point_nowhere(tmp_path):
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        for k in range(10):
            content = save(tmp_path / "a.png").read_bytes()
            packed.writestr(f"{tmp_path}/out/{k}.png", content)
            packed.writestr(f"../out/{k}.png", content)
    names = names_in(tmp_path / "a.zip")
    assert {f"out/{k}.png" for k in range(10)} < {*names}
    assert len(names) == 20
    assert not any(name.startswith(("/", "..")) for name in names)
    data = load(str(tmp_path / "a.zip"))
    assert len(data.train_labels) + len(data.test_labels) == 20
    assert not (tmp_path / "out").exists()
    assert not (tmp_path.parent / "out").exists()


def test_a_damaged_member_of_a_zip_is_unreadable(pets):
    packed = zipped(pets)
    content = bytearray(packed.read_bytes())
    at = content.index(b"pets/cat/00.png") + 40
    content[at : at + 4] = bytes(4)
    packed.write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of 21 pictures .* pets/cat/00.png \("):
        load(str(packed), reading=Reading((4,), 3))
