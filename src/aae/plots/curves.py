"""Learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from aae.hints import fits
from aae.plots.style import (
    SOFT,
    TRAIN,
    VALIDATION,
    class_colours,
    figure_legend,
    panels,
    styled,
)

_ORDER = ["reconstruction", "discriminator", "generator", "classification", "error"]
_LAST = ["learning_rate", "images_per_second"]
"""Metrics of training only; what older runs recorded at a validation was of the next epoch."""
_EQUILIBRIUM = {"discriminator": ("2 ln 2", 2 * math.log(2)), "generator": ("ln 2", math.log(2))}


@styled
def learning_curves(
    records: Sequence[Mapping[str, Any]], *, title: str | None = "Learning curves"
) -> Figure:
    """One panel for each metric, over epochs, or over steps if an epoch has several records.

    If a discriminator cannot tell codes from the prior, its loss (the sum over both) is 2 ln 2,
    and its generator's is ln 2 ([GAN], Goodfellow et al. 2014, theorem 1); dashed lines show this.

    Args:
        records: the lines of ``metrics.jsonl``: "step", "epoch", "split" ("train" or
            "validation"), and a number for each metric. Values that are no numbers are skipped.
        title: drawn above.

    Raises:
        ValueError: if no record holds a metric.
    """
    held = {key for record in records for key, value in record.items() if fits(value, float)}
    metrics = sorted(held - {"epoch", "step"}, key=_rank)
    if not metrics:
        raise ValueError(f"none of {len(records)} records holds a metric: train first")
    moments = {(record.get("epoch"), record.get("split", "train")) for record in records}
    once = len(moments) == len(records) and all("epoch" in record for record in records)
    time = "epoch" if once else "step"
    figure, drawn = panels(len(metrics), columns=3, size=(3.3, 2.1), title=title)
    for axes, metric in zip(drawn, metrics, strict=True):
        splits = {"train": TRAIN} if metric in _LAST else {"train": TRAIN, "validation": VALIDATION}
        for split, colour in splits.items():
            points = [
                (record[time], record[metric])
                for record in records
                if record.get("split", "train") == split and fits(record.get(metric), float)
            ]
            if points:
                marker = "o" if len(points) <= 30 else ""
                look: dict[str, Any] = {"linewidth": 1.4, "marker": marker, "markersize": 3}
                axes.plot(*zip(*points, strict=True), color=colour, label=split, **look)
        for name, (words, value) in _EQUILIBRIUM.items():
            if metric.startswith(name):
                axes.axhline(value, color=SOFT, linewidth=1, dashes=(4, 3), zorder=1)
                words = f"equilibrium {words} = {value:.3f}"
                axes.set_title(words, loc="right", fontsize=7.5, color=SOFT)
        _over_time(axes, metric.replace("_", " "), "{x:g}")
    for axes in drawn[-3:]:
        axes.set_xlabel(time)
    figure_legend(figure, drawn)
    return figure


@dataclass(frozen=True)
class Errors:
    """How the share of misclassified examples fell, in runs that differ in their seed.

    Attributes:
        panel: the panel's title; rows that share it are drawn together.
        label: what distinguishes these runs from others in the panel.
        runs: for each run, its epochs and errors, as shares of 1.
        asked: the error to reach, drawn as a dashed line.
    """

    panel: str
    label: str
    runs: list[list[tuple[float, float]]]
    asked: float | None = None


@styled
def error_curves(
    rows: Sequence[Errors], labels: Sequence[str], *, title: str | None = None
) -> Figure:
    """Errors over epochs, in percent on a logarithmic axis: a line for each run.

    Args:
        rows: at least one.
        labels: the labels that rows may have, in the order of their colours.
        title: drawn above.
    """
    names = list(dict.fromkeys(row.panel for row in rows))
    colours = dict(zip(labels, class_colours(len(labels)), strict=True))
    figure, drawn = panels(len(names), columns=3, size=(3.3, 2.6), title=title)
    for axes, name in zip(drawn, names, strict=True):
        axes.set_yscale("log", nonpositive="clip")
        for row in (row for row in rows if row.panel == name):
            look: dict[str, Any] = {"color": colours[row.label], "linewidth": 1.2}
            for k, run in enumerate(row.runs):
                epochs, errors = zip(*run, strict=True)
                percent = [100 * error for error in errors]
                axes.plot(epochs, percent, label="" if k else row.label, **look)
            if row.asked is not None:
                axes.axhline(100 * row.asked, dashes=(4, 3), **look)
        _over_time(axes, name, "{x:g} %")
        axes.set_xlabel("epoch")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    figure_legend(figure, drawn)
    return figure


def _over_time(axes: Axes, title: str, values: str) -> None:
    """Set the title, grid and ticks of a panel over epochs or steps."""
    axes.set_title(title)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    axes.yaxis.set_major_formatter(values)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def _rank(metric: str) -> tuple[int, str]:
    """Order: reconstruction, adversarial, classification, all others, then rate and speed."""
    order = [*_ORDER, "", *_LAST]
    known = (k for k, name in enumerate(order) if name and metric.startswith(name))
    return next(known, order.index("")), metric
