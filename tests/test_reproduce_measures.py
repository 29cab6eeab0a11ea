"""Figures of the paper that `aae evaluate` does not have, on models whose answers are known."""

import pytest
import torch

from aae.data import load
from aae.reproduce import measures
from aae.reproduce.measures import Subject
from aae.run import Splits


@pytest.fixture
def subject(tiny, new_model, digits):
    """Makes subjects of untrained models on the embedded digits."""

    def make(**changes):
        config = tiny(**{"init": "he", **changes})
        generator = torch.Generator().manual_seed(0)
        return Subject(new_model(config).eval(), Splits.of(config, digits), digits, generator)

    return make


def test_a_probe_reads_what_codes_tell_of_the_label(subject):
    plain = subject(latent_dim=16, hidden=64)
    assert measures.probe_accuracy(plain, "mean") > 0.5  # random features of digits tell a lot
    with torch.no_grad():
        plain.model.encoder.posterior.std.bias.fill_(100.0)
    assert measures.probe_accuracy(plain, "mean") > 0.5
    assert measures.probe_accuracy(plain, "z") < 0.25  # far more noise than code
    blind = subject(latent_dim=16)
    with torch.no_grad():
        blind.model.encoder.posterior.mean.weight.zero_()
    assert measures.probe_accuracy(blind, "mean") < 0.2


def test_the_manifold_is_read_tile_by_tile(subject, monkeypatch):
    seen = []

    def read(judge, images):
        seen.append(images.shape)
        return 0.25, [100]

    monkeypatch.setattr(measures, "readable", read)
    monkeypatch.setattr(measures, "judge_for", lambda *_: None)
    assert measures.manifold_readable(subject(prior="mixture")) == 0.25
    assert seen == [(10 * 400, 1, 8, 8)]


def test_distance_of_codes_that_follow_the_prior_is_small(subject):
    near = subject(model="basic")
    far = subject(model="basic")
    with torch.no_grad():
        near.model.encoder.posterior.mean.weight.zero_()
        near.model.encoder.posterior.std.weight.zero_()
        near.model.encoder.posterior.std.bias.fill_(0.5413)  # softplus of it is 1
        far.model.encoder.posterior.mean.bias.fill_(5.0)
    assert measures.sliced_wasserstein(near) < 0.3
    assert measures.sliced_wasserstein(far) > 3


def test_likelihood_is_larger_where_pictures_are_generated(subject):
    digits = load("digits")
    real = torch.from_numpy(digits.train_images).float() / 255
    one = subject()
    noise = measures.likelihood(one, 300)

    def draw(model, labels, count, generator):
        yield from real[torch.randint(len(real), (count,), generator=generator)].split(100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures.inference, "samples", draw)
        assert measures.likelihood(one, 300) > noise + 10
