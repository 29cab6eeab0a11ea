"""``aae train --seeds``: many trainings at once, and a summary of their results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aae.cli.failures import FAILURE, INTERRUPTED
from aae.terminal import console, say, show_json

if TYPE_CHECKING:
    from aae.config import Config
    from aae.data import Dataset
    from aae.progress import News
    from aae.replicas.outcome import Outcome


def begin_many(config: Config, count: int, out: Path | None, *, json: bool = False) -> int:
    """Train a config with several seeds, showing progress and results.

    Args:
        config: the config; its seed is the first.
        count: how many seeds.
        out: the folder of run folders to create; None for `aae.cli.training.own_folder`.
        json: see `aae.cli.training.watched`.

    Returns:
        The exit code: 1 if a replica failed.
    """
    from aae.cli.inputs import loaded
    from aae.cli.training import own_folder
    from aae.data import Stored
    from aae.replicas import training

    configs = training.seeds(config, count)
    dataset = loaded(config)
    folder = out or own_folder(config)
    # Processes map files again: they would be sent what is in them.
    handed = None if isinstance(dataset.train_images, Stored) else dataset
    return _watched(
        folder,
        lambda tell, say: training.fit(configs, folder, dataset=handed, tell=tell, say=say),
        dataset=dataset,
        json=json,
    )


def resume_many(
    folder: Path, data_dir: str | None, device: str | None, *, json: bool = False
) -> int:
    """Resume all runs in a folder; see `begin_many`."""
    from aae.replicas import training

    return _watched(
        folder,
        lambda tell, say: training.resume(
            folder, data_dir=data_dir, device=device, tell=tell, say=say
        ),
        data_dir=data_dir,
        json=json,
    )


def _watched(
    folder: Path,
    train: Callable[[Callable[[News], None], Callable[[str], None]], Outcome],
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    json: bool,
) -> int:
    from aae import progress
    from aae.cli import tables
    from aae.replicas.outcome import Stopped
    from aae.replicas.summary import summarise

    shown, began = console(stderr=json), time.monotonic()
    try:
        with progress.many_shown(shown) as tell:
            outcome = train(tell, lambda words: say(shown, words))
    except Stopped as stop:
        say(shown, f"stopped; those that ran are saved, go on with: aae train --resume {folder}")
        _name(stop.failed)
        return INTERRUPTED
    seconds = time.monotonic() - began
    summary, failed = None, outcome.failed
    if outcome.finished:
        summary = summarise(folder, outcome.finished, dataset=dataset, data_dir=data_dir)
        failed = failed | summary["failed"]
    if json:
        show_json(
            {
                "folder": str(folder),
                "seconds": round(seconds, 3),
                "summary": summary,
                "failed": failed,
            }
        )
    elif summary is not None and summary["runs"]:
        shown.print(tables.summary(summary))
        for name, place in {"runs": folder, "summary": folder / "summary.json"}.items():
            say(shown, f"{name:<8} {place}")
    _name(failed)
    return FAILURE if failed else 0


def _name(failed: Mapping[str, str]) -> None:
    """Say which replicas failed, and why."""
    for name, words in failed.items():
        print(f"aae: {name}: {words}", file=sys.stderr)
