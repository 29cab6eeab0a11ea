"""``aae train``."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aae import launch
from aae.cli.failures import INTERRUPTED, USAGE
from aae.recipes import RECIPES, recipe
from aae.terminal import console, say, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from aae.config import Config
    from aae.run import Run
    from aae.training.trainer import Observer

_HELP = """\
usage: aae train RECIPE [FLAGS]      train a recipe into a new run folder
       aae train RECIPE --seeds 10   train ten replicas at once, into a folder of run folders
       aae train --resume RUN        go on with a run, or a folder of runs, from where it stopped
       torchrun --nproc-per-node 2 -m aae train …      the same by two processes, a part of each
                                     batch by each

Recipes:
{recipes}

'aae train RECIPE --help' lists the flags with the recipe's defaults, 'aae train --resume --help'
those for going on. With --json the figures come as one JSON object at the end.
"""


def train(args: Sequence[str]) -> int:
    """Train a recipe into a new run folder, or go on with a run."""
    if not args or args[0] in ("-h", "--help"):
        names = (f"  {name:<12}{summary(make)}" for name, make in RECIPES.items())
        print(_HELP.format(recipes="\n".join(names)), end="")
        return 0 if args else USAGE
    from aae.cli.flags import TrainFlags, call, parse

    name, rest = args[0], list(args[1:])
    if name.partition("=")[0] == "--resume":
        _refuse_settings(rest)
        asks = rest[:1] in (["-h"], ["--help"])  # and names no run yet
        return call(_resume, "aae train", rest if asks else args)
    if name.startswith("-"):
        raise ValueError(f"{name} is no recipe, and the recipe comes first: aae train RECIPE "
                         f"{name} …; there are {', '.join(RECIPES)}")  # fmt: skip
    flags = parse(
        TrainFlags, f"aae train {name}", rest,
        default=TrainFlags.of(recipe(name)), description=summary(RECIPES[name]),
    )  # fmt: skip
    if flags.seeds is not None:
        _refuse_several("--seeds trains its runs in processes of their own")
        from aae.cli.replicas import begin_many

        return begin_many(flags.config, flags.seeds, flags.out, json=flags.json)
    return begin(flags.config, flags.out, json=flags.json)


def begin(config: Config, out: Path | None, *, json: bool = False) -> int:
    """Train a config into a new run folder, showing progress and results.

    Args:
        config: the config.
        out: the folder; None for `own_folder`.
        json: see `watched`.
    """
    from aae.cli.inputs import loaded
    from aae.fit import fit

    dataset = loaded(config)
    folder = out or own_folder(config)
    return watched(
        folder, lambda observers: fit(config, folder, observers, dataset=dataset), json=json
    )


def free(folder: Path, name: str) -> Path:
    """The first of ``name-1``, ``name-2``, … in a folder that does not exist yet."""
    places = (folder / f"{name}-{n}" for n in itertools.count(1))
    return next(place for place in places if not place.exists())


def own_folder(config: Config) -> Path:
    """The first free folder in ``runs``, named after the recipe.

    It is chosen once the data are read, as another training may take a name meanwhile.
    """
    return _folder(Path("runs"), config.recipe)


def _folder(parent: Path, name: str) -> Path:
    """The folder for a training that names none; after a restart, the one that it had before."""
    new = free(parent, name)
    number = int(new.name.rpartition("-")[2])
    return parent / f"{name}-{number - 1}" if launch.restarts() and number > 1 else new


def _refuse_several(why: str) -> None:
    """Refuse what several processes cannot do together.

    Raises:
        ValueError: there are several.
    """
    if launch.several():
        raise ValueError(f"{why}: start it without torchrun")


def watched(
    folder: Path,
    training: Callable[[Iterable[Observer]], Run],
    *,
    data_dir: str | None = None,
    json: bool = False,
) -> int:
    """Run a training, and show its progress and results.

    Args:
        folder: its run folder.
        training: a function that trains, given the observers.
        data_dir: where the data set lies now, if elsewhere than the config says.
        json: end with one JSON object on standard output; the rest goes to standard error.

    Returns:
        The exit code.
    """
    from aae import progress
    from aae.fit import Interrupted

    if launch.rank():  # the first process speaks for all
        try:
            training([])
        except Interrupted:
            return INTERRUPTED
        return 0
    shown, began = console(stderr=json), time.monotonic()
    try:
        with progress.shown(shown) as observer:
            run = training([observer])
    except Interrupted as stop:
        say(shown, f"stopped; {stop.place} is saved, go on with: aae train --resume {folder}")
        return INTERRUPTED
    try:
        _conclude(run, time.monotonic() - began, None if json else shown, data_dir)
    except KeyboardInterrupt:
        say(shown, f"stopped; all is trained, make the report by: aae train --resume {folder}")
        return INTERRUPTED
    return 0


def summary(thing: Callable[..., object]) -> str:
    """The first line of a docstring."""
    return (thing.__doc__ or "").strip().partition("\n")[0]


def _refuse_settings(args: Iterable[str]) -> None:
    """Refuse the flags of settings where a run is to go on.

    Raises:
        ValueError: there is one.
    """
    from aae.config import Config
    from aae.hints import flag

    ours = {flag(each.name) for each in dataclasses.fields(Config)} - {"--data-dir", "--device"}
    for token in args:
        name = token.partition("=")[0].replace("_", "-")
        if name.replace("--no-", "--", 1) in ours:
            raise ValueError(
                f"there is no flag {name!r} beside --resume: a run's settings are fixed when it "
                "is made, and others need a new run; see 'aae train --resume --help'"
            )


def _resume(
    *, resume: Path, data_dir: str | None = None, device: str | None = None, json: bool = False
) -> int:
    """Resume a run from its newest checkpoint, as if it had never stopped.

    Args:
        resume: The run folder, or the folder of runs that --seeds made.
        data_dir: Folder that holds the data set's files, if they have moved since the run began.
        device: Device to resume on, if not the one that the run began on.
        json: Print one JSON object at the end, and everything else to standard error.
    """
    from aae import fit
    from aae.cli.replicas import resume_many
    from aae.replicas.training import found

    if found(resume):
        _refuse_several(f"{resume} holds several runs")
        return resume_many(resume, data_dir, device, json=json)
    return watched(
        resume,
        lambda others: fit.resume(resume, others, data_dir=data_dir, device=device),
        data_dir=data_dir,
        json=json,
    )


def merge(
    run: Path, /, *, clusters: int, out: Path, data_dir: str | None = None, json: bool = False
) -> int:
    """Make a run with fewer clusters from one that found more, without training it again.

    Clusters that share pictures are merged.

    Args:
        run: The run folder, of the recipe cluster, or of embed with --labels 0.
        clusters: How many clusters the new run has.
        out: The new run folder.
        data_dir: Folder that holds the data set's files, if they have moved since the run began.
        json: Print one JSON object instead of tables.
    """
    from aae.regroup import regroup
    from aae.run import Run

    since = time.perf_counter()
    merged = regroup(Run(run), clusters, out, data_dir=data_dir)
    seconds = time.perf_counter() - since
    _conclude(merged, seconds, None if json else console(), data_dir)
    return 0


def _conclude(run: Run, seconds: float, shown: Console | None, data_dir: str | None) -> None:
    """Show how a training ended: losses, figures on the validation set, verdict, and paths.

    Args:
        run: the trained run.
        seconds: how long it took.
        shown: the console to show it on; without one, it is printed as JSON.
        data_dir: where the data set lies now, if elsewhere than the config says.
    """
    from aae.cli import tables
    from aae.evaluate import evaluate
    from aae.run_report import write_report

    figures = evaluate(run, split="validation", data_dir=data_dir, judge=False)
    page = write_report(run, figures)
    losses = tables.last_losses(run.records())
    if shown is None:
        show_json(
            {
                "folder": str(run.folder),
                "report": str(page),
                "seconds": round(seconds, 3),
                "losses": losses,
                "figures": figures,
            }
        )
        return
    shown.print(tables.losses(losses), tables.figures(figures), tables.health(figures))
    for name, place in {"run": run.folder, "figures": run.figures, "report": page}.items():
        say(shown, f"{name:<8} {place}")
