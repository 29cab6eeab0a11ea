"""Whether what a step makes is finite: noted on the device, so that nobody waits for the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Fault:
    """What was not finite since somebody last looked."""

    step: int
    """The first step that it happened in; the first of all is 1."""
    losses: tuple[str, ...]
    """The phases whose losses were not finite in it."""
    gradients: tuple[str, ...]
    """The parameters whose gradients were not."""
    missed: dict[str, int]
    """How many of each phase's losses made no update."""

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
        return f"step {self.step}: {', '.join(words)}"


class Watch:
    """Keeps what is not finite away from a model.

    torch's fused optimisers leave an update out where a tensor on the device says so (it is how
    gradients are scaled for float16), so no step waits for the device. Batch statistics, which a
    pass changes before anybody knows, are put back.

    Args:
        model: the model; its parameters and statistics are watched.
        phases: the names of its phases.
    """

    _flags: Tensor
    """Of phases and parameters, in the first step that was not finite since the last look."""
    _step: Tensor
    """Which step that was."""
    _count: Tensor
    """How often since then."""
    _missed: dict[str, Tensor]
    """How often for each phase."""

    def __init__(self, model: nn.Module, phases: Iterable[str]):
        self.phases = tuple(phases)
        self.parameters = dict(model.named_parameters())
        self.statistics = list(model.buffers())
        device = next(iter(self.parameters.values())).device
        self._nothing = torch.zeros((), device=device)
        self._forget()
        self.remember()

    def remember(self) -> None:
        """Take the statistics as they are now for good ones."""
        self._good = [buffer.clone() for buffer in self.statistics]

    def __call__(
        self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], count: int
    ) -> Tensor:
        """Look at a step's losses and gradients before its update.

        Args:
            losses: of some phases, by their names.
            parameters: what the update is to change.
            count: steps made before this one.

        Returns:
            On the device: 1 where something is not finite, and the update must be left out; else 0.
        """
        moved = set(parameters)
        named = {
            name: p.grad for name, p in self.parameters.items() if p in moved and p.grad is not None
        }
        sizes = dict(zip(named, torch._foreach_norm(list(named.values())), strict=True))
        seen = [losses.get(name, self._nothing) for name in self.phases]
        seen += [sizes.get(name, self._nothing) for name in self.parameters]
        flags = torch.stack([each.detach().float() for each in seen]).isfinite().logical_not()
        bad = flags.any()
        first = bad & (self._count == 0)
        self._flags = torch.where(first, flags, self._flags)
        self._step = torch.where(first, count + 1, self._step)
        self._count = self._count + bad
        for name in losses:
            self._missed[name] = self._missed.get(name, self._nothing) + bad
        for buffer, good in zip(self.statistics, self._good, strict=True):
            good.copy_(torch.where(bad, good, buffer))
            buffer.copy_(good)
        return bad.float()

    def look(self) -> Fault | None:
        """What was not finite since the last look; this waits for the device."""
        if not int(self._count):
            return None
        names = [*self.phases, *self.parameters]
        flagged = [i for i, flag in enumerate(self._flags.tolist()) if flag]
        fault = Fault(
            step=int(self._step),
            losses=tuple(names[i] for i in flagged if i < len(self.phases)),
            gradients=tuple(names[i] for i in flagged if i >= len(self.phases)),
            missed={name: int(count) for name, count in self._missed.items() if int(count)},
        )
        self._forget()
        return fault

    def _forget(self) -> None:
        names = len(self.phases) + len(self.parameters)
        self._flags = torch.zeros(names, dtype=torch.bool, device=self._nothing.device)
        self._step = self._nothing.long()
        self._count = self._nothing.long()
        self._missed = {}


class Unwatched(Watch):
    """Lets all pass: of many models in one, one that diverges must not hold up the others."""

    def __init__(self) -> None:
        pass

    def remember(self) -> None:
        """See `Watch.remember`."""

    def __call__(
        self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], count: int
    ) -> Tensor:
        """See `Watch.__call__`."""
        return torch.zeros((), device=parameters[0].device)

    def look(self) -> Fault | None:
        """See `Watch.look`."""
        return None


def without(losses: Mapping[str, Tensor], bad: Tensor) -> dict[str, Tensor]:
    """Losses that can be summed: those of an update that was left out are 0."""
    return {name: torch.where(bad > 0, 0.0, loss.detach()) for name, loss in losses.items()}


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + rest
