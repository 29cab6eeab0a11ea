"""Examples as data sets have them ↔ as a model takes and gives them.

Pixels are bytes in data sets, lie in [-1, 1] in models and in [0, 1] in pictures of them; features
of rows stay as they are.
"""

from __future__ import annotations

from torch import Tensor


def to_model(images: Tensor) -> Tensor:
    """Byte pictures [n, c, h, w] → float32 in [-1, 1]; rows of features [n, d] stay as they are."""
    return images if images.is_floating_point() else images.float().div_(127.5).sub_(1)


def from_model(x: Tensor) -> Tensor:
    """Decoder output → pictures in [0, 1], clipped; rows [n, d] stay as they are."""
    return x.float() if x.ndim == 2 else to_unit(x)


def within(x: Tensor) -> Tensor:
    """Decoder output, clipped to the range of examples: pixels to [-1, 1], features not at all."""
    return x if x.ndim == 2 else x.clamp(-1, 1)


def to_unit(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] → [0, 1], clipped, as the eye and the plots want them."""
    return (x.float() + 1).div(2).clamp(0, 1)
