"""Pictures turned, slanted, stretched and shifted a little: what a class must not depend on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TURN = 0.2
"""Radians, either way."""
SLANT = 0.3
"""Sideways move of a line for each line that it is above another, either way."""
STRETCH = 0.15
"""Of width and of height, each on its own, either way."""
SHIFT = 0.14
"""Across and along, in halves of a side: two pixels of 28."""


def warp(x: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Each picture under an affine map of its own; pixels at its edge are drawn out beyond it.

    Args:
        x: pictures, [n, c, h, w].
        size: how far maps may go. 1 stands for the constants of this module, each drawn uniformly;
            0 leaves pictures as they are.
        generator: chooses the maps.

    Returns:
        Pictures of the same shape, values between their neighbours', without a gradient.
    """
    n, _, h, w = x.shape
    draws = size * (2 * torch.rand(n, 6, generator=generator, device=x.device) - 1)
    turn, slant = TURN * draws[:, 0], SLANT * draws[:, 1]
    across, along = 1 + STRETCH * draws[:, 2], 1 + STRETCH * draws[:, 3]
    cos, sin = turn.cos(), turn.sin()
    # A side counts as 2 however many pixels it has, so turning a picture needs the sides' ratio.
    maps = torch.stack(
        [
            across * cos, across * (slant * cos - sin) * (h / w), SHIFT * draws[:, 4],
            along * sin * (w / h), along * (slant * sin + cos), SHIFT * draws[:, 5],
        ],
        dim=1,
    ).unflatten(1, (2, 3))  # fmt: skip
    down, right = (torch.arange(0.5, side, device=x.device) * (2 / side) - 1 for side in (h, w))
    of_right, of_down, shift = maps[..., None, None].unbind(2)
    # No matrix product: under autocast it would leave places with three digits.
    places = (of_right * right + of_down * down[:, None] + shift).movedim(1, 3)
    with torch.no_grad():
        return F.grid_sample(x, places, padding_mode="border", align_corners=False)
