"""Intercepts torch's draws from one generator and makes them differently, unknown to the caller."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Draws(TorchFunctionMode, ABC):
    """Within this context, `draw` answers the calls of torch that draw from a generator.

    Args:
        generator: the generator; draws from others are unchanged.
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    @abstractmethod
    def draw(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.Tensor:
        """The result that a function of torch is to give for its arguments."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is not self.generator:
            return func(*args, **kwargs)
        return self.draw(func, args, kwargs)
