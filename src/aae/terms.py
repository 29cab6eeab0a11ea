"""What may be asked of y beside the paper's terms: one class each, named after its phase.

Each is called with a pass, and gives a loss; it changes the networks that give y, and its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn

from aae import losses
from aae.autoencoder import Pass
from aae.denoiser import Denoiser
from aae.warps import warp


class Term(Protocol):
    """A loss on y."""

    name: ClassVar[str]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Networks of use only to this loss; they learn together with those that give y."""

    @property
    def labelled(self) -> bool:
        """Whether it sees labelled pictures only."""

    def __call__(self, p: Pass) -> Tensor:
        """The loss of a batch, a scalar."""


class _OfAll:
    """A term on all pictures, with no network of its own."""

    labelled = False

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See `Term`."""
        return ()


@dataclass(frozen=True)
class VirtualAdversarial(_OfAll):
    """y is smooth around each picture, within a radius; see `losses.virtual_adversarial`."""

    name: ClassVar[str] = "vat"
    radius: float

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        return losses.virtual_adversarial(
            p.model.encoder.class_logits,
            p.x,
            p.whole_logits,
            radius=self.radius,
            generator=p.generator,
            gradient=p.model.gradient,
        )


@dataclass(frozen=True)
class TangentAdversarial(_OfAll):
    """y stays the same when the style moves within a radius; see `losses.tangent_adversarial`."""

    name: ClassVar[str] = "tangent"
    radius: float

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        assert p.codes.y is not None
        decode: Callable[..., Tensor] = p.model.decoder
        y = p.codes.y.detach()
        return losses.tangent_adversarial(
            p.model.encoder.class_logits,
            lambda z: decode(z, y),
            p.x,
            p.codes.z,
            p.whole_logits,
            radius=self.radius,
            generator=p.generator,
            gradient=p.model.gradient,
        )


@dataclass(frozen=True)
class Warped(_OfAll):
    """y stays the same when the picture is warped a little; see `warps.warp` for the size."""

    name: ClassVar[str] = "warp"
    size: float

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        warped = warp(p.x, self.size, p.generator)
        return losses.inconsistency(p.model.encoder.class_logits, warped, p.whole_logits)


@dataclass(frozen=True)
class Balanced(_OfAll):
    """The mean y of a batch has equal shares, but for some slack; see `losses.imbalance`."""

    name: ClassVar[str] = "balance"
    slack: float

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        return losses.imbalance(_logits(p), p.model.batch_mean, slack=self.slack)


@dataclass(frozen=True)
class Denoised(_OfAll):
    """y helps to remove noise from the encoder's layers; see `aae.denoiser`."""

    name: ClassVar[str] = "denoising"
    denoiser: Denoiser

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See `Term`."""
        return (self.denoiser,)

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        levels, logits = self.denoiser.disturb(p.model.encoder, p.batch.x, p.generator)
        x_hat = self.denoiser(levels, logits.softmax(1))
        return losses.squared_error(x_hat, p.batch.x.flatten(1))


@dataclass(frozen=True)
class Disturbed(_OfAll):
    """Labelled pictures keep their class with noise on the encoder's layers, too."""

    name: ClassVar[str] = "disturbed"
    denoiser: Denoiser
    labelled = True

    def __call__(self, p: Pass) -> Tensor:
        """See `Term`."""
        _, logits = self.denoiser.disturb(p.model.encoder, p.batch.x, p.generator)
        return losses.classification(logits, p.batch.labels)


def _logits(p: Pass) -> Tensor:
    assert p.codes.y_logits is not None
    return p.codes.y_logits
