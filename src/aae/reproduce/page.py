"""A page with the tables of what was reproduced: figures beside the paper's, and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from aae.reproduce import catalog, curves
from aae.storage import written

PERCENT = {
    "error", "cluster_error", "cluster_error_majority", "component_accuracy", "readable",
    "manifold_readable", "smallest_class", "style_accuracy", "probe_accuracy",
    "probe_accuracy_of_draws",
}  # fmt: skip
"""Figures that are shares."""
BEGIN, END = "<!-- made by: aae reproduce -->", "<!-- end -->"
"""The lines before and after a page's tables."""
BRIEFLY = "<!-- made by: aae reproduce, briefly -->"
"""The line before the single table of a page that has no room for more."""


def update(page: Path, summary: list[dict[str, Any]], pictures: Path) -> None:
    """Put the current tables into a page, between `BEGIN` (or `BRIEFLY`) and `END`.

    Args:
        page: a Markdown file.
        summary: what `aae.reproduce.summary.summarise` gave.
        pictures: folder of figures and pictures.

    Raises:
        ValueError: the page has no place for tables.
    """
    before, begin, after = around(page)
    made = brief(summary) if begin == BRIEFLY else tables(summary, pictures, page.parent)
    with written(page) as aside:
        aside.write_text(before + begin + "\n" + made + END + after, encoding="utf-8")


def around(page: Path) -> tuple[str, str, str]:
    """A page's text before its tables, the line with which they begin, and the text after them.

    Raises:
        ValueError: the page has no place for tables.
    """
    text = page.read_text(encoding="utf-8")
    begin = BRIEFLY if BRIEFLY in text else BEGIN
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(
            f"{page} has no place for tables: add a line {BEGIN} and, below it, {END}; with "
            f"{BRIEFLY} it gets one table of what was asked"
        )
    return before, begin, after


def brief(summary: list[dict[str, Any]]) -> str:
    """One Markdown table of the figures that have a target, with the recipes side by side."""
    figures: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in summary:
        if row["target"] is not None:
            place = f"{row['experiment']}/{row['setting']}"
            figures.setdefault((place, row["metric"]), {})[row["recipe"]] = row
    recipes = get_args(catalog.Recipe)
    lines = [_line(("experiment", "figure", "asked", *recipes)), "|---" * (3 + len(recipes)) + "|"]
    for (place, metric), rows in figures.items():
        asked = dict.fromkeys(_asked(rows[recipe]) for recipe in recipes if recipe in rows)
        ours = [f"{_ours(rows[r])} ({rows[r]['n_seeds']})" if r in rows else "" for r in recipes]
        lines.append(_line([f"`{place}`", _words(metric), " / ".join(asked), *ours]))
    return "\n".join([*lines, ""])


def tables(summary: list[dict[str, Any]], pictures: Path, beside: Path) -> str:
    """A section for each experiment: a Markdown table, and the pictures of seed 0.

    Args:
        summary: what `aae.reproduce.summary.summarise` gave; settings it lacks are named.
        pictures: folder of figures and pictures.
        beside: the folder to which links are relative.
    """
    return "\n".join(_section(name, summary, pictures, beside) for name in catalog.EXPERIMENTS)


def _section(name: str, summary: list[dict[str, Any]], pictures: Path, beside: Path) -> str:
    make = catalog.EXPERIMENTS[name]
    rows, absent, shown = [], [], []
    for setting in make():
        measured = [
            row for row in summary
            if (row["experiment"], row["setting"], row["recipe"])
            == (name, setting.name, setting.recipe)
        ]  # fmt: skip
        rows += measured
        if not measured:
            absent.append(f"{setting.name} ({setting.recipe})")
        for picture in setting.pictures:
            file = pictures / name / f"{setting.name}-{setting.recipe}-{picture}.png"
            if file.exists():
                whose = f"{setting.name}, {setting.recipe}"
                shown.append(f"![{whose}: {picture}]({_link(file, beside)})<br>{whose}")
    lines = [f"### {(make.__doc__ or name).splitlines()[0].rstrip('.')}", ""]
    if rows:
        heads = (
            "setting",
            "recipe",
            "figure",
            "asked",
            "public",
            "ours",
            "seeds",
            "epochs",
            "s a run",
        )
        lines += [_line(heads), "|---" * len(heads) + "|"]
        lines += [*map(_row, rows), ""]
    if absent:
        lines += [f"Not measured yet: {', '.join(absent)}.", ""]
    errors = pictures / name / curves.PICTURE
    if errors.exists():
        lines += [f"![errors on the validation set, by epoch]({_link(errors, beside)})", ""]
    return "\n".join([*lines, *_in_rows(shown)])


def _link(file: Path, beside: Path) -> str:
    return Path(os.path.relpath(file, beside)).as_posix()


def _row(row: dict[str, Any]) -> str:
    fails = ", not reached" if row["reached"] is False else ""
    return _line([
        row["setting"], row["recipe"], _words(row["metric"]), _asked(row), row["public"],
        _ours(row) + fails, str(row["n_seeds"]), str(row["epochs"]), f"{row['seconds']:.0f}",
    ])  # fmt: skip


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _asked(row: dict[str, Any]) -> str:
    """A figure's target, as text."""
    return "" if row["target"] is None else number(row["metric"], row["target"])


def _ours(row: dict[str, Any]) -> str:
    """The figure that we reached, bold where it meets the target."""
    ours = over_seeds(row["metric"], row["mean"], row["std"])
    return f"**{ours}**" if row["reached"] else ours


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def number(metric: str, value: float) -> str:
    """A figure as it is written: shares in percent.

    >>> number("error", 0.0123), number("parzen_10k", 340.04)
    ('1.23 %', '340')
    """
    return f"{value:.2%}".replace("%", " %") if metric in PERCENT else f"{value:.3g}"


def over_seeds(metric: str, mean: float, std: float | None) -> str:
    """A mean and its standard deviation, to the second digit of the latter.

    >>> over_seeds("parzen_10k", 344.83, 0.331), over_seeds("error", 0.01, 0.0003)
    ('344.83 ± 0.33', '1.00 % ± 0.03 %')
    """
    if std is None:
        return number(metric, mean)
    if metric in PERCENT or not 0 < std < math.inf:
        return f"{number(metric, mean)} ± {number(metric, std)}"
    places = max(0, 1 - math.floor(math.log10(std)))
    return f"{mean:.{places}f} ± {std:.{places}f}"


def _in_rows(pictures: Iterable[str]) -> list[str]:
    """Pictures side by side, three in a row."""
    pictures = list(pictures)
    if not pictures:
        return []
    columns = min(3, len(pictures))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    rows[-1] += [""] * (columns - len(rows[-1]))
    lines = [_line(row) for row in rows]
    return [lines[0], "|---" * columns + "|", *lines[1:], ""]
