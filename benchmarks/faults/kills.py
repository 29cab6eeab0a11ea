"""SIGKILL at random moments: each training, killed and resumed until its end, loses nothing.

A training on the digits starts in a process of its own and is killed after a random time, at most
as long as a whole training takes. It is resumed and killed again until it ends by itself. After
every kill, what was whole before must be whole, and no more than one interval between checkpoints
may be lost. At the end, weights, training state, metrics and TensorBoard's points must equal those
of a training never killed, bit for bit. A checkpoint's write is too short to be hit that way: with
``writes``, the kill comes a few milliseconds after a write begins, until COUNT fell within one.
Run: ``python benchmarks/faults/kills.py [COUNT] [writes]``
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import SMALL, asked, begin_or_resume, end, same, without_pictures, write

from aae.data import load
from aae.run import Run
from aae.training import checkpoint

Moment = Callable[[], bool]
"""Whether it is time for the kill."""
WRITE = "in a checkpoint's write"
REMOVAL = "in the removal of an old one"
_LAST = 3
"""The kill comes in one of the next writes, chosen from this many."""


def kills(where: Path, *, count: int, seed: int, writes: bool = False) -> dict[str, Any]:
    """Kill trainings until there were ``count`` kills; see the module.

    Args:
        where: an empty folder.
        count: how many kills; with ``writes``, how many within a write.
        seed: seed of the moments.
        writes: whether to kill while checkpoints are written.
    """
    rng = random.Random(seed)
    torch.set_num_threads(1)  # a process that forks must not have threads
    with warnings.catch_warnings():  # all that a child needs is imported once
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch.utils.tensorboard")
    load("digits")
    since, watched = time.perf_counter(), _Writes(where / "whole")
    _in_a_child(lambda: begin_or_resume(where / "whole"), watched)
    longest = time.perf_counter() - since
    whole = end(Run(where / "whole"))
    interval = _steps(where / "whole") // SMALL.epochs
    counted = WRITE if writes else "kills"
    figures: dict[str, Any] = {
        "kills": 0, "trainings": 0, WRITE: 0, REMOVAL: 0, "before the first checkpoint": 0,
        "lost": [],
    }  # fmt: skip
    files: Counter[str] = Counter()
    while figures[counted] < count:
        folder, number = where / f"run-{figures['trainings']}", figures["trainings"]
        figures["trainings"] += 1
        killed, done = True, -1
        while killed:
            moment: Moment = _never
            if figures[counted] < count:
                after = rng.uniform(0, median(watched.took) if writes else longest)
                chosen = rng.randint(1, _LAST)
                moment = _Writes(folder, chosen, after) if writes else _After(after)
            since, is_first = time.perf_counter(), not folder.exists()
            before = _asides(folder)
            killed = _in_a_child(lambda place=folder: begin_or_resume(place), moment)
            figures["kills"] += killed
            if is_first and not killed:  # the machine may have become less busy
                longest = min(longest, time.perf_counter() - since)
            place = checkpoint.newest(folder / "checkpoints")
            now = checkpoint.epoch_of(place) if place else -1
            if now < done:
                figures["lost"].append(f"{number}: epoch {done} is gone")
            if _steps(folder) - max(now, 0) * interval > interval:
                figures["lost"].append(f"{number}: more than one interval, after epoch {now}")
            done = now
            figures["before the first checkpoint"] += killed and place is None
            for name in {name for name, _ in _asides(folder).items() - before.items()}:
                is_new = place is None or name > f".{place.name}"
                figures[WRITE if is_new else REMOVAL] += 1
                begun = len(list((folder / "checkpoints" / name).iterdir()))
                files[f"{begun} of 3 files begun"] += is_new
        if not same(end(Run(folder)), whole):
            figures["lost"].append(f"{number}: another end than the training nobody killed")
    return {
        **figures, "writes": dict(sorted(files.items())), "a training takes, s": round(longest, 2),
        "a write takes, ms": round(1000 * median(watched.took), 1), "epochs": SMALL.epochs,
    }  # fmt: skip


def _steps(folder: Path) -> int:
    """The last step that a training recorded, finished or not."""
    records = Run(folder).records() if (folder / "config.json").exists() else []
    return max((record["step"] for record in records), default=0)


def _never() -> bool:
    return False


class _After:
    """The moment some seconds from now."""

    def __init__(self, seconds: float):
        self.until = time.perf_counter() + seconds

    def __call__(self) -> bool:
        time.sleep(0.001)
        return time.perf_counter() >= self.until


class _Writes:
    """The moment some seconds after the ``number``-th checkpoint write begins; times each write."""

    def __init__(self, folder: Path, number: int = sys.maxsize, seconds: float = 0.0):
        self.folder, self.number, self.seconds = folder, number, seconds
        self.left = _asides(folder)  # by processes killed before
        self.seen: set[str] = set()
        self.begun, self.since = 0, 0.0
        self.took: list[float] = []

    def __call__(self) -> bool:
        now, there = time.perf_counter(), _asides(self.folder).items() - self.left.items()
        names = {name for name, _ in there}
        if self.seen - names:
            self.took.append(now - self.since)
        if names - self.seen:
            self.begun, self.since = self.begun + 1, now
        self.seen = names
        return self.begun >= self.number and now - self.since >= self.seconds


def _asides(folder: Path) -> dict[str, int]:
    """When each folder of a checkpoint being written or removed last changed, by its name."""
    found = {}
    for place in folder.glob("checkpoints/.epoch-*"):
        with contextlib.suppress(FileNotFoundError):
            found[place.name] = place.stat().st_ctime_ns
    return found


def _in_a_child(work: Callable[[], object], moment: Moment) -> bool:
    """Do some work in a process, which is killed when it is time; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    while not moment():
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"the training failed by itself: {status}"
            return False
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, without_pictures():
        if sys.argv[2:] == ["writes"]:
            count = asked(50)
            write("kills_in_writes", kills(Path(folder), count=count, seed=1, writes=True))
        else:
            write("kills", kills(Path(folder), count=asked(200), seed=0))
