"""Training speed with pictures in files and with the same pictures in memory, side by side.

Three trainings of one network take turns: on an array in memory; on a file of it that the system
keeps in memory; and on that file while the system is made to forget it, so that it is read from
disk.

    python benchmarks/streaming.py --megabytes 500
"""

import argparse
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch

from aae.autoencoder import Batch
from aae.build import build
from aae.data import Stored, open_pictures
from aae.recipes import recipe
from aae.training.batches import Batches, Epochs
from aae.training.device import choose_device
from aae.training.streams import Stream
from aae.training.trainer import make_step

STEPS = 170
"""Steps in a turn: as many as a window of a stream lasts."""
FORGOTTEN_EVERY = 40
"""Steps from one forgetting to the next, in a turn from the disk."""


def write(path: Path, megabytes: int) -> None:
    """Random pictures of 28×28."""
    rng, size = np.random.default_rng(0), 28 * 28
    n = megabytes * 10**6 // size
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, 28, 28))
    for start in range(0, n, 10_000):
        some = images[start : start + 10_000]
        some[:] = rng.integers(256, size=some.shape, dtype=np.uint8)
    images.flush()


def forget(path: Path, pictures: Stored) -> None:
    """Make the system drop what it keeps of a file in memory, also what is mapped from it."""
    for array in pictures._files:
        array._mmap.madvise(mmap.MADV_DONTNEED)
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def endless(batches: Epochs) -> Iterator[Batch]:
    return chain.from_iterable(batches.epoch(number) for number in count())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder) / "pictures.npy", arguments)


def compare(path: Path, arguments: argparse.Namespace) -> None:
    write(path, arguments.megabytes)
    config, device = recipe("gaussian"), choose_device(arguments.device)
    pictures = open_pictures(path)
    labels = np.full(len(pictures), -1)
    model = build(config, pictures.shape[1:], 0, torch.Generator().manual_seed(0)).to(device)
    step, generator = make_step(model, config), torch.Generator(device).manual_seed(0)
    make = {"batch_size": config.batch_size, "device": device, "seed": 0}
    sources = {
        "memory": endless(Batches(np.asarray(pictures), labels, **make)),
        "file, in the system's memory": endless(Stream(pictures, labels, **make)),
        "file, from the disk": endless(Stream(pictures, labels, **make)),
    }

    def turn(name: str, steps: int) -> float:
        """Pictures a second."""
        path.read_bytes()  # what the turn before has made the system forget
        seen, forgetting, since = 0, 0.0, time.perf_counter()
        for k, batch in enumerate(islice(sources[name], steps)):
            if name.endswith("disk") and k % FORGOTTEN_EVERY == 0:
                before = time.perf_counter()
                forget(path, pictures)
                forgetting += time.perf_counter() - before
            step(batch, partial(next, sources[name]), config.warmup, generator)
            seen += len(batch.x)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return seen / (time.perf_counter() - since - forgetting)

    step.prepare(0, config.warmup)
    for name in sources:
        turn(name, 30)
    speeds: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(arguments.turns):
        for name in sources:
            speeds[name].append(turn(name, STEPS))
    for name, found in speeds.items():
        ratio = statistics.median(found) / statistics.median(speeds["memory"])
        single = [own / other for own, other in zip(found, speeds["memory"], strict=True)]
        print(f"{name:30} {statistics.median(found):10,.0f} pictures/s   {ratio:.3f} "
              f"(single turns {min(single):.2f} to {max(single):.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
