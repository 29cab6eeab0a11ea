"""What the features of a row stand for: the columns of a table, with encoding and decoding.

A row first holds the numbers of a table, standardised. Then, if missing numbers are imputed, it has
a cell for each number that is 1 where the number is missing. Last comes each category, one-hot, all
0 where it is missing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aae.data.frames import Category, Series, by_name

MOST_CATEGORIES = 256
"""Most different texts in a categorical column: nothing is learned from names or notes."""
_FEW, _OFTEN = 20, 2
"""A column of more texts than the first, which come less often on average than the second, holds
names, too."""
Missing = Literal["refuse", "impute"]
_BEYOND = 2.0**63
"""The least positive float that is not an int64; its negative is one."""


@dataclass(frozen=True)
class Block:
    """The cells of a row that stand for one column.

    Attributes:
        name: of the column.
        kind: "numeric", one cell: (value - mean) / scale; or "categorical", one for each category.
        start: the first cell.
        width: how many cells.
        mean: of a numeric column in the training rows, in its own unit.
        scale: its standard deviation there; 1 where the column is constant.
        integer: whether its numbers are whole: by their type, or all of a column with missing ones.
        categories: of a categorical column, sorted.
        constant: whether all training rows have one number, which decoding then gives. Older runs
            do not record this; their columns still count as equal.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    start: int
    width: int
    mean: float = 0.0
    scale: float = 1.0
    integer: bool = False
    categories: tuple[Category, ...] = ()
    constant: bool = field(default=False, compare=False)

    @property
    def cells(self) -> slice:
        """Where the cells are in a row."""
        return slice(self.start, self.start + self.width)

    @property
    def decimals(self) -> int:
        """Decimals of a decoded number that a cell of float32, of seven digits, can tell."""
        return min(300, 6 - math.floor(math.log10(self.scale)))  # 10 to that power is a float


