"""A prior of samples: its draws and density by hand and by scikit-learn, its file, bad samples."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity as Reference

from aae import gallery
from aae.kernel_density import KernelDensity
from aae.priors import Prior


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spiral(n=500, seed=0):
    t = np.random.default_rng(seed).uniform(0.5, 1, n)
    return 2 * t[:, None] * np.stack([np.cos(9 * t), np.sin(9 * t)], 1)


def test_its_density_is_that_of_scikit_learn():
    points, z = spiral(), np.random.default_rng(1).normal(size=(50, 2))
    ours = KernelDensity(points, bandwidth=0.3)
    theirs = Reference(bandwidth=0.3).fit(points).score_samples(z)
    log_p = ours.log_prob(torch.tensor(z, dtype=torch.float32))
    np.testing.assert_allclose(log_p.numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_its_density_is_the_same_a_few_codes_at_a_time(monkeypatch):
    prior, z = KernelDensity(spiral()), torch.randn(20, 2, generator=seeded())
    whole = prior.component_log_prob(z)
    monkeypatch.setattr("aae.kernel_density._AT_ONCE", 3 * 500)
    torch.testing.assert_close(prior.component_log_prob(z), whole)


@pytest.mark.parametrize("labels", [None, np.arange(500) % 3 // 2])
def test_its_density_over_a_square_is_that_of_each_code(labels, monkeypatch):
    prior = KernelDensity(spiral(), labels)
    prior.bandwidth = 0.3  # above the steps of these lines
    x, y = torch.linspace(-2, 2, 31), torch.linspace(-1, 3, 21)
    expected = Prior.log_prob_over(prior, x, y)
    assert expected.shape == (21, 31)
    assert (expected > -20).float().mean() > 0.1
    for at_once in (2**22, 2000):
        monkeypatch.setattr("aae.kernel_density._AT_ONCE", at_once)
        found = prior.log_prob_over(x, y)
        near = expected > -600
        torch.testing.assert_close(found[near], expected[near], rtol=1e-4, atol=1e-3)
        assert (found[~near] < -500).all()
    line, _, of_gallery = gallery.density(prior, 61)
    code = torch.tensor([[line[11], line[20]]])
    assert of_gallery[20, 11] == pytest.approx(float(prior.log_prob(code)), rel=1e-4, abs=1e-3)


def test_samples_between_the_places_that_are_looked_at_are_seen():
    rng = np.random.default_rng(0)
    near = [rng.normal(at, 0.02, (500, 2)) for at in (1.5, -1.5)]
    prior = KernelDensity(np.concatenate([*near, [[60.0, 1.0]]]))
    prior.refuse_far()
    x, _, log_p = gallery.density(prior)
    assert prior.bandwidth < (x[1] - x[0]) / 100
    # A mean of the three places by their counts, and a mass of one.
    p = np.exp(log_p) * (x[1] - x[0]) ** 2
    assert p.sum() == pytest.approx(1, rel=0.02)


def test_parts_are_equally_likely_whatever_their_counts():
    points, labels = [[5.0], [-1], [5], [5], [5]], [1, 0, 1, 1, 1]
    prior = KernelDensity(points, labels, bandwidth=0.1)
    assert (prior.components, prior.counts, prior.dim) == (2, [1, 4], 1)
    assert prior.points.flatten().tolist() == [-1, 5, 5, 5, 5]
    assert prior.limit == pytest.approx(5.4)
    drawn = prior.sample(2000, generator=seeded())
    assert (drawn < 2).float().mean() == pytest.approx(0.5, abs=0.05)
    own = prior.sample(4, labels=torch.tensor([0, 1, 1, 0]), generator=seeded())
    assert own.flatten().round().tolist() == [-1, 5, 5, -1]
    peak = -math.log(0.1 * math.sqrt(2 * math.pi))
    at = torch.tensor([[-1.0], [5.0]])
    assert prior.log_prob(at).tolist() == pytest.approx([peak - math.log(2)] * 2, abs=1e-5)
    assert prior.log_prob(at, torch.tensor([0, 1])).tolist() == pytest.approx([peak] * 2, abs=1e-5)


def test_draws_have_the_mean_of_the_samples_and_the_noise_of_the_bandwidth():
    points = np.random.default_rng(0).normal([3, -1], [0.5, 2], (400, 2))
    drawn = KernelDensity(points, bandwidth=0.7).sample(40_000, generator=seeded()).numpy()
    np.testing.assert_allclose(drawn.mean(0), points.mean(0), atol=0.04)
    np.testing.assert_allclose(drawn.var(0), points.var(0) + 0.49, rtol=0.03)


def test_the_bandwidth_is_the_typical_distance_to_a_near_neighbour():
    line = np.arange(100.0)[:, None]
    assert KernelDensity(line).bandwidth == 3  # two neighbours at 1, two at 2, the fifth at 3
    assert KernelDensity(np.repeat(line, 2, 1)).bandwidth == pytest.approx(3)  # 3 √2, over √2
    assert KernelDensity(np.repeat(line[:2], 9, 0)).bandwidth == 1  # what is farthest, of two
    many = np.repeat(line, 30, 0)[np.random.default_rng(0).permutation(3000)]
    assert KernelDensity(many).bandwidth == 1  # thirty at each side lie at 1
    assert KernelDensity(np.arange(6400.0)[:, None]).bandwidth == 10  # the twentieth, at √6400 / 4


def test_copies_on_a_device_are_not_pickled():
    prior = KernelDensity(spiral())
    expected = prior.component_log_prob(torch.zeros(1, 2))
    prior._copies[torch.device("meta")] = prior._on(torch.device("cpu"))
    assert copy.deepcopy(prior) is prior
    other = pickle.loads(pickle.dumps(prior))
    assert not other._copies
    assert torch.equal(other.component_log_prob(torch.zeros(1, 2)), expected)
    assert len(prior._copies) == 2


def test_a_file_keeps_it(tmp_path):
    labels = np.arange(500) % 3
    prior = KernelDensity(spiral(), labels)
    prior.write(tmp_path / "prior.safetensors")
    again = KernelDensity.open(tmp_path / "prior.safetensors")
    assert torch.equal(again.sample(9, generator=seeded()), prior.sample(9, generator=seeded()))
    assert (again.bandwidth, again.counts) == (prior.bandwidth, prior.counts)
    (tmp_path / "prior.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"prior\.safetensors is none that aae wrote"):
        KernelDensity.open(tmp_path / "prior.safetensors")


@pytest.mark.parametrize(
    ("points", "labels", "words"),
    [
        (np.zeros(4), None, "are numbers [samples, dimensions], not float64 [4]"),
        ([["a"], ["b"]], None, "are numbers [samples, dimensions], not <U1 [2, 1]"),
        (np.zeros((4, 0)), None, "not float64 [4, 0]"),
        ([[1.0]], None, "takes 2 to 100,000 samples, not 1"),
        ([[1.0], [math.nan]], None, "must be finite: row 1 is [nan]"),
        ([[2.0]] * 9, None, "all samples of the prior are the same"),
        ([[1.0], [2]], [0, 1, 1], "labels of 2 samples are 2 whole numbers, not int64 [3]"),
        ([[1.0], [2]], [0.0, 1], "not float64 [2]"),
        ([[1.0], [2]], [1, 3], "number parts from 0 on, each with a sample; there are 1, 3"),
        ([[1.0], [2]], [-1, 0], "there are -1, 0"),
    ],
)
def test_samples_of_no_prior_are_refused(points, labels, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        KernelDensity(points, labels)


@pytest.mark.parametrize("bandwidth", [0, -1, math.nan, math.inf])
def test_a_bandwidth_is_above_zero(bandwidth):
    with pytest.raises(ValueError, match="the bandwidth must be above 0"):
        KernelDensity([[1.0], [2]], bandwidth=bandwidth)


def test_the_manifold_is_looked_at_part_by_part():
    points = [[0, 0, 5], [2, 4, 7.0], [-3, 1, 0], [-1, 1, 0]]
    one, other = KernelDensity(points, [0, 0, 1, 1]).manifold(3)
    assert one.tolist() == [[x, y, 6] for y in (4, 2, 0) for x in (0, 1, 2)]
    assert other.tolist() == [[x, 1, 0] for _ in range(3) for x in (-3, -2, -1)]
    (line,) = KernelDensity([[1.0], [3]]).manifold(2)
    assert line.tolist() == [[1], [3], [1], [3]]
