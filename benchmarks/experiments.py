"""The reference program's experiments on the full MNIST, and the same over seeds.

    python benchmarks/experiments.py figures     # each once, 50 epochs or more, with its pictures
    python benchmarks/experiments.py stability   # five seeds of each recipe, ten epochs
    python benchmarks/experiments.py summary     # the table of what has been run so far

Runs go on where they were stopped. Each leaves a run folder under ``runs/`` and its figures, from
the test set, under ``benchmarks/results/``. With ``--jobs 2`` two run at a time, a thread each:
more pictures a second on two cores than one run with two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from aae.config import Config
from aae.recipes import recipe

RESULTS = Path(__file__).parent / "results"
RUNS = Path(os.environ.get("AAE_RUNS", "runs"))


def figures() -> dict[str, Config]:
    """Each experiment of the reference, once."""
    longer: dict[str, Any] = {"epochs": 50}
    return {
        "gaussian": replace(recipe("gaussian"), **longer),
        "mixture": replace(recipe("mixture"), **longer),
        "labels-10000": replace(recipe("labels"), **longer),
        "labels-all": replace(recipe("labels"), labels="all", **longer),
        "style-2": replace(recipe("style"), **longer),
        "style-10": replace(recipe("style"), latent_dim=10, **longer),
        "semi-1280": recipe("semi"),
    }


def stability() -> dict[str, Config]:
    """Does a recipe hold with its defaults? Five seeds each, ten epochs."""
    return {
        f"{name}-seed{seed}": replace(recipe(name), epochs=10, seed=seed)
        for seed in range(5)
        for name in ("gaussian", "mixture", "labels", "style", "semi")
    }


SETS = {"figures": figures, "stability": stability}


def work(job: tuple[str, str, Config]) -> str:
    """Train, or go on with, one run; measure it on the test set; write its figures down."""
    kind, name, config = job
    result = RESULTS / kind / f"{name}.json"
    if result.exists():
        return f"{name}: done before"
    import torch

    from aae.evaluate import evaluate, write_report
    from aae.fit import fit, resume
    from aae.run import versions

    torch.set_num_threads(1)
    folder = RUNS / kind / name
    since = time.perf_counter()
    run = resume(folder) if folder.exists() else fit(config, folder)
    seconds = time.perf_counter() - since
    measured = evaluate(run, split="test", judge=True)
    write_report(run, measured)
    measured |= {"seconds": round(seconds), "versions": versions(), "config": config.to_json()}
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(measured, indent=1) + "\n")
    return f"{name}: {measured['health']}, {seconds:.0f} s"


def summary() -> None:
    """Print a line for each result, and the spread over seeds."""
    keys = (
        "reconstruction_error", "prior_distance", "component_accuracy", "error",
        "style_accuracy", "style_variety", "readable", "smallest_class", "health",
    )  # fmt: skip
    for kind in SETS:
        for path in sorted((RESULTS / kind).glob("*.json")):
            measured = json.loads(path.read_text())
            told = (
                f"{key} {measured[key]:.4f}" if isinstance(measured[key], float) else measured[key]
                for key in keys
                if key in measured
            )
            print(f"{kind} {path.stem}: " + ", ".join(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=[*SETS, "summary"])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a thread each")
    parser.add_argument("--only", nargs="*", help="names of runs (default: all)")
    arguments = parser.parse_args()
    if arguments.what == "summary":
        summary()
        return
    jobs = [
        (arguments.what, name, config)
        for name, config in SETS[arguments.what]().items()
        if not arguments.only or name in arguments.only
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(work, jobs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
