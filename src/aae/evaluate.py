"""The figures of a run, measured on held-out pictures: what `aae evaluate` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from aae import health, inference, legibility, metrics, uncertainty
from aae.autoencoder import Autoencoder
from aae.codes import Codes
from aae.data import Columns, Dataset, column_distances
from aae.run import Run
from aae.splits import Part, Splits

MEASURED = 100_000
"""Most pictures that a figure is measured on; of more, this many are taken, evenly spaced."""

_NOT_MEASURED = ("epochs", "seed", "examples", "prior_distance_error")
"""Numbers beside the figures: facts about them, and an error that is also in `standard_errors`."""

_OF_LABELLED = ("component_accuracy", "error", "cluster_error", "cluster_error_majority")

Split = Literal["test", "validation"]


def evaluate(
    run: Run,
    *,
    split: Split = "test",
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    judge: bool | None = None,
) -> dict[str, Any]:
    """Measure a run on held-out examples.

    Args:
        run: the run.
        split: the test set, for the final figure; or the validation set, for choices.
        dataset: the run's data set, if it is loaded already.
        data_dir: where the data set lies now, if elsewhere than the run's config says.
        judge: whether an independent classifier reads generated pictures; it is trained at first
            use, which takes minutes. By default only if a decoder of pictures is told the class,
            and there are pictures and labels to train and test the classifier on.

    Returns:
        Plain values, ready for JSON:

        - ``recipe``, ``data``, ``epochs`` (finished), ``seed``, ``split``; ``examples``: how many
          of the split were measured.
        - ``reconstruction_error``: half the squared error from mean codes, summed over pixels in
          [-1, 1] or over the features of a row; in a table, over the standardised numbers that are
          not missing, plus the cross-entropy of categories in nats;
          ``reconstruction_error_of_mean``: the same for the training set's mean.
        - ``prior_distance``: energy distance of codes drawn from the posterior to the prior;
          ``prior_distance_error``: its sampling error.
        - ``component_accuracy``: share of mean codes nearest to their own label's part of the
          prior.
        - ``error``: share wrongly classified.
        - ``cluster_error``: share of pictures whose class is not their cluster's. A cluster has the
          class of the validation picture that it is most sure of ([AAE], section 6);
          ``cluster_error_majority``: the same, with the most frequent class there.
        - ``style_accuracy``: share of generated pictures read as the class that was asked for;
          ``style_variety``: pixel variance within a generated class over that within the real one,
          if each class has two test pictures or more, and they differ. Clusters have a class if it
          can be named.
        - ``readable``: share of random samples read with confidence 0.9; ``smallest_class``: the
          smallest share of a class among them; ``classes_drawn``: how many classes any sample is
          read as; ``judge_accuracy``: what the classifier that reads gets right of the test set.
        - ``column_distance``: how far generated rows of a table are from the held-out ones, the
          mean over its columns, see `aae.data.column_distances`; ``column_distance_of_training``:
          the same for the training rows.
        - ``health``, ``health_checks``: see `aae.health`.
        - ``standard_errors``: by figure, how far it would move on other examples. For a mean over
          examples this is its standard error, for a share k/n it is √(p(1 - p)/n) with
          p = (k + 1)/(n + 2), for ``style_variety`` that of a quotient; for column distances it
          comes from 50 bootstrap samples; for ``prior_distance`` it is what prior samples show
          against one another.

    Raises:
        ValueError: there are fewer than two examples, or the judge is asked for and cannot learn.
    """
    dataset = dataset or run.dataset(data_dir)
    splits = Splits.of(run.config, dataset)
    part = (splits.test if split == "test" else splits.validation).some(MEASURED)
    if (count := len(part.labels)) < 2:
        raise ValueError(f"the {split} set has {count} examples; figures are measured on 2 or more")
    model = inference.ready(run.model(), run.config.precision)
    generator = torch.Generator().manual_seed(run.config.seed)
    codes = inference.encode(model, part.images, generator)
    if run.config.posterior == "universal":  # its means and classes change with the noise, too
        codes = replace(inference.encode(model, part.images), z=codes.z)
    figures: dict[str, Any] = {
        "recipe": run.config.recipe,
        "data": run.config.data,
        "epochs": run.epochs_in_use,
        "seed": run.config.seed,
        "split": split,
        "examples": len(part.labels),
    }
    errors: dict[str, float] = {}
    mean = _mean(model, splits.train.some(MEASURED), run.columns)
    guesses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "reconstruction_error": model.reconstruct,
        "reconstruction_error_of_mean": lambda x, _: mean.expand_as(x),
    }
    for name, guess in guesses.items():
        each = inference.errors(model, part, guess, run.columns)
        figures[name], errors[name] = each.mean().item(), uncertainty.of_mean(each)
    match = metrics.prior_distance(
        codes.z, lambda count: model.prior.sample(count, generator=generator)
    )
    figures |= {"prior_distance": match.value, "prior_distance_error": match.error}
    errors["prior_distance"] = match.error
    figures |= _classes(model, codes, part)
    meant = None if model.finds_clusters else torch.arange(model.n_classes)
    if model.finds_clusters and ((held := splits.validation.some(MEASURED)).labels >= 0).any():
        names = _cluster_names(model, held)
        meant = names["confident"]
        if (part.labels >= 0).any():
            figures |= _cluster_errors(codes, part, names)
    if judge is None:
        judge = model.decodes_labels and legibility.can_be_judged(dataset)
    if judge:
        told = meant if model.decodes_labels else None
        figures |= legibility.judged(model, dataset, generator, told, errors)
    if run.columns is not None:
        figures |= _column_distances(run.columns, model, splits.train, part, errors)
    figures["standard_errors"] = errors | _of_shares(figures, part)
    checks = health.examine(_measurements(model, codes, part, match, figures, generator))
    figures["health"] = health.verdict(checks)
    figures["health_checks"] = [asdict(check) for check in checks]
    return figures


def _of_shares(figures: dict[str, Any], part: Part) -> dict[str, float]:
    """The standard errors of those figures that are shares."""
    count = int((part.labels >= 0).sum())
    return {
        name: uncertainty.of_share(figures[name], count) for name in _OF_LABELLED if name in figures
    }


@torch.inference_mode()
def _mean(model: Autoencoder, part: Part, columns: Columns | None) -> Tensor:
    """The mean example, [1, …], as the model takes them; of categories, where they are known."""
    total = torch.zeros(1, *model.decoder.shape, dtype=torch.float64)
    for x, _ in inference.in_batches(model, part):
        total += x.sum(0).cpu()
    mean = (total / len(part.labels)).float()
    for block in columns.categorical if columns else ():
        # A missing category is 0 in each cell, as no probabilities are.
        mean[:, block.cells] /= mean[:, block.cells].sum().clamp_min(1e-12)
    return mean


def _classes(model: Autoencoder, codes: Codes, part: Part) -> dict[str, float]:
    """What the codes tell about the labels, if the model was meant to put that there."""
    labels = torch.from_numpy(part.labels)
    figures: dict[str, float] = {}
    if (part.labels < 0).all():
        return figures
    if model.uses_labels and not model.decodes_labels and model.prior.components > 1:
        parts = model.prior.component_log_prob(codes.mean)
        figures["component_accuracy"] = metrics.component_accuracy(parts, labels)
    if codes.y_logits is not None and not model.finds_clusters:
        figures["error"] = metrics.error_rate(codes.y_logits.argmax(1), labels)
    return figures


def _column_distances(
    columns: Columns, model: Autoencoder, train: Part, part: Part, errors: dict[str, float]
) -> dict[str, float]:
    """How far generated rows and training rows are from held-out ones, averaged over columns."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.nanmean([*column_distances(columns, a, b).values()]))

    generator = torch.Generator().manual_seed(0)
    rows = {
        "column_distance": inference.sample(model, None, legibility.GENERATED, generator).numpy(),
        "column_distance_of_training": np.asarray(train.some(MEASURED).images, np.float32),
    }
    held_out = np.asarray(part.images, np.float32)
    for name, each in rows.items():
        errors[name] = uncertainty.bootstrap(distance, held_out, each)
    return {name: distance(held_out, each) for name, each in rows.items()}


