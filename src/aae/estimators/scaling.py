"""Between a user's arrays and what a model takes: rows are scaled, pictures are bytes already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows [n, d] ↔ float32 rows of a common scale: (x - centre) / unit.

    Attributes:
        centre: float64 [d].
        unit: float64 [d], above 0.
    """

    centre: NDArray[np.float64]
    unit: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[Any], scale: str) -> Rows:
        """The scaling that rows ask for.

        Args:
            x: the training rows, [n, d].
            scale: "standard", each column to mean 0 and deviation 1; "range", all columns alike,
                such that all values lie in [-1, 1], for columns of one kind such as pixels; "none".

        Raises:
            ValueError: there is no such scale.
        """
        x = x.astype(np.float64)
        if scale == "standard":
            centre, unit = x.mean(0), x.std(0)
        elif scale == "range":
            low, high = np.full(x.shape[1], x.min()), np.full(x.shape[1], x.max())
            centre, unit = (low + high) / 2, (high - low) / 2
        elif scale == "none":
            centre, unit = np.zeros(x.shape[1]), np.ones(x.shape[1])
        else:
            raise ValueError(f"scale={scale!r} is none of 'standard', 'range', 'none'")
        # What rounding leaves of a constant column is no spread to be blown up.
        constant = (x == x[0]).all(0) | (unit == 0)
        return cls(centre, np.where(constant, 1.0, unit))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example as the user gives it, (d,)."""
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

    def back(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """The model's rows → the user's, float64."""
        rows: NDArray[np.float64] = x.astype(np.float64) * self.unit + self.centre
        return rows

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": "rows", "centre": self.centre.tolist(), "unit": self.unit.tolist()}


@dataclass(frozen=True)
class Pictures:
    """Pictures uint8 [n, h, w] or [n, c, h, w] ↔ uint8 [n, c, h, w]; the model scales them itself.

    Attributes:
        shape: of one picture as the user gives it.
    """

    shape: tuple[int, ...]

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Of one example as the model takes it."""
        return (1, *self.shape) if len(self.shape) == 2 else self.shape

    def forward(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """The user's pictures → the model's."""
        return np.ascontiguousarray(x.reshape(-1, *self.model_shape))

    def back(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """The model's pictures in [0, 1] → the user's, uint8."""
        return np.rint(x * 255).astype(np.uint8).reshape(-1, *self.shape)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": "pictures", "shape": list(self.shape)}


Scaling = Rows | Pictures


def from_json(values: dict[str, Any]) -> Scaling:
    """The scaling that ``to_json`` wrote."""
    if values["kind"] == "pictures":
        return Pictures(tuple(values["shape"]))
    return Rows(np.array(values["centre"]), np.array(values["unit"]))


def are_pictures(X: Any) -> bool:
    """Whether an array is taken for pictures: bytes, of three or four dimensions."""
    return getattr(X, "dtype", None) == np.uint8 and getattr(X, "ndim", 2) in (3, 4)
