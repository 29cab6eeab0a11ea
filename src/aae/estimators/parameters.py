"""An estimator's parameters: the config they ask for, and errors that use their names."""

from __future__ import annotations

import math
import re
import sys
import typing
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator

from aae.build import ERROR_OF_MEAN, reconstruction_share
from aae.config import Config
from aae.data import IN_MEMORY, Examples, spread
from aae.fit import paced
from aae.hints import flag
from aae.own_networks import Networks
from aae.pixels import to_model

FIELDS = {
    "hidden": "hidden",
    "layers": "layers",
    "n_epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "lr",
    "random_state": "seed",
    "device": "device",
    "latent_dim": "latent_dim",
    "n_components": "latent_dim",
    "n_clusters": "clusters",
    "merged_from": "merged_from",
}
"""Parameters of estimators, and the config fields that they stand for."""
OF_DATA = (
    "recipe", "data", "data_dir", "validation", "labels", "image_size", "channels",
    "unreadable", "label_column", "missing", "categorical_columns", "ignore_columns",
)  # fmt: skip
"""Config fields about the data, which an estimator does not set."""
OF_FIRST = (*OF_DATA, "warmup", "reconstruction_weight", "vat_radius")
"""Config fields that follow from the first examples, unless they are among the options."""
OF_WEIGHTS = (
    "model", "network", "width", "hidden", "layers", "latent_dim", "clusters", "merged_from",
    "posterior", "batch_norm", "style_critic",
)  # fmt: skip
"""Config fields that decide which weights a model has."""
OF_OPTIMIZERS = ("optimizer", "step")
"""Config fields that decide what its optimisers keep."""

REACH = 0.23
"""The radius of virtual adversarial training over the data's deviation; on MNIST it is 0.21.

On held-out rows of wine and digits, with 4 and 5 labels a class, an `AdversarialClassifier` made 7
and 5 % errors with it, 12 and 7 % with 0.4; on tumours 6 % with either (4 to 6 seeds)."""

FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ([a-z-]+|\d[\d.]*)\b)?")
"""A flag in an error, and the word after it, which may be its value."""

E = TypeVar("E", bound=BaseEstimator)


def config_of(estimator: BaseEstimator, images: Examples, n_classes: int) -> Config:
    """The full config of a training.

    Args:
        estimator: its parameters are what is asked for.
        images: the examples, as a model takes them.
        n_classes: how many classes the labels have.

    Raises:
        ValueError: a parameter is invalid, or an option is unknown.
    """
    variance, share = _variance(images), reconstruction_share(images.shape[1:])
    same = _checked(estimator)
    recipe, options = same._recipe(n_classes).to_json(), dict(same.options or {})
    weighed = variance and (recipe | options)["model"] != "vae"
    own = {
        "hidden": same.hidden,
        "layers": same.layers,
        "epochs": same.n_epochs,
        "batch_size": same.batch_size,
        "lr": same.learning_rate,
        "seed": estimator._seed(),
        "device": same.device,
        "data": IN_MEMORY,
        "log_every": sys.maxsize,  # the end of an epoch is recorded in any case
        "precision": "auto" if images.dtype == np.uint8 else "float32",
        "reconstruction_weight": 2 * ERROR_OF_MEAN / (share * variance) if weighed else 1.0,
        "vat_radius": REACH * math.sqrt(variance) if variance else REACH,
    }
    values = recipe | own | options
    # This refuses impossible values before they are used in calculations.
    config = Config.from_json({name: plain(value) for name, value in values.items()})
    if config.prior_file is not None:
        raise ValueError(
            f"options['prior']={config.prior!r}: an estimator takes samples as networks=Networks("
            "prior=KernelDensity(numpy.load(…))), see aae.kernel_density"
        )
    return config if "warmup" in options else paced(config, len(images))


def _variance(images: Examples) -> float:
    """The variance of examples as a model takes them, summed over their values."""
    some = np.asarray(images[spread(len(images), 10_000)])
    return float(to_model(torch.from_numpy(some)).flatten(1).double().var(0, correction=0).sum())


