"""A twin of a model: the same weights, the large ones also in the type of matrix products.

Autocast casts a weight at each use. A twin's copy is made once, after the weight has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from aae.autoencoder import Autoencoder
from aae.conv import Convolution, Enlarging
from aae.own_networks import Given

LOW = (nn.Linear, Convolution, Enlarging, nn.GroupNorm)
"""Layers that a twin has in the type of the products; `aae.nn.FullLinear` is not one of them."""


def twin(model: Autoencoder, dtype: torch.dtype) -> Autoencoder:
    """The same model over the same tensors, except that `LOW` layers have weights of ``dtype``.

    In float32 all stay as they are. Weights of another type are copies of the model's current ones.

    Args:
        model: the model, with float32 weights.
        dtype: the type of matrix products.
    """
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    other = copy.deepcopy(model, shared)
    if dtype == torch.float32:
        return other
    _lower(other, dtype)
    return other


def _lower(module: nn.Module, dtype: torch.dtype) -> None:
    """Make the layers within a module multiply in ``dtype``."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, Given):  # what is in it is not ours to change
            layer.dtype = dtype if layer.low else layer.dtype
        elif type(layer) in LOW:
            setattr(module, name, _lowered(layer, dtype))
        else:
            _lower(layer, dtype)


def _lowered(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a layer with weights of ``dtype``, which casts its input to that type."""
    weights = {id(p): nn.Parameter(p.detach().to(dtype)) for p in layer.parameters()}
    low = copy.deepcopy(layer, weights)
    low.register_forward_pre_hook(_in_own_type)
    return low


def _in_own_type(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    assert isinstance(layer.weight, Tensor)
    return tuple(x.to(layer.weight.dtype) for x in inputs)


class Twin:
    """A model in training and its twin: losses are read off the twin, and the model is updated.

    Args:
        model: the model, with float32 weights.
        dtype: the type of matrix products.
    """

    def __init__(self, model: Autoencoder, dtype: torch.dtype):
        self.model = twin(model, dtype)
        own = dict(self.model.named_parameters())
        self._low: dict[Tensor, Tensor] = {w: own[name] for name, w in model.named_parameters()}
        self._gradients = {w: torch.empty_like(w) for w in self._low if self._has_copy(w)}

    def follow(self, weights: Iterable[Tensor] | None = None) -> None:
        """Renew the twin's copies of some of the model's weights, or of all."""
        weights = [w for w in self._chosen(weights) if self._has_copy(w)]
        with torch.no_grad():
            _copy([self._low[w] for w in weights], weights)

    def differentiate(self, loss: Tensor, weights: Iterable[Tensor] | None = None) -> None:
        """Give some of the model's weights, or all, the gradient of a loss read off the twin.

        It has each weight's own type and layout, as fused updates need; it is None where the loss
        does not reach a weight, or the user froze it.
        """
        weights = self._chosen(weights)
        if not weights:
            return
        grads = torch.autograd.grad(loss, [self._low[w] for w in weights], allow_unused=True)
        copies: list[Tensor] = []
        originals: list[Tensor] = []
        for weight, grad in zip(weights, grads, strict=True):
            if grad is None or not self._has_copy(weight):
                weight.grad = None if grad is None else grad.contiguous()
            else:
                weight.grad = self._gradients[weight]
                copies.append(weight.grad)
                originals.append(grad)
        _copy(copies, originals)

    def _chosen(self, weights: Iterable[Tensor] | None) -> list[Tensor]:
        """Some of the model's weights, or all, except those that do not change."""
        return [w for w in (self._low if weights is None else weights) if w.requires_grad]

    def _has_copy(self, weight: Tensor) -> bool:
        return self._low[weight] is not weight


def _copy(to: list[Tensor], tensors: list[Tensor]) -> None:
    """Copy each tensor to its place; a GPU copies all at once."""
    if to:
        torch._foreach_copy_(to, tensors)
