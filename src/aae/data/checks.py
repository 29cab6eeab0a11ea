"""Refuses data from which nothing can be learned, before a training begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aae.data.stored import Examples, spread

LOOKED_AT = 1000
"""Number of examples that are looked at, evenly spaced."""


def numbered(name: str, *labels: NDArray[np.int64]) -> tuple[str, ...]:
    """The names of classes that have only numbers.

    Args:
        name: of the data set, for messages.
        labels: int64 [n] each, -1 where there is none.

    Raises:
        ValueError: there are more classes than examples.
    """
    count = 1 + max((int(part.max(initial=-1)) for part in labels), default=-1)
    if count > (examples := sum(map(len, labels))):
        raise ValueError(
            f"{name}: labels go up to {count - 1}, and there are {examples} examples: number the "
            "classes 0, 1, 2 and so on, without gaps"
        )
    return tuple(str(k) for k in range(count))


def refuse_one_class(name: str, classes: Sequence[str]) -> None:
    """Refuse labels that are all the same.

    Raises:
        ValueError: there is one class.
    """
    if len(classes) == 1:
        raise ValueError(
            f"{name}: all labels are {classes[0]}: there is nothing to tell apart; give none"
        )


def as_int64(name: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers as int64.

    Raises:
        ValueError: one is too large.
    """
    if labels.size and int(labels.max()) > np.iinfo(np.int64).max:
        raise ValueError(
            f"{name}: a label is {int(labels.max())}: number the classes 0, 1, 2 and so on"
        )
    return labels.astype(np.int64)


def refuse_channels_last(name: str, shape: tuple[int, ...]) -> None:
    """Refuse pictures [n, height, width, channels], by their shape.

    Raises:
        ValueError: says how to bring them to [n, channels, height, width].
    """
    if len(shape) == 4 and shape[3] in (1, 3, 4) and shape[1] > 4:
        raise ValueError(
            f"{name}: images are {list(shape)}, with their channels last: give "
            "images.transpose(0, 3, 1, 2), [n, channels, height, width]"
        )


def refuse_untrainable(
    name: str, images: Examples, labels: NDArray[np.int64] | None, classes: tuple[str, ...]
) -> None:
    """Refuse training examples that are all alike or on another scale, and absent classes.

    Args:
        name: of the data set, for messages.
        images: the training examples.
        labels: int64 [n], -1 where there is none; None for a model that uses none.
        classes: the name of each label.

    Raises:
        ValueError: says what is wrong, and what to do.
    """
    some: NDArray[Any] = np.asarray(images[spread(len(images), LOOKED_AT)])
    if (some == some[:1]).all():
        raise ValueError(
            f"{name}: all {len(some)} examples looked at are the same as row 0: there is nothing "
            "to learn; look at what made them"
        )
    if some.dtype == np.uint8 and some.max() <= 1:
        raise ValueError(
            f"{name}: the pixels of all {len(some)} pictures looked at are 0 or 1, and go to 255: "
            "they would be black; multiply them by 255"
        )
    if labels is None:
        return
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    if absent := [f"{k} ({classes[k]})" for k in np.flatnonzero(counts == 0)]:
        raise ValueError(
            f"{name}: no training example has the label {', '.join(absent[:5])}"
            f"{' and so on' if len(absent) > 5 else ''}: give some, number the classes without "
            "gaps, or take a recipe that uses no labels, such as gaussian"
        )
