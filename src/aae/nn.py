"""Networks: encoder with its posterior, decoder, critic.

Pictures come as [n, channels, height, width] in [-1, 1] and are flattened here; rows of features,
[n, d], are flat already, and what is said of pictures holds for them. Everything random takes a
generator; without one the result is deterministic (the posterior's mean, no dropout).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aae.codes import Codes
from aae.own_networks import Given


def dropout(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Drop a random share of units and scale up the rest; without a generator, drop none."""
    if generator is None or share == 0:
        return x
    units = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return x * units.bernoulli_(1 - share, generator=generator) / (1 - share)


class FullLinear(nn.Linear):
    """A linear layer that stays in float32 under autocast: for codes, which need all their digits.

    A code of two numbers carries a whole picture, and bfloat16 keeps three digits of each.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs] → [n, outputs], float32."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.float(), self.weight, self.bias)


class MLP(nn.Module):
    """Fully connected hidden layers, each: linear, normalisation if any, activation, dropout.

    Args:
        inputs: size of the input.
        hidden: units in each layer.
        layers: how many layers.
        slope: slope of the activation below 0 (0 is ReLU).
        batch_norm: normalise over the batch before the activation.
        first: the first layer's kind; `FullLinear` where the input is a code.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int,
        *,
        slope: float = 0.0,
        batch_norm: bool = False,
        first: type[nn.Linear] = nn.Linear,
    ):
        super().__init__()
        rest = (nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.linears = nn.ModuleList([first(inputs, hidden), *rest])
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(hidden) if batch_norm else nn.Identity() for _ in range(layers)
        )
        self.slope = slope

    def forward(
        self, x: Tensor, drop: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """[n, inputs] → [n, hidden]."""
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = norm(linear(x))
            x = F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
            x = dropout(x, drop, generator)
        return x


class DeterministicPosterior(nn.Module):
    """q(z|x) is a point ([AAE], section 2)."""

    noise_dim: int = 0
    """Dimensions of noise that the encoder must add to its input."""

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.mean = FullLinear(features, dim)

    def forward(self, h: Tensor, generator: torch.Generator | None) -> Codes:
        """Features [n, features] → codes."""
        mean = self.mean(h)
        return Codes(z=mean, mean=mean)


class GaussianPosterior(nn.Module):
    """q(z|x) is a diagonal Gaussian, drawn by reparametrisation ([AAE], section 2)."""

    noise_dim: int = 0

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.mean = FullLinear(features, dim)
        self.std = FullLinear(features, dim)

    def forward(self, h: Tensor, generator: torch.Generator | None) -> Codes:
        """Features [n, features] → codes."""
        mean = self.mean(h)
        # A floor keeps log std finite where softplus underflows.
        std = F.softplus(self.std(h)) + 1e-6
        if generator is None:
            return Codes(z=mean, mean=mean, std=std)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return Codes(z=mean + std * noise, mean=mean, std=std)


class UniversalPosterior(DeterministicPosterior):
    """q(z|x) is what the encoder makes of noise at its input ([AAE], section 2).

    Its mean has no closed form: without a generator, the code at zero noise stands for it.
    """

    noise_dim: int = 10


PosteriorHead = DeterministicPosterior | GaussianPosterior
POSTERIORS: dict[str, type[PosteriorHead]] = {
    "deterministic": DeterministicPosterior,
    "gaussian": GaussianPosterior,
    "universal": UniversalPosterior,
}


class Encoder(nn.Module):
    """x → codes: an MLP, a posterior over z and, with classes, a class head.

    Args:
        pixels: values in a picture, or features that ``front`` gives.
        latent_dim: dimensions of z.
        n_classes: classes of y; 0 for none.
        posterior: a name in `POSTERIORS`.
        hidden: units in each hidden layer.
        layers: how many hidden layers.
        batch_norm: normalise the hidden layers over the batch.
        front: what comes before the MLP: pictures → features [n, pixels]; nothing by default.
        given: replaces both, and gives the features that all heads read.
    """

    def __init__(
        self,
        pixels: int,
        latent_dim: int,
        *,
        n_classes: int = 0,
        posterior: str = "gaussian",
        hidden: int = 1000,
        layers: int = 2,
        batch_norm: bool = False,
        front: nn.Module | None = None,
        given: Given | None = None,
    ):
        super().__init__()
        self.front = nn.Identity() if given else front or nn.Flatten()
        features = pixels if given else hidden
        self.posterior: PosteriorHead = POSTERIORS[posterior](features, latent_dim)
        inputs = pixels + self.posterior.noise_dim
        self.trunk = given or MLP(inputs, hidden, layers, batch_norm=batch_norm)
        self.classes = FullLinear(features, n_classes) if n_classes else None

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None, drop: float = 0.0
    ) -> Codes:
        """Pictures [n, c, h, w] → codes, drawn if a generator is given."""
        x = self.front(x)
        if size := self.posterior.noise_dim:
            draw = torch.zeros if generator is None else partial(torch.randn, generator=generator)
            noise = draw(x.shape[0], size, device=x.device)  # len() is fixed in an export
            x = torch.cat([x, noise], 1)
        h = self.trunk(x, drop, generator)
        codes: Codes = self.posterior(h, generator)
        if self.classes is None:
            return codes
        return Codes(codes.z, codes.mean, codes.std, self.classes(h))

    @property
    def body(self) -> tuple[nn.Module, ...]:
        """The modules that give the features that all heads read."""
        return self.front, self.trunk

    def class_logits(self, x: Tensor) -> Tensor:
        """Pictures [n, c, h, w] → logits of the classes [n, K], without drawing anything."""
        assert self.classes is not None
        assert not self.posterior.noise_dim
        logits: Tensor = self.classes(self.trunk(self.front(x)))
        return logits


