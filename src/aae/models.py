"""The variants of the paper: what each decoder is told, and which phases it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aae import losses
from aae.autoencoder import Autoencoder, Pass, Phase
from aae.codes import Codes
from aae.merging import Clusters, Told
from aae.nn import HeadedDecoder
from aae.priors import Prior, Spots
from aae.reader import Reader
from aae.terms import Term


class BasicAAE(Autoencoder):
    """Encoder, decoder, and a critic that holds z to its prior ([AAE], Fig. 1)."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`."""
        return (self._reconstruction(), *self._regularization("z", (self.encoder,)))


class LabelInformedAAE(BasicAAE):
    """`BasicAAE` with a critic that sees the label beside z ([AAE], Fig. 3).

    Prior samples come from the label's part of the prior. Pictures without a label have a class of
    their own, and prior samples from all parts.
    """

    uses_labels = True

    def log_prior(self, z: Tensor, labels: Tensor) -> Tensor:
        """See `Autoencoder.log_prior`: the label's own part, or the whole prior without a label."""
        return self.prior.log_prob(z, labels)


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


class ReadAAE(SupervisedAAE):
    """`SupervisedAAE` with a classifier, which must read pictures of prior samples as their label.

    Args:
        reader: the classifier.
        rest: see `Autoencoder`.
    """

    def __init__(self, *rest: Any, reader: Reader, **named: Any):
        super().__init__(*rest, **named)
        self.reader = reader

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`: two more, which train the reader, and the decoder by it."""
        return (
            *super().phases(),
            Phase("reader", self._read, (self.reader,), side="critic"),
            Phase("reading", self._drawn, (self.decoder,)),
        )

    @property
    def critics(self) -> tuple[nn.Module, ...]:
        """See `Autoencoder.critics`."""
        return (*super().critics, self.reader)

    def _read(self, p: Pass) -> Tensor:
        logits = self.reader(p.batch.x, p.generator)
        return losses.classification(logits, p.batch.labels)

    def _drawn(self, p: Pass) -> Tensor:
        n, device = len(p.batch.x), p.batch.x.device
        asked = torch.randint(self.n_classes, (n,), generator=p.generator, device=device)
        x = self.decode(self.prior.draw(n, None, p.generator), asked)
        return losses.classification(self.reader.steadily(x, p.generator), asked)


class ClusteringAAE(Autoencoder):
    """z and cluster probabilities y, a critic for each, and no labels ([AAE], Fig. 9)."""

    decodes_labels = True
    finds_clusters = True

    def __init__(self, *rest: Any, clusters: Clusters, terms: tuple[Term, ...] = (), **named: Any):
        super().__init__(*rest, **named)
        self.clusters = clusters
        self.terms = terms
        """What is asked of y besides following its prior."""
        self.helpers = nn.ModuleList(network for term in terms for network in term.networks)
        """Networks of the terms, registered here so that they are trained and kept."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`."""
        return (
            self._reconstruction(),
            *self._regularization("z", (*self.encoder.body, self.encoder.posterior)),
            *self._regularization("y", self._classifier),
            *self._classification(),
            *map(self._of_term, self.terms),
        )

    def _of_term(self, term: Term) -> Phase:
        changes = (*self._classifier, *term.networks)
        return Phase(term.name, term, changes, labelled=term.labelled)

    @property
    def _classifier(self) -> tuple[nn.Module, ...]:
        """The networks that give y."""
        assert self.encoder.classes is not None
        return (*self.encoder.body, self.encoder.classes)

    def _classification(self) -> tuple[Phase, ...]:
        return ()

    def decoder_inputs(self, codes: Codes, labels: Tensor) -> tuple[Tensor, ...]:
        """See `Autoencoder.decoder_inputs`: the encoder's own y, never the label."""
        return (codes.z, _found(codes))

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Codes:
        """See `Autoencoder.encode`: y is over the merged clusters."""
        return self.clusters.named(super().encode(x, generator))

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `Autoencoder.decode`."""
        if labels is None:
            raise ValueError("this model's decoder needs a label for each code")
        x: Tensor = self.decoder(z, self.clusters.told(self._one_hot(labels)))
        return x

    def settle(self, pictures: Iterable[Tensor]) -> None:
        """See `Autoencoder.settle`: it merges clusters."""
        with torch.inference_mode():
            self.clusters.settle(lambda x: _found(self.encoder(x)), pictures)

    @property
    def place_decoder(self) -> nn.Module:
        """See `Autoencoder.place_decoder`."""
        return Told(self.decoder, self.clusters)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels, self.n_classes).float()


class SemiSupervisedAAE(ClusteringAAE):
    """`ClusteringAAE`, where a few labels say what y means ([AAE], Fig. 8)."""

    finds_clusters = False

    def _classification(self) -> tuple[Phase, ...]:
        return (Phase("classification", _classification_loss, self._classifier, labelled=True),)


class _Embedded(ClusteringAAE):
    """The decoder is given only W·y + z: a head for each class, and the style around it."""

    decoder: HeadedDecoder

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`: one more, which keeps the heads apart."""
        heads = Phase("heads", lambda p: self._crowding(), (self.decoder.heads,))
        return (*super().phases(), heads)

    def _crowding(self) -> Tensor:
        return losses.crowding(self.decoder.centres, self.decoder.apart)

    def embed(self, codes: Codes) -> Tensor:
        """See `Autoencoder.embed`."""
        here, device = codes.mean.device, self.decoder.centres.device  # codes may be on the CPU
        with torch.no_grad():
            return self.decoder.embed(codes.mean.to(device), _found(codes).to(device)).to(here)

    @property
    def embedded_prior(self) -> Prior:
        """See `Autoencoder.embedded_prior`."""
        return Spots(self.decoder.centres.detach().cpu(), self.prior)

    @property
    def place_decoder(self) -> nn.Module:
        """See `Autoencoder.place_decoder`."""
        return self.decoder.decoder

    @property
    def places_need_class(self) -> bool:
        """See `Autoencoder.places_need_class`: no, a point of the plane has a class already."""
        return False


class ClusterEmbeddingAAE(_Embedded):
    """A plane of clusters, found without labels ([AAE], section 7, Fig. 10 c)."""


class LabelEmbeddingAAE(_Embedded, SemiSupervisedAAE):
    """A plane of classes, from a few labels ([AAE], section 7, Fig. 10 a, b)."""


class VAE(Autoencoder):
    """The baseline of [AAE], Fig. 2: the same networks, KL divergence instead of a critic."""

    def phases(self) -> tuple[Phase, ...]:
        """See `Autoencoder.phases`: together, the negative evidence lower bound."""
        return (
            self._reconstruction(),
            Phase("kl", self._kl, (self.encoder,)),
        )


def _found(codes: Codes) -> Tensor:
    """Probabilities of classes, or of clusters as found, before any were merged."""
    found = codes.y if codes.found is None else codes.found
    assert found is not None
    return found


def _classification_loss(p: Pass) -> Tensor:
    assert p.codes.y_logits is not None
    return losses.classification(p.codes.y_logits, p.batch.labels)
