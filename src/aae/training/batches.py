"""Pictures on the device, handed out in batches that the seed decides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aae.autoencoder import Batch


def to_model(images: Tensor) -> Tensor:
    """Pictures of bytes [n, c, h, w] → float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_unit(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] → in [0, 1], clipped: what the eye and the plots want."""
    return (x.float() + 1).div(2).clamp(0, 1)


class Batches:
    """A data set resident on a device, as bytes: a batch is an index and a scaling.

    Args:
        images: uint8 [n, c, h, w].
        labels: int64 [n]; -1 where a label must not be used.
        batch_size: pictures in a batch; the last one of an epoch holds the rest.
        device: where to keep them.
        seed: decides the order of each epoch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
    ):
        self.images = torch.from_numpy(images).to(device)
        self._last: tuple[int, Tensor] | None = None
        self.labels = torch.from_numpy(labels).to(device)
        self.batch_size, self.seed = min(batch_size, len(images)), seed

    def __len__(self) -> int:
        """Batches in an epoch."""
        # A batch of one has no statistics: a rest that small joins the batch before it.
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (rest > 1)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the ``start``-th on; the order depends on nothing else."""
        permutation = self._order(number)
        for i in range(start, len(self)):
            end = (i + 1) * self.batch_size if i + 1 < len(self) else None
            yield self.take(permutation[i * self.batch_size : end])

    def at(self, count: int) -> Batch:
        """The ``count``-th batch of an endless stream of epochs."""
        number, start = divmod(count, len(self))
        return next(self.epoch(number, start))

    def _order(self, number: int) -> Tensor:
        """The order of an epoch; the last one is kept, for `at` asks for it batch by batch."""
        if self._last is None or self._last[0] != number:
            source = torch.Generator().manual_seed(_mix(self.seed, number))
            permutation = torch.randperm(len(self.images), generator=source)
            self._last = number, permutation.to(self.images.device)
        return self._last[1]

    def take(self, indices: Tensor) -> Batch:
        """The pictures at some indices."""
        return Batch(to_model(self.images[indices]), self.labels[indices])


def _mix(seed: int, number: int) -> int:
    """One seed from two numbers, such that neighbours share nothing."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
