"""Priors: samples, densities, and the places at which to look."""

import functools
import math

import pytest
import torch
from torch import distributions as D

from aae.priors import Categorical, Gaussian, Mixture, Prior, Spots, SwissRoll, Uniform

PLANE = {
    "gaussian": Gaussian(2, 0.7),
    "uniform": Uniform(2, 0.8),
    "mixture": Mixture(),
    "swiss-roll": SwissRoll(4),
}
LABELLED = {"mixture": Mixture(4), "swiss-roll": SwissRoll(), "categorical": Categorical(10)}
MANY = 100_000
plane = pytest.mark.parametrize("prior", PLANE.values(), ids=PLANE)
labelled = pytest.mark.parametrize("prior", LABELLED.values(), ids=LABELLED)


def draw(prior, n=MANY, labels=None, seed=0):
    return prior.sample(n, labels=labels, generator=torch.Generator().manual_seed(seed))


def of_part(prior, k, n=MANY):
    return draw(prior, n, torch.full((n,), k))


HALF, SIZE = 4.8, 0.05


@functools.cache
def mass(name):
    """The mass in each of the small cells of [-HALF, HALF]², [parts + 1, n, n]; the last in all."""
    line = torch.arange(-HALF + SIZE / 2, HALF, SIZE)
    points = torch.cartesian_prod(line, line)
    log_p = PLANE[name].component_log_prob(points)
    log_p = torch.cat([log_p, PLANE[name].log_prob(points)[:, None]], 1)
    return (log_p.exp() * SIZE**2).T.unflatten(1, (len(line), -1))


# --- samples


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize(
    ("prior", "variance"),
    [(lambda dim: Gaussian(dim, 1.5), 1.5**2), (lambda dim: Uniform(dim, 0.8), 0.8**2 / 3)],
    ids=["gaussian", "uniform"],
)
def test_moments_of_a_prior_without_parts(prior, variance, dim):
    z = draw(prior(dim))
    assert z.shape == (MANY, dim)
    torch.testing.assert_close(z.mean(0), torch.zeros(dim), atol=0.03, rtol=0)
    cov = z.T.cov().reshape(dim, dim)
    torch.testing.assert_close(cov, variance * torch.eye(dim), atol=0.03, rtol=0)


def test_uniform_fills_its_cube_and_no_more():
    z = draw(Uniform(2, 0.8))
    assert z.abs().max() <= 0.8
    assert z.amin() < -0.799
    assert z.amax() > 0.799


def test_moments_of_the_mixture():
    # Ten rotations of one ellipse: the mean vanishes, and the spread is the same in all directions.
    z = draw(Mixture())
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=0.02, rtol=0)
    variance = (1.4**2 + 0.5**2 + 0.1**2) / 2
    torch.testing.assert_close(z.T.cov(), variance * torch.eye(2), atol=0.02, rtol=0)


@pytest.mark.parametrize("k", range(10))
@pytest.mark.parametrize("pair", [0, 1])
def test_moments_of_each_component_of_the_mixture(k, pair):
    z = of_part(Mixture(4), k, 20_000)[:, 2 * pair : 2 * pair + 2]
    angle = 2 * math.pi * k / 10
    along = torch.tensor([math.cos(angle), math.sin(angle)])
    across = torch.tensor([-math.sin(angle), math.cos(angle)])
    assert (z @ along).mean().item() == pytest.approx(1.4, abs=0.02)
    assert (z @ across).mean().item() == pytest.approx(0, abs=0.01)
    assert (z @ along).std().item() == pytest.approx(0.5, rel=0.03)
    assert (z @ across).std().item() == pytest.approx(0.1, rel=0.03)


