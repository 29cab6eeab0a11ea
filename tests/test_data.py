"""The catalog, data sets, and loading from local files. See also test_data_*.py."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from aae.data import CATALOG, Dataset, Source, SourceFile, load, load_source
from aae.data.files import read_unpacked

N_TRAIN, N_TEST, SIDE = 6, 4, 3


def to_idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return (
        rng.integers(256, size=(N_TRAIN, SIDE, SIDE), dtype=np.uint8),
        np.arange(N_TRAIN, dtype=np.uint8) % 2,
        rng.integers(256, size=(N_TEST, SIDE, SIDE), dtype=np.uint8),
        np.arange(N_TEST, dtype=np.uint8) % 2,
    )


@pytest.fixture
def contents(arrays):
    names = ("train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz")
    return {name: to_idx(array) for name, array in zip(names, arrays, strict=True)}


@pytest.fixture
def source(contents):
    files = tuple(
        SourceFile(name, len(content), content_sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    return Source(
        "tiny", "made up", (1, SIDE, SIDE), N_TRAIN, N_TEST, ("even", "odd"), "idx", files
    )


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    """No test sees the user's folders, or writes to the user's cache."""
    monkeypatch.delenv("AAE_DATA_DIR", raising=False)
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))


def write(folder, contents, packed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if packed:
            (folder / name).write_bytes(gzip.compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)


def make_dataset(**changes):
    arrays = {
        "train_images": np.zeros((3, 1, 2, 2), np.uint8),
        "train_labels": np.array([0, 1, -1]),
        "test_images": np.zeros((2, 1, 2, 2), np.uint8),
        "test_labels": np.array([0, 1]),
    }
    return Dataset("mine", ("cat", "dog"), **(arrays | changes))


def test_dataset_knows_its_shape():
    dataset = make_dataset()
    assert dataset.shape == (1, 2, 2)
    assert dataset.n_classes == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((3, 1, 2, 2))}, "images are float64"),
        ({"train_images": np.zeros((3, 2, 2), np.uint8)}, r"images are uint8 \[3, 2, 2\]"),
        ({"test_images": np.zeros((2, 1, 2, 3), np.uint8)}, "must have one shape"),
        (
            {"test_images": np.zeros((0, 1, 2, 2), np.uint8), "test_labels": np.zeros(0, np.int64)},
            "none of them 0",
        ),
        ({"train_labels": np.array([0, 1])}, r"labels are int64 \[2\]"),
        ({"train_labels": np.array([0, 1, 1], np.uint8)}, "labels are uint8"),
        ({"train_labels": np.array([0, 1, 2])}, "from 0 to 2"),
        ({"train_labels": np.array([0, 1, -2])}, "from -2 to 1"),
        ({"test_labels": np.array([0, -2])}, "from -2 to 0"),
    ],
)
def test_dataset_refuses_what_does_not_agree(changes, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(**changes)


def test_catalog_agrees_with_itself():
    assert list(CATALOG) == ["digits", "mnist", "fashion-mnist", "svhn"]
    for name, entry in CATALOG.items():
        assert entry.name == name
        assert len(entry.classes) == len(set(entry.classes)) == 10
        assert len(entry.files) == {"embedded": 0, "idx": 4, "mat": 2}[entry.kind]
        assert bool(entry.files) == bool(entry.mirrors)
        for file in entry.files:
            assert len(file.content_sha256 or file.served_sha256) == 64
        assert all(mirror.endswith("/") for mirror in entry.mirrors)


def test_source_with_mirrors_needs_checksums(source):
    unchecked = (replace(source.files[0], content_sha256=None), *source.files[1:])
    with pytest.raises(ValueError, match=r"train-images.gz has mirrors but no checksum"):
        replace(source, files=unchecked, mirrors=("http://localhost/",))


@pytest.mark.parametrize("name", ["minst", "MNIST"])
def test_unknown_name_gets_the_nearest_and_the_list(name):
    with pytest.raises(
        ValueError, match=f"unknown data set '{name}'; did you mean 'mnist'"
    ) as error:
        load(name)
    assert all(known in str(error.value) for known in CATALOG)


def test_import_is_light():
    heavy = ["torch", "pooch", "sklearn", "scipy", "rich", "requests"]
    code = f"import sys, aae.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_digits_are_scaled_and_split_by_class():
    from sklearn.datasets import load_digits

    digits = load("digits", data_dir="/ignored")
    images = np.concatenate([digits.train_images, digits.test_images])
    assert images.shape == (1797, 1, 8, 8)
    assert len(digits.test_images) == CATALOG["digits"].n_test
    assert (images.min(), images.max()) == (0, 255)
    counts = np.bincount(load_digits().target)
    assert (np.abs(np.bincount(digits.test_labels) - counts * 360 / 1797) < 1).all()
    original = {
        image.tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)
    }
    for image, label in zip(digits.test_images, digits.test_labels, strict=True):
        assert original[np.rint(image / 255 * 16).astype(float).tobytes()] == label


def test_digits_test_set_never_changes():
    digest = hashlib.sha256(load("digits").test_images.tobytes()).hexdigest()
    assert digest == "c1f4ab5c0fdba70c879fbe3686158d0350f84602da43a9552eba9e71bb99c198"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["", "tiny"])
@pytest.mark.parametrize("by_environment", [True, False])
def test_local_files_are_found(
    source, contents, arrays, tmp_path, monkeypatch, packed, place, by_environment
):
    write(tmp_path / place, contents, packed)
    if by_environment:
        monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path))
    dataset = load_source(source, None if by_environment else tmp_path)
    assert dataset.name == "tiny"
    assert dataset.classes == ("even", "odd")
    np.testing.assert_array_equal(dataset.train_images, arrays[0][:, None])
    np.testing.assert_array_equal(dataset.train_labels, arrays[1])
    np.testing.assert_array_equal(dataset.test_images, arrays[2][:, None])
    np.testing.assert_array_equal(dataset.test_labels, arrays[3])
    dataset.train_images[0] = 0  # writable


def test_own_folder_comes_before_the_shared_one(source, contents, tmp_path):
    write(tmp_path, dict.fromkeys(contents, b"other"), packed=True)
    write(tmp_path / "tiny", contents, packed=False)
    assert load_source(source, tmp_path).name == "tiny"


def test_argument_comes_before_the_environment(source, contents, tmp_path, monkeypatch):
    write(tmp_path / "good", contents, packed=True)
    write(tmp_path / "bad", dict.fromkeys(contents, b"other"), packed=True)
    monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path / "bad"))
    assert load_source(source, tmp_path / "good").name == "tiny"


def test_missing_local_file_is_named_with_the_places(source, contents, tmp_path):
    del contents["test-labels.gz"]
    write(tmp_path, contents, packed=True)
    with pytest.raises(ValueError, match=r"no test-labels.gz \(packed or unpacked\)") as error:
        load_source(source, tmp_path)
    assert f"in {tmp_path / 'tiny'} or {tmp_path}" in str(error.value)
    assert "--data-dir" in str(error.value)
    assert "train-images" not in str(error.value)


@pytest.mark.parametrize("packed", [True, False])
def test_changed_local_file_is_refused_by_name(source, contents, tmp_path, packed):
    content = bytearray(contents["test-images.gz"])
    content[-1] ^= 1
    write(tmp_path, contents | {"test-images.gz": bytes(content)}, packed)
    with pytest.raises(ValueError, match=r"test-images.*: not the published test-images.gz"):
        load_source(source, tmp_path)


def test_damaged_gzip_is_refused_by_name(source, contents, tmp_path):
    write(tmp_path, contents, packed=True)
    path = tmp_path / "train-labels.gz"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"train-labels.gz: damaged gzip file"):
        load_source(source, tmp_path)


def test_unexpected_shape_is_refused(source, contents, tmp_path):
    write(tmp_path, contents, packed=True)
    with pytest.raises(ValueError, match=r"images are \[6, 1, 3, 3\], expected \[7, 1, 3, 3\]"):
        load_source(replace(source, n_train=7), tmp_path)


def test_unpacked_copy_of_a_file_known_only_packed(source, contents, tmp_path):
    packed = tuple(
        replace(file, content_sha256=None, served_sha256="0" * 64) for file in source.files
    )
    source = replace(source, files=packed)
    write(tmp_path, contents, packed=False)
    assert load_source(source, tmp_path).name == "tiny"
    (tmp_path / "train-labels").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"train-labels: 5 bytes once unpacked, expected 14"):
        load_source(source, tmp_path)


def test_file_of_another_data_set_is_refused(source, contents, tmp_path, monkeypatch):
    monkeypatch.setitem(CATALOG, "tiny", source)
    packed = tuple(
        replace(file, content_sha256=None, served_sha256="0" * 64) for file in source.files
    )
    write(tmp_path, contents, packed=True)
    with pytest.raises(ValueError, match="a file of tiny, not of similar"):
        load_source(replace(source, name="similar", files=packed), tmp_path)


def test_bomb_does_not_fill_the_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as bomb:
        for _ in range(64):
            bomb.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="longer than the 1000 bytes expected"):
        read_unpacked(path, limit=1000)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_mat_files_are_read(tmp_path):
    rng = np.random.default_rng(0)
    files, expected = [], []
    for name, count in (("train.mat", 5), ("test.mat", 3)):
        images = rng.integers(256, size=(4, 4, 3, count), dtype=np.uint8)
        labels = np.array([10, 1, 9, 2, 10][:count], dtype=np.uint8)[:, None]
        buffer = io.BytesIO()
        savemat(buffer, {"X": images, "y": labels})
        (tmp_path / name).write_bytes(buffer.getvalue())
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        files.append(SourceFile(name, len(buffer.getvalue()), content_sha256=digest))
        expected.append(images)
    source = replace(CATALOG["svhn"], shape=(3, 4, 4), n_train=5, n_test=3, files=tuple(files))
    dataset = load_source(source, tmp_path)
    assert dataset.train_labels.tolist() == [0, 1, 9, 2, 0]
    assert dataset.test_labels.tolist() == [0, 1, 9]
    np.testing.assert_array_equal(dataset.train_images[4, 2], expected[0][:, :, 2, 4])
    np.testing.assert_array_equal(dataset.test_images[1, 0], expected[1][:, :, 0, 1])
    assert dataset.train_images.flags.c_contiguous


REAL = os.environ.get("AAE_DATA_DIR")


@pytest.mark.skipif(
    REAL is None or not (Path(REAL) / "mnist").is_dir(),
    reason="AAE_DATA_DIR names no folder with the real MNIST in mnist/",
)
def test_real_mnist():
    mnist = load("mnist", REAL)
    assert mnist.train_images.shape == (60_000, 1, 28, 28)
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(mnist.test_labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert abs(mnist.train_images.mean() / 255 - 0.1307) < 1e-4


@pytest.mark.skipif(
    REAL is None or not (Path(REAL) / "mnist").is_dir(),
    reason="AAE_DATA_DIR names no folder with the real MNIST in mnist/",
)
def test_mnist_is_not_taken_for_fashion_mnist():
    with pytest.raises(ValueError, match="a file of mnist, not of fashion-mnist"):
        load("fashion-mnist", Path(REAL) / "mnist")
