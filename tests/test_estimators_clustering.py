"""Clusters found without a label, by the estimator."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from aae.estimators import AdversarialClustering

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 3, "batch_size": 32, "random_state": 0}


def test_clusters_are_found():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 150)
    X = rng.normal(size=(300, 4)) + 8 * y[:, None]
    model = AdversarialClustering(2, **SMALL | {"n_epochs": 40, "learning_rate": 5e-3})
    labels = model.fit_predict(X)
    assert np.array_equal(labels, model.labels_)
    assert max((labels == y).mean(), (labels != y).mean()) > 0.95
    assert model.sample(10, label=1).shape == (10, 4)


def test_of_several_starts_the_one_that_reconstructs_best_is_kept(monkeypatch):
    X, seen = load_iris().data, []
    learn = AdversarialClustering._learn

    def watched(self, *args, **how):
        learn(self, *args, **how)
        seen.append((float(self._errors(X).mean()), self.config_.seed, self.predict_proba(X)))
        return self

    monkeypatch.setattr(AdversarialClustering, "_learn", watched)
    model = AdversarialClustering(3, n_init=3, **SMALL).fit(X)
    errors, seeds, found = zip(*seen, strict=True)
    assert len(set(seeds)) == len(set(errors)) == 3
    best = int(np.argmin(errors))
    assert np.array_equal(model.predict_proba(X), found[best])
    assert model.config_.seed == seeds[best]
    assert np.array_equal(model.labels_, found[best].argmax(1))
    alone = AdversarialClustering(3, **SMALL).fit(X)
    assert np.array_equal(alone.predict_proba(X), found[0])
    seen.clear()
    model.set_params(warm_start=True).fit(X)
    assert len(seen) == 1
    with pytest.raises(ValueError, match="n_init=0 must be 1 or more"):
        AdversarialClustering(n_init=0).fit(X)
