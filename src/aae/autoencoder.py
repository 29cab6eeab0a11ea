"""The base of every adversarial autoencoder, a batch's pass through it, and a phase of training.

A model is an encoder, a decoder and one `Adversary` for each code that must follow a prior. A
`Pass` takes one batch through the model; it computes on demand and keeps the results. A `Phase`
reads a loss off a pass and says whose parameters the loss changes. A joint step gives one pass to
all phases; the paper's alternation gives each phase a pass of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from aae import losses
from aae.codes import Codes
from aae.nn import Critic, Decoder, Encoder, HeadedDecoder, dropout
from aae.priors import Gaussian, Prior


@dataclass(frozen=True)
class BatchRows:
    """Rows ``start`` to ``end`` of a batch of ``total``, which several processes share."""

    start: int
    end: int
    total: int

    @property
    def count(self) -> int:
        """How many rows these are."""
        return self.end - self.start


@dataclass(frozen=True)
class Batch:
    """Pictures [n, c, h, w] in [-1, 1], or rows [n, d], and their labels [n] (-1: no label)."""

    x: Tensor
    labels: Tensor
    rows: BatchRows | None = None
    """Which rows of a batch these are, if other processes have the others."""


@dataclass(frozen=True)
class Corruption:
    """What training does to the encoder's input and to the hidden units."""

    noise_std: float = 0.0
    """Standard deviation of Gaussian noise on the input, in its units: pixels lie in [-1, 1]."""
    input_dropout: float = 0.0
    """Share of inputs that are dropped (pixels turn black, features 0); the others are scaled up to
    make up for it."""
    dropout: float = 0.0
    """Share of hidden units that are set to 0; the others are scaled up to make up for it."""

    def input(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The encoder's input for pictures [n, c, h, w] in [-1, 1] or rows [n, d]."""
        if share := self.input_dropout:
            empty = -1.0 if x.dim() == 4 else 0.0
            x = dropout(x - empty, share, generator) + empty
        if std := self.noise_std:
            x = x + std * torch.randn(x.shape, generator=generator, device=x.device)
        return x


class Adversary(nn.Module):
    """The critic that holds one code to its prior.

    Args:
        prior: the distribution that the code must follow.
        critic: tells the prior's samples from codes; it sees labels if it was made for them.
        by_parts: whether a label names a part of the prior, so that codes must follow that part;
            otherwise the codes of every label must follow the whole prior.
    """

    def __init__(self, prior: Prior, critic: Critic, *, by_parts: bool = False):
        super().__init__()
        self.prior, self.critic, self.by_parts = prior, critic, by_parts

    def real(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Logits of prior samples, one for each label [n] → [n]."""
        return self.fake(self._sample(labels, generator), labels)

    def fake(self, code: Tensor, labels: Tensor) -> Tensor:
        """Logits of codes, [n]."""
        logits: Tensor = self.critic(code, labels if self.critic.n_labels else None)
        return logits

    def both(
        self, code: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """`real` and `fake` in one call of the critic, [n] each."""
        logits = self.fake(
            torch.cat([self._sample(labels, generator), code]), torch.cat([labels, labels])
        )
        real, fake = logits.chunk(2)
        return real, fake

    def _sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        parts = labels if self.by_parts else None
        return self.prior.draw(len(labels), parts, generator)


class Pass:
    """One batch through a model. What several phases need is computed once, on demand."""

    def __init__(
        self,
        model: Autoencoder,
        batch: Batch,
        generator: torch.Generator,
        corruption: Corruption = Corruption(),
    ):
        self.model, self.batch, self.generator, self.corruption = (
            model,
            batch,
            generator,
            corruption,
        )
        self._fake: dict[str, Tensor] = {}
        self._real: dict[str, Tensor] = {}

    @cached_property
    def x(self) -> Tensor:
        """The encoder's input: the batch's pictures, corrupted."""
        return self.corruption.input(self.batch.x, self.generator)

    @cached_property
    def codes(self) -> Codes:
        """Codes of the batch."""
        codes: Codes = self.model.encoder(self.x, self.generator, self.corruption.dropout)
        return codes

    @cached_property
    def whole_logits(self) -> Tensor:
        """Logits of the batch's classes, [n, K], from the encoder with no units dropped.

        Neighbours' logits, which have none dropped either, are compared with them. They may have no
        gradient.
        """
        if not self.corruption.dropout:
            logits = self.codes.y_logits
            assert logits is not None
            return logits
        with torch.no_grad():
            return self.model.encoder.class_logits(self.x)

    @cached_property
    def reconstruction(self) -> Tensor:
        """The decoder's pictures, [n, c, h, w]."""
        inputs = self.model.decoder_inputs(self.codes, self.batch.labels)
        x_hat: Tensor = self.model.decoder(
            *inputs, generator=self.generator, drop=self.corruption.dropout
        )
        return x_hat

    def code(self, code: str) -> Tensor:
        """The batch's codes "z" or "y", [n, …]."""
        value = self.codes.z if code == "z" else self.codes.y
        assert value is not None
        return value

    def fake(self, code: str) -> Tensor:
        """The critic's logits of the batch's codes "z" or "y", [n]."""
        if code not in self._fake:
            adversary = self.model.adversaries[code]
            self._fake[code] = adversary.fake(self.code(code), self.batch.labels)
        return self._fake[code]

    def real(self, code: str) -> Tensor:
        """The critic's logits of as many prior samples, [n]."""
        if code not in self._real:
            self._real[code] = self.model.adversaries[code].real(self.batch.labels, self.generator)
        return self._real[code]


@dataclass(frozen=True)
class Phase:
    """A phase of training, as in the paper: a loss, and the networks that it changes."""

    name: str
    loss: Callable[[Pass], Tensor]
    changes: tuple[nn.Module, ...]
    side: Literal["autoencoder", "critic"] = "autoencoder"
    """The player whose losses it is added to in a joint step."""
    share: float = 1.0
    """Factor on the weight that the config gives its loss."""
    labelled: bool = False
    """Whether it sees labelled pictures only, every few steps."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that it changes."""
        return [p for module in self.changes for p in module.parameters()]


class Autoencoder(nn.Module, ABC):
    """What every variant shares; the variants are in `aae.models`."""

    uses_labels = False
    """Whether labels take part in every phase."""
    decodes_labels = False
    """Whether the decoder needs a class beside z."""
    finds_clusters = False
    """Whether y names clusters that the model found, rather than the data's classes."""
    holds_posteriors = False
    """Whether a KL divergence pulls each posterior of z to the prior, as in a VAE."""
    reconstruction_share = 1.0
    """Factor on the weight of the reconstruction loss, which is summed over pixels."""
    gradient: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] = staticmethod(losses.gradient)
    """How a loss computes a gradient that it needs for its own value."""
    batch_mean: Callable[[Tensor], Tensor] = staticmethod(losses.batch_mean)
    """How a loss takes a mean over the batch that it computes further with."""

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder | HeadedDecoder,
        adversaries: dict[str, Adversary],
        *,
        prior: Prior,
        n_classes: int,
        reconstruction_loss: Callable[[Tensor, Tensor], Tensor] = losses.squared_error,
    ):
        super().__init__()
        self.reconstruction_loss = reconstruction_loss
        self.encoder, self.decoder = encoder, decoder
        self.adversaries: dict[str, Adversary] = nn.ModuleDict(adversaries)  # type: ignore[assignment]
        self.prior, self.n_classes = prior, n_classes

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases of one training step, in the paper's order."""

    def reach(self, share: float) -> None:
        """Tell the reconstruction loss what share of the training is over, if it depends on it."""
        if isinstance(self.reconstruction_loss, losses.Sharpened):
            self.reconstruction_loss.reach(share)

    def settle(self, pictures: Iterable[Tensor]) -> None:
        """After an epoch, learn from batches of training pictures what no loss teaches."""

    def decoder_inputs(self, codes: Codes, labels: Tensor) -> tuple[Tensor, ...]:
        """The decoder's inputs for codes, and for labels [n] if it sees them.

        Returns:
            z [n, d]; if `decodes_labels`, beside it classes [n, K] or clusters as found [n, F].
        """
        return (codes.z,)

    def log_prior(self, z: Tensor, labels: Tensor) -> Tensor:
        """Log-density of codes [n, d] under the prior that their labels [n] set, in nats, [n]."""
        return self.prior.log_prob(z)

    def embed(self, codes: Codes) -> Tensor:
        """Codes of n pictures → the points that stand for them in a scatter plot, [n, d]."""
        return codes.mean

    @property
    def critics(self) -> tuple[nn.Module, ...]:
        """The other player of a joint step: networks that only tell the rest what to do."""
        return (self.adversaries,)  # type: ignore[return-value]

    @property
    def embedded_prior(self) -> Prior:
        """The prior of the points that `embed` gives."""
        return self.prior

    @property
    def place_decoder(self) -> nn.Module:
        """Decodes points that `embed` gives, with y beside them if `places_need_class`."""
        return self.decoder

    @property
    def places_need_class(self) -> bool:
        """Whether a point needs a class beside it to be decoded."""
        return self.decodes_labels

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Codes:
        """Pictures [n, c, h, w] in [-1, 1] → codes: the posterior's mean, or a draw from it."""
        codes: Codes = self.encoder(x, generator)
        return codes

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes [n, d], and labels [n] if the decoder sees them → pictures [n, c, h, w]."""
        x: Tensor = self.decoder(z)
        return x

    def reconstruct(self, x: Tensor, labels: Tensor) -> Tensor:
        """Pictures [n, c, h, w] and labels [n] → their reconstructions from the mean code."""
        x_hat: Tensor = self.decoder(*self.decoder_inputs(self.encode(x), labels))
        return x_hat

    def _reconstruction(self) -> Phase:
        return Phase(
            "reconstruction",
            lambda p: self.reconstruction_loss(p.reconstruction, p.batch.x),
            (self.encoder, self.decoder),
            share=self.reconstruction_share,
        )

    def _regularization(
        self, code: str, generator_changes: tuple[nn.Module, ...]
    ) -> tuple[Phase, ...]:
        critic, generator = (
            Phase(
                f"discriminator_{code}",
                lambda p: losses.discriminator(fake=p.fake(code), real=p.real(code)),
                (self.adversaries[code],),
                side="critic",
            ),
            Phase(f"generator_{code}", lambda p: losses.generator(p.fake(code)), generator_changes),
        )
        if code == "z" and self.holds_posteriors:
            return (critic, generator, Phase("kl", self._kl, generator_changes))
        return (critic, generator)

    def _kl(self, p: Pass) -> Tensor:
        codes = p.codes
        assert codes.std is not None
        if isinstance(self.prior, Gaussian):
            return losses.kl_standard_gaussian(codes.mean, codes.std, self.prior.std)
        # Its check of the arguments would make a GPU wait.
        q = torch.distributions.Normal(codes.mean, codes.std, validate_args=False)
        log_q = q.log_prob(codes.z).sum(1)
        return losses.kl_monte_carlo(log_q, self.log_prior(codes.z, p.batch.labels))
