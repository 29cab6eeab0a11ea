"""The variants of the paper: what each decoder is told, and which phases it needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aae import losses
from aae.autoencoder import Autoencoder, Pass, Phase
from aae.nn import Codes
from aae.priors import Gaussian


class BasicAAE(Autoencoder):
    """Encoder, decoder, and a critic that holds z to its prior ([AAE], Fig. 1)."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`."""
        return (self._reconstruction(), *self._regularization("z", (self.encoder,)))


class LabelInformedAAE(BasicAAE):
    """The same, with a critic that sees the label beside z ([AAE], Fig. 3).

    Prior samples come from the label's part of the prior; pictures without a label have a class of
    their own, and prior samples from all parts.
    """

    uses_labels = True


class SupervisedAAE(BasicAAE):
    """The decoder is told the label, so that z keeps only the style ([AAE], Fig. 6)."""

    uses_labels = True
    decodes_labels = True

    def decoder_inputs(self, codes: Codes, labels: Tensor) -> tuple[Tensor, ...]:
        """See `Autoencoder.decoder_inputs`; a row of zeros stands for "no label"."""
        return (codes.z, self._one_hot(labels))

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `Autoencoder.decode`."""
        if labels is None:
            raise ValueError("this model's decoder needs a label for each code")
        x: Tensor = self.decoder(z, self._one_hot(labels))
        return x

    def _one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels + 1, self.n_classes + 1)[:, 1:].float()


class SemiSupervisedAAE(Autoencoder):
    """z and class probabilities y, a critic for each, and a few labels ([AAE], Fig. 8)."""

    decodes_labels = True
    vat_radius: float | None = None
    """Where set, y is also made smooth around each picture, within this radius."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`."""
        posterior, trunk, classes = self.encoder.posterior, self.encoder.trunk, self.encoder.classes
        assert classes is not None
        return (
            self._reconstruction(),
            *self._regularization("z", (trunk, posterior)),
            *self._regularization("y", (trunk, classes)),
            Phase("classification", _classification_loss, (trunk, classes), labelled=True),
            *([Phase("vat", self._vat, (trunk, classes))] if self.vat_radius else []),
        )

    def _vat(self, p: Pass) -> Tensor:
        assert p.codes.y_logits is not None
        assert self.vat_radius is not None
        return losses.virtual_adversarial(
            self.encoder.class_logits,
            p.x,
            p.codes.y_logits,
            radius=self.vat_radius,
            generator=p.generator,
            gradient=self.gradient,
        )

    def decoder_inputs(self, codes: Codes, labels: Tensor) -> tuple[Tensor, ...]:
        """See `Autoencoder.decoder_inputs`: the encoder's own y, never the label."""
        assert codes.y is not None
        return (codes.z, codes.y)

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `Autoencoder.decode`."""
        if labels is None:
            raise ValueError("this model's decoder needs a label for each code")
        x: Tensor = self.decoder(z, F.one_hot(labels, self.n_classes).float())
        return x

    def predict(self, x: Tensor) -> Tensor:
        """Pictures [n, c, h, w] → class probabilities [n, K]."""
        y = self.encode(x).y
        assert y is not None
        return y


class VAE(Autoencoder):
    """The baseline of [AAE], Fig. 2: the same networks, KL divergence instead of a critic."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`: one, the negative evidence lower bound."""
        return (
            self._reconstruction(),
            Phase("kl", self._kl, (self.encoder,)),
        )

    def _kl(self, p: Pass) -> Tensor:
        codes = p.codes
        assert codes.std is not None
        if isinstance(self.prior, Gaussian):
            return losses.kl_standard_gaussian(codes.mean, codes.std, self.prior.std)
        # Its check of the arguments would make a GPU wait.
        q = torch.distributions.Normal(codes.mean, codes.std, validate_args=False)
        log_q = q.log_prob(codes.z).sum(1)
        return losses.kl_monte_carlo(log_q, self.prior.log_prob(codes.z))


def _classification_loss(p: Pass) -> Tensor:
    assert p.codes.y_logits is not None
    return losses.classification(p.codes.y_logits, p.batch.labels)
