"""A user's own networks in place of ours: any `torch.nn.Module` that keeps to a contract.

They are tried on two examples when a model is built, and work in every variant and every kind of
step. The model has a copy of them, with the weights that their maker drew. What they draw by
themselves, in dropout for example, comes from torch's global generator, and no seed of ours repeats
it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The user's own networks; where one is None, ours is used.

    Attributes:
        encoder: pictures [n, c, h, w] in [-1, 1], or rows [n, d] → features [n, f], for any f. The
            heads that make codes and classes of them are ours.
        decoder: codes [n, d] → pictures [n, c, h, w] in [-1, 1], or rows. If the recipe also
            decodes a class, the input has K more columns: a one-hot label, or probabilities.
        critic: codes z [n, d] → logits [n] of "drawn from the prior". If the recipe shows it the
            label, the input has K + 1 more columns: that label one-hot, the last one for "none".

    Examples:
        >>> Networks(encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU())).names
        ('encoder',)
    """

    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    critic: nn.Module | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that are given."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is not None)


OURS = Networks()


class Given(nn.Module):
    """A user's module as a part of our network, in place of hidden layers.

    Args:
        module: the module; this one works on a copy.
        low: whether autocast may take its products in the training's type. A module that reads a
            code has float32 products, as a code needs all its digits.
    """

    def __init__(self, module: nn.Module, *, low: bool = False):
        super().__init__()
        self.module, self.low = copy.deepcopy(module), low
        self.dtype = torch.float32
        """The type of its products, which a twin sets."""
        self.values = 0
        """Numbers that it and its parts made of one example when it was `given`."""

    def forward(
        self, x: Tensor, drop: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """The module's output for x, in float32."""
        low = self.dtype != torch.float32
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            y: Tensor = self.module(x)
        return y.float()

    def mixes_rows(self, width: int) -> bool:
        """Whether what it makes of one row [width] depends on others, as batch normalisation does.

        Tried on a copy, in training, by the gradients of one row's result.
        """
        rows = torch.randn(8, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
        made = copy.deepcopy(self).cpu().train()(rows)
        (slopes,) = torch.autograd.grad(made[0].sum(), rows, allow_unused=True)
        return slopes is not None and bool(slopes[1:].any())


def given(
    name: str,
    module: nn.Module | None,
    inputs: Sequence[int],
    outputs: Sequence[Sequence[int | None]],
    *,
    low: bool = False,
) -> Given | None:
    """A user's module, tried on two examples; None where there is none.

    Args:
        name: which network it is given as.
        module: the module.
        inputs: the shape of an example.
        outputs: the shapes that the result for an example may have; None is any number.
        low: see `Given`.

    Raises:
        ValueError: it does not take such examples, or its result has another shape.
    """
    if module is None:
        return None
    wrapped, x = Given(module, low=low).eval(), torch.zeros(2, *inputs)
    took, must = f"the {name} given, for {_rows(inputs)},", " or ".join(map(_rows, outputs))

    def note(part: nn.Module, inputs: object, made: object) -> None:
        wrapped.values += made.numel() // 2 if isinstance(made, Tensor) else 0

    hooks = [part.register_forward_hook(note) for part in wrapped.modules()]
    try:
        with torch.no_grad():
            y = wrapped(x)
    except Exception as error:  # a user's module raises what it likes
        what = " ".join(str(error).split())
        raise ValueError(f"{took} must make {must}; it fails: {what}") from error
    for hook in hooks:
        hook.remove()
    fits = (
        y.shape[:1] == (2,)
        and len(y.shape) == 1 + len(shape)
        and all(size in (None, made) for size, made in zip(shape, y.shape[1:], strict=True))
        for shape in outputs
    )
    if not any(fits):
        raise ValueError(f"{took} must make {must}; of two it makes {list(y.shape)}")
    return wrapped.train()


def _rows(shape: Sequence[int | None]) -> str:
    """The shape of n examples in words."""
    return f"[{', '.join(['n', *('any' if size is None else str(size) for size in shape)])}]"
