"""Tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table


def table(title: str, *columns: str, numbers: Iterable[str] = ()) -> Table:
    """An empty table; columns named in ``numbers`` are aligned to the right.

    Cells are read as rich's markup, so names that users gave must go through `escape`.

    If a terminal is too narrow, words are broken first. Numbers stay on one line, and end in "…"
    if even they do not fit.
    """
    numbers = set(numbers)
    made = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in columns:
        number = name in numbers
        made.add_column(
            escape(name),
            justify="right" if number else "left",
            no_wrap=number,
            overflow="ellipsis" if number else "fold",
        )
    return made


def last_losses(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The newest training and validation losses in a run's metric records."""
    from aae.training.trainer import figures_in

    newest = {record["split"]: record for record in records}
    return {split: figures_in(newest.get(split, {})) for split in ("train", "validation")}


def losses(last: dict[str, dict[str, float]]) -> Table:
    """A table of what `last_losses` found."""
    train, validation = last["train"], last["validation"]
    made = table(
        "Losses of the last epoch", "loss", "training", "validation",
        numbers=("training", "validation"),
    )  # fmt: skip
    for name in dict.fromkeys([*train, *validation]):
        cells = (_number(part[name]) if name in part else "" for part in (train, validation))
        made.add_row(name.replace("_", " "), *cells)
    return made


def figures(measured: dict[str, Any]) -> Table:
    """A table of what `aae.evaluate.evaluate` measured."""
    from aae.evaluate import with_errors

    title = f"{measured['recipe']} on {measured['data']}, {measured['split']} set"
    columns = ("value", "± standard error")
    made = table(title, "figure", *columns, numbers=columns)
    for name, words in with_errors(measured).items():
        value, _, error = words.partition(" ± ")
        made.add_row(name.replace("_", " "), value, error)
    return made


def summary(measured: dict[str, Any]) -> Table:
    """A table of what `aae.replicas.summary.summarise` measured."""
    runs: list[dict[str, Any]] = list(measured["runs"].values())
    columns = ("mean", "±", "least", "greatest")
    title = f"{runs[0]['recipe']} on {runs[0]['data']}, {measured['split']} set, {len(runs)} runs"
    made = table(title, "figure", *columns, numbers=columns)
    for name, over in measured["figures"].items():
        std = "" if over["std"] is None else _number(over["std"])
        values = [run[name] for run in runs]
        cells = (_number(over["mean"]), std, _number(min(values)), _number(max(values)))
        made.add_row(name.replace("_", " "), *cells)
    verdicts = Counter(run["health"] for run in runs)
    made.caption = "Health: " + ", ".join(f"{count} {word}" for word, count in verdicts.items())
    return made


def side_by_side(title: str, columns: list[str], rows: dict[str, list[Any]]) -> Table:
    """A table of several runs, one in each column.

    If a terminal is too narrow, values are broken, and the names of rows stay whole.
    """
    made = table(title, *columns, numbers=columns[1:])
    first, *others = made.columns
    first.no_wrap, first.overflow = True, "ellipsis"
    for column in others:
        column.no_wrap, column.overflow = False, "fold"
    for name, values in rows.items():
        cells = (
            _number(v) if isinstance(v, float) else "–" if v is None else str(v) for v in values
        )
        made.add_row(*map(escape, (name.replace("_", " "), *cells)))
    return made


def health(measured: dict[str, Any]) -> Table:
    """The verdict on a training, check by check."""
    made = table(
        f"Training health: {measured['health']}", "check", "value", "verdict", numbers=("value",)
    )
    for check in measured["health_checks"]:
        style, sign = ("green", "✓") if check["ok"] else ("yellow", "!")
        words = f"[{style}]{sign} {escape(check['verdict'])}[/]"
        if check["advice"]:
            words += f"\n[dim]{escape(check['advice'])}[/]"
        made.add_row(check["name"], _number(check["value"]), words)
    return made


def _number(value: float) -> str:
    return f"{value:.4g}"
