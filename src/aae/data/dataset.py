"""What every source of pictures is turned into."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aae.data.stored import Pictures, spread


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures and labels, for training and for testing; pictures in memory or in files.

    Attributes:
        name: of the data set.
        classes: the name of each label; none where there are no labels.
        train_images: uint8 [n, channels, height, width].
        train_labels: int64 [n], each the index of a class, or -1 where there is no label.
        test_images: uint8 [m, channels, height, width].
        test_labels: int64 [m], likewise.

    Raises:
        ValueError: an array has the wrong type or shape, or a label is out of range.

    Example:
        >>> images, labels = np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1])
        >>> Dataset("mine", ("cat", "dog"), images, labels, images[:1], labels[:1]).shape
        (1, 8, 8)
    """

    name: str
    classes: tuple[str, ...]
    train_images: Pictures = field(repr=False)
    train_labels: NDArray[np.int64] = field(repr=False)
    test_images: Pictures = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"{self.name}: training pictures are {self.train_images.shape[1:]}, "
                f"test pictures {self.test_images.shape[1:]}; they must have one shape"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture, (channels, height, width)."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def sample(self, most_bytes: int) -> Dataset:
        """The same data set in memory; pictures in files are thinned out, evenly, to so many bytes.

        What is in memory already stays whole.
        """

        def thin(
            images: Pictures, labels: NDArray[np.int64]
        ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
            if isinstance(images, np.ndarray):
                return images, labels
            most = max(1, most_bytes // math.prod(self.shape))
            kept = spread(len(labels), most)
            return np.asarray(images[kept]), labels[kept]

        train = thin(self.train_images, self.train_labels)
        test = thin(self.test_images, self.test_labels)
        return Dataset(self.name, self.classes, *train, *test)

    def _check(self, part: str, images: Pictures, labels: NDArray[np.int64]) -> None:
        where = f"{self.name}, {part}"
        if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
            raise ValueError(
                f"{where}: images are {images.dtype} {list(images.shape)}; "
                "they must be uint8 [n, channels, height, width], none of them 0"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{where}: labels are {labels.dtype} {list(labels.shape)}; "
                f"they must be int64 [{len(images)}], one for each image"
            )
        if labels.min() < -1 or labels.max() >= self.n_classes:
            raise ValueError(
                f"{where}: labels go from {labels.min()} to {labels.max()}; "
                f"they must lie in 0..{self.n_classes - 1}, or be -1 for none"
            )
