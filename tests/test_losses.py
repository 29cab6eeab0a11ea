"""Loss terms, against values by hand and against torch's own."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import distributions as D

from aae import losses


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_reconstruction_by_hand():
    x_hat, x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 6.0]])
    assert losses.squared_error(x_hat, x).item() == 0.5 * ((1 + 4) + (9 + 4)) / 2
    assert losses.absolute_error(x_hat, x).item() == ((1 + 2) + (3 + 2)) / 2


@pytest.mark.parametrize(
    ("name", "of_torch"),
    [
        ("squared", lambda *pair: 0.5 * F.mse_loss(*pair, reduction="sum")),
        ("absolute", lambda *pair: F.l1_loss(*pair, reduction="sum")),
    ],
)
def test_reconstruction_sums_over_pixels_and_averages_over_the_batch(name, of_torch):
    loss = losses.RECONSTRUCTION[name]
    x_hat, x = randn(5, 1, 4, 4), randn(5, 1, 4, 4, seed=1)
    expected = of_torch(x_hat, x) / 5
    torch.testing.assert_close(loss(x_hat, x), expected)
    twice_the_pixels = loss(torch.cat([x_hat] * 2, 3), torch.cat([x] * 2, 3))
    twice_the_pictures = loss(torch.cat([x_hat] * 2), torch.cat([x] * 2))
    torch.testing.assert_close(twice_the_pixels, 2 * expected)
    torch.testing.assert_close(twice_the_pictures, expected)


def test_the_cross_entropy_of_pixels():
    x_hat, x = torch.tanh(randn(5, 1, 4, 4)), torch.rand((5, 1, 4, 4)) * 2 - 1
    expected = F.binary_cross_entropy((x_hat + 1) / 2, (x + 1) / 2, reduction="sum") / 5
    torch.testing.assert_close(losses.cross_entropy(x_hat, x), expected)


def test_the_cross_entropy_bears_pixels_that_are_sure():
    u = torch.tensor([[-50.0, -5.0, 5.0, 50.0]], requires_grad=True)
    for x in (-torch.ones(1, 4), torch.ones(1, 4)):
        loss = losses.cross_entropy(torch.tanh(u), x)
        (grad,) = torch.autograd.grad(loss, u)
        assert loss.isfinite()
        torch.testing.assert_close(grad[0, 1:3], (torch.tanh(u) - x)[0, 1:3], rtol=0.01, atol=1e-4)
        assert grad.isfinite().all()


def test_discriminator_by_hand():
    undecided = losses.discriminator(torch.zeros(3), torch.zeros(3))
    assert undecided.item() == pytest.approx(2 * math.log(2))
    # sigmoid(ln 3) = 3/4: three to one that the real is real, and that the fake is real.
    logit = torch.tensor([math.log(3)])
    assert losses.discriminator(logit, logit).item() == pytest.approx(math.log(4 / 3) + math.log(4))


def test_discriminator_and_generator_agree_with_torch():
    real, fake = 3 * randn(20), 3 * randn(20, seed=1)
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(20)) + bce(fake, torch.zeros(20))
    torch.testing.assert_close(losses.discriminator(real, fake), expected)
    torch.testing.assert_close(losses.generator(fake), bce(fake, torch.ones(20)))


def test_the_generator_does_not_saturate():
    logit = torch.tensor([-50.0], requires_grad=True)
    losses.generator(logit).backward()
    assert logit.grad.item() == pytest.approx(-1)
    assert losses.generator(torch.tensor([math.log(3)])).item() == pytest.approx(math.log(4 / 3))


def test_classification_by_hand():
    logits = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]).log()
    labels = torch.tensor([0, 2])
    expected = -(math.log(0.7) + math.log(0.25)) / 2
    assert losses.classification(logits, labels).item() == pytest.approx(expected)


def test_kl_by_hand():
    # Unit posterior one prior std from the centre: 1/2 a dimension.
    kl = losses.kl_standard_gaussian(torch.full((4, 3), 2.0), torch.full((4, 3), 2.0), 2.0)
    assert kl.item() == pytest.approx(1.5)


@pytest.mark.parametrize("prior_std", [1.0, 5.0])
def test_kl_agrees_with_torch(prior_std):
    mean, std = randn(6, 4), randn(6, 4, seed=1).exp()
    expected = D.kl_divergence(D.Normal(mean, std), D.Normal(0.0, prior_std)).sum(1).mean()
    torch.testing.assert_close(losses.kl_standard_gaussian(mean, std, prior_std), expected)


def test_monte_carlo_agrees_with_the_closed_form():
    mean, std = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, 0.8]])
    z = mean + std * randn(200_000, 2)
    log_q = D.Normal(mean, std).log_prob(z).sum(1)
    log_p = D.Normal(0.0, 1.5).log_prob(z).sum(1)
    estimate = losses.kl_monte_carlo(log_q, log_p)
    expected = losses.kl_standard_gaussian(mean, std, 1.5)
    assert estimate.item() == pytest.approx(expected.item(), abs=0.01)


def two_classes(weight):
    """Logits 0 and weight · x."""
    return lambda x: torch.stack([torch.zeros(len(x)), x.flatten(1) @ weight], 1)


def neighbours_divergence(x, weight, radius, seed=0):
    logits_of = two_classes(weight)
    generator = torch.Generator().manual_seed(seed)
    return losses.virtual_adversarial(
        logits_of, x, logits_of(x), radius=radius, generator=generator
    )


@pytest.mark.parametrize("radius", [0.1, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_worst_neighbour_of_a_linear_classifier_is_along_its_weights(radius, seed):
    x, weight = randn(1, 1, 3, 3), 0.5 * randn(9, seed=1)
    found = neighbours_divergence(x, weight, radius, seed).item()
    p = two_classes(weight)(x).softmax(1)
    r = (radius * weight / weight.norm()).reshape(1, 1, 3, 3)
    worst = []
    for sign in (-1, 1):
        q = two_classes(weight)(x + sign * r).softmax(1)
        worst.append((p * (p / q).log()).sum().item())
    assert found in (pytest.approx(worst[0], rel=1e-3), pytest.approx(worst[1], rel=1e-3))


def test_virtual_adversarial_averages_over_the_batch():
    x, weight = randn(1, 1, 3, 3), randn(9, seed=1)
    one = neighbours_divergence(x, weight, 1e-2)  # so near that both signs agree
    many = neighbours_divergence(x.expand(8, -1, -1, -1), weight, 1e-2, seed=1)
    torch.testing.assert_close(many, one, rtol=0.05, atol=0)


def test_virtual_adversarial_moves_the_neighbour_alone():
    x, weight = randn(5, 1, 3, 3), randn(9, seed=1).requires_grad_()
    logits = two_classes(weight)(x).detach().requires_grad_()
    generator, state = torch.Generator().manual_seed(0), torch.get_rng_state()
    loss = losses.virtual_adversarial(
        two_classes(weight), x, logits, radius=1.0, generator=generator
    )
    through_neighbour, through_picture = torch.autograd.grad(
        loss, [weight, logits], allow_unused=True
    )
    assert through_neighbour.any()
    assert through_picture is None
    assert torch.equal(state, torch.get_rng_state())


def test_virtual_adversarial_of_a_constant_is_zero():
    assert neighbours_divergence(randn(5, 1, 3, 3), torch.zeros(9), 1.0).item() == 0


@pytest.mark.parametrize("probe", [0.02, 0.5])
def test_the_power_method_looks_as_far_as_its_probe_from_every_picture(probe):
    looks = []

    def gradient(divergence, r):
        looks.append(r)
        return losses.gradient(divergence, r)

    x, logits_of = randn(5, 1, 3, 3), two_classes(randn(9, seed=1))
    losses.virtual_adversarial(
        logits_of, x, logits_of(x), radius=1.0, generator=torch.Generator().manual_seed(0),
        probe=probe, gradient=gradient,
    )  # fmt: skip
    (r,) = looks
    torch.testing.assert_close(r.flatten(1).norm(dim=1), torch.full((5,), probe))


def along_the_style(drawn, weight, **changes):
    """The loss of a linear classifier beside a linear decoder; its pictures and codes."""
    x, z = randn(6, 9), randn(6, 2, seed=2).requires_grad_()
    logits_of = two_classes(weight)
    settings = {"radius": 0.7, "generator": torch.Generator().manual_seed(0), **changes}
    loss = losses.tangent_adversarial(
        logits_of, lambda code: code @ drawn, x, z, logits_of(x), **settings
    )
    return loss, x, z


@pytest.mark.parametrize("seed", range(4))
def test_the_worst_move_of_a_style_is_along_what_the_decoder_draws(seed):
    drawn, weight = randn(2, 9, seed=3), 0.5 * randn(9, seed=1)
    generator = torch.Generator().manual_seed(seed)
    found, x, _ = along_the_style(drawn, weight, generator=generator)
    r = 0.7 * (drawn @ weight) / (drawn @ weight).norm() @ drawn
    p = two_classes(weight)(x).softmax(1)
    q = torch.stack([two_classes(weight)(x + sign * r).softmax(1) for sign in (-1, 1)])
    worst = (p * (p / q).log()).sum(2)
    # Each move goes one way or the other: the mean is one of those that signs can make.
    signs = torch.cartesian_prod(*[torch.arange(2)] * 6)
    possible = worst[signs, torch.arange(6)].mean(1)
    assert (possible - found).abs().min() < 1e-4


def test_a_style_moves_neither_code_nor_decoder():
    drawn, weight = randn(2, 9).requires_grad_(), randn(9, seed=1).requires_grad_()
    loss, _, z = along_the_style(drawn, weight)
    of_weight, of_drawn, of_z = torch.autograd.grad(loss, [weight, drawn, z], allow_unused=True)
    assert of_weight.any()
    assert of_drawn is None
    assert of_z is None


def test_a_style_that_draws_nothing_tells_nothing():
    assert along_the_style(torch.zeros(2, 9), randn(9))[0].item() == 0


TERMS = {
    "squared": lambda a, b: losses.squared_error(a[:, None], b.float()[:, None]),
    "absolute": lambda a, b: losses.absolute_error(a[:, None], b.float()[:, None]),
    "bernoulli": lambda a, b: losses.cross_entropy(a.tanh()[:, None], b.float().tanh()[:, None]),
    "discriminator": losses.discriminator,
    "generator": lambda a, b: losses.generator(a),
    "classification": lambda a, b: losses.classification(a[:, None].expand(-1, 2), b.long() * 0),
    "kl": lambda a, b: losses.kl_standard_gaussian(a[:, None], b.exp()[:, None]),
}


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_loss_is_one_number_in_float32(term, dtype):
    loss = term(randn(8).to(dtype), randn(8, seed=1).to(dtype))
    assert loss.shape == ()
    assert loss.dtype == torch.float32


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_extreme_logits_stay_finite(logit):
    logits = torch.full((4,), logit, requires_grad=True)
    loss = losses.discriminator(logits, logits) + losses.generator(logits)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_crowding_counts_what_is_missing_between_heads():
    heads = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])  # distances 5, 1 and √18
    assert float(losses.crowding(heads, 4.5)) == pytest.approx(3.5 + 4.5 - math.sqrt(18))
    assert float(losses.crowding(heads, 1.0)) == 0


def test_heads_in_one_place_have_a_finite_gradient():
    heads = torch.zeros(2, 2, requires_grad=True)
    losses.crowding(heads, 1.0).backward()
    assert heads.grad.isfinite().all()


def test_imbalance_of_a_class_that_has_vanished_has_a_gradient():
    logits = torch.tensor([[0.0, -200.0], [0.0, -200.0]], requires_grad=True)
    loss = losses.imbalance(logits)
    assert loss.item() == pytest.approx(math.log(2))
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_imbalance_by_hand():
    certain = torch.eye(2) * 200
    assert float(losses.imbalance(certain)) == pytest.approx(0, abs=1e-6)
    assert float(losses.imbalance(certain[:1])) == pytest.approx(math.log(2))
    p = torch.tensor([[0.75, 0.25]])
    expected = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert float(losses.imbalance(p.log())) == pytest.approx(expected, rel=1e-5)
    assert float(losses.imbalance(p.log(), slack=0.1)) == pytest.approx(expected - 0.1, rel=1e-4)


def test_imbalance_is_of_the_mean_of_probabilities():
    y = torch.tensor([[0.9, 0.1], [0.5, 0.5]])  # 0.7 and 0.3; of the mean logits 0.75 and 0.25
    expected = math.log(2) + 0.7 * math.log(0.7) + 0.3 * math.log(0.3)
    assert float(losses.imbalance(y.log())) == pytest.approx(expected, rel=1e-5)


def test_shares_within_the_slack_are_left_alone():
    logits = torch.tensor([[0.75, 0.25]]).log().requires_grad_()
    loss = losses.imbalance(logits, slack=0.2)
    assert loss == 0
    assert not torch.autograd.grad(loss, logits)[0].any()


def test_inconsistency_is_the_divergence_at_the_neighbours_and_moves_their_classes_alone():
    weight = randn(9, seed=1).requires_grad_()
    x, neighbours = randn(6, 9), randn(6, 9, seed=2)
    logits = two_classes(weight)(x)
    loss = losses.inconsistency(two_classes(weight), neighbours, logits)
    p, q = (two_classes(weight)(at).softmax(1) for at in (x, neighbours))
    torch.testing.assert_close(loss, (p * (p / q).log()).sum(1).mean())
    at_x = torch.zeros_like(logits).requires_grad_()
    loss = losses.inconsistency(two_classes(weight), neighbours, at_x)
    of_logits, of_weight = torch.autograd.grad(loss, [at_x, weight], allow_unused=True)
    assert of_logits is None
    assert of_weight.any()
    assert losses.inconsistency(two_classes(weight), x, logits).abs() < 1e-6


# --- sharpened


def test_the_harmonic_error():
    x_hat = torch.tensor([[0.5, -1.0], [0.0, 0.5]], requires_grad=True)
    x = torch.zeros(2, 2)  # errors of 1.5 and 0.5; to both 2 · 0.01
    mean = 2 / (1 / 1.52 + 1 / 0.52)
    loss = losses.harmonic_error(x_hat, x)
    assert loss.item() == pytest.approx(mean - 0.02)
    loss.backward()
    weights = [mean**2 / 1.52**2 / 2, mean**2 / 0.52**2 / 2]
    torch.testing.assert_close(x_hat.grad[0], weights[0] * torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(x_hat.grad[1], weights[1] * torch.tensor([0.0, 1.0]))
    assert losses.harmonic_error(x, x).item() == 0


def test_the_best_guess_by_the_harmonic_error_is_one_of_two_kinds_and_not_between():
    """Two kinds of pictures, 6 : 4, of which no pixel is the same; one guess for all."""
    kinds = torch.tensor([[1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, 1.0]])
    x = kinds.repeat_interleave(torch.tensor([6, 4]), dim=0)
    between = [(1 - t) * kinds[0] + t * kinds[1] for t in torch.linspace(0, 1, 11)]
    errors = torch.stack([losses.harmonic_error(guess.expand(10, 4), x) for guess in between])
    assert errors.argmin() == 0
    assert errors.argmax() not in (0, 10)
    assert errors[-1] < errors[5]


def test_a_sharpened_loss_is_the_first_one_and_then_the_harmonic_error():
    x_hat, x = torch.tensor([[0.5, -1.0], [0.0, 2.0]]), torch.zeros(2, 2)
    loss = losses.Sharpened(losses.squared_error, 0.5)
    late = losses.harmonic_error(x_hat, x).item()
    for share, expected in [(0, 1.3125), (0.49, 1.3125), (0.5, late), (0.9, late), (0.1, 1.3125)]:
        loss.reach(share)
        assert loss(x_hat, x).item() == expected
