"""Untrusted files: each parser is given damaged ones, and may raise only its documented errors.

Valid files are damaged at random: bits flipped, pieces cut, doubled, moved or replaced, numbers in
headers made huge or negative, values in JSON exchanged for others. A parser may accept what it is
given, or raise `ValueError` or `OSError` (`UnreadableError` for a picture). All else is a failure:
another exception, more than ten seconds, a file outside its folder. The peak memory is reported,
except for what a parser does in a process of its own (Parquet). Figures of parsers that are not
named stay as they are. Run: ``python benchmarks/faults/fuzz.py [COUNT] [PARSER …]``
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import logging
import os
import random
import resource
import shutil
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fuzz_targets
import torch
from common import asked, kept, write

LONGEST = 10
"""Seconds that a parser may take."""
_ODD = [
    None, True, -1, 0, 1, 2**31, 10**12, 10**30, 1e308, -0.5, float("nan"), "", "../../x", "/etc",
    "x" * 999, [], {}, [[]], [-1], ["a"], {"a": 1}, [10**9, 10**9],
]  # fmt: skip
_NUMBERS = [struct.pack(f, n) for n in (0, 1, 2**31 - 1, 2**31) for f in ("<I", ">I", "<Q", ">Q")]
_NUMBERS += [b"\xff" * 4, b"\xff" * 8, struct.pack("<Q", 10**12), struct.pack(">Q", 10**12)]


class HangError(Exception):
    """A parser took too long."""


def fuzz(
    where: Path,
    *,
    count: int,
    seed: int,
    only: tuple[str, ...] = (),
    tell: Callable[[dict[str, Any]], object] = lambda figures: None,
) -> dict[str, Any]:
    """Give each parser ``count`` damaged files; see the module.

    Args:
        where: an empty folder.
        count: inputs for each parser.
        seed: seed of the damage.
        only: the parsers to try; all by default.
        tell: called with the figures so far, after each parser.
    """
    prepare(where)
    figures: dict[str, Any] = {}
    with _alarms(), _silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (seeds, parse) in fuzz_targets.targets(where / "sound").items():
            if not only or name in only:
                figures[name] = _one(where, seeds, parse, count, random.Random(f"{seed} {name}"))
                tell(figures)
    return figures


def _one(
    where: Path,
    seeds: list[bytes],
    parse: Callable[[bytes, Path], object],
    count: int,
    rng: random.Random,
) -> dict[str, Any]:
    for sound in seeds:
        parse(sound, sandbox(where))  # raises if it is not sound
    figures: dict[str, Any] = {"inputs": 0, "taken": 0, "refused": 0, "failures": []}
    slowest, before = 0.0, _most_memory(anew=True)
    for number in range(count):
        content = damaged(rng.choice(seeds), rng)
        folder = sandbox(where)
        since = time.perf_counter()
        signal.alarm(LONGEST)
        try:
            parse(content, folder)
            figures["taken"] += 1
        except fuzz_targets.DOCUMENTED:
            figures["refused"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            figures["failures"].append(f"{number}: {type(error).__name__}: {error}"[:200])
            (where.parent / f"failure-{number}").write_bytes(content)
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - since)
        if not is_clean(where):
            figures["failures"].append(f"{number}: it wrote outside of its folder")
        figures["inputs"] += 1
    grown = (_most_memory() - before) / 2**20
    return {**figures, "slowest, s": round(slowest, 2), "memory grew by, MiB": round(grown)}


def damaged(sound: bytes, rng: random.Random) -> bytes:
    """A valid file, damaged in one to four places."""
    if rng.random() < 0.3:
        with contextlib.suppress(ValueError):
            return _odd_json(sound, rng)
    content = bytearray(sound)
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        if rng.random() < 0.5:  # parsers believe headers
            at, to = min(at, rng.randrange(256)), min(to, rng.randrange(256))
        at, to = min(at, to), max(at, to)
        kind = rng.randrange(7)
        if kind == 0 and content:
            content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            del content[at : min(to, at + 64)]
        elif kind == 3:
            content[at:at] = content[at:to][:256]
        elif kind == 4:
            content[at : at + 8] = rng.choice(_NUMBERS)
        elif kind == 5:
            content[at : at + 16] = rng.randbytes(rng.randrange(16))
        elif content:
            content[-1 - min(at, len(content) - 1)] = rng.randrange(256)
    return bytes(content)


def _odd_json(sound: bytes, rng: random.Random) -> bytes:
    """JSON with one value exchanged for another; in a file of JSON lines, in one of them.

    Raises:
        ValueError: it is not JSON.
    """
    lines = sound.rstrip(b"\n").split(b"\n") if sound.startswith(b'{"') else [sound]
    k = rng.randrange(len(lines))
    node = whole = json.loads(lines[k])
    while True:
        if not isinstance(node, (dict, list)) or not node:
            return json.dumps(rng.choice(_ODD)).encode()
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if rng.random() < 0.6 and isinstance(node[key], (dict, list)) and node[key]:
            node = node[key]
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(_ODD)
        lines[k] = json.dumps(whole).encode()
        return b"\n".join(lines) + b"\n"


def prepare(where: Path) -> None:
    """Put the cache that parsers leave beside their files into the sandbox."""
    torch.set_num_threads(1)
    os.environ["AAE_CACHE_DIR"] = str(where / "sandbox" / "cache")


def is_clean(where: Path) -> bool:
    """Whether a folder holds only what belongs there."""
    return not {path.name for path in where.iterdir()} - {"sound", "sandbox"}


def sandbox(where: Path) -> Path:
    """An empty folder for a parser's file."""
    folder = where / "sandbox"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _most_memory(*, anew: bool = False) -> int:
    """Peak memory of this process in bytes; on Linux since the last call with ``anew``."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def _silence() -> Any:
    """Do not log a thousand times what is wrong with a checkpoint."""
    logger = logging.getLogger("aae")
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)


@contextlib.contextmanager
def _alarms() -> Any:
    def ring(*_: object) -> None:
        raise HangError(f"more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    faulthandler.enable()
    before = kept("fuzz")
    with TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        fuzz(
            Path(folder) / "x", count=asked(10_000), seed=0, only=tuple(sys.argv[2:]),
            tell=lambda figures: write("fuzz", {**before, **figures}),
        )  # fmt: skip
