"""The loss terms, one pure function each; those of others name their source.

Sources: [AAE] Makhzani et al., Adversarial Autoencoders, arXiv:1511.05644; [GAN] Goodfellow et al.,
arXiv:1406.2661; [VAE] Kingma and Welling, arXiv:1312.6114; [VAT] Miyato et al.,
arXiv:1704.03976; [TNAR] Yu et al., arXiv:1808.06088; [RSTP] Sajjadi et al., Regularization With
Stochastic Transformations and Perturbations, arXiv:1606.04586.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AS_GOOD_AS_NONE = 0.01
"""An absolute error of a pixel in [-1, 1] that cannot be seen: 1.3 of 256 shades."""


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Half the squared error, summed over pixels, averaged over the batch ([AAE], phase 1).

    It is the negative log-likelihood of a unit Gaussian around ``x_hat``, up to a constant; the
    best ``x_hat`` is a mean, so what a code leaves open is blurred. The weights of the adversarial
    terms are balanced against the sum over pixels.

    Args:
        x_hat: reconstructions, [n, …].
        x: the clean pictures, of the same shape.
    """
    return 0.5 * (x_hat.float() - x).square().flatten(1).sum(1).mean()


def absolute_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """The absolute error, summed over pixels, averaged over the batch.

    It is the negative log-likelihood of a Laplace distribution of scale 1 around ``x_hat``, up to a
    constant; the best ``x_hat`` is a median, so strokes stay sharp where a mean would blur them.

    Args:
        x_hat: reconstructions, [n, …].
        x: the clean pictures, of the same shape.
    """
    return (x_hat.float() - x).abs().flatten(1).sum(1).mean()


def batch_mean(x: Tensor) -> Tensor:
    """The mean over a batch, [n, d] → [d]."""
    return x.mean(0)


def harmonic_error(
    x_hat: Tensor, x: Tensor, mean: Callable[[Tensor], Tensor] = batch_mean
) -> Tensor:
    """The harmonic mean, over the batch, of pictures' absolute errors summed over pixels.

    A picture's gradient is weighted by the square of (this mean / its error). If one code stands
    for pictures of two kinds, the best guess is a mode, which is one of the kinds, and the other's
    pictures are let go; a mean blurs the two, and a median mixes their strokes. An error of
    `AS_GOOD_AS_NONE` a pixel is added to each picture's and taken from the mean again, so that no
    single picture outweighs all others.

    Args:
        x_hat: reconstructions, [n, …].
        x: the clean pictures, of the same shape.
        mean: `batch_mean`, or another function that gives the same.
    """
    errors = (x_hat.float() - x).abs().flatten(1)
    floor = AS_GOOD_AS_NONE * errors.shape[1]
    return 1 / mean(1 / (errors.sum(1, keepdim=True) + floor)).squeeze() - floor


def cross_entropy(x_hat: Tensor, x: Tensor) -> Tensor:
    """The cross-entropy of pixels in nats, summed over pixels, averaged over the batch.

    It is the negative log-likelihood of a Bernoulli distribution for each pixel, with the share of
    white that ``x_hat`` stands for ([VAE], appendix C.1). As with the squared error, the best
    ``x_hat`` is a mean, but an error counts for more where ``x_hat`` is sure.

    Args:
        x_hat: reconstructions, [n, …] in [-1, 1]; within 1e-6 of the bounds they get no gradient.
        x: the clean pictures, of the same shape.
    """
    x_hat = x_hat.float().clamp(-1 + 1e-6, 1 - 1e-6)
    white, black = torch.log((1 + x_hat) / 2), torch.log((1 - x_hat) / 2)
    return -((1 + x) / 2 * white + (1 - x) / 2 * black).flatten(1).sum(1).mean()


RECONSTRUCTION = {
    "squared": squared_error,
    "absolute": absolute_error,
    "bernoulli": cross_entropy,
}
"""The reconstruction losses, by their names in a config."""


class Sharpened(nn.Module):
    """A reconstruction loss that gives way to `harmonic_error` late in a training.

    At the start, while codes still say nothing, the best guess of `harmonic_error` for all pictures
    would be specks on black. Once codes say something, it makes strokes sharp.

    Args:
        first: the loss until then.
        since: the share of a training after which `harmonic_error` takes its place.
    """

    late: Tensor
    """1 once `harmonic_error` is the loss, else 0; a tensor, so that copies of a model share it."""
    batch_mean: Callable[[Tensor], Tensor]
    """How the mean over a batch is taken."""

    def __init__(self, first: Callable[[Tensor, Tensor], Tensor], since: float):
        super().__init__()
        self.first, self.since, self.batch_mean = first, since, batch_mean
        self.register_buffer("late", torch.zeros(()), persistent=False)

    def reach(self, share: float) -> None:
        """Choose the loss for when this share of a training is over."""
        self.late.fill_(float(share >= self.since))

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """See `squared_error`."""
        # In evaluation each process has its own examples, so the mean is local.
        mean = self.batch_mean if self.training else batch_mean
        last = harmonic_error(x_hat, x, mean)
        return torch.lerp(self.first(x_hat, x), last, self.late)


