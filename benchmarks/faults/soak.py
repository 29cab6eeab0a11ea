"""Trainings one after the other in one process: memory and file descriptors stay flat.

The first trainings warm up caches and the allocator. Growth is measured after them: the slope of a
line through resident memory, and the last count of descriptors minus the first.
Run: ``python benchmarks/faults/soak.py [SECONDS]``
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import SMALL, asked, write

from aae import fit
from aae.evaluate import evaluate
from aae.run_report import write_report

WARM = 1 / 6
"""Share of the trainings, the first ones, that is left out."""


def soak(where: Path, *, seconds: float, least: int = 20) -> dict[str, Any]:
    """Train for some seconds, and at least ``least`` times; see the module."""
    torch.set_num_threads(1)
    config = replace(SMALL, epochs=2, sample_every=2)
    since, seen = time.perf_counter(), []
    while len(seen) < least or time.perf_counter() - since < seconds:
        folder = where / "run"
        run = fit.fit(replace(config, seed=len(seen)), folder)
        write_report(run, evaluate(run, split="validation", judge=False))
        shutil.rmtree(folder)
        gc.collect()
        seen.append((time.perf_counter() - since, _resident(), _descriptors()))
    at, memory, descriptors = (np.array(column) for column in zip(*seen, strict=True))
    warm = max(1, int(len(seen) * WARM))
    hours = (at[warm:] - at[warm]) / 3600
    slope = np.polyfit(hours, memory[warm:], 1)[0] if len(hours) > 2 else 0.0
    return {
        "trainings": len(seen),
        "minutes": round(at[-1] / 60, 1),
        "memory": {
            "after warming up, MiB": round(float(memory[warm]) / 2**20, 1),
            "at the end, MiB": round(float(memory[-1]) / 2**20, 1),
            "most, MiB": round(float(memory.max()) / 2**20, 1),
            "slope, MiB an hour": round(float(slope) / 2**20, 2),
        },
        "file descriptors": {
            "after warming up": int(descriptors[warm]),
            "at the end": int(descriptors[-1]),
            "growth": int(descriptors[-1] - descriptors[warm]),
        },
    }


def _resident() -> int:
    """Resident memory of this process, in bytes."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:  # not Linux: the peak so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _descriptors() -> int:
    """Open file descriptors of this process."""
    place = Path("/proc/self/fd")
    return len(os.listdir(place if place.is_dir() else "/dev/fd"))  # noqa: PTH208 - a count


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        write("soak", soak(Path(folder), seconds=asked(3600)))
