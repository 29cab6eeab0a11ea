"""Standard errors, held to how much figures do move on other examples."""

import numpy as np
import pytest
import torch

from aae import metrics, uncertainty


def test_of_a_mean_it_is_how_much_means_vary():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(2000, 100, generator=generator).exp()
    said = [uncertainty.of_mean(sample) for sample in samples[:200]]
    assert np.mean(said) == pytest.approx(samples.mean(1).std().item(), rel=0.1)
    assert np.isnan(uncertainty.of_mean(torch.tensor([3.0])))


def test_of_a_share_it_is_that_of_the_mean_of_zeros_and_ones():
    wrong = torch.zeros(1000)
    wrong[:20] = 1
    assert uncertainty.of_share(0.02, 1000) == pytest.approx(uncertainty.of_mean(wrong), rel=0.03)
    none, all_of_them = uncertainty.of_share(0.0, 100), uncertainty.of_share(1.0, 100)
    assert none == pytest.approx(all_of_them)
    assert 0.005 < none < 0.01


def test_bootstrap_of_a_median_is_how_much_medians_vary():
    drawn = np.random.default_rng(0).normal(size=(1000, 200)).astype(np.float32)
    said = [uncertainty.bootstrap(lambda a: float(np.median(a)), sample) for sample in drawn[:40]]
    assert np.mean(said) == pytest.approx(np.median(drawn, axis=1).std(), rel=0.15)


def test_bootstrap_by_hand():
    found = iter([1.0, 2.0, 6.0])  # from their mean -2, -1 and 3
    error = uncertainty.bootstrap(lambda _: next(found), np.zeros(5, np.float32), repeats=3)
    assert error == pytest.approx(np.sqrt((4 + 1 + 9) / 2))


def test_bootstrap_draws_each_sample_and_gives_the_same_again():
    a, b = np.arange(50, dtype=np.float32), np.arange(40, dtype=np.float32)

    def apart(a, b):
        assert (len(a), len(b)) == (50, 40)
        return float(a.mean() - b.mean())

    first = uncertainty.bootstrap(apart, a, b)
    assert first == uncertainty.bootstrap(apart, a, b) > 0
    for one, other in ((0 * a, b), (a, 0 * b)):
        assert uncertainty.bootstrap(apart, one, other) > 0
    assert uncertainty.bootstrap(apart, 0 * a, 0 * b) == 0


def test_of_variety_it_is_how_much_varieties_vary():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3

    def draw(scale):
        """Pictures of three classes, some more alike than others."""
        each = torch.rand(120, 1, 1, generator=generator) + 0.5
        return labels[:, None, None] + scale * each * torch.randn(120, 2, 2, generator=generator)

    found = [metrics.variety(draw(0.7), labels, draw(1.0), labels) for _ in range(300)]
    values, said = np.array([[each.value, each.error] for each in found]).T
    assert values.mean() == pytest.approx(0.49, abs=0.02)
    assert said.mean() == pytest.approx(values.std(), rel=0.15)
