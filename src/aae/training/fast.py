"""The joint step again, with less work; `step.JointStep` is what it is held to by a test.

Three things are left out, and none of them changes what is computed beyond rounding:

- Casts. Autocast casts every weight where it is used. Here a twin of the model shares its float32
  weights and holds the large ones in the products' type as well, copied once a step.
- The critic's second reading. Prior samples and codes go through it as one batch.
- The critic's second gradient. The discriminator's and the generator's loss reach a code through
  the same logit, so their gradients differ by a factor for each row: one is had from the other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aae.autoencoder import Autoencoder, Batch, Corruption, Pass, Phase
from aae.config import Config
from aae.conv import Convolution, Enlarging
from aae.given import Given
from aae.training.step import JointStep, Losses
from aae.training.world import ALONE, World

LEAST = 1e-12
"""Where the discriminator is surer than this of a code, its gradient is taken for as much: too
little to move it, and the generator's, which is large there, can still be had from it."""


class FastJointStep(JointStep):
    """See the module and `JointStep`. The discriminators' weights must be above 0."""

    def __init__(self, model: Autoencoder, config: Config, world: World = ALONE):
        super().__init__(model, config, world=world)
        self.twin = twin(model, self.dtype)
        self.phases = world.phases(self.twin.phases())
        own = dict(self.twin.named_parameters())
        self.pairs = [(weight, own[name]) for name, weight in model.named_parameters()]
        copied = [(weight, low) for weight, low in self.pairs if low is not weight]
        self.masters: list[Tensor] = [weight for weight, _ in copied]
        self.copies: list[Tensor] = [low for _, low in copied]
        self.gradients = {weight: torch.empty_like(weight) for weight in self.masters}

    def _make(
        self,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        count: int | Tensor,
        generator: torch.Generator,
    ) -> Losses:
        """See `Step._make`."""
        with torch.no_grad():
            _copy(self.copies, self.masters)
        shared = SharedPass(self.twin, batch, generator, self.corruption, self.weights)
        losses, total = {}, []
        for phase in phases:
            seen: Pass = shared
            if phase.labelled:
                assert labelled is not None
                seen = Pass(self.twin, labelled, generator, self.corruption)
            losses[phase.name] = phase.loss(seen)
            if not phase.name.startswith("generator"):  # whose gradient `SharedPass` gives
                total.append(self._weighted(phase, losses[phase.name]))
        lows = [low for _, low in self.pairs]
        grads = torch.autograd.grad(torch.stack(total).sum(), lows, allow_unused=True)
        self._hand_over(grads)
        return self._move(self.optimizers, losses, count)

    def _hand_over(self, grads: Sequence[Tensor | None]) -> None:
        """Give weights their gradients, in their own type and layout, as fused updates take it."""
        copies: list[Tensor] = []
        originals: list[Tensor] = []
        for (weight, low), grad in zip(self.pairs, grads, strict=True):
            if grad is None or low is weight:
                weight.grad = None if grad is None else grad.contiguous()
            else:
                weight.grad = self.gradients[weight]
                copies.append(weight.grad)
                originals.append(grad)
        _copy(copies, originals)


def _copy(to: list[Tensor], tensors: list[Tensor]) -> None:
    """Copy each tensor to its place; a GPU does it at once."""
    if to:
        torch._foreach_copy_(to, tensors)


class SharedPass(Pass):
    """A pass whose critics read prior samples and codes at once.

    The gradient that the discriminator's loss sends into a code arrives there as the generator's:
    through logits f the one is weighted by σ(f), the other by -σ(-f), and all else is the same.

    Args:
        model: see `Pass`.
        batch: see `Pass`.
        generator: see `Pass`.
        corruption: see `Pass`.
        weights: the weight of each phase's loss, by its name.
    """

    def __init__(
        self,
        model: Autoencoder,
        batch: Batch,
        generator: torch.Generator,
        corruption: Corruption,
        weights: dict[str, float],
    ):
        super().__init__(model, batch, generator, corruption)
        self.weights = weights

    def fake(self, code: str) -> Tensor:
        """See `Pass.fake`."""
        self._read(code)
        return self._fake[code]

    def real(self, code: str) -> Tensor:
        """See `Pass.real`."""
        self._read(code)
        return self._real[code]

    def _read(self, code: str) -> None:
        if code in self._fake:
            return
        seen = self.code(code).clone()
        adversary, labels = self.model.adversaries[code], self.batch.labels
        real, fake = adversary.both(seen, labels, self.generator)
        self._real[code], self._fake[code] = real, fake
        of_discriminator = self.weights[f"discriminator_{code}"]
        f = fake.detach()
        factor = -f.neg().sigmoid() / f.sigmoid().clamp(LEAST)
        factor = factor * (self.weights[f"generator_{code}"] / of_discriminator)
        least = of_discriminator * LEAST / max(len(f), 1)
        fake.register_hook(lambda grad: grad.clamp(least))
        seen.register_hook(lambda grad: grad * factor[:, None])


LOW = (nn.Linear, Convolution, Enlarging, nn.GroupNorm)
"""Layers that a twin has in the products' type; `aae.nn.FullLinear` is none of them."""


def twin(model: Autoencoder, dtype: torch.dtype) -> Autoencoder:
    """The same model over the same tensors, but for `LOW` layers, whose weights are of ``dtype``.

    In float32 all stay as they are. Weights of another type are copies, as the model's are now.

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
    """Have the layers within a module multiply in a type."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, Given):  # what is in it is not ours to change
            layer.dtype = dtype if layer.low else layer.dtype
        elif type(layer) in LOW:
            setattr(module, name, _lowered(layer, dtype))
        else:
            _lower(layer, dtype)


def _lowered(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A layer whose weights are of a type, and that takes its input in that type."""
    weights = {id(p): nn.Parameter(p.detach().to(dtype)) for p in layer.parameters()}
    low = copy.deepcopy(layer, weights)
    low.register_forward_pre_hook(_in_own_type)
    return low


def _in_own_type(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    assert isinstance(layer.weight, Tensor)
    return tuple(x.to(layer.weight.dtype) for x in inputs)
