"""``aae reproduce``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from aae.cli.failures import INTERRUPTED
from aae.terminal import console, show_json


def reproduce(
    experiments: tuple[str, ...] = (),
    /,
    *,
    seeds: int | None = None,
    quick: bool = False,
    recipe: Literal["tuned", "paper", "both"] = "tuned",
    out: Path = Path("benchmarks/fidelity"),
    runs: Path = Path("runs/fidelity"),
    page: tuple[Path, ...] = (),
    data_dir: str | None = None,
    json: bool = False,
) -> int:
    """Reproduce figures and tables of the paper, and compare them with the paper's values.

    Args:
        experiments: Experiments (fig2, fig3, fig5, fig6, fig7, table1, table2, table3, fig10), or
            all; or single settings, such as table2/labels-100.
        seeds: Runs of each setting, with seeds 0, 1, …; without it ten, or one with --quick.
        quick: For a look, not for the record: one epoch (two for longer trainings), one seed, no
            ten million Parzen samples and no probes.
        recipe: Recipe: tuned, paper, or both.
        out: Folder for the figures; figures that are already there are not measured again.
        runs: Folder for the run folders; interrupted runs are resumed.
        page: Markdown pages to update with the tables and pictures of everything measured.
        data_dir: Folder that holds the data set's files.
        json: Print the rows as one JSON list instead of a table.
    """
    from aae.fit import Interrupted
    from aae.reproduce.catalog import EXPERIMENTS, settings
    from aae.reproduce.curves import draw
    from aae.reproduce.page import around, update
    from aae.reproduce.summary import summarise
    from aae.reproduce.work import found
    from aae.reproduce.work import reproduce as run_all
    from aae.storage import write_json

    if seeds is None:
        seeds = 1 if quick else 10
    if seeds < 1:
        raise ValueError(f"--seeds must be at least 1, not {seeds}")
    if not experiments:
        raise ValueError(f"name experiments to reproduce: {', '.join(EXPERIMENTS)}, or all")
    for place in page:
        around(place)  # refuses a page with no place for tables before hours are spent on them
    chosen = [s for s in settings(experiments) if recipe in (s.recipe, "both")]
    results = []
    try:
        for setting, seed, figures in run_all(
            chosen, out=out, runs=runs, seeds=seeds, quick=quick, data_dir=data_dir,
            say=lambda words: print(words, file=sys.stderr, flush=True),
        ):  # fmt: skip
            results.append((setting, seed, figures))
            if not json:
                told = (f"{t.metric} {figures[t.metric]:.4g}" for t in setting.targets)
                print(f"{setting.place}, seed {seed}: {', '.join(told)}", flush=True)
    except Interrupted as stop:
        print(f"{stop}; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    rows = summarise(results)
    measured = list(found(out, quick=quick))
    everything = summarise(measured)
    figures_at = out / "quick" if quick else out
    write_json(figures_at / "summary.json", everything)
    draw(measured, figures_at)
    for place in page:
        update(place, everything, figures_at)
    if json:
        show_json(rows)
        return 0
    console().print(_table(rows))
    return 0


def _table(rows: list[dict[str, Any]]) -> Any:
    from aae.cli.tables import table

    numbers = ("asked", "ours", "seeds", "epochs", "s a run")
    made = table(
        "The paper's figures, and ours", "setting", "figure", "asked", "public", "ours", "seeds",
        "epochs", "s a run", numbers=numbers,
    )  # fmt: skip
    for row in rows:
        spread = "" if row["std"] is None else f" ± {row['std']:.2g}"
        sign = {True: " ✓", False: " ✗", None: ""}[row["reached"]]
        made.add_row(
            f"{row['experiment']}/{row['setting']}-{row['recipe']}",
            row["metric"].replace("_", " "),
            "" if row["target"] is None else f"{row['target']:.4g}", row["public"],
            f"{row['mean']:.4g}{spread}{sign}", str(row["n_seeds"]), str(row["epochs"]),
            f"{row['seconds']:.0f}",
        )  # fmt: skip
    made.caption = "; ".join(sorted({row["machine"] for row in rows}))
    return made