class Cells(nn.Module):
    """A decoder's output → the row of a table that it stands for.

    Numbers stay as they are, and logits of categories become probabilities. A row is always
    complete: the cells that mark missing numbers are 0.

    Args:
        numbers: how many cells hold a number; they come first.
        masks: how many cells come next, which mark missing numbers.
        categories: the number of categories of each categorical column; their cells come last.
    """

    def __init__(self, numbers: int, masks: int, categories: Sequence[int]):
        super().__init__()
        self.widths = [numbers, masks, *categories]

    def forward(self, x: Tensor) -> Tensor:
        """[n, d] → [n, d]."""
        numbers, masks, *logits = x.split(self.widths, 1)
        return torch.cat([numbers, torch.zeros_like(masks), *(k.softmax(1) for k in logits)], 1)


class Decoder(nn.Module):
    """Codes → pictures in [-1, 1]: an MLP over one or more codes side by side.

    Args:
        inputs: dimensions of all codes together.
        shape: (channels, height, width) of a picture, or (d,) of a row.
        hidden: units in each hidden layer.
        layers: how many hidden layers.
        output: "tanh" or "linear", the last activation.
        pixels: what comes after the MLP: [n, hidden] → pixels; a linear layer by default.
        given: replaces all of that: codes side by side → pictures.
        activation: the last activation, in place of ``output``'s; it follows ``given``, too.
    """

    def __init__(
        self,
        inputs: int,
        shape: Sequence[int],
        *,
        hidden: int = 1000,
        layers: int = 2,
        output: Literal["tanh", "linear"] = "tanh",
        pixels: nn.Module | None = None,
        given: Given | None = None,
        activation: nn.Module | None = None,
    ):
        super().__init__()
        self.shape = tuple(shape)
        self.trunk = given or MLP(inputs, hidden, layers, first=FullLinear)
        rest = nn.Identity() if given else None
        self.pixels = rest or pixels or nn.Linear(hidden, math.prod(shape))
        own = nn.Tanh() if output == "tanh" else nn.Identity()
        self.activation = activation or rest or own

    def forward(
        self, *codes: Tensor, generator: torch.Generator | None = None, drop: float = 0.0
    ) -> Tensor:
        """Codes [n, …] side by side → pictures [n, c, h, w]."""
        h = self.trunk(torch.cat(codes, 1) if len(codes) > 1 else codes[0], drop, generator)
        x: Tensor = self.activation(self.pixels(h).float())
        return x.view(-1, *self.shape)


