"""The data set into which every source of examples is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aae.data.checks import refuse_channels_last
from aae.data.columns import Columns
from aae.data.stored import Examples, Stored, spread

GIVEN = "(a data set given in Python)"
IN_MEMORY = "(given in Python)"
NOWHERE = (GIVEN, IN_MEMORY)
"""What is said in place of the name of data that cannot be loaded again: those of a `Dataset`, and
those that an estimator was given, which are as it has scaled them."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and labels, for training and for testing.

    Examples are pictures, uint8 [n, channels, height, width], in memory or in files; or rows of
    real features, float32 [n, d], in memory. Pixels are scaled to [-1, 1] for a model; features are
    taken as they are, so whoever makes the rows must bring them to a common scale.

    Attributes:
        name: of the data set.
        classes: the name of each label; none where there are no labels.
        train_images: pictures or rows, n of them.
        train_labels: int64 [n], each the index of a class, or -1 where there is no label.
        test_images: m others, of the same kind.
        test_labels: int64 [m], likewise.
        columns: what the cells of a row stand for, where the rows are those of a table.
        left_out: names of unreadable files, if these were to be left out.
        origin: what `aae.data.load` loads it by: a key of the catalog or a path; or `GIVEN`.

    Raises:
        ValueError: an array has the wrong type or shape or a feature that is not finite, or a label
            is out of range.

    Examples:
        >>> images, labels = np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1])
        >>> Dataset("mine", ("cat", "dog"), images, labels, images[:1], labels[:1]).shape
        (1, 8, 8)
    """

    name: str
    classes: tuple[str, ...]
    train_images: Examples = field(repr=False)
    train_labels: NDArray[np.int64] = field(repr=False)
    test_images: Examples = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)
    columns: Columns | None = field(default=None, repr=False)
    left_out: tuple[str, ...] = field(default=(), repr=False)
    origin: str = field(default=GIVEN, repr=False)

    def __post_init__(self) -> None:
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)
        train, test = self.train_images, self.test_images
        if (train.dtype, train.shape[1:]) != (test.dtype, test.shape[1:]):
            raise ValueError(
                f"{self.name}: a training example is {train.dtype} {train.shape[1:]}, a test "
                f"example {test.dtype} {test.shape[1:]}; they must have one shape and type"
            )
        if self.columns is not None and self.shape != (self.columns.width,):
            raise ValueError(
                f"{self.name}: an example has shape {[*self.shape]}, and its columns take "
                f"{self.columns.width} values"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (channels, height, width) of a picture, (d,) of a row."""
        return self.train_images.shape[1:]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def sample(self, most_bytes: int) -> Dataset:
        """The same data set in memory; pictures in files are thinned out evenly to ``most_bytes``.

        Examples that are in memory already are all kept.
        """

        def thin(images: Examples, labels: NDArray[np.int64]) -> tuple[Examples, NDArray[np.int64]]:
            if not isinstance(images, Stored):
                return images, labels
            most = max(1, most_bytes // math.prod(self.shape))
            kept = spread(len(labels), most)
            return np.asarray(images[kept]), labels[kept]

        train = thin(self.train_images, self.train_labels)
        test = thin(self.test_images, self.test_labels)
        return Dataset(self.name, self.classes, *train, *test, columns=self.columns)

    def _check(self, part: str, images: Examples, labels: NDArray[np.int64]) -> None:
        where = f"{self.name}, {part}"
        kind = str(images.dtype), images.ndim
        if kind not in (("uint8", 4), ("float32", 2)) or images.size == 0:
            raise ValueError(
                f"{where}: images are {images.dtype} {list(images.shape)}; they must be uint8 "
                "[n, channels, height, width], or rows of features float32 [n, d], none of them 0"
            )
        refuse_channels_last(where, images.shape)
        if not isinstance(images, Stored) and not np.isfinite(images).all():
            at = np.flatnonzero(~np.isfinite(images).all(1))
            raise ValueError(
                f"{where}: {len(at)} rows hold a feature that is not finite, the first is row "
                f"{at[0]}; fill in what is missing, or leave these rows out"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{where}: labels are {labels.dtype} {list(labels.shape)}; "
                f"they must be int64 [{len(images)}], one for each image"
            )
        wrong = np.flatnonzero((labels < -1) | (labels >= self.n_classes))
        if len(wrong):
            within = f"lie in 0..{self.n_classes - 1}, or be -1" if self.n_classes else "be -1"
            raise ValueError(
                f"{where}: labels go from {labels.min()} to {labels.max()}, the first that is out "
                f"of range is in row {wrong[0]}; they must {within} for none"
            )
