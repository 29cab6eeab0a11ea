"""Generated tables compared with real ones: columns in pairs, and how far off each column is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from aae.plots.style import (
    CLASSES,
    DPI,
    INK,
    SOFT,
    TITLE,
    TRAIN,
    VALIDATION,
    figure_legend,
    styled,
    text_width,
)

Table = Mapping[str, NDArray[Any]]
"""Columns by name, [n] each: numbers, NaN where missing, or objects, None where missing."""
MOST_PAIRED = 6
"""Only this many columns, the first ones, are drawn in pairs."""
_MOST_BARS = 60
_LOOKS = ((TRAIN, "real"), (VALIDATION, "generated"))
_DISTANCES = {
    "numbers: Wasserstein, in standard deviations": TRAIN,
    "categories: total variation": CLASSES[2],
}
_LEGIBLE = 4  # categories with names that still fit below a panel


@styled
def pairs(real: Table, made: Table, *, title: str | None = None) -> Figure:
    """Columns against each other, for real and generated rows; on the diagonal, each by itself.

    Categories stand side by side, with their points spread out. A note says if columns are left
    out, and how many rows have numbers so far from the others that they lie outside.

    Args:
        real: real rows.
        made: generated rows, with the same columns.
        title: drawn above.

    Raises:
        ValueError: the tables have different columns, or one of them has no rows.
    """
    if [*real] != [*made] or not all(len(v) for t in (real, made) for v in t.values()):
        raise ValueError(f"pairs needs two tables of the same columns, not {[*real]} and {[*made]}")
    names = [*real][:MOST_PAIRED]
    k = len(names)
    side, head = (1.75 if k > 2 else 2.6), 0.55
    width, height = max(k * side + 0.6, 6.0), k * side + head + 0.2
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - head / height)))
    axes = figure.subplots(k, k, squeeze=False)
    rng = np.random.default_rng(0)  # spreads points of a category; no figure depends on it
    room = 0.85 * (width - 0.6) / k * DPI
    for name, column in zip(names, axes.T, strict=True):
        _share(column, name, real, made, vertical=False, room=room)
    for row, of_y in enumerate(names):
        for column, of_x in enumerate(names):
            panel = axes[row, column]
            if row == column:
                # Heights have an axis of their own, unmarked: the panel's is that of its row.
                heights = panel.twinx()
                _alone(heights, real[of_x], made[of_x])
                heights.set_yticks([])
            else:
                for table, (colour, label) in zip((real, made), _LOOKS, strict=True):
                    x, y = (_places(table[name], real[name], rng) for name in (of_x, of_y))
                    size = float(np.clip(2500 / len(x), 1.5, 9))
                    look: dict[str, Any] = {"s": size, "alpha": 0.45, "linewidths": 0}
                    panel.scatter(x, y, color=colour, label=label, **look)
            _share(panel, of_y, real, made, vertical=True)
            panel.tick_params(labelleft=column == 0 and k > 1)
            if row < k - 1:
                panel.tick_params(labelbottom=False)
            panel.tick_params(length=2)
        axes[row, 0].set_ylabel(_short(of_y))
        axes[-1, row].set_xlabel(_short(of_y))
    if title:
        figure.text(0.1 / width, 1 - 0.1 / height, title, va="top", **TITLE)
    notes = [f"first {k} of {len(real)} columns"] if len(real) > k else []
    frames = {n: axes[0, at].get_xlim() for at, n in enumerate(names) if _is_number(real[n])}
    if outside := _outside(real, frames) + _outside(made, frames):
        notes.append(f"{outside:,} row{'s'[: outside > 1]} outside")
    figure_legend(figure, [heights, axes[0, -1]], note=", ".join(notes) or None)
    return figure


@styled
def column_distances(
    made: Mapping[str, float],
    held_out: Mapping[str, float],
    categorical: Sequence[str] = (),
    *,
    title: str | None = None,
) -> Figure:
    """How far each column of generated rows is from the real one: a bar, and a mark to compare.

    If there are many columns, those farthest away are drawn, and the axis says so.

    Args:
        made: the distance of generated rows to training rows, by column; NaN is left out.
        held_out: the same for held-out real rows: the distance between samples by chance alone.
        categorical: the columns whose distance is a total variation, not Wasserstein's.
        title: drawn above.

    Raises:
        ValueError: there is no distance to draw.
    """
    every = [name for name, value in made.items() if np.isfinite(value)]
    if not every:
        raise ValueError("there is no distance to draw")
    least = sorted(made[name] for name in every)[-_MOST_BARS:][0]
    names = [name for name in every if made[name] >= least][:_MOST_BARS]
    words = max(text_width(_short(name)) for name in names) / DPI
    width, height = words + 5.2, 0.26 * len(names) + 1.45
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes(
        ((words + 0.3) / width, 0.55 / height, 4.7 / width, (height - 1.35) / height)
    )
    y = np.arange(len(names))
    kinds = ([n for n in names if n not in categorical], [n for n in names if n in categorical])
    for kind, (label, colour) in zip(kinds, _DISTANCES.items(), strict=True):
        if own := [names.index(name) for name in kind]:
            axes.barh(y[own], [made[names[k]] for k in own], 0.62, color=colour, label=label)
    marks = [held_out.get(name, np.nan) for name in names]
    axes.plot(
        marks,
        y,
        "|",
        color=INK,
        markersize=11,
        markeredgewidth=1.8,
        label="held-out real rows",
    )
    axes.set_yticks(y, [_short(name) for name in names])
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlim(left=0)
    some = f", the farthest {len(names)} of {len(every)} columns" if len(names) < len(every) else ""
    axes.set_xlabel(f"distance to the training rows{some}")
    figure.text(0.1 / width, 1 - 0.1 / height, title or "", va="top", **TITLE)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5,
        labelcolor=SOFT, handlelength=1.2, columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
    return figure


def _is_number(values: NDArray[Any]) -> bool:
    return values.dtype != object


def _categories(values: NDArray[Any]) -> list[Any]:
    return sorted({v for v in values if v is not None}, key=lambda v: (type(v).__name__, v))


def _places(
    values: NDArray[Any], real: NDArray[Any], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The positions of values on an axis: numbers at their value, categories side by side."""
    if _is_number(real):
        return values.astype(np.float64)
    place = {v: k for k, v in enumerate(_categories(real))}
    at = np.array([place.get(v, np.nan) for v in values], np.float64)
    return at + rng.uniform(-0.28, 0.28, len(at))


