"""Examples on the device, handed out in batches that the seed decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aae.autoencoder import Batch, BatchRows
from aae.pixels import to_model
from aae.training.world import ALONE, World


def batches_in(count: int, batch_size: int) -> int:
    """How many batches an epoch of ``count`` examples has."""
    # A batch of one has no statistics: a remainder of one joins the batch before it.
    full, rest = divmod(count, min(batch_size, count))
    return full + (rest > 1)


class Epochs(ABC):
    """The source of a training's batches: epochs, each in its own order.

    Args:
        count: pictures in an epoch.
        batch_size: pictures in a batch; the last one of an epoch holds the rest.
        seed: decides the order of each epoch.
        world: the processes that share each batch.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int, world: World = ALONE):
        self.count, self.batch_size, self.seed = count, min(batch_size, count), seed
        self.world = world

    def __len__(self) -> int:
        """Batches in an epoch."""
        return batches_in(self.count, self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the ``start``-th on; ``start`` does not change the order."""
        for i in range(start, len(self)):
            yield self.batch(number, i)

    def at(self, count: int) -> Batch:
        """The ``count``-th batch of an endless stream of epochs."""
        return self.batch(*divmod(count, len(self)))

    def span(self, i: int) -> tuple[int, int]:
        """Where in an epoch's order its ``i``-th batch begins and ends."""
        end = (i + 1) * self.batch_size if i + 1 < len(self) else self.count
        return i * self.batch_size, end

    @abstractmethod
    def batch(self, number: int, i: int) -> Batch:
        """The ``i``-th batch of an epoch."""


class Batches(Epochs):
    """A data set kept on a device, pictures as bytes: a batch takes an indexing and a scaling.

    Args:
        images: pictures uint8 [n, c, h, w], or rows float32 [n, d].
        labels: int64 [n]; -1 where a label must not be used.
        batch_size: see `Epochs`.
        device: where to keep them.
        seed: see `Epochs`.
        world: see `Epochs`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        world: World = ALONE,
    ):
        super().__init__(len(images), batch_size=batch_size, seed=seed, world=world)
        self.images = torch.from_numpy(images).to(device)
        self._last: tuple[int, Tensor] | None = None
        self.labels = torch.from_numpy(labels).to(device)

    def batch(self, number: int, i: int) -> Batch:
        """See `Epochs.batch`."""
        start, end = self.span(i)
        return self.take(*self.world.part(self._order(number)[start:end]))

    def _order(self, number: int) -> Tensor:
        """The order of an epoch; the last one is kept, as batches are requested one by one."""
        if self._last is None or self._last[0] != number:
            order = torch.randperm(self.count, generator=seeded(self.seed, number))
            self._last = number, order.to(self.images.device)
        return self._last[1]

    def take(self, indices: Tensor, rows: BatchRows | None = None) -> Batch:
        """The examples at some indices; ``rows`` says which rows of a batch they are."""
        return Batch(to_model(self.images[indices]), self.labels[indices], rows)


def seeded(*numbers: int) -> torch.Generator:
    """A generator seeded by several numbers; neighbouring numbers give unrelated streams."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)
