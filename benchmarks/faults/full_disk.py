"""A disk that fills at a random moment: the error is clear, the last good checkpoint is kept.

Trainings write to a small file system in memory (Linux, root: ``mount -t tmpfs``), which another
file fills except for a random number of bytes. If it cannot be mounted, the size of each file is
limited instead (``RLIMIT_FSIZE``), and the figures say so. Afterwards room is made, and the
training must end as if nothing had happened, bit for bit.
Run: ``python benchmarks/faults/full_disk.py [COUNT]``
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import SMALL, asked, begin_or_resume, end, same, without_pictures, write

from aae.run import Run
from aae.training import checkpoint

SIZE = 4 * 2**20
"""Bytes of the file system, several times those of a run."""


def full_disks(where: Path, *, count: int, seed: int) -> dict[str, Any]:
    """Fill the disk ``count`` times; see the module."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    config = replace(SMALL, epochs=3, sample_every=3, keep=2)
    whole = end(begin_or_resume(where / "whole", config))
    needed = sum(path.stat().st_size for path in (where / "whole").rglob("*"))
    assert needed < SIZE / 2
    figures: dict[str, Any] = {
        "events": 0, "clear": 0, "kept": 0, "went on": 0, "without a checkpoint yet": 0,
    }  # fmt: skip
    disk = where / "disk"
    disk.mkdir()
    with _small(disk) as (kind, filled):
        while figures["events"] < count:
            folder = disk / "run"
            with filled(rng.randrange(needed)):
                try:
                    begin_or_resume(folder, config)
                    failed = None
                except OSError as error:
                    failed = error
            if failed is not None:  # else there was room enough
                figures["events"] += 1
                figures["clear"] += "No space left" in str(failed) or "too large" in str(failed)
                place = checkpoint.newest(folder / "checkpoints")  # raises if none is whole
                figures["kept"] += 1
                figures["without a checkpoint yet"] += place is None
                figures["went on"] += same(end(begin_or_resume(folder, config)), whole)
                assert Run(folder).epochs_done == config.epochs
            shutil.rmtree(folder, ignore_errors=True)
    return {**figures, "disk": kind}


@contextmanager
def _small(disk: Path) -> Iterator[tuple[str, Any]]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield f"tmpfs of {SIZE // 2**20} MiB", lambda room: _filled(disk, room)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
    else:
        yield "limit on the size of a file", _limited


@contextmanager
def _filled(disk: Path, room: int) -> Iterator[None]:
    """Fill the disk except for ``room`` bytes."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(max(0, free - room)))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _limited(room: int) -> Iterator[None]:
    """Limit every file to ``room`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, without_pictures():
        write("full_disk", full_disks(Path(folder), count=asked(50), seed=0))
