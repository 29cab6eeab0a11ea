"""Tables as people have them (frames, dicts of columns, arrays) → columns by name."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Category = str | bool | int | float
"""What a categorical column holds."""


@dataclass(frozen=True)
class Series:
    """One column.

    Attributes:
        name: of the column.
        values: [n], float64 for a numeric column, NaN where missing; or object for a categorical
            one, each a `Category`, None where missing.
        whole: its numbers as they were given if they have an integer type, None where missing;
            float64 does not tell all of them apart.
        declared: whether it was said to hold categories, by its type or by the user.
    """

    name: str
    values: NDArray[Any] = field(repr=False)
    whole: NDArray[Any] | None = field(default=None, repr=False)
    declared: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, not categories."""
        return self.values.dtype == np.float64

    @property
    def integer(self) -> bool:
        """Whether its numbers have an integer type."""
        return self.whole is not None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where values are missing, [n]."""
        gone = np.isnan(self.values) if self.numeric else [v is None for v in self.values]
        return np.asarray(gone, bool)

    def categories(self) -> Series:
        """The same column, with its numbers as categories, said to be such."""
        if not self.numeric:
            return replace(self, declared=True)
        if self.whole is not None:
            return Series(self.name, _objects(self.whole.tolist()), declared=True)
        given = ((int(v) if v.is_integer() else v) for v in self.values.tolist())
        return Series(self.name, _objects([None if v != v else v for v in given]), declared=True)


def by_name(table: object) -> dict[str, Series]:
    """The columns of a table, in its order.

    Args:
        table: a pandas, polars or other frame that narwhals reads (pyarrow's tables, too); a dict
            of columns by name; a structured array; or an array [n, d], whose columns are called
            "0", "1", …

    Raises:
        ValueError: it is no table, or a column holds neither numbers nor categories.

    Examples:
        >>> {k: s.numeric for k, s in by_name({"age": [1, 2], "name": ["a", None]}).items()}
        {'age': True, 'name': False}
    """
    columns = {str(name): _series(str(name), values, fixed) for name, values, fixed in _of(table)}
    lengths = {name: len(series) for name, series in columns.items()}
    if not columns or not max(lengths.values()):
        raise ValueError("the table is empty: it needs a column and a row at least")
    if len({*lengths.values()}) > 1:
        raise ValueError(f"the columns are not of one length: {lengths}")
    return columns


def _of(table: object) -> Iterable[tuple[object, object, bool]]:
    """Name and values of each column, and whether these are categories whatever they look like."""
    if isinstance(table, Mapping):
        _refuse_twice(table)
        return [(name, *_column(values)) for name, values in table.items()]
    if isinstance(table, np.ndarray):
        if table.dtype.names:
            return [(name, table[name], False) for name in table.dtype.names]
        if table.ndim == 2:
            return [(str(k), table[:, k], False) for k in range(table.shape[1])]
        raise ValueError(
            f"an array {list(table.shape)} is no table: give [n, columns], or a structured array"
        )
    return _of_frame(table)


def _of_frame(table: object) -> Iterable[tuple[object, object, bool]]:
    import narwhals as nw

    try:
        frame = nw.from_native(table)  # type: ignore[call-overload]
    except TypeError:
        raise ValueError(
            f"{type(table).__name__} is no table: give a pandas or polars frame, a dict of "
            "columns, or an array [n, columns]"
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    _refuse_twice(frame.columns)
    return [(series.name, *_column(series)) for series in frame.iter_columns()]


def _column(values: Any) -> tuple[object, bool]:
    """The values of a column, and whether these are categories whatever they look like."""
    import narwhals as nw

    series = nw.from_native(values, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        return values, False
    if series.dtype.is_decimal():
        series = series.cast(nw.Float64)
    listed = series.dtype in (nw.Int128, nw.UInt128) or series.is_null().any()
    held = series.to_numpy() if series.dtype.is_numeric() and not listed else series.to_list()
    return held, isinstance(series.dtype, (nw.Categorical, nw.Enum))


def _refuse_twice(keys: Iterable[object]) -> None:
    """Refuse names that are equal as text, such as 1 and "1"."""
    names = [str(key) for key in keys]
    if len({*names}) < len(names):
        raise ValueError(f"two columns of the table have one name: {', '.join(names)}")


def _series(name: str, values: Any, fixed: bool) -> Series:
    if isinstance(values, Series):
        return values
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ValueError(
            f"column {name!r} is a single value, {values!r}: give a list, with a value for each row"
        )
    if isinstance(values, np.ma.MaskedArray):
        array = values.data.astype(object)
        array[np.ma.getmaskarray(values)] = None
    else:
        array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} is {list(array.shape)}: it needs one value for each row")
    if array.dtype.kind in "fiu" and not fixed:
        whole = array if array.dtype.kind in "iu" else None
        return Series(name, array.astype(np.float64), whole)
    # tolist() turns dates finer than microseconds into numbers.
    held = [_plain(v) for v in (array if array.dtype.kind in "mM" else array.tolist())]
    there = [(row, v) for row, v in enumerate(held) if v is not None]
    kinds = {_kind(v): (row, v) for row, v in reversed(there)}
    for kind, (row, value) in kinds.items():
        if kind not in ("texts", "numbers", "truth values"):
            raise ValueError(
                f"column {name!r} holds {kind}, such as {value!r} in row {row}: turn them into "
                "numbers or categories, or leave the column out by --ignore-columns"
            )
    if len(kinds) > 1:
        mixed = " and ".join(f"{kind} ({v!r} in row {row})" for kind, (row, v) in kinds.items())
        raise ValueError(f"column {name!r} mixes {mixed}: make it one of them")
    if "numbers" in kinds and not fixed:
        return _numbers(name, held)
    if not there:  # no value tells its kind; numbers that are all missing are refused
        return Series(name, np.full(len(held), np.nan))
    return Series(name, _objects(held), declared=fixed)


def _numbers(name: str, held: list[Any]) -> Series:
    """A numeric column, from numbers and None where one is missing."""
    values = np.full(len(held), np.nan)
    for row, value in enumerate(held):
        try:
            values[row] = np.nan if value is None else float(value)
        except OverflowError:
            raise ValueError(
                f"column {name!r} holds a number beyond 1.8e308 in row {row}, which no float is: "
                "divide the column by a power of ten"
            ) from None
    whole = all(isinstance(v, int | None) for v in held)
    return Series(name, values, _objects(held) if whole else None)


def _plain(value: Any) -> Any:
    """A value as a Python object; None where it is missing, however that is written."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return None if np.isnat(value) else value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return None if isinstance(value, float) and value != value else value


def _kind(value: object) -> str:
    """What several such values are called."""
    if isinstance(value, str):
        return "texts"
    if isinstance(value, bool):
        return "truth values"
    if isinstance(value, np.datetime64):
        return "dates"
    if isinstance(value, np.timedelta64):  # which numpy counts as a number
        return "durations"
    name = type(value).__name__
    return "numbers" if isinstance(value, numbers.Real) else name.removesuffix("s") + "s"


def _objects(values: Iterable[object]) -> NDArray[np.object_]:
    """An array of these objects as they are; numpy would look into them."""
    held = list(values)
    array = np.empty(len(held), object)
    array[:] = held
    return array
