"""The benchmark of training speed: ours, a plain loop and pythae in one run."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from aae.bench.contender import Setup, Train, timed
from aae.bench.figures import FLOAT32, OURS, PLAIN, PYTHAE, compare, grown, work_of
from aae.bench.machine import GAUGE_SECONDS, Rates, describe, gauge
from aae.bench.ours import ours
from aae.bench.plain import plain
from aae.bench.race import race
from aae.bench.rival import pythae, pythae_version
from aae.data import load
from aae.data.cache import cache_folder
from aae.run import versions
from aae.training.device import choose_device

SHAPE, COUNT = (1, 28, 28), 60_000
"""Shape and number of MNIST's training pictures."""
GPU_STEPS = 10
"""A timing has this many times as many steps on a GPU, where a step is over sooner."""
MACHINE = "the machine's rates"
GROWTH: dict[str, tuple[int, ...]] = {
    "batch_size": (32, 64, 128, 256, 512, 1024),
    "hidden": (250, 500, 1000, 2000),
    "latent_dim": (2, 8, 32, 128),
    "pictures": (15_000, 60_000, 240_000),
}
Tell = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and how long.

    Raises:
        ValueError: there is nothing to measure.
    """

    rounds: int = 20
    """Timings of each contender."""
    growth: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: GROWTH)
    """Fields of `Setup` that are varied one at a time, and their values."""
    growth_rounds: int = 5
    """Timings of each of these values."""
    seconds: float = math.inf
    """Seconds from the start after which no further round begins; the first three always do."""
    gauge_seconds: float = GAUGE_SECONDS
    """Seconds for which each of the machine's rates is measured in a round."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Other values for fields of `Setup`."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"--rounds must be at least 1, not {self.rounds}")


QUICK = Plan(rounds=10, growth={}, seconds=45, changes={"steps": 10, "warm_up_seconds": 8.0})
"""Done within a minute on two cores."""


def throughput(
    plan: Plan,
    *,
    device: str = "auto",
    threads: int | None = None,
    data_dir: str | None = None,
    tell: Tell = lambda words: None,
) -> dict[str, Any]:
    """Time training steps of the recipe ``gaussian`` beside a plain loop's and pythae's.

    Args:
        plan: how much is measured.
        device: where; "auto" takes the GPU where there is one.
        threads: how many each contender has; by default as many as torch takes.
        data_dir: folder that holds MNIST.
        tell: is told in words what happens.

    Returns:
        Plain JSON values. ``ratio_plain`` and ``ratio_pythae`` are their steps' time over ours,
        ``ratio_plain_float32`` the plain loop's over ours in float32: medians over rounds, None
        where pythae is not installed. ``seconds_per_epoch`` is ours. ``fraction_of_floor`` is the
        least time of our step over its measured time, ``fraction_of_rate`` that of its products
        alone, both at the rates that the machine reached in the same run. The rest is what these
        are made from, and the spread over rounds.

    Raises:
        ValueError: there is no such device, or no MNIST in ``data_dir``.
        RuntimeError: a contender's process died.
    """
    start = time.monotonic()
    if threads is not None and threads < 1:
        raise ValueError(f"--threads must be at least 1, not {threads}")
    place = choose_device(device)
    if place.type not in ("cpu", "cuda"):
        raise ValueError(f"--device {device} cannot be timed; take cpu or cuda")
    images, source = find_pictures(data_dir)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pictures.npy"
        np.save(file, images)
        setup = Setup(
            images=file,
            pictures=len(images),
            threads=threads or torch.get_num_threads(),
            device=str(place),
        )
        setup = replace(setup, **plan.changes)
        if place.type == "cuda":
            setup = replace(setup, steps=GPU_STEPS * setup.steps)
        makers: dict[str, Callable[[], Callable[[], Any]]] = {
            name: partial(timed, make, setup) for name, make in contenders().items()
        }
        parameters = work_of(setup).parameters
        makers[MACHINE] = partial(
            gauge, setup.device, setup.threads, parameters, plan.gauge_seconds
        )
        laps = race(makers, rounds=plan.rounds, until=start + plan.seconds, tell=tell)
        rates = laps.pop(MACHINE)
        return {
            **compare(setup, laps, rates),
            "growth": {name: _grow(setup, name, plan, rates, tell) for name in plan.growth},
            "data": source,
            "machine": describe(setup.device),
            "versions": _versions(),
            "seconds_in_all": round(time.monotonic() - start, 1),
        }


def contenders() -> dict[str, Callable[[Setup], Train]]:
    """The contenders that can be timed here."""
    there: dict[str, Callable[[Setup], Train]] = {
        OURS: ours,
        FLOAT32: partial(ours, precision="float32"),
        PLAIN: plain,
    }
    if pythae_version():
        there[PYTHAE] = pythae
    return there


def find_pictures(data_dir: str | None = None) -> tuple[np.ndarray, str]:
    """MNIST's training pictures if they are on this machine, else random ones of their shape.

    Nothing is downloaded: what is in the pictures hardly matters to the speed.

    Returns:
        uint8 [n, c, h, w], and what they are, in words.

    Raises:
        ValueError: there is no MNIST in ``data_dir``.
    """
    if data_dir is not None:
        return np.asarray(load("mnist", data_dir).train_images), "MNIST"
    for place in os.environ.get("AAE_DATA_DIR"), cache_folder():
        with suppress(ValueError):
            if place:
                return np.asarray(load("mnist", place).train_images), "MNIST"
    random = np.random.default_rng(0).integers(256, size=(COUNT, *SHAPE), dtype=np.uint8)
    return random, "random pictures of MNIST's shape"


def _grow(
    setup: Setup, name: str, plan: Plan, rates: list[Rates], tell: Tell
) -> list[dict[str, Any]]:
    """How our time grows with one field of the setup: a row for each value, from one race."""
    what = name.replace("_", " ")
    changes: list[dict[str, Any]] = [{name: value} for value in plan.growth[name]]
    setups = {f"{what} {each[name]:,}": replace(setup, **each) for each in changes}
    makers = {key: partial(timed, ours, each) for key, each in setups.items()}
    laps = race(makers, rounds=plan.growth_rounds, tell=lambda words: tell(f"{what}: {words}"))
    return [
        {name: getattr(each, name), **grown(each, laps[key], rates)} for key, each in setups.items()
    ]


def _versions() -> dict[str, str | None]:
    known = {name: words for name, words in versions().items() if name != "machine"}
    return {**known, "pythae": pythae_version()}
