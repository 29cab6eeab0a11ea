"""How errors on the validation set fell, epoch by epoch: a picture for each experiment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from aae import plots
from aae.reproduce.catalog import Recipe, Setting
from aae.run import Run
from aae.training.trainer import figures_in

PICTURE = "errors.png"
"""File name of the picture in an experiment's folder."""
TITLE = "Misclassified of the validation set; dashed: asked of the test set"


def curve(run: Run) -> list[dict[str, float]]:
    """A run's figures on the validation set after each epoch, kept among its figures."""
    return [
        {"epoch": record["epoch"]} | figures_in(record)
        for record in run.records()
        if record["split"] == "validation"
    ]


def draw(results: Iterable[tuple[Setting, int, dict[str, Any]]], out: Path) -> None:
    """Draw the errors of each experiment whose runs classify, seed by seed, beside the targets.

    Args:
        results: setting, seed and figures of each run; runs measured before curves were kept are
            skipped.
        out: folder of the figures.
    """
    rows: dict[str, dict[Setting, plots.Errors]] = {}
    for setting, _, figures in results:
        points = [
            (record["epoch"], record["error"])
            for record in figures.get("curve", [])
            if "error" in record
        ]
        for target in setting.targets:
            if points and target.metric == "error":
                row = plots.Errors(setting.name, setting.recipe, [], target.value)
                rows.setdefault(setting.experiment, {}).setdefault(setting, row).runs.append(points)
    for experiment, errors in rows.items():
        picture = plots.error_curves([*errors.values()], get_args(Recipe), title=TITLE)
        plots.save(picture, out / experiment / PICTURE)
