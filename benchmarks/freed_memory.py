"""What it is worth that a training keeps the memory that its steps free.

A turn makes steps of a network on noise in three processes: with a training's settings of the C
library (glibc), with smaller limits, and with the library's own. Medians of the time on the clock,
of page faults a step, and of the peak of resident memory.

    OMP_NUM_THREADS=1 python benchmarks/freed_memory.py
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from aae import recipes
from aae.autoencoder import Batch
from aae.build import build
from aae.config import Config
from aae.training.device import processor
from aae.training.trainer import make_step

NETWORKS: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {
    "1,000 units": ((1, 28, 28), {}),
    "3,000 units": ((1, 28, 28), {"hidden": 3000}),
    "convolutions, 32 x 32 in colour": ((3, 32, 32), {"network": "conv"}),
}
MIB = 2**20
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "64 MiB, blocks of 8": {
        "MALLOC_TRIM_THRESHOLD_": str(64 * MIB),
        "MALLOC_MMAP_THRESHOLD_": str(8 * MIB),
    },
    "glibc's own": {"MALLOC_PERTURB_": "0"},  # any variable, and a training leaves glibc alone
}


def measure(network: str, steps: int) -> tuple[float, float, float]:
    """Milliseconds and page faults of a step, and the peak of resident memory in MiB."""
    shape, options = NETWORKS[network]
    config: Config = replace(recipes.gaussian(), precision="float32", **options)
    generator = torch.Generator().manual_seed(0)
    step = make_step(build(config, shape, 10, generator).train(), config)
    pictures = torch.rand((config.batch_size, *shape), generator=generator) * 2 - 1
    batch = Batch(pictures, torch.full((len(pictures),), -1))
    times = []
    for count in range(3 + steps):
        if count == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        since = time.perf_counter()
        step.prepare(0, count)
        step(batch, lambda: batch, count, generator)
        times.append((time.perf_counter() - since) * 1000)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return statistics.median(times[3:]), (used.ru_minflt - before) / steps, used.ru_maxrss / 1024


def turn(network: str, steps: int) -> dict[str, list[float]]:
    """What `measure` gives with each setting, in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, __file__, "--only", network, "--steps", str(steps)]
    return {
        name: json.loads(subprocess.check_output(command, env=clean | setting))
        for name, setting in SETTINGS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8, help="in each turn")
    parser.add_argument("--only", choices=NETWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only, args.steps)))
        return
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for network in NETWORKS:
        turns = [turn(network, args.steps) for _ in range(args.turns)]
        for name in SETTINGS:
            columns = zip(*(t[name] for t in turns), strict=True)
            took, faults, peak = map(statistics.median, columns)
            ratios = sorted(t[name][0] / t["as it is"][0] for t in turns)
            print(
                f"{network}, {name}: {took:.1f} ms, {faults:,.0f} faults, {peak:.0f} MiB; "
                f"{statistics.median(ratios):.2f} times as long "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
