"""``aae bench``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aae.terminal import console, show_json

if TYPE_CHECKING:
    from rich.table import Table


def bench(
    *,
    quick: bool = False,
    rounds: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    data_dir: str | None = None,
    json: bool = False,
) -> int:
    """Measure training speed on this machine, compared with a plain loop and pythae.

    Args:
        quick: Finish within a minute on two cores: fewer rounds, and no tables of how time grows.
        rounds: Timings of each contender, however long they take; without it 20, or with --quick up
            to 10, as time allows.
        threads: Threads of each contender; without it, torch's own choice.
        device: Device: auto, cpu, cuda, cuda:1.
        data_dir: Folder that holds MNIST; without it, random pictures if MNIST is not found.
        json: Print one JSON object instead of tables.
    """
    from aae.bench.throughput import QUICK, Plan, throughput

    plan = QUICK if quick else Plan()
    plan = plan if rounds is None else replace(plan, rounds=rounds, seconds=math.inf)
    with console(stderr=True).status("starting") as status:
        figures = throughput(
            plan, device=device, threads=threads, data_dir=data_dir, tell=status.update
        )
    if json:
        show_json(figures)
        return 0
    out = console()
    out.print(_contenders(figures), _ratios(figures), _floor(figures), *_growth(figures))
    if figures["ratio_pythae"] is None:
        out.print("pythae is not installed, and left out: pip install pythae==0.1.2")
    return 0


def _contenders(figures: dict[str, Any]) -> Table:
    """How long each contender took."""
    from aae.cli.tables import table

    columns = ("s an epoch", "range", "ms a step", "of its floor", "MiB")
    made = table(
        f"{figures['networks']}, code {figures['latent_dim']}, batch {figures['batch_size']}, "
        f"{_where(figures)}, {figures['pictures']:,} pictures ({figures['data']}), "
        f"{figures['rounds']} rounds",
        "contender", *columns, numbers=columns,
    )  # fmt: skip
    for name, each in figures["contenders"].items():
        made.add_row(
            f"{name} ({each['products']})" if name == "ours" else name,
            *_cells(each["seconds_per_epoch"]),
            f"{each['milliseconds_per_step']['median']:.4g}",
            f"{each['fraction_of_floor']:.1%}" if "products" in each else "",
            f"{each['peak_device_memory_mib'] or each['peak_memory_mib']:,}",
        )
    return made


def _ratios(figures: dict[str, Any]) -> Table:
    """How many times as long the others took."""
    from aae.cli.tables import table

    made = table("Times, round by round", "", "median", "range", numbers=("median", "range"))
    for name, words in {
        "plain": "plain over ours",
        "plain_float32": "plain over ours in float32",
        "pythae": "pythae over ours",
    }.items():
        if spread := figures["ratios"][name]:
            made.add_row(words, *_cells(spread))
    return made


def _floor(figures: dict[str, Any]) -> Table:
    """What the machine can do, and how close ours comes to it."""
    from aae.cli.tables import table

    rates, step, ours = figures["rates"], figures["step"], figures["contenders"]["ours"]
    made = table("What this machine can do, in the same rounds", "", "value",
                 numbers=("value",))  # fmt: skip
    rows = {
        "products in float32, GFLOP/s": f"{rates['float32_gflops']:,.4g}",
        "products in bfloat16, GFLOP/s": (
            "no units" if rates["bf16_gflops"] is None else f"{rates['bf16_gflops']:,.4g}"
        ),
        "memory, GB/s": f"{rates['bandwidth_gb_per_second']:,.4g}",
        "products of a step, GFLOP": f"{step['gflop']:.4g}",
        "optimiser's traffic of a step, MB": f"{step['optimizer_mb']:.4g}",
        "floor of a step of ours, ms": f"{ours['floor_milliseconds']:.4g}",
        "that floor over our time": f"{figures['fraction_of_floor']:.1%}",
        "its products alone over our time": f"{figures['fraction_of_rate']:.1%}",
    }
    for name, value in rows.items():
        made.add_row(name, value)
    return made


def _growth(figures: dict[str, Any]) -> list[Table]:
    """How time grows: one table for each field that was varied."""
    from aae.cli.tables import table

    made = []
    for name, rows in figures["growth"].items():
        what = name.replace("_", " ")
        columns = (what, "s an epoch", "range", "ms a step", "pictures/s", "of its floor", "MiB")
        grown = table(f"Ours, with {what}", *columns, numbers=columns)
        for row in rows:
            grown.add_row(
                f"{row[name]:,}",
                *_cells(row["seconds_per_epoch"]),
                f"{row['milliseconds_per_step']['median']:.4g}",
                f"{row['pictures_per_second']:,}",
                f"{row['fraction_of_floor']:.0%}",
                f"{row['peak_device_memory_mib'] or row['peak_memory_mib']:,}",
            )
        made.append(grown)
    return made


def _cells(spread: dict[str, float]) -> tuple[str, str]:
    """A median and its range."""
    return f"{spread['median']:.3g}", f"{spread['low']:.3g}–{spread['high']:.3g}"


def _where(figures: dict[str, Any]) -> str:
    if gpu := figures["machine"]["gpu"]:
        return str(gpu)
    threads = figures["threads"]
    return f"{threads} thread{'s' if threads > 1 else ''}"