class HeadedDecoder(nn.Module):
    """A decoder of W·y + z: each class has a head in code space ([AAE], section 7).

    Args:
        decoder: decodes the sum.
        n_classes: classes or clusters, K.
        dim: dimensions d of the code.
        apart: the least distance that heads should have, and the unit of their weights.
    """

    def __init__(self, decoder: Decoder, n_classes: int, dim: int, apart: float):
        super().__init__()
        self.decoder, self.apart = decoder, apart
        self.heads = FullLinear(n_classes, dim, bias=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of a picture."""
        return self.decoder.shape

    @property
    def centres(self) -> Tensor:
        """The heads, [K, d]."""
        return self.apart * self.heads.weight.t()

    def embed(self, z: Tensor, y: Tensor) -> Tensor:
        """Styles [n, d] and class probabilities [n, K] → codes [n, d]."""
        code: Tensor = self.apart * self.heads(y) + z
        return code

    def forward(
        self, z: Tensor, y: Tensor, generator: torch.Generator | None = None, drop: float = 0.0
    ) -> Tensor:
        """Styles [n, d] and class probabilities [n, K] → pictures [n, c, h, w]."""
        x: Tensor = self.decoder(self.embed(z, y), generator=generator, drop=drop)
        return x


class Critic(nn.Module):
    """Code (and label, if it sees one) → logit of "drawn from the prior" ([AAE], Fig. 1, 3).

    Args:
        dim: dimensions of the code.
        n_labels: labels it sees beside the code, one-hot, with one more for "no label"; 0: none.
        hidden: units in each hidden layer.
        layers: how many hidden layers.
        given: replaces all of that: code and label side by side → logits [n] or [n, 1].
    """

    def __init__(
        self,
        dim: int,
        *,
        n_labels: int = 0,
        hidden: int = 1000,
        layers: int = 2,
        given: Given | None = None,
    ):
        super().__init__()
        self.n_labels = n_labels
        self.inputs = dim + (n_labels + 1 if n_labels else 0)
        """Columns of its input."""
        self.trunk = given or MLP(self.inputs, hidden, layers, slope=0.2, first=FullLinear)
        self.logit = nn.Identity() if given else FullLinear(hidden, 1)

    @property
    def mixes_rows(self) -> bool:
        """Whether one row's logit depends on others; never so in ours."""
        return isinstance(self.trunk, Given) and self.trunk.mixes_rows(self.inputs)

    def forward(self, code: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes [n, dim] and labels [n] (-1: no label) → logits [n]."""
        if self.n_labels:
            assert labels is not None
            seen = torch.where(labels < 0, self.n_labels, labels)
            code = torch.cat([code, F.one_hot(seen, self.n_labels + 1).to(code.dtype)], 1)
        logits: Tensor = self.logit(self.trunk(code)).flatten()
        return logits


def initialise(module: nn.Module, scheme: str, generator: torch.Generator) -> None:
    """Draw all weights of a network from a generator, except those of modules that were given.

    Args:
        module: the network, changed in place.
        scheme: one of

            - "he": variance 2/fan-in and biases of 0 (the reference program's);
            - "normal": N(0, 0.01²) and biases of 0 (the paper's);
            - "centred": He's, with two differences that a code of few dimensions needs. Heads start
              at a hundredth of the size, so that codes start at the prior's centre instead of
              wherever the pictures' common background puts them. And layers that read a code bend
              at points spread over the code space; with biases of 0, all would bend at the origin.
        generator: source of randomness, on the CPU.
    """
    own = {
        part for given in module.modules() if isinstance(given, Given) for part in given.modules()
    }
    for name, layer in module.named_modules():
        if layer in own or not isinstance(layer, (nn.Linear, nn.Conv2d)):
            continue
        std = 0.01 if scheme == "normal" else math.sqrt(2 / layer.weight[0].numel())
        nn.init.normal_(layer.weight, std=std, generator=generator)
        bias: Tensor | None = layer.bias  # heads of an embedding have none
        if bias is None:
            continue
        nn.init.zeros_(bias)
        if scheme == "centred" and name.endswith(HEADS):
            layer.weight.data.mul_(0.01)
        elif scheme == "centred" and isinstance(layer, FullLinear):
            bends = torch.randn(layer.weight.shape, generator=generator)
            bias.data.copy_(-(layer.weight * bends).sum(1))


HEADS = ("posterior.mean", "posterior.std", "classes", "logit")
"""Layers whose outputs are codes or logits, by the ends of their names."""
