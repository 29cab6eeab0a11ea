"""``aae train --seeds``: many trainings at once, and what they have in common at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aae.cli.failures import FAILURE, INTERRUPTED

if TYPE_CHECKING:
    from aae.config import Config
    from aae.progress import News
    from aae.replicas.training import Outcome


def begin_many(config: Config, count: int, folder: Path) -> int:
    """Train a config with several seeds, showing how it goes and how it ended.

    Args:
        config: the config; its seed is the first.
        count: how many seeds.
        folder: the folder of run folders to make.

    Returns:
        The exit code: 1 where a replica failed.
    """
    from aae.cli.training import loaded
    from aae.replicas import training

    configs = training.seeds(config, count)
    loaded(config)
    return _watched(folder, lambda tell, say: training.fit(configs, folder, tell=tell, say=say))


def resume_many(folder: Path, data_dir: str | None, device: str | None) -> int:
    """Go on with all runs in a folder; see `begin_many`."""
    from aae.replicas import training

    return _watched(
        folder,
        lambda tell, say: training.resume(
            folder, data_dir=data_dir, device=device, tell=tell, say=say
        ),
        data_dir,
    )


def _watched(
    folder: Path,
    train: Callable[[Callable[[News], None], Callable[[str], None]], Outcome],
    data_dir: str | None = None,
) -> int:
    from rich.console import Console

    from aae import progress
    from aae.cli import tables
    from aae.fit import Interrupted
    from aae.replicas.summary import summarise

    console = Console()

    def say(words: str) -> None:
        console.print(words, highlight=False, markup=False, soft_wrap=True)

    try:
        with progress.many_shown(console) as tell:
            outcome = train(tell, say)
    except Interrupted:
        print(f"stopped; all are saved, go on with: aae train --resume {folder}")
        return INTERRUPTED
    if outcome.finished:
        summary = summarise(folder, outcome.finished, data_dir=data_dir)
        console.print(tables.summary(summary))
        for name, place in {"runs": folder, "summary": folder / "summary.json"}.items():
            say(f"{name:<8} {place}")
    for name, words in outcome.failed.items():
        print(f"aae: {name}: {words}", file=sys.stderr)
    return FAILURE if outcome.failed else 0