def test_the_mixtures_parameters_are_used():
    prior = Mixture(2, components=4, radius=3, radial_std=0.2, tangential_std=0.3)
    z = of_part(prior, 1, 20_000)  # straight up
    torch.testing.assert_close(z.mean(0), torch.tensor([0.0, 3.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([0.3, 0.2]), atol=0.01, rtol=0)


@pytest.mark.parametrize("k", range(10))
def test_the_swiss_roll_by_label(k):
    z = of_part(SwissRoll(std=1e-6), k, 20_000)
    t = z.norm(dim=1) / 3
    u = t.square()
    assert k / 10 - 1e-4 < u.min() < (k + 0.01) / 10
    assert (k + 0.99) / 10 < u.max() < (k + 1) / 10 + 1e-4
    assert u.mean().item() == pytest.approx((k + 0.5) / 10, abs=2e-3)
    angle = 4 * math.pi * t
    on_roll = 3 * t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    torch.testing.assert_close(z, on_roll, atol=1e-3, rtol=0)


def test_the_swiss_rolls_noise():
    prior = SwissRoll(std=0.3)
    z, line = of_part(prior, 4), of_part(SwissRoll(std=1e-9), 4)
    # Same seed, same place on the roll: what differs is the noise.
    torch.testing.assert_close((z - line).T.cov(), 0.09 * torch.eye(2), atol=2e-3, rtol=0)


def test_categorical_is_uniform_over_one_hot_rows():
    y = draw(Categorical(4))
    assert y.dtype == torch.float32
    assert torch.equal(y.sum(1), torch.ones(MANY))
    assert torch.equal(y.amax(1), torch.ones(MANY))
    torch.testing.assert_close(y.mean(0), torch.full((4,), 0.25), atol=0.01, rtol=0)
    assert torch.equal(of_part(Categorical(4), 2, 3), torch.tensor([[0.0, 0.0, 1.0, 0.0]] * 3))


def part_of(prior, z):
    return prior.component_log_prob(z).argmax(1)


SHARP = {
    "mixture": Mixture(4, radial_std=0.01, tangential_std=0.01),
    "swiss-roll": SwissRoll(std=1e-3),
    "categorical": Categorical(10),
}
sharp = pytest.mark.parametrize("prior", SHARP.values(), ids=SHARP)


@sharp
def test_labels_name_the_part(prior):
    labels = torch.arange(10).repeat(100)
    assert (part_of(prior, draw(prior, 1000, labels)) == labels).float().mean() > 0.99


@sharp
def test_no_label_draws_all_parts_evenly(prior):
    shares = part_of(prior, draw(prior, 5000, torch.full((5000,), -1))).bincount(minlength=10)
    torch.testing.assert_close(shares / 5000, torch.full((10,), 0.1), atol=0.02, rtol=0)


@sharp
def test_labels_and_no_labels_mix(prior):
    labels = torch.tensor([3, -1]).repeat(1000)
    parts = part_of(prior, draw(prior, 2000, labels))
    assert (parts[::2] == 3).float().mean() > 0.99
    assert len(parts[1::2].unique()) == 10


@pytest.mark.parametrize("prior", [Mixture(4, components=1), SwissRoll(components=1)])
def test_labels_make_no_difference_to_a_single_part(prior):
    assert torch.equal(draw(prior, 50, torch.full((50,), 9)), draw(prior, 50))


@labelled
def test_no_labels_is_the_same_as_minus_one(prior):
    assert torch.equal(draw(prior, 50), draw(prior, 50, torch.full((50,), -1)))


@pytest.mark.parametrize("prior", {**PLANE, **LABELLED}.values(), ids={**PLANE, **LABELLED})
def test_the_generator_decides_the_samples(prior):
    before = torch.get_rng_state()
    first = draw(prior, 50, seed=1)
    assert torch.equal(first, draw(prior, 50, seed=1))
    assert not torch.equal(first, draw(prior, 50, seed=2))
    assert torch.equal(before, torch.get_rng_state())


@labelled
def test_a_label_out_of_range_is_refused(prior):
    draw(prior, 2, torch.tensor([0, 9]))
    with pytest.raises(ValueError, match=r"label 10 has no part .* 10, labels 0 to 9"):
        draw(prior, 2, torch.tensor([0, 10]))


@labelled
def test_a_label_for_each_sample(prior):
    with pytest.raises(ValueError, match=r"3 samples need 3 labels, not a tensor of \(2,\)"):
        draw(prior, 3, torch.tensor([0, 1]))


def test_the_mixture_refuses_odd_dimensions():
    with pytest.raises(ValueError, match="dim must be even, not 3"):
        Mixture(3)


def test_spots_over_a_grid_are_those_at_each_place():
    spots = Spots(torch.tensor([[1.0, 0.5], [-1.0, 2.0], [0.0, 0.0]]), Gaussian(2, 0.7))
    x, y = torch.linspace(-3, 3, 13), torch.linspace(-2, 4, 7)
    found, expected = spots.log_prob_over(x, y), Prior.log_prob_over(spots, x, y)
    assert found.shape == (7, 13)
    torch.testing.assert_close(found, expected)
    code = torch.tensor([[x[4], y[5]]])
    torch.testing.assert_close(found[5, 4], spots.log_prob(code)[0])


def test_spots_are_the_prior_around_each_point():
    centres = torch.tensor([[3.0, 0.0], [-3.0, 1.0]])
    spots = Spots(centres, Gaussian(2, 0.1))
    for k in (0, 1):
        z = of_part(spots, k)
        torch.testing.assert_close(z.mean(0), centres[k], atol=0.01, rtol=0)
        torch.testing.assert_close(z.std(0), torch.full((2,), 0.1), atol=0.01, rtol=0)
    expected = Gaussian(2, 0.1).log_prob(torch.tensor([[0.1, -0.2]])) - math.log(2)
    torch.testing.assert_close(spots.log_prob(torch.tensor([[3.1, -0.2]])), expected)
    assert (part_of(spots, draw(spots)) == 0).float().mean() == pytest.approx(0.5, abs=0.02)
    assert spots.limit == pytest.approx(3 + 0.35)


# --- densities


@pytest.mark.parametrize("name", PLANE)
def test_densities_integrate_to_one(name):
    total = mass(name).sum((1, 2))
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("name", "k"),
    [*((name, -1) for name in PLANE), *((n, k) for n in ("mixture", "swiss-roll") for k in (0, 3))],
)
def test_samples_follow_the_density(name, k):
    expected = mass(name)[k].unfold(0, 8, 8).unfold(1, 8, 8).sum((-1, -2))
    z = of_part(PLANE[name], k)
    seen = torch.histogramdd(z, expected.shape, range=[-HALF, HALF, -HALF, HALF]).hist / MANY
    assert 0.5 * (seen - expected).abs().sum() < 0.02  # the distance in total variation


def test_gaussian_agrees_with_torch():
    z = draw(Gaussian(3, 2.0), 100)
    expected = D.Normal(0.0, 1.3).log_prob(z).sum(1)
    torch.testing.assert_close(Gaussian(3, 1.3).log_prob(z), expected)


def test_uniform_agrees_with_torch():
    z = draw(Uniform(3, 0.8), 100)
    expected = D.Uniform(-0.9, 0.9).log_prob(z).sum(1)
    torch.testing.assert_close(Uniform(3, 0.9).log_prob(z), expected)
    assert Uniform(2, 0.8).log_prob(torch.tensor([[0.0, 0.81]])).item() == -math.inf


def test_mixture_agrees_with_torch():
    angles = 2 * math.pi / 5 * torch.arange(5)
    along = torch.stack([angles.cos(), angles.sin()], 1)
    across = torch.stack([-angles.sin(), angles.cos()], 1)
    turn = torch.stack([along, across], 2)  # columns
    cov = turn @ torch.diag(torch.tensor([0.6, 0.2])).square() @ turn.mT
    parts = D.MultivariateNormal(2.0 * along, cov)
    expected = D.MixtureSameFamily(D.Categorical(torch.ones(5)), parts)
    prior = Mixture(2, 5, 2.0, 0.6, 0.2)
    z = draw(prior, 100)
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z), atol=1e-3, rtol=1e-4)
    # In four dimensions one component serves both pairs.
    by_part = parts.log_prob(z[:50, None]) + parts.log_prob(z[50:, None])
    z4 = torch.cat([z[:50], z[50:]], 1)
    torch.testing.assert_close(
        Mixture(4, 5, 2.0, 0.6, 0.2).component_log_prob(z4), by_part, atol=1e-2, rtol=1e-4
    )


