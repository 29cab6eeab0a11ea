"""The Parzen likelihood of a run's validation digits, by near samples and by all, side by side.

`aae.parzen` takes distances in full only where samples can be near; with no such choice, every
distance is taken. Both take turns on the same samples; three turns are reported.

    aae train gaussian --latent-dim 8 --validation 0.08 --out runs/plane
    python benchmarks/likelihood.py runs/plane --samples 100000
"""

import argparse
import statistics
import time
from unittest.mock import patch

import numpy as np
import torch

from aae import inference, parzen
from aae.run import Run, Splits, data_of

SIGMA = 0.13
"""Near what is chosen on the validation set of MNIST for so many samples."""


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
        for which, few in (("near", parzen.FEW), ("all", -1.0)):
            with patch.object(parzen, "FEW", few):
                began = time.perf_counter()
                value = parzen.log_likelihood(samples, points, SIGMA).value
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
