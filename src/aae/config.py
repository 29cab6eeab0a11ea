"""One frozen dataclass holds every hyperparameter: the config of a run.

The command line is made from it (a field is a flag, its docstring the help text), a run folder
stores it as JSON, and a recipe is a function that returns one. Nothing here imports torch, so that
``aae --help`` is quick.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from dataclasses import dataclass, replace
from typing import Any, Literal

from aae.sense import interval, refuse_senseless

Model = Literal["basic", "labels", "supervised", "semi", "cluster", "embed", "vae"]
Posterior = Literal["deterministic", "gaussian", "universal"]
PriorName = Literal["gaussian", "mixture", "swiss-roll", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that is needed to run a training again.

    Raises:
        ValueError: where a value, or two values together, make no sense.
    """

    recipe: str
    """The recipe this config came from."""
    model: Model
    """Which variant of the adversarial autoencoder is trained."""

    # --- data
    data: str = "mnist"
    """Data set to train on: a name that 'aae list' shows; or a folder or .zip of pictures, with a
    folder for each class where there are classes; or a .npy file of uint8 pictures or float rows,
    or a folder of such pictures, with labels of X.npy in X.labels.npy; or a .npz file of x, y,
    x_test and y_test; or a table, a .csv or .parquet file."""
    data_dir: str | None = None
    """Folder that holds the data set's files; else $AAE_DATA_DIR, else a checked download."""
    image_size: tuple[int, ...] = ()
    """Side in pixels, or height and width, that each picture of a folder is brought to: scaled
    until it covers them, and cropped around its centre. Without it all must be of one size."""
    channels: int | None = None
    """1 to make a folder's pictures grey, 3 for colour; without it, colour if any of them is."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """Files in a folder of pictures that cannot be read: list them and stop, or leave them out and
    say so."""
    label_column: str | None = None
    """Column of a table with the class of each row, empty where it has none; without it every
    column is learned from."""
    missing: Literal["refuse", "impute"] = "refuse"
    """Missing values in a table: say where and stop; or take the mean and no category for them, and
    leave them out of the reconstruction loss."""
    categorical_columns: tuple[str, ...] = ()
    """Columns of numbers in a table that stand for categories. Columns of text always do."""
    ignore_columns: tuple[str, ...] = ()
    """Columns of a table that are left out."""
    validation: float = 1 / 12
    """Share of the training set kept aside for validation, chosen by the seed (MNIST: 5,000)."""
    labels: int | Literal["all"] = "all"
    """How many training labels are used, balanced over the classes, chosen by the seed."""

    # --- networks
    network: Literal["auto", "mlp", "conv"] = "auto"
    """Encoder and decoder of fully connected layers, or with convolutions before and after them;
    auto: convolutions for colour, and for grey pictures of more than 32×32."""
    width: int = 32
    """Channels of the largest level of convolutions; they double with each halving of the sides."""
    latent_dim: int = 2
    """Dimensions of the code z."""
    posterior: Posterior = "gaussian"
    """q(z|x): a point, a Gaussian, or whatever noise fed to the encoder makes of it."""
    hidden: int = 1000
    """Units in each hidden layer of encoder, decoder and discriminators."""
    layers: int = 2
    """Hidden layers of encoder, decoder and discriminators."""
    style_critic: Literal["labels", "plain"] = "labels"
    """Whether the style recipe's discriminator sees the label too, so that the styles of every
    class follow the whole prior and z tells nothing of the class; "plain" is the paper's."""
    clusters: int = 16
    """Clusters to find without labels (cluster; embed with --labels 0)."""
    merged_from: int = 0
    """How many clusters to find at first, where those that share pictures are then merged until
    --clusters are left. They are purer than if as many as that were found. 0: none are merged."""
    heads_apart: float = 6.0
    """Least distance of the heads of classes or clusters in code space (embed)."""
    batch_norm: bool = False
    """Batch normalisation in the encoder's hidden layers."""
    output: Literal["tanh", "linear"] = "tanh"
    """The decoder's last activation; pixels lie in [-1, 1]. On rows of features it is linear."""
    reconstruction: Literal["squared", "absolute", "bernoulli"] = "squared"
    """The reconstruction loss: half the squared error, whose best guess is a mean; the absolute
    error, whose best guess is a median and keeps strokes sharp; or the cross-entropy of pixels
    taken for shares of white, for pictures in black and white. All are summed over pixels."""
    sharpen_from: float | None = None
    """Share of the epochs after which the reconstruction loss becomes the harmonic mean of absolute
    errors: codes have their places by then, and each can stand for one kind of picture."""
    init: Literal["centred", "he", "normal"] = "centred"
    """Initial weights: He's with codes that start at the prior's centre, He's alone (the reference
    program's), or N(0, 0.01²) (the paper's)."""

    # --- prior
    prior: PriorName = "gaussian"
    """Distribution imposed on z."""
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
    """One pass for all phases, or the paper's alternation (an encoding for each phase); each also
    written plainly."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or SGD with momentum (the paper's)."""
    lr: float = 1e-3
    """Learning rate."""
    adversarial_lr: float | None = None
    """Learning rate of all phases but reconstruction, or of the discriminators in a joint step;
    without it the same as --lr."""
    warmup: int = 100
    """Steps over which the learning rate rises from 0: the adversarial game's first moves are
    its most dangerous."""
    lr_steps: tuple[float, ...] = (0.7, 0.9)
    """When the learning rate is multiplied by --lr-factor: epochs, or shares of --epochs (below
    1)."""
    lr_factor: float = 0.1
    """What the learning rate is multiplied by at each of --lr-steps."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.99
    """Adam's decay of the second moment. A long memory (0.999) takes one large gradient after many
    small ones for a step of 16 times the learning rate; 0.99 for one of 5."""
    momentum: float = 0.9
    """SGD's momentum in the reconstruction phase."""
    adversarial_momentum: float = 0.1
    """SGD's momentum where --adversarial-lr is the rate."""
    noise_std: float = 0.0
    """Standard deviation of Gaussian noise on the encoder's input, in training only."""
    dropout: float = 0.0
    """Share of hidden units dropped in the reconstruction phase (all phases of a joint step)."""

    # --- loss weights
    reconstruction_weight: float = 1.0
    """Weight of the reconstruction loss; a picture of more than 28×28 values weighs as much as one
    of 28×28."""
    generator_weight: float = 25.0
    """Weight of the generator loss on z."""
    discriminator_weight: float = 6.0
    """Weight of the discriminator loss on z."""
    classification_weight: float = 100.0
    """Weight of the cross-entropy on labelled pictures (semi-supervised)."""
    y_generator_weight: float = 25.0
    """Weight of the generator loss on y (semi-supervised)."""
    y_discriminator_weight: float = 6.0
    """Weight of the discriminator loss on y (semi-supervised)."""
    vat_weight: float = 0.0
    """Weight of virtual adversarial training on y (semi-supervised): the classes of a picture and
    of its worst neighbour must agree. 0, the paper's model, leaves it out."""
    vat_radius: float = 3.0
    """How far that neighbour lies, in the L2 norm of pixels in [-1, 1]."""
    kl_weight: float | None = None
    """Weight of the KL divergence from each posterior to the prior, beside the discriminator's
    terms; without it 0, the paper's, and 1 for a VAE. It keeps posteriors wide where pictures
    differ in less than the code has room for."""
    reading_weight: float = 0.0
    """Weight of having what the decoder draws for a prior sample and a label read as that label, by
    a classifier that is trained beside it (style). 0, the paper's model, leaves it out."""
    tangent_weight: float = 0.0
    """Weight of virtual adversarial training along the style (semi-supervised, clustering): the
    class of a picture must stay where z moves. 0, the paper's model, leaves it out."""
    tangent_radius: float = 1.0
    """How far z moves, in the L2 norm."""
    warp_weight: float = 0.0
    """Weight of keeping the class of a picture where the picture is turned, slanted, stretched and
    shifted a little (semi-supervised, clustering). 0, the paper's model, leaves it out."""
    warp_size: float = 1.0
    """How much: 1 stands for turns up to 11 degrees, slants up to 0.3, sides up to 15 % longer or
    shorter, and shifts up to 7 % of a side."""
    denoising_weight: float = 0.0
    """Weight of taking noise off the encoder's layers, for which y must help (semi-supervised,
    with --batch-norm); labelled pictures are then classified with that noise, too. 0, the paper's
    model, leaves it out."""
    denoising_std: float = 0.3
    """Standard deviation of that noise on hidden units, which are normalised; pixels in [-1, 1] get
    twice as much."""
    balance_weight: float = 0.0
    """Weight of the KL divergence from the mean class probabilities of a batch to equal shares
    (semi-supervised, clustering); 0, the paper's model, leaves it out."""
    balance_slack: float = 0.0
    """Below how many nats that divergence is left alone, so that shares may differ."""
    heads_weight: float = 1.0
    """Weight of keeping the heads of classes or clusters apart (embed)."""
    classification_every: int = 1
    """Steps from one classification phase to the next (semi-supervised)."""

    # --- machine and run
    seed: int = 0
    """Seed of everything random: split, labels, weights, batches, noise."""
    split_seed: int | None = None
    """Seed of the split and of the choice of labels, if another: trainings that share it differ in
    weights, batches and noise alone."""
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Matrix products in float32 or bfloat16; auto takes bfloat16 where the processor has units
    for it. Weights, losses and updates are float32 in any case."""
    log_every: int = 100
    """Steps between two lines of metrics."""
    sample_every: int = 10
    """Epochs between two sets of pictures, and two checkpoints."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """Where a loss or gradient is not finite: stop and say which, or leave that step out and say
    so. No such step changes a weight in either case."""
    checkpoint_every: int | str | None = None
    """Epochs between two checkpoints, or minutes (10m), if other than those of --sample-every."""
    keep: int = 2
    """How many checkpoints to keep, the newest."""
    keep_best: Literal["reconstruction", "classification", "error"] | None = None
    """Keep, beside the newest, the checkpoint with the least of this validation figure too, and use
    that one in evaluate, sample and the like."""

    def __post_init__(self) -> None:
        refuse_senseless(self)

    @property
    def needs_labels(self) -> bool:
        """Whether its model is of no use for data without labels."""
        return self.model in ("labels", "supervised", "semi") or (
            self.model == "embed" and self.labels != 0
        )

    @property
    def smooths_classes(self) -> bool:
        """Whether a loss of its model compares a picture's class with that of a neighbour."""
        return bool(self.vat_weight or self.tangent_weight or self.warp_weight)

    @property
    def clusters_found(self) -> int:
        """How many clusters are found before any are merged."""
        return self.merged_from or self.clusters

    @property
    def source(self) -> tuple[object, ...]:
        """What its data set depends on."""
        return (
            self.data, self.data_dir, self.image_size, self.channels, self.unreadable,
            self.label_column, self.missing, self.categorical_columns, self.ignore_columns,
        )  # fmt: skip

    @property
    def drawn_by(self) -> int:
        """The seed that split and labels are drawn by."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def of_any_seed(self) -> Config:
        """What all configs have in common that differ by their seeds alone."""
        return replace(self, seed=0, split_seed=None)

    @property
    def checkpoint_interval(self) -> tuple[int, float]:
        """Epochs and minutes between two checkpoints, whichever are over first."""
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
                near = difflib.get_close_matches(name, hints, n=1)
                raise ValueError(
                    f"the config has no field {name!r}"
                    + (f"; did you mean {near[0]!r}?" if near else "")
                )
        for name in ("recipe", "model"):
            if name not in values:
                raise ValueError(f"the config lacks the field {name!r}")
        plain: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
        }
        return cls(**plain)
