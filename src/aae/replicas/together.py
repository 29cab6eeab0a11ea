"""The engine for a GPU: replicas that differ only in their seeds are one batched computation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from aae import fit
from aae.data import Dataset
from aae.fit import Interrupted, make_trainer, watched
from aae.observers import Keeper
from aae.progress import Herald, News
from aae.replicas.outcome import Stopped
from aae.run import Run
from aae.splits import Splits
from aae.storage import locked
from aae.training import checkpoint
from aae.training.group import Group
from aae.training.stacked import can_be_stacked, lone_step
from aae.training.trainer import DivergedError, Observer, Trainer


def in_step(
    folder: Path,
    runs: dict[str, Run],
    dataset: Dataset | None,
    asked: Callable[[], bool],
    tell: Callable[[News], None],
    say: Callable[[str], None],
) -> dict[str, str]:
    """Train runs from their newest checkpoints, together where their steps can be made together.

    Args:
        folder: where the runs are.
        runs: the runs, by name.
        dataset: the data set of all runs, if it is loaded already.
        asked: whether to save all and stop; called after each step.
        tell: is told how each training goes.
        say: is told, in a sentence, how they are run.

    Returns:
        What went wrong, by the name of the run.

    Raises:
        Stopped: it was asked to stop.
    """
    failed: dict[str, str] = {}
    for group in _groups(runs):
        names = ", ".join(group)
        if len(group) > 1:
            say(f"{names}: {len(group)} replicas in one batched computation")
            train = _together
        else:
            say(f"{names}: by itself: no other is at its step and differs by its seed alone")
            train = _alone
        try:
            train(folder, group, dataset, asked, tell, failed)
        except Interrupted:
            raise Stopped(folder, failed) from None
        except (ValueError, OSError, RuntimeError) as error:
            for name in group:
                failed.setdefault(name, str(error))
    return failed


def _groups(runs: dict[str, Run]) -> list[dict[str, Run]]:
    """Runs in groups that differ only in their seeds and are at the same step."""

    def kind(item: tuple[str, Run]) -> tuple[str, str]:
        name, run = item
        place = checkpoint.newest(run.checkpoints)
        alone = "" if can_be_stacked(run.config) else name
        return repr(run.config.of_any_seed) + alone, place.name if place else ""

    return [dict(group) for _, group in groupby(sorted(runs.items(), key=kind), kind)]


def _alone(
    folder: Path,
    runs: dict[str, Run],
    dataset: Dataset | None,
    asked: Callable[[], bool],
    tell: Callable[[News], None],
    failed: dict[str, str],
) -> None:
    """Train one run as if there were no others; see `_together`."""
    for name, run in runs.items():
        fit.resume(
            folder / name,
            [Herald(name, tell)],
            dataset=dataset,
            data_dir=run.config.data_dir,
            device=run.config.device,
            stop=asked,
        )


def _together(
    folder: Path,
    runs: dict[str, Run],
    dataset: Dataset | None,
    asked: Callable[[], bool],
    tell: Callable[[News], None],
    failed: dict[str, str],
) -> None:
    """Train runs in one batched computation; see `in_step`, whose result is put into ``failed``."""
    names: dict[Trainer, str] = {}
    keepers: dict[Trainer, Keeper] = {}
    validates = []
    with ExitStack() as watching:
        for name, run in runs.items():
            dataset = dataset or run.dataset()
            splits = Splits.of(run.config, dataset)
            watching.enter_context(locked(run.folder))
            trainer = make_trainer(run, splits, step=lone_step)
            keeper = watching.enter_context(watched(run, splits, trainer, [Herald(name, tell)]))
            names[trainer], keepers[trainer] = name, keeper
            validates.append(fit.validates(trainer, splits.validation))
        group = Group(list(names), validates)

        def save() -> None:
            for member in group.hand_out():
                keepers[member].save(member)

        def late() -> bool:
            return any(keepers[member].is_late() for member in names if member not in group.lost)

        group.observers = (_Saver(folder, save, late, asked),)
        try:
            group.run()
        except DivergedError:
            assert len(group.lost) == len(names)
        finally:
            failed.update({names[member]: str(why) for member, why in group.lost.items()})


class _Saver(Observer):
    """Saves all trainings when it is time and ends them when asked, between two steps."""

    def __init__(
        self,
        folder: Path,
        save: Callable[[], None],
        late: Callable[[], bool],
        asked: Callable[[], bool],
    ):
        self.folder, self.save, self.late, self.asked = folder, save, late, asked

    def on_step(self, trainer: Trainer) -> None:
        """See `Observer.on_step`."""
        asked = self.asked()
        if asked or self.late():
            self.save()
        if asked:
            raise Interrupted(self.folder)
