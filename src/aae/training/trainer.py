"""The loop: it knows steps, epochs and its own state, and no variant of a model."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from aae.autoencoder import Autoencoder, Batch
from aae.config import Config
from aae.training.batches import Epochs
from aae.training.fast import FastAlternatingStep, FastJointStep
from aae.training.finite import Fault
from aae.training.optimizers import learning_rate
from aae.training.step import AlternatingStep, JointStep, Losses, Step
from aae.training.world import ALONE, World

Record = dict[str, float | int | str]
_NOT_FIGURES = frozenset({"step", "epoch", "split", "learning_rate", "images_per_second"})

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a training is; with weights, optimisers and generator, this is all its state."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches finished in the current epoch."""
    count: int = 0
    """Steps made in all."""
    sums: Losses = field(default_factory=dict)
    """Sums of the losses since the epoch began, on the device, so that adding does not wait."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many losses each sum holds."""

    def add(self, losses: Losses) -> None:
        """Add one step's losses."""
        self.batch += 1
        self.count += 1
        for name, loss in losses.items():
            self.sums[name] = self.sums[name] + loss if name in self.sums else loss
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Mean losses since the epoch began."""
        return {
            name: float(total) / self.counts[name]
            for name, total in self.sums.items()
            if self.counts[name]  # all of them may have been skipped
        }

    def finish_epoch(self) -> None:
        """Start the next epoch afresh."""
        self.epoch, self.batch, self.sums, self.counts = self.epoch + 1, 0, {}, {}


STEPS: dict[str, type[Step]] = {
    "joint": FastJointStep,
    "joint-plain": JointStep,
    "alternating": FastAlternatingStep,
    "alternating-plain": AlternatingStep,
}
PLAIN: dict[type[Step], type[Step]] = {
    FastJointStep: JointStep,
    FastAlternatingStep: AlternatingStep,
}
"""What the fast steps are compared with, and what takes their place where they do not hold."""


def make_step(model: Autoencoder, config: Config, world: World = ALONE) -> Step:
    """The step that a config names, made by one process or several together."""
    kind = STEPS[config.step]
    learning = all(config.weights[f"discriminator_{code}"] for code in model.adversaries)
    if kind is FastJointStep and not learning:
        kind = JointStep  # a discriminator that does not learn has no gradient to share
    if any(adversary.critic.mixes_rows for adversary in model.adversaries.values()):
        kind = PLAIN.get(kind, kind)  # prior samples and codes must not be read as one batch
    return kind(model, config, world=world)


def figures_in(record: Record) -> dict[str, float]:
    """The losses and figures of a record, without when and where they were measured.

    >>> figures_in({"step": 40, "epoch": 2, "split": "train", "reconstruction": 31.24})
    {'reconstruction': 31.24}
    """
    return {name: float(value) for name, value in record.items() if name not in _NOT_FIGURES}


class DivergedError(RuntimeError):
    """A loss is no longer a finite number."""


class Observer:
    """Hears how a training goes; override the methods that you need."""

    def on_step(self, trainer: Trainer) -> None:
        """After each step."""

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """Every ``log_every`` steps and at each epoch's end, with its mean losses so far."""

    def on_epoch(self, trainer: Trainer) -> None:
        """After each epoch."""


