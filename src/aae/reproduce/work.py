"""Train and measure settings over seeds; what is done already is not done again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from aae.config import Config
from aae.data import Dataset, load
from aae.fit import fit, resume
from aae.reproduce.catalog import Setting
from aae.reproduce.catalog import settings as settings_of
from aae.reproduce.measures import measure
from aae.run import versions
from aae.training import checkpoint

Figures = dict[str, Any]


def reproduce(
    settings: Iterable[Setting],
    *,
    out: Path,
    runs: Path,
    seeds: int,
    quick: bool = False,
    data_dir: str | None = None,
) -> Iterator[tuple[Setting, int, Figures]]:
    """Train and measure each setting with each seed, or read what was measured before.

    Figures of a config that has changed since are measured again.

    Args:
        settings: what to reproduce.
        out: folder of the figures, a JSON file for each run.
        runs: folder of the run folders; a run that was stopped goes on.
        seeds: how many of them, from 0.
        quick: a tenth of the epochs; its figures lie apart.
        data_dir: where the data sets' files lie.

    Yields:
        The setting, the seed and the figures of each run as soon as they are known.
    """
    datasets: dict[str, Dataset] = {}
    for setting in settings:
        for seed in range(seeds):
            config = replace(setting.config, seed=seed, data_dir=data_dir)
            if quick:
                config = replace(config, epochs=max(1, config.epochs // 10))
            place = _place(out, setting, quick)
            result = place.with_name(f"{place.name}-seed{seed}.json")
            if not _holds(result, config):
                if config.data not in datasets:
                    datasets[config.data] = load(config.data, data_dir)
                write(result, _one(setting, config, runs, datasets[config.data]))
            yield setting, seed, json.loads(result.read_text())


def found(out: Path, *, quick: bool = False) -> Iterator[tuple[Setting, int, Figures]]:
    """All that has been measured so far, in the catalogue's order."""
    for setting in settings_of(["all"]):
        place = _place(out, setting, quick)
        for path in sorted(place.parent.glob(f"{place.name}-seed*.json"), key=_seed):
            yield setting, _seed(path), json.loads(path.read_text())


def write(path: Path, values: Any) -> None:
    """Write values as JSON, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(json.dumps(values, indent=1) + "\n")
    aside.replace(path)


def _one(setting: Setting, config: Config, runs: Path, dataset: Dataset) -> Figures:
    """Train and measure one run; experiments that want the same training share it."""
    name = hashlib.sha256(json.dumps(replace(config, data_dir=None).to_json()).encode())
    folder = runs / f"{config.recipe}-{name.hexdigest()[:10]}"
    since = time.perf_counter()
    if checkpoint.found(folder / "checkpoints"):
        run = resume(folder, dataset=dataset)
    else:
        run = fit(config, folder, dataset=dataset)
    spent = {"seconds": round(time.perf_counter() - since, 1)}
    clock = folder / "seconds.json"  # of a run that was stopped, or that is shared, too
    if clock.exists():
        spent["seconds"] += json.loads(clock.read_text())["seconds"]
    write(clock, spent)
    figures = measure(run, {target.metric for target in setting.targets}, dataset)
    return figures | spent | {"versions": versions(), "config": config.to_json()}


def _holds(result: Path, config: Config) -> bool:
    """Whether figures are there, and are those of this config as it is today."""
    if not result.exists():
        return False
    told = Config.from_json(json.loads(result.read_text())["config"])
    return replace(told, data_dir=None) == replace(config, data_dir=None)


def _place(out: Path, setting: Setting, quick: bool) -> Path:
    return (out / "quick" if quick else out) / setting.place


def _seed(path: Path) -> int:
    return int(path.stem.rpartition("seed")[2])
