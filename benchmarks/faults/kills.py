"""SIGKILL at random moments: each training, killed and resumed until its end, loses nothing.

A training on the digits is begun in a process of its own and killed after a random time, at most as
long as it takes in all; it is resumed and killed again until it ends by itself. After every kill
what was whole before must be whole, and no more than one interval between checkpoints may be lost;
at the end weights, training state, metrics and TensorBoard's points must be those of a training
that nobody killed, to the bit. Run: ``python benchmarks/faults/kills.py [COUNT]``
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import SMALL, asked, begin_or_resume, end, same, without_pictures, write

from aae.data import load
from aae.run import Run
from aae.training import checkpoint


def kills(where: Path, *, count: int, seed: int) -> dict[str, Any]:
    """Kill trainings until there were ``count`` kills; see the module."""
    rng = random.Random(seed)
    torch.set_num_threads(1)  # a process that forks must not have threads
    with warnings.catch_warnings():  # all that a child needs is imported once
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch.utils.tensorboard")
    load("digits")
    since = time.perf_counter()
    _in_a_child(lambda: begin_or_resume(where / "whole"), None)
    longest = time.perf_counter() - since
    whole = end(Run(where / "whole"))
    figures: dict[str, Any] = {
        "kills": 0, "trainings": 0, "in a checkpoint's write": 0, "before the first checkpoint": 0,
        "lost": [],
    }  # fmt: skip
    while figures["kills"] < count:
        folder, number = where / f"run-{figures['trainings']}", figures["trainings"]
        figures["trainings"] += 1
        killed, done = True, -1
        while killed:
            limit = rng.uniform(0, longest) if figures["kills"] < count else None
            since, is_first = time.perf_counter(), not folder.exists()
            killed = _in_a_child(lambda place=folder: begin_or_resume(place), limit)
            figures["kills"] += killed
            if is_first and not killed:  # the machine may have become less busy
                longest = min(longest, time.perf_counter() - since)
            place = checkpoint.newest(folder / "checkpoints")
            now = checkpoint.epoch_of(place) if place else -1
            if now < done:
                figures["lost"].append(f"{number}: epoch {done} is gone")
            done = now
            figures["before the first checkpoint"] += killed and place is None
            left = any(folder.glob("checkpoints/.epoch-*.tmp"))
            figures["in a checkpoint's write"] += killed and left
        if not same(end(Run(folder)), whole):
            figures["lost"].append(f"{number}: another end than the training nobody killed")
    return {**figures, "a training takes, s": round(longest, 2), "epochs": SMALL.epochs}


def _in_a_child(work: Callable[[], object], limit: float | None) -> bool:
    """Do some work in a process, killed after so many seconds; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    since = time.perf_counter()
    while limit is None or time.perf_counter() - since < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"the training failed by itself: {status}"
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, without_pictures():
        write("kills", kills(Path(folder), count=asked(200), seed=0))
