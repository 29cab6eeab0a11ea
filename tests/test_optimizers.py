"""Optimisers, and the learning rate's schedule."""

import pytest
import torch

from aae.training.optimizers import learning_rate, make_optimizer


@pytest.mark.parametrize(
    ("lr_steps", "epoch", "tenths"),
    [
        # The reference program's: 400 epochs, and 250 for its semi-supervised model.
        *[((100, 300), e, n) for e, n in [(0, 0), (99, 0), (100, 1), (299, 1), (300, 2), (399, 2)]],
        *[((150, 200), e, n) for e, n in [(0, 0), (149, 0), (150, 1), (199, 1), (200, 2)]],
        ((), 999, 0),
    ],
)
def test_the_schedule(tiny, lr_steps, epoch, tenths):
    config = tiny(lr=2e-4, lr_steps=lr_steps, lr_factor=0.1)
    assert learning_rate(config, epoch) == pytest.approx(2e-4 / 10**tenths, rel=1e-12)


@pytest.mark.parametrize(("count", "share"), [(0, 0.1), (4, 0.5), (9, 1), (10, 1), (None, 1)])
@pytest.mark.parametrize("adversarial", [False, True])
def test_the_learning_rate_warms_up(tiny, count, share, adversarial):
    config = tiny(lr=1.0, adversarial_lr=2.0, warmup=10, lr_steps=(1,), lr_factor=0.1)
    for epoch, factor in [(0, 1), (1, 0.1)]:
        found = learning_rate(config, epoch, count, adversarial=adversarial)
        assert found == pytest.approx((2 if adversarial else 1) * factor * share)
    assert learning_rate(tiny(lr=1.0, warmup=0), 0, 0) == 1


def test_the_adversarial_learning_rate(tiny):
    config = tiny(lr=0.01, adversarial_lr=0.1, lr_steps=(2,), lr_factor=0.5)
    rates = [(learning_rate(config, e), learning_rate(config, e, adversarial=True)) for e in (1, 2)]
    assert rates == [(0.01, 0.1), (0.005, 0.05)]
    assert learning_rate(tiny(lr=0.01), 0, adversarial=True) == 0.01


def test_adam(tiny):
    weight = torch.nn.Parameter(torch.ones(3))
    config = tiny(lr=0.01, adversarial_lr=0.1, beta1=0.3, beta2=0.8)
    for adversarial, lr in [(False, 0.01), (True, 0.1)]:
        optimizer = make_optimizer(config, [weight], adversarial=adversarial)
        assert isinstance(optimizer, torch.optim.Adam)
        group = optimizer.param_groups[0]
        assert (group["lr"].item(), group["betas"]) == (pytest.approx(lr), (0.3, 0.8))


@pytest.mark.parametrize(("adversarial", "momentum"), [(False, 0.9), (True, 0.1)])
def test_sgd_by_hand(tiny, adversarial, momentum):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer(
        tiny(optimizer="sgd", lr=0.5), iter([weight]), adversarial=adversarial
    )
    for _ in range(2):
        weight.grad = torch.ones(1)
        optimizer.step()
    assert weight.item() == pytest.approx(-0.5 - 0.5 * (1 + momentum))


def test_the_schedule_in_shares_of_the_epochs(tiny):
    config = tiny(lr=1.0, epochs=20, lr_steps=(0.7, 19), lr_factor=0.5)
    assert [learning_rate(config, epoch) for epoch in (13, 14, 18, 19)] == [1.0, 0.5, 0.5, 0.25]
