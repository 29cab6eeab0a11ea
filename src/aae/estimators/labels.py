"""Labels of any type ↔ the numbers 0 to K - 1 that models use, with -1 for no label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def known(y: NDArray[Any], no_label: object = -1) -> NDArray[np.bool_]:
    """Which entries are labels.

    An entry is none if it equals ``no_label``, is a string that spells it (NumPy turns -1 among
    strings into one), or is missing: None, NaN, which is "nan" in NumPy's arrays of strings, or
    pandas' NA. If ``no_label`` is itself a missing value, only missing entries are no labels.

    Examples:
        >>> known(np.array(["cat", -1, "dog"]))
        array([ True, False,  True])
        >>> known(np.array(["cat", None], dtype=object), no_label=None)
        array([ True, False])
    """
    words = set() if _missing(no_label) else _readings(no_label)
    if y.dtype.kind == "U":
        words |= {"nan", str(no_label)}

    def is_known(label: Any) -> bool:
        if _missing(label):
            return False
        if isinstance(label, str):
            return label not in words
        return _missing(no_label) or bool(label != no_label)

    return np.array([is_known(label) for label in y.tolist()], dtype=bool)


def one_of_each(y: Any, no_label: object = -1) -> NDArray[Any]:
    """The classes in labels, sorted.

    Raises:
        ValueError: they are not class labels, or are of several types.
    """
    given = _column(y, warn=True)
    labels = _typed(given[known(given, no_label)])
    assert_all_finite(labels, input_name="y")
    if not len(labels):
        return labels
    try:
        check_classification_targets(labels)
        classes: NDArray[Any] = np.unique(labels)
    except TypeError:
        raise _several(labels) from None
    return classes


def numbers(y: Any, classes: NDArray[Any], no_label: object = -1) -> NDArray[np.int64]:
    """The number of each label's class, int64 [n]; -1 where there is no label.

    Args:
        y: labels, [n].
        classes: sorted, [K].
        no_label: see `known`.

    Raises:
        ValueError: a label is none of the classes.
    """
    y = _column(y)
    there = known(y, no_label)
    found = np.full(len(y), -1)
    place = {label: k for k, label in enumerate(classes.tolist())}
    for i in np.flatnonzero(there):
        label = y[i].item() if isinstance(y[i], np.generic) else y[i]
        if label not in place:
            raise ValueError(f"y has the label {label!r}, which is none of {classes.tolist()}")
        found[i] = place[label]
    return found


def right(y: Any, predicted: NDArray[Any], no_label: object = -1) -> NDArray[np.bool_]:
    """Where a prediction is the label, [n]; where there is no label, it is not."""
    y = _column(y)
    check_consistent_length(y, predicted)
    found = known(y, no_label)
    found[found] = [
        a == b for a, b in zip(y[found].tolist(), predicted[found].tolist(), strict=True)
    ]
    return found


def _column(y: Any, warn: bool = False) -> NDArray[Any]:
    """Labels as an array [n]; bytes, as some files have them, as strings.

    The labels in a list keep their types: NumPy would turn NaN beside words into the word "nan",
    and pandas' booleans into numbers if one is missing.
    """
    if hasattr(getattr(y, "dtype", None), "na_value") or np.ma.isMaskedArray(y):
        y = y.tolist()  # what is masked becomes None
    if isinstance(y, list | tuple) and not any(
        hasattr(label, "__len__") and not isinstance(label, str | bytes) for label in y
    ):
        given = np.empty(len(y), object)
        given[:] = y
        y = given
    column: NDArray[Any] = column_or_1d(y, warn=warn)
    return np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column


def _typed(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of one kind in an object array, such as those left without None, with its dtype."""
    if labels.dtype != object or not len(labels):
        return labels
    kinds = {_kind(label) for label in labels}
    if len(kinds) > 1:
        raise _several(labels)
    plain = kinds <= {str, bool, float} or isinstance(labels[0], np.generic)
    return np.array(labels.tolist()) if plain else labels


def _kind(label: Any) -> type:
    """The type that all labels of an array must share; all numbers count as one type."""
    if isinstance(label, bool | np.bool_):
        return bool
    if isinstance(label, int | float | np.integer | np.floating):
        return float
    return str if isinstance(label, str) else type(label)


def _several(labels: NDArray[Any]) -> ValueError:
    kinds = sorted({type(label).__name__ for label in labels.tolist()})
    return ValueError(f"y has labels of several types ({', '.join(kinds)}): take one")


def _missing(label: Any) -> bool:
    """Whether a label is None, NaN (or NaT), or pandas' NA."""
    return label is None or type(label).__name__ == "NAType" or bool(label != label)


def _readings(no_label: object) -> set[str]:
    """The strings that spell it: NumPy makes "-1.0" of -1 among strings and other floats."""
    words = {str(no_label)}
    if _kind(no_label) is float:
        number = float(no_label)  # type: ignore[arg-type]
        words.add(str(number))
        if number.is_integer():
            words.add(str(int(number)))
    return words
