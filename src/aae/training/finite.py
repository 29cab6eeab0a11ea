"""Whether a step's results are finite: noted on the device, so that nothing waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aae.training.optimizers import Optimizer


@dataclass(frozen=True)
class Fault:
    """What was not finite since the last look."""

    step: int
    """The first step in which it happened; steps count from 1."""
    losses: tuple[str, ...]
    """The phases whose losses were not finite in it."""
    gradients: tuple[str, ...]
    """The parameters whose gradients were not finite in it."""
    missed: dict[str, int]
    """How many losses of each phase made no update."""
    of: str = ""
    """Which of many models it happened to."""

    def __str__(self) -> str:
        """What and where, in words.

        >>> print(Fault(7, ("kl",), ("encoder.bias", "decoder.bias"), {"kl": 1}))
        step 7: the loss of kl is not finite, nor is the gradient of encoder.bias and 1 more
        """
        words = []
        if self.losses:
            words.append(f"the loss of {_few(self.losses)} is not finite")
        if self.gradients:
            start = "nor is" if words else "not finite is"
            words.append(f"{start} the gradient of {_few(self.gradients)}")
        return f"{self.of and f'{self.of}, '}step {self.step}: {', '.join(words)}"


class Watch:
    """Keeps values that are not finite out of a model.

    torch's fused kernels skip an update where a tensor on the device says so (float16 gradient
    scaling works this way), so no step waits for the device. Batch statistics, which a pass changes
    before the answer is known, are restored.

    Args:
        model: the model; its parameters and statistics are watched.
        phases: the names of its phases.
        many: (k,) for k models, see `WatchOfMany`; () for one.
    """

    _flags: Tensor
    """Phases and parameters not finite in the first step that was not, since the last look."""
    _step: Tensor
    """Which step that was."""
    _count: Tensor
    """How many such steps there were since the last look."""
    _missed: dict[str, Tensor]
    """How many of them for each phase."""

    def __init__(self, model: nn.Module, phases: Iterable[str], many: tuple[int, ...] = ()):
        self.phases = tuple(phases)
        self.parameters = dict(model.named_parameters())
        self.statistics = list(model.buffers())
        device = next(iter(self.parameters.values())).device
        self._nothing = torch.zeros(many, device=device)
        names = len(self.phases) + len(self.parameters)
        self._flags = torch.zeros(names, *many, dtype=torch.bool, device=device)
        self._step, self._count = self._nothing.long(), self._nothing.long()
        self._missed = {name: self._nothing.clone() for name in self.phases}
        self._good = [buffer.clone() for buffer in self.statistics]

    def remember(self) -> None:
        """Remember the current statistics as good ones."""
        for buffer, good in zip(self.statistics, self._good, strict=True):
            good.copy_(buffer)  # in place: a recorded step finds it where it was

    def restore(self) -> None:
        """Restore the statistics of the last step that was finite."""
        for buffer, good in zip(self.statistics, self._good, strict=True):
            buffer.copy_(good)

    def __call__(
        self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], count: int | Tensor
    ) -> Tensor:
        """Check a step's losses and gradients before its update.

        Args:
            losses: those of some phases, by name.
            parameters: those that the update would change.
            count: steps made before this one.

        Returns:
            On the device: 1 where something is not finite and the update must be skipped, else 0.
            A scalar for one model, [k] for many.
        """
        moved = set(parameters)
        named = {
            name: p.grad for name, p in self.parameters.items() if p in moved and p.grad is not None
        }
        sizes = dict(zip(named, self._sizes(list(named.values())), strict=True))
        seen = [losses[name].detach() if name in losses else self._nothing for name in self.phases]
        seen += [sizes.get(name, self._nothing) for name in self.parameters]
        flags = torch.stack([each.float() for each in seen]).isfinite().logical_not()
        bad = flags.any(0)
        first = bad & (self._count == 0)
        # In place, here and below: a recorded step finds them where they were.
        self._flags.copy_(torch.where(first, flags, self._flags))
        self._step.copy_(torch.where(first, count + 1, self._step))
        self._count.add_(bad)
        for name in losses:
            self._missed[name].add_(bad)
        for buffer, good in zip(self.statistics, self._good, strict=True):
            good.copy_(torch.where(_facing(bad, buffer), good, buffer))
            buffer.copy_(good)
        return bad.to(torch.float32)  # as the kernels of updates take it

    def update(self, optimizers: Iterable[Optimizer], bad: Tensor) -> None:
        """Step some optimisers, except where the update must be skipped.

        Args:
            optimizers: some.
            bad: what `__call__` returned.
        """
        for optimizer in optimizers:
            optimizer.step(bad)

    def look(self) -> dict[int, Fault]:
        """What was not finite since the last look, by model number; waits for the device."""
        counts = self._count.reshape(-1).tolist()
        if not any(counts):
            return {}
        faults = {number: self._fault(number) for number, count in enumerate(counts) if count}
        self._forget()
        return faults

    def _fault(self, number: int) -> Fault:
        names = [*self.phases, *self.parameters]
        flags = self._flags.reshape(len(names), -1)[:, number].tolist()
        flagged = [i for i, flag in enumerate(flags) if flag]
        missed = {name: int(c.reshape(-1)[number]) for name, c in self._missed.items()}
        return Fault(
            step=int(self._step.reshape(-1)[number]),
            losses=tuple(names[i] for i in flagged if i < len(self.phases)),
            gradients=tuple(names[i] for i in flagged if i >= len(self.phases)),
            missed={name: count for name, count in missed.items() if count},
        )

    def _forget(self) -> None:
        for tensor in (self._flags, self._step, self._count, *self._missed.values()):
            tensor.zero_()

    def _sizes(self, gradients: list[Tensor]) -> Iterable[Tensor]:
        """One number for each gradient, finite if the gradient is."""
        if not gradients or self._nothing.device.type == "cpu":
            return [gradient.sum() for gradient in gradients]  # a norm takes half as long again
        return torch._foreach_norm(gradients)


class WatchOfMany(Watch):
    """Watches many stacked models; one that is not finite does not hold up the others.

    Their optimiser cannot skip the update of one model: it is made, and that model is lost.
    """

    def update(self, optimizers: Iterable[Optimizer], bad: Tensor) -> None:
        """See `Watch.update`."""
        for optimizer in optimizers:
            optimizer.step()

    def _sizes(self, gradients: list[Tensor]) -> Iterable[Tensor]:
        own = [each for gradient in gradients for each in gradient.unbind()]
        sizes = list(super()._sizes(own))
        return torch.stack(sizes).view(len(gradients), -1) if own else []


class GuardOfMany(WatchOfMany):
    """Undoes the update of a model that is not finite, so that the model can go on.

    Everything is copied before each update. Adam counts such a step; for a single model it would
    not.
    """

    def update(self, optimizers: Iterable[Optimizer], bad: Tensor) -> None:
        """See `Watch.update`."""
        optimizers = list(optimizers)
        before = {place: tensor.clone() for place, tensor in _held(optimizers).items()}
        super().update(optimizers, bad)
        for place, now in _held(optimizers).items():
            # A moment that was not there yet is 0.
            then = before.get(place, torch.zeros((), device=now.device))
            now.copy_(torch.where(_facing(bad, now) > 0, then, now))


def _held(optimizers: Iterable[Optimizer]) -> dict[tuple[Tensor, str], Tensor]:
    """What an update of stacked models changes: parameters, and moments by name."""
    return {
        (parameter, name): tensor
        for optimizer in optimizers
        for parameter in optimizer.parameters
        for name, tensor in [
            ("", parameter.data), *optimizer.state.get(parameter, {}).items(),
        ]
        if isinstance(tensor, Tensor) and tensor.dim()
    }  # fmt: skip


def _facing(bad: Tensor, tensor: Tensor) -> Tensor:
    """A scalar ``bad`` as it is; [k] reshaped to broadcast with a tensor [k, …]."""
    return bad.view([*bad.shape, *[1] * (tensor.dim() - bad.dim())])


def without(losses: Mapping[str, Tensor], bad: Tensor) -> dict[str, Tensor]:
    """Losses that can be summed: those of a skipped update are 0."""
    return {name: torch.where(bad > 0, 0.0, loss.detach()) for name, loss in losses.items()}


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + rest
