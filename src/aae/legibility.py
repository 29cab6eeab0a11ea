"""What an independent classifier, the judge, reads in the pictures that a model generates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aae import inference, metrics, uncertainty
from aae.autoencoder import Autoencoder
from aae.data import Dataset
from aae.data.cache import cache_folder
from aae.judge import SMALLEST, Judge, judge_for, read_as, readable
from aae.splits import Part

GENERATED = 10_000
"""Pictures generated to judge a model by."""
MEMORY = 2**29
"""Bytes of their pixels, above which fewer are generated, but never less than 1,000."""
JUDGED = 2**28
"""Bytes of pictures that the judge learns from, if they do not all fit into memory."""

Figures = dict[str, float | int]


def can_be_judged(dataset: Dataset) -> bool:
    """Whether there are pictures and labels for a judge to learn from, and to be tested on."""
    labels = dataset.train_labels, dataset.test_labels
    legible = len(dataset.shape) == 3 and min(dataset.shape[1:]) >= SMALLEST
    return legible and dataset.n_classes > 1 and all((known >= 0).any() for known in labels)


def judged(
    model: Autoencoder,
    dataset: Dataset,
    generator: torch.Generator,
    meant: Tensor | None,
    errors: dict[str, float],
) -> Figures:
    """Measure what a judge reads; see ``style_accuracy`` and what follows it in `aae.evaluate`.

    Args:
        model: the model.
        dataset: what the judge learns from at its first use, and is tested on.
        generator: draws codes and samples.
        meant: the class that each of the decoder's classes or clusters stands for, int64 [k]; None
            if the decoder is told none, or it is not known.
        errors: the figures' standard errors are added to it.

    Raises:
        ValueError: the judge cannot learn from these data, or cannot be tested on them.
    """
    sample = dataset.sample(JUDGED)
    if (sample.test_labels < 0).all():
        raise ValueError(f"no test picture of {dataset.name} has a label to try the judge on")
    judge = judge_for(sample, cache_folder())
    figures: Figures = {"judge_accuracy": judge.test_accuracy}
    tried = int((sample.test_labels >= 0).sum())
    errors["judge_accuracy"] = uncertainty.of_share(judge.test_accuracy, tried)
    if meant is not None:
        figures |= _styles(model, judge, sample, generator, meant, errors)
    figures |= _samples(model, judge, generator)
    for name in ("style_accuracy", "readable", "smallest_class"):
        if name in figures:
            errors[name] = uncertainty.of_share(figures[name], _generated(model))
    return figures


def _generated(model: Autoencoder) -> int:
    """How many pictures are generated: fewer of large ones, see `MEMORY`."""
    return min(GENERATED, max(1000, MEMORY // (4 * math.prod(model.decoder.shape))))


def _styles(
    model: Autoencoder,
    judge: Judge,
    dataset: Dataset,
    generator: torch.Generator,
    meant: Tensor,
    errors: dict[str, float],
) -> Figures:
    """Are pictures read as what was asked for, and do those of a class vary as real ones do?"""
    count = _generated(model)
    told = torch.arange(count) % model.n_classes
    images, asked = inference.sample(model, told, count, generator), meant[told]
    figures: Figures = {"style_accuracy": read_as(judge, images, asked)}
    real = Part(dataset.test_images, dataset.test_labels).some(count)
    pictures, labels = torch.tensor(real.images) / 255, torch.from_numpy(real.labels)
    members = [pictures[labels == label] for label in asked.unique().tolist()]
    if all(len(each) > 1 for each in members) and any((each != each[0]).any() for each in members):
        variety = metrics.variety(images, asked, pictures, labels)
        figures["style_variety"], errors["style_variety"] = variety.value, variety.error
    return figures


def _samples(model: Autoencoder, judge: Judge, generator: torch.Generator) -> Figures:
    """What the judge reads in random samples."""
    images = inference.sample(model, None, count := _generated(model), generator)
    read = readable(judge, images)
    return {
        "readable": read.share,
        "smallest_class": min(read.counts) / count,
        "classes_drawn": read.kinds,
    }
