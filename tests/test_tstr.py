"""Generated tables are worth learning from; `benchmarks/tables.py` has the long form."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import tables


def test_who_learns_from_generated_wine_knows_real_wine():
    train, test = tables.parts("wine", 0)
    made = tables.generated(train, 0, epochs=90)
    assert made[0].shape == train[0].shape
    assert not np.isin(made[0][:, 0], train[0][:, 0]).any()
    assert min(tables.accuracies(made, test).values()) > 0.85
    assert min(tables.accuracies(train, test).values()) > 0.85


def test_the_gaussians_are_fitted_to_each_class():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(900, 2)), np.arange(900) % 3
    x[:, 1] += 5 * y
    drawn, classes = tables.gaussians((x, y), 0)
    for k in range(3):
        assert np.allclose(drawn[classes == k].mean(0), [0, 5 * k], atol=0.25)
