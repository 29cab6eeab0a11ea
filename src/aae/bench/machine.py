"""The machine: its rates of products and of memory, and the work that a step cannot avoid."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from aae.autoencoder import Autoencoder
from aae.conv import Convolution
from aae.nn import Critic, Decoder, Encoder
from aae.training.device import choose_precision, processor

GAUGE_SECONDS = 0.1
"""Seconds for which each rate is measured at a time."""
BYTES_OF_ADAM = 28
"""Bytes that fused Adam moves for a parameter: it reads weight, gradient and two moments, and
writes all but the gradient, 4 bytes each."""

UNITS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
"""Features of a processor that decide its rates."""


@dataclass(frozen=True)
class Rates:
    """What the machine reaches when it does nothing else."""

    float32: float
    """Operations a second in products of large matrices, where an addition is an operation."""
    bf16: float | None
    """The same in bfloat16, where ``--precision auto`` takes it."""
    bandwidth: float
    """Bytes a second, read and written, in passes over as much memory as an optimiser holds; caches
    make the rate depend on that amount."""

    @classmethod
    def median(cls, rates: Iterable[Rates]) -> Rates:
        """The median of each rate over several measurements."""
        rates = list(rates)
        low = [rate.bf16 for rate in rates if rate.bf16 is not None]
        return cls(
            median(rate.float32 for rate in rates),
            median(low) if low else None,
            median(rate.bandwidth for rate in rates),
        )


@dataclass(frozen=True)
class Work:
    """The work that a joint step cannot avoid."""

    operations: int
    """Operations of its matrix products, where an addition is an operation."""
    parameters: int
    """Parameters that its optimisers change."""

    @property
    def traffic(self) -> int:
        """Bytes that its optimisers move."""
        return BYTES_OF_ADAM * self.parameters

    @classmethod
    def of(cls, model: Autoencoder, batch_size: int) -> Work:
        """Count the work of one step.

        A layer multiplies each row of its input by its weights once forward, once for the weights'
        gradient and once for the input's; a convolution does so at each pixel of its output. The
        critic reads codes and as many prior samples. Pictures and prior samples need no gradient,
        so first layers save that part. All is counted in one number format. The layers at codes,
        which stay in float32, are 2 parts in 1,000 with a code of two dimensions, and some percent
        with a long one, whose floor is too low by that much.
        """
        n = batch_size
        assert isinstance(model.decoder, Decoder)
        readers: list[tuple[Encoder | Decoder | Critic, int, int]]
        readers = [(model.encoder, n, 0), (model.decoder, n, n)]
        readers += [(adversary.critic, 2 * n, n) for adversary in model.adversaries.values()]
        products = 0
        for network, rows, rows_back in readers:
            entrance = network.body if isinstance(network, Encoder) else (network.trunk,)
            first = next(layer for part in entrance for layer in _multiplying(part))
            for layer in _multiplying(network):
                places = layer.places if isinstance(layer, Convolution) else 1
                back = rows_back if layer is first else rows
                products += layer.weight.numel() * places * (2 * rows + back)
        return cls(2 * products, sum(p.numel() for p in model.parameters()))

    def seconds(self, rate: float, bandwidth: float) -> float:
        """The least time that it takes, with arithmetic and memory one after the other."""
        return self.operations / rate + self.traffic / bandwidth


def _multiplying(network: nn.Module) -> Iterator[nn.Linear | Convolution]:
    """The layers whose work is matrix products."""
    return (layer for layer in network.modules() if isinstance(layer, (nn.Linear, Convolution)))


def gauge(
    device: str, threads: int, parameters: int, seconds: float = GAUGE_SECONDS
) -> Callable[[], Rates]:
    """Make a function that measures the machine's rates.

    Args:
        device: "cpu" or "cuda".
        threads: how many it works with.
        parameters: how many a model has; memory is measured on as much as its optimiser works on.
        seconds: how long each rate is measured at a time.
    """
    torch.set_num_threads(threads)
    size = 2048 if device == "cpu" else 8192
    # Weights, gradients and two moments, in two halves. One is added to the other in place, as
    # Adam works: each line of memory that is written was read before.
    numbers = 2 * parameters
    one, other = (torch.ones(numbers, device=device) for _ in range(2))

    def products(dtype: torch.dtype) -> Callable[[], float]:
        a, b, out = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(3))
        multiply = _repeated(lambda: torch.mm(a, b, out=out), device, seconds)
        return lambda: 2 * size**3 * multiply()

    float32 = products(torch.float32)
    native = choose_precision("auto", torch.device(device)) == torch.bfloat16
    bf16 = products(torch.bfloat16) if native else None
    add = _repeated(lambda: one.add_(other), device, seconds)
    return lambda: Rates(float32(), bf16() if bf16 else None, 3 * 4 * numbers * add())


def _repeated(work: Callable[[], object], device: str, seconds: float) -> Callable[[], float]:
    """Make a function that measures how often in a second a piece of work can be done."""
    burst = 1 if device == "cpu" else 20  # waiting for a GPU each time would leave it idle

    def per_second() -> float:
        work()
        synchronize(device)
        count, since = 0, time.perf_counter()
        while (passed := time.perf_counter() - since) < seconds or not count:
            for _ in range(burst):
                work()
            synchronize(device)
            count += burst
        return count / passed

    return per_second


def synchronize(device: str) -> None:
    """Wait for a GPU to finish its work."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def peak_memory(device: str) -> tuple[float, float | None]:
    """The most memory that this process has held so far, and its tensors on a GPU, MiB."""
    on_gpu = None if device == "cpu" else torch.cuda.max_memory_allocated(device) / 2**20
    try:  # getrusage also counts what the process that started this one held
        lines = Path("/proc/self/status").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        return kib / 2**10, on_gpu
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10), on_gpu


def describe(device: str) -> dict[str, Any]:
    """The machine in words, for whoever reads its numbers."""
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    units = [name for name in UNITS if capabilities().get(name)]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "units": units,
        "gpu": None if device == "cpu" else torch.cuda.get_device_name(device),
    }
