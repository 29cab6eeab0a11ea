"""How long until a classifier from 1,280 labels is as good as the reference program's last one?

    python benchmarks/time_to_quality.py --seeds 3

The reference ends at 2.9 % test error after about 160 epochs, 79 minutes on two cores. Here the
number of epochs is fixed beforehand for each way. Training is complete (data loaded, pictures and
checkpoints written), and the test set is used once: seconds from call to end, and the error.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from aae.config import Config
from aae.recipes import recipe

RESULT = Path(__file__).parent / "results" / "time_to_quality.json"
ASKED = 0.029


def ways() -> dict[str, Config]:
    """The tuned recipe in few epochs, and the paper's model alone in more; named by their epochs.

    The paper's losses alone need a gentle game for y: if its generator weighs as much as that of z,
    more pictures are misclassified (docs/trials.md).
    """
    alone = replace(
        recipe("semi"), epochs=20, vat_weight=0.0, noise_std=0.4, batch_norm=True,
        y_generator_weight=3.0, y_discriminator_weight=3.0,
    )  # fmt: skip
    return {
        "tuned-4": replace(recipe("semi"), epochs=4),
        "paper-20": alone,
    }


def run(config: Config) -> dict[str, Any]:
    """Train into a folder that is thrown away; seconds and test error."""
    from aae.evaluate import evaluate
    from aae.fit import fit

    with tempfile.TemporaryDirectory() as folder:
        since = time.perf_counter()
        trained = fit(replace(config, sample_every=config.epochs), Path(folder) / "run")
        seconds = time.perf_counter() - since
        figures = evaluate(trained, judge=False)
    return {"seconds": round(seconds, 1), "error": figures["error"], "health": figures["health"]}


def main() -> None:
    """Measure all ways and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=[*ways()], nargs="*")
    arguments = parser.parse_args()
    from aae.data import load
    from aae.run import versions

    load("mnist")  # downloads it, if it is not here
    results: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name, config in ways().items():
        if arguments.only and name not in arguments.only:
            continue
        runs = [run(replace(config, seed=seed)) for seed in range(arguments.seeds)]
        results[name] = {"epochs": config.epochs, "runs": runs, "versions": versions()}
        reached = sum(one["error"] <= ASKED for one in runs)
        print(
            f"{name}: {config.epochs} epochs in {mean(one['seconds'] for one in runs):.0f} s, "
            "error "
            + ", ".join(f"{one['error']:.2%}" for one in runs)
            + f"; {reached} of {len(runs)} at {ASKED:.1%} or less",
            flush=True,
        )
        RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
