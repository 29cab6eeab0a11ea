"""The figures of many runs: mean and standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aae.data import Dataset
from aae.evaluate import Split, evaluate, numbers
from aae.run import Run
from aae.run_report import write_report
from aae.storage import write_json
from aae.uncertainty import deviation

SPLIT: Split = "validation"
"""What runs are compared on: the test set is for one that has been chosen."""


def summarise(
    folder: Path | str,
    runs: Mapping[str, Run],
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
) -> dict[str, Any]:
    """Measure runs; write the report of each, and ``summary.json`` in the folder of all.

    Args:
        folder: where to write.
        runs: the runs, by name.
        dataset: the data set of all runs, if it is loaded already.
        data_dir: where it is now, if not where the configs say.

    Returns:
        What is written, as plain values:

        - ``split``: `SPLIT`.
        - ``figures``: for each figure that all runs have, its ``mean`` and ``std``, the sample
          standard deviation (None for a single run).
        - ``runs``: by name, what `aae.evaluate.evaluate` gave.
        - ``failed``: by name, why a run could not be measured, such as data that are gone, or its
          report not written.
    """
    measured: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    for name, run in runs.items():
        try:
            figures = evaluate(run, split=SPLIT, dataset=dataset, data_dir=data_dir, judge=False)
        except (ValueError, OSError) as error:
            failed[name] = f"not measured: {error}"
            continue
        measured[name] = figures
        try:
            write_report(run, figures)
        except OSError as error:
            failed[name] = f"its report was not written: {error}"
    summary = {
        "split": SPLIT, "figures": spread(list(measured.values())), "runs": measured,
        "failed": failed,
    }  # fmt: skip
    write_json(Path(folder) / "summary.json", summary)
    return summary


def spread(measured: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and sample standard deviation of the figures that all runs have.

    >>> spread([{"error": 0.02, "recipe": "semi"}, {"error": 0.04, "recipe": "semi"}])
    {'error': {'mean': 0.03, 'std': 0.01414213562373095}}
    """
    every = [numbers(each) for each in measured]
    values = {
        name: [each[name] for each in every]
        for name in (every[0] if every else ())
        if all(name in each for each in every)
    }
    return {
        name: {
            "mean": statistics.fmean(these),
            "std": deviation(these),
        }
        for name, these in values.items()
    }
