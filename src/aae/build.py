"""From a config to a model: each variant is a choice of parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from aae import conv, losses
from aae.autoencoder import Adversary, Autoencoder
from aae.config import Config
from aae.data import Columns
from aae.denoiser import Denoiser
from aae.merging import Clusters, MergedClusters
from aae.models import (
    VAE,
    BasicAAE,
    ClusterEmbeddingAAE,
    ClusteringAAE,
    LabelEmbeddingAAE,
    LabelInformedAAE,
    ReadAAE,
    SemiSupervisedAAE,
    SupervisedAAE,
)
from aae.nn import HEADS, Cells, Critic, Decoder, Encoder, FullLinear, HeadedDecoder, initialise
from aae.own_networks import OURS, Given, Networks, given, refuse_misfit
from aae.priors import Categorical, Gaussian, Mixture, Prior, SwissRoll, Uniform
from aae.reader import Reader
from aae.terms import (
    Balanced,
    Denoised,
    Disturbed,
    TangentAdversarial,
    Term,
    VirtualAdversarial,
    Warped,
)
from aae.warps import warp


def build(
    config: Config,
    shape: Sequence[int],
    n_classes: int,
    generator: torch.Generator | None,
    networks: Networks = OURS,
    columns: Columns | None = None,
) -> Autoencoder:
    """The model that a config asks for, with its weights drawn from a generator.

    Args:
        config: the config.
        shape: (channels, height, width) of a picture, or (d,) of a row of features.
        n_classes: classes of the data's labels.
        generator: source of the initial weights, on the CPU; None draws none.
        networks: the user's own, in place of ours, and the prior, if it is the user's own.
        columns: what the cells of a row stand for, if the data are a table.

    Returns:
        The model, on the CPU.

    Raises:
        ValueError: the prior has too few parts for labels to name, or a network or the prior of the
            user's own does not fit.
    """
    networks = networks.of(config)
    if networks.encoder is not None and config.posterior == "universal":
        raise ValueError(
            "--posterior universal feeds noise to hidden layers, and an encoder of one's own has "
            "no place for it: take gaussian or deterministic"
        )
    if len(shape) == 1:
        _refuse_for_rows(config)
    # Layers draw weights that are then overwritten; torch's own generator must not be moved by it.
    with torch.random.fork_rng(devices=[]):
        nouns = _Nouns(config, tuple(shape), n_classes, networks, columns)
        model = VARIANTS[config.model](nouns)
    if generator is not None:
        initialise(model, config.init, generator)
    narrow = config.prior in ("gaussian", "uniform") and networks.prior is None
    if config.init == "centred" and narrow:
        _narrow(model, config.latent_dim, config.prior_std)
    if model.adversaries:
        model.reconstruction_share = reconstruction_share(shape, columns)
    model.holds_posteriors = config.weights["kl"] > 0
    return model


def _refuse_for_rows(config: Config) -> None:
    """Refuse what only pictures have."""
    if config.reconstruction == "bernoulli":
        raise ValueError(
            "--reconstruction bernoulli is for pixels, and rows of features are none: take "
            "squared or absolute"
        )
    if config.sharpen_from is not None:
        raise ValueError("--sharpen-from is for pictures, and rows of features are none")
    if config.warp_weight:
        raise ValueError("--warp-weight is for pictures, and rows of features are none")


def _narrow(model: Autoencoder, dim: int, std: float) -> None:
    """Make layers that read codes of standard deviation ``std`` start as if it were 1.

    Otherwise units bend far within the codes, and die. Labels, which come after the codes in such
    layers' input, are left as they are; so is the critic of y.
    """
    for name, layer in model.named_modules():
        own = isinstance(layer, FullLinear) and layer.bias is not None
        if own and not name.endswith(HEADS) and not name.startswith("adversaries.y."):
            layer.weight.data[:, :dim].div_(std)


def reconstruction_share(shape: Sequence[int], columns: Columns | None = None) -> float:
    """Factor on the reconstruction's weight beside a critic, by the shape of an example.

    The recipes' weights are made for MNIST, and the error is a sum over an example's values. So a
    large picture has a smaller factor, and a row one by which the mean row's error is about as
    large as that of MNIST's mean picture. In a VAE there is none: its losses are one likelihood.

    Args:
        shape: [c, h, w], or [d] of a standardised row.
        columns: what the cells of a row stand for, if the data are a table.

    Examples:
        >>> reconstruction_share((1, 28, 28)), reconstruction_share((3, 28, 28)) == 1 / 3
        (1.0, True)
        >>> reconstruction_share((20,))
        10.0
    """
    if len(shape) == 3:
        return min(1.0, BALANCED / math.prod(shape))
    if columns is None:
        of_mean = shape[0] / 2
    else:
        kinds = sum(math.log(block.width) for block in columns.categorical)
        of_mean = len(columns.numeric) / 2 + kinds
    return ERROR_OF_MEAN / max(of_mean, 0.5)


BALANCED = 28 * 28
"""Values of a picture (one for each colour of a pixel) up to which its error has full weight."""
ERROR_OF_MEAN = 100.0
"""The error of reconstructing each of MNIST's pictures as their mean, about."""
LARGEST_GREY = 32 * 32
"""Pixels of a grey picture up to which ``--network auto`` takes fully connected layers."""


