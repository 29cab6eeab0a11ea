"""The fast steps do what the plain ones do."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from aae.autoencoder import BatchRows, Corruption, Pass
from aae.nn import POSTERIORS
from aae.training.fast import FastAlternatingStep, FastJointStep, SharedPass
from aae.training.step import AlternatingStep, JointStep
from aae.training.trainer import STEPS, make_step
from aae.training.twin import twin

VARIANTS = ["basic", "labels", "supervised", "read", "semi", "vat", "denoised", "cluster", "embed",
            "kl", "vae"]  # fmt: skip
PLAINEST = ["basic", "labels", "supervised", "semi"]
DUE, NOT_DUE = 9, 0
"""Steps made before one with, and one without, the classification phase."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


JOINT, ALTERNATING = (JointStep, FastJointStep), (AlternatingStep, FastAlternatingStep)
kinds = pytest.mark.parametrize("kinds", [JOINT, ALTERNATING], ids=["joint", "alternating"])


def both(tiny, new_model, variant, kinds=JOINT, **changes):
    """A plain and a fast step of equal models."""
    prior = "gaussian" if variant == "embed" else "mixture"
    config = tiny(model=variant, prior=prior, step="joint", **changes)
    model = new_model(config).train()
    plain, fast = kinds
    return plain(copy.deepcopy(model), config), fast(model, config)


def take(step, batches, count, seed=0):
    """Make a step; its losses and the gradients that it used."""
    losses = step(batches[0], lambda: batches[1], count, seeded(seed))
    grads = {name: p.grad for name, p in step.model.named_parameters()}
    return losses, {name: None if g is None else g.clone() for name, g in grads.items()}


@kinds
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("count", [DUE, NOT_DUE])
@pytest.mark.parametrize(
    ("variant", "posterior"),
    [
        *itertools.product(PLAINEST, POSTERIORS),
        *((variant, "gaussian") for variant in VARIANTS if variant not in PLAINEST),
    ],
)
def test_losses_and_gradients_are_the_plain_step_s(
    tiny, new_model, batches, idle, variant, posterior, count, kinds
):
    plain, fast = both(
        tiny, new_model, variant, kinds, posterior=posterior, noise_std=0.3, dropout=0.2,
        precision="float32",
    )  # fmt: skip
    assert {p.dtype for p in fast.model.parameters()} == {torch.float64}
    for seed in range(3):
        expected, expected_grads = take(plain, batches, count, seed)
        losses, grads = take(fast, batches, count, seed)
        assert losses.keys() == expected.keys()
        for name, loss in losses.items():
            torch.testing.assert_close(loss, expected[name], rtol=1e-10, atol=1e-12)
        for name, grad in grads.items():
            wanted = expected_grads[name]
            assert (grad is None) == (wanted is None), name
            if grad is not None and not idle(fast.model, name):
                assert grad.dtype == torch.float64
                away = (grad - wanted).norm() / wanted.norm().clamp(1e-12)
                assert away < 1e-9, (name, float(away))


@kinds
@pytest.mark.parametrize("variant", VARIANTS)
def test_in_bfloat16_it_is_as_near_as_its_digits(tiny, new_model, batches, idle, variant, kinds):
    plain, fast = both(tiny, new_model, variant, kinds, precision="bf16")
    expected, expected_grads = take(plain, batches, DUE)
    losses, grads = take(fast, batches, DUE)
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name], rtol=0.05, atol=1e-3)
    for name, grad in grads.items():
        cosine = torch.cosine_similarity(grad.flatten(), expected_grads[name].flatten(), dim=0)
        assert idle(fast.model, name) or cosine > 0.98, (name, float(cosine))


