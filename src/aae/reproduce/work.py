"""Train and measure settings over seeds; what has been done is not done again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

from aae.config import Config
from aae.data import CacheError, Dataset, DownloadError
from aae.fit import of_data
from aae.replicas import training
from aae.reproduce.catalog import Setting, quickly
from aae.reproduce.catalog import settings as settings_of
from aae.reproduce.curves import curve
from aae.reproduce.measures import measure
from aae.run import Run, versions
from aae.splits import data_of
from aae.storage import read_json, write_json, written

Figures = dict[str, Any]
Say = Callable[[str], None]


def reproduce(
    settings: Iterable[Setting],
    *,
    out: Path,
    runs: Path,
    seeds: int,
    quick: bool = False,
    data_dir: str | None = None,
    say: Say = lambda words: None,
) -> Iterator[tuple[Setting, int, Figures]]:
    """Train and measure each setting with each seed, or read what was measured before.

    The seeds of a setting are trained at once, in the way of `aae.replicas` on this machine;
    settings that need the same training share it. Figures are measured again if the config has
    changed or a figure was added since. On a CPU this starts processes: a script must call it under
    ``if __name__ == "__main__":``.

    Args:
        settings: what to reproduce.
        out: folder of the figures, a JSON file for each run, and the pictures of seed 0.
        runs: folder of the run folders; stopped trainings continue.
        seeds: the number of seeds, counted from 0.
        quick: see `quickly`; its figures are kept apart.
        data_dir: where the data sets' files are.
        say: is told in words how it is done, and what could not be measured.

    Yields:
        The setting, the seed and the figures of each run as soon as they are known.

    Raises:
        Interrupted: on Ctrl-C, after a checkpoint of each training.
    """
    sharing: dict[Config, list[Setting]] = {}
    for setting in map(quickly, settings) if quick else settings:
        config = replace(setting.config, data_dir=data_dir)
        sharing.setdefault(config, []).append(setting)
    for config, wanted in sharing.items():
        places = {
            (setting, seed): _figures_at(out, setting, seed, quick)
            for setting in wanted
            for seed in range(seeds)
        }
        missing = {
            (setting, seed): place
            for (setting, seed), place in places.items()
            if not _holds(place, setting, seed)
        }
        if missing:
            try:
                _work(config, missing, runs, say)
            except (CacheError, DownloadError, ValueError) as error:  # as of data not at hand
                for name in dict.fromkeys(setting.place for setting, _ in missing):
                    say(f"{name}: not measured: {error}")
        for (setting, seed), place in places.items():
            if _holds(place, setting, seed):
                yield setting, seed, read_json(place)


def found(out: Path, *, quick: bool = False) -> Iterator[tuple[Setting, int, Figures]]:
    """All figures measured so far of the configs as they are now, in the catalogue's order."""
    for whole in settings_of(["all"]):
        setting = quickly(whole) if quick else whole
        first = _figures_at(out, setting, 0, quick)
        every = first.parent.glob(first.name.replace("seed0", "seed*"))
        for path in sorted(every, key=_seed):
            if _holds(path, setting, _seed(path)):
                yield setting, _seed(path), read_json(path)


def _work(config: Config, missing: dict[tuple[Setting, int], Path], runs: Path, say: Say) -> None:
    """Train and measure what is missing of one config."""
    dataset = data_of(config)
    trained = _trained(config, sorted({seed for _, seed in missing}), runs, dataset, say)
    for (setting, seed), place in missing.items():
        if seed not in trained:
            continue
        run, seconds = trained[seed]
        figures = measure(run, {target.metric for target in setting.targets}, dataset)
        if seed == 0:
            _publish(run, setting, place)
        # Figures are published, and where the data were is of no use to others.
        kept = replace(run.config, data_dir=None).to_json()
        about = {"seconds": seconds, "versions": versions(), "config": kept}
        write_json(place, figures | about | {"curve": curve(run)})


def _trained(
    config: Config, seeds: list[int], runs: Path, dataset: Dataset, say: Say
) -> dict[int, tuple[Run, float]]:
    """The finished run of each seed, and its share of the seconds that all took."""
    name = hashlib.sha256(json.dumps(replace(config, data_dir=None).to_json()).encode())
    folder = runs / f"{config.recipe}-{name.hexdigest()[:10]}"
    whole = of_data(config, dataset)
    names = {seed: f"seed-{seed}" for seed in seeds}
    for seed, each in names.items():
        if not (folder / each / "config.json").exists():
            Run.create(folder / each, replace(whole, seed=seed), dataset)
    made, _ = training.opened(folder, names.values())
    ahead = [run for run in made.values() if run.epochs_done < config.epochs]
    since = time.perf_counter()
    try:
        outcome = training.resume(
            folder, names=names.values(), dataset=dataset, data_dir=config.data_dir, say=say
        )
    finally:  # a training that is stopped has taken its time, too
        share = (time.perf_counter() - since) / max(1, len(ahead))
        for run in ahead:
            write_json(_clock(run), _seconds(run) + share)
    for lost, words in outcome.failed.items():
        say(f"{folder / lost}: {words}")
    finished = {seed: outcome.finished.get(each) for seed, each in names.items()}
    return {seed: (run, round(_seconds(run), 1)) for seed, run in finished.items() if run}


def _clock(run: Run) -> Path:
    return run.folder / "seconds.json"


def _seconds(run: Run) -> float:
    """How long a run has been trained so far."""
    place = _clock(run)
    return float(read_json(place)) if place.exists() else 0.0


def _publish(run: Run, setting: Setting, place: Path) -> None:
    """Copy a run's pictures to a place beside its figures."""
    for name in setting.pictures:
        picture = run.figures / f"{name}.png"
        if picture.exists():
            with written(place.parent / f"{setting.name}-{setting.recipe}-{name}.png") as aside:
                copyfile(picture, aside)


def _holds(place: Path, setting: Setting, seed: int) -> bool:
    """Whether a file has all figures of a setting, measured with its config as it is now."""
    if not place.exists():
        return False
    told = read_json(place)
    try:
        config = Config.from_json(told["config"])
    except ValueError:  # it was made when a config had other fields
        return False
    return config == replace(setting.config, seed=seed, data_dir=None) and all(
        target.metric in told for target in setting.targets
    )


def _figures_at(out: Path, setting: Setting, seed: int, quick: bool) -> Path:
    place = (out / "quick" if quick else out) / setting.place
    return place.with_name(f"{place.name}-seed{seed}.json")


def _seed(path: Path) -> int:
    return int(path.stem.rpartition("seed")[2])
