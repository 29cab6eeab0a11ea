"""Figures of the paper that `aae evaluate` does not have, on models whose answers are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aae.data import load
from aae.fit import fit
from aae.judge import Readable
from aae.reproduce import measures
from aae.reproduce.measures import Subject
from aae.splits import Splits


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
    assert measures.MEASURES["probe_accuracy"](plain) > 0.5
    # Of draws there is far more noise than code.
    assert measures.MEASURES["probe_accuracy_of_draws"](plain) < 0.25
    blind = subject(latent_dim=16)
    with torch.no_grad():
        blind.model.encoder.posterior.mean.weight.zero_()
    assert measures.probe_accuracy(blind, "mean") < 0.2


def test_the_manifold_is_read_tile_by_tile(subject, monkeypatch):
    seen = []

    def read(judge, images):
        seen.append(images.shape)
        return Readable(0.25, [100], 1)

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


def test_the_width_is_chosen_on_validation_pictures_for_those_of_the_test_set(subject, monkeypatch):
    one, seen = subject(), []

    def choose(made, real, sigmas):
        seen.append(real)
        return 0.25

    def log_likelihood(made, real, sigma):
        seen.append(real)
        return SimpleNamespace(value=sigma)

    monkeypatch.setattr(measures.parzen, "choose_sigma", choose)
    monkeypatch.setattr(measures.parzen, "log_likelihood", log_likelihood)
    assert measures.likelihood(one, 10) == 0.25
    for real, part in zip(seen, (one.splits.validation, one.splits.test), strict=True):
        expected = part.images.reshape(-1, 64) / np.float32(255)
        assert np.array_equal(real.numpy(), expected)


def test_a_run_is_measured_on_the_test_set_with_the_weights_it_learned(
    tiny, digits, tmp_path, no_pictures
):
    run = fit(tiny(epochs=1, seed=3), tmp_path / "run", dataset=digits)
    figures = measures.measure(run, {"sliced_wasserstein"}, digits)
    splits = replace(Splits.of(run.config, digits), train=None, validation=None)
    learned = Subject(run.model(), splits, digits, torch.Generator().manual_seed(3))
    assert figures["sliced_wasserstein"] == measures.sliced_wasserstein(learned)
