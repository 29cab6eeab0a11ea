"""What the verdict on a training rests on, and figures of labels, on cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aae import evaluate as measuring
from aae import inference
from aae.data import column_distances, dataset_of
from aae.data.tables import TableReading
from aae.evaluate import evaluate
from aae.fit import fit
from aae.run import Run
from aae.splits import Splits


@pytest.fixture
def trained(tiny, digits, tmp_path, no_pictures):
    """Makes a run folder of a config, trained for one epoch, without pictures."""

    def make(dataset=digits, **changes):
        return fit(tiny(epochs=1, hidden=16, **changes), tmp_path / "run", dataset=dataset)

    return make


@pytest.fixture
def given(monkeypatch):
    """What was last given to be examined."""
    seen = {}

    def examine(measurements):
        seen.update(vars(measurements))
        return []

    monkeypatch.setattr(measuring.health, "examine", examine)
    return seen


def test_a_critic_that_calls_all_real_is_right_of_half(trained, digits, given, monkeypatch):
    run = trained()
    model = run.model()
    *_, last = (m for m in model.adversaries["z"].critic.modules() if hasattr(m, "weight"))
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(1.0)
    monkeypatch.setattr(Run, "model", lambda self: model)
    evaluate(run, dataset=digits, judge=False)
    assert given["discriminator_accuracy"] == 0.5


def test_variances_of_codes_are_those_of_means_beside_the_priors(trained, digits, given):
    run = trained(prior_std=2.0, latent_dim=3)
    figures = evaluate(run, dataset=digits, judge=False)
    means = inference.encode(run.model(), digits.test_images).mean
    expected = means.var(0, correction=0) / 4
    assert given["code_variances"] == pytest.approx(expected.tolist(), rel=0.02)
    # A distance and its error are in one unit, that of two samples of the prior.
    unit = figures["prior_distance"] / given["prior_distance"]
    assert given["prior_distance_error"] * unit == pytest.approx(figures["prior_distance_error"])


def test_expected_shares_are_those_of_the_labels_that_are_there(trained, digits, given):
    run = trained(model="semi", labels=100)
    few = np.where(np.arange(360) % 4, -1, digits.test_labels)
    evaluate(run, dataset=replace(digits, test_labels=few), judge=False)
    counts = np.bincount(digits.test_labels[::4], minlength=10)
    assert given["expected_shares"] == pytest.approx((counts / 90).tolist())
    assert sum(given["class_shares"]) == pytest.approx(1)


def test_parts_of_the_prior_are_told_by_means_however_wide_posteriors_are(
    trained, digits, monkeypatch
):
    run = trained(model="labels", prior="mixture")
    model = run.model()
    monkeypatch.setattr(Run, "model", lambda self: model)
    before = evaluate(run, dataset=digits, judge=False)
    with torch.no_grad():
        model.encoder.posterior.std.bias += 100
    after = evaluate(run, dataset=digits, judge=False)
    assert after["component_accuracy"] == before["component_accuracy"]
    assert after["prior_distance"] > 10 * before["prior_distance"]


def test_the_mean_of_categories_is_that_of_those_that_are_known(trained):
    kinds = np.array(["a", "a", "b", None] * 60, dtype=object)
    data = dataset_of({"kind": kinds}, reading=TableReading(missing="impute"))
    run = trained(data)
    shares = Splits.of(run.config, data).train.images.sum(0)
    surprise = -np.log(shares / shares.sum())
    expected = (data.test_images @ surprise).mean()  # 0 where the category is missing
    assert evaluate(run, dataset=data)["reconstruction_error_of_mean"] == pytest.approx(expected)


def test_training_rows_are_compared_with_held_out_ones(trained):
    rng = np.random.default_rng(0)
    rows = {"size": rng.normal(size=210), "kind": rng.choice(["a", "b"], 210).astype(object)}
    data = dataset_of(rows, reading=TableReading())
    run = trained(data)
    figures = evaluate(run, dataset=data)
    train = Splits.of(run.config, data).train.images
    apart = column_distances(data.columns, data.test_images, train)
    expected = np.mean([*apart.values()])
    assert figures["column_distance_of_training"] == pytest.approx(expected)