def test_categorical_log_prob():
    log_p = Categorical(4).log_prob(torch.eye(4))
    torch.testing.assert_close(log_p, torch.full((4,), -math.log(4)))


@plane
def test_log_prob_has_gradients(prior):
    z = draw(prior, 20).requires_grad_()
    log_p = prior.log_prob(z)
    assert log_p.isfinite().all()
    if log_p.requires_grad:
        assert torch.autograd.grad(log_p.sum(), z)[0].isfinite().all()
    else:
        assert isinstance(prior, Uniform)


@plane
def test_lower_precision_around_it_leaves_the_density_as_it_is(prior):
    z = draw(prior, 50)
    with torch.autocast("cpu", torch.bfloat16):
        low = prior.log_prob(z)
    torch.testing.assert_close(low, prior.log_prob(z))


# --- the manifold


@pytest.mark.parametrize(
    ("prior", "half"), [(Gaussian(2), 3), (Gaussian(4, 5), 15), (Uniform(2, 2), 2)]
)
def test_the_square_manifold_reads_as_a_plot(prior, half):
    codes = prior.manifold(5)
    assert codes.shape == (1, 25, prior.dim)
    square = codes[0, :, :2].reshape(5, 5, 2)
    assert square[0, 0].tolist() == [-half, half]  # top left
    assert square[0, -1].tolist() == [half, half]
    assert square[-1, 0].tolist() == [-half, -half]
    assert square[2, 2].tolist() == [0, 0]
    assert square[2, 3].tolist() == [half / 2, 0]
    assert not codes[0, :, 2:].any()


