"""From laps to figures: medians and spread, ratios, shares of what the machine can do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch

from aae.bench.contender import CLASSES, Lap, Precision, Setup
from aae.bench.machine import Rates, Work
from aae.build import build
from aae.training.device import choose_precision

OURS, FLOAT32, PLAIN, PYTHAE = "ours", "ours, float32", "plain", "pythae"
PRECISION: dict[str, Precision] = {OURS: "auto", FLOAT32: "float32"}


def compare(setup: Setup, laps: Mapping[str, list[Lap]], rates: Iterable[Rates]) -> dict[str, Any]:
    """The figures from the laps of all contenders, as plain JSON values.

    Args:
        setup: what they were given.
        laps: those of each contender, one for each round.
        rates: those of the machine, in the same rounds.
    """
    typical = Rates.median(rates)
    times = {name: [lap.seconds for lap in each] for name, each in laps.items()}
    ratios = {
        "plain": _ratio(times, PLAIN, OURS),
        "plain_float32": _ratio(times, PLAIN, FLOAT32),
        "pythae": _ratio(times, PYTHAE, OURS),
    }
    compared = {
        name: {
            "seconds_per_epoch": spread(setup.epoch * s for s in times[name]),
            "milliseconds_per_step": spread(1e3 * s for s in times[name]),
            **_memory(each[-1]),
            "warm_up_steps": each[-1].warm_up,
            **(
                fractions(setup, times[name], typical, PRECISION[name]) if name in PRECISION else {}
            ),
        }
        for name, each in laps.items()
    }
    work = work_of(setup)
    return {
        **{f"ratio_{name}": ratio and ratio["median"] for name, ratio in ratios.items()},
        "seconds_per_epoch": compared[OURS]["seconds_per_epoch"]["median"],
        "fraction_of_floor": compared[OURS]["fraction_of_floor"],
        "fraction_of_rate": compared[OURS]["fraction_of_rate"],
        "ratios": ratios,
        "contenders": compared,
        "rates": {
            "float32_gflops": significant(typical.float32 / 1e9),
            "bf16_gflops": None if typical.bf16 is None else significant(typical.bf16 / 1e9),
            "bandwidth_gb_per_second": significant(typical.bandwidth / 1e9),
        },
        "step": {"gflop": work.operations / 1e9, "optimizer_mb": work.traffic / 1e6},
        "networks": f"{math.prod(_shape(setup))}-{setup.hidden}-{setup.hidden}",
        "latent_dim": setup.latent_dim,
        "batch_size": setup.batch_size,
        "pictures": setup.pictures,
        "device": setup.device,
        "threads": setup.threads,
        "rounds": len(times[OURS]),
        "steps_in_a_round": setup.steps,
    }


def grown(setup: Setup, laps: list[Lap], rates: Iterable[Rates]) -> dict[str, Any]:
    """The figures from our laps at one setup, as plain JSON values.

    Args:
        setup: what ours was given.
        laps: its laps.
        rates: those of the machine, with memory gauged for the networks of the comparison. Where a
            row's networks are much smaller and fit a nearer cache, its true floor is lower.
    """
    seconds = [lap.seconds for lap in laps]
    return {
        "milliseconds_per_step": spread(1e3 * s for s in seconds),
        "seconds_per_epoch": spread(setup.epoch * s for s in seconds),
        "pictures_per_second": round(setup.batch_size / median(seconds)),
        **_memory(laps[-1]),
        **fractions(setup, seconds, Rates.median(rates), "auto"),
    }


def fractions(
    setup: Setup, seconds: Iterable[float], rates: Rates, precision: Precision
) -> dict[str, Any]:
    """How near a step of ours comes to what the machine can do.

    Args:
        setup: what ours was given.
        seconds: times of its steps.
        rates: those of the machine.
        precision: that of the step's products.
    """
    dtype = choose_precision(precision, torch.device(setup.device))
    rate = rates.float32 if dtype == torch.float32 else rates.bf16
    assert rate is not None
    work, typical = work_of(setup), median(seconds)
    floor = work.seconds(rate, rates.bandwidth)
    return {
        "products": str(dtype).removeprefix("torch."),
        "floor_milliseconds": significant(1e3 * floor),
        "fraction_of_floor": significant(floor / typical),
        "fraction_of_rate": significant(work.operations / rate / typical),
    }


def work_of(setup: Setup) -> Work:
    """The work that a joint step at a setup cannot avoid."""
    model = build(setup.config(), _shape(setup), CLASSES, torch.Generator().manual_seed(0))
    return Work.of(model, setup.batch_size)


def spread(values: Iterable[float]) -> dict[str, float]:
    """The median of some values, with the lowest and the highest.

    >>> spread([1.0, 4.0, 2.0])
    {'median': 2.0, 'low': 1.0, 'high': 4.0}
    """
    values = list(values)
    kinds = {"median": median(values), "low": min(values), "high": max(values)}
    return {name: significant(value) for name, value in kinds.items()}


def significant(value: float) -> float:
    """Four digits: more are noise.

    >>> significant(12.34567)
    12.35
    """
    return float(f"{value:.4g}")


def _ratio(times: Mapping[str, list[float]], over: str, under: str) -> dict[str, float] | None:
    """One contender's times over another's, round by round; None where one did not run."""
    if over not in times:
        return None
    return spread(a / b for a, b in zip(times[over], times[under], strict=True))


def _memory(lap: Lap) -> dict[str, int | None]:
    on_device = None if lap.device_memory is None else round(lap.device_memory)
    return {"peak_memory_mib": round(lap.memory), "peak_device_memory_mib": on_device}


def _shape(setup: Setup) -> tuple[int, ...]:
    shape: tuple[int, ...] = np.load(setup.images, mmap_mode="r").shape[1:]
    return shape
