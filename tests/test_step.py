"""Steps: each phase changes only its own, and the two ways of stepping agree where they must."""

import copy
import itertools

import pytest
import torch

from aae.build import VARIANTS
from aae.nn import POSTERIORS
from aae.training import step as module
from aae.training.step import AlternatingStep, JointStep

ADVERSARIAL = [
    "basic",
    "labels",
    "supervised",
    "read",
    "semi",
    "cluster",
    "embed",
    "vat",
    "denoised",
]
DUE, NOT_DUE = 9, 0
"""Steps made before one with, and one without, the classification phase."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def make(tiny, new_model):
    """A step of a new model."""

    def make(kind, variant, **changes):
        prior = "gaussian" if variant == "embed" else "mixture"
        config = tiny(model=variant, prior=prior, step="joint", **changes)
        return kind(new_model(config).train(), config)

    return make


def take(step, batches, count=DUE, seed=0):
    """Make a step; which parameters it changed, and the losses."""
    before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
    losses = step(batches[0], lambda: batches[1], count, seeded(seed))
    after = step.model.named_parameters()
    return {name for name, p in after if not torch.equal(p, before[name])}, losses


def names(model, parameters):
    own = set(parameters)
    return {name for name, p in model.named_parameters() if p in own}


def starting_with(model, *starts):
    return {name for name, _ in model.named_parameters() if name.startswith(starts)}


# --- isolation


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("variant", "posterior"),
    [
        *itertools.product(ADVERSARIAL[:-2], POSTERIORS),
        ("vat", "deterministic"),
        ("vat", "gaussian"),
        ("denoised", "gaussian"),
        ("vae", "gaussian"),
    ],
)
def test_a_phase_changes_its_own_parameters_and_no_other(
    make, batches, variant, posterior, optimizer
):
    # Large enough a rate for weights of 1, as batch normalisation has them, to move by.
    step = make(AlternatingStep, variant, posterior=posterior, optimizer=optimizer, lr=0.01)
    for phase in step.model.phases():
        step.phases = (phase,)
        changed, losses = take(step, batches)
        assert losses.keys() == {phase.name}
        assert changed == names(step.model, phase.parameters), phase.name


@pytest.mark.parametrize("variant", ADVERSARIAL)
def test_a_joint_step_without_weight_on_the_critics_leaves_them(make, batches, variant):
    step = make(JointStep, variant, discriminator_weight=0.0, y_discriminator_weight=0.0)
    changed, _ = take(step, batches)
    assert changed == starting_with(step.model, "encoder", "decoder", "reader", "helpers")


@pytest.mark.parametrize("variant", ADVERSARIAL)
def test_a_joint_step_with_weight_on_the_critics_alone_leaves_the_rest(make, batches, variant):
    step = make(
        JointStep, variant, reconstruction_weight=0.0, generator_weight=0.0, heads_weight=0.0,
        y_generator_weight=0.0, classification_weight=0.0,
    )  # fmt: skip
    terms = ("vat", "tangent", "warp", "balance", "denoising", "reading")
    step.phases = tuple(phase for phase in step.phases if phase.name not in terms)
    changed, _ = take(step, batches)
    assert changed == starting_with(step.model, "adversaries", "reader")


def test_a_joint_step_changes_everything(make, batches):
    for variant in [*VARIANTS, "vat", "read", "denoised"]:
        step = make(JointStep, variant)
        changed, losses = take(step, batches)
        assert changed == starting_with(step.model, ""), variant
        assert losses.keys() == {phase.name for phase in step.phases}


# --- the two agree


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("count", [DUE, NOT_DUE])
@pytest.mark.parametrize("variant", ADVERSARIAL)
def test_the_joint_gradient_is_the_sum_of_the_phases(make, batches, variant, count):
    # Nothing random but the prior's samples, which both draw in the same order.
    weights = {
        "reconstruction_weight": 0.3, "generator_weight": 5.0, "discriminator_weight": 7.0,
        "y_generator_weight": 2.0, "y_discriminator_weight": 3.0, "classification_weight": 11.0,
    }  # fmt: skip
    if variant == "vat":
        weights |= {"vat_weight": 13.0, "tangent_weight": 17.0, "warp_weight": 19.0}
    joint = make(JointStep, variant, posterior="deterministic", **weights)
    start = copy.deepcopy(joint.model)
    joint_losses = joint(batches[0], lambda: batches[1], count, seeded())
    expected, losses, generator = {}, {}, seeded()
    for i in range(len(start.phases())):
        step = AlternatingStep(copy.deepcopy(start), joint.config)
        step.phases = step.phases[i : i + 1]
        losses |= step(batches[0], lambda: batches[1], count, generator)
        for name, grad in gradients(step.model).items():
            expected[name] = expected.get(name, 0) + grad
    found = gradients(joint.model)
    assert found.keys() == expected.keys() == starting_with(start, "")
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, atol=1e-6, rtol=1e-5, msg=name)
    assert losses.keys() == joint_losses.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(joint_losses[name], loss)


def test_the_alternation_sees_the_updates_of_earlier_phases(make, batches):
    step = make(AlternatingStep, "basic", posterior="deterministic", lr=0.01)
    joint = make(JointStep, "basic", posterior="deterministic", lr=0.01)
    alternating = take(step, batches)[1]
    together = take(joint, batches)[1]
    assert torch.equal(alternating["reconstruction"], together["reconstruction"])
    assert not torch.equal(alternating["discriminator_z"], together["discriminator_z"])
    assert not torch.equal(alternating["generator_z"], together["generator_z"])


@pytest.mark.parametrize("kind", [JointStep, AlternatingStep])
def test_one_step_of_sgd_by_hand(make, batches, kind):
    step = make(kind, "basic", posterior="deterministic", optimizer="sgd", lr=0.01)
    step.phases = step.phases[:1]
    if kind is JointStep:
        step.optimizers = {"autoencoder": step.optimizers["autoencoder"]}
    model, twin = step.model, copy.deepcopy(step.model)
    x = batches[0].x
    (0.5 * (twin.decode(twin.encode(x).z) - x).square().sum() / len(x)).backward()
    take(step, batches)
    for (name, after), before in zip(model.named_parameters(), twin.parameters(), strict=True):
        if name.startswith(("encoder", "decoder")):
            torch.testing.assert_close(after, before - 0.01 * before.grad)


# --- rates, momenta, phases that are due


@pytest.mark.parametrize(
    ("kind", "adversarial"),
    [
        (JointStep, {"autoencoder": False, "critic": True}),
        (
            AlternatingStep,
            {
                "reconstruction": False, "discriminator_z": True, "generator_z": True,
                "discriminator_y": True, "generator_y": True, "classification": True,
            },
        ),
    ],
)  # fmt: skip
def test_learning_rates_and_momenta_of_each_optimiser(make, kind, adversarial):
    step = make(
        kind, "semi", optimizer="sgd", lr=0.01, adversarial_lr=0.1, lr_steps=(100, 300), warmup=4,
    )  # fmt: skip
    assert step.optimizers.keys() == adversarial.keys()
    for name, optimizer in step.optimizers.items():
        assert optimizer.momentum == (0.1 if adversarial[name] else 0.9)
        for epoch, factor in [(0, 1), (99, 1), (100, 0.1), (299, 0.1), (300, 0.01), (5, 1)]:
            for count, share in [(0, 0.25), (3, 1), (4, 1)]:
                step.prepare(epoch, count)
                base = 0.1 if adversarial[name] else 0.01
                assert optimizer.lr.item() == pytest.approx(base * factor * share)


def test_a_joint_step_of_a_vae_has_one_optimiser(make):
    assert make(JointStep, "vae").optimizers.keys() == {"autoencoder"}


@pytest.mark.parametrize("kind", [JointStep, AlternatingStep])
def test_classification_runs_every_few_steps(make, batches, kind):
    step = make(kind, "semi", classification_every=3)
    calls = []

    def labelled():
        calls.append(len(ran))
        return batches[1]

    ran = []
    for count in range(7):
        losses = step(batches[0], labelled, count, seeded())
        ran.append("classification" in losses)
    assert ran == [False, False, True, False, False, True, False]
    assert calls == [2, 5]


def test_classification_sees_the_labelled_pictures(make, batches):
    step = make(AlternatingStep, "semi", posterior="deterministic", init="he")
    step.phases = tuple(phase for phase in step.phases if phase.labelled)
    codes = step.model.encode(batches[1].x)
    expected = torch.nn.functional.cross_entropy(codes.y_logits, batches[1].labels)
    torch.testing.assert_close(take(step, batches)[1]["classification"], expected)


# --- corruption


@pytest.fixture
def corruptions(monkeypatch):
    """The corruption of every pass, in order."""
    seen = []

    class Spy(module.Pass):
        def __init__(self, model, batch, generator, corruption):
            super().__init__(model, batch, generator, corruption)
            seen.append((corruption.noise_std, corruption.input_dropout, corruption.dropout))

    monkeypatch.setattr(module, "Pass", Spy)
    return seen


def test_the_alternation_drops_units_in_its_reconstruction_phase_only(make, batches, corruptions):
    take(make(AlternatingStep, "semi", noise_std=0.3, input_dropout=0.1, dropout=0.2), batches)
    assert corruptions == [(0.3, 0.1, 0.2), *[(0.3, 0.1, 0.0)] * 5]


def test_a_joint_step_corrupts_its_one_pass(make, batches, corruptions):
    take(make(JointStep, "semi", noise_std=0.3, input_dropout=0.1, dropout=0.2), batches)
    assert corruptions == [(0.3, 0.1, 0.2)] * 2  # one for all phases, one for labelled pictures


@pytest.mark.parametrize("kind", [JointStep, AlternatingStep])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_generator_decides_a_step(make, batches, same_state, kind, posterior):
    state = torch.get_rng_state()
    steps = [
        make(kind, "semi", posterior=posterior, noise_std=0.3, input_dropout=0.1, dropout=0.2)
        for _ in range(3)
    ]
    losses = [
        take(step, batches, seed=seed)[1] for step, seed in zip(steps, (1, 1, 2), strict=True)
    ]
    assert same_state(losses[0], losses[1])
    assert same_state(steps[0].model, steps[1].model)
    assert not same_state(losses[0], losses[2])
    assert torch.equal(state, torch.get_rng_state())


# --- losses and number formats


@pytest.mark.parametrize("kind", [JointStep, AlternatingStep])
def test_losses_are_told_without_weights_or_graph(make, batches, kind):
    heavy, light = make(kind, "basic", reconstruction_weight=100.0), make(kind, "basic")
    losses = take(heavy, batches)[1]
    assert torch.equal(losses["reconstruction"], take(light, batches)[1]["reconstruction"])
    assert not any(loss.requires_grad for loss in losses.values())


@pytest.mark.parametrize("kind", [JointStep, AlternatingStep])
@pytest.mark.parametrize("variant", ADVERSARIAL)
def test_bfloat16_is_for_matrix_products_alone(make, batches, kind, variant):
    # Heads that start near zero would hide the difference.
    rough = make(kind, variant, precision="bf16", init="he", optimizer="sgd")
    exact = make(kind, variant, precision="float32", init="he", optimizer="sgd")
    (changed, losses), (_, expected) = take(rough, batches), take(exact, batches)
    assert changed == starting_with(rough.model, "")
    assert {p.dtype for p in rough.model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in rough.model.parameters()} == {torch.float32}
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected[name], atol=0.1, rtol=0.1)
    assert any(not torch.equal(loss, expected[name]) for name, loss in losses.items())


def test_batch_statistics_move_in_training(make, batches):
    for kind in (JointStep, AlternatingStep):
        step = make(kind, "basic", batch_norm=True)
        before = step.model.encoder.trunk.norms[0].running_mean.clone()
        take(step, batches)
        assert not torch.equal(step.model.encoder.trunk.norms[0].running_mean, before)
