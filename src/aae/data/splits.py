"""Which training pictures are kept for validation, and which labels are seen.

Both depend only on the labels and a seed, and use separate streams of random numbers, so that
neither changes when the other does.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TEST_SHARE, MOST_TEST = 1 / 7, 10_000
"""The share that is split off for testing, and the most examples of it: both are MNIST's."""
_VALIDATION_STREAM, _LABELS_STREAM = 0, 1


def split_validation(
    labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep a share of the pictures for validation, the same share of each class.

    `round(share * n)` pictures are kept in all; a class gives its part rounded down or up, or one
    more, so that another keeps its last picture for training as long as there is one to spare.

    Args:
        labels: int64 [n]; -1 (no label) counts as a class of its own.
        share: kept for validation, 0 ≤ share < 1.
        seed: not negative; the same seed gives the same split.

    Returns:
        Indices of the training pictures and of the validation pictures, each sorted.

    Raises:
        ValueError: `share` is out of range.

    Examples:
        >>> train, validation = split_validation(np.repeat([0, 1], 5), share=0.2, seed=0)
        >>> len(train), len(validation)
        (8, 2)
    """
    if not 0 <= share < 1:
        raise ValueError(f"share kept for validation is {share}; it must be at least 0 and below 1")
    rng = np.random.default_rng([seed, _VALIDATION_STREAM])
    values, counts = np.unique(labels, return_counts=True)
    parts = counts * share
    kept = np.floor(parts).astype(np.int64)
    missing = round(len(labels) * share) - kept.sum()
    last = (values >= 0) & (kept + 1 == counts)
    kept[np.lexsort((kept - parts, last))[:missing]] += 1
    is_validation = np.zeros(len(labels), dtype=bool)
    for value, n_kept in zip(values, kept, strict=True):
        members = rng.permutation(np.flatnonzero(labels == value))
        is_validation[members[:n_kept]] = True
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def advised_share(count: int, kept: int) -> str:
    """What to do where a split keeps too few of some examples, for validation or for training.

    Args:
        count: how many examples there are.
        kept: how many of them the share kept for validation.

    >>> advised_share(17, 1), advised_share(17, 16), advised_share(3, 1)
    ('take --validation 0.12 or more', 'take --validation 0.88 or less', 'give 4 examples or more')
    """
    if count < 4:
        return "give 4 examples or more"
    bound = (2 if kept < 2 else count - 2) / count
    ten = 10 ** (1 - math.floor(math.log10(bound)))  # leaves two digits that count
    if kept < 2:
        return f"take --validation {math.ceil(bound * ten) / ten:g} or more"
    return f"take --validation {math.floor(bound * ten) / ten:g} or less"


def split_test(labels: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    """Choose a test set from data that have none: the same share of each class.

    Args:
        labels: int64 [n], -1 for none.
        name: what the data are called, in errors.

    Returns:
        Indices of the test pictures, sorted: a seventh, and at most 10,000.

    Raises:
        ValueError: there are too few.
    """
    share = min(TEST_SHARE, MOST_TEST / max(1, len(labels)))
    # The test set is part of the data set: its seed is fixed, whatever the user's is.
    _, outside = split_validation(labels, share, seed=0)
    if not len(outside):
        raise ValueError(f"{name} holds {len(labels)} examples: too few for a test set")
    return outside


def choose_labels(
    labels: NDArray[np.int64],
    count: int | Literal["all"],
    seed: int,
    n_classes: int,
    names: Sequence[str] = (),
) -> NDArray[np.int64]:
    """Hide all labels but a few, balanced over the classes.

    Classes differ by at most one label. With the same seed, the labels of a smaller count are
    among those of a larger one.

    Args:
        labels: int64 [n], -1 where there is none.
        count: number of labels to show: 0, or at least one for each class, or `"all"`.
        seed: not negative; the same seed gives the same choice.
        n_classes: number of classes.
        names: what they are called, in errors; without it, by their numbers.

    Returns:
        A copy of `labels` with -1 where the label is hidden.

    Raises:
        ValueError: `count` is not possible; says what is.

    Examples:
        >>> shown = choose_labels(np.repeat([0, 1], 50), count=6, seed=0, n_classes=2)
        >>> [int((shown == label).sum()) for label in (-1, 0, 1)]
        [94, 3, 3]
    """
    if labels.max(initial=-1) >= n_classes or labels.min(initial=-1) < -1:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}; they must lie in -1..{n_classes - 1}"
        )
    if count == "all":
        return labels.copy()
    if count == 0:
        return np.full_like(labels, -1)
    if count < n_classes:
        raise ValueError(
            f"--labels {count} for {n_classes} classes; "
            f"choose 0, or at least {n_classes} (one for each class), or all"
        )
    available = np.bincount(labels[labels >= 0], minlength=n_classes)
    most = int(np.minimum(available, available.min() + 1).sum())
    if count > most:
        rarest = int(available.argmin())
        raise ValueError(
            f"--labels {count}, balanced over {n_classes} classes, of {available.sum()}: "
            f"class {repr(names[rarest]) if names else rarest} has only {available.min()}; "
            f"choose at most {most}, or all"
        )
    rng = np.random.default_rng([seed, _LABELS_STREAM])
    base, extra = divmod(count, n_classes)
    order = rng.permutation(n_classes)
    shown = np.full(n_classes, base)
    shown[order[available[order] > base][:extra]] += 1
    chosen = np.full_like(labels, -1)
    for label in range(n_classes):
        members = rng.permutation(np.flatnonzero(labels == label))[: shown[label]]
        chosen[members] = label
    return chosen
