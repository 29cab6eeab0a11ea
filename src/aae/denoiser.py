"""A decoder with lateral connections that removes noise with the help of the classes ([LADDER]).

A decoder that has only y can draw a mean picture of each class. This one also sees each of the
encoder's noisy layers. It takes from there what they keep of a picture, so y need not carry that;
what the noise has taken it must guess, with the help of y. So pictures without a label, too, ask of
y what pictures of a kind share.

Source: [LADDER] Rasmus et al., Semi-Supervised Learning with Ladder Networks, arXiv:1507.02672; the
cost here is that of the lowest layer alone, their "bottom-layer" variant.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from aae.nn import MLP, Encoder, FullLinear


class Combination(nn.Module):
    """A noisy unit z, and what the layer above expects of it, u → the unit without noise.

    If both are Gaussian, the best guess weighs the two, by weights that depend on u:
    (z - m(u)) v(u) + m(u), where m and v are a bent line each ([LADDER]).

    Args:
        units: how many; each has its own ten parameters.
    """

    def __init__(self, units: int):
        super().__init__()
        # u counts a little from the start, so that the layers above learn by it.
        start = torch.tensor([[0.0, 1.0, 0.0, 0.1, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]])
        self.lines = nn.Parameter(start.view(10, 1).repeat(1, units))

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """Noisy units z and what is expected of them u, [n, units] each → [n, units]."""
        of_mean, of_share = self.lines.chunk(2)
        mean, share = _bent(u, of_mean), _bent(u, of_share)
        return (z - mean) * share + mean


def _bent(u: Tensor, a: Tensor) -> Tensor:
    return a[0] * torch.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]


class Denoiser(nn.Module):
    """Puts noise on an encoder's layers, and removes it again.

    Args:
        values: values of a picture, or features of a row.
        hidden: units of each of the encoder's hidden layers.
        n_classes: classes of y, K.
        std: standard deviation of the noise on hidden units, which are normalised to 1; that of a
            picture's values, which lie in [-1, 1], is twice as large.
    """

    def __init__(self, values: int, hidden: Sequence[int], n_classes: int, std: float):
        super().__init__()
        self.std = std
        units = [values, *hidden]
        # Noisy layers have statistics of their own, which the encoder in use must not get.
        self.norms = nn.ModuleList(map(_norm, hidden))
        kinds = [nn.Linear] * len(hidden) + [FullLinear]
        self.down = nn.ModuleList(
            nn.Sequential(kind(above, own, bias=False), _norm(own))
            for kind, own, above in zip(kinds, units, [*hidden, n_classes], strict=True)
        )
        self.combinations = nn.ModuleList(map(Combination, units))

    def disturb(
        self, encoder: Encoder, x: Tensor, generator: torch.Generator
    ) -> tuple[list[Tensor], Tensor]:
        """Run an encoder with noise on each layer.

        Args:
            encoder: fully connected, with batch normalisation and classes.
            x: pictures [n, c, h, w] or rows [n, d].
            generator: source of the noise.

        Returns:
            The noisy layers, from the picture [n, values] up, and logits of the classes [n, K].
        """
        trunk = encoder.trunk
        assert isinstance(trunk, MLP)
        assert encoder.classes is not None

        def noisy(z: Tensor, std: float) -> Tensor:
            return z + std * torch.randn(z.shape, generator=generator, device=z.device)

        h = noisy(x.flatten(1), 2 * self.std)
        levels = [h]
        for linear, norm, own in zip(trunk.linears, trunk.norms, self.norms, strict=True):
            levels.append(noisy(own(linear(h)).float(), self.std))
            assert isinstance(norm, _BatchNorm)
            h = F.relu(norm.weight * levels[-1] + norm.bias)
        logits: Tensor = encoder.classes(h)
        return levels, logits

    def forward(self, levels: Sequence[Tensor], y: Tensor) -> Tensor:
        """Noisy layers, and class probabilities [n, K] → the picture without noise [n, values]."""
        clean = y
        for z, down, combination in zip(
            reversed(levels), reversed(self.down), reversed(self.combinations), strict=True
        ):
            clean = combination(z, down(clean).float())
        return clean


def _norm(units: int) -> nn.Module:
    """Brings every unit to mean 0 and standard deviation 1 over the batch; remembers nothing."""
    return nn.BatchNorm1d(units, affine=False, track_running_stats=False)
