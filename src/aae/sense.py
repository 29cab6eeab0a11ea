"""Which values of a config make no sense, alone or together.

Making an `aae.config.Config` calls this module, so it is imported here only for its type.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from typing import TYPE_CHECKING, Literal

from aae.hints import fits, flag
from aae.words import nearest

if TYPE_CHECKING:
    from aae.config import Config


def refuse_senseless(c: Config) -> None:
    """Refuse a config that could not be trained.

    Raises:
        ValueError: says which value cannot be, and what can.
    """
    _refuse_types(c)
    _refuse_values(c)
    _refuse_together(c)


def _refuse_types(c: Config) -> None:
    for name, hint in typing.get_type_hints(type(c)).items():
        if not fits(value := getattr(c, name), hint):
            options = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
            known = f"; it is one of {', '.join(options)}" if options else ""
            raise ValueError(f"{flag(name)} cannot be {value!r}{known}")


def _refuse_values(c: Config) -> None:
    """Refuse values that make no sense whatever the others are."""
    at_least = {
        "latent_dim": 1, "clusters": 1, "hidden": 1, "layers": 1, "components": 1, "epochs": 1,
        "batch_size": 2, "classification_every": 1, "log_every": 1, "sample_every": 1,
        "keep": 1, "warmup": 0, "seed": 0, "split_seed": 0, "merged_from": 0,
    }  # fmt: skip
    for name, least in at_least.items():
        if (value := getattr(c, name)) is not None and value < least:
            raise ValueError(f"{flag(name)} must be at least {least}, not {value}")
    for name in ("seed", "split_seed"):
        if (value := getattr(c, name) or 0) >= 2**63:
            raise ValueError(f"{flag(name)} must be below 2^63, not {value}")
    if c.layers > 1000:
        raise ValueError(f"--layers must be at most 1000, not {c.layers}")
    positive = [
        "prior_std",
        "vat_radius",
        "tangent_radius",
        "warp_size",
        "denoising_std",
        "heads_apart",
        "radial_std",
        "tangential_std",
        "lr",
        "lr_factor",
    ]
    for name in positive:
        if not 0 < getattr(c, name) < math.inf:
            raise ValueError(f"{flag(name)} must be above 0, not {getattr(c, name)}")
    weights = [f.name for f in dataclasses.fields(c) if f.name.endswith("_weight")]
    for name in [*weights, "balance_slack", "noise_std", "radius"]:
        if not 0 <= (getattr(c, name) or 0) < math.inf:
            raise ValueError(f"{flag(name)} must be 0 or more, not {getattr(c, name)}")
    for name in ["input_dropout", "dropout", "beta1", "beta2", "momentum", "adversarial_momentum"]:
        if not 0 <= getattr(c, name) < 1:
            raise ValueError(f"{flag(name)} must lie in [0, 1), not {getattr(c, name)}")
    if not 0 < c.validation < 1:
        raise ValueError(f"--validation must lie between 0 and 1, not {c.validation}")
    if c.adversarial_lr is not None and not 0 < c.adversarial_lr < math.inf:
        raise ValueError(f"--adversarial-lr must be above 0, not {c.adversarial_lr}")
    if any(not step >= 0 or (step >= 1 and step % 1) for step in c.lr_steps):
        raise ValueError(
            "--lr-steps must be whole epochs, or shares of --epochs below 1, not "
            + " ".join(str(step) for step in c.lr_steps)
        )
    if interval(c.checkpoint_every) is None:
        raise ValueError(
            "--checkpoint-every must be epochs (5) or minutes (10m), more than 0, not "
            f"{c.checkpoint_every}"
        )
    if c.width < 8 or c.width % 8:
        raise ValueError(
            f"--width must be a multiple of 8, for channels are normalised in 8 groups; it is "
            f"{c.width}"
        )
    _refuse_prior(c)
    if c.labels != "all" and c.labels < 0:
        raise ValueError(f"--labels must be 'all' or a number of 0 or more, not {c.labels}")


def _refuse_prior(c: Config) -> None:
    from aae.config import PriorName  # which imports this module

    names = typing.get_args(PriorName)
    if c.prior not in names and c.prior_file is None:
        raise ValueError(
            f"--prior cannot be {c.prior!r}; {nearest(c.prior, names)}it is one of "
            f"{', '.join(names)}, or a .npy file of samples"
        )


def _refuse_together(c: Config) -> None:
    """Refuse values that exclude each other."""
    if c.keep_best in ("classification", "error") and not c.classifies:
        raise ValueError(
            f"--keep-best {c.keep_best} is of models that classify (semi, embed); "
            f"take --keep-best reconstruction for {c.model}"
        )
    if c.reconstruction == "bernoulli" and c.output != "tanh":
        raise ValueError(
            "--reconstruction bernoulli takes pixels for shares of white, which have bounds: "
            f"take --output tanh, not {c.output}"
        )
    if c.sharpen_from is not None:
        if not 0 < c.sharpen_from < 1:
            raise ValueError(
                "--sharpen-from must be a share of the epochs, between 0 and 1, not "
                f"{c.sharpen_from}"
            )
        if c.reconstruction == "absolute" or c.keep_best == "reconstruction":
            raise ValueError(
                "--sharpen-from changes the reconstruction loss to another: leave "
                "out --reconstruction absolute and --keep-best reconstruction"
            )
    if c.model == "semi" and c.labels == 0:
        raise ValueError("semi-supervised training needs labels: --labels must be above 0")
    if c.model == "cluster" and c.labels:
        raise ValueError(
            f"clustering uses no labels: take --labels 0, not {c.labels}, or the recipe semi"
        )
    if c.model in ("labels", "supervised") and c.labels == 0:
        raise ValueError(
            f"the model {c.model!r} is shown labels: --labels must be above 0; without any, take "
            "the recipe gaussian, or cluster"
        )
    has_y = c.model in ("semi", "cluster", "embed")
    for name in ["vat_weight", "tangent_weight", "warp_weight", "balance_weight"]:
        if getattr(c, name) and not has_y:
            raise ValueError(
                f"{flag(name)} is of models that tell classes or clusters (semi, cluster, embed), "
                f"and {c.model} does not: leave it out"
            )
    if c.merged_from and (c.classifies or not has_y):
        raise ValueError(
            "--merged-from is of models that find clusters (cluster, embed with --labels 0): "
            "leave it out"
        )
    if c.merged_from and c.merged_from <= c.clusters:
        raise ValueError(
            f"--merged-from {c.merged_from} must be more than --clusters {c.clusters}, which are "
            "left of them; or 0, where none are to be merged"
        )
    if c.model == "embed" and c.prior in ("mixture", "swiss-roll"):
        raise ValueError(
            "the heads of an embedding are parts enough: take --prior gaussian or uniform, "
            f"not {c.prior}"
        )
    if c.smooths_classes and c.posterior == "universal":
        raise ValueError(
            "smooth classes must be a function of the picture: take 0 for --vat-weight, "
            "--tangent-weight and --warp-weight, or another --posterior than universal"
        )
    if c.denoising_weight and not (c.classifies and c.batch_norm):
        raise ValueError(
            "--denoising-weight is of models that classify (semi, embed with labels), and noise on "
            "hidden units needs them normalised: add --batch-norm, or leave it out"
        )
    if c.denoising_weight and c.posterior == "universal":
        raise ValueError(
            "--denoising-weight has no place for the noise that --posterior universal feeds in: "
            "take gaussian or deterministic"
        )
    if c.prior == "mixture" and c.latent_dim % 2:
        raise ValueError(
            f"the mixture prior works on pairs of dimensions: --latent-dim must be even, "
            f"not {c.latent_dim}"
        )
    if c.prior == "swiss-roll" and c.latent_dim != 2:
        raise ValueError(
            f"the swiss roll is a curve in the plane: --latent-dim must be 2, not {c.latent_dim}"
        )
    if c.reading_weight and c.model != "supervised":
        raise ValueError(
            "--reading-weight has digits read as the label that the decoder was told: it is of "
            "the recipe style; leave it out"
        )
    who = "a VAE" if c.model == "vae" else "--kl-weight"
    if c.weights["kl"] and c.prior == "uniform":
        raise ValueError(
            f"{who} cannot have the uniform prior: its KL divergence is infinite; "
            "take --prior gaussian, mixture or swiss-roll"
        )
    if c.weights["kl"] and c.posterior != "gaussian":
        raise ValueError(
            f"{who} needs the density of its posterior: take --posterior gaussian, "
            f"not {c.posterior}"
        )
    if c.model == "vae" and not c.weights["kl"]:
        raise ValueError("a VAE has nothing else to hold its codes: --kl-weight must be above 0")
    if c.model == "vae" and c.step.startswith("alternating"):
        raise ValueError("a VAE has one loss and nothing to alternate: take --step joint")


def interval(every: int | str | None) -> tuple[int, float] | None:
    """Epochs and minutes, one of them 0, of 5, "5" or "10m"; None if it is no such thing.

    >>> interval(5), interval("5"), interval("0.5m"), interval("5 epochs")
    ((5, 0.0), (5, 0.0), (0, 0.5), None)
    """
    if every is None:
        return 0, 0.0
    if isinstance(every, int) or re.fullmatch(r"\d{1,6}", every):
        return (int(every), 0.0) if int(every) >= 1 else None
    matched = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)m", every)
    return (0, float(matched[1])) if matched and float(matched[1]) else None
