"""Pictures that stay in their files until they are asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESIDENT = 64 * 2**20
"""Most bytes of pictures that are simply read into memory; more stay in their files."""


class Stored:
    """Pictures in files, with as much of an array's interface as is needed: uint8 [n, c, h, w].

    Indexing by a slice, numbers or a mask gives another view of the files and reads nothing;
    `numpy.asarray` reads. The same two steps on an array in memory give the same pictures, so the
    caller need not know where they are.

    Args:
        files: one or more arrays [n_k, c, h, w] with one shape of picture, mapped from files; the
            numbers of pictures continue from one to the next.
        chosen: int64 [n], the numbers of the pictures in this view; all by default.

    Examples:
        >>> files = [np.full((3, 1, 2, 2), k, np.uint8) for k in range(2)]
        >>> np.asarray(Stored(files)[1:5])[:, 0, 0, 0]
        array([0, 0, 1, 1], dtype=uint8)
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, files: Sequence[NDArray[np.uint8]], chosen: NDArray[np.int64] | None = None
    ) -> None:
        self._files = files
        self._ends = np.cumsum([len(file) for file in files])
        self._chosen = np.arange(self._ends[-1]) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: slice | NDArray[Any]) -> Stored:
        return Stored(self._files, self._chosen[index])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray[np.uint8]:
        images = np.empty(self.shape, np.uint8)
        self.read(images)
        return images

    def read(self, out: NDArray[np.uint8]) -> None:
        """Read the pictures into an array of their shape."""
        which = np.searchsorted(self._ends, self._chosen, side="right")
        # Runs of pictures from one file; `take` lets other threads work while it waits for a disk.
        edges = [0, *(np.flatnonzero(np.diff(which)) + 1), len(self)]
        for start, end in pairwise(edges):
            if start < end:
                k = which[start]
                inside = self._chosen[start:end] - (self._ends[k] - len(self._files[k]))
                np.take(self._files[k], inside, axis=0, out=out[start:end], mode="clip")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width)."""
        return len(self), *self._files[0].shape[1:]

    @property
    def ndim(self) -> int:
        """4."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels in all."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the pictures would take in memory after `numpy.asarray`."""
        return self.size


Pictures = NDArray[np.uint8] | Stored
"""Pictures in memory or in files."""

Examples = Pictures | NDArray[np.float32]
"""What a model learns from: pictures, or rows of real features, float32 [n, d]."""


def at_hand(images: Examples) -> Examples:
    """The same pictures, in memory if they are few enough to be kept there."""
    if isinstance(images, Stored) and images.nbytes <= RESIDENT:
        return np.asarray(images)
    return images


def spread(count: int, most: int) -> slice | NDArray[np.int64]:
    """An index that picks at most ``most`` of ``count`` pictures, evenly spaced.

    Examples:
        >>> np.arange(10)[spread(10, 4)], np.arange(3)[spread(3, 4)]
        (array([0, 3, 6, 9]), array([0, 1, 2]))
    """
    if count <= most:
        return slice(None)
    return np.linspace(0, count - 1, most).round().astype(np.int64)
