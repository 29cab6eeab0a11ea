"""Pictures in files, read ahead of the training that needs them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aae.autoencoder import Batch, BatchRows
from aae.data import Stored
from aae.training.batches import Batches, Epochs, seeded
from aae.training.world import ALONE, World

BLOCK = 64 * 2**10
"""Bytes of neighbouring pictures that are read together. From a disk, pictures of 28×28 came at
300,000 a second in this way and at 22,000 one by one; from the system's memory, at two million
either way."""
WINDOW = 16 * 2**20
"""Least bytes of pictures that are shuffled together; two such windows are in memory."""


@dataclass(frozen=True)
class Window:
    """The pictures that this process needs from a window, and where each batch's are in it."""

    pictures: Batches
    batches: list[tuple[Tensor, BatchRows | None]]


class Stream(Epochs):
    """A data set in files: a thread reads the next pictures while a training uses earlier ones.

    An epoch has every picture once, in an order that depends only on seed, epoch and batch size.
    Blocks of neighbours (64 KB) are put in random order, and each window of that order (16 MB, in
    whole batches) is shuffled. So a batch comes from some 250 random places, whatever the order of
    the files; but pictures of one block share a window. Pictures of more than 32 KB are blocks by
    themselves: their order is as random as that of `Batches`.

    Args:
        images: uint8 [n, c, h, w], in files.
        labels: int64 [n]; -1 where a label must not be used.
        batch_size: see `Epochs`.
        device: where batches are put.
        seed: see `Epochs`.
        world: see `Epochs`; each process reads only its own rows.
    """

    def __init__(
        self,
        images: Stored,
        labels: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        world: World = ALONE,
    ):
        super().__init__(len(images), batch_size=batch_size, seed=seed, world=world)
        self.images, self.labels, self.device = images, labels, device
        size = images.nbytes // len(images)
        self.block = max(1, BLOCK // size)
        """Pictures in a block."""
        self.length = -(-WINDOW // (size * self.batch_size))
        """Batches in a window."""
        self.windows = -(-len(self) // self.length)
        """Windows in an epoch; their numbers continue from one epoch to the next."""
        self._reader = ThreadPoolExecutor(1, "pictures")
        self._now: tuple[int, Window] | None = None
        self._next: tuple[int, Future[Window]] | None = None

    def batch(self, number: int, i: int) -> Batch:
        """See `Epochs.batch`."""
        window, within = divmod(i, self.length)
        k = number * self.windows + window
        read = self._window(k)
        return read.pictures.take(*read.batches[within])

    def _window(self, k: int) -> Window:
        """The k-th window; the next one is read meanwhile."""
        if self._now is None or self._now[0] != k:
            if self._next is None or self._next[0] != k:
                self._next = k, self._reader.submit(self._read, k)
            window = self._next[1].result()
            self._now = k, window
            self._next = k + 1, self._reader.submit(self._read, k + 1)
        return self._now[1]

    def _read(self, k: int) -> Window:
        members = self._members(k)
        order = torch.randperm(len(members), generator=seeded(self.seed, k)).numpy()
        parts = [self.world.part(order[a:b]) for a, b in self._spans(k)]
        asked, places = np.unique(np.concatenate([own for own, _ in parts]), return_inverse=True)
        chosen = members[asked]
        pinned = self.device.type == "cuda"
        images = torch.empty(
            len(chosen), *self.images.shape[1:], dtype=torch.uint8, pin_memory=pinned
        ).numpy()
        self.images[chosen].read(images)
        pictures = Batches(
            images, self.labels[chosen],
            batch_size=self.batch_size, device=self.device, seed=self.seed,
        )  # fmt: skip
        batches = torch.from_numpy(places).to(self.device).split([len(own) for own, _ in parts])
        return Window(pictures, [(at, rows) for at, (_, rows) in zip(batches, parts, strict=True)])

    def _spans(self, k: int) -> list[tuple[int, int]]:
        """Where each batch of a window begins and ends in it."""
        first = k % self.windows * self.length
        spans = [self.span(i) for i in range(first, min(first + self.length, len(self)))]
        return [(a - spans[0][0], b - spans[0][0]) for a, b in spans]

    def _members(self, k: int) -> np.ndarray:
        """The numbers of a window's pictures, sorted, the best order to read them in."""
        number, window = divmod(k, self.windows)
        start, _ = self.span(window * self.length)
        end = start + self._spans(k)[-1][1]
        firsts = np.arange(0, self.count, self.block)
        # The third number makes the blocks' order independent of that within windows.
        order = torch.randperm(len(firsts), generator=seeded(self.seed, number, 1)).numpy()
        firsts = firsts[order]
        lasts = np.minimum(firsts + self.block, self.count)
        ends = np.cumsum(lasts - firsts)
        a, b = np.searchsorted(ends, start, side="right"), np.searchsorted(ends, end)
        blocks = zip(firsts[a : b + 1], lasts[a : b + 1], strict=True)
        members = np.concatenate([np.arange(first, last) for first, last in blocks])
        skipped = start - (ends[a] - (lasts[a] - firsts[a]))
        return np.sort(members[skipped : skipped + end - start])
