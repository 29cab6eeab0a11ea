"""The plain loop does what the paper's alternation does, and learns."""

import dataclasses

import pytest
import torch

from aae.autoencoder import Batch
from aae.bench.contender import Setup
from aae.bench.plain import ADVERSARIAL_WEIGHT, BETAS, LR, PlainLoop, plain
from aae.pixels import to_model
from aae.training.step import AlternatingStep


def pairs(loop, model):
    """Each parameter of the plain loop's networks beside the library's."""
    encoder, decoder, critic = model.encoder, model.decoder, model.adversaries["z"].critic
    theirs = [*encoder.trunk.linears, encoder.posterior.mean, encoder.posterior.std]
    theirs += [*decoder.trunk.linears, decoder.pixels, *critic.trunk.linears, critic.logit]
    networks = (loop.encoder, loop.decoder, loop.critic)
    own = [m for network in networks for m in network.modules() if isinstance(m, torch.nn.Linear)]
    for ours, other in zip(own, theirs, strict=True):
        yield from zip(ours.parameters(), other.parameters(), strict=True)


@pytest.fixture
def loop(tiny):
    torch.manual_seed(0)
    return PlainLoop(64, tiny().hidden, 2, "cpu")


def test_its_updates_are_those_of_the_alternation(tiny, new_model, part, loop):
    config = tiny(
        lr=LR, beta1=BETAS[0], beta2=BETAS[1], reconstruction_weight=1.0,
        generator_weight=ADVERSARIAL_WEIGHT, discriminator_weight=ADVERSARIAL_WEIGHT,
    )  # fmt: skip
    model = new_model(config)
    with torch.no_grad():
        for own, other in pairs(loop, model):
            own.copy_(other)
    step = AlternatingStep(model, config)
    x = to_model(torch.from_numpy(part.images))
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    for count in range(3):
        losses = loop.step(x.flatten(1))
        expected = step(Batch(x, torch.full((len(x),), -1)), None, count, generator)
        torch.testing.assert_close(losses, tuple(expected.values()), rtol=1e-4, atol=1e-5)
    for own, other in pairs(loop, model):
        # Adam makes of a gradient of 0 ± rounding a step of LR either way: compare the bulk.
        assert float(((own - other).abs() > 0.1 * LR).float().mean()) < 0.02


def test_it_learns(part, loop):
    x = to_model(torch.from_numpy(part.images)).flatten(1)
    losses = [float(loop.step(x)[0]) for _ in range(300)]
    assert losses[-1] < 0.8 * losses[0]


def test_it_trains_on_as_many_batches_as_it_is_told_to(monkeypatch, small_setup):
    seen = []
    monkeypatch.setattr(PlainLoop, "step", lambda self, x: seen.append(x))
    train = plain(dataclasses.replace(small_setup, pictures=50, batch_size=20))
    train(2)
    train(3)
    assert [len(x) for x in seen] == [20, 20, 10, 20, 20]
    epoch = torch.cat(seen[:3])
    assert epoch.shape == (50, 64)
    assert epoch.min() == -1
    assert epoch.max() == 1
    assert torch.equal(epoch.unique(dim=0), Setup.load_floats(
        dataclasses.replace(small_setup, pictures=50)).unique(dim=0))  # fmt: skip
    assert not torch.equal(epoch[:40], torch.cat(seen[3:]))  # another order
