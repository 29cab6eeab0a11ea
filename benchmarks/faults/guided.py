"""Untrusted files once more, made by a coverage-guided fuzzer.

`fuzz` damages valid files at random. atheris (libFuzzer for Python; ``pip install atheris``) keeps
those inputs that led a parser to new lines, and changes them further; every other change is one of
`fuzz.damaged`. It only sees Python (ours, Pillow's, numpy's readers, zipfile and the like), nothing
compiled, and not Parquet, which is read in another process. The same errors are allowed as in
`fuzz`; a parser's first failure ends its turn.
Run: ``python benchmarks/faults/guided.py [SECONDS] [PARSER …]``, with the seconds for each parser.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SEEN = ["aae", "PIL", "gzip", "json", "numpy.lib", "tarfile", "zipfile"]
"""The packages whose lines are counted."""
ELSEWHERE = {"Parquet"}
"""Parsers that work in another process, where nothing is seen."""


def guided(
    where: Path,
    names: list[str],
    *,
    seconds: float,
    tell: Callable[[dict[str, Any]], object] = lambda figures: None,
) -> dict[str, Any]:
    """Fuzz each parser for some seconds, in a process of its own; see the module.

    Args:
        where: an empty folder.
        names: the parsers, see `fuzz_targets.targets`.
        seconds: for each parser.
        tell: called with the figures so far, after each parser.
    """
    figures: dict[str, Any] = {}
    for number, name in enumerate(names):
        folder = where / str(number)
        command = [sys.executable, __file__, "--one", name, str(int(seconds)), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        figures[name] = _figures(done.stderr, done.returncode)
        tell(figures)
    return figures


def _figures(said: str, code: int) -> dict[str, Any]:
    """What libFuzzer said, in numbers, and its failures in words."""
    covered = [int(count) for count in re.findall(r"cov: (\d+)", said)]
    inputs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", said)
    memory = re.findall(r"stat::peak_rss_mb:\s*(\d+)", said)
    slowest = re.findall(r"stat::slowest_unit_time_sec:\s*(\d+)", said)
    failures = re.findall(r"(?:Uncaught Python exception.*\n(?:\s*\n)?|ERROR: )(.+)", said)
    if code and not failures:
        failures = [f"it ended with {code}: {said.strip().splitlines()[-1]}"]
    return {
        "inputs": int(inputs[-1]) if inputs else 0,
        "branches at first": covered[0] if covered else 0,
        "branches at last": covered[-1] if covered else 0,
        "slowest, s": int(slowest[-1]) if slowest else 0,
        "most memory, MiB": int(memory[-1]) if memory else 0,
        "failures": [failure.strip()[:200] for failure in failures],
    }


def _one(name: str, seconds: int, where: Path) -> None:
    """Fuzz one parser; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=SEEN):
        import fuzz
        import fuzz_targets
        from common import without_pictures

        fuzz.prepare(where)
        known = fuzz_targets.of_data()
        if name not in known:
            with without_pictures():
                known = fuzz_targets.of_runs(where / "sound")
        seeds, parse = known[name]
        for sound in seeds:
            parse(sound, fuzz.sandbox(where))  # so that what it imports is seen, too
    logging.getLogger("aae").setLevel(logging.ERROR)
    corpus = where.with_name(f"{where.name}-corpus")
    corpus.mkdir()
    for number, sound in enumerate(seeds):
        (corpus / str(number)).write_bytes(sound)

    def one(content: bytes) -> None:
        with contextlib.suppress(*fuzz_targets.DOCUMENTED):
            parse(content, fuzz.sandbox(where))
        assert fuzz.is_clean(where), "it wrote outside of its folder"

    def change(content: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        made = fuzz.damaged(content, rng) if rng.random() < 0.5 else atheris.Mutate(content, most)
        return made[:most]

    longest = 2 * max(map(len, seeds))
    atheris.Setup(
        [
            __file__, str(corpus), f"-max_total_time={seconds}", f"-timeout={fuzz.LONGEST}",
            f"-max_len={longest}", "-len_control=0", "-rss_limit_mb=4096", "-seed=1",
            f"-artifact_prefix={where.with_name(where.name)}-", "-print_final_stats=1",
        ],
        one,
        custom_mutator=change,
    )  # fmt: skip
    atheris.Fuzz()


def _main(seconds: int, names: list[str]) -> None:
    from common import kept, without_pictures, write
    from fuzz_targets import targets

    before = kept("guided")
    with TemporaryDirectory() as folder:
        with without_pictures():
            known = targets(Path(folder) / "known")
        guided(
            Path(folder), names or [name for name in known if name not in ELSEWHERE],
            seconds=seconds, tell=lambda figures: write("guided", {**before, **figures}),
        )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        _main(int(sys.argv[1]) if len(sys.argv) > 1 else 120, sys.argv[2:])
