"""A prior that is known by samples of it: a kernel density estimate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from aae.data import labels_beside, map_array
from aae.packing import pack_tensors, unpack_tensors
from aae.priors import Prior

MOST = 100_000
"""Most samples that are taken: each density is a sum over all."""
DEVIATIONS = 0.25, 4
"""Standard deviations between which samples are followed; the mean may be as large as they are.

Codes of digits followed a heart at 0.28, at 3.3 and off by one of them (relative distances of 0.004
and less); at 11, and off by nine, they did not (0.10 and 0.28; one training each)."""
_LOOKED_AT, _NEIGHBOURS = 1000, 5
"""Samples whose distance to a neighbour sets the bandwidth, and the nearest that it is taken to."""
_AT_ONCE = 2**22
"""Most distances that are held at once."""


class KernelDensity(Prior):
    """The same small Gaussian around each of the user's samples of a distribution.

    A run folder keeps the samples: the run is opened again without them.

    Args:
        points: the samples, [n, d].
        labels: the part that each belongs to, [n], numbers from 0 on; None is one part. All parts
            are equally likely, and all samples within a part.
        bandwidth: standard deviation of the Gaussians in each dimension. Without it, noise takes a
            draw about as far from its sample as a few others are: the median distance to the k-th
            nearest, over √d, where k is a quarter of √n, and at least 5.

    Raises:
        ValueError: they are no such arrays, are fewer than 2, all the same or not finite, or a part
            has none.

    Examples:
        >>> corners = KernelDensity([[-1, -1], [-1, 1], [1, -1], [1, 1]], bandwidth=0.1)
        >>> corners.sample(1000).abs().mean(0).round(decimals=1)
        tensor([1., 1.])
    """

    def __init__(
        self, points: ArrayLike, labels: ArrayLike | None = None, bandwidth: float | None = None
    ):
        array = _points(points)
        kinds = np.zeros(len(array), np.int64) if labels is None else _labels(labels, len(array))
        order = np.argsort(kinds, kind="stable")
        self.points = torch.from_numpy(array[order])
        """The samples, part by part."""
        self.counts = np.bincount(kinds).tolist()
        """Samples of each part."""
        self.dim, self.components = array.shape[1], len(self.counts)
        self.bandwidth = _bandwidth(self.points) if bandwidth is None else float(bandwidth)
        if not 0 < self.bandwidth < math.inf:
            raise ValueError(f"the bandwidth must be above 0, not {bandwidth}")
        self.limit = float(self.points.abs().max()) + 4 * self.bandwidth
        self._copies: dict[torch.device, _Held] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> KernelDensity:
        """Itself, as nothing in it changes: a model's copies share the samples, also on a GPU."""
        return self

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: copies on a device would be of no use where there is none."""
        return self.__dict__ | {"_copies": {}}

    @classmethod
    def read(cls, file: Path | str, dim: int) -> KernelDensity:
        """A prior of the samples in a ``.npy`` file, with labels of ``X.npy`` in ``X.labels.npy``.

        Args:
            file: the file.
            dim: dimensions that the code has.

        Raises:
            ValueError: it is not there, or not such samples.
        """
        place = Path(file)
        beside = labels_beside(place)
        try:
            points = map_array(place)
            labels = map_array(beside) if beside.exists() else None
        except FileNotFoundError:
            raise ValueError(f"--prior {file}: there is no such file") from None
        try:
            made = cls(points, labels)
        except ValueError as error:
            raise ValueError(f"--prior {file}: {error}") from None
        if made.dim != dim:
            raise ValueError(
                f"--prior {file} has samples of {made.dim} numbers, and the code has {dim}: take "
                f"--latent-dim {made.dim}"
            )
        return made

    def refuse_far(self) -> None:
        """Refuse samples that codes, which begin about 0 at a deviation of about 1, hardly reach.

        Raises:
            ValueError: says where they lie, and what to do.
        """
        mean, deviation = self.points.mean(0), float(self.points.var(0).mean().sqrt())
        offset = float(mean.abs().max())
        least, most = DEVIATIONS
        if not (least <= deviation <= most and offset <= deviation):
            raise ValueError(
                f"samples of the prior have a standard deviation of {deviation:.3g} and a mean of "
                f"up to {offset:.3g}, and codes begin about 0 at about 1: standardise them, as by "
                "x = (x - x.mean(0)) / x.std()"
            )

    def write(self, file: Path) -> None:
        """Write it for `open`."""
        labels = torch.arange(self.components).repeat_interleave(torch.tensor(self.counts))
        bandwidth = torch.tensor(self.bandwidth, dtype=torch.float64)
        held = {"points": self.points, "labels": labels, "bandwidth": bandwidth}
        file.write_bytes(pack_tensors(held))

    @classmethod
    def open(cls, file: Path) -> KernelDensity:
        """The one that was written.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            held = unpack_tensors(file.read_bytes(), "it")
            return cls(held["points"], held["labels"], float(held["bandwidth"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{file} is none that aae wrote: {error}") from None

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        device = generator.device if generator is not None else torch.device("cpu")
        held, parts = self._on(device), self._parts(n, labels, generator, device)
        within = torch.rand(n, generator=generator, device=device) * held.counts[parts]
        noise = torch.randn(n, self.dim, generator=generator, device=device)
        return held.points[held.first[parts] + within.long()] + self.bandwidth * noise

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`."""
        rows = max(1, _AT_ONCE // len(self.points))
        return torch.cat([self._log_prob(part) for part in z.split(rows)])

    def log_prob_over(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Prior.log_prob_over`; minus infinity where no sample is near.

        A Gaussian of two dimensions is one of the first times one of the second, so the sum over
        samples is a matrix product: a hundred thousand take a second, where one by one they take a
        minute. None is narrower than the grid's step, between whose places it would be missed.
        """
        weights = 1 / (self.components * torch.tensor(self.counts, dtype=torch.float64))
        shares = weights.repeat_interleave(torch.tensor(self.counts))
        widths = [max(self.bandwidth, *line.diff().abs().tolist()) for line in (x, y)]
        total = torch.zeros(len(y), len(x), dtype=torch.float64)
        rows = max(1, _AT_ONCE // max(len(x), len(y)))
        for points, share in zip(self.points.split(rows), shares.split(rows), strict=True):
            across, up = (
                (-0.5 * ((line.double()[:, None] - at.double()) / width).square()).exp()
                for line, at, width in zip((x, y), points.unbind(1), widths, strict=True)
            )
            total += (share * up) @ across.T
        level = math.log(2 * math.pi) + sum(map(math.log, widths))
        return (total.log() - level).to(x)

    def manifold(self, side: int) -> Tensor:
        """One picture for each part: a square over its samples' first two dimensions."""
        square = super().manifold(side)[0] / self.limit
        pictures = []
        for part in self.points.split(self.counts):
            low, high = part.amin(0), part.amax(0)
            centre = part.mean(0)
            centre[:2] = (low + high)[:2] / 2
            pictures.append(centre + square * (high - low) / 2)
        return torch.stack(pictures)

    def _log_prob(self, z: Tensor) -> Tensor:
        held = self._on(z.device)
        kernels = -0.5 * (_distances(z, held.points.to(z)) / self.bandwidth).square()
        sums = torch.stack([each.logsumexp(1) for each in kernels.split(self.counts, 1)], 1)
        level = self.dim * math.log(self.bandwidth * math.sqrt(2 * math.pi))
        return sums - held.counts.log() - level

    def _on(self, device: torch.device) -> _Held:
        """The samples on a device; they are sent there once, before a step could be captured."""
        if device not in self._copies:
            counts = torch.tensor(self.counts, device=device)
            self._copies[device] = _Held(self.points.to(device), counts, counts.cumsum(0) - counts)
        return self._copies[device]


class _Held(NamedTuple):
    """A prior's samples on a device, part by part."""

    points: Tensor
    counts: Tensor
    """Samples of each part."""
    first: Tensor
    """Where each part begins."""


def _points(given: ArrayLike) -> NDArray[np.float32]:
    array: NDArray[Any] = np.asarray(given)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        raise ValueError(
            f"samples of a prior are numbers [samples, dimensions], not {array.dtype} "
            f"{list(array.shape)}"
        )
    if not 2 <= len(array) <= MOST:
        raise ValueError(f"a prior takes 2 to {MOST:,} samples, not {len(array):,}")
    points = np.array(array, np.float32)
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise ValueError(f"samples of a prior must be finite: row {row} is {array[row].tolist()}")
    return points


def _labels(given: ArrayLike, count: int) -> NDArray[np.int64]:
    array: NDArray[Any] = np.asarray(given)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"labels of {count} samples are {count} whole numbers, not {array.dtype} "
            f"{list(array.shape)}"
        )
    labels = array.astype(np.int64)
    found = np.unique(labels)
    if found[0] != 0 or found[-1] != len(found) - 1:
        raise ValueError(
            f"labels of samples number parts from 0 on, each with a sample; there are "
            f"{', '.join(map(str, found[:20].tolist()))}"
        )
    return labels


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Not as matrix products: they would round distances that are small beside the codes.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _bandwidth(points: Tensor) -> float:
    """The median distance to the k-th nearest sample elsewhere, or the farthest, over √d.

    k grows with n, so that the density becomes smooth, but slowly: shapes are to stay sharp.
    """
    some = points[:: -(-len(points) // _LOOKED_AT)]
    count = min(max(_NEIGHBOURS, round(math.sqrt(len(points)) / 4)), len(points) - 1)
    far = []
    for part in some.split(max(1, _AT_ONCE // len(points))):
        apart = _distances(part, points)
        near = torch.where(apart > 0, apart, math.inf).topk(count, largest=False).values
        far.append(torch.where(near < math.inf, near, 0.0).amax(1))
    typical = float(torch.cat(far).median())
    if not typical:
        raise ValueError("all samples of the prior are the same: give it different ones")
    return typical / math.sqrt(points.shape[1])
