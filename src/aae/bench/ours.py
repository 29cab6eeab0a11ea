"""Ours: the trainer that every user gets."""

from __future__ import annotations

from contextlib import suppress
from tempfile import TemporaryDirectory

import numpy as np

from aae.bench.contender import CLASSES, Precision, Setup, Train
from aae.data import Dataset
from aae.fit import make_trainer
from aae.run import Run
from aae.splits import Splits
from aae.training.trainer import Observer, Trainer


def ours(setup: Setup, precision: Precision = "auto") -> Train:
    """The trainer of ``aae train gaussian``: its own loop, losses logged, without pictures."""
    images = setup.load()
    labels = np.arange(len(images)) % CLASSES
    classes = tuple(map(str, range(CLASSES)))
    dataset = Dataset("timing", classes, images, labels, images[:1], labels[:1])
    config, pause = setup.config(precision), _Pause()
    with TemporaryDirectory() as folder:
        run = Run.create(folder, config, dataset)
        trainer = make_trainer(run, Splits.of(config, dataset), [pause])

    def train(steps: int) -> None:
        pause.left = steps
        with suppress(_Enough):
            trainer.run()
        assert pause.left == 0

    return train


class _Enough(Exception):  # noqa: N818 - no error: it was asked for
    """The requested number of steps was made."""


class _Pause(Observer):
    """Leaves a training's loop between two steps; the next run goes on from there."""

    left = 0

    def on_step(self, trainer: Trainer) -> None:
        self.left -= 1
        if not self.left:
            raise _Enough
