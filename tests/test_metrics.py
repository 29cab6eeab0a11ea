"""Metrics, against values worked by hand, closed forms, or another library."""

import itertools
import math

import numpy as np
import pytest
import torch

from aae import metrics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


# --- energy distance


def test_energy_distance_by_hand():
    a, b = torch.tensor([[0.0, 0], [3, 4]]), torch.tensor([[0.0, 0], [6, 8], [3, 4]])
    # between: (0 + 10 + 5 + 5 + 5 + 0) / 6; within a: 5; within b: (10 + 5 + 5) / 3
    assert metrics.energy_distance(a, b) == pytest.approx(2 * 25 / 6 - 5 - 20 / 3, rel=1e-6)


def test_energy_distance_does_not_depend_on_chunks(monkeypatch):
    a, b = normal(50, 3), normal(40, 3, seed=1) + 1
    whole = metrics.energy_distance(a, b)
    monkeypatch.setattr(metrics, "CHUNK", 7)
    assert metrics.energy_distance(a, b) == pytest.approx(whole, rel=1e-12)


def test_energy_distance_is_unbiased():
    values = [
        metrics.energy_distance(normal(20, 2, 2 * s), normal(20, 2, 2 * s + 1)) for s in range(200)
    ]
    assert min(values) < 0
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error < 0.03


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_energy_distance_of_gaussians_of_two_widths(width):
    # In one dimension E|N(0, v)| is √(2 v / π).
    a, b = normal(4000, 1), width * normal(4000, 1, seed=1)
    exact = (2 * math.sqrt(1 + width**2) - math.sqrt(2) * (1 + width)) * math.sqrt(2 / math.pi)
    assert metrics.energy_distance(a, b) == pytest.approx(exact, rel=0.15)


def test_energy_distance_keeps_digits_far_from_the_origin():
    a, b = torch.tensor([[4096.0], [4096.5]]), torch.tensor([[4097.0], [4097.5]])
    assert metrics.energy_distance(a, b) == 2 * 1.0 - 0.5 - 0.5


def test_energy_distance_of_broken_codes_is_not_a_number():
    assert math.isnan(metrics.energy_distance(torch.full((3, 2), math.nan), torch.zeros(3, 2)))


@pytest.mark.parametrize(("shape_a", "shape_b"), [((3, 2), (3, 1)), ((3,), (3,)), ((1, 2), (3, 2))])
def test_energy_distance_refuses(shape_a, shape_b):
    with pytest.raises(ValueError, match="points"):
        metrics.energy_distance(torch.zeros(shape_a), torch.zeros(shape_b))


# --- distance from the prior


def sampler(seed, d=2):
    generator = seeded(seed)
    return lambda n: torch.randn(n, d, generator=generator)


def test_codes_from_the_prior_are_indistinguishable():
    results = [metrics.prior_distance(normal(400, 2, s), sampler(s + 100)) for s in range(20)]
    assert sum(result.indistinguishable for result in results) >= 16
    for result in results:
        assert result.error < 0.02
        assert abs(result.floor) < 0.01
        assert result.offset < 0.3
        assert result.points == 400
        assert result.scale == pytest.approx(math.sqrt(math.pi), rel=0.1)


def test_collapsed_codes_are_at_their_known_distance():
    result = metrics.prior_distance(torch.zeros(1000, 2), sampler(0))
    assert result.relative == pytest.approx(math.sqrt(2) - 1, rel=0.05)
    assert not result.indistinguishable


def test_offset_is_in_standard_deviations_of_the_prior():
    draw = sampler(0)
    result = metrics.prior_distance(
        5 * normal(2000, 2) + torch.tensor([0.0, 10.0]), lambda n: 5 * draw(n)
    )
    assert result.offset == pytest.approx(2, abs=0.1)


def test_prior_distance_by_hand():
    codes, prior = torch.tensor([[3.0], [4.0], [5.0]]), torch.tensor([[0.0], [2.0], [4.0]])
    result = metrics.prior_distance(codes, lambda n: prior, repeats=2)
    # Means are 4 and 2, the prior's deviation is 2. Pairs are 8/3 apart in the prior, 4/3 in codes;
    # from codes to the prior it is 3 + 1 + 1, 4 + 2 + 0 and 5 + 3 + 1, over nine.
    assert result.offset == 1
    assert result.offset_error == pytest.approx(math.sqrt(2 / 3))
    assert result.scale == pytest.approx(8 / 3)
    assert result.value == pytest.approx(2 * 20 / 9 - 8 / 3 - 4 / 3)
    assert result.floor == pytest.approx(2 * 16 / 9 - 2 * 8 / 3)
    assert result.error == 0
    assert result.relative == pytest.approx(result.value * 3 / 8)


def test_what_is_within_two_errors_of_the_floor_is_indistinguishable():
    shown = {"floor": 0.25, "error": 0.125, "scale": 1, "offset": 0, "offset_error": 0, "points": 9}
    assert metrics.PriorDistance(value=0.5, **shown).indistinguishable
    assert not metrics.PriorDistance(value=0.51, **shown).indistinguishable


def test_many_codes_are_thinned_over_their_whole_length():
    codes = torch.cat([torch.zeros(5000, 1), torch.ones(5000, 1)])
    asked = []

    def draw(n):
        asked.append(n)
        return torch.randint(2, (n, 1), generator=seeded(len(asked))).float()

    result = metrics.prior_distance(codes, draw, repeats=3)
    assert set(asked) == {2000}
    assert result.points == 2000
    assert result.offset < 0.15
    assert result.indistinguishable


