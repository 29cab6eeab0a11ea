"""How good a training turned out: pure functions on tensors, all figures as plain floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aae import uncertainty

CHUNK = 1024
"""Points whose distances to all others are computed at once, which bounds the memory."""
MOST_POINTS = 2000
"""Codes, and prior samples, that `prior_distance` compares, at most: its time is quadratic."""


def energy_distance(a: Tensor, b: Tensor) -> float:
    """How far two samples are apart: 2 E|a - b| - E|a - a'| - E|b - b'|.

    It is zero in expectation if and only if both come from one distribution (Székely and Rizzo,
    Energy statistics, 2013, eq. 2.1). This is the unbiased estimate, so it may be below zero.

    Args:
        a: [n, d], n at least 2.
        b: [m, d], m at least 2.

    Returns:
        The distance, in the units of the points; NaN where a point is not finite.

    Raises:
        ValueError: there are too few points, or their dimensions differ.

    Examples:
        >>> energy_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[10.0], [11.0]]))
        18.0
    """
    check_points(a, b, least=2)
    between = _sum_of_distances(a, b) / (len(a) * len(b))
    return 2 * between - _mean_pairwise_distance(a) - _mean_pairwise_distance(b)


@dataclass(frozen=True)
class PriorDistance:
    """How well codes match the prior.

    Attributes:
        value: energy distance between codes and prior samples.
        floor: the same between two sets of prior samples, the mean over repeats; close to 0.
        error: standard deviation of the latter over repeats: the sampling error of `value` if
            the codes follow the prior.
        scale: mean distance between two prior samples, to compare `value` with.
        offset: distance of the codes' mean from that of the prior in the dimension where it is
            largest, in standard deviations of the prior.
        offset_error: standard deviation of that distance in one dimension if the codes follow
            the prior: √(2/points).
        points: number of codes, and of prior samples, that were compared.
    """

    value: float
    floor: float
    error: float
    scale: float
    offset: float
    offset_error: float
    points: int

    @property
    def relative(self) -> float:
        """`value` in units of `scale`: dimensionless, and 0 for a match."""
        return self.value / self.scale

    @property
    def indistinguishable(self) -> bool:
        """Whether this many codes show no more than the prior itself would, within two errors."""
        return self.value <= self.floor + 2 * self.error


def prior_distance(
    codes: Tensor, sample_prior: Callable[[int], Tensor], repeats: int = 10
) -> PriorDistance:
    """Measure how well codes match the prior, and how finely this many codes can tell.

    Args:
        codes: [n, d]; of more than 2,000, that many are taken, evenly spaced.
        sample_prior: draws a given number of samples from the prior, [count, d].
        repeats: how often prior samples are compared with one another, at least 2.

    Raises:
        ValueError: there are too few codes or repeats, or the dimensions differ.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> match = prior_distance(
        ...     torch.randn(500, 2, generator=generator),
        ...     lambda count: torch.randn(count, 2, generator=generator),
        ... )
        >>> match.relative < 0.01, match.indistinguishable
        (True, True)
    """
    if repeats < 2:
        raise ValueError(f"{repeats} repeats give no sampling error; ask for at least 2")
    n = min(len(codes), MOST_POINTS)
    codes = codes[torch.linspace(0, len(codes) - 1, n).round().long().to(codes.device)]

    def draw() -> Tensor:
        return sample_prior(n).to(codes)

    prior = draw()
    value = energy_distance(codes, prior)
    nulls = torch.tensor([energy_distance(draw(), draw()) for _ in range(repeats)])
    offset = (codes.mean(0) - prior.mean(0)).abs() / prior.std(0)
    return PriorDistance(
        value=value,
        floor=nulls.mean().item(),
        error=nulls.std().item(),
        scale=_mean_pairwise_distance(prior),
        offset=offset.max().item(),
        offset_error=math.sqrt(2 / n),
        points=n,
    )


def sliced_wasserstein(
    a: Tensor, b: Tensor, generator: torch.Generator, projections: int = 128
) -> float:
    """Sliced 2-Wasserstein distance: root mean square of the 1-D one over random directions.

    Bonneel et al., Sliced and Radon Wasserstein barycenters of measures, 2015, section 3. It is
    exact along a direction if both samples have the same size; if not, quantiles are compared on
    the finer grid.

    Args:
        a: [n, d].
        b: [m, d].
        generator: draws the directions.
        projections: number of directions.

    Raises:
        ValueError: a sample is empty, or their dimensions differ.
    """
    check_points(a, b, least=1)
    directions = torch.randn(
        a.shape[1], projections, generator=generator, device=generator.device
    ).to(a)
    directions = directions / directions.norm(dim=0)
    levels = 2 * torch.arange(max(len(a), len(b)), device=a.device) + 1
    along_a, along_b = (
        (points.to(a) @ directions).sort(0).values[levels * len(points) // (2 * len(levels))]
        for points in (a, b)
    )
    distance: float = (along_a - along_b).square().mean().sqrt().item()
    return distance


def component_accuracy(component_log_prob: Tensor, labels: Tensor) -> float:
    """Share of codes whose most probable component of the prior is the one of their own label.

    Args:
        component_log_prob: log-density of each code under each component, [n, K].
        labels: int64 [n]; codes with label -1 are left out.

    Raises:
        ValueError: numbers do not fit, or there is no label.

    Examples:
        >>> component_accuracy(torch.tensor([[-1.0, -9.0], [-1.0, -9.0]]), torch.tensor([0, 1]))
        0.5
    """
    return 1.0 - error_rate(component_log_prob.argmax(1), labels)


def error_rate(predicted: Tensor, labels: Tensor) -> float:
    """Share of predictions that are wrong.

    Args:
        predicted: int64 [n].
        labels: int64 [n]; those of -1 (no label) are left out.

    Raises:
        ValueError: numbers do not fit, or there is no label.

    Examples:
        >>> error_rate(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, -1]))
        0.3333333333333333
    """
    known = _known(labels, len(predicted))
    return int((predicted != labels)[known].sum()) / int(known.sum())


def cluster_names(
    assignments: Tensor,
    labels: Tensor,
    n_clusters: int,
    *,
    naming: Literal["majority", "confident"] = "majority",
    confidence: Tensor | None = None,
) -> Tensor:
    """The label that each cluster stands for.

    Args:
        assignments: cluster of each example, int64 [n].
        labels: int64 [n]; examples with label -1 are left out.
        n_clusters: number of clusters.
        naming: "majority": the most frequent label in the cluster (the smallest of equals);
            "confident": the label of the example for which the cluster is most probable, as in the
            paper (Makhzani et al., arXiv:1511.05644, section 6).
        confidence: for "confident", the probability of each cluster for each example,
            [n, n_clusters].

    Returns:
        int64 [n_clusters]; -1 for a cluster without examples (only by majority).

    Raises:
        ValueError: numbers do not fit, or "confident" is asked for without `confidence`.
    """
    known = _known(labels, len(assignments))
    labels, assignments = labels[known], assignments[known]
    if assignments.min() < 0 or assignments.max() >= n_clusters:
        raise ValueError(
            f"clusters go from {int(assignments.min())} to {int(assignments.max())}; "
            f"with n_clusters={n_clusters} they must lie in 0..{n_clusters - 1}"
        )
    if naming == "confident":
        if confidence is None or confidence.shape != (len(known), n_clusters):
            given = "none" if confidence is None else list(confidence.shape)
            raise ValueError(
                f"naming by confidence needs probabilities {[len(known), n_clusters]}, not {given}"
            )
        return labels[confidence[known].argmax(0)]
    n_labels = int(labels.max()) + 1
    pairs = torch.bincount(assignments * n_labels + labels, minlength=n_clusters * n_labels)
    counts = pairs.view(n_clusters, n_labels)
    return torch.where(counts.sum(1) > 0, counts.argmax(1), -1)


def cluster_error(
    assignments: Tensor,
    labels: Tensor,
    n_clusters: int,
    *,
    naming: Literal["majority", "confident"] = "majority",
    confidence: Tensor | None = None,
) -> float:
    """Share of examples whose label is not the one that their cluster stands for.

    Arguments and errors are those of `cluster_names`. To name clusters on one set and score them
    on another: `error_rate(cluster_names(...)[assignments], labels)`.

    Examples:
        >>> clusters, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([7, 7, 3, 3])
        >>> cluster_error(clusters, labels, n_clusters=2)
        0.25
    """
    names = cluster_names(assignments, labels, n_clusters, naming=naming, confidence=confidence)
    return error_rate(names[assignments], labels)


@dataclass(frozen=True)
class Estimate:
    """A figure, and its standard error."""

    value: float
    error: float


def variety(
    generated: Tensor, generated_labels: Tensor, real: Tensor, real_labels: Tensor
) -> Estimate:
    """How much pictures of a class differ, generated over real: 1 is as real, 0 is all the same.

    The variance over the pictures of a class is averaged over pixels, then over the classes that
    were generated. The value is that of the generated pictures divided by that of the real ones.
    The error is that of a quotient of two means over pictures, to first order.

    Args:
        generated: [n, ...].
        generated_labels: class of each, int64 [n].
        real: [m, ...], on the same scale.
        real_labels: class of each, int64 [m].

    Raises:
        ValueError: types or shapes differ, or a generated class has fewer than two pictures.
    """
    if generated.dtype != real.dtype or generated.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"generated pictures are {generated.dtype} {list(generated.shape[1:])}, real ones "
            f"{real.dtype} {list(real.shape[1:])}; bring them to one type, scale and shape"
        )
    classes = generated_labels.unique().tolist()
    inside, off = _variance_within(generated, generated_labels, classes)
    of_real, real_off = _variance_within(real, real_labels, classes)
    ratio = inside / of_real
    return Estimate(ratio, math.hypot(off, ratio * real_off) / of_real)


def _sum_of_distances(a: Tensor, b: Tensor) -> float:
    direct = "donot_use_mm_for_euclid_dist"  # the quicker way loses digits for close points
    rows = [torch.cdist(some, b, compute_mode=direct).sum(1) for some in a.split(CHUNK)]
    return math.fsum(torch.cat(rows).tolist())


def _mean_pairwise_distance(points: Tensor) -> float:
    return _sum_of_distances(points, points) / (len(points) * (len(points) - 1))


def _variance_within(images: Tensor, labels: Tensor, classes: list[int]) -> tuple[float, float]:
    """The pixels' variance within a class, averaged over classes, and its standard error."""
    known, values, errors = _known(labels, len(images)), [], []
    for label in classes:
        members = images[known & (labels == label)].float().flatten(1)
        if (n := len(members)) < 2:
            raise ValueError(f"class {label} has {n} pictures; its variance needs 2 or more")
        squares = (members - members.mean(0)).square().mean(1)
        values.append(squares.sum().item() / (n - 1))
        errors.append(uncertainty.of_mean(squares))
    return sum(values) / len(classes), math.hypot(*errors) / len(classes)


def _known(labels: Tensor, n: int) -> Tensor:
    """Where there is a label, bool [n]."""
    if labels.shape != (n,):
        raise ValueError(f"labels are {list(labels.shape)}, for {n} examples; they must be [{n}]")
    known = labels >= 0
    if not known.any():
        raise ValueError(f"none of {n} examples has a label; nothing can be measured")
    return known


def check_points(a: Tensor, b: Tensor, least: int) -> None:
    """Refuse anything but two sets of points, [n, d] and [m, d], of at least ``least`` each."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"points are {list(a.shape)} and {list(b.shape)}; they must be [n, d] and [m, d]"
        )
    if min(len(a), len(b)) < least:
        raise ValueError(f"there are {len(a)} and {len(b)} points; at least {least} are needed")
