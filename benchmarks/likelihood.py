"""The Parzen likelihood of a run's validation digits, from near samples and from all, side by side.

`aae.parzen` computes distances in full only where samples can be near. A plain loop over the same
pieces computes every distance, and nothing else. Both take turns on the same samples.

    aae train gaussian --latent-dim 8 --validation 0.08 --out runs/plane
    python benchmarks/likelihood.py runs/plane --samples 100000
"""

import argparse
import math
import statistics
import time

import numpy as np
import torch
from torch import Tensor

from aae import inference, parzen
from aae.run import Run
from aae.splits import Splits, data_of

SIGMA = 0.13
"""Close to what is chosen on MNIST's validation set for this many samples."""


def of_near(samples: Tensor, points: Tensor) -> float:
    return parzen.log_likelihood(samples, points, SIGMA).value


def of_all(samples: Tensor, points: Tensor) -> float:
    """The same, from every distance."""
    centre = points.mean(0)
    total = torch.full((len(points),), -math.inf, dtype=torch.float64)
    for window in samples.split(4 * parzen.CHUNK):
        window = window - centre
        sums = []
        for some in points.split(parzen.CHUNK):
            some = some - centre
            squared = some.square().sum(1, keepdim=True) + window.square().sum(1)
            squared = torch.addmm(squared, some, window.T, alpha=-2).clamp_min(0)
            sums.append((squared / (-2 * SIGMA**2)).logsumexp(1))
        total = torch.logaddexp(total, torch.cat(sums).double())
    pixels = points.shape[1]
    normaliser = math.log(len(samples)) + pixels * math.log(SIGMA * math.sqrt(2 * math.pi))
    return total.mean().item() - normaliser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=2048)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    run = Run(args.run)
    validation = Splits.of(run.config, data_of(run.config)).validation.images[: args.points]
    points = torch.tensor(np.asarray(validation)).flatten(1).float() / 255
    draws = torch.Generator().manual_seed(0)
    samples = torch.cat(
        [some.flatten(1) for some in inference.samples(run.model(), None, args.samples, draws)]
    )
    seconds: dict[str, list[float]] = {"near": [], "all": []}
    for _ in range(args.turns):
        for which, measure in (("near", of_near), ("all", of_all)):
            began = time.perf_counter()
            value = measure(samples, points)
            seconds[which].append(time.perf_counter() - began)
            print(f"{which:4}  {seconds[which][-1]:6.2f} s  {value:.4f} nats", flush=True)
    ratios = [a / b for a, b in zip(seconds["all"], seconds["near"], strict=True)]
    print(
        f"{args.samples:,} samples, {len(points):,} points, {torch.get_num_threads()} threads: all "
        f"takes {statistics.median(ratios):.2f} times as long, "
        f"{min(ratios):.2f} to {max(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