def _share(
    panel: Any, name: str, real: Table, made: Table, *, vertical: bool, room: float = math.inf
) -> None:
    """Give one panel, or a column of them, the axis that a column of the table needs.

    Categories whose names do not fit side by side into ``room`` pixels have them upright.
    """
    for axes in np.atleast_1d(panel):
        limits = axes.set_ylim if vertical else axes.set_xlim
        ticks = axes.set_yticks if vertical else axes.set_xticks
        if not _is_number(real[name]):
            categories = _categories(real[name])
            limits(-0.6, len(categories) - 0.4)
            few = len(categories) <= _LEGIBLE
            shown = [_short(str(c), 12) if few else "" for c in categories]
            widest = max((text_width(words + "  ", 8) for words in shown), default=0)
            upright = widest * len(shown) > room
            ticks(range(len(categories)), shown, rotation=90 if upright else 0)
            continue
        both = np.concatenate([real[name], made[name]]).astype(np.float64)
        low, high = np.nanquantile(both, [0.002, 0.998])
        rim = 0.06 * (high - low) or 1.0
        limits(low - rim, high + rim)
        (axes.yaxis if vertical else axes.xaxis).get_major_locator().set_params(nbins=3)


def _outside(table: Table, frames: Mapping[str, tuple[float, float]]) -> int:
    """How many rows have a number beyond its axis."""
    columns = ((table[name].astype(np.float64), ends) for name, ends in frames.items())
    return int(np.any([(x < low) | (x > high) for x, (low, high) in columns], axis=0).sum())


def _alone(axes: Axes, real: NDArray[Any], made: NDArray[Any]) -> None:
    """How a column is distributed."""
    for side, (values, (colour, label)) in enumerate(zip((real, made), _LOOKS, strict=True)):
        if _is_number(real):
            there = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
            bins = np.linspace(*axes.get_xlim(), 25).tolist()
            fill: dict[str, Any] = (
                {"histtype": "stepfilled", "alpha": 0.35} if not side else {"histtype": "step"}
            )
            if len(there):
                look = fill | {"color": colour, "linewidth": 1.4, "label": label}
                axes.hist(there, bins=bins, density=True, **look)
        else:
            categories = _categories(real)
            shares = [np.mean([v == c for v in values if v is not None]) for c in categories]
            axes.bar(np.arange(len(categories)) + 0.38 * side - 0.19, shares, 0.36, color=colour,
                     alpha=0.8, label=label)  # fmt: skip


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 2] + "…"
