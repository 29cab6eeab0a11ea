"""The reference program's experiments on the full MNIST, once and over several seeds.

    python benchmarks/experiments.py figures     # each once, 50 epochs or more, with its pictures
    python benchmarks/experiments.py stability   # five seeds of each recipe, ten epochs
    python benchmarks/experiments.py paths       # the fast step in bf16, the plain one in float32
    python benchmarks/experiments.py summary     # the tables of what has been run so far
    python benchmarks/experiments.py publish     # the README's pictures

Interrupted runs are resumed. Each leaves a run folder under ``runs/`` and its figures, from the
test set, under ``benchmarks/results/``. With ``--jobs 2`` two run at a time, with one thread each:
on two cores, that trains more pictures a second than one run with two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from aae.config import Config
from aae.recipes import recipe

RESULTS = Path(__file__).parent / "results"
RUNS = Path(os.environ.get("AAE_RUNS", "runs"))


def figures() -> dict[str, Config]:
    """Each experiment of the reference, once."""
    return {
        "gaussian": recipe("gaussian"),
        "mixture": recipe("mixture"),
        "labels-10000": recipe("labels"),
        "labels-all": replace(recipe("labels"), labels="all"),
        "style-2": recipe("style"),
        "style-10": replace(recipe("style"), latent_dim=10),
        "semi-1280": recipe("semi"),
    }


def stability() -> dict[str, Config]:
    """Does a recipe hold with its defaults? Five seeds each, ten epochs."""
    return {
        f"{name}-seed{seed}": replace(recipe(name), epochs=10, seed=seed)
        for seed in range(5)
        for name in ("gaussian", "mixture", "labels", "style", "semi")
    }


def paths() -> dict[str, Config]:
    """Is the fast way as good as the plain one? Five seeds each, five epochs."""
    ways = {
        "fast": {"step": "joint", "precision": "auto"},
        "plain": {"step": "joint-plain", "precision": "float32"},
    }
    return {
        f"{name}-{way}-seed{seed}": replace(recipe(name), epochs=5, seed=seed, **changes)
        for seed in range(5)
        for name in ("gaussian", "semi")
        for way, changes in ways.items()
    }


SETS = {"figures": figures, "stability": stability, "paths": paths}


def work(job: tuple[str, str, Config]) -> str:
    """Train or resume one run, measure it on the test set, and write down its figures."""
    kind, name, config = job
    result = RESULTS / kind / f"{name}.json"
    if result.exists():
        return f"{name}: done before"
    import torch

    from aae.evaluate import evaluate
    from aae.fit import fit, resume
    from aae.run import versions
    from aae.run_report import write_report

    torch.set_num_threads(1)
    folder = RUNS / kind / name
    since = time.perf_counter()
    resumed = folder.exists()
    run = resume(folder) if resumed else fit(config, folder)
    seconds = time.perf_counter() - since
    measured = evaluate(run, split="test", judge=True)
    write_report(run, measured)
    whole = None if resumed else round(seconds)  # what came before the stop was not measured
    measured |= {"seconds": whole, "versions": versions(), "config": config.to_json()}
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(measured, indent=1) + "\n")
    return f"{name}: {measured['health']}, {seconds:.0f} s{' since it went on' if resumed else ''}"


PUBLISHED = {
    "gaussian": ("latent", "manifold"),
    "mixture": ("latent", "samples"),
    "labels-10000": ("latent", "samples"),
    "labels-all": ("latent",),
    "style-2": ("style",),
    "style-10": ("style",),
    "semi-1280": ("samples", "learning-curves"),
}
"""The pictures that the README shows."""


def publish() -> None:
    """Copy the README's pictures out of the run folders."""
    place = Path(__file__).parents[1] / "docs" / "figures"
    place.mkdir(parents=True, exist_ok=True)
    for name, figures in PUBLISHED.items():
        for figure in figures:
            source = RUNS / "figures" / name / "figures" / f"{figure}.png"
            if source.exists():
                print(shutil.copyfile(source, place / f"{name}-{figure}.png"))


COLUMNS = {
    "reconstruction_error": ("reconstruction", "{:.1f}"),
    "prior_distance": ("distance to prior", "{:.4f}"),
    "offset from centre": ("offset", "{:.2f}"),
    "discriminator accuracy": ("accuracy of D", "{:.2f}"),
    "component_accuracy": ("own component", "{:.1%}"),
    "error": ("error", "{:.2%}"),
    "style_accuracy": ("read as asked", "{:.1%}"),
    "style_variety": ("variety", "{:.2f}"),
    "readable": ("readable", "{:.1%}"),
    "smallest_class": ("smallest class", "{:.1%}"),
    "classes_drawn": ("classes drawn", "{:.1f}"),
}
"""What the tables show, and how."""


def row(measured: list[dict[str, Any]]) -> list[str]:
    """A row of a table: a single run's figures, or mean ± standard deviation over runs."""
    for one in measured:
        one |= {check["name"]: check["value"] for check in one["health_checks"]}
    cells = []
    for key, (_, form) in COLUMNS.items():
        values = [one[key] for one in measured if key in one]
        if not values:
            cells.append("")
        elif len(values) == 1:
            cells.append(form.format(values[0]))
        else:
            cells.append(f"{form.format(mean(values))} ± {form.format(stdev(values))}")
    verdicts = Counter(one["health"] for one in measured)
    words = (f"{n} {word}" if len(measured) > 1 else word for word, n in verdicts.items())
    return [*cells, ", ".join(words)]


def summary() -> None:
    """Print the tables of what has been run so far, as Markdown."""
    for kind in SETS:
        runs: dict[str, list[dict[str, Any]]] = {}
        for path in sorted((RESULTS / kind).glob("*.json")):
            name = path.stem.partition("-seed")[0]
            runs.setdefault(name, []).append(json.loads(path.read_text()))
        rows = {name: row(measured) for name, measured in runs.items()}
        heads = [*(head for head, _ in COLUMNS.values()), "verdict"]
        shown = [k for k in range(len(heads)) if any(cells[k] for cells in rows.values())]
        print(f"\n{kind}\n\n| | " + " | ".join(heads[k] for k in shown) + " |")
        print("|---" * (len(shown) + 1) + "|")
        for name, cells in rows.items():
            print(f"| `{name}` ({len(runs[name])}) | " + " | ".join(cells[k] for k in shown) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=[*SETS, "summary", "publish"])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a thread each")
    parser.add_argument("--only", nargs="*", help="names of runs (default: all)")
    arguments = parser.parse_args()
    if arguments.what not in SETS:
        {"summary": summary, "publish": publish}[arguments.what]()
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
