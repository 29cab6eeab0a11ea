"""Parzen windows, against scikit-learn's, and near samples against all of them."""

import math
import weakref

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from aae import parzen


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0])
def test_parzen_agrees_with_scikit_learn(sigma, monkeypatch):
    monkeypatch.setattr(parzen, "CHUNK", 16)
    samples, test = normal(100, 5), normal(37, 5, seed=1) + 100 * (sigma > 1)
    # One leaf: its tree adds and subtracts bounds, which loses the tails.
    window = KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples.numpy())
    theirs = window.score_samples(test.numpy())
    ours = parzen.log_likelihood(samples, test, sigma)
    assert ours.value == pytest.approx(theirs.mean(), rel=1e-9)
    assert ours.error == pytest.approx(theirs.std(ddof=1) / math.sqrt(37), rel=1e-9)


def test_parzen_over_samples_that_come_in_pieces_and_go():
    samples, test = normal(2000, 5), normal(37, 5, seed=1)
    alive, most = weakref.WeakSet(), 0

    def pieces():
        nonlocal most
        for start in range(0, 2000, 90):
            piece = samples[start : start + 90].clone()
            alive.add(piece)
            most = max(most, len(alive))
            yield piece

    whole = parzen.log_likelihood(samples, test, 0.4)
    assert parzen.log_likelihood(pieces(), test, 0.4).value == pytest.approx(whole.value, rel=1e-12)
    assert most <= 2  # the piece at hand, and the one before
    assert parzen.choose_sigma(pieces(), test, [0.01, 0.4, 9.0]) == 0.4
    with pytest.raises(ValueError, match="there are no samples"):
        parzen.log_likelihood(iter(()), test, 0.4)


def test_parzen_in_single_precision_is_close_enough():
    samples, test = (
        torch.rand(300, 784, generator=seeded()),
        torch.rand(50, 784, generator=seeded(1)),
    )
    single = parzen.log_likelihood(samples, test, 0.2)
    double = parzen.log_likelihood(samples.double(), test.double(), 0.2)
    assert single.value == pytest.approx(double.value, abs=0.05)


def test_choose_sigma_takes_the_most_likely():
    samples, validation = normal(300, 2), normal(200, 2, seed=1)
    candidates = [0.01, 0.1, 0.4, 2.0]
    means = [parzen.log_likelihood(samples, validation, s).value for s in candidates]
    chosen = parzen.choose_sigma(samples, validation, candidates)
    assert chosen == candidates[int(np.argmax(means))] == 0.4


@pytest.mark.parametrize("candidates", [[], [0.1, 0.0], [math.nan]])
def test_sigma_must_be_positive(candidates):
    with pytest.raises(ValueError, match="sigma"):
        parzen.choose_sigma(normal(9, 2), normal(9, 2), candidates)


def test_a_density_is_nowhere_above_a_window_s_peak():
    samples = torch.rand(50, 784, generator=seeded())
    densities = parzen._log_densities(samples, samples, [1e-3])[0]
    assert densities.max() <= -784 * math.log(1e-3 * math.sqrt(2 * math.pi))


# --- samples that are near, and all of them


def pictures(n, seed=0, kinds=20, pixels=200):
    """Points about some kinds of picture, which lie near a plane of few dimensions, with noise."""
    means = 2 * normal(kinds, 8, 9) @ normal(8, pixels, 10)
    kind = torch.randint(kinds, (n,), generator=seeded(seed))
    return means[kind] + 0.5 * normal(n, pixels, seed + 1)


@pytest.fixture
def singly(monkeypatch):
    """How many distances were taken singly, and of how many points with samples all at once."""
    taken = {"singly": 0, "at once": 0}
    added, all_of = parzen._added, parzen._squared_distances

    def count_added(total, rows, logs):
        taken["singly"] += len(rows)
        return added(total, rows, logs)

    def count_all(points, samples):
        if points.shape[1] == 200:  # neither shadows
            taken["at once"] += len(points) * len(samples)
        return all_of(points, samples)

    monkeypatch.setattr(parzen, "CHUNK", 32)
    monkeypatch.setattr(parzen, "_added", count_added)
    monkeypatch.setattr(parzen, "_squared_distances", count_all)
    return taken


@pytest.mark.parametrize("sigma", [0.2, 0.5, 2.0])
def test_far_samples_change_nothing(sigma, singly, monkeypatch):
    monkeypatch.setattr(parzen, "FEW", 0.2)
    samples, test = pictures(2000), pictures(100, seed=5)
    window = KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples.numpy())
    theirs = window.score_samples(test.numpy())
    ours = parzen._log_densities(samples, test, [sigma])[0]
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-9)
    assert 0 < singly["singly"] < 20_000
    assert singly["at once"] < 40_000  # of 200,000


def test_several_widths_over_near_samples(singly, monkeypatch):
    samples, test, widths = pictures(2000), pictures(100, seed=5), [0.3, 0.5, 0.9]
    apart = [parzen._log_densities(samples, test, [width])[0].tolist() for width in widths]
    monkeypatch.setattr(parzen, "FEW", 0.2)
    together = parzen._log_densities(samples, test, widths).tolist()
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert singly["singly"] > 0


def test_shadows_are_no_farther_apart_than_points():
    samples, test = pictures(300), pictures(100, seed=5)
    axes = parzen._axes(test - test.mean(0))
    assert axes.shape == (200, parzen.AXES)
    torch.testing.assert_close(axes.T @ axes, torch.eye(parzen.AXES, dtype=axes.dtype))
    near = torch.cdist(parzen._shadows(test, axes), parzen._shadows(samples, axes))
    whole = torch.cdist(test, samples)
    assert (near <= whole + 1e-9).all()
    assert near.mean() > 0.9 * whole.mean()  # or next to nothing could be left out


@pytest.mark.parametrize("n", [1, 3])
def test_few_points_and_equal_ones(n):
    samples = pictures(500)
    for test in (pictures(n, seed=5), torch.zeros(n, 200, dtype=torch.float64)):
        window = KernelDensity(bandwidth=0.5, leaf_size=500).fit(samples.numpy())
        theirs = window.score_samples(test.numpy()).mean()
        assert parzen.log_likelihood(samples, test, 0.5).value == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("at", [0, 1999])
def test_a_sample_that_is_not_a_number_is_not_left_out(at, monkeypatch):
    monkeypatch.setattr(parzen, "CHUNK", 32)
    monkeypatch.setattr(parzen, "FEW", 0.2)
    samples = pictures(2000)
    samples[at, 3] = math.nan
    assert math.isnan(parzen.log_likelihood(samples, pictures(40, seed=5), 0.5).value)
