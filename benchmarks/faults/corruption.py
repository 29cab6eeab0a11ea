"""The newest checkpoint, damaged at random: it is noticed and named, and the one before is used.

Each time, a file of the newest of three checkpoints is cut short, has one bit flipped, is emptied
or removed. The training must name what was damaged, resume from the checkpoint before, and end as
if nothing had happened, bit for bit. Run: ``python benchmarks/faults/corruption.py [COUNT]``
"""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import SMALL, asked, end, same, without_pictures, write

from aae import fit
from aae.run import Run
from aae.training import checkpoint
from aae.training.trainer import Observer


def corruption(where: Path, *, count: int, seed: int) -> dict[str, Any]:
    """Damage ``count`` checkpoints; see the module."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    config = replace(SMALL, epochs=3, sample_every=3, keep=3)
    whole = end(fit.fit(config, where / "whole"))
    stopped = where / "stopped"
    with contextlib.suppress(fit.Interrupted):
        fit.fit(config, stopped, [_Stop(2 * 11 + 5)])
    *_, before, newest = checkpoint.found(stopped / "checkpoints")
    files = sorted(path.name for path in newest.iterdir())
    figures: dict[str, Any] = {"corrupted": 0, "noticed": 0, "named": 0, "survived": 0}
    kinds: Counter[str] = Counter()
    heard = _Heard()
    logging.getLogger("aae").addHandler(heard)
    try:
        for number in range(count):
            folder = where / f"run-{number}"
            shutil.copytree(stopped, folder)
            kind, name = rng.choice(sorted(DAMAGES)), rng.choice(files)
            DAMAGES[kind](folder / "checkpoints" / newest.name / name, rng)
            heard.words.clear()
            run = fit.resume(folder)
            figures["corrupted"] += 1
            kinds[f"{kind}, {name}"] += 1
            figures["noticed"] += any(f"going by {before.name} instead" in w for w in heard.words)
            figures["named"] += any(name in words for words in heard.words)
            figures["survived"] += same(end(Run(run.folder)), whole)
            shutil.rmtree(folder)
    finally:
        logging.getLogger("aae").removeHandler(heard)
    return {**figures, "kinds": dict(sorted(kinds.items()))}


def _flip(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def _cut(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: rng.randrange(1, file.stat().st_size)])


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "a bit flipped": _flip,
    "cut short": _cut,
    "emptied": lambda file, rng: file.write_bytes(b""),
    "removed": lambda file, rng: file.unlink(),
}


class _Heard(logging.Handler):
    """Keeps the messages that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


class _Stop(Observer):
    """Ctrl-C after some steps."""

    def __init__(self, count: int):
        self.count = count

    def on_step(self, trainer: Any) -> None:
        if trainer.progress.count == self.count:
            signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, without_pictures():
        write("corruption", corruption(Path(folder), count=asked(200), seed=0))