def test_the_manifold_of_one_dimension():
    assert Gaussian(1).manifold(3)[0, :3, 0].tolist() == [-3, 0, 3]


@pytest.mark.parametrize("dim", [2, 4])
def test_the_mixtures_manifold_has_a_picture_for_each_component(dim):
    codes = Mixture(dim).manifold(3)
    assert codes.shape == (10, 9, dim)
    # Component 0 points to the right: ±1 along x, ±0.2 along y.
    top, middle, bottom = codes[0, :, :2].reshape(3, 3, 2)
    expected = [[0.4, 0.2], [1.4, 0.2], [2.4, 0.2]]
    torch.testing.assert_close(top, torch.tensor(expected))
    torch.testing.assert_close(middle[1], torch.tensor([1.4, 0.0]))
    torch.testing.assert_close(bottom[0], torch.tensor([0.4, -0.2]))
    for k in range(10):
        turned = codes[0, :, 0] + 1j * codes[0, :, 1]
        turned = turned * torch.exp(torch.tensor(2j * math.pi * k / 10))
        for pair in codes[k].split(2, 1):
            torch.testing.assert_close(pair[:, 0] + 1j * pair[:, 1], turned)


def test_the_swiss_rolls_manifold_runs_outwards():
    codes = SwissRoll().manifold(5)
    assert codes.shape == (1, 25, 2)
    distance = codes[0].norm(dim=1)
    assert (distance.diff() > 0).all()
    torch.testing.assert_close(distance, 3 * ((torch.arange(25) + 0.5) / 25).sqrt())


def test_the_categorical_manifold_is_the_classes():
    assert torch.equal(Categorical(3).manifold(7), torch.eye(3)[None])


@plane
def test_the_frame_shows_the_prior(prior):
    assert (draw(prior).abs() <= prior.limit).all(1).float().mean() > 0.99


def test_frames_by_hand():
    assert Mixture(2, radius=5.0, radial_std=0.5, tangential_std=0.25).limit == 7
    assert Mixture(2, radius=5.0, radial_std=0.25, tangential_std=0.5).limit == 7
    assert Gaussian(2, 2.0).limit == 7
    assert SwissRoll(radius=3.0, std=0.2).limit == 4


def test_the_manifold_of_spots_is_a_square_over_all_of_them():
    spots = Spots(torch.tensor([[6.0, 0.0], [-2.0, 1.0]]), Gaussian(2, 2.0))
    square = spots.manifold(3)[0].reshape(3, 3, 2)
    assert square[0, 0].tolist() == [-13, 13]  # six and 3.5 deviations
    assert square[2, 2].tolist() == [13, -13]
