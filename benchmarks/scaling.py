"""How the time of a step depends on the number of processes: a fitted model, put to the test.

    python benchmarks/scaling.py --json benchmarks/results/scaling.json

A step of n pictures by P processes takes

    t(n, P) = c(P) · (a + b · n / P) + s(P, W)        s(P, W) = α(P) + β(P) · 4 W

where a (updates, casts, Python) and b (arithmetic) are fitted to steps of one process. c says how
much slower steps are while P independent trainings run at once and share cores and memory (it is 1
if each process has its own). s is the time to put together and sum W gradients, fitted to sums of
several lengths by P processes that do nothing else. A thread reads input ahead, so input counts
only if it takes longer than all that. The real times of P processes are then measured, and shown
beside those of the model.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.utils.flop_counter import FlopCounterMode

from aae.autoencoder import Autoencoder
from aae.bench.machine import describe
from aae.build import build
from aae.config import Config
from aae.recipes import recipe
from aae.training.batches import Batches
from aae.training.device import choose_device
from aae.training.trainer import make_step
from aae.training.world import ALONE, Workers, World

CPU = torch.device("cpu")
SIZES = (16, 32, 64, 128, 256, 512)
BUSY = 128
"""Pictures in the steps that are timed while other trainings run."""
LENGTHS = (10_000, 100_000, 1_000_000, 4_000_000)
NETWORKS: dict[str, tuple[Config, tuple[int, ...]]] = {
    "the paper's, 784-1000-1000": (recipe("gaussian"), (1, 28, 28)),
    "convolutions, 32 × 32 × 3": (
        replace(recipe("gaussian"), network="conv", latent_dim=64, width=16),
        (3, 32, 32),
    ),
}
LARGE = replace(recipe("gaussian"), network="conv", latent_dim=256, width=64), (3, 256, 256)
"""A large convolutional network: its operations are counted, it is not run."""

# What makers say of their machines; none of it was measured here.
GPU_RATE, GPU_SHARE = 989e12, 0.4  # H100, dense bf16; the share of it that large products reach
GPU_MEMORY = 3.35e12  # bytes a second; an update of Adam moves 28 bytes for each weight
GPU_LAUNCH = 0.2e-3  # seconds that a step takes whatever its size, as one CUDA graph
LINKS = {"8 GPUs, NVLink": (8, 450e9, 20e-6), "64 nodes of one GPU, 400 Gb/s": (64, 50e9, 10e-6)}
"""Number of GPUs, bytes a second of each link, and seconds for a message from one to the next."""


def made(config: Config, shape: tuple[int, ...]) -> Autoencoder:
    return build(config, shape, 0, torch.Generator().manual_seed(0))


def steps_of(name: str, n: int, world: World, count: int) -> list[float]:
    """Seconds of steps with ``n`` pictures, divided among the processes of a world."""
    config, shape = NETWORKS[name]
    config = replace(config, batch_size=n)
    model = made(config, shape)
    world.prepare(model)
    images = np.random.default_rng(0).integers(256, size=(2048, *shape), dtype=np.uint8)
    batches = Batches(
        images, np.full(len(images), -1), batch_size=n, device=CPU, seed=0, world=world
    )
    step, generator = make_step(model, config, world), torch.Generator().manual_seed(0)
    step.prepare(0, config.warmup)
    times = []
    for i in range(count + 3):
        since = time.perf_counter()
        step(batches.at(i % len(batches)), partial(batches.at, 0), config.warmup, generator)
        times.append(time.perf_counter() - since)
    return times[3:]


def sums_of(length: int, count: int) -> list[float]:
    """Seconds that processes take to sum ``length`` numbers."""
    parts, whole, times = [torch.zeros(length // 2)] * 2, torch.empty(length // 2 * 2), []
    for _ in range(count + 3):
        dist.barrier()
        since = time.perf_counter()
        dist.all_reduce(torch.cat(parts, out=whole))
        times.append(time.perf_counter() - since)
    return times[3:]


def work(rank: int, size: int, folder: str, count: int) -> None:
    torch.set_num_threads(1)
    choose_device("cpu")  # as trainings do: no denormal numbers
    store = dist.FileStore(f"{folder}/{size}", size)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    world = Workers(rank, size)
    dist.barrier()
    busy = {name: statistics.median(steps_of(name, BUSY, ALONE, count)) for name in NETWORKS}
    sums = {length: statistics.median(sums_of(length, count)) for length in LENGTHS}
    steps = {
        name: {n: quartiles(steps_of(name, n, world, count)) for n in (128, 512)}
        for name in NETWORKS
    }
    if rank == 0:
        Path(folder, f"{size}.json").write_text(
            json.dumps({"busy": busy, "sums": sums, "steps": steps})
        )
    dist.destroy_process_group()


def quartiles(times: list[float]) -> list[float]:
    return [float(q) for q in np.quantile(times, [0.25, 0.5, 0.75])]


def fitted(xs: list[float], ys: list[float]) -> tuple[float, float]:
    """Start and slope of the line through some points with the least squared relative errors."""
    x, y = np.asarray(xs), np.asarray(ys)
    a = np.stack([np.ones_like(x), x], 1) / y[:, None]
    start, slope = np.linalg.lstsq(a, np.ones_like(y), rcond=None)[0]
    return float(start), float(slope)


def weights(model: Autoencoder) -> int:
    return sum(p.numel() for p in model.parameters())


def operations(config: Config, shape: tuple[int, ...]) -> float:
    """Arithmetic of a step per picture: three times that of the networks' forward passes."""
    n = 4
    model = made(config, shape).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.reconstruct(torch.zeros(n, *shape), torch.full((n,), -1))
    return 3 * counter.get_total_flops() / n


