"""Optimisers and the learning rate's schedule."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from aae.config import Config


def make_optimizer(
    config: Config, parameters: Iterable[nn.Parameter], *, adversarial: bool
) -> torch.optim.Optimizer:
    """The optimiser of a phase, or of one side of a joint step.

    Args:
        config: names the optimiser, and gives its rates.
        parameters: those that it changes.
        adversarial: whether it takes the adversarial phases' learning rate and momentum.
    """
    parameters = list(parameters)
    # A tensor, so that a recorded update reads the current rate.
    device = next(iter(parameters)).device
    lr = torch.tensor(learning_rate(config, 0, adversarial=adversarial), device=device)
    if config.optimizer == "sgd":
        momentum = config.adversarial_momentum if adversarial else config.momentum
        sgd = torch.optim.SGD(parameters, lr=lr, momentum=momentum, fused=True)
        if momentum:
            # If the first update made them, they would hold anything where it is skipped.
            for parameter in parameters:
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    betas = (config.beta1, config.beta2)
    return torch.optim.Adam(
        parameters, lr=lr, betas=betas, fused=True, capturable=device.type == "cuda"
    )


def refuse_unfit(optimizer: torch.optim.Optimizer, name: str) -> None:
    """Refuse a state whose tensors do not fit the parameters: fused updates do not check.

    Raises:
        ValueError: says what is wrong with it.
    """
    adam = {"step", "exp_avg", "exp_avg_sq"}
    known = adam if isinstance(optimizer, torch.optim.Adam) else {"momentum_buffer"}
    for parameter, values in optimizer.state.items():
        if not isinstance(parameter, nn.Parameter) or (values and values.keys() != known):
            raise ValueError(f"the state of the optimiser {name!r} is another kind's")
        for key, value in values.items():
            shape = () if key == "step" else parameter.shape
            if value.shape != shape or value.layout != torch.strided:
                raise ValueError(
                    f"the optimiser {name!r} has {list(value.shape)} for {key} of a parameter "
                    f"{list(parameter.shape)}"
                )


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
    steps = [step * config.epochs if step < 1 else step for step in config.lr_steps]
    passed = sum(epoch >= step for step in steps)
    warm = 1.0 if count is None or not config.warmup else min(1.0, (count + 1) / config.warmup)
    return float(base * config.lr_factor**passed * warm)
