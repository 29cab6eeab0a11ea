"""What contenders are given, and how they are timed.

A contender is a function that takes a `Setup` and returns a function that trains on a number of
batches. Each trains the same networks on the same pictures in its own way: `ours`, `plain`,
`rival`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch

from aae.bench.machine import peak_memory, synchronize
from aae.config import Config
from aae.recipes import recipe

Train = Callable[[int], None]
"""Trains on the given number of further batches."""
Precision = Literal["auto", "float32", "bf16"]
CLASSES = 10
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every contender is given."""

    images: Path
    """A .npy file of pictures, uint8 [n, c, h, w]."""
    pictures: int
    """How many to train on; where the file has fewer, they are repeated."""
    threads: int
    device: str
    """"cpu" or "cuda"."""
    hidden: int = 1000
    latent_dim: int = 2
    batch_size: int = 128
    warm_up: int = 150
    """Batches before the first timing. Numbers below 1e-38, which slow a processor down, take about
    a hundred steps to appear in Adam's moments."""
    warm_up_seconds: float = math.inf
    """Seconds after which fewer batches are enough."""
    steps: int = 20
    """Batches in one timing."""

    @property
    def epoch(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self.pictures / self.batch_size)

    def config(self, precision: Precision = "auto") -> Config:
        """The recipe ``gaussian`` with these networks; it does not end by itself."""
        return replace(
            recipe("gaussian"),
            hidden=self.hidden,
            latent_dim=self.latent_dim,
            batch_size=self.batch_size,
            device=self.device,
            precision=precision,
            epochs=1_000_000,
        )

    def load(self) -> np.ndarray:
        """The pictures, uint8 [pictures, c, h, w]."""
        kept = np.load(self.images, mmap_mode="r")
        pictures: np.ndarray = kept[np.arange(self.pictures) % len(kept)]
        return pictures

    def load_floats(self) -> torch.Tensor:
        """The pictures in [-1, 1], float32 [pictures, pixels], as the others need them."""
        return torch.from_numpy(self.load()).flatten(1).float().div_(127.5).sub_(1)


@dataclass(frozen=True)
class Lap:
    """One timing of one contender."""

    seconds: float
    """Mean time of a step."""
    memory: float
    """The most memory that the process has held so far, MiB."""
    device_memory: float | None
    """The most memory that its tensors have held on a GPU, MiB."""
    warm_up: int
    """Batches before the first timing."""


def timed(make: Callable[[Setup], Train], setup: Setup) -> Callable[[], Lap]:
    """Make a contender, warm it up, and return a function that times it."""
    torch.set_num_threads(setup.threads)
    train = make(setup)
    warm, since = 0, time.monotonic()
    while warm < setup.warm_up and time.monotonic() - since < setup.warm_up_seconds:
        train(setup.steps)
        warm += setup.steps

    def lap() -> Lap:
        synchronize(setup.device)
        since = time.perf_counter()
        train(setup.steps)
        synchronize(setup.device)
        seconds = (time.perf_counter() - since) / setup.steps
        return Lap(seconds, *peak_memory(setup.device), warm)

    return lap


def endless(loader: Iterable[T]) -> Iterator[T]:
    """The batches of a loader, epoch after epoch."""
    while True:
        yield from loader
