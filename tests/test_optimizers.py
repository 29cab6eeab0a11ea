"""Optimisers, and the learning rate's schedule."""

import subprocess
import sys

import pytest
import torch

from aae.training.optimizers import SGD, Adam, learning_rate, make_optimizer


def weights():
    """Three layers' weights, in several layouts and number formats, and one without gradients."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(40, 30), (8, 3, 2, 2), (6,), (5,)]
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    drawn[1] = drawn[1].contiguous(memory_format=torch.channels_last)
    drawn[2] = drawn[2].double()
    return [torch.nn.Parameter(each) for each in drawn]


PAIRS = {
    "adam": (
        lambda ps: Adam(ps, 0.01, (0.5, 0.9)),
        lambda ps: torch.optim.Adam(ps, lr=torch.tensor(0.01), betas=(0.5, 0.9), fused=True),
    ),
    "sgd": (
        lambda ps: SGD(ps, 0.01, 0.0),
        lambda ps: torch.optim.SGD(ps, lr=torch.tensor(0.01), fused=True),
    ),
    "momentum": (
        lambda ps: SGD(ps, 0.01, 0.9),
        lambda ps: torch.optim.SGD(ps, lr=torch.tensor(0.01), momentum=0.9, fused=True),
    ),
}
"""Our optimisers and torch's."""


def differentiated(parameters, step):
    for number, parameter in enumerate(parameters[:3]):  # the last has no gradient
        generator = torch.Generator().manual_seed(10 * step + number)
        parameter.grad = torch.empty_like(parameter).normal_(generator=generator)


@pytest.mark.parametrize("name", PAIRS)
def test_torchs_optimisers_do_the_same(name, same_state):
    ours, theirs = weights(), weights()
    own, other = PAIRS[name][0](ours), PAIRS[name][1](theirs)
    for step in range(4):
        bad = torch.tensor(float(step == 2))
        differentiated(ours, step)
        differentiated(theirs, step)
        before = [p.detach().clone() for p in ours]
        own.step(bad)
        other.found_inf = bad
        other.step()
        own.lr.mul_(0.5)
        other.param_groups[0]["lr"].mul_(0.5)
        assert all(map(torch.equal, ours, theirs))
        assert all(map(torch.equal, ours, before)) == (step == 2)
        if name != "sgd":
            assert same_state(own.numbered(), other.state_dict()["state"])
    assert torch.equal(ours[3], weights()[3])


@pytest.mark.parametrize(
    ("name", "kernel"), [("adam", "_fused_adam_"), ("momentum", "_fused_sgd_")]
)
def test_a_call_has_one_number_format_as_gpus_need_it(name, kernel, monkeypatch):
    formats, real = [], getattr(torch, kernel)

    def note(parameters, gradients, *lists, **how):
        formats.append({each.dtype for each in [*parameters, *gradients]})
        return real(parameters, gradients, *lists, **how)

    monkeypatch.setattr(torch, kernel, note)
    parameters = weights()
    differentiated(parameters, 0)
    PAIRS[name][0](parameters).step()
    assert formats == [{torch.float32}, {torch.float64}]


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimiser_goes_on_from_its_state(name, same_state):
    whole, parts = weights(), weights()
    one, first = PAIRS[name][0](whole), PAIRS[name][0](parts)
    for step in range(2):
        for optimizer in (one, first):
            differentiated(optimizer.parameters, step)
            optimizer.step()
    second = PAIRS[name][0](parts)
    second.load(first.numbered(), "critic")
    for optimizer in (one, second):
        differentiated(optimizer.parameters, 2)
        optimizer.step()
    assert all(map(torch.equal, whole, parts))
    assert same_state(second.numbered(), one.numbered())
    if name != "sgd":  # whose own step left its state alone: `load` made a copy
        assert not same_state(first.numbered(), second.numbered())


def test_a_state_that_does_not_fit_is_refused_and_none_of_it_taken():
    optimizer = Adam(weights(), 0.01, (0.5, 0.9))
    differentiated(optimizer.parameters, 0)
    optimizer.step()
    state = optimizer.numbered()
    kept, which = dict(optimizer.state), "parameter 0 of the optimiser 'critic' has "
    for change, words in [
        ({7: state[0]}, "the optimiser 'critic' has no parameter 7"),
        ({0: {"momentum_buffer": torch.zeros(40, 30)}}, which + r"\['momentum_buffer'\]"),
        ({0: state[1]}, which + r"\[8, 3, 2, 2\] for exp_avg, not \[40, 30\]"),
        ({0: {**state[0], "exp_avg": torch.ones(())}}, which + r"\[\] for exp_avg, not \[40, 30\]"),
    ]:
        with pytest.raises(ValueError, match=words):
            optimizer.load(state | change, "critic")
        assert optimizer.state == kept


def test_a_training_does_not_wait_for_torchs_compiler(tmp_path):
    program = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from aae.fit import fit\n"
        "from aae.recipes import recipe\n"
        "fit(replace(recipe('gaussian'), data='digits', epochs=1, hidden=8), sys.argv[1])\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "run"], capture_output=True)
    assert done.returncode == 0, done.stderr


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
        assert isinstance(optimizer, Adam)
        assert (optimizer.lr.item(), optimizer.betas) == (pytest.approx(lr), (0.3, 0.8))


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
    config = tiny(lr=1.0, epochs=100, lr_steps=(0.55,), lr_factor=0.5)  # 0.55 · 100 > 55
    assert [learning_rate(config, epoch) for epoch in (54, 55)] == [1.0, 0.5]
