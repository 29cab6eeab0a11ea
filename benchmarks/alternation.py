"""The paper's alternation, as it is and without casts and second readings, side by side.

Both take turns to make steps of a setting of the reproduction with the paper's recipe, on noise in
the shape of MNIST. CPU time is measured, so that other load on the machine matters less.

    python benchmarks/alternation.py fig2/aae-gaussian table2/labels-1000 table3/clusters-16
"""

import argparse
import copy
import statistics
import time

import torch

from aae.autoencoder import Batch
from aae.build import build
from aae.reproduce import catalog
from aae.training.device import processor
from aae.training.step import Step
from aae.training.trainer import STEPS

SHAPE, CLASSES = (1, 28, 28), 10
KINDS = ("alternating-plain", "alternating")


def steps_of(setting: catalog.Setting) -> list[Step]:
    """A step of each kind, on equal models."""
    model = build(setting.config, SHAPE, CLASSES, torch.Generator().manual_seed(0)).train()
    return [STEPS[kind](copy.deepcopy(model), setting.config) for kind in KINDS]


def milliseconds(step: Step, steps: int) -> float:
    """CPU time of one step, in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    size = step.config.batch_size
    pictures = torch.rand((size, *SHAPE), generator=generator) * 2 - 1
    labels = torch.arange(size) % CLASSES
    batch = Batch(pictures, labels if step.model.uses_labels else torch.full_like(labels, -1))
    since = time.process_time()
    for count in range(steps):
        step.prepare(0, count)
        step(batch, lambda: Batch(pictures, labels), count, generator)
    return (time.process_time() - since) / steps * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("settings", nargs="+", help="as `aae reproduce` takes them")
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--steps", type=int, default=10, help="in each turn")
    args = parser.parse_args()
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for setting in catalog.settings(args.settings):
        if setting.recipe != "paper":
            continue
        steps = steps_of(setting)
        for step in steps:
            milliseconds(step, 2)
        turns = [[milliseconds(step, args.steps) for step in steps] for _ in range(args.turns)]
        plain, fast = map(statistics.median, zip(*turns, strict=True))
        ratios = sorted(plain / fast for plain, fast in turns)
        print(
            f"{setting.experiment}/{setting.name}, {str(steps[0].dtype).removeprefix('torch.')}: "
            f"{plain:.1f} ms a step and {fast:.1f}, {statistics.median(ratios):.2f} times as fast "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {args.turns} turns)",
            flush=True,
        )


if __name__ == "__main__":
    main()