class Trainer:
    """Trains a model on batches until the config's last epoch.

    Args:
        model: the model, on its device.
        config: the config.
        batches: the training pictures; labels that must not be used are -1.
        labelled: the labelled pictures alone, for phases that need only those.
        observers: hear of its steps, logs and epochs.
        step: makes the step of a model and a config.
    """

    def __init__(
        self,
        model: Autoencoder,
        config: Config,
        batches: Epochs,
        labelled: Epochs | None = None,
        observers: Iterable[Observer] = (),
        *,
        step: Callable[[Autoencoder, Config], Step] = make_step,
    ):
        self.model, self.config = model, config
        self.batches, self.labelled = batches, labelled
        self.observers = tuple(observers)
        self.step = step(model, config)
        self.generator = torch.Generator(self.step.device).manual_seed(config.seed)
        self.progress = Progress()
        # A CPU has the answer at hand. Another device would have to be waited for, so it is asked
        # when losses are read anyway. Meanwhile nothing is lost: what is not finite makes no
        # update.
        self._looks_at_once = self.step.device.type == "cpu"
        self._heed = {"stop": self._stop, "skip": self._skip}[config.on_nonfinite]
        self.left = ""
        """What is left where the training diverges, a sentence for the error."""

    def run(self, validate: Callable[[], Record] | None = None) -> None:
        """Train from the current point to the last epoch.

        Args:
            validate: gives the validation figures; called after each epoch.
        """
        while self.progress.epoch < self.config.epochs:
            with _collector_at_rest():
                self._epoch()
            self.conclude_epoch(validate)

    def _epoch(self) -> None:
        progress = self.progress
        self.model.train()
        since, pictures = time.perf_counter(), 0
        for batch in self.batches.epoch(progress.epoch, progress.batch):
            self.step.prepare(progress.epoch, progress.count)
            losses = self.step(batch, self._labelled_batch, progress.count, self.generator)
            progress.add(losses)
            if self._looks_at_once:
                self._look()
            first, end = self.batches.span(progress.batch - 1)
            pictures += end - first
            if progress.count % self.config.log_every == 0 or progress.batch == len(self.batches):
                self._look()  # waits for a GPU, whose time counts
                self._log(pictures / (time.perf_counter() - since))
                since, pictures = time.perf_counter(), 0
            for observer in self.observers:
                observer.on_step(self)
        progress.finish_epoch()

    def _log(self, speed: float) -> None:
        """Tell observers the mean losses so far and the speed in pictures a second."""
        means = self.progress.means()
        self._refuse_divergence(means)
        rate = learning_rate(self.config, self.progress.epoch, self.progress.count - 1)
        speed = round(speed, 1)
        self._tell({"split": "train", **means, "images_per_second": speed, "learning_rate": rate})

    def conclude_epoch(self, validate: Callable[[], Record] | None = None) -> None:
        """Have the model learn what no loss tells it, and tell the observers; see `run`."""
        # Where no step was left of the epoch, as after a stop, none has prepared the loss.
        self.step.prepare(self.progress.epoch - 1, self.progress.count)
        self.model.eval()
        self.model.settle(batch.x for batch in self.batches.epoch(self.progress.epoch))
        self.step.watch.remember()  # a step that is not finite must not undo it
        if validate is not None:
            self._tell({"split": "validation", **validate()})
        for observer in self.observers:
            observer.on_epoch(self)

    def _look(self) -> None:
        """Check whether a step was not finite, and act on it."""
        for fault in self.step.watch.look().values():
            self._heed(fault)

    def _stop(self, fault: Fault) -> None:
        raise DivergedError(
            f"{fault}; lower --lr, or take --precision float32 or --on-nonfinite skip{self.left}"
        )

    def _skip(self, fault: Fault) -> None:
        for name, count in fault.missed.items():
            self.progress.counts[name] -= count
        most = max(fault.missed.values())
        logger.warning("%s; skipped%s", fault, f", with {most - 1} more" if most > 1 else "")

    def _refuse_divergence(self, means: dict[str, float]) -> None:
        lost = [name for name, mean in means.items() if not math.isfinite(mean)]
        if lost:
            raise DivergedError(
                f"the training diverged by step {self.progress.count}: the loss of {lost[0]} is not"
                f" finite; lower --lr or take --precision float32{self.left}"
            )

    def _labelled_batch(self) -> Batch:
        assert self.labelled is not None
        return self.labelled.at(self.progress.count // self.config.classification_every)

    def _tell(self, figures: Record) -> None:
        progress = self.progress
        record: Record = {
            "step": progress.count,
            "epoch": round(progress.epoch + progress.batch / len(self.batches), 4),
            **figures,
        }
        for observer in self.observers:
            observer.on_log(self, record)

    def state(self) -> dict[str, Any]:
        """What the rest of the training depends on besides the weights: tensors, plain values."""
        self._look()  # no checkpoint may follow an unseen fault
        progress = self.progress
        return {
            "progress": {
                "epoch": progress.epoch,
                "batch": progress.batch,
                "count": progress.count,
                "sums": {name: total.cpu() for name, total in progress.sums.items()},
                "counts": progress.counts,
            },
            "optimizers": self.step.state(),
            "generator": self.generator.get_state(),
            "device": self.step.device.type,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave.

        Raises:
            KeyError: something is missing.
            ValueError: it is not the state of such a training.
        """
        progress = dict(state["progress"])
        totals, counts = progress["sums"], progress["counts"]
        # In the order of the phases, which a file of tensors does not keep.
        sums = {name: totals[name].to(self.step.device) for name in counts}
        numbers = [progress[name] for name in ("epoch", "batch", "count")]
        if (
            any(type(number) is not int or number < 0 for number in [*numbers, *counts.values()])
            or any(total.dim() for total in sums.values())
            or totals.keys() != counts.keys()
        ):
            raise ValueError("its progress is none")
        epoch, batch, count = numbers
        self.progress = Progress(epoch, batch, count, sums, dict(counts))
        self.step.load_state(state["optimizers"])
        if state["device"] == self.step.device.type:
            self.generator.set_state(state["generator"])
        else:  # another kind of device has another kind of generator: seed it anew, differently
            self.generator.manual_seed(self.config.seed + self.progress.count)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Pause garbage collection, 5 % of a step: a step makes thousands of objects, but no cycles."""
    awake = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if awake:
            gc.enable()
