"""Train many configs into a folder of run folders, by the engine that suits the device.

On a CPU, replicas run in processes that share its cores. On a GPU, those that differ only in their
seeds make their steps together. Which is faster on which was measured (CONTRIBUTING.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from aae.config import Config
from aae.data import Dataset
from aae.fit import asked_to_stop, of_data
from aae.progress import News
from aae.replicas.outcome import Outcome, Stopped
from aae.replicas.processes import in_processes
from aae.replicas.together import in_step
from aae.run import Run, refuse_unfit, refuse_used
from aae.splits import Splits, data_of
from aae.training.device import choose_device


def seeds(config: Config, count: int) -> dict[str, Config]:
    """One config with ``count`` seeds, starting at its own, by the names for their runs.

    >>> from aae.recipes import gaussian
    >>> {name: config.seed for name, config in seeds(gaussian(), 2).items()}
    {'seed-0': 0, 'seed-1': 1}
    """
    if count < 1:
        raise ValueError(f"--seeds must be at least 1, not {count}")
    numbers = range(config.seed, config.seed + count)
    return {f"seed-{number}": replace(config, seed=number) for number in numbers}


def fit(
    configs: Mapping[str, Config],
    folder: Path | str,
    *,
    dataset: Dataset | None = None,
    tell: Callable[[News], None] = lambda news: None,
    say: Callable[[str], None] = lambda words: None,
) -> Outcome:
    """Train many configs, each into a new run folder of its own in ``folder``.

    On a CPU this starts processes: a script must call it under ``if __name__ == "__main__":``.

    Args:
        configs: what to train, by the names of the run folders.
        folder: where to put the run folders; it must be empty or not exist.
        dataset: the data set of all configs, if it is loaded already.
        tell: is told how each training goes.
        say: is told, in a sentence, how they are run.

    Raises:
        ValueError: a config and its data do not fit each other, or the folder is in use.
        Stopped: on Ctrl-C, after a checkpoint of each that runs; `resume` goes on with all.
    """
    for name in configs:
        if Path(name).name != name:
            raise ValueError(f"{name!r} cannot be the name of a folder: take one without a path")
    folder = Path(folder)
    refuse_used(folder)
    sources = {config.source: config for config in configs.values()}
    data = {source: dataset or data_of(config) for source, config in sources.items()}
    for config in configs.values():  # refuses before there is a folder
        Splits.to_train(config, data[config.source])
        choose_device(config.device)
    for config in {config.of_any_seed: config for config in configs.values()}.values():
        refuse_unfit(config, data[config.source])
    for name, config in configs.items():
        own = data[config.source]
        Run.create(folder / name, of_data(config, own), own)
    return resume(folder, dataset=dataset, tell=tell, say=say)


def resume(
    folder: Path | str,
    *,
    names: Collection[str] | None = None,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    device: str | None = None,
    tell: Callable[[News], None] = lambda news: None,
    say: Callable[[str], None] = lambda words: None,
) -> Outcome:
    """Continue the unfinished runs in a folder, each as if it had never stopped.

    Args:
        folder: what `fit` made.
        names: those of the runs to see to; all by default.
        dataset: see `fit`.
        data_dir: where the data are now, if not where the configs say.
        device: where to continue, if not where the configs say.
        tell: see `fit`.
        say: see `fit`.

    Raises:
        ValueError: a run that is named is not there.
        Stopped: see `fit`.
    """
    there = found(folder)
    if absent := set(names or ()).difference(there):
        raise ValueError(
            f"{folder} holds no run {', '.join(sorted(absent))}: name some of "
            f"{', '.join(there) or 'none'}, or leave names out for all"
        )
    runs, failed = opened(folder, there if names is None else [n for n in there if n in names])
    ahead = {name: run for name, run in runs.items() if run.epochs_done < run.config.epochs}
    for run in ahead.values():
        run.config = replace(
            run.config, device=device or run.config.device, data_dir=data_dir or run.config.data_dir
        )
    if ahead:
        kinds = {choose_device(run.config.device).type for run in ahead.values()}
        engine = in_processes if kinds == {"cpu"} else in_step
        with asked_to_stop() as asked:
            try:
                failed |= engine(Path(folder), ahead, dataset, asked, tell, say)
            except Stopped as stop:
                stop.failed |= failed
                raise
    return Outcome({name: run for name, run in runs.items() if name not in failed}, failed)


def found(folder: Path | str) -> list[str]:
    """The names of the runs in a folder, seed-2 before seed-10; none if it is a run itself."""
    folder = Path(folder)
    if (folder / "config.json").exists():
        return []
    places: Iterable[Path] = (place.parent for place in folder.glob("*/config.json"))
    return sorted((place.name for place in places), key=lambda name: (len(name), name))


def opened(folder: Path | str, names: Iterable[str]) -> tuple[dict[str, Run], dict[str, str]]:
    """The runs of these names in a folder, and what is wrong with those that are damaged."""
    runs, damaged = dict[str, Run](), dict[str, str]()
    for name in names:
        try:
            run = Run(Path(folder) / name)
            _ = run.epochs_done  # refuses where no checkpoint is whole
        except (ValueError, OSError) as error:
            damaged[name] = str(error)
        else:
            runs[name] = run
    return runs, damaged
