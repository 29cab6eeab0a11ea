"""From the name of a data set, or the path of a user's own, to its arrays."""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aae.data.arrays import load_arrays
from aae.data.catalog import CATALOG, Source, SourceFile
from aae.data.dataset import Dataset
from aae.data.decoding import AS_THEY_ARE, Reading
from aae.data.download import fetch
from aae.data.files import find_local, read_local
from aae.data.folders import holds_files, load_folder
from aae.data.given import load_arrays_file
from aae.data.idx import parse_idx
from aae.data.npy import map_array
from aae.data.splits import split_validation
from aae.data.tables import PLAINLY, SUFFIXES, TableReading, load_table
from aae.words import nearest

_Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


class NotThereError(ValueError):
    """Data are neither in the catalog nor at the path that names them."""


def load(
    data: str,
    data_dir: str | Path | None = None,
    *,
    progress: bool = True,
    reading: Reading = AS_THEY_ARE,
    table: TableReading = PLAINLY,
) -> Dataset:
    """Load a data set of the catalog, or the user's own.

    Files of the catalog are looked for in `data_dir`, or else in the folder that the environment
    variable `AAE_DATA_DIR` names: in a subfolder with the data set's name or directly, compressed
    or not. Without `data_dir`, missing files are downloaded into a cache: `AAE_CACHE_DIR`, or the
    system's place for caches. All files are checked against the catalog.

    Args:
        data: a key of `CATALOG`; or a path, see `aae.data.folders.load_folder`,
            `aae.data.arrays.load_arrays`, `aae.data.tables.load_table` and
            `aae.data.given.load_arrays_file`.
        data_dir: folder with the user's own copy; nothing is downloaded then. The file or folder
            that a path names may have moved there.
        progress: draw a progress bar while downloading, or decoding.
        reading: how pictures in a folder are read.
        table: how a table is read.

    Raises:
        NotThereError: there is no such data set.
        ValueError: `data_dir` lacks a file, or a file is damaged or not the published one; or the
            user's own data cannot be read as asked.
        DownloadError: a file could not be downloaded from any mirror.
        CacheError: what was downloaded or decoded cannot be kept.

    Examples:
        >>> digits = load("digits")
        >>> digits.train_images.shape, digits.test_images.shape
        ((1437, 1, 8, 8), (360, 1, 8, 8))
    """
    if data in CATALOG:
        _refuse_reading(reading, data)
        _refuse_table(table, data)
        dataset = load_source(CATALOG[data], data_dir, progress=progress)
        return replace(dataset, origin=data)
    named = Path(data).expanduser()
    moved = [Path(data_dir).expanduser() / named.name] if data_dir else []
    place = next(filter(Path.exists, (*moved, named)), None)
    if place is None:
        raise _unknown(data)
    dataset = _load_own(place, reading, table, progress)
    # An absolute path holds in any folder; one that has moved is found by its name.
    return replace(dataset, origin=str(named.resolve()) if named.exists() else data)


def holds_table(place: Path) -> bool:
    """Whether a path is a file with a table, rows, or named arrays."""
    ending = place.suffix.lower()
    if not place.is_file() or ending != ".npy":
        return place.is_file() and ending in (*SUFFIXES, ".npz")
    try:
        array = map_array(place)
        return array.dtype.kind == "f" and array.ndim == 2
    except ValueError:  # the reader of pictures tells of it
        return False


def _load_own(place: Path, reading: Reading, table: TableReading, progress: bool) -> Dataset:
    """Load a user's own data set: what the path holds decides how."""
    if holds_table(place):
        _refuse_reading(reading, str(place))
        load_it = load_table if place.suffix.lower() in SUFFIXES else load_arrays_file
        return load_it(place, table)
    _refuse_table(table, str(place))
    if holds_files(place):
        return load_folder(place, reading, progress=progress)
    _refuse_reading(reading, str(place))
    return load_arrays(place)


