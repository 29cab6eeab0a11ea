"""Many models in one batched computation do what each does alone."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aae.autoencoder import Batch
from aae.nn import POSTERIORS
from aae.training.stacked import (
    can_be_stacked,
    lone_step,
    stack,
    stack_states,
    stacked_step,
    state_of,
)
from aae.training.step import AlternatingStep, JointStep

K = 3
DUE, NOT_DUE = 9, 0
"""Steps made before one with, and one without, the classification phase."""
VARIANTS = ["basic", "labels", "supervised", "read", "semi", "vat", "cluster", "embed", "kl", "vae"]
HARD = {"noise_std": 0.3, "input_dropout": 0.1, "dropout": 0.2}


def generators():
    return [torch.Generator().manual_seed(seed) for seed in range(10, 10 + K)]


@pytest.fixture
def batches(part):
    """For each replica a batch of pictures, and one for phases on labelled pictures."""
    x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
    rows = torch.arange(2 * K * 16).view(2, K, 16) % len(x)
    return [[Batch(x[row], labels[row]) for row in kind] for kind in rows]


@pytest.fixture
def samples(tmp_path):
    """A file of samples of a prior, in a part for each class."""
    np.save(tmp_path / "prior.npy", np.random.default_rng(0).normal(size=(50, 2)))
    np.save(tmp_path / "prior.labels.npy", np.arange(50) % 10)
    return str(tmp_path / "prior.npy")


def beside(batches):
    return Batch(torch.stack([b.x for b in batches]), torch.stack([b.labels for b in batches]))


@pytest.fixture
def both(tiny, new_model):
    """Makes the steps of some models, and the stacked step of their equals."""

    def make(variant, **changes):
        prior = "gaussian" if variant == "embed" else "mixture"
        config = tiny(**{"model": variant, "prior": prior, "lr": 1e-3, **changes})
        models = [new_model(tiny(**vars(config) | {"seed": seed})).train() for seed in range(K)]
        steps = [lone_step(copy.deepcopy(model), config) for model in models]
        own = generators()
        whole = stack(models).train()
        return steps, models, stacked_step(whole, config, own), own

    return make


def take(steps, stacked, own, batches, count, others):
    """One step of each alone, and of all together; their losses."""
    everything, labelled = batches
    alone = [
        step(everything[i], lambda i=i: labelled[i], count, others[i])
        for i, step in enumerate(steps)
    ]
    whole = stacked(beside(everything), lambda: beside(labelled), count, own[0])
    return alone, whole


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("step", ["joint", "alternating"])
@pytest.mark.parametrize(
    ("variant", "posterior"),
    [
        *itertools.product(["basic", "labels", "supervised", "semi"], POSTERIORS),
        ("read", "gaussian"),
        ("vat", "gaussian"),
        ("denoised", "gaussian"),
        ("vae", "gaussian"),
    ],
)
def test_a_few_steps_are_those_of_each_alone(both, batches, idle, variant, posterior, step):
    if (variant, step) == ("vae", "alternating"):
        step = "joint-plain"  # it has nothing to alternate
    steps, models, stacked, own = both(variant, posterior=posterior, step=step, init="he", **HARD)
    others = generators()
    for count in (NOT_DUE, DUE, DUE + 1):
        alone, whole = take(steps, stacked, own, batches, count, others)
        for seat, losses in enumerate(alone):
            assert whole.keys() == losses.keys()
            for name, loss in losses.items():
                torch.testing.assert_close(whole[name][seat], loss, rtol=1e-10, atol=1e-12)
    for step, model in zip(steps, models, strict=True):
        mine = dict(model.named_parameters())
        for name, parameter in step.model.named_parameters():
            away = float((mine[name] - parameter).detach().norm() / parameter.detach().norm())
            assert parameter.dtype == torch.float64
            assert idle(model, name) or away < 1e-9, (name, away)
    for mine, other in zip(own, others, strict=True):
        assert torch.equal(mine.get_state(), other.get_state())


@pytest.mark.parametrize("variant", VARIANTS)
def test_in_bfloat16_it_is_as_near_as_its_digits(both, batches, variant):
    steps, _, stacked, own = both(variant, precision="bf16", init="he")
    alone, whole = take(steps, stacked, own, batches, DUE, generators())
    gradients = {name: p.grad for name, p in stacked.model.named_parameters()}
    for seat, losses in enumerate(alone):
        for name, loss in losses.items():
            torch.testing.assert_close(whole[name][seat], loss, rtol=0.02, atol=1e-3)
        for name, parameter in steps[seat].model.named_parameters():
            mine, other = gradients[name][seat].flatten(), parameter.grad.flatten()
            cosine = torch.cosine_similarity(mine, other, dim=0)
            assert cosine > 0.98, (name, float(cosine))


@pytest.mark.parametrize("model", ["basic", "semi"])
def test_statistics_of_batches_are_each_replica_s_own(both, batches, model):
    steps, models, stacked, own = both(model, batch_norm=True)
    alone, whole = take(steps, stacked, own, batches, DUE, generators())
    for seat, losses in enumerate(alone):
        for name, loss in losses.items():
            torch.testing.assert_close(whole[name][seat], loss, rtol=1e-4, atol=1e-6)
        mine = dict(models[seat].named_buffers())
        assert mine
        for name, buffer in steps[seat].model.named_buffers():
            torch.testing.assert_close(mine[name], buffer, rtol=1e-5, atol=1e-6)


def test_sgd_too(both, batches):
    steps, models, stacked, own = both("basic", optimizer="sgd", lr=1e-4)
    others = generators()
    for count in range(3):
        take(steps, stacked, own, batches, count, others)
    for step, model in zip(steps, models, strict=True):
        mine = dict(model.named_parameters())
        for name, parameter in step.model.named_parameters():
            torch.testing.assert_close(mine[name], parameter, rtol=1e-4, atol=1e-6)


def test_replicas_do_not_reach_each_other(both, batches):
    _, models, stacked, own = both("semi")
    before = copy.deepcopy(models)
    with torch.no_grad():
        next(models[1].parameters()).fill_(torch.nan)
    whole = stacked(beside(batches[0]), lambda: beside(batches[1]), DUE, own[0])
    assert all(loss[0].isfinite() and loss[2].isfinite() for loss in whole.values())
    assert whole["reconstruction"][1] == 0  # as of any step that is left out
    (fault,) = stacked.watch.look().items()
    assert fault[0] == 1
    assert "reconstruction" in fault[1].losses
    for seat in (0, 2):
        assert all(p.isfinite().all() for p in models[seat].parameters())
        pairs = zip(models[seat].parameters(), before[seat].parameters(), strict=True)
        assert any(not torch.equal(now, then) for now, then in pairs)


def test_a_stacked_model_s_parts_are_the_models_themselves(tiny, new_model):
    models = [new_model(tiny(seed=seed, batch_norm=True)) for seed in range(K)]
    before = copy.deepcopy(models)
    whole = stack(models)
    for model, then in zip(models, before, strict=True):
        state = then.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        for tensor in [*whole.parameters(), *whole.buffers()]:
            tensor[1].fill_(7)
    assert all((tensor == 7).all() for tensor in models[1].state_dict().values())
    assert not any((tensor == 7).any() for tensor in models[0].state_dict().values())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_states_go_in_and_out(both, batches, same_state, optimizer):
    steps, _, stacked, own = both("semi", optimizer=optimizer)
    take(steps, stacked, own, batches, DUE, generators())
    states = [step.state() for step in steps]
    stacked.load_state(stack_states(states))
    for seat, state in enumerate(states):
        mine = state_of(stacked.state(), seat)
        assert same_state(mine, state)
        held = mine["critic"]["state"][0]
        tensor = held["exp_avg" if optimizer == "adam" else "momentum_buffer"]
        assert tensor.untyped_storage().nbytes() == tensor.nbytes  # a view would bring all along


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("variant", ["labels", "vae"])
def test_samples_of_a_prior_are_drawn_by_each(both, batches, samples, variant):
    steps, _, stacked, own = both(variant, prior=samples, step="joint-plain")
    alone, whole = take(steps, stacked, own, batches, DUE, generators())
    for seat, losses in enumerate(alone):
        for name, loss in losses.items():
            torch.testing.assert_close(whole[name][seat], loss, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prior", ["named", "samples"])
def test_a_step_does_not_make_the_host_wait(both, batches, samples, variant, prior):
    class NoWaiting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert "_local_scalar_dense" not in func.name(), "a value is read by the host"
            assert "nonzero" not in func.name(), "a shape depends on values"
            return func(*args, **(kwargs or {}))

    changes = {"prior": samples} if prior == "samples" and variant != "embed" else {}
    _, _, stacked, own = both(variant, **HARD, **changes)
    with NoWaiting():
        stacked(beside(batches[0]), lambda: beside(batches[1]), DUE, own[0])


def test_the_same_kind_of_step_as_alone(tiny, new_model):
    config = tiny(model="semi")
    assert type(lone_step(new_model(config), config)) is JointStep
    for step in ("alternating", "alternating-plain"):
        config = tiny(model="semi", step=step)
        assert type(lone_step(new_model(config), config)) is AlternatingStep


def test_what_cannot_be_stacked(tiny, both, batches):
    assert can_be_stacked(tiny(model="vat"))
    assert can_be_stacked(tiny(model="semi", batch_norm=True))
    assert not can_be_stacked(tiny(model="vat", batch_norm=True))
    for smooth in ("vat_weight", "tangent_weight", "warp_weight"):
        assert not can_be_stacked(tiny(model="cluster", batch_norm=True, **{smooth: 1.0}))
    _, _, stacked, own = both("vat", batch_norm=True)
    with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
        stacked(beside(batches[0]), lambda: beside(batches[1]), DUE, own[0])
