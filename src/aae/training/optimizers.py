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
        config: which one, with its rates.
        parameters: what it changes.
        adversarial: whether it takes the adversarial phases' learning rate and momentum.
    """
    parameters = list(parameters)
    lr = learning_rate(config, 0, adversarial=adversarial)
    if config.optimizer == "sgd":
        momentum = config.adversarial_momentum if adversarial else config.momentum
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, fused=True)
    return torch.optim.Adam(parameters, lr=lr, betas=(config.beta1, 0.999), fused=True)


def learning_rate(config: Config, epoch: int, *, adversarial: bool = False) -> float:
    """The learning rate in an epoch (counted from 0)."""
    base = config.lr
    if adversarial and config.adversarial_lr is not None:
        base = config.adversarial_lr
    passed = sum(epoch >= step for step in config.lr_steps)
    return float(base * config.lr_factor**passed)