@dataclass(frozen=True)
class Columns:
    """The columns of a table, as learned from its training rows.

    Attributes:
        blocks: one for each column, in the table's order.
        missing: whether missing values are refused, or imputed: a number by the mean, a category by
            none, and neither counts in the reconstruction loss.

    Examples:
        >>> columns = Columns.of({"age": [20, 40], "smoker": ["no", "yes"]})
        >>> columns.encode({"smoker": ["yes"], "age": [35]})
        array([[0.5, 0. , 1. ]], dtype=float32)
        >>> columns.decode(columns.encode({"smoker": ["yes"], "age": [35]}))
        {'age': array([35]), 'smoker': array(['yes'], dtype=object)}
    """

    blocks: tuple[Block, ...]
    missing: Missing = "refuse"

    @classmethod
    def of(
        cls,
        table: object,
        *,
        train: NDArray[np.int64] | None = None,
        categorical: Sequence[str] = (),
        missing: Missing = "refuse",
    ) -> Columns:
        """The columns of a table.

        Args:
            table: see `aae.data.frames.by_name`.
            train: the rows that means and scales are taken from; all by default. Categories are
                those of all rows.
            categorical: columns of numbers that are categories, or of texts that surely are.
            missing: see above.

        Raises:
            ValueError: a value is infinite, or missing where that is refused; or a column has too
                many categories or, unless they were said to be such, ones that seldom come twice;
                too large numbers; or no value at all.
        """
        given = by_name(table)
        if unknown := [name for name in categorical if name not in given]:
            raise ValueError(f"no column is called {unknown[0]!r}; there are {', '.join(given)}")
        series = [s.categories() if s.name in categorical else s for s in given.values()]
        numbers = sum(each.numeric for each in series)
        number_at, category_at = 0, 2 * numbers if missing == "impute" else numbers
        blocks = []
        for each in series:
            _refuse_missing(each, missing)
            if each.numeric:
                blocks.append(_numeric(each, number_at, train))
                number_at += blocks[-1].width
            else:
                blocks.append(_categorical(each, category_at))
                category_at += blocks[-1].width
        return cls(tuple(blocks), missing)

    @property
    def numeric(self) -> tuple[Block, ...]:
        """The blocks of numbers, whose cells come first, in order."""
        return tuple(block for block in self.blocks if block.kind == "numeric")

    @property
    def categorical(self) -> tuple[Block, ...]:
        """The blocks of categories, whose cells come last, in order."""
        return tuple(block for block in self.blocks if block.kind == "categorical")

    @property
    def masks(self) -> slice:
        """The cells that are 1 where a number is missing; none where that is refused."""
        numbers = len(self.numeric)
        return slice(numbers, 2 * numbers if self.missing == "impute" else numbers)

    @property
    def width(self) -> int:
        """Cells of a row, d."""
        return int(self.masks.stop) + sum(block.width for block in self.categorical)

    def known(self, block: Block, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of some rows [n, width] have a value in a block of these columns: [n]."""
        if block.kind == "categorical":
            return np.asarray(rows[:, block.cells].any(1))
        if self.missing == "refuse":
            return np.ones(len(rows), bool)
        return np.asarray(rows[:, self.masks.start + block.start] == 0)

    def encode(self, table: object) -> NDArray[np.float32]:
        """Rows [n, width] of a table; columns are found by name, and others are ignored.

        Raises:
            ValueError: a column is not there, or is of another kind; or a value is infinite,
                missing where that is refused, or an unknown category.
        """
        given = by_name(table)
        if lacking := [block.name for block in self.blocks if block.name not in given]:
            raise ValueError(
                f"the table has no column {lacking[0]!r}; it has {', '.join(given)}, and "
                f"{', '.join(block.name for block in self.blocks)} are needed"
            )
        rows = np.zeros((len(next(iter(given.values()))), self.width), np.float32)
        for block in self.blocks:
            series = given[block.name]
            _refuse_missing(series, self.missing)
            if block.kind == "categorical":
                _write_categories(block, series.categories(), rows)
            else:
                _write_numbers(block, series, rows)
        if self.missing == "impute":
            gone = [given[block.name].missing for block in self.numeric]
            rows[:, self.masks] = np.stack(gone, 1) if gone else 0
        return rows

    def decode(
        self, rows: NDArray[np.float32], generator: np.random.Generator | None = None
    ) -> dict[str, NDArray[Any]]:
        """The complete table of rows [n, width], in its own units and categories.

        Args:
            rows: from `encode` or a decoder; the cells of a category are its probabilities.
            generator: draws each category by them; without it, the most probable one is taken.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows are {list(rows.shape)}; these columns need [n, {self.width}]")
        table: dict[str, NDArray[Any]] = {}
        for block in self.blocks:
            cells = rows[:, block.cells].astype(np.float64)
            if block.kind == "categorical":
                categories = np.empty(block.width, object)
                categories[:] = block.categories
                table[block.name] = categories[_chosen(cells, generator)]
            else:
                table[block.name] = _numbers(block, cells[:, 0])
        return table

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"missing": self.missing, "blocks": [asdict(block) for block in self.blocks]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Columns:
        """What `to_json` wrote.

        Raises:
            ValueError: it has not written this; other errors, if it is of another structure.
        """
        blocks = (Block(**{**b, "categories": tuple(b["categories"])}) for b in values["blocks"])
        made = cls(tuple(blocks), values["missing"])
        if not made._fills_a_row():
            raise ValueError("these are no columns")
        return made

    def _fills_a_row(self) -> bool:
        """Whether `of` could have made it: the blocks are sound, and fill a row."""
        if self.missing not in ("refuse", "impute") or not all(map(_is_sound, self.blocks)):
            return False
        at = {"numeric": 0, "categorical": int(self.masks.stop)}
        for block in self.blocks:
            if block.start != at[block.kind]:
                return False
            at[block.kind] += block.width
        return 0 < len(self.blocks) == len({block.name for block in self.blocks})


def _is_sound(block: Block) -> bool:
    if not isinstance(block.name, str) or {type(block.start), type(block.width)} != {int}:
        return False
    if block.kind == "categorical":
        plain = all(type(each) in (str, int, float, bool) for each in block.categories)
        return plain and block.width == len({*block.categories}) == len(block.categories) > 0
    numbers = type(block.mean) in (int, float) and type(block.scale) in (int, float)
    return (
        block.kind == "numeric" and numbers and block.width == 1
        and abs(block.mean) <= sys.float_info.max and 0 < block.scale <= sys.float_info.max
    )  # fmt: skip


def _numeric(series: Series, start: int, train: NDArray[np.int64] | None) -> Block:
    _refuse_infinite(series)
    _refuse_beyond_int64(series)
    values = series.values if train is None else series.values[train]
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError(
            f"column {series.name!r} has no value to learn from: leave it out by --ignore-columns"
        )
    with np.errstate(over="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not np.isfinite([mean, scale]).all():
        raise ValueError(
            f"column {series.name!r} has numbers as large as {np.abs(values).max():g}: take "
            "another unit, or their logarithm"
        )
    constant = np.ptp(values) == 0 or scale == 0
    # A frame may have made whole numbers floating for the sake of those that are missing.
    whole = (np.rint(values) == values).all() and np.abs(values).max() < _BEYOND
    return Block(
        series.name, "numeric", start, 1, float(values[0]) if constant else mean,
        1.0 if constant else scale, bool(series.integer or (series.missing.any() and whole)),
        constant=bool(constant),
    )  # fmt: skip


def _categorical(series: Series, start: int) -> Block:
    values = {v for v in series.values if v is not None}
    if not values:
        raise ValueError(
            f"column {series.name!r} has no value to learn from: leave it out by --ignore-columns"
        )
    if len(values) > MOST_CATEGORIES:
        raise ValueError(
            f"column {series.name!r} holds {len(values)} different values, such as "
            f"{min(values, key=str)!r}; at most {MOST_CATEGORIES} make categories: leave it out by "
            "--ignore-columns, or put them into groups"
        )
    there = len(series) - int(series.missing.sum())
    if len(values) > _FEW and there < _OFTEN * len(values) and not series.declared:
        raise ValueError(
            f"column {series.name!r} holds {len(values)} different values in {there} rows, such as "
            f"{min(values, key=str)!r}: nothing is learned from names, notes or dates; leave it "
            "out by --ignore-columns, or say that they are categories by --categorical-columns (in "
            "a frame, by the column's type)"
        )
    categories = tuple(sorted(values))
    return Block(series.name, "categorical", start, len(categories), categories=categories)


def _write_numbers(block: Block, series: Series, rows: NDArray[np.float32]) -> None:
    if not series.numeric:
        there = np.flatnonzero(~series.missing)
        # A CSV file's column is of words if one of its cells is.
        row = int(next((k for k in there if not _reads_as_number(series.values[k])), there[0]))
        raise ValueError(
            f"column {block.name!r} holds {series.values[row]!r} in row {row}, and numbers where "
            "the model learned it"
        )
    _refuse_infinite(series)
    with np.errstate(over="ignore"):
        cells = ((series.values - block.mean) / block.scale).astype(np.float32)
    if np.isinf(cells).any():
        row = int(np.flatnonzero(np.isinf(cells))[0])
        usual = f"{block.mean:g}" + (" throughout" if block.constant else f" ± {block.scale:g}")
        raise ValueError(
            f"column {block.name!r} holds {series.values[row]:g} in row {row}, beyond all measure "
            f"where the training rows have {usual}"
        )
    rows[:, block.start] = np.nan_to_num(cells)


def _reads_as_number(value: object) -> bool:
    try:
        float(str(value).replace(",", "."))
    except ValueError:
        return False
    return True


def _numbers(block: Block, cells: NDArray[np.float64]) -> NDArray[Any]:
    """The numbers of a block's cells [n]."""
    # A constant column has no unit in which to express a decoder's error.
    numbers = (
        np.full(len(cells), block.mean) if block.constant else cells * block.scale + block.mean
    )
    if not block.integer:
        return numbers
    # A cast turns numbers beyond int64 into any int64, and a decoder goes beyond its rows.
    return np.clip(np.rint(numbers), -_BEYOND, np.nextafter(_BEYOND, 0)).astype(np.int64)


def _write_categories(block: Block, series: Series, rows: NDArray[np.float32]) -> None:
    places = {category: block.start + k for k, category in enumerate(block.categories)}
    for row, value in enumerate(series.values):
        if value is None:
            continue
        if value not in places:
            raise ValueError(
                f"column {block.name!r} holds {value!r} in row {row}, which the data that the "
                f"columns were made from did not; they had {', '.join(map(str, places))}"
            )
        rows[row, places[value]] = 1


def _chosen(cells: NDArray[np.float64], generator: np.random.Generator | None) -> NDArray[np.int64]:
    """The category of each row, from cells [n, k]."""
    if generator is None:
        return np.asarray(cells.argmax(1))
    heights = np.clip(cells, 0, None)
    heights = np.where(heights.any(1, keepdims=True), heights, 1).cumsum(1)  # of none, any will do
    return np.asarray((heights <= generator.random((len(cells), 1)) * heights[:, -1:]).sum(1))


def _refuse_missing(series: Series, missing: Missing) -> None:
    if missing == "refuse" and (gone := np.flatnonzero(series.missing)).size:
        raise ValueError(
            f"column {series.name!r} has {len(gone)} missing of {len(series)} values, the first in "
            f"row {gone[0]}: fill them in, leave the rows or the column out (--ignore-columns), or "
            "have them imputed and masked by --missing impute"
        )


def _refuse_infinite(series: Series) -> None:
    if (rows := np.flatnonzero(np.isinf(series.values))).size:
        raise ValueError(
            f"column {series.name!r} has {len(rows)} infinite values, the first in row {rows[0]}: "
            "set them to what was meant, or to none"
        )


def _refuse_beyond_int64(series: Series) -> None:
    """Refuse whole numbers that decoding could not return."""
    beyond = (series.values < -_BEYOND) | (series.values >= _BEYOND)
    if series.integer and (rows := np.flatnonzero(beyond)).size:
        raise ValueError(
            f"column {series.name!r} has whole numbers as large as "
            f"{np.nanmax(np.abs(series.values)):g}, the first in row {rows[0]}, and 64 bits hold "
            f"none beyond ±{_BEYOND:g}: leave it out by --ignore-columns, or take another unit"
        )
