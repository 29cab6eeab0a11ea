"""From the figures of single runs to a table over seeds."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean
from typing import Any

from aae.reproduce.catalog import Setting
from aae.uncertainty import deviation

LOWER = {
    "error", "cluster_error", "cluster_error_majority", "prior_distance", "sliced_wasserstein",
    "reconstruction_error",
}  # fmt: skip
"""Figures for which lower is better."""


def summarise(results: Iterable[tuple[Setting, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each setting and figure.

    Args:
        results: setting, seed and figures of each run.

    Returns:
        ``experiment``, ``setting``, ``recipe``, ``metric``, ``target``, ``public``, ``mean``,
        ``std`` (None for one seed), ``n_seeds``, ``epochs``, ``seconds`` (mean over runs),
        ``machine`` (all of them), ``reached`` (None where there is no target).
    """
    groups: dict[Setting, list[dict[str, Any]]] = {}
    for setting, _, figures in results:
        groups.setdefault(setting, []).append(figures)
    rows = []
    for setting, runs in groups.items():
        for target in setting.targets:
            values = [float(run[target.metric]) for run in runs]
            centre = mean(values)
            reached = None
            if target.value is not None:
                better = (
                    centre <= target.value if target.metric in LOWER else centre >= target.value
                )
                reached = bool(better)
            rows.append(
                {
                    "experiment": setting.experiment, "setting": setting.name,
                    "recipe": setting.recipe, "metric": target.metric, "target": target.value,
                    "public": target.public, "mean": centre,
                    "std": deviation(values), "n_seeds": len(values),
                    "epochs": runs[0]["epochs"], "seconds": mean(run["seconds"] for run in runs),
                    "machine": "; ".join(sorted({run["versions"]["machine"] for run in runs})),
                    "reached": reached,
                }
            )  # fmt: skip
    return rows