def choose_network(name: str, shape: Sequence[int]) -> Literal["mlp", "conv"]:
    """The kind of network that a config's name for it stands for, given the shape of an example.

    Raises:
        ValueError: convolutions are asked for where there is nothing to convolve.
    """
    possible = len(shape) == 3 and min(shape[1:]) >= conv.LEAST
    if name == "conv" and not possible:
        raise ValueError(
            f"--network conv needs pictures of {conv.LEAST}×{conv.LEAST} or more, not "
            f"{'×'.join(map(str, shape[1:] or shape))}: take --network mlp"
        )
    large = possible and (shape[0] > 1 or math.prod(shape) > LARGEST_GREY)
    return "conv" if name == "conv" or (name == "auto" and large) else "mlp"


def row_error(
    columns: Columns, of_numbers: Callable[[Tensor, Tensor], Tensor] = losses.squared_error
) -> losses.RowError:
    """The error of a table's rows, with the given loss on their numbers."""
    numbers, masks = len(columns.numeric), columns.masks
    return losses.RowError(numbers, masks.stop - masks.start, of_numbers)


def cells_of(columns: Columns) -> Cells:
    """The last activation of a decoder of a table's rows."""
    numbers, masks = len(columns.numeric), columns.masks
    widths = [block.width for block in columns.categorical]
    return Cells(numbers, masks.stop - masks.start, widths)