@pytest.mark.parametrize("logit", [-200.0, -30.0, 0.0, 30.0, 200.0])
@pytest.mark.parametrize("processes", [1, 4])
def test_the_generator_s_gradient_survives_a_discriminator_that_is_sure(
    tiny, new_model, batches, logit, processes
):
    config = tiny(model="basic", precision="float32", discriminator_weight=3.0)
    model = new_model(config)
    last = model.adversaries["z"].critic.logit
    with torch.no_grad():
        last.bias.fill_(logit)
    n = len(batches[0].labels)
    batch = replace(batches[0], rows=BatchRows(0, n, processes * n))

    def mean(values):  # this process's share of it
        return values.sum() / batch.rows.total

    plain = Pass(model, batch, seeded(), Corruption())
    codes = plain.code("z")
    loss = config.generator_weight * mean(torch.nn.functional.softplus(-plain.fake("z")))
    (expected,) = torch.autograd.grad(loss, codes)

    shared = SharedPass(model, batch, seeded(), Corruption(), config.weights)
    codes = shared.code("z")
    loss = config.discriminator_weight * mean(torch.nn.functional.softplus(shared.fake("z")))
    (grad,) = torch.autograd.grad(loss, codes)
    torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-12)
    assert logit > 100 or bool(grad.abs().sum() > 0)


def test_the_twin_is_the_same_model_but_for_the_type_of_large_layers(tiny, new_model):
    model = new_model(tiny(model="semi", batch_norm=True))
    low = twin(model, torch.bfloat16)
    own = dict(model.named_parameters())
    for name, parameter in low.named_parameters():
        hidden = "linears.1" in name or "pixels" in name or name.startswith("encoder.trunk.linears")
        assert (parameter.dtype == torch.bfloat16) == hidden, name
        assert hidden or parameter is own[name], name
    buffers = dict(model.named_buffers())
    assert all(buffer is buffers[name] for name, buffer in low.named_buffers())
    assert {p.dtype for p in low.decoder.parameters()} == {torch.float32, torch.bfloat16}
    same = twin(model, torch.float32)
    assert all(p is own[name] for name, p in same.named_parameters())


def test_a_step_reads_the_weights_as_they_are_now(tiny, new_model, batches):
    _, fast = both(tiny, new_model, "basic", precision="bf16")
    take(fast, batches, 0)
    with torch.no_grad():
        for parameter in fast.model.parameters():
            parameter.zero_()
    losses, _ = take(fast, batches, 1)
    assert float(losses["generator_z"]) == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("variant", ["basic", "semi"])
def test_the_alternation_s_twin_follows_each_phase(tiny, new_model, batches, variant):
    _, fast = both(tiny, new_model, variant, ALTERNATING, precision="bf16")
    other = {name: p.detach().clone() for name, p in fast.model.named_parameters()}
    state = copy.deepcopy(fast.state())
    low = dict(fast.twin.model.named_parameters())

    def follows():
        return all(
            torch.equal(low[n], p.to(low[n].dtype)) for n, p in fast.model.named_parameters()
        )

    for count in range(DUE, DUE + 3):
        take(fast, batches, count)
        assert follows()
    fast.model.load_state_dict(other, strict=False)  # as a training that goes on elsewhere
    fast.load_state(state)
    expected = take(both(tiny, new_model, variant, ALTERNATING, precision="bf16")[1], batches, DUE)
    losses, _ = take(fast, batches, DUE)
    assert losses == expected[0]
    assert follows()


def test_a_discriminator_that_does_not_learn_takes_the_plain_step(tiny, new_model):
    config = tiny(model="semi", y_discriminator_weight=0.0)
    assert type(make_step(new_model(config), config)) is JointStep
    config = tiny(model="semi")
    assert type(make_step(new_model(config), config)) is FastJointStep


@kinds
@pytest.mark.usefixtures("double")
def test_an_encoder_that_is_frozen_whole_changes_nothing_else(tiny, new_model, batches, kinds):
    steps = both(tiny, new_model, "basic", kinds)
    for step in steps:
        step.model.encoder.requires_grad_(False)
    (plain, expected), (fast, grads) = (take(step, batches, DUE) for step in steps)
    assert fast.keys() == plain.keys()
    assert {name for name, grad in grads.items() if grad is None} == {
        name for name in grads if name.startswith("encoder")
    }
    for name, grad in grads.items():
        assert grad is None or torch.allclose(grad, expected[name])


def test_every_step_by_its_name(tiny, new_model):
    for name, kind in STEPS.items():
        config = tiny(step=name)
        assert type(make_step(new_model(config), config)) is kind