@dataclass(frozen=True)
class RowError:
    """The error of a table's rows: of the numbers that are not missing, and of the categories.

    Both are negative log-likelihoods, the second in nats, so that they can be added. The error is
    averaged over the batch.

    Attributes:
        numbers: how many cells hold a number; they come first in a row.
        masks: how many cells come next, each 1 where a number is missing: as many, or none.
        of_numbers: the loss on numbers, `squared_error` or another of its form.
    """

    numbers: int
    masks: int
    of_numbers: Callable[[Tensor, Tensor], Tensor] = squared_error

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The error of a reconstruction.

        Args:
            x_hat: numbers, and probabilities of categories, [n, d].
            x: numbers (0 where missing), masks, and one-hot categories (all 0 where missing),
                [n, d].
        """
        x_hat, n, rest = x_hat.float(), self.numbers, self.numbers + self.masks
        numbers = x_hat[:, :n] * (1 - x[:, n:rest]) if self.masks else x_hat[:, :n]
        # Anything less probable than this is as wrong as float32 can express.
        log_p = x_hat[:, rest:].clamp_min(torch.finfo(torch.float32).tiny).log()
        return self.of_numbers(numbers, x[:, :n]) - (x[:, rest:] * log_p).sum(1).mean()


def discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of telling prior samples from codes ([AAE], phase 2; [GAN], eq. 1).

    Its value is 2·ln 2 = 1.386 where the two cannot be told apart.

    Args:
        real: logits of prior samples, [n].
        fake: logits of codes, [n].
    """
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def generator(fake: Tensor) -> Tensor:
    """The non-saturating loss of the encoder as a generator ([GAN], section 3).

    Args:
        fake: logits of codes, [n].
    """
    return F.softplus(-fake.float()).mean()


def classification(y_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of a class head on labelled pictures ([AAE], section 5).

    It is averaged over the whole batch; pictures without a label add 0.

    Args:
        y_logits: [n, K].
        labels: [n], each in [0, K), or -1: no label.
    """
    whole = F.cross_entropy(y_logits.float(), labels, ignore_index=-1, reduction="sum")
    return whole / len(labels)


def imbalance(
    y_logits: Tensor, mean: Callable[[Tensor], Tensor] = batch_mean, *, slack: float = 0.0
) -> Tensor:
    """max(0, KL(mean y ‖ uniform) - slack) over a batch, in nats.

    It pulls harder than the critic on y at classes that are given up: the gradients of both die
    with the softmax, but this one is larger by about minus the logarithm of their mean. By chance
    alone, a batch of n sure pictures has a divergence of (K - 1)/(2n) on average.

    Args:
        y_logits: [n, K].
        mean: `batch_mean`, or another function that gives the same.
        slack: how uneven shares may be, in nats. Without it, the loss is 0 where they are equal.
    """
    # The derivative of entr at 0, where shares of float32 end up, is infinite.
    y = mean(y_logits.float().softmax(1)).clamp_min(torch.finfo(torch.float32).tiny)
    kl: Tensor = math.log(len(y)) - torch.special.entr(y).sum()
    return F.relu(kl - slack)


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a scalar function at x, of x's shape and without a graph."""
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(f(x), x)
    return grad


def virtual_adversarial(
    logits_of: Callable[[Tensor], Tensor],
    x: Tensor,
    logits: Tensor,
    *,
    radius: float,
    generator: torch.Generator,
    probe: float = 1e-2,
    gradient: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] = gradient,
) -> Tensor:
    """How much class probabilities change in the worst direction ([VAT], section 3.3).

    KL(p(x) ‖ p(x + r)) in nats, averaged over the batch, for the r of norm ``radius`` that one step
    of the power method finds. Gradients flow only through p(x + r).

    Args:
        logits_of: pictures → logits [n, K].
        x: pictures, [n, …].
        logits: logits at x, [n, K].
        radius: L2 norm of r, in the units of x.
        generator: chooses the direction that the power method starts from.
        probe: norm of the power method's trial step, in the same units.
        gradient: `gradient`, or another function that gives the same.
    """
    divergence = _divergence(logits_of, logits)
    d = _worst_direction(lambda r: divergence(x + r), x, generator, probe, gradient)
    return divergence(x + radius * d).mean()


