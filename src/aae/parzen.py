"""Likelihood under a Parzen window on generated samples, as in the paper's Table 1.

Every sample has a Gaussian around it, and a point's density is their mean (Goodfellow et al.,
arXiv:1406.2661, section 5; Makhzani et al., arXiv:1511.05644, section 3).

Of ten million samples, next to none is near a given point. Distances in a few dimensions tell which
ones may be: points are never farther apart there than in all dimensions. Only for samples that are
near there is the whole distance computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from aae import uncertainty
from aae.metrics import CHUNK, Estimate, check_points

AXES = 64
"""Directions in which distances are computed first."""
NEGLIGIBLE = 30.0
"""A sample is left out if its share in a density is this many nats below all that came before; ten
million such samples add a millionth."""
FEW = 0.005
"""Share of all distances up to which they are computed singly; above it, all are cheaper."""


def log_likelihood(samples: Tensor | Iterable[Tensor], test: Tensor, sigma: float) -> Estimate:
    """Mean log-likelihood of test points, in nats.

    Args:
        samples: generated, [m, d]; or an iterable of such pieces, each of which is seen once and
            let go, so that ten million samples need no more memory than one piece.
        test: [n, d], of the same type and on the same scale (the paper's is [0, 1]).
        sigma: standard deviation of the window, from `choose_sigma`.

    Raises:
        ValueError: a set is empty, the dimensions differ, or sigma is not positive.
    """
    densities = _log_densities(samples, test, [sigma])[0]
    return Estimate(densities.mean().item(), uncertainty.of_mean(densities))


def choose_sigma(
    samples: Tensor | Iterable[Tensor], validation: Tensor, candidates: Sequence[float]
) -> float:
    """The candidate under which the validation points are most likely; never use test points.

    Arguments and errors are those of `log_likelihood`.
    """
    if len(candidates) == 0:
        raise ValueError("there is no sigma to choose from; give at least one candidate")
    densities = _log_densities(samples, validation, candidates)
    return float(candidates[int(densities.mean(1).argmax())])


def _log_densities(
    samples: Tensor | Iterable[Tensor], points: Tensor, sigmas: Sequence[float]
) -> Tensor:
    """Log-density of each point for each window width, float64 [len(sigmas), n]."""
    if not all(0 < sigma < math.inf for sigma in sigmas):
        raise ValueError(f"a window's sigma must be above 0 and finite; given: {list(sigmas)}")
    widths = torch.tensor(sigmas, dtype=torch.float64)[:, None]
    sums: _LogSums | None = None
    count = 0
    for piece in [samples] if isinstance(samples, Tensor) else samples:
        check_points(piece, points, least=1)
        sums = sums or _LogSums(points, widths)
        count += len(piece)
        for some in piece.split(4 * CHUNK):
            sums.add(some)
    if sums is None:
        raise ValueError("there are no samples; at least 1 is needed")
    normaliser = math.log(count) + points.shape[1] * (widths.log() + 0.5 * math.log(2 * math.pi))
    return sums.total - normaliser


class _LogSums:
    """For each width and point, the logarithm of the sum over samples of exp(-distance²/2σ²).

    Args:
        points: [n, d].
        widths: σ, float64 [widths, 1].
    """

    def __init__(self, points: Tensor, widths: Tensor):
        self.centre = points.mean(0)  # distances from far-off coordinates would lose digits
        self.points = points - self.centre
        self.axes = _axes(self.points)
        self.shadows = _shadows(self.points, self.axes)
        self.scales = -0.5 / widths.square()
        # On the CPU, as some devices have no float64.
        self.total = torch.full((len(widths), len(points)), -math.inf, dtype=torch.float64)

    def add(self, samples: Tensor) -> None:
        """Take samples [m, d] into the sums."""
        samples = samples - self.centre
        shadows = _shadows(samples, self.axes)
        # The squared distance beyond which a sample is negligible, for all widths.
        reach = ((self.total - NEGLIGIBLE) / self.scales).amax(0).to(samples)
        for start in range(0, len(self.points), CHUNK):
            part = slice(start, start + CHUNK)
            far = _squared_distances(self.shadows[part], shadows) > reach[part, None]
            near = far.logical_not_()  # NaN is not far
            if int(near.count_nonzero()) > FEW * near.numel():
                squared = _squared_distances(self.points[part], samples)
                logs = [(squared * scale).logsumexp(1) for scale in self.scales.flatten().tolist()]
                more = torch.stack(logs).to(self.total)
                self.total[:, part] = torch.logaddexp(self.total[:, part], more)
            else:
                i, j = near.nonzero(as_tuple=True)
                squared = (self.points[part][i] - samples[j]).square().sum(1)
                self.total[:, part] = _added(
                    self.total[:, part], i.cpu(), squared.to(self.total) * self.scales
                )


def _added(total: Tensor, rows: Tensor, logs: Tensor) -> Tensor:
    """Logarithms of sums [widths, n], with terms [widths, k] added, each to its row [k]."""
    rows = rows.expand(len(total), -1)
    highest = total.scatter_reduce(1, rows, logs, "amax")
    terms = (logs - highest.gather(1, rows)).exp()
    return highest + (total - highest).exp().scatter_add(1, rows, terms).log()


def _axes(points: Tensor) -> Tensor:
    """Roughly the first principal axes of centred points [n, d]: orthonormal [d, at most `AXES`].

    Any axes would do; along these, distances are nearly whole. They come from two steps of subspace
    iteration.
    """
    least = min(AXES, *points.shape)
    every = torch.linspace(0, len(points) - 1, least).long()
    axes: Tensor = torch.linalg.qr(points[every].T)[0]
    for _ in range(2):
        axes = torch.linalg.qr(points.T @ (points @ axes))[0]
    return axes


def _shadows(points: Tensor, axes: Tensor) -> Tensor:
    """Points [n, d] in few dimensions: along each axis, and the length of the rest, [n, axes + 1].

    Rests differ by at least as much as their lengths, so shadows are never farther apart than their
    points.
    """
    along = points @ axes
    rest = (points.square().sum(1) - along.square().sum(1)).clamp_min(0).sqrt()
    return torch.cat([along, rest[:, None]], 1)


def _squared_distances(points: Tensor, samples: Tensor) -> Tensor:
    """[n, d] and [m, d] → [n, m]."""
    squared = points.square().sum(1, keepdim=True) + samples.square().sum(1)
    return torch.addmm(squared, points, samples.T, alpha=-2).clamp_min(0)