def _refuse_table(table: TableReading, name: str) -> None:
    if table != PLAINLY:
        raise ValueError(
            f"{name} is no table: --label-column, --missing, --categorical-columns and "
            "--ignore-columns are for a CSV or Parquet file, or a .npy or .npz file of rows"
        )


def _refuse_reading(reading: Reading, name: str) -> None:
    if reading != AS_THEY_ARE:
        raise ValueError(
            f"the examples of {name} are taken as they are: --image-size, --channels and "
            "--unreadable are for a folder or zip of files such as PNG or JPEG"
        )


def _unknown(data: str) -> NotThereError:
    """The error for a name neither in the catalog nor on disk, with the nearest one that is."""
    path = Path(data).expanduser()
    beside = {str(path.with_name(each.name)) for each in path.parent.glob("*")}
    hint = nearest(data.lower(), CATALOG) or nearest(str(path), beside)
    return NotThereError(
        f"unknown data set {data!r}; {hint}choose from {', '.join(CATALOG)}, or name what is "
        "there: a folder or .zip of pictures, a .npy file of pictures or a folder of such files, "
        "a table (.csv, .parquet), or arrays of rows or pictures (.npz, .npy)"
    )


def load_source(
    source: Source, data_dir: str | Path | None = None, *, progress: bool = True
) -> Dataset:
    """Load a data set that need not be in the catalog; otherwise like `load`."""
    if source.kind == "embedded":
        train, test = _digits(source)
    else:
        contents = _contents(source, data_dir, progress)
        train, test = (_from_idx if source.kind == "idx" else _from_mat)(source, contents)
    for (images, _), count in ((train, source.n_train), (test, source.n_test)):
        if images.shape != (count, *source.shape):
            raise ValueError(
                f"{source.name}: images are {list(images.shape)}, expected {[count, *source.shape]}"
            )
    return Dataset(source.name, source.classes, *train, *test)


def _contents(source: Source, data_dir: str | Path | None, progress: bool) -> list[bytes]:
    found: dict[SourceFile, Path] = {}
    if chosen := data_dir or os.environ.get("AAE_DATA_DIR"):
        folder = Path(chosen).expanduser()
        found = find_local(source, folder)
        missing = [file.name for file in source.files if file not in found]
        if missing and data_dir:
            raise ValueError(
                f"{source.name} not found: no {', '.join(missing)} (packed or unpacked) in "
                f"{folder / source.name} or {folder}; put them there, "
                "or leave --data-dir out to download them"
            )
    return [
        read_local(found[file], source, file)
        if file in found
        else fetch(source, file, progress=progress)
        for file in source.files
    ]


def _digits(source: Source) -> tuple[_Part, _Part]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    # The test set is part of the data set: its seed is fixed, whatever the user's is.
    share = source.n_test / (source.n_train + source.n_test)
    train, test = split_validation(labels, share, seed=0)
    return (images[train], labels[train]), (images[test], labels[test])


def _from_idx(source: Source, contents: list[bytes]) -> tuple[_Part, _Part]:
    arrays = [
        parse_idx(content, f"{source.name}/{file.name}")
        for content, file in zip(contents, source.files, strict=True)
    ]
    train_images, train_labels, test_images, test_labels = arrays
    return (
        (train_images[:, None], train_labels.astype(np.int64)),
        (test_images[:, None], test_labels.astype(np.int64)),
    )


def _from_mat(source: Source, contents: list[bytes]) -> tuple[_Part, _Part]:
    from scipy.io import loadmat

    parts = []
    for content in contents:
        matrices = loadmat(io.BytesIO(content), variable_names=["X", "y"])
        images = np.ascontiguousarray(matrices["X"].transpose(3, 2, 0, 1))
        labels = matrices["y"].ravel().astype(np.int64)
        labels[labels == 10] = 0  # SVHN files a zero under 10
        parts.append((images, labels))
    train, test = parts
    return train, test
