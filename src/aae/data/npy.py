"""NumPy's files, read from anybody: no pickle, no more memory than bytes; and written in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from aae.words import in_one_line

MOST_UNPACKED = 16 * 2**30
"""Most bytes of all arrays in a .npz file together: they are read into memory."""
LABELS = ".labels.npy"
"""How the name of a file of labels ends."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0,
}  # fmt: skip


def labels_beside(file: Path) -> Path:
    """Where the labels of what a ``.npy`` file holds are, if there are any.

    >>> labels_beside(Path("digits.npy")).name
    'digits.labels.npy'
    """
    return file.with_name(file.stem + LABELS)


def write_array(
    file: Path, kind: str, shape: tuple[int, ...], pieces: Iterable[NDArray[Any]]
) -> None:
    """Write a ``.npy`` file piece by piece.

    Unlike one that is mapped, it takes its room as it grows: where the disk is full there is an
    error, and not a bus error, which ends the process.

    Args:
        file: its path.
        kind: type of its values, as its header says it, such as "<f4".
        shape: of the whole array, [n, …].
        pieces: arrays that make it up, in order.

    Raises:
        OSError: it cannot be written.
    """
    about = {"descr": kind, "fortran_order": False, "shape": shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, about)
        for piece in pieces:
            stream.write(piece.astype(kind).tobytes())


def map_array(file: Path) -> NDArray[Any]:
    """The array in a ``.npy`` file, mapped from it; only its header is read.

    Raises:
        ValueError: it is no such file, or shorter than its header says.
    """
    try:
        array: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # numpy raises any kind of error on damaged files
        what = in_one_line(error)[:200]
        raise ValueError(
            f"{file} is no .npy file of numbers ({what}); write it with numpy.save"
        ) from None
    if not isinstance(array, np.ndarray):
        array.close()  # a zip, whatever it is called
        raise ValueError(f"{file} is no .npy file of numbers, but of several arrays: call it .npz")
    return array


def read_archive(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a ``.npz`` file, by their names.

    Raises:
        ValueError: it is no such file, or one of its arrays is damaged, or they are too large.
    """
    try:
        with ZipFile(file) as packed:
            members = packed.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > MOST_UNPACKED:
                raise ValueError(
                    f"{unpacked:,} bytes unpacked, at most {MOST_UNPACKED:,} are read into memory; "
                    "put the arrays into .npy files of their own"
                )
            return {
                member.filename.removesuffix(".npy"): _array(packed.read(member))
                for member in members
            }
    except OSError:
        raise
    except Exception as error:  # zipfile and its decompressors raise any kind
        what = in_one_line(error)[:200]
        raise ValueError(f"{file} is no file of numpy's arrays ({what})") from None


def _array(content: bytes) -> NDArray[Any]:
    """The array in a member of an archive, its header checked against the bytes that follow."""
    stream = BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not read")
    shape, fortran, dtype = _HEADERS[version](stream)
    held = len(content) - stream.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"its header says {dtype} {list(shape)}, and {held:,} bytes follow")
    array = np.frombuffer(content, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if fortran else "C").copy()
