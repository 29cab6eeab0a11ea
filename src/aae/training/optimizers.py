"""Optimisers, and the learning rate's schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aae.config import Config

Moments = dict[str, Tensor]
"""What an optimiser keeps of a parameter, by name."""


class Optimizer(ABC):
    """Updates parameters by one of torch's fused kernels, all of one number format in one call.

    `torch.optim` calls the same kernels, but its first step imports torch's compiler, which takes a
    second, and each step sorts the parameters again.

    Args:
        parameters: those that it changes, on one device.
        lr: the learning rate.
    """

    lr: Tensor
    """The learning rate, on the device, so that a recorded update reads the current one."""
    state: dict[Tensor, Moments]
    """What it keeps of each parameter that has had a gradient."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float):
        self.parameters = list(parameters)
        self.dtypes = list(dict.fromkeys(parameter.dtype for parameter in self.parameters))
        self.lr = torch.tensor(lr, dtype=torch.float32, device=self.parameters[0].device)
        self.state = {}

    @torch.no_grad()
    def step(self, bad: Tensor | None = None) -> None:
        """Update the parameters that have a gradient.

        Args:
            bad: on the device; the update is skipped where it is 1.
        """
        for dtype in self.dtypes:  # a network of one's own may have several
            moved: list[Tensor] = []
            gradients = []
            for parameter in self.parameters:
                if parameter.grad is not None and parameter.dtype == dtype:
                    moved.append(parameter)
                    gradients.append(parameter.grad)
                    if parameter not in self.state:
                        self.state[parameter] = self._begin(parameter)
            if moved:
                self._update(moved, gradients, [self.state[p] for p in moved], bad)

    def numbered(self) -> dict[int, Moments]:
        """Its state, by the parameter's number."""
        return {n: self.state[p] for n, p in enumerate(self.parameters) if p in self.state}

    def load(self, state: Mapping[Any, Any], name: str) -> None:
        """Continue from a copy of what `numbered` gave, perhaps on another device.

        Args:
            state: what it gave.
            name: what to call this optimiser in messages.

        Raises:
            ValueError: it is the state of another optimiser, or of other parameters.
        """
        loaded = {}
        for number, values in state.items():
            if number not in range(len(self.parameters)):
                raise ValueError(f"the optimiser {name!r} has no parameter {number!r}")
            parameter = self.parameters[number]
            moments = loaded[parameter] = self._begin(parameter)
            which = f"parameter {number} of the optimiser {name!r}"
            if values.keys() != moments.keys():
                raise ValueError(f"{which} has {[*values]}, not {[*moments]}")
            for key, moment in moments.items():
                shape = list(values[key].shape)
                if shape != list(moment.shape):  # copying would broadcast
                    raise ValueError(f"{which} has {shape} for {key}, not {list(moment.shape)}")
                moment.copy_(values[key])
        self.state = loaded

    @abstractmethod
    def _begin(self, parameter: Tensor) -> Moments:
        """What is kept of a parameter before its first update.

        Moments are 0, not empty: a first update that is skipped leaves them as they are.
        """

    @abstractmethod
    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        moments: list[Moments],
        bad: Tensor | None,
    ) -> None:
        """Update parameters and their moments."""


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1).

    Args:
        parameters: see `Optimizer`.
        lr: see `Optimizer`.
        betas: decay of the mean of gradients, and of the mean of their squares.
    """

    EPSILON = 1e-8

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]):
        super().__init__(parameters, lr)
        self.betas = betas

    def _begin(self, parameter: Tensor) -> Moments:
        return {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }

    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        moments: list[Moments],
        bad: Tensor | None,
    ) -> None:
        steps, means, squares = ([each[name] for each in moments] for name in moments[0])
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters, gradients, means, squares, [], steps, lr=self.lr, beta1=self.betas[0],
            beta2=self.betas[1], eps=self.EPSILON, weight_decay=0.0, amsgrad=False, maximize=False,
            found_inf=bad,
        )  # fmt: skip
        if bad is not None:
            torch._foreach_sub_(steps, [bad] * len(steps))


class SGD(Optimizer):
    """Gradient descent with momentum: a moving sum of gradients, times the learning rate.

    Args:
        parameters: see `Optimizer`.
        lr: see `Optimizer`.
        momentum: the sum's decay.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float):
        super().__init__(parameters, lr)
        self.momentum = momentum

    def _begin(self, parameter: Tensor) -> Moments:
        return {"momentum_buffer": torch.zeros_like(parameter)} if self.momentum else {}

    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        moments: list[Moments],
        bad: Tensor | None,
    ) -> None:
        sums = [each["momentum_buffer"] for each in moments] if self.momentum else []
        torch._fused_sgd_(
            parameters, gradients, sums, lr=self.lr, momentum=self.momentum, dampening=0.0,
            weight_decay=0.0, nesterov=False, maximize=False, is_first_step=False, found_inf=bad,
        )  # fmt: skip


def make_optimizer(
    config: Config, parameters: Iterable[nn.Parameter], *, adversarial: bool
) -> Optimizer:
    """The optimiser of a phase, or of one side of a joint step.

    Args:
        config: names the optimiser, and gives its rates.
        parameters: those that it changes.
        adversarial: whether it takes the adversarial phases' learning rate and momentum.
    """
    lr = learning_rate(config, 0, adversarial=adversarial)
    if config.optimizer == "sgd":
        momentum = config.adversarial_momentum if adversarial else config.momentum
        return SGD(parameters, lr, momentum)
    return Adam(parameters, lr, (config.beta1, config.beta2))


def learning_rate(
    config: Config, epoch: int, count: int | None = None, *, adversarial: bool = False
) -> float:
    """The learning rate of a step.

    Args:
        config: the rates and their schedule.
        epoch: epochs finished before it.
        count: steps made before it; None where the warm-up is over.
        adversarial: whether it is an adversarial phase's.
    """
    base = config.lr
    if adversarial and config.adversarial_lr is not None:
        base = config.adversarial_lr
    # Rounded, for 0.55 · 100 is more than 55.
    steps = [round(step * config.epochs, 9) if step < 1 else step for step in config.lr_steps]
    passed = sum(epoch >= step for step in steps)
    warm = 1.0 if count is None or not config.warmup else min(1.0, (count + 1) / config.warmup)
    return float(base * config.lr_factor**passed * warm)