def foretold(config: Config, shape: tuple[int, ...], n: int) -> list[dict[str, Any]]:
    """Predicted times of a step on machines that are not here, if their makers' figures hold."""
    model = made(config, shape)
    size, each = weights(model), operations(config, shape)
    rows = []
    for where, (processes, rate, latency) in {"one GPU": (1, 1.0, 0.0), **LINKS}.items():
        own = GPU_LAUNCH + 28 * size / GPU_MEMORY
        compute = own + each * n / processes / (GPU_RATE * GPU_SHARE)
        ring = 2 * (processes - 1) * (4 * size / processes / rate + latency)
        rows.append({
            "where": where, "batch": n, "processes": processes, "weights": size,
            "arithmetic": each * n / processes / (GPU_RATE * GPU_SHARE), "fixed": own, "sum": ring,
            "step": compute + ring, "pictures": n / (compute + ring),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=40, help="steps of each measurement")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    choose_device("cpu")
    result: dict[str, Any] = {"machine": describe("cpu"), "torch": torch.__version__}
    alone = {
        name: {n: quartiles(steps_of(name, n, ALONE, arguments.count)) for n in SIZES}
        for name in NETWORKS
    }
    lines = {
        name: fitted([float(n) for n in times], [t[1] for t in times.values()])
        for name, times in alone.items()
    }
    result |= {"alone": alone, "fit": lines, "together": {}, "sums": {}, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for size in (2, 4):
            torch.multiprocessing.spawn(work, (size, folder, arguments.count), nprocs=size)  # type: ignore[no-untyped-call]
            measured = json.loads(Path(folder, f"{size}.json").read_text())
            alpha, beta = fitted(
                [4.0 * int(k) for k in measured["sums"]], [*measured["sums"].values()]
            )
            result["sums"][size] = {"seconds": measured["sums"], "alpha": alpha, "beta": beta}
            for name, (config, shape) in NETWORKS.items():
                a, b = lines[name]
                summed = alpha + beta * 4 * weights(made(config, shape))
                crowd = measured["busy"][name] / alone[name][BUSY][1]
                for n, (low, median, high) in measured["steps"][name].items():
                    said = crowd * (a + b * int(n) / size) + summed
                    result["rows"].append({
                        "network": name, "batch": int(n), "processes": size, "foretold": said,
                        "crowd": crowd, "sum": summed, "measured": [low, median, high],
                        "alone": a + b * int(n),
                    })  # fmt: skip
    paper, _ = NETWORKS.values()
    result["elsewhere"] = {
        "the paper's, 784-1000-1000": [r for n in (128, 8192) for r in foretold(*paper, n)],
        "convolutions, 256 × 256 × 3": [r for n in (128, 8192) for r in foretold(*LARGE, n)],
    }
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def show(result: dict[str, Any]) -> None:
    """The tables of docs/scaling.md."""
    for name, (a, b) in result["fit"].items():
        print(f"{name}: a {a * 1e3:.1f} ms, b {b * 1e3:.3f} ms a picture")
    for size, line in result["sums"].items():
        print(f"sums by {size}: {line['alpha'] * 1e3:.2f} ms + {line['beta'] * 1e9:.2f} ns a byte")
    print(
        "\n| network | batch | processes | c | foretold, ms | of it the sum "
        "| measured, ms (quartiles) | error |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in result["rows"]:
        low, median, high = (1e3 * t for t in row["measured"])
        print(
            f"| {row['network']} | {row['batch']} | {row['processes']} | {row['crowd']:.2f} "
            f"| {row['foretold'] * 1e3:.1f} | {row['sum'] * 1e3:.1f} "
            f"| {median:.1f} ({low:.1f}–{high:.1f}) "
            f"| {100 * (1e3 * row['foretold'] / median - 1):+.0f} % |"
        )
    print("\n| network | where | batch | arithmetic, ms | fixed | sum | step | pictures a second |")
    print("|---|---|---|---|---|---|---|---|")
    for name, rows in result["elsewhere"].items():
        for row in rows:
            parts = " | ".join(
                f"{row[k] * 1e3:.2f}" for k in ("arithmetic", "fixed", "sum", "step")
            )
            print(
                f"| {name} | {row['where']} | {row['batch']} | {parts} | {row['pictures']:,.0f} |"
            )


if __name__ == "__main__":
    main()
