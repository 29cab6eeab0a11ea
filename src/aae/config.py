"""One frozen dataclass holds every hyperparameter: the config of a run.

The command line is made from it (a field is a flag, its docstring the help text), a run folder
stores it as JSON, and a recipe is a function that returns one. Nothing here imports torch, so that
``aae --help`` is quick.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aae.sense import interval, refuse_senseless
from aae.words import nearest

Model = Literal["basic", "labels", "supervised", "semi", "cluster", "embed", "vae"]
Posterior = Literal["deterministic", "gaussian", "universal"]
PriorName = Literal["gaussian", "mixture", "swiss-roll", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that is needed to run a training again.

    Raises:
        ValueError: if a value, or two values together, make no sense.
    """

    recipe: str
    """The recipe this config came from."""
    model: Model
    """Which variant of the adversarial autoencoder is trained."""

    # --- data
    data: str = "mnist"
    """Data set to train on: a name that 'aae list' shows; a folder or .zip of pictures, with a
    folder for each class if there are classes; a .npy file of uint8 pictures or float rows, or a
    folder of .npy files of pictures, with the labels of X.npy in X.labels.npy; a .npz file of x,
    y, x_test and y_test; or a table, a .csv or .parquet file."""
    data_dir: str | None = None
    """Folder of the data set's files; without it, $AAE_DATA_DIR, or else a checked download."""
    image_size: tuple[int, ...] = ()
    """Side in pixels, or height and width, to give each picture of a folder: it is scaled until it
    covers that size, then cropped around its centre. Without it, all must have the same size."""
    channels: int | None = None
    """1 makes a folder's pictures grey, 3 colour; without it, colour if any of them is."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """Unreadable files in a folder of pictures: list them and stop (refuse), or leave them out and
    say so (skip)."""
    label_column: str | None = None
    """Column of a table that holds the class of each row; a row without a class has an empty cell
    there. Without this flag, every column is learned from."""
    missing: Literal["refuse", "impute"] = "refuse"
    """Missing values in a table: say where they are and stop (refuse); or use the mean for a number
    and none of the categories, and leave them out of the reconstruction loss (impute)."""
    categorical_columns: tuple[str, ...] = ()
    """Numeric columns of a table that stand for categories. Text columns do in any case, but for
    names, which seldom come twice: name them here if they do."""
    ignore_columns: tuple[str, ...] = ()
    """Columns of a table to leave out."""
    validation: float = 1 / 12
    """Share of the training set kept aside for validation, chosen by the seed (MNIST: 5,000)."""
    labels: int | Literal["all"] = "all"
    """How many training labels to use, balanced over the classes and chosen by the seed."""

    # --- networks
    network: Literal["auto", "mlp", "conv"] = "auto"
    """mlp: fully connected encoder and decoder; conv: with convolutions before the encoder's layers
    and after the decoder's; auto: conv for colour, and for grey pictures of more than 32×32."""
    width: int = 32
    """Channels of the largest level of convolutions; they double each time the sides halve."""
    latent_dim: int = 2
    """Dimensions of the code z."""
    posterior: Posterior = "gaussian"
    """Posterior q(z|x): a point, a Gaussian, or whatever the encoder makes of noise fed to it."""
    hidden: int = 1000
    """Units in each hidden layer of encoder, decoder and discriminators."""
    layers: int = 2
    """Hidden layers of encoder, decoder and discriminators."""
    style_critic: Literal["labels", "plain"] = "labels"
    """labels: the style recipe's discriminator also sees the label, so that the styles of every
    class follow the whole prior and z says nothing about the class; plain: it does not, as in the
    paper."""
    clusters: int = 16
    """Clusters to find without labels (cluster; embed with --labels 0)."""
    merged_from: int = 0
    """Find this many clusters, then merge those that share pictures until --clusters are left; they
    come out purer than --clusters found at once. 0 merges none."""
    heads_apart: float = 6.0
    """Least distance between the heads of classes or clusters in code space (embed)."""
    batch_norm: bool = False
    """Batch normalisation in the encoder's hidden layers."""
    output: Literal["tanh", "linear"] = "tanh"
    """The decoder's last activation; pixels lie in [-1, 1]. For rows of features it is linear."""
    reconstruction: Literal["squared", "absolute", "bernoulli"] = "squared"
    """The reconstruction loss, summed over pixels. squared: half the squared error, whose best
    guess is a mean; absolute: the absolute error, whose best guess is a median, which keeps strokes
    sharp; bernoulli: the cross-entropy of pixels as shares of white, for pictures in black and
    white."""
    sharpen_from: float | None = None
    """Share of the epochs after which the reconstruction loss becomes the harmonic mean of absolute
    errors. By then codes have their places, and each can stand for one kind of picture."""
    init: Literal["centred", "he", "normal"] = "centred"
    """Initial weights. centred: He's, with codes that start at the prior's centre; he: He's alone,
    as in the reference program; normal: N(0, 0.01²), as in the paper."""

    # --- prior
    prior: PriorName | str = "gaussian"
    """Distribution imposed on z. A .npy file has samples of one of your own, a row each; labels of
    those in X.npy, which part each belongs to, may be in X.labels.npy."""
    prior_std: float = 1.0
    """Standard deviation of the Gaussian prior; half the side of the uniform one."""
    components: int = 10
    """Components of the mixture prior, or segments of the swiss roll."""
    radius: float = 1.4
    """Distance of the mixture's centres from the origin."""
    radial_std: float = 0.5
    """Standard deviation of a mixture component along the radius."""
    tangential_std: float = 0.1
    """Standard deviation of a mixture component across the radius."""

    # --- training
    epochs: int = 50
    """Passes over the training set."""
    batch_size: int = 128
    """Pictures in a batch."""
    step: Literal["joint", "joint-plain", "alternating", "alternating-plain"] = "joint"
    """joint: one pass for all phases; alternating: as in the paper, with an encoding for each
    phase; -plain: the same, written plainly."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or SGD with momentum (the paper's)."""
    lr: float = 1e-3
    """Learning rate."""
    adversarial_lr: float | None = None
    """Learning rate of all phases but reconstruction or, in a joint step, of the discriminators;
    without it, the same as --lr."""
    warmup: int = 100
    """Steps over which the learning rate rises from 0, at most a tenth of all: the first moves of
    the adversarial game are the most dangerous."""
    lr_steps: tuple[float, ...] = (0.7, 0.9)
    """When to multiply the learning rate by --lr-factor: epochs, or (below 1) shares of
    --epochs."""
    lr_factor: float = 0.1
    """Factor on the learning rate at each of --lr-steps."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.99
    """Adam's decay of the second moment. If one large gradient follows many small ones, a long
    memory (0.999) makes a step of 16 times the learning rate; 0.99 makes one of 5."""
    momentum: float = 0.9
    """SGD's momentum in the reconstruction phase."""
    adversarial_momentum: float = 0.1
    """SGD's momentum wherever --adversarial-lr applies."""
    noise_std: float = 0.0
    """Standard deviation of Gaussian noise on the encoder's input, in training only."""
    input_dropout: float = 0.0
    """Share of the encoder's inputs dropped, in training only: pixels turn black, features of rows
    0, and the others are scaled up to make up for it."""
    dropout: float = 0.0
    """Share of hidden units dropped in the reconstruction phase (in a joint step: in all
    phases)."""

    # --- loss weights
    reconstruction_weight: float = 1.0
    """Weight of the reconstruction loss; a picture of more than 28×28 values weighs as much as one
    of 28×28, and a row as much as one of MNIST, except in a VAE."""
    generator_weight: float = 25.0
    """Weight of the generator loss on z."""
    discriminator_weight: float = 6.0
    """Weight of the discriminator loss on z."""
    classification_weight: float = 100.0
    """Weight of the cross-entropy on labelled pictures (semi, embed with labels)."""
    y_generator_weight: float = 25.0
    """Weight of the generator loss on y (semi, cluster, embed)."""
    y_discriminator_weight: float = 6.0
    """Weight of the discriminator loss on y (semi, cluster, embed)."""
    vat_weight: float = 0.0
    """Weight of virtual adversarial training on y (semi, cluster, embed): the classes of a picture
    and of its worst neighbour must agree. 0 leaves it out, as in the paper."""
    vat_radius: float = 3.0
    """Distance of that worst neighbour: L2 norm, of pixels in [-1, 1] (--vat-weight)."""
    kl_weight: float | None = None
    """Weight of the KL divergence from each posterior to the prior, beside the discriminator's
    terms; without this flag, 0 as in the paper, and 1 for a VAE. It keeps posteriors wide where
    pictures differ in less than the code has room for."""
    reading_weight: float = 0.0
    """Weight of legibility (style): a classifier, trained beside the decoder, must read what that
    draws for a prior sample and a label as that label. 0 leaves it out, as in the paper."""
    tangent_weight: float = 0.0
    """Weight of virtual adversarial training along the style (semi, cluster, embed): a picture must
    keep its class when z moves. 0 leaves it out, as in the paper."""
    tangent_radius: float = 1.0
    """How far z moves, in the L2 norm (--tangent-weight)."""
    warp_weight: float = 0.0
    """Weight of keeping a picture's class when the picture is turned, slanted, stretched and
    shifted a little (semi, cluster, embed). 0 leaves it out, as in the paper."""
    warp_size: float = 1.0
    """How far --warp-weight warps a picture: 1 stands for turns up to 11 degrees, slants up to 0.3,
    sides up to 13 % shorter or 18 % longer, and shifts up to 7 % of a side."""
    denoising_weight: float = 0.0
    """Weight of removing noise from the encoder's layers, with the help of y (semi, embed with
    labels; with --batch-norm); labelled pictures are then classified with that noise, too. 0 leaves
    it out, as in the paper."""
    denoising_std: float = 0.3
    """Standard deviation of the noise of --denoising-weight on hidden units, which are normalised;
    pixels in [-1, 1] get twice as much."""
    balance_weight: float = 0.0
    """Weight of the KL divergence from the mean class probabilities of a batch to equal shares
    (semi, cluster, embed). 0 leaves it out, as in the paper."""
    balance_slack: float = 0.0
    """Nats up to which the divergence of --balance-weight costs nothing, so that shares may
    differ."""
    heads_weight: float = 1.0
    """Weight of keeping the heads of classes or clusters apart (embed)."""
    classification_every: int = 1
    """Steps from one classification phase to the next (semi, embed with labels)."""

    # --- machine and run
    seed: int = 0
    """Seed of everything random: split, labels, weights, batches, noise."""
    split_seed: int | None = None
    """Seed of the split and of the choice of labels, if other than --seed: trainings that share it
    differ only in weights, batches and noise."""
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Type of matrix products: float32 or bfloat16; auto takes bfloat16 for pictures if the
    processor has units for it. Weights, losses and updates are always float32."""
    log_every: int = 100
    """Steps between two lines of metrics."""
    sample_every: int = 10
    """Epochs between two sets of pictures, and between two checkpoints. Learning curves and the
    pictures of a table come at the end, and on the way as long as they have taken no more than a
    tenth of the time."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """If a loss or gradient is not finite: stop and say which, or skip that step and say so. Such a
    step changes no weight in either case."""
    checkpoint_every: int | str | None = None
    """Epochs, or minutes (10m), between two checkpoints; without it, --sample-every."""
    keep: int = 2
    """How many of the newest checkpoints to keep."""
    keep_best: Literal["reconstruction", "classification", "error"] | None = None
    """Besides the newest, keep the checkpoint with the lowest value of this validation figure, and
    use that one in evaluate, sample and the like."""

    def __post_init__(self) -> None:
        refuse_senseless(self)

    @property
    def needs_labels(self) -> bool:
        """Whether its model cannot be used on data without labels."""
        return self.model in ("labels", "supervised", "semi") or (
            self.model == "embed" and self.labels != 0
        )

    @property
    def classifies(self) -> bool:
        """Whether its model names the data's classes, and not clusters of its own."""
        return self.model == "semi" or (self.model == "embed" and self.labels != 0)

    @property
    def smooths_classes(self) -> bool:
        """Whether a loss of its model compares a picture's class with that of a neighbour."""
        return bool(self.vat_weight or self.tangent_weight or self.warp_weight)

    @property
    def clusters_found(self) -> int:
        """How many clusters are found before any are merged."""
        return self.merged_from or self.clusters

    @property
    def data_name(self) -> str:
        """What the data are called, without their place on the user's machine."""
        return Path(self.data).name

    @property
    def prior_file(self) -> Path | None:
        """The file of samples that the prior is of, if it is."""
        return Path(self.prior) if self.prior.endswith(".npy") else None

    @property
    def prior_name(self) -> str:
        """What the prior is called, without its place on the user's machine."""
        return self.prior_file.stem if self.prior_file else self.prior

    @property
    def source(self) -> tuple[object, ...]:
        """The values that its data set depends on."""
        return (
            self.data, self.data_dir, self.image_size, self.channels, self.unreadable,
            self.label_column, self.missing, self.categorical_columns, self.ignore_columns,
        )  # fmt: skip

    @property
    def drawn_by(self) -> int:
        """The seed of the split and of the choice of labels."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def of_any_seed(self) -> Config:
        """This config without its seeds: the same for all configs that differ only in those."""
        return replace(self, seed=0, split_seed=None)

    @property
    def checkpoint_interval(self) -> tuple[int, float]:
        """Epochs and minutes between two checkpoints; whichever have passed first count."""
        epochs, minutes = interval(self.checkpoint_every or self.sample_every) or (0, 0)
        return epochs or self.epochs, minutes or math.inf

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each phase's loss, by the phase's name."""
        return {
            "reconstruction": self.reconstruction_weight,
            "generator_z": self.generator_weight,
            "discriminator_z": self.discriminator_weight,
            "generator_y": self.y_generator_weight,
            "discriminator_y": self.y_discriminator_weight,
            "classification": self.classification_weight,
            "vat": self.vat_weight,
            "tangent": self.tangent_weight,
            "warp": self.warp_weight,
            "balance": self.balance_weight,
            "denoising": self.denoising_weight,
            "disturbed": self.classification_weight,
            "heads": self.heads_weight,
            "reader": 1.0,
            "reading": self.reading_weight,
            "kl": float(self.model == "vae") if self.kl_weight is None else self.kl_weight,
        }

    def for_strangers(self) -> dict[str, Any]:
        """The config as plain JSON values, without places on the user's machine."""
        prior = self.prior_file.name if self.prior_file else self.prior
        return self.to_json() | {"data": self.data_name, "data_dir": None, "prior": prior}

    def to_json(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Config:
        """The config that ``to_json`` wrote.

        Raises:
            ValueError: an unknown or missing name, or a value of the wrong type.
        """
        hints = typing.get_type_hints(cls)
        for name in values:
            if name not in hints:
                raise ValueError(
                    f"the config has no field {name!r}; {nearest(name, hints)}see aae.config.Config"
                )
        for name in ("recipe", "model"):
            if name not in values:
                raise ValueError(f"the config lacks the field {name!r}")
        plain: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
        }
        return cls(**plain)
