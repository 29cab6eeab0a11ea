"""A training in memory: the same trainer as the command line's, without a folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from aae.autoencoder import Autoencoder
from aae.config import Config
from aae.fit import new_trainer, validates
from aae.progress import shown
from aae.splits import Part
from aae.terminal import console
from aae.training.trainer import DivergedError, Observer, Record, Trainer

FEW = 2
"""The fewest examples that a training needs."""


def train(
    model: Autoencoder,
    config: Config,
    part: Part,
    held_out: Part | None,
    *,
    state: dict[str, Any] | None,
    patience: int,
    verbose: int,
) -> tuple[dict[str, Any], list[Record]]:
    """Train a model to its config's last epoch.

    Args:
        model: the model, on its device; changed in place.
        config: its config.
        part: what to train on.
        held_out: if given, the training stops when it no longer improves on these.
        state: a trainer's state to resume from.
        patience: epochs without a new best on ``held_out`` after which it stops.
        verbose: above 0, show progress.

    Returns:
        The trainer's state, and a record for each epoch.
    """
    history = _History()
    trainer = new_trainer(model, config, part)
    if state is not None:
        trainer.load_state(state)  # which copies what it changes
    with _told(verbose) as told:
        if held_out is None:
            trainer.observers = (history, *told)
            trainer.run()
            return trainer.state(), history.records
        best = _Best(patience)
        trainer.observers = (history, *told, best)
        with suppress(_NoBetter):
            trainer.run(validates(trainer, held_out))
        if not best.weights:
            raise DivergedError(
                "the error on held-out examples was never a finite number; take a lower lr"
            )
        model.load_state_dict(best.weights)
        return best.state, history.records


@contextmanager
def _told(verbose: int) -> Iterator[tuple[Observer, ...]]:
    if verbose <= 0:
        yield ()
        return
    with shown(console()) as observer:
        yield (observer,)


class _History(Observer):
    """Keeps all records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        self.records.append(record)


class _NoBetter(Exception):  # noqa: N818 - no error: it was asked for
    """A training has not improved for as long as it may wait."""


class _Best(Observer):
    """Keeps the best state on held-out examples, and stops a training that is past it.

    The best state has the least cross-entropy if labels are held out and the model classifies,
    else the least reconstruction error. The adversarial losses do not count: they are those of a
    game, and do not say how good a model is.
    """

    def __init__(self, patience: int):
        self.patience, self.waited, self.least = patience, 0, float("inf")
        self.record: Record = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.state: dict[str, Any] = {}

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        if record["split"] == "validation":
            self.record = record

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        now = float(self.record.get("classification", self.record["reconstruction"]))
        self.waited += 1
        if now < self.least:
            self.waited, self.least = 0, now
            self.weights = copy.deepcopy(trainer.model.state_dict())
            self.state = copy.deepcopy(trainer.state())
        elif self.waited >= self.patience:
            raise _NoBetter
