"""Train and measure settings over seeds; what is done already is not done again."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from aae.config import Config
from aae.data import Dataset, DownloadError, load
from aae.fit import fit, resume
from aae.reproduce.catalog import Setting
from aae.reproduce.catalog import settings as settings_of
from aae.reproduce.measures import measure
from aae.run import Run, versions
from aae.storage import written

Figures = dict[str, Any]


@dataclass(frozen=True)
class _Task:
    """One training, and all that is to be measured on it."""

    config: Config
    wanted: tuple[tuple[Setting, Path], ...]
    """Settings, each with the file of its figures."""
    runs: Path


def reproduce(
    settings: Iterable[Setting],
    *,
    out: Path,
    runs: Path,
    seeds: int,
    quick: bool = False,
    data_dir: str | None = None,
    jobs: int = 1,
    say: Callable[[str], None] = lambda words: None,
) -> Iterator[tuple[Setting, int, Figures]]:
    """Train and measure each setting with each seed, or read what was measured before.

    Figures of a config that has changed since are measured again.

    Args:
        settings: what to reproduce.
        out: folder of the figures, a JSON file for each run, and the pictures of seed 0.
        runs: folder of the run folders; a run that was stopped goes on.
        seeds: how many of them, from 0; a setting may ask for fewer.
        quick: a tenth of the epochs; its figures lie apart.
        data_dir: where the data sets' files lie.
        jobs: trainings at a time; more than one are processes of one thread each.
        say: is told in words what could not be measured, because its data are not at hand.

    Yields:
        The setting, the seed and the figures of each run as soon as they are known.
    """
    tasks: dict[Config, list[tuple[Setting, Path]]] = {}
    for setting in settings:
        for seed in range(min(seeds, setting.seeds)):
            config = replace(setting.config, seed=seed, data_dir=data_dir)
            if quick:
                config = replace(config, epochs=max(1, config.epochs // 10))
            place = _place(out, setting, quick)
            result = place.with_name(f"{place.name}-seed{seed}.json")
            tasks.setdefault(config, []).append((setting, result))
    ordered = [_Task(config, tuple(wanted), runs) for config, wanted in tasks.items()]
    if jobs == 1:
        yield from _told(ordered, map(_done, ordered), say)
        return
    # Forked children would inherit the locks of a parent whose threads hold them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from _told(ordered, pool.map(_done, ordered), say)


def found(out: Path, *, quick: bool = False) -> Iterator[tuple[Setting, int, Figures]]:
    """All that has been measured so far, in the catalogue's order."""
    for setting in settings_of(["all"]):
        place = _place(out, setting, quick)
        for path in sorted(place.parent.glob(f"{place.name}-seed*.json"), key=_seed):
            yield setting, _seed(path), json.loads(path.read_text())


def write(path: Path, values: Any) -> None:
    """Write values as JSON, all or nothing."""
    with written(path) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n")


def _told(
    tasks: list[_Task], done: Iterable[str | None], say: Callable[[str], None]
) -> Iterator[tuple[Setting, int, Figures]]:
    for task, trouble in zip(tasks, done, strict=True):
        for setting, result in task.wanted:
            if trouble:
                say(f"{setting.place}, seed {task.config.seed}: not measured: {trouble}")
            else:
                yield setting, task.config.seed, json.loads(result.read_text())


def _done(task: _Task) -> str | None:
    """Have a training and its figures on the disk; says why not where its data are not at hand."""
    missing = [(s, result) for s, result in task.wanted if not _holds(result, task.config)]
    if not missing:
        return None
    try:
        dataset = _dataset(task.config.data, task.config.data_dir)
    except (DownloadError, ValueError) as error:
        return str(error)
    run, seconds = _trained(task, dataset)
    for setting, result in missing:
        figures = measure(run, {target.metric for target in setting.targets}, dataset)
        about = {"seconds": seconds, "versions": versions(), "config": task.config.to_json()}
        if task.config.seed == 0:
            _publish(run, setting, result)
        write(result, figures | about)
    return None


@functools.lru_cache(1)
def _dataset(data: str, data_dir: str | None) -> Dataset:
    return load(data, data_dir)


def _trained(task: _Task, dataset: Dataset) -> tuple[Run, float]:
    """A training's run, and the seconds that it took; a run that was stopped goes on."""
    config = task.config
    name = hashlib.sha256(json.dumps(replace(config, data_dir=None).to_json()).encode())
    folder = task.runs / f"{config.recipe}-{name.hexdigest()[:10]}"
    since = time.perf_counter()
    if (folder / "config.json").exists():
        run = resume(folder, dataset=dataset)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # it was stopped before its first checkpoint
        run = fit(config, folder, dataset=dataset)
    clock = folder / "seconds.json"  # of a run that was stopped, or that is measured again, too
    before: float = json.loads(clock.read_text()) if clock.exists() else 0.0
    write(clock, before + round(time.perf_counter() - since, 1))
    return run, json.loads(clock.read_text())


def _publish(run: Run, setting: Setting, result: Path) -> None:
    """Put a run's pictures beside its figures."""
    for name in setting.pictures:
        picture = run.figures / f"{name}.png"
        if picture.exists():
            result.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, result.parent / f"{setting.name}-{setting.recipe}-{name}.png")


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
