"""From a user's examples to what a model takes, and back: rows are scaled, pictures stay bytes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aae.about import are
from aae.data import Columns, spread
from aae.data.checks import refuse_channels_last, refuse_untrainable
from aae.storage import read_json

FILE = "estimator.json"
"""The file of what an estimator that was saved into a run folder knows beside the run."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows [n, d] ↔ float32 rows of a common scale: (x - centre) / unit.

    Attributes:
        centre: float64 [d].
        unit: float64 [d], above 0.
        constant: bool [d], the columns that had only one number. They come back as that number, as
            they have no unit in which a decoder's error could be expressed.
        scale: the scale that `of` was asked for; None if not known, as in older runs.
    """

    centre: NDArray[np.float64]
    unit: NDArray[np.float64]
    constant: NDArray[np.bool_]
    scale: str | None = None

    @classmethod
    def of(cls, x: NDArray[Any], scale: str) -> Rows:
        """The scaling that suits some rows.

        Args:
            x: the training rows, [n, d].
            scale: "standard", each column to mean 0 and deviation 1; "range", all columns alike,
                such that all values lie in [-1, 1], for columns of one kind such as pixels; "none".

        Raises:
            ValueError: there is no such scale.
        """
        x = x.astype(np.float64)
        if scale == "standard":
            with np.errstate(over="ignore", invalid="ignore"):
                centre, unit = x.mean(0), x.std(0)
        elif scale == "range":
            low, high = np.full(x.shape[1], x.min()), np.full(x.shape[1], x.max())
            with np.errstate(over="ignore"):
                centre, unit = (low + high) / 2, (high - low) / 2
        elif scale == "none":
            centre, unit = np.zeros(x.shape[1]), np.ones(x.shape[1])
        else:
            raise ValueError(f"scale={scale!r} is none of 'standard', 'range', 'none'")
        if not (np.isfinite(centre).all() and np.isfinite(unit).all()):
            raise ValueError(
                f"X has numbers as large as {np.abs(x).max():g}: take another unit, or their "
                "logarithm"
            )
        # The rounding error of a constant column is no spread to be blown up.
        constant = unit == 0
        if scale == "standard":
            constant |= (x == x[0]).all(0)
        centre, unit = np.where(constant, x[0], centre), np.where(constant, 1.0, unit)
        return cls(centre, unit, constant, scale)

    @property
    def spread(self) -> NDArray[np.float64]:
        """The unit of rows on the way back, float64 [d]: 0 where a column is constant."""
        return np.where(self.constant, 0.0, self.unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example as the user gives it, (d,)."""
        return self.centre.shape

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Of one example as the model takes it."""
        return self.shape

    def forward(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The user's rows → the model's.

        Raises:
            ValueError: a value is beyond single precision even when scaled.
        """
        scaled = (x.astype(np.float64) - self.centre) / self.unit
        if np.abs(scaled).max(initial=0) > np.finfo(np.float32).max:
            raise ValueError("X holds values beyond the range of float32 when scaled")
        return scaled.astype(np.float32)

    def one(self, x: Any) -> Any:
        """A single row as a table of one; one that is a table, such as a frame, as it is."""
        return x if np.ndim(x) == 2 else np.reshape(x, (1, *self.shape))

    def back(self, x: NDArray[np.float32], seed: int | None = None) -> Any:
        """The model's rows → the user's, float64; nothing is drawn."""
        rows: NDArray[np.float64] = x.astype(np.float64) * self.spread + self.centre
        return rows

    def to_json(self) -> dict[str, Any]:
        """The scaling as plain values."""
        values = {"centre": self.centre, "unit": self.unit, "constant": self.constant}
        plain = {name: array.tolist() for name, array in values.items()}
        return {"kind": "rows", **plain, "scale": self.scale}


