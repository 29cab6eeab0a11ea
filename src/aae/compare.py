"""Runs side by side: where their settings differ, what each measures, and their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aae import report
from aae.captions import CAPTIONS, captioned
from aae.evaluate import Split, evaluate, with_errors
from aae.hints import flag
from aae.run import Run


def compare(
    runs: Sequence[Run], *, split: Split = "validation", data_dir: str | None = None
) -> dict[str, Any]:
    """Measure runs on the same kind of held-out examples.

    Args:
        runs: two or more.
        split: see `aae.evaluate.evaluate`.
        data_dir: where the data sets lie now, if elsewhere than the configs say.

    Returns:
        Plain values, ready for JSON:

        - ``split``.
        - ``settings``: by flag, each run's value; only settings that are not the same in all.
        - ``runs``: by name (the folder's, if no other run has the same), what
          `aae.evaluate.evaluate` gave.

    Raises:
        ValueError: there are fewer than two runs, or one is given twice.
    """
    places = [run.folder.resolve() for run in runs]
    if twice := [str(place) for place in places if places.count(place) > 1]:
        raise ValueError(f"name different runs to compare: {twice[0]} is given twice")
    if len(places) < 2:
        raise ValueError(f"name two or more runs to compare, not {len(places)}")
    configs = [run.config.to_json() for run in runs]
    settings = {
        flag(name): [config[name] for config in configs]
        for name in configs[0]
        if any(config[name] != configs[0][name] for config in configs)
    }
    often = Counter(place.name for place in places)
    names = [place.name if often[place.name] == 1 else str(place) for place in places]
    measured = [evaluate(run, split=split, data_dir=data_dir, judge=False) for run in runs]
    return {
        "split": split,
        "settings": settings,
        "runs": dict(zip(names, measured, strict=True)),
    }


def figures(compared: dict[str, Any]) -> dict[str, list[str | int | None]]:
    """What `compare` measured, by figure: each run's value ± standard error, or None."""
    runs = [
        {"health": run["health"], "epochs": run["epochs"], **with_errors(run)}
        for run in compared["runs"].values()
    ]
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: [run.get(name) for run in runs] for name in names}


def write_page(path: Path, runs: Sequence[Run], compared: dict[str, Any]) -> Path:
    """Write runs side by side as one page that loads nothing.

    Args:
        path: the HTML file.
        runs: the runs that `compare` was given.
        compared: what it gave.

    Returns:
        The path.
    """
    names = list(compared["runs"])
    pictures: dict[str, list[tuple[str, Path]]] = {caption: [] for caption in CAPTIONS.values()}
    for name, run in zip(names, runs, strict=True):
        firsts = dict(reversed([*captioned(run)]))  # of several with one caption
        for caption, picture in firsts.items():
            pictures[caption].append((name, picture))
    return report.write_side_by_side(
        path,
        title=" · ".join(names),
        tables={
            "Settings that differ": (["Setting", *names], compared["settings"]),
            f"Figures of the {compared['split']} set": (["Figure", *names], figures(compared)),
        },
        pictures=pictures,
    )
