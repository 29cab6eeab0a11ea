"""Convolutional networks: any size and number of channels, alone as in a batch, in every step."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from aae import conv, inference
from aae.autoencoder import Batch
from aae.bench.machine import Work
from aae.build import build, choose_network
from aae.nn import POSTERIORS
from aae.training.fast import FastJointStep
from aae.training.stacked import lone_step, stack, stacked_step
from aae.training.step import JointStep
from aae.training.trainer import STEPS
from aae.training.twin import twin

SHAPES = [(1, 8, 8), (3, 32, 32), (2, 9, 31), (4, 13, 100), (3, 65, 8)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def small(tiny):
    """Makes configs of small convolutional networks."""
    return lambda **changes: tiny(**{"network": "conv", "width": 8, "hidden": 16, **changes})


def pictures(shape, n=5, seed=1):
    return torch.rand((n, *shape), generator=seeded(seed)) * 2 - 1


@pytest.fixture
def batch():
    return Batch(pictures((3, 12, 9), 8), torch.arange(8) % 4)


# --- shapes


@pytest.mark.parametrize("shape", [*SHAPES, (3, 256, 256)], ids=str)
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_any_shape(small, shape, posterior):
    model, x = build(small(posterior=posterior), shape, 3, seeded()), pictures(shape, 2)
    codes = model.encode(x, seeded())
    assert codes.z.shape == (2, 2)
    assert model.decode(codes.z).shape == x.shape
    assert model.decode(codes.z).abs().max() <= 1


@pytest.mark.parametrize(
    ("size", "levels"),
    [((8, 8), [(4, 4)]), ((9, 31), [(5, 16), (3, 8), (2, 4)]),
     ((256, 256), [(128, 128), (64, 64), (32, 32), (16, 16), (8, 8), (4, 4)])],
)  # fmt: skip
def test_sides_are_halved_and_channels_doubled(size, levels):
    front, count = conv.features((3, *size), 8)
    convolutions = [m for m in front if isinstance(m, conv.Convolution)]
    seen, x = [], torch.zeros(1, 3, *size)
    for module in front:
        x = module(x)
        if isinstance(module, conv.Convolution):
            seen.append(tuple(x.shape[2:]))
            assert module.places == x[0, 0].numel()
    assert seen == levels
    assert [c.out_channels for c in convolutions] == [8, 16, 32, 64, 64, 64][: len(levels)]
    assert x.shape == (1, count)


@pytest.mark.parametrize(
    ("shape", "network"),
    [((1, 28, 28), "mlp"), ((1, 32, 32), "mlp"), ((1, 33, 32), "conv"), ((3, 8, 8), "conv"),
     ((3, 7, 90), "mlp"), ((13,), "mlp")],
)  # fmt: skip
def test_which_networks_auto_takes(shape, network):
    assert choose_network("auto", shape) == network
    assert choose_network("mlp", shape) == "mlp"


@pytest.mark.parametrize(("shape", "words"), [((3, 7, 90), "not 7×90"), ((13,), "not 13")])
def test_what_cannot_be_convolved_is_refused(small, shape, words):
    with pytest.raises(ValueError, match=f"needs pictures of 8×8 or more, {words}: take"):
        build(small(), shape, 3, seeded())


def test_widths_that_cannot_be(small):
    with pytest.raises(ValueError, match=r"--width must be a multiple of 8.* it is 12"):
        small(width=12)


# --- what the networks do

SGD = {"optimizer": "sgd", "lr": 1e-3}  # Adam makes much of a gradient that is 0 but for rounding


def test_a_picture_alone_is_as_in_a_batch_and_in_training_as_in_use(small):
    model, x = build(small(), (3, 12, 9), 3, seeded()), pictures((3, 12, 9))
    whole = model.train().reconstruct(x, torch.zeros(5))
    torch.testing.assert_close(model.eval().reconstruct(x[2:3], torch.zeros(1)), whole[2:3])


def test_the_whole_picture_counts_and_every_pixel_can_differ(small):
    model, x = build(small(init="he"), (2, 9, 31), 3, seeded()), pictures((2, 9, 31), 1)
    z = model.encode(x.requires_grad_()).z.sum()
    (grad,) = torch.autograd.grad(z, x)
    assert (grad != 0).float().mean() > 0.99
    decoded = model.decode(torch.randn(50, 2, generator=seeded()))
    assert (decoded.std(0) > 1e-3).all()


def test_a_residual_block_begins_where_its_input_is():
    block = conv.Residual(8, (3, 5))
    torch.nn.init.zeros_(block.f[-1].weight)
    torch.nn.init.zeros_(block.f[-1].bias)
    x = torch.randn(2, 8, 3, 5, generator=seeded())
    assert torch.equal(block(x), x)


def test_channels_are_normalised_in_eight_groups_each_by_itself():
    activated = torch.nn.Sequential(*conv._activated(16))
    x = torch.randn(2, 16, 3, 5, generator=seeded())
    brighter = x.clone()
    brighter[:, 2:4] = 7 * x[:, 2:4] + 3
    torch.testing.assert_close(activated(brighter), activated(x), atol=1e-4, rtol=1e-3)


def test_features_are_activated():
    front, _ = conv.features((3, 9, 31), 8)
    assert front(torch.randn(4, 3, 9, 31, generator=seeded())).min() == 0


def test_initial_weights_come_from_the_generator_alone(small):
    def weights(seed, torch_seed):
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed)
            return build(small(), (3, 8, 8), 3, seeded(seed)).state_dict()

    first, again, other = weights(1, 0), weights(1, 1), weights(2, 0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    convolutions = [name for name in first if first[name].dim() == 4]
    assert len(convolutions) == 6
    assert not any(torch.equal(first[name], other[name]) for name in convolutions)


def test_convolutions_start_at_hes_scale(small):
    model = build(small(width=64), (64, 32, 32), 3, seeded())
    for layer in model.modules():
        if isinstance(layer, conv.Convolution) and layer.weight.numel() > 20_000:
            std = (2 / (9 * layer.in_channels)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
            assert not layer.bias.any()


ADVERSARIAL = ("basic", "supervised", "vat", "cluster", "embed")


@pytest.mark.parametrize(
    ("variant", "kind"),
    [*((variant, kind) for variant in ADVERSARIAL
       for kind in STEPS.values()), ("vae", JointStep)],
)  # fmt: skip
def test_a_step_changes_all_weights(small, batch, variant, kind):
    config = small(model=variant, classification_every=1)
    model = build(config, (3, 12, 9), 4, seeded())
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step = kind(model, config)
    for count in range(2):  # what reads a head of zeros has no gradient at first
        step(batch, lambda: batch, count, seeded())
    same = [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])]
    assert same == []


def test_the_fast_step_is_the_plain_one(small, batch):
    def trained(kind):
        config = small(model="vat", classification_every=1, **SGD)
        model = build(config, (3, 12, 9), 4, seeded())
        step, generator = kind(model, config), seeded()
        for count in range(3):
            losses = step(batch, lambda: batch, count, generator)
        return model.state_dict(), losses

    (fast, fast_losses), (plain, plain_losses) = trained(FastJointStep), trained(JointStep)
    torch.testing.assert_close(fast_losses, plain_losses, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["basic", "vat"])
def test_stacked_replicas_are_those_alone(small, batch, variant):
    config = small(model=variant, classification_every=1, **SGD)
    generators = [seeded(k) for k in range(2)]
    models = [build(config, (3, 12, 9), 4, seeded(k)) for k in range(2)]
    alone = [build(config, (3, 12, 9), 4, seeded(k)) for k in range(2)]
    both = Batch(torch.stack([batch.x, batch.x.flip(0)]), torch.stack([batch.labels] * 2))
    step = stacked_step(stack(models), config, generators)
    steps = [lone_step(model, config) for model in alone]
    own = [seeded(k) for k in range(2)]
    for count in range(2):
        step(both, lambda: both, count, generators[0])
        for k in range(2):
            mine = Batch(both.x[k], both.labels[k])
            steps[k](mine, lambda mine=mine: mine, count, own[k])
    for stacked, single in zip(models, alone, strict=True):
        torch.testing.assert_close(stacked.state_dict(), single.state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "variant", "share"),
    [((1, 28, 28), "basic", 1), ((1, 8, 8), "basic", 1), ((3, 32, 32), "basic", 784 / 3072),
     ((3, 64, 64), "semi", 784 / 12288), ((3, 32, 32), "vae", 1), ((3072,), "basic", 200 / 3072),
     ((8,), "semi", 25), ((8,), "vae", 1)],
)  # fmt: skip
def test_examples_of_any_size_weigh_as_much_as_those_of_mnist(small, shape, variant, share):
    model = build(small(model=variant, network="auto"), shape, 3, seeded())
    assert {phase.name: phase.share for phase in model.phases()}["reconstruction"] == share


@pytest.mark.parametrize("kind", STEPS.values())
def test_a_share_of_a_weight_is_a_smaller_weight(small, batch, kind):
    def trained(share, weight):
        config = small(reconstruction_weight=weight, **SGD)
        model = build(config, (3, 12, 9), 4, seeded())
        model.reconstruction_share = share
        losses = kind(model, config)(batch, lambda: batch, 0, seeded())
        return model.state_dict(), losses["reconstruction"]  # which is told as it is

    torch.testing.assert_close(trained(0.25, 2.0), trained(1.0, 0.5))


# --- number formats and sizes of batches


def test_a_twin_multiplies_in_the_type_asked_for_and_keeps_codes_whole(small):
    model, x = build(small(), (3, 12, 9), 3, seeded()).eval(), pictures((3, 12, 9))
    low = twin(model, torch.bfloat16)
    types = {name: p.dtype for name, p in low.named_parameters()}
    assert types["encoder.front.0.weight"] == types["decoder.pixels.0.weight"] == torch.bfloat16
    assert types["encoder.front.1.f.0.weight"] == torch.bfloat16
    assert types["encoder.posterior.mean.weight"] == torch.float32
    assert all(p.dtype == torch.float32 for p in model.parameters())
    codes = low.encode(x)
    assert codes.z.dtype == low.decode(codes.z).dtype == torch.float32
    torch.testing.assert_close(low.decode(codes.z), model.decode(codes.z), atol=0.05, rtol=0.05)
    same = twin(model, torch.float32)
    assert all(a is b for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_training_in_bfloat16(small, batch):
    config = small(precision="bf16")
    model = build(config, (3, 12, 9), 4, seeded())
    for kind in (FastJointStep, JointStep):
        losses = kind(model, config)(batch, lambda: batch, 0, seeded())
        assert all(loss.isfinite() for loss in losses.values())
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_batches_in_use_are_smaller_where_more_is_computed(small):
    def size(shape, **changes):
        return inference.batch_size(build(small(**changes), shape, 3, seeded()))

    assert size((3, 16, 16)) > size((3, 32, 32)) > size((3, 32, 32), width=32) > 1


def test_the_work_of_a_step_is_counted(small, batch):
    config = small()
    model, n = build(config, (3, 12, 9), 4, seeded()), len(batch.x)
    step = FastJointStep(model, config)
    with FlopCounterMode(display=False) as counter:
        step(batch, lambda: batch, 0, seeded())
    # It also takes the gradient in prior samples, beside that in the codes.
    of_prior = model.adversaries["z"].critic.trunk.linears[0].weight.numel()
    assert counter.get_total_flops() == Work.of(model, n).operations + 2 * n * of_prior


def test_a_run_keeps_the_network_that_was_chosen(small, tmp_path):
    from aae.data import Dataset
    from aae.run import Run

    images = (pictures((3, 8, 8), 20) * 127 + 127).byte().numpy()
    labels = (torch.arange(20) % 2).numpy()
    data = Dataset("mine", ("a", "b"), images, labels, images, labels)
    run = Run.create(tmp_path / "run", replace(small(), network="auto"), data)
    assert any(isinstance(layer, conv.Convolution) for layer in run.new_model().modules())
    text = (run.folder / "config.json").read_text()
    (run.folder / "config.json").write_text(text.replace('"network": "conv",', ""))
    model = Run(run.folder).new_model()  # as before there was a choice
    assert not any(isinstance(layer, conv.Convolution) for layer in model.modules())