def test_sampling_error_needs_repeats():
    with pytest.raises(ValueError, match="at least 2"):
        metrics.prior_distance(normal(9, 2), sampler(0), repeats=1)


# --- sliced Wasserstein


def test_sliced_wasserstein_in_one_dimension_is_exact():
    a, b = torch.tensor([[1.0], [0.0]]), torch.tensor([[2.0], [4.0]])
    assert metrics.sliced_wasserstein(a, b, seeded()) == pytest.approx(math.sqrt((4 + 9) / 2))


def test_sliced_wasserstein_of_a_shift():
    a = normal(100, 3)
    shift = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64)
    distance = metrics.sliced_wasserstein(a, a + shift, seeded(), projections=20_000)
    assert distance == pytest.approx(3 / math.sqrt(3), rel=0.02)


def test_sliced_wasserstein_of_two_sizes():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [0.0], [2.0], [3.0]])
    assert metrics.sliced_wasserstein(a, b, seeded()) == pytest.approx(0.5)


# --- classification and clustering


def test_error_rate_leaves_out_what_has_no_label():
    predicted, labels = torch.tensor([0, 1, 2, 2, 0]), torch.tensor([0, 1, 1, -1, 2])
    assert metrics.error_rate(predicted, labels) == 0.5


@pytest.mark.parametrize("labels", [torch.tensor([0]), torch.tensor([-1, -1])])
def test_error_rate_refuses(labels):
    with pytest.raises(ValueError, match="label"):
        metrics.error_rate(torch.tensor([0, 1]), labels)


def test_component_accuracy_by_hand():
    log_prob = torch.tensor([[0.0, -1, -2], [-3, -2, -math.inf], [-3, -2, -1], [0, -1, -1]])
    assert metrics.component_accuracy(log_prob, torch.tensor([0, 1, 0, -1])) == pytest.approx(2 / 3)


# Five points in clusters 0 0 0 1 1, of 3; labels 1 1 2 / 2 0.
CLUSTERS, LABELS = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([1, 1, 2, 2, 0])
CONFIDENCE = torch.tensor(
    [[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.1, 0.7, 0.2]]
)


def test_clusters_by_majority():
    names = metrics.cluster_names(CLUSTERS, LABELS, 3)
    assert names.tolist() == [1, 0, -1]  # cluster 1 is a draw: the smaller label; 2 is empty
    assert metrics.cluster_error(CLUSTERS, LABELS, 3) == 2 / 5


def test_clusters_by_confidence():
    arguments = {"naming": "confident", "confidence": CONFIDENCE}
    # cluster 0 is surest of the third point, 1 of the fifth, 2 of the first of equals
    assert metrics.cluster_names(CLUSTERS, LABELS, 3, **arguments).tolist() == [2, 0, 1]
    assert metrics.cluster_error(CLUSTERS, LABELS, 3, **arguments) == 3 / 5


def test_clusters_are_not_named_after_what_has_no_label():
    labels = torch.tensor([1, -1, -1, 2, -1])
    assert metrics.cluster_names(CLUSTERS, labels, 2).tolist() == [1, 2]
    names = metrics.cluster_names(
        CLUSTERS, labels, 2, naming="confident", confidence=CONFIDENCE[:, :2]
    )
    assert names.tolist() == [1, 2]


def test_majority_is_the_best_naming():
    generator = seeded()
    clusters = torch.randint(3, (60,), generator=generator)
    labels = torch.randint(4, (60,), generator=generator)
    best = min(
        metrics.error_rate(torch.tensor(names)[clusters], labels)
        for names in itertools.product(range(4), repeat=3)
    )
    assert metrics.cluster_error(clusters, labels, 3) == best


@pytest.mark.parametrize("confidence", [None, CONFIDENCE[:, 0]])
def test_naming_by_confidence_needs_it(confidence):
    with pytest.raises(ValueError, match=r"needs probabilities \[5, 3\]"):
        metrics.cluster_error(CLUSTERS, LABELS, 3, naming="confident", confidence=confidence)


def test_clusters_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"0\.\.0"):
        metrics.cluster_error(CLUSTERS, LABELS, 1)


# --- variety


def test_variety_by_hand():
    # Variances per pixel: class 0 (2, 0), class 1 (8, 0) generated; (2, 2), (2, 2) real.
    generated = torch.tensor([[0.0, 5], [2, 5], [0, 1], [4, 1]])
    real = torch.tensor([[0.0, 0], [2, 2], [1, 1], [3, 3]])
    labels = torch.tensor([0, 0, 1, 1])
    assert metrics.variety(generated, labels, real, labels).value == ((1 + 4) / 2) / ((2 + 2) / 2)


def test_variety_of_copies_is_none_and_of_the_real_ones_all():
    real, labels = normal(40, 6).view(40, 1, 2, 3), torch.arange(40) % 4
    assert metrics.variety(real, labels, real, labels).value == 1
    copies = real[:4].repeat(10, 1, 1, 1)
    assert metrics.variety(copies, labels, real, labels).value == pytest.approx(0, abs=1e-12)


def test_variety_compares_only_classes_that_were_generated():
    real, labels = normal(40, 6), torch.arange(40) % 4
    real[labels == 3] *= 100
    mine = labels < 3
    assert metrics.variety(real[mine], labels[mine], real, labels).value == 1


def test_variety_refuses_two_scales_and_lone_pictures():
    bytes_, floats = torch.zeros(4, 2, dtype=torch.uint8), torch.zeros(4, 2)
    labels = torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match="one type"):
        metrics.variety(floats, labels, bytes_, labels)
    with pytest.raises(ValueError, match="class 1 has 1"):
        metrics.variety(floats[:3], labels[:3], floats, labels)
