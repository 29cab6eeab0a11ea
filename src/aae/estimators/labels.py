"""Labels of any type ↔ the numbers 0 to K - 1 that models know, with -1 for no label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def known(y: NDArray[Any], no_label: object = -1) -> NDArray[np.bool_]:
    """Where there is a label.

    There is none where ``y`` equals ``no_label``, is a string that reads like it (NumPy makes one
    of -1 among strings), or is missing: None, NaN or pandas' NA.

    Examples:
        >>> known(np.array(["cat", -1, "dog"]))
        array([ True, False,  True])
        >>> known(np.array(["cat", None], dtype=object), no_label=None)
        array([ True, False])
    """

    def is_known(label: Any) -> bool:
        if label is None or type(label).__name__ == "NAType" or label != label:
            return False
        return not (label == no_label or (isinstance(label, str) and label == str(no_label)))

    return np.array([is_known(label) for label in y.tolist()], dtype=bool)


def one_of_each(y: Any, no_label: object = -1) -> NDArray[Any]:
    """The classes in labels, sorted.

    Raises:
        ValueError: they are no labels of classes, or of several types.
    """
    given = column_or_1d(y, warn=True)
    labels: NDArray[Any] = given[known(given, no_label)]
    assert_all_finite(labels, input_name="y")
    if not len(labels):
        return labels
    try:
        # Where -1 stood among words, what remains is words alone.
        check_classification_targets(labels)
        return np.unique(labels)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels.tolist()})
        raise ValueError(f"y has labels of several types ({', '.join(kinds)}): take one") from None


def numbers(y: Any, classes: NDArray[Any], no_label: object = -1) -> NDArray[np.int64]:
    """The number of each label's class, int64 [n]; -1 where there is no label.

    Args:
        y: labels, [n].
        classes: sorted, [K].
        no_label: see `known`.

    Raises:
        ValueError: a label is of none of the classes.
    """
    y = column_or_1d(y)
    there = known(y, no_label)
    found = np.full(len(y), -1)
    place = {label: k for k, label in enumerate(classes.tolist())}
    for i in np.flatnonzero(there):
        label = y[i].item() if isinstance(y[i], np.generic) else y[i]
        if label not in place:
            raise ValueError(f"y has the label {label!r}, which is none of {classes.tolist()}")
        found[i] = place[label]
    return found
