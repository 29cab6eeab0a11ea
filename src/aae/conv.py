"""Convolutional parts of an encoder and a decoder, built from the shape of a picture.

They stand before the hidden layers of `aae.nn.Encoder` and after those of `aae.nn.Decoder`. Each
level halves height and width and doubles the channels, and has a residual block (He et al.,
arXiv:1603.05027). Channels are normalised in groups within a picture (Wu and He, arXiv:1803.08494),
so that a picture is treated alike in a batch and alone, in training and in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 8
"""Least number of pixels that a side must have."""
SMALLEST = 4
"""The larger side is halved until it has at most this many pixels."""
DOUBLINGS = 3
"""How often channels double, at most: deep levels are small, and their weights many."""
GROUPS = 8
"""Groups of channels, each normalised by itself; a network's width is a multiple of this."""

Size = tuple[int, int]


class Convolution(nn.Conv2d):
    """A 3×3 convolution that knows how large its output is.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        size: (height, width) of the output.
        stride: 2 halves the sides, rounding up.
    """

    def __init__(self, inputs: int, outputs: int, size: Size, *, stride: int = 1):
        super().__init__(inputs, outputs, 3, stride=stride, padding=1)
        self.places = math.prod(size)
        """Pixels of the output; each weight is used once for each of them."""


class Residual(nn.Module):
    """x + f(x), where f is twice: normalisation, ReLU, convolution."""

    def __init__(self, channels: int, size: Size):
        super().__init__()
        layers = [[*_activated(channels), Convolution(channels, channels, size)] for _ in range(2)]
        self.f = nn.Sequential(*layers[0], *layers[1])

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] → the same."""
        h: Tensor = x + self.f(x)
        return h


class Enlarging(Convolution):
    """A convolution of its input enlarged to the output's size, each pixel to a rectangle."""

    def __init__(self, inputs: int, outputs: int, size: Size):
        super().__init__(inputs, outputs, size)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] → [n, outputs, *size]."""
        return super().forward(F.interpolate(x, self.size))


def features(shape: Sequence[int], width: int) -> tuple[nn.Module, int]:
    """An encoder's front, and how many features it gives: [n, c, h, w] → [n, features].

    Args:
        shape: (channels, height, width) of a picture.
        width: channels of the first level.
    """
    (inputs, _), *levels = _levels(shape, width)
    layers: list[nn.Module] = []
    for outputs, size in levels:
        layers += [Convolution(inputs, outputs, size, stride=2), Residual(outputs, size)]
        inputs = outputs
    return nn.Sequential(*layers, *_activated(inputs), nn.Flatten()), _values(levels[-1])


def pixels(hidden: int, shape: Sequence[int], width: int) -> nn.Module:
    """A decoder's end, `features` backwards: [n, hidden] → [n, c, h, w], of any value.

    Args:
        hidden: units that it reads.
        shape: (channels, height, width) of a picture.
        width: channels of the last level.
    """
    picture, *levels = _levels(shape, width)
    (channels, size), *larger = levels[::-1]
    layers: list[nn.Module] = [
        nn.Linear(hidden, _values(levels[-1])), nn.Unflatten(1, (channels, *size)),
        Residual(channels, size),
    ]  # fmt: skip
    for outputs, size in larger:
        layers += [Enlarging(channels, outputs, size), Residual(outputs, size)]
        channels = outputs
    return nn.Sequential(*layers, *_activated(channels), Enlarging(channels, *picture))


def _levels(shape: Sequence[int], width: int) -> list[tuple[int, Size]]:
    """Channels and (height, width) of a picture, and of each level from the largest on."""
    channels, *size = shape
    levels = [(channels, (size[0], size[1]))]
    while max(size) > SMALLEST:
        size = [-(-side // 2) for side in size]
        doubled = min(len(levels) - 1, DOUBLINGS)
        levels.append((width * 2**doubled, (size[0], size[1])))
    return levels


def _values(level: tuple[int, Size]) -> int:
    channels, size = level
    return channels * math.prod(size)


def _activated(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(GROUPS, channels), nn.ReLU()]
