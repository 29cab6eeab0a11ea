"""Examples on the device, handed out in batches that the seed decides.

Only this module knows how they are scaled for a model and back: pixels are bytes in data sets and
lie in [-1, 1] in models; features of rows stay as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aae.autoencoder import Batch, BatchRows
from aae.training.world import ALONE, World


def to_model(images: Tensor) -> Tensor:
    """Byte pictures [n, c, h, w] → float32 in [-1, 1]; rows of features [n, d] stay as they are."""
    return images if images.is_floating_point() else images.float().div_(127.5).sub_(1)


def from_model(x: Tensor) -> Tensor:
    """Decoder output → pictures in [0, 1], clipped; rows [n, d] stay as they are."""
    return x.float() if x.ndim == 2 else to_unit(x)


def within(x: Tensor) -> Tensor:
    """Decoder output, clipped to the range of examples: pixels to [-1, 1], features not at all."""
    return x if x.ndim == 2 else x.clamp(-1, 1)


def to_unit(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] → [0, 1], clipped, as the eye and the plots want them."""
    return (x.float() + 1).div(2).clamp(0, 1)


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
        # A batch of one has no statistics: a remainder of one joins the batch before it.
        full, rest = divmod(self.count, self.batch_size)
        return full + (rest > 1)

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
