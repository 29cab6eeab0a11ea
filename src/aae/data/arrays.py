"""A user's own pictures and labels, in ``.npy`` files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aae.data.checks import as_int64, numbered, refuse_one_class
from aae.data.dataset import Dataset
from aae.data.npy import LABELS, labels_beside, map_array
from aae.data.splits import split_test
from aae.data.stored import Stored, at_hand

_TEST = "test"


def load_arrays(path: Path) -> Dataset:
    """A user's own data set: a ``.npy`` file of pictures, or a folder of shards of it.

    Labels of ``NAME.npy``, if there are any, are beside it in ``NAME.labels.npy``: integers [n], -1
    for a picture without one. The test set of a folder may be in its subfolder ``test``, in the
    same form; else a part is split off, see `aae.data.splits.split_test`. Pictures of more than
    `aae.data.stored.RESIDENT` bytes stay in their files.

    Args:
        path: file or folder; see `open_pictures`.

    Raises:
        ValueError: pictures or labels are of another kind, or do not fit each other.
    """
    images, labels = at_hand(open_pictures(path)), _labels(path)
    if (path / _TEST).is_dir():
        test_images, test_labels = at_hand(open_pictures(path / _TEST)), _labels(path / _TEST)
    else:
        is_test = np.zeros(len(labels), bool)
        is_test[split_test(labels, str(path))] = True
        test_images, test_labels = images[is_test], labels[is_test]
        images, labels = images[~is_test], labels[~is_test]
    names = numbered(str(path), labels, test_labels)
    refuse_one_class(str(path), names)
    return Dataset(path.stem, names, images, labels, test_images, test_labels)


def open_pictures(path: Path, shape: tuple[int, ...] | None = None) -> Stored:
    """Pictures of a ``.npy`` file, or of all such files in a folder, in the order of their names.

    Args:
        path: file or folder; a file holds uint8 [n, height, width] or
            [n, channels, height, width].
        shape: (channels, height, width) that a picture must have; a file may hold [n, pixels] then.

    Raises:
        ValueError: there is no such file, or it holds something else; says what it may hold.
    """
    arrays: list[NDArray[np.uint8]] = []
    for file in _files(path):
        arrays.append(_pictures(file, shape))
        shape = arrays[0].shape[1:]
    return Stored(arrays)


def _files(path: Path) -> list[Path]:
    """The files of pictures at a path."""
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    files = [file for file in files if file.suffix == ".npy" and not file.name.endswith(LABELS)]
    if not files:
        raise ValueError(
            f"{path} is no .npy file of pictures and no folder of such; what else is read: a "
            "folder or .zip of pictures in files, .npz, .csv, .tsv and .parquet"
        )
    return files


def _pictures(file: Path, shape: tuple[int, ...] | None) -> NDArray[np.uint8]:
    array = map_array(file)
    if shape is not None:
        known = [shape, (math.prod(shape),), *([shape[1:]] if shape[0] == 1 else [])]
        fits = array.shape[1:] in known
        possible = " or ".join(f"[n, {', '.join(map(str, each))}]" for each in known)
    else:
        fits = array.ndim in (3, 4)
        possible = "[n, height, width] or [n, channels, height, width]"
    if array.size == 0:
        raise ValueError(f"{file} holds no pictures: it is {array.dtype} {list(array.shape)}")
    if array.dtype != np.uint8 or not fits:
        todo = ", 0 to 255: scale and round them first" if array.dtype.kind == "f" else ""
        raise ValueError(
            f"{file} holds {array.dtype} {list(array.shape)}; expected uint8 {possible}{todo}"
        )
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{file} is in Fortran's order, where a picture lies scattered over the whole file; "
            "write it with numpy.save(…, numpy.ascontiguousarray(pictures))"
        )
    if array.ndim == 3:
        array = array[:, None]
    return array if shape is None else array.reshape(-1, *shape)


def _labels(path: Path) -> NDArray[np.int64]:
    """The labels of all pictures at a path, -1 where there is none."""
    parts = []
    for file in _files(path):
        count, beside = len(map_array(file)), labels_beside(file)
        labels = map_array(beside) if beside.is_file() else np.full(count, -1)
        if labels.dtype.kind not in "iu" or labels.shape != (count,):
            raise ValueError(
                f"{beside} holds {labels.dtype} {list(labels.shape)}; "
                f"expected integers [{count}], one for each picture of {file.name}"
            )
        parts.append(as_int64(str(beside), labels))
    return np.concatenate(parts)