@dataclass(frozen=True)
class Pictures:
    """Pictures uint8 [n, h, w] or [n, c, h, w] ↔ uint8 [n, c, h, w]; the model scales them itself.

    Attributes:
        shape: of one picture as the user gives it.
    """

    shape: tuple[int, ...]

    @property
    def model_shape(self) -> tuple[int, ...]:
        """The shape of one example as the model takes it."""
        return (1, *self.shape) if len(self.shape) == 2 else self.shape

    def forward(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """The user's pictures → the model's."""
        # Writable: torch warns of arrays that are not, such as those of a mapped file.
        return np.require(x.reshape(-1, *self.model_shape), requirements=["C", "W"])

    def one(self, x: Any) -> NDArray[Any]:
        """A single example as an array of one."""
        return np.reshape(x, (1, *self.shape))

    def back(self, x: NDArray[np.float32], seed: int | None = None) -> Any:
        """The model's pictures in [0, 1] → the user's, uint8; nothing is drawn."""
        return np.rint(x * 255).astype(np.uint8).reshape(-1, *self.shape)

    def to_json(self) -> dict[str, Any]:
        """The scaling as plain values."""
        return {"kind": "pictures", "shape": list(self.shape)}


@dataclass(frozen=True)
class Table:
    """Rows of a table, whose columns ``aae train`` learned ↔ float32 rows.

    Attributes:
        columns: its columns.
    """

    columns: Columns

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the table's order."""
        return [block.name for block in self.columns.blocks]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example as the model takes it; a user's row has a cell a column."""
        return (self.columns.width,)

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Of one example as the model takes it."""
        return self.shape

    def forward(self, x: Any) -> NDArray[np.float32]:
        """The user's table → the model's rows.

        Args:
            x: see `aae.data.frames.by_name`; the columns of an array without names are taken in
                the table's order.

        Raises:
            ValueError: see `aae.data.Columns.encode`; or an array has more or fewer columns.
        """
        if isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.names is None:
            if x.shape[1] != len(self.names):
                raise ValueError(
                    f"X has {x.shape[1]} columns without names; the model learned "
                    f"{len(self.names)}: {', '.join(self.names)}"
                )
            x = {name: x[:, k] for k, name in enumerate(self.names)}
        return self.columns.encode(x)

    def one(self, x: Any) -> Any:
        """A single row, which may be a dict of values, as a table."""
        if isinstance(x, Mapping):
            return {name: np.atleast_1d(value) for name, value in x.items()}
        return x

    def back(self, x: NDArray[np.float32], seed: int | None = None) -> Any:
        """The model's rows → the table by name.

        Args:
            x: the rows; a decoder's rows have the probability of each category.
            seed: draws categories by those probabilities; without it, the most probable is taken.
        """
        return self.columns.decode(x, None if seed is None else np.random.default_rng(seed))

    def to_json(self) -> dict[str, Any]:
        """The scaling as plain values."""
        return {"kind": "table", "columns": self.columns.to_json()}


Scaling = Rows | Pictures | Table


def from_json(values: dict[str, Any]) -> Scaling:
    """The scaling that ``to_json`` wrote.

    Raises:
        ValueError: the values are no such scaling.
    """
    match values:
        case {"kind": "table", "columns": dict(columns)}:
            return Table(Columns.from_json(columns))
        case {"kind": "pictures", "shape": list(shape)} if are(int, shape) and len(shape) in (2, 3):
            return Pictures(tuple(shape))
        case {"kind": "rows", "centre": list(centre), "unit": list(unit)}:
            constant = values.get("constant", [False] * len(centre))  # older runs say nothing
            if not are(bool, constant):
                raise ValueError("its scaling is none")
            rows = Rows(
                np.array(centre, np.float64), np.array(unit, np.float64), np.array(constant),
                values.get("scale"),
            )  # fmt: skip
            sound = np.isfinite(rows.centre).all() and (rows.unit > 0).all()
            alike = rows.centre.shape == rows.unit.shape == rows.constant.shape
            if rows.centre.ndim == 1 and alike and sound:
                return rows
    raise ValueError("its scaling is none")


def beside(folder: Path) -> Rows | None:
    """How the estimator that was saved into a run folder scales rows; None if there is none.

    Raises:
        ValueError: the file is damaged.
    """
    file = folder / FILE
    if not file.exists():
        return None
    about = read_json(file)
    try:
        kept = from_json(about["scaling"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is none that aae wrote for this run: {error}") from None
    return kept if isinstance(kept, Rows) else None


LOW_CONTRAST = 64
"""Grey levels that pictures should span at least. A model of all defaults gave back scikit-learn's
digits (0 to 16) with 2.5 times the mean picture's error, those times 3, 4, 6 and 15 with 2.7, 0.56,
0.20 and 0.08 times (one run each)."""


def are_pictures(X: Any) -> bool:
    """Whether an array is taken for pictures: bytes, of three or four dimensions."""
    return getattr(X, "dtype", None) == np.uint8 and getattr(X, "ndim", 2) in (3, 4)


def refuse_other_pictures(X: Any) -> None:
    """Refuse arrays of three or four dimensions that are no bytes, which rows are not either.

    Raises:
        ValueError: says what pictures are.
    """
    if getattr(X, "ndim", 2) in (3, 4):
        raise ValueError(
            f"X is {X.dtype} {list(X.shape)}, and pictures are "
            "uint8 [n, height, width] or [n, channels, height, width], 0 to 255: bring them to "
            "that range and type, or give rows, X.reshape(len(X), -1)"
        )


def check_pictures(pictures: NDArray[np.uint8]) -> None:
    """Warn of pictures of low contrast to train on: models see them as they are, and learn badly.

    Raises:
        ValueError: their channels come last, they are all alike, or 0 and 1.
    """
    refuse_channels_last("X", pictures.shape)
    refuse_untrainable("X", pictures, None, ())
    some = pictures[spread(len(pictures), 10_000)]
    low, high = int(some.min()), int(some.max())
    if high - low < LOW_CONTRAST:
        factor = 255 // max(1, high - low)
        warnings.warn(
            f"the pixels of X lie between {low} and {high}, and pictures go from 0 to 255: such "
            f"pictures are learned badly. Stretch them, for example (X - {low}) * {factor}",
            stacklevel=2,
        )
