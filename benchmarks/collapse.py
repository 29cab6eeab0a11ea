"""Why the reference program's recipe collapses with some seeds: a look at the first steps.

    python benchmarks/collapse.py --seeds 5 --steps 200

For each variant of the recipe and each seed, it prints where the codes of held-out digits start;
how far their centre strays from the prior's in the first steps, at most, in the prior's standard
deviations; and the share of units in the encoder's last hidden layer that are 0 for every digit.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from itertools import islice

import torch

from aae.autoencoder import Autoencoder
from aae.build import build
from aae.config import Config
from aae.data import load
from aae.pixels import to_model
from aae.recipes import recipe
from aae.splits import Splits
from aae.training.batches import Batches
from aae.training.trainer import make_step

LITERAL = replace(
    recipe("gaussian"), step="alternating", init="he", lr=2e-4, warmup=0, generator_weight=6.0,
    precision="float32", beta2=0.999,
)  # fmt: skip
VARIANTS = {
    "literal": LITERAL,
    "literal, centred": replace(LITERAL, init="centred"),
    "literal, joint": replace(LITERAL, step="joint"),
    "ours": recipe("gaussian"),
}


@torch.inference_mode()
def look(model: Autoencoder, x: torch.Tensor) -> tuple[float, float]:
    """Offset of the codes' centre, and the share of dead units."""
    hidden = model.encoder.trunk(x.flatten(1))
    offset = model.encode(x).mean.mean(0).norm()
    return float(offset), float((hidden.amax(0) <= 0).float().mean())


def watch(config: Config, splits: Splits, steps: int, every: int = 10) -> str:
    """What happens in the first steps of a training."""
    train = splits.train
    shape = train.images.shape[1:]
    model = build(config, shape, 10, torch.Generator().manual_seed(config.seed))
    step = make_step(model, config)
    generator = torch.Generator().manual_seed(config.seed)
    batches = Batches(
        train.images, train.labels, batch_size=config.batch_size,
        device=torch.device("cpu"), seed=config.seed,
    )  # fmt: skip
    held_out = to_model(torch.from_numpy(splits.validation.images[:1000]))
    seen = [look(model, held_out)]
    for count, batch in enumerate(islice(batches.epoch(0), steps)):
        step.prepare(0, count)
        step(batch, partial(batches.at, 0), count, generator)
        if (count + 1) % every == 0:
            seen.append(look(model, held_out))
    offsets = [offset for offset, _ in seen]
    return (
        f"offset {offsets[0]:.2f} at the start, {max(offsets):.2f} at most, {offsets[-1]:.2f} "
        f"in the end; dead units {seen[0][1]:.0%} → {seen[-1][1]:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    dataset = load("mnist")
    for name in arguments.only:
        for seed in range(arguments.seeds):
            config = replace(VARIANTS[name], seed=seed)
            told = watch(config, Splits.of(config, dataset), arguments.steps)
            print(f"{name}, seed {seed}: {told}", flush=True)


if __name__ == "__main__":
    main()