@dataclass(frozen=True)
class _Nouns:
    """Makes the parts of a model."""

    config: Config
    shape: tuple[int, ...]
    n_classes: int
    networks: Networks
    columns: Columns | None

    @property
    def convolutional(self) -> bool:
        return choose_network(self.config.network, self.shape) == "conv"

    def encoder(self, n_classes: int = 0) -> Encoder:
        front, values = None, math.prod(self.shape)
        own = given("encoder", self.networks.encoder, self.shape, [(None,)], low=True)
        if own:
            (values,) = own.made
        elif self.convolutional:
            front, values = conv.features(self.shape, self.config.width)
        return Encoder(
            values,
            self.config.latent_dim,
            n_classes=n_classes,
            posterior=self.config.posterior,
            hidden=self.config.hidden,
            layers=self.config.layers,
            batch_norm=self.config.batch_norm,
            front=front,
            given=own,
        )

    def decoder(self, beside_z: int = 0) -> Decoder:
        inputs = self.config.latent_dim + beside_z
        own = given("decoder", self.networks.decoder, (inputs,), [self.shape])
        pixels = None
        if self.convolutional and not own:
            pixels = conv.pixels(self.config.hidden, self.shape, self.config.width)
        return Decoder(
            inputs,
            self.shape,
            hidden=self.config.hidden,
            layers=self.config.layers,
            # Pixels have bounds that an activation can respect; features have none.
            output=self.config.output if len(self.shape) > 1 else "linear",
            pixels=pixels,
            given=own,
            activation=cells_of(self.columns) if self.columns else None,
        )

    def adversary(self, prior: Prior, n_labels: int = 0, *, by_parts: bool = False) -> Adversary:
        inputs = prior.dim + (n_labels + 1 if n_labels else 0)
        own = given("critic", self.networks.critic, (inputs,), [(), (1,)])
        return Adversary(prior, self._critic(prior.dim, n_labels, own), by_parts=by_parts)

    def adversary_of_classes(self, n_classes: int) -> Adversary:
        return Adversary(Categorical(n_classes), self._critic(n_classes))

    def _critic(self, dim: int, n_labels: int = 0, own: Given | None = None) -> Critic:
        c = self.config
        return Critic(dim, n_labels=n_labels, hidden=c.hidden, layers=c.layers, given=own)

    def reader(self) -> Reader:
        """Half as wide as the others, as it is easier to tell classes than to draw them."""
        c, front, values = self.config, None, math.prod(self.shape)
        if self.convolutional:
            front, values = conv.features(self.shape, c.width)
        return Reader(
            values, self.n_classes, hidden=max(1, c.hidden // 2), layers=c.layers, front=front
        )

    def terms(self) -> tuple[Term, ...]:
        """The terms on y that have a weight."""
        c = self.config
        terms: tuple[Term, ...] = (
            VirtualAdversarial(c.vat_radius), TangentAdversarial(c.tangent_radius),
            Warped(c.warp_size), Balanced(c.balance_slack),
        )  # fmt: skip
        if c.denoising_weight:
            denoiser = self.denoiser()
            terms = (*terms, Denoised(denoiser), Disturbed(denoiser))
        return tuple(term for term in terms if c.weights[term.name])

    def denoiser(self) -> Denoiser:
        c = self.config
        if self.convolutional or self.networks.encoder is not None:
            raise ValueError(
                "--denoising-weight has to do with an encoder of fully connected layers: take "
                "--network mlp, and none of your own"
            )
        hidden = [c.hidden] * c.layers
        return Denoiser(math.prod(self.shape), hidden, self.n_classes, c.denoising_std)

    def clusters(self) -> Clusters:
        """The clusters to find, some of them merged if that is asked for."""
        c = self.config
        if not c.merged_from:
            return Clusters(c.clusters)
        look = partial(warp, size=c.warp_size) if c.warp_weight else None
        return MergedClusters(c.clusters, c.merged_from, look)

    def reconstruction_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        c = self.config
        loss = losses.RECONSTRUCTION[c.reconstruction]
        if c.sharpen_from is not None:
            loss = losses.Sharpened(loss, c.sharpen_from)
        return row_error(self.columns, loss) if self.columns else loss

    def prior(self) -> Prior:
        c = self.config
        if (own := self.networks.prior) is not None:
            refuse_misfit(own, c.latent_dim)
            return own
        priors: dict[str, Callable[[], Prior]] = {
            "gaussian": lambda: Gaussian(c.latent_dim, c.prior_std),
            "uniform": lambda: Uniform(c.latent_dim, c.prior_std),
            "mixture": lambda: Mixture(
                c.latent_dim, c.components, c.radius, c.radial_std, c.tangential_std
            ),
            "swiss-roll": lambda: SwissRoll(c.components),
        }
        return priors[c.prior]()


def _basic(make: _Nouns) -> Autoencoder:
    prior = make.prior()
    return BasicAAE(
        make.encoder(), make.decoder(), {"z": make.adversary(prior)},
        prior=prior, n_classes=make.n_classes, reconstruction_loss=make.reconstruction_loss(),
    )  # fmt: skip


def _labels(make: _Nouns) -> Autoencoder:
    prior = make.prior()
    if not isinstance(prior, (Gaussian, Uniform)) and prior.components < make.n_classes:
        raise ValueError(
            f"the data have {make.n_classes} classes but the prior only {prior.components} parts: "
            f"take --components {make.n_classes} or more, or a prior of your own with as many"
        )
    return LabelInformedAAE(
        make.encoder(), make.decoder(), {"z": make.adversary(prior, make.n_classes, by_parts=True)},
        prior=prior, n_classes=make.n_classes, reconstruction_loss=make.reconstruction_loss(),
    )  # fmt: skip


def _supervised(make: _Nouns) -> Autoencoder:
    prior = make.prior()
    seen = make.n_classes if make.config.style_critic == "labels" else 0
    parts = make.encoder(), make.decoder(make.n_classes), {"z": make.adversary(prior, seen)}
    if make.config.reading_weight:
        return ReadAAE(
            *parts, prior=prior, reader=make.reader(),
            n_classes=make.n_classes, reconstruction_loss=make.reconstruction_loss(),
        )  # fmt: skip
    return SupervisedAAE(
        *parts, prior=prior,
        n_classes=make.n_classes, reconstruction_loss=make.reconstruction_loss(),
    )  # fmt: skip


def _with_classes(
    kind: type[ClusteringAAE], make: _Nouns, clusters: Clusters, decoder: Decoder | HeadedDecoder
) -> Autoencoder:
    prior, found = make.prior(), clusters.found
    adversaries = {"z": make.adversary(prior), "y": make.adversary_of_classes(found)}
    return kind(
        make.encoder(found), decoder, adversaries,
        prior=prior, clusters=clusters, terms=make.terms(),
        n_classes=clusters.count, reconstruction_loss=make.reconstruction_loss(),
    )  # fmt: skip


def _semi(make: _Nouns) -> Autoencoder:
    classes = Clusters(make.n_classes)
    return _with_classes(SemiSupervisedAAE, make, classes, make.decoder(classes.found))


def _cluster(make: _Nouns) -> Autoencoder:
    clusters = make.clusters()
    return _with_classes(ClusteringAAE, make, clusters, make.decoder(clusters.found))


def _embed(make: _Nouns) -> Autoencoder:
    c = make.config
    if (parts := make.prior().components) > 1:
        raise ValueError(
            f"in an embedding the prior is around each class: it has one part itself, not {parts}"
        )
    kind, clusters = (
        (LabelEmbeddingAAE, Clusters(make.n_classes))
        if c.labels
        else (ClusterEmbeddingAAE, make.clusters())
    )
    decoder = HeadedDecoder(make.decoder(), clusters.found, c.latent_dim, c.heads_apart)
    return _with_classes(kind, make, clusters, decoder)


def _vae(make: _Nouns) -> Autoencoder:
    return VAE(
        make.encoder(), make.decoder(), {},
        prior=make.prior(), n_classes=make.n_classes,
        reconstruction_loss=make.reconstruction_loss(),
    )  # fmt: skip


VARIANTS: dict[str, Callable[[_Nouns], Autoencoder]] = {
    "basic": _basic,
    "labels": _labels,
    "supervised": _supervised,
    "semi": _semi,
    "cluster": _cluster,
    "embed": _embed,
    "vae": _vae,
}