ClusterNames = dict[Literal["confident", "majority"], torch.Tensor]
"""The class that each cluster stands for, by both ways of naming it."""


def _cluster_names(model: Autoencoder, validation: Part) -> ClusterNames:
    """Clusters named on the validation set."""
    y, labels = inference.encode(model, validation.images).y, torch.from_numpy(validation.labels)
    assert y is not None

    def names(naming: Literal["confident", "majority"]) -> torch.Tensor:
        return metrics.cluster_names(
            y.argmax(1), labels, model.n_classes, naming=naming, confidence=y
        )

    return {"confident": names("confident"), "majority": names("majority")}


def _cluster_errors(codes: Codes, part: Part, names: ClusterNames) -> dict[str, float]:
    """Share of pictures whose class is not the one that their cluster stands for."""
    assert codes.y_logits is not None
    found, labels = codes.y_logits.argmax(1), torch.from_numpy(part.labels)
    return {
        "cluster_error": metrics.error_rate(names["confident"][found], labels),
        "cluster_error_majority": metrics.error_rate(names["majority"][found], labels),
    }


def _measurements(
    model: Autoencoder,
    codes: Codes,
    part: Part,
    match: metrics.PriorDistance,
    figures: dict[str, Any],
    generator: torch.Generator,
) -> health.Measurements:
    """The measurements that the verdict on a training rests on."""
    accuracy = shares = share_errors = expected = None
    accuracy_error = 0.0
    if model.adversaries:
        size = inference.batch_size(model)
        labels = torch.from_numpy(part.labels).split(size)
        with torch.inference_mode():
            logits = [
                model.adversaries["z"].both(z, y, generator)
                for z, y in zip(codes.z.split(size), labels, strict=True)
            ]
        real, fake = (torch.cat(each) for each in zip(*logits, strict=True))
        accuracy = float(((real > 0).float().mean() + (fake < 0).float().mean()) / 2)
        accuracy_error = uncertainty.of_share(accuracy, 2 * len(part.labels))
    if codes.y_logits is not None:
        counts = torch.bincount(codes.y_logits.argmax(1), minlength=model.n_classes)
        shares = (counts / len(part.labels)).tolist()
        share_errors = [uncertainty.of_share(share, len(part.labels)) for share in shares]
        known = part.labels[part.labels >= 0]
        if len(known) and not model.finds_clusters:
            expected = (np.bincount(known, minlength=model.n_classes) / len(known)).tolist()
    # A generator of its own, so that figures drawn after this one do not depend on it.
    drawn = model.prior.sample(MEASURED, generator=torch.Generator().manual_seed(0))
    variances = codes.mean.var(0, correction=0) / drawn.var(0)
    return health.Measurements(
        discriminator_accuracy=accuracy,
        discriminator_error=accuracy_error,
        prior_distance=match.relative,
        prior_distance_error=match.error / match.scale,
        prior_offset=match.offset,
        prior_offset_error=match.offset_error,
        code_variances=variances.tolist(),
        class_shares=shares,
        class_share_errors=share_errors,
        expected_shares=expected,
        of_clusters=model.finds_clusters,
        reconstruction_error=figures["reconstruction_error"],
        mean_image_error=figures["reconstruction_error_of_mean"],
    )


def numbers(figures: dict[str, Any]) -> dict[str, float]:
    """The numbers that `evaluate` measured, by name."""
    return {
        name: value
        for name, value in figures.items()
        if isinstance(value, int | float) and name not in _NOT_MEASURED
    }


def with_errors(figures: dict[str, Any]) -> dict[str, str]:
    """The numbers that `evaluate` gave, in words, with their standard errors."""
    errors = figures["standard_errors"]
    return {
        name: uncertainty.in_words(value, errors.get(name))
        for name, value in numbers(figures).items()
    }