def tangent_adversarial(
    logits_of: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    x: Tensor,
    z: Tensor,
    logits: Tensor,
    *,
    radius: float,
    generator: torch.Generator,
    probe: float = 0.1,
    gradient: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] = gradient,
) -> Tensor:
    """How much class probabilities change when the style moves in its worst direction.

    As `virtual_adversarial`, but the neighbour lies where the decoder says that pictures lie: at
    x + decode(z + r) - decode(z), for the r of norm ``radius``. This is the tangent part of
    [TNAR], with a decoder that is told the class beside the style, and a finite move instead of a
    tangent. Gradients flow only through the neighbour's class, not into the decoder.

    Args:
        logits_of: pictures → logits [n, K].
        decode: codes [n, d] → pictures of the classes of x, [n, …].
        x: pictures, [n, …].
        z: their codes, [n, d].
        logits: logits at x, [n, K].
        radius: L2 norm of r, in the units of the code.
        generator: chooses the direction that the power method starts from.
        probe: norm of the power method's trial step, in the same units.
        gradient: `gradient`, or another function that gives the same.
    """
    divergence = _divergence(logits_of, logits)
    z = z.detach()
    with torch.no_grad():  # what the decoder does not draw; decoded anew, with no units dropped
        rest = x - decode(z)
    d = _worst_direction(lambda r: divergence(rest + decode(z + r)), z, generator, probe, gradient)
    with torch.no_grad():
        neighbour = rest + decode(z + radius * d)
    return divergence(neighbour).mean()


def inconsistency(
    logits_of: Callable[[Tensor], Tensor], neighbours: Tensor, logits: Tensor
) -> Tensor:
    """How much class probabilities differ at neighbours that the caller chose ([RSTP], eq. 1).

    KL(p(x) ‖ p(neighbour)) in nats, averaged over the batch; that paper has a squared difference
    instead. Gradients flow only through the neighbour's class.

    Args:
        logits_of: pictures → logits [n, K].
        neighbours: one for each picture x, of x's shape.
        logits: logits at x, [n, K].
    """
    return _divergence(logits_of, logits)(neighbours).mean()


def _divergence(
    logits_of: Callable[[Tensor], Tensor], logits: Tensor
) -> Callable[[Tensor], Tensor]:
    """A function: pictures → KL(classes of ``logits`` ‖ classes of the pictures), in nats, [n]."""
    p = logits.detach().float().log_softmax(1)

    def divergence(x: Tensor) -> Tensor:
        q = logits_of(x).float().log_softmax(1)
        return (p.exp() * (p - q)).sum(1)

    return divergence


def _worst_direction(
    divergence: Callable[[Tensor], Tensor],
    like: Tensor,
    generator: torch.Generator,
    probe: float,
    gradient: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> Tensor:
    """The worst direction by one step of the power method: of norm 1, of the shape of ``like``."""
    d = torch.randn(like.shape, generator=generator, device=like.device)
    # A sum, not a mean: an example's gradient is then the same however the batch is shared out.
    return _unit(gradient(lambda r: divergence(r).sum(), probe * _unit(d)))


def crowding(heads: Tensor, apart: float) -> Tensor:
    """How much closer to each other than ``apart`` the heads are ([AAE], section 7).

    It is the sum over pairs of max(0, apart - distance).

    Args:
        heads: [K, d].
        apart: the least distance wanted, in the units of the code.
    """
    k = len(heads)
    i, j = torch.triu_indices(k, k, 1, device=heads.device)
    # Two heads in one place have no direction to part in: 1e-12 keeps the gradient finite.
    distance = ((heads[i] - heads[j]).square().sum(1) + 1e-12).sqrt()
    return F.relu(apart - distance).sum()


def _unit(d: Tensor) -> Tensor:
    """Each example of d, scaled to norm 1."""
    flat = d.flatten(1)
    unit: Tensor = flat / (flat.norm(dim=1, keepdim=True) + 1e-12)
    return unit.view_as(d)


def kl_standard_gaussian(mean: Tensor, std: Tensor, prior_std: float = 1.0) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, prior_std²)) in nats, averaged over the batch ([VAE], appendix B).

    Args:
        mean: [n, d].
        std: [n, d], positive.
        prior_std: standard deviation of the prior.
    """
    mean, std = mean.float() / prior_std, std.float() / prior_std
    return (0.5 * (mean.square() + std.square() - 1) - std.log()).sum(1).mean()


def kl_monte_carlo(log_q: Tensor, log_p: Tensor) -> Tensor:
    """One-sample estimate of KL(q ‖ p) in nats, for priors without a closed form ([VAE], eq. 6).

    Args:
        log_q: log q(z|x) at z drawn from it, [n].
        log_p: log p(z) there, [n].
    """
    return (log_q - log_p).mean()
