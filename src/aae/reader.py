"""A classifier that reads what a decoder draws, so that it draws what was asked for ([AC-GAN]).

It learns from the data's own labels, and the decoder learns from it. As it is part of the training,
what it says about a decoder does not measure that decoder; `aae.judge` does.

Source: [AC-GAN] Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs,
arXiv:1610.09585.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aae.nn import MLP, FullLinear

NOISE = 0.5
"""Standard deviation of the noise on what it reads, for pixels in [-1, 1]: a decoder is to change
strokes, and not to find the few pixels that mislead a classifier."""


class Reader(nn.Module):
    """Pictures, with noise → logits of their classes.

    Args:
        values: values in a picture, or features that ``front`` gives.
        n_classes: classes, K.
        hidden: units in each hidden layer.
        layers: how many hidden layers.
        front: what comes before them: pictures → features [n, values]; nothing by default.
    """

    def __init__(
        self,
        values: int,
        n_classes: int,
        *,
        hidden: int,
        layers: int,
        front: nn.Module | None = None,
    ):
        super().__init__()
        self.front = front or nn.Flatten()
        self.trunk = MLP(values, hidden, layers)
        self.classes = FullLinear(hidden, n_classes)

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures [n, c, h, w] in [-1, 1], or rows [n, d] → logits [n, K]."""
        x = x + NOISE * torch.randn(x.shape, generator=generator, device=x.device)
        logits: Tensor = self.classes(self.trunk(self.front(x)))
        return logits

    def steadily(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """As `forward`, but gradients reach only the pictures, not the reader's own weights."""
        held = {name: weight.detach() for name, weight in self.named_parameters()}
        logits: Tensor = torch.func.functional_call(self, held, (x, generator))
        return logits
