"""Estimators with networks or a prior of the user's own."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

import aae
from aae.fit import fit
from aae.own_networks import Networks
from aae.priors import Gaussian, Spots
from aae.training.trainer import Observer


def encoder(inputs=64, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 30), nn.GELU())


@pytest.fixture(scope="module")
def pictures(digits):
    """Pictures [n, 8, 8] and labels."""
    return digits.train_images[:300, 0], digits.train_labels[:300]


@pytest.fixture(scope="module")
def classifier(pictures):
    X, y = pictures
    given = Networks(encoder=encoder())
    return aae.AdversarialClassifier(
        n_epochs=8, hidden=32, random_state=0, learning_rate=3e-3, networks=given
    ).fit(X, y)


def test_they_are_trained_as_copies(classifier, pictures):
    given, trained = classifier.networks.encoder, classifier.model_.encoder.trunk.module
    assert type(trained[2]) is nn.GELU
    assert not torch.equal(trained[1].weight, given[1].weight)
    assert classifier.score(*pictures) > 0.6
    again = clone(classifier).fit(*pictures)  # a clone has the weights that were given
    np.testing.assert_array_equal(
        again.predict_proba(pictures[0]), classifier.predict_proba(pictures[0])
    )


def test_each_fold_begins_with_them(classifier, pictures):
    scores = cross_val_score(classifier, *pictures, cv=2)
    assert min(scores) > 0.4


def test_a_folder_needs_them_again(classifier, pictures, tmp_path):
    X, y = pictures
    folder = classifier.save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"aae.load\('.*run', Networks\(encoder=…\)\)"):
        aae.load(folder)
    with pytest.raises(ValueError, match="with the user's own encoder"):
        aae.load(folder, Networks(prior=Gaussian(10)))
    for opened in (
        aae.load(folder, Networks(encoder=encoder(seed=1))),
        type(classifier).load(folder, Networks(encoder=encoder(seed=2))),
    ):
        np.testing.assert_array_equal(opened.predict_proba(X), classifier.predict_proba(X))
    opened.partial_fit(X, y)
    assert opened.n_iter_ == classifier.n_iter_ + 1


def test_a_folder_with_ours_takes_no_others(tmp_path, pictures):
    ours = aae.AdversarialAutoencoder(2, n_epochs=1, hidden=16).fit(pictures[0])
    folder = ours.save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"our networks alone.*aae.load\('[^']*run'\)"):
        aae.load(folder, Networks(encoder=encoder()))


def test_a_run_with_them_opens_as_an_estimator(tiny, tmp_path, pictures):
    given = Networks(encoder=encoder())
    fit(tiny(), tmp_path / "run", networks=given, observers=[Observer()])
    opened = aae.load(tmp_path / "run", given)
    assert opened.networks is given
    assert opened.transform(pictures[0]).shape == (300, 2)


def test_a_pickle_has_them(classifier, pictures):
    opened = pickle.loads(pickle.dumps(classifier))
    opened.partial_fit(*pictures)
    assert type(opened.model_.encoder.trunk.module[2]) is nn.GELU


@pytest.mark.parametrize("other", [None, Networks(encoder=encoder())])
def test_others_cannot_go_on(classifier, pictures, other):
    going_on = pickle.loads(pickle.dumps(classifier)).set_params(networks=other)
    with pytest.raises(ValueError, match="cannot go on with other networks"):
        going_on.partial_fit(*pictures)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("conv", "networks='conv' must be aae.own_networks.Networks, or None"),
        (Networks(encoder=encoder(63)), r"the encoder given, for \[n, 1, 8, 8\]"),
        (Networks(prior=Gaussian(5)), r"the prior given must draw 3 samples as a tensor \[3, 2\]"),
    ],
)
def test_misfits(pictures, given, words):
    with pytest.raises(ValueError, match=words):
        aae.AdversarialAutoencoder(2, n_epochs=1, networks=given).fit(pictures[0])


@pytest.fixture(scope="module")
def corners():
    """A prior of ten parts in three dimensions."""
    points = torch.tensor([[i % 2, i // 2 % 2, i // 4] for i in range(10)]) * 4.0 - 2
    return Spots(points, Gaussian(3, 0.3))


def test_labels_name_the_parts_of_a_prior(pictures, corners):
    X, y = pictures
    estimator = aae.AdversarialAutoencoder(
        3, n_epochs=200, hidden=64, random_state=0, learning_rate=3e-3,
        networks=Networks(prior=corners),
    ).fit(X, y)  # fmt: skip
    parts = corners.component_log_prob(torch.from_numpy(estimator.transform(X))).argmax(1)
    assert (parts.numpy() == y).mean() > 0.8
    assert estimator.sample(4, label=7).shape == (4, 8, 8)


def test_a_prior_with_too_few_parts(pictures):
    few = Networks(prior=Spots(torch.zeros(2, 3), Gaussian(3)))
    with pytest.raises(ValueError, match="a prior of your own with as many"):
        aae.AdversarialAutoencoder(3, n_epochs=1, networks=few).fit(*pictures)
