"""The published loss terms, one pure function each, on tensors in float32.

Sources: [AAE] Makhzani et al., Adversarial Autoencoders, arXiv:1511.05644; [GAN] Goodfellow et al.,
arXiv:1406.2661; [VAE] Kingma and Welling, arXiv:1312.6114.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def reconstruction(x_hat: Tensor, x: Tensor) -> Tensor:
    """Half the squared error, summed over pixels, averaged over the batch ([AAE], phase 1).

    It is the negative log-likelihood of a unit Gaussian around ``x_hat``, up to a constant. The sum
    over pixels is what the weights of the adversarial terms are balanced against.

    Args:
        x_hat: reconstructions, [n, …].
        x: the clean pictures, of the same shape.
    """
    return 0.5 * (x_hat.float() - x).square().flatten(1).sum(1).mean()


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
    """Cross-entropy of the class head on labelled pictures ([AAE], section 5).

    Args:
        y_logits: [n, K].
        labels: [n], each in [0, K).
    """
    return F.cross_entropy(y_logits.float(), labels)


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
