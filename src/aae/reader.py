"""A classifier that reads what a decoder draws, so that it is drawn as it was asked for ([AC-GAN]).

It learns from the data's own labels, and the decoder learns by it. It is part of the training: what
it says of a decoder is no measure of it, for which there is `aae.judge`.

Source: [AC-GAN] Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs,
arXiv:1610.09585.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aae.nn import MLP, FullLinear

NOISE = 0.5
"""Standard deviation of the noise on what it reads, in pixels of [-1, 1]: a decoder shall change
strokes, and not find the few pixels that a classifier can be misled with."""


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
        """The same, but gradients reach the pictures alone, and not the reader's own weights."""
        held = {name: weight.detach() for name, weight in self.named_parameters()}
        logits: Tensor = torch.func.functional_call(self, held, (x, generator))
        return logits
