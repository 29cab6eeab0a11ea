"""Distributions imposed on codes.

A prior can be sampled (by label, if its parts have labels), has a density, and names the points at
which to look at what a decoder has learned. Label -1 means "no label".
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Prior(ABC):
    """A distribution over codes of ``dim`` dimensions with ``components`` labelled parts."""

    dim: int
    components: int = 1
    limit: float
    """Half the side of a frame around the origin that shows the prior."""

    def sample(
        self, n: int, *, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` codes, [n, dim], on the generator's device.

        Args:
            n: how many.
            labels: [n], the part to draw each from; -1 (or None, for all) draws the part, too.
            generator: source of randomness.

        Raises:
            ValueError: there is not one label for each sample, or a label has no part.
        """
        if labels is not None and self.components > 1:
            if labels.shape != (n,):
                given = tuple(labels.shape)
                raise ValueError(f"{n} samples need {n} labels, not a tensor of {given}")
            if n and labels.max() >= self.components:
                raise ValueError(
                    f"label {int(labels.max())} has no part of its own: this prior has "
                    f"{self.components}, labels 0 to {self.components - 1}"
                )
        return self.draw(n, labels, generator)

    @abstractmethod
    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """`sample` without its checks, which would make a GPU wait; for training."""

    @abstractmethod
    def component_log_prob(self, z: Tensor) -> Tensor:
        """Log-density of each part by itself, in nats: [n, dim] → [n, components]."""

    def manifold(self, side: int) -> Tensor:
        """Codes to decode for a picture of the manifold: [pictures, side², dim].

        Within a picture, codes go row by row from the top left, as on a plot with axes. Unless a
        prior says otherwise, they are a square over its frame in the first two dimensions.
        """
        return _square(side, self.limit, self.dim)[None]

    def log_prob(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Log-density in nats: [n, dim] → [n].

        Args:
            z: codes.
            labels: part of each code [n]; -1, or no labels at all, stands for all parts together.
        """
        parts = self.component_log_prob(z)
        whole = parts.logsumexp(1) - math.log(self.components)
        if labels is None or self.components == 1:
            return whole
        own = parts.gather(1, labels.clamp(0)[:, None])[:, 0]
        return torch.where(labels < 0, whole, own)

    def log_prob_over(self, x: Tensor, y: Tensor) -> Tensor:
        """Log-density of a 2-D prior over a grid, to be looked at, in nats: [h, w].

        Args:
            x: the first dimension along a row, [w], on the CPU.
            y: the second along a column, [h], on the CPU.
        """
        assert self.dim == 2
        codes = torch.cartesian_prod(y, x).flip(1)  # the first dimension runs fastest
        log_p: Tensor = self.log_prob(codes).unflatten(0, (len(y), len(x)))
        return log_p

    def _parts(
        self, n: int, labels: Tensor | None, generator: torch.Generator | None, device: torch.device
    ) -> Tensor:
        """The part that each of n samples comes from: its label's, or a random one."""
        drawn = torch.randint(self.components, (n,), generator=generator, device=device)
        if labels is None or self.components == 1:
            return drawn
        return torch.where(labels < 0, drawn, labels)


class Gaussian(Prior):
    """N(0, std²) in each dimension; a label makes no difference.

    >>> Gaussian(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    def __init__(self, dim: int, std: float = 1.0):
        self.dim, self.std, self.limit = dim, std, 3.5 * std

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        return self.std * torch.randn(n, self.dim, generator=generator, device=_device(generator))

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`."""
        return _normal_log_prob(z, self.std).sum(1, keepdim=True)

    def manifold(self, side: int) -> Tensor:
        """A square over ±3 standard deviations of the first two dimensions."""
        return _square(side, 3 * self.std, self.dim)[None]


class Uniform(Prior):
    """Uniform on the cube [-half, half]^dim; a label makes no difference."""

    def __init__(self, dim: int, half: float = 1.0):
        self.dim, self.half, self.limit = dim, half, 1.2 * half

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        unit = torch.rand(n, self.dim, generator=generator, device=_device(generator))
        return self.half * (2 * unit - 1)

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`; minus infinity outside of the cube."""
        inside = (z.abs() <= self.half).all(1, keepdim=True)
        level = torch.full_like(z[:, :1], -self.dim * math.log(2 * self.half))
        return torch.where(inside, level, -math.inf)

    def manifold(self, side: int) -> Tensor:
        """A square over the cube's first two dimensions."""
        return _square(side, self.half, self.dim)[None]


class Mixture(Prior):
    """Gaussians around a circle, each long along the radius and thin across it ([AAE], Fig. 2, 3).

    Component k of K sits at angle 2πk/K. In more than two dimensions the same component is used in
    every pair of dimensions, so that a label still names one component.
    """

    def __init__(
        self,
        dim: int = 2,
        components: int = 10,
        radius: float = 1.4,
        radial_std: float = 0.5,
        tangential_std: float = 0.1,
    ):
        if dim % 2:
            raise ValueError(
                f"the mixture works on pairs of dimensions: dim must be even, not {dim}"
            )
        self.dim, self.components, self.radius = dim, components, radius
        self.radial_std, self.tangential_std = radial_std, tangential_std
        self.limit = max(3.5, radius + 4 * max(radial_std, tangential_std))

    def _axes(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors along and across each component's radius, [K, 2] each."""
        angle = 2 * math.pi / self.components * torch.arange(self.components, device=z.device)
        return (
            torch.stack([angle.cos(), angle.sin()], 1),
            torch.stack([-angle.sin(), angle.cos()], 1),
        )

    def _place(self, radial: Tensor, tangential: Tensor, parts: Tensor) -> Tensor:
        """Codes from coordinates along and across the radius, [n, dim/2] each, and parts [n]."""
        along, across = self._axes(radial)
        pairs = radial[..., None] * along[parts, None] + tangential[..., None] * across[parts, None]
        return pairs.flatten(1)

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        device = _device(generator)
        parts = self._parts(n, labels, generator, device)
        noise = torch.randn(n, 2, self.dim // 2, generator=generator, device=device)
        radial = self.radius + self.radial_std * noise[:, 0]
        return self._place(radial, self.tangential_std * noise[:, 1], parts)

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`."""
        along, across = self._axes(z)
        # Not as matrix products: autocast would round them, and parts are thin across the radius.
        pairs = z.unflatten(1, (-1, 1, 2))
        radial = (pairs * along).sum(-1) - self.radius  # [n, dim/2, K]
        tangential = (pairs * across).sum(-1)
        return (
            _normal_log_prob(radial, self.radial_std)
            + _normal_log_prob(tangential, self.tangential_std)
        ).sum(1)

    def manifold(self, side: int) -> Tensor:
        """One picture for each component: ±2 standard deviations along (→) and across (↑)."""
        square = _square(side, 2.0, 2)
        half = self.dim // 2
        radial = (self.radius + self.radial_std * square[:, :1]).expand(-1, half)
        tangential = (self.tangential_std * square[:, 1:]).expand(-1, half)
        return torch.stack([
            self._place(radial, tangential, torch.full((side * side,), k))
            for k in range(self.components)
        ])  # fmt: skip


class Spots(Prior):
    """The same prior around each of several points, all equally likely.

    Args:
        centres: the points, [K, dim].
        spread: the prior around each; it has one component.
    """

    def __init__(self, centres: Tensor, spread: Prior):
        assert spread.components == 1
        self.centres, self.spread = centres, spread
        self.components, self.dim = centres.shape
        self.limit = float(centres.abs().max()) + spread.limit

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        parts = self._parts(n, labels, generator, _device(generator))
        around: Tensor = self.spread.draw(n, None, generator)
        return self.centres.to(parts.device)[parts] + around

    def log_prob_over(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Prior.log_prob_over`."""
        each = [self.spread.log_prob_over(x - at, y - up) for at, up in self.centres.cpu()]
        return torch.stack(each).logsumexp(0) - math.log(self.components)

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`."""
        around = (z[:, None] - self.centres.to(z.device)).flatten(0, 1)
        log_p: Tensor = self.spread.log_prob(around).unflatten(0, (len(z), self.components))
        return log_p


class SwissRoll(Prior):
    """A spiral in the plane, with a label for each of K consecutive segments ([AAE], Fig. 3b).

    A point is t·(cos 4πt, sin 4πt)·radius with t = √u and u uniform, so that density is even along
    the roll, plus Gaussian noise. Segment k holds u in [k/K, (k+1)/K].
    """

    dim = 2
    nodes = 200
    """Points that stand for each segment in the density."""

    def __init__(self, components: int = 10, radius: float = 3.0, std: float = 0.1):
        self.components, self.radius, self.std = components, radius, std
        self.limit = radius + 5 * std

    def _point(self, u: Tensor) -> Tensor:
        """The roll at u in [0, 1]: […] → […, 2]."""
        t = u.sqrt()
        angle = 4 * math.pi * t
        return self.radius * t[..., None] * torch.stack([angle.cos(), angle.sin()], -1)

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`."""
        device = _device(generator)
        parts = self._parts(n, labels, generator, device)
        u = (parts + torch.rand(n, generator=generator, device=device)) / self.components
        return self._point(u) + self.std * torch.randn(n, 2, generator=generator, device=device)

    def component_log_prob(self, z: Tensor) -> Tensor:
        """See `Prior.component_log_prob`; the integral along each segment is a sum over nodes."""
        count = self.components * self.nodes
        u = (torch.arange(count, device=z.device) + 0.5) / count
        nodes = self._point(u).unflatten(0, (self.components, self.nodes))
        chunks = [
            _normal_log_prob(part[:, None, None] - nodes, self.std).sum(-1).logsumexp(-1)
            for part in z.split(512)
        ]
        return torch.cat(chunks) - math.log(self.nodes)

    def manifold(self, side: int) -> Tensor:
        """One picture: side² places along the roll, row by row from its centre outwards."""
        u = (torch.arange(side * side) + 0.5) / (side * side)
        return self._point(u)[None]


class Categorical(Prior):
    """Uniform over K one-hot vectors: the prior of class probabilities y ([AAE], section 5)."""

    limit = 1.0

    def __init__(self, components: int):
        self.dim = self.components = components

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """See `Prior.draw`: one-hot rows."""
        parts = self._parts(n, labels, generator, _device(generator))
        return torch.nn.functional.one_hot(parts, self.components).float()

    def component_log_prob(self, z: Tensor) -> Tensor:
        """Log-probability of one-hot rows: 0 for a row's own class, minus infinity elsewhere."""
        return torch.where(z == 1, 0.0, -math.inf)

    def manifold(self, side: int) -> Tensor:
        """The K classes themselves, whatever the side: [1, K, K]."""
        return torch.eye(self.components)[None]


def _device(generator: torch.Generator | None) -> torch.device:
    return generator.device if generator is not None else torch.device("cpu")


def _normal_log_prob(z: Tensor, std: float) -> Tensor:
    return -0.5 * (z / std).square() - math.log(std * math.sqrt(2 * math.pi))


def _square(side: int, half: float, dim: int) -> Tensor:
    """A grid over [-half, half]² in the first two dimensions, top row first: [side², dim]."""
    line = torch.linspace(-half, half, side)
    grid = torch.zeros(side * side, dim)
    grid[:, 0] = line.repeat(side)
    if dim > 1:
        grid[:, 1] = line.flip(0).repeat_interleave(side)
    return grid
