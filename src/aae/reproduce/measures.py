"""The figures of a trained run that the paper's tables need, besides those of `aae.evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from aae import inference, metrics, parzen
from aae.autoencoder import Autoencoder
from aae.data import Dataset, Examples
from aae.data.cache import cache_folder
from aae.evaluate import evaluate
from aae.gallery import SIDE
from aae.judge import judge_for, readable
from aae.run import Run
from aae.splits import Splits

JUDGED = {"readable", "smallest_class", "style_accuracy", "style_variety", "manifold_readable"}
"""Figures that need the independent classifier."""
SIGMAS = tuple(np.logspace(-1.2, -0.4, 13).tolist())
"""Widths of a Parzen window, for pixels in [0, 1]; one is chosen on the validation set."""
CHOOSING = 100_000
"""Most generated pictures with which the width is chosen."""


@dataclass(frozen=True)
class Subject:
    """A trained run, ready to be measured."""

    model: Autoencoder
    splits: Splits
    dataset: Dataset
    generator: torch.Generator


def measure(run: Run, names: set[str], dataset: Dataset) -> dict[str, Any]:
    """A run's figures on the test set: all of `evaluate`, and those requested by name.

    Args:
        run: the run.
        names: names of figures; those that `evaluate` does not give are in `MEASURES`.
        dataset: the run's data set.
    """
    figures = evaluate(run, dataset=dataset, judge=bool(names & JUDGED))
    generator = torch.Generator().manual_seed(run.config.seed)
    subject = Subject(run.model(), Splits.of(run.config, dataset), dataset, generator)
    for name in sorted(names - figures.keys()):
        figures[name] = MEASURES[name](subject)
    return figures


def manifold_readable(subject: Subject) -> float:
    """Share of the manifold's tiles that an independent classifier reads with confidence 0.9."""
    judge = judge_for(subject.dataset, cache_folder())
    tiles = [inference.decode(subject.model, z) for z in subject.model.prior.manifold(SIDE)]
    return readable(judge, torch.cat(tiles)).share


def sliced_wasserstein(subject: Subject) -> float:
    """Sliced Wasserstein distance of test codes, drawn from the posterior, to the prior."""
    codes = inference.encode(subject.model, subject.splits.test.images, subject.generator).z
    prior = subject.model.prior.sample(len(codes), generator=subject.generator)
    return metrics.sliced_wasserstein(codes, prior, subject.generator)


def probe_accuracy(subject: Subject, code: Literal["mean", "z"]) -> float:
    """Share of test labels that a multilayer perceptron, trained on training codes, reads in z.

    The codes are posterior means, or posterior draws, as decoder and discriminator get them.
    """
    from sklearn.neural_network import MLPClassifier

    train, test = subject.splits.train, subject.splits.test
    shown = train.labels >= 0
    generator = subject.generator if code == "z" else None
    inside, outside = (
        getattr(inference.encode(subject.model, images, generator), code).numpy()
        for images in (train.images[shown], test.images)
    )
    probe = MLPClassifier((256,), early_stopping=True, random_state=0, max_iter=500)
    score: float = probe.fit(inside, train.labels[shown]).score(outside, test.labels)
    return score


def likelihood(subject: Subject, count: int) -> float:
    """Log-likelihood of the test set in nats, under a Parzen window on generated pictures.

    The window's width is chosen on a thousand validation pictures and at most 100,000 of the
    generated ones. Pictures come in pieces, so that ten million need no more memory than a piece.
    """

    def flat(images: Examples) -> Tensor:
        return torch.tensor(np.asarray(images)).flatten(1).float() / 255

    def samples(count: int) -> Iterator[Tensor]:
        pieces = inference.samples(subject.model, None, count, subject.generator)
        return (piece.flatten(1) for piece in pieces)

    validation, test = subject.splits.validation.images[:1000], subject.splits.test.images
    sigma = parzen.choose_sigma(samples(min(count, CHOOSING)), flat(validation), SIGMAS)
    return parzen.log_likelihood(samples(count), flat(test), sigma).value


MEASURES: dict[str, Callable[[Subject], float]] = {
    "manifold_readable": manifold_readable,
    "sliced_wasserstein": sliced_wasserstein,
    "probe_accuracy": partial(probe_accuracy, code="mean"),
    "probe_accuracy_of_draws": partial(probe_accuracy, code="z"),
    "parzen_10k": lambda subject: likelihood(subject, 10_000),
    "parzen_10m": lambda subject: likelihood(subject, 10_000_000),
}
"""Figures by name, as in the tables, with what measures them."""