def _checked(estimator: E) -> E:
    """An unfitted one with plain Python values of its parameters: grid searches set NumPy's.

    Raises:
        ValueError: a parameter that no config has is invalid.
    """
    parameters = estimator.get_params(deep=False)
    same: E = type(estimator)(**{name: plain(value) for name, value in parameters.items()})
    if not isinstance(same.options, Mapping | None):
        _refuse(same, "options", "a dict of fields and their values")
    for name, value in (same.options or {}).items():
        if name in OF_DATA:
            raise ValueError(
                f"options[{name!r}] is about the data, which fit is given, or their labels: leave "
                "it out" + ("; see validation_fraction" if name == "validation" else "")
            )
        if name == "model" and value != "vae":
            raise ValueError(
                f"options['model']={value!r}: the estimator decides its model; leave it out, or "
                "take another estimator"
            )
    share = same.validation_fraction
    if not (isinstance(share, int | float) and 0 < share < 1):
        _refuse(same, "validation_fraction", "between 0 and 1")
    if not (isinstance(same.n_iter_no_change, int) and same.n_iter_no_change >= 1):
        _refuse(same, "n_iter_no_change", "a whole number of 1 or more")
    if not isinstance(same.verbose, int):
        _refuse(same, "verbose", "a whole number")
    if not isinstance(same.networks, Networks | None):
        _refuse(same, "networks", "aae.own_networks.Networks, or None")
    if same.early_stopping and (same.options or {}).get("sharpen_from") is not None:
        raise ValueError(
            "options['sharpen_from'] changes the loss that early_stopping compares: leave one out"
        )
    return same


def refuse_another(estimator: BaseEstimator, config: Config, *, optimizers: bool) -> None:
    """Refuse to go on with an estimator's weights if its parameters now ask for others.

    Args:
        estimator: what was trained.
        config: what its parameters ask for now.
        optimizers: whether the optimisers' state is to go on, too.

    Raises:
        ValueError: says what has changed.
    """
    if estimator._given != estimator._networks:
        raise ValueError(
            "cannot go on with other networks than it was trained with: set networks back, or make "
            "a new estimator"
        )
    before, fixed = estimator.config_, OF_WEIGHTS + (OF_OPTIMIZERS if optimizers else ())
    names = [name for name in fixed if getattr(config, name) != getattr(before, name)]
    # A term that comes or goes brings networks, or in the alternating step an optimiser of its own.
    terms = ["reading_weight", "denoising_weight"]
    if optimizers and config.step.startswith("alternating"):
        terms = [name for name in typing.get_type_hints(Config) if name.endswith("_weight")]
    names += [name for name in terms if bool(getattr(config, name)) != bool(getattr(before, name))]
    changes = {flag(name): (getattr(config, name), getattr(before, name)) for name in names}
    scale, scaled_by = plain(estimator.scale), getattr(estimator._scaling, "scale", None)
    if scaled_by not in (None, scale):
        changes["scale"] = scale, scaled_by
    if changes:
        words = (f"{name}={now!r} (was {then!r})" for name, (now, then) in changes.items())
        raise ValueError(
            f"cannot go on with {', '.join(words)}: set it back, or make a new estimator"
        )


def going_on(config: Config, before: Config, options: Mapping[str, Any] | None) -> Config:
    """What a training goes on with: the config asked for now, but for what its first data decided.

    Args:
        config: what is asked for now, for other data.
        before: what the training went by until now.
        options: config fields that the user sets, whatever the data.
    """
    kept = {name: getattr(before, name) for name in OF_FIRST if name not in (options or {})}
    return replace(config, **kept | {"data": IN_MEMORY})


def plain(value: Any) -> Any:
    """A value as a plain Python object."""
    return value.item() if isinstance(value, np.generic) else value


@contextmanager
def own_words(estimator: BaseEstimator) -> Iterator[None]:
    """Make errors that name config fields as flags use the estimator's names instead."""
    try:
        yield
    except Exception as error:
        if error.args and isinstance(error.args[0], str):
            parameters = type(estimator)._get_param_names()
            error.args = (renamed(error.args[0], parameters), *error.args[1:])
        raise


def renamed(words: str, parameters: Collection[str]) -> str:
    """An error message with flags renamed to parameters, or to options if there is none.

    >>> renamed("--lr must be above 0; take --posterior gaussian", ["learning_rate"])
    'learning_rate must be above 0; take options["posterior"]="gaussian"'
    """
    hints = typing.get_type_hints(Config)

    def name(match: re.Match[str]) -> str:
        field, value = match[1].replace("-", "_"), match[2]
        if field not in hints:
            return match[0]
        own = [each for each in parameters if FIELDS.get(each) == field]
        shown = own[0] if own else f'options["{field}"]'
        if value is None:
            return shown
        if value[0].isdigit():
            return f"{shown}={value}"
        chosen = any(value in typing.get_args(kind) for kind in _kinds(hints[field]))
        return f'{shown}="{value}"' if chosen else f"{shown} {value}"

    return FLAG.sub(name, words)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """A type, and the types that it is a union of."""
    return (hint, *typing.get_args(hint))


def _refuse(estimator: BaseEstimator, name: str, possible: str) -> typing.NoReturn:
    raise ValueError(f"{name}={getattr(estimator, name)!r} must be {possible}")
