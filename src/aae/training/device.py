"""Where a training runs, and the number format of its matrix products."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from aae import launch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
KEPT = 512 * 2**20
"""Most bytes of freed memory that a training keeps."""
MAPPED = 32 * 2**20
"""Bytes from which a block has a memory mapping of its own; glibc allows no more."""


def choose_device(name: str) -> torch.device:
    """The device with a name; "auto" takes the GPU where there is one.

    Raises:
        ValueError: there is no such device here, or fewer GPUs than processes that ask for one.
    """
    _flush_denormals()
    of_auto = _of_auto()
    gpus, started = torch.cuda.device_count(), launch.rank_here() + 1
    if (of_auto.type if name == "auto" else name) == "cuda" and 0 < gpus < started:
        raise ValueError(
            f"{started} processes or more were started here, and there are {gpus} GPUs: start no "
            "more than these (torchrun --nproc-per-node), or take --device cpu"
        )
    if name == "auto":
        return of_auto
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here ({first}); take cpu") from None
    return device


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type of matrix products: bfloat16 only where the hardware multiplies it natively.

    Args:
        precision: "auto", "float32" or "bf16".
        device: where the products run. For "float32", a GPU convolves in float32, too, where torch
            by default rounds to 10 bits (TF32).
    """
    if precision == "float32":
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False
        return torch.float32
    if precision == "bf16" or _has_bf16_units(device):
        return torch.bfloat16
    return torch.float32


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """Where "auto" trains, how many threads it takes, and which type its products have there."""
    device = _of_auto()
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    return f"{gpu or processor()}, {torch.get_num_threads()} threads, {precision}"


def _of_auto() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _has_bf16_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Releases of torch that cannot tell get the safe answer.
        capabilities: Callable[[], dict[str, bool]] = getattr(torch.cpu, "get_capabilities", dict)
        units = capabilities()
        return bool(units.get("avx512_bf16") or units.get("amx_bf16"))
    return False


def _flush_denormals() -> None:
    """Have the processor treat numbers below 1e-38 as 0, as GPUs do.

    Moments of weights without a gradient decay to such numbers and stay there. Each costs a hundred
    times an ordinary one: an update of Adam took 4.7 times as long. Threads inherit this setting
    from the thread that starts them, so it comes before the first parallel work.
    """
    torch.set_flush_denormal(True)


def keep_freed_memory(largest: int) -> None:
    """Have the C library keep the memory that a step frees for the next one, up to `KEPT`.

    glibc returns a freed tensor of a megabyte to the system, and the next one is faulted in page by
    page: that was half the time of a product of 1000 by 128 by 1000. Larger blocks, such as data
    sets, are still returned, unless weights are as large: then nothing has its own mapping. Other C
    libraries are left alone, and so is glibc where environment variables configure it.

    Args:
        largest: bytes of the largest weight, and so of its gradient.
    """
    told = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if sys.platform == "linux" and not told:
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(M_TRIM_THRESHOLD, KEPT)
            library.mallopt(M_MMAP_THRESHOLD, MAPPED)
            if largest >= MAPPED:
                library.mallopt(M_MMAP_MAX, 0)
