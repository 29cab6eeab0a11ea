"""The tables of what was reproduced, as a page: figures beside the paper's, and pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aae.reproduce import catalog

PERCENT = {
    "error", "cluster_error", "cluster_error_majority", "component_accuracy", "readable",
    "manifold_readable", "smallest_class", "style_accuracy", "probe_accuracy",
}  # fmt: skip
"""Figures that are shares."""
BEGIN, END = "<!-- made by: aae reproduce -->", "<!-- end -->"
"""What a page's tables stand between."""


def update(page: Path, summary: list[dict[str, Any]], pictures: Path) -> None:
    """Put today's tables into a page, between `BEGIN` and `END`.

    Args:
        page: a Markdown file.
        summary: what `aae.reproduce.summary.summarise` gave.
        pictures: folder of figures and pictures.
    """
    text = page.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(before + BEGIN + "\n" + tables(summary, pictures, page.parent) + END + after)


def tables(summary: list[dict[str, Any]], pictures: Path, beside: Path) -> str:
    """A section for each experiment: a table as Markdown, and the pictures of seed 0.

    Args:
        summary: what `aae.reproduce.summary.summarise` gave; what it lacks is said to be missing.
        pictures: folder of figures and pictures.
        beside: the folder that links start from.
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
                link = Path(os.path.relpath(file, beside)).as_posix()
                shown.append(f"![{setting.name}, {setting.recipe}: {picture}]({link})")
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
        lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        lines += [*map(_row, rows), ""]
    if absent:
        lines += [f"Not measured yet: {', '.join(absent)}.", ""]
    return "\n".join([*lines, *_in_rows(shown)])


def _row(row: dict[str, Any]) -> str:
    metric = row["metric"]
    asked = "" if row["target"] is None else number(metric, row["target"])
    ours = number(metric, row["mean"])
    if row["std"] is not None:
        ours += f" ± {number(metric, row['std'])}"
    if row["reached"] is not None:
        ours = f"**{ours}**" if row["reached"] else f"{ours}, not reached"
    cells = [
        row["setting"], row["recipe"], metric.replace("_", " "), asked, row["public"], ours,
        str(row["n_seeds"]), str(row["epochs"]), f"{row['seconds']:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def number(metric: str, value: float) -> str:
    """A figure as it is written: shares in percent.

    >>> number("error", 0.0123), number("parzen_10k", 340.04)
    ('1.23 %', '340')
    """
    return f"{value:.2%}".replace("%", " %") if metric in PERCENT else f"{value:.3g}"


def _in_rows(pictures: Iterable[str]) -> list[str]:
    """Pictures side by side, three in a row."""
    pictures = list(pictures)
    if not pictures:
        return []
    columns = min(3, len(pictures))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    rows[-1] += [""] * (columns - len(rows[-1]))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|---" * columns + "|", *lines[1:], ""]
