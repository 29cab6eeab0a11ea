"""Estimators in run folders: what `aae train` writes, plus what only the estimator knows."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aae import scaling
from aae.config import Model
from aae.data import IN_MEMORY
from aae.estimators.autoencoder import LEVELS, AdversarialAutoencoder
from aae.estimators.base import Adversarial
from aae.estimators.classifier import AdversarialClassifier
from aae.estimators.clustering import AdversarialClustering
from aae.estimators.embedding import AdversarialEmbedding
from aae.estimators.labelled import Labelled
from aae.estimators.parameters import FIELDS, OF_DATA
from aae.estimators.supervised import SupervisedAdversarialAutoencoder
from aae.own_networks import OURS, Networks
from aae.run import Run
from aae.storage import read_json, written
from aae.training import checkpoint

KINDS: Mapping[Model, type[Adversarial]] = {
    "basic": AdversarialAutoencoder,
    "labels": AdversarialAutoencoder,
    "vae": AdversarialAutoencoder,
    "supervised": SupervisedAdversarialAutoencoder,
    "semi": AdversarialClassifier,
    "cluster": AdversarialClustering,
    "embed": AdversarialEmbedding,
}
"""The estimator for each variant of the model."""
ARRAYS = ("classes_", "feature_names_in_", "labels_", "score_quantiles_")
"""What estimators have learned besides the model, if they have it."""
MOST = 2**28
"""Maximum bytes of an array in the file that `save` writes beside a run."""


def save(estimator: Adversarial, folder: Path) -> Path:
    """Write a run folder; see `Adversarial.save`."""
    classes, scale = getattr(estimator, "classes_", np.array([])), estimator._scaling
    data = {
        "shape": scale.model_shape,
        "classes": [str(name) for name in classes.tolist()],
        "train": estimator._count,
        "columns": scale.columns.to_json() if isinstance(scale, scaling.Table) else None,
    }
    parameters = estimator.get_params(deep=False)
    del parameters["networks"]  # code is not kept
    if not isinstance(parameters["random_state"], int | np.integer | None):
        parameters["random_state"] = None  # a random generator has a state of its own
    about = {
        "parameters": parameters,
        "scaling": scale.to_json(),
        "features": estimator.n_features_in_,
        "arrays": {
            name: _to_json(getattr(estimator, name)) for name in ARRAYS if hasattr(estimator, name)
        },
    }
    # Refuse what cannot be written before there is a folder, and write the checkpoint last, so
    # that a folder which has one is complete.
    text = json.dumps(about, indent=1, default=_plain) + "\n"
    run = Run.write(folder, estimator.config_, data, estimator._networks)
    with written(run.folder / scaling.FILE) as path:
        path.write_text(text)
    with written(run.metrics) as path:
        path.write_text("".join(json.dumps(record) + "\n" for record in estimator.history_))
    checkpoint.write(run.checkpoints, estimator.model_, estimator._state)
    return run.folder


def load(folder: str | Path, networks: Networks = OURS) -> Adversarial:
    """Open a run folder, written by `save` or ``aae train``, as an estimator.

    ``hf:USER/NAME`` is a folder that ``aae push`` shared on the Hugging Face Hub, see
    `aae.hub.fetch`.

    A run of ``aae train`` takes pictures uint8 [n, c, h, w], or rows as they were given, and its
    labels are the names of its classes. A run on a table takes frames, dicts of columns or arrays
    [n, columns], and returns dicts of columns.

    Args:
        folder: the folder.
        networks: the user's own, if it was trained with any.

    Raises:
        ValueError: it is not a run folder, is damaged, or holds no checkpoint yet; or it was
            trained with other networks.
    """
    if str(folder).startswith("hf:"):
        from aae import hub

        folder = hub.fetch(str(folder))
    run = Run(folder, networks)
    run.refuse_other_networks()
    place = run.in_use
    if place is None:
        raise ValueError(f"{run.folder} holds no checkpoint yet")
    file = run.folder / scaling.FILE
    if file.exists():
        estimator = _of_file(run, file)
    elif run.config.data == IN_MEMORY:
        raise ValueError(
            f"{run.folder} was not wholly written: it lacks {scaling.FILE}, which says how "
            "examples are scaled; save the estimator again, to another folder"
        )
    else:
        estimator = _estimator(run, _of_command_line(run))
    estimator.history_, estimator.n_iter_ = run.records(), checkpoint.epoch_of(place)
    estimator._count = run.count or 0
    model = run.new_model()
    weights, state = checkpoint.read(place)
    checkpoint.give_weights(place, weights, model)
    estimator._open(model, state)
    return estimator


def _of_file(run: Run, file: Path) -> Adversarial:
    """An estimator without its model, from the file that `save` wrote beside the run.

    Raises:
        ValueError: it is damaged.
    """
    about = read_json(file)
    try:
        estimator = _estimator(run, about)
        _refuse_misfits(run, estimator)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{file} is none that aae wrote for this run: {what}; bring back what it was, or save "
            "the estimator again"
        ) from None
    return estimator


def _estimator(run: Run, about: dict[str, Any]) -> Adversarial:
    """An estimator without its model, from what `save` wrote or would have written."""
    own = run.networks if run.networks != OURS else None
    estimator = KINDS[run.config.model](**about["parameters"], networks=own)
    estimator.config_, estimator._scaling = run.config, scaling.from_json(about["scaling"])
    estimator._networks = run.networks
    estimator.n_features_in_ = about["features"]
    for name in ARRAYS:
        if name in about["arrays"]:
            setattr(estimator, name, _array(about["arrays"][name]))
    # As many as `fit` would count: none for models without labels, whatever the data have.
    estimator._n_classes = len(getattr(estimator, "classes_", ()))
    return estimator


def _refuse_misfits(run: Run, estimator: Adversarial) -> None:
    """Refuse an estimator's file if it contradicts the run or itself."""
    scale, features = estimator._scaling, math.prod(run.shape)
    if scale.model_shape != run.shape:
        raise ValueError(f"it scales examples of {[*scale.model_shape]}, not of {[*run.shape]}")
    columns = scale.columns if isinstance(scale, scaling.Table) else None
    if columns != run.columns:
        raise ValueError("its columns are not the run's")
    if columns is not None:
        features = len(columns.blocks)
    if estimator.n_features_in_ != features:
        raise ValueError(f"it has {estimator.n_features_in_!r} features, not {features}")
    lengths = {"feature_names_in_": features, "score_quantiles_": len(LEVELS)}
    if isinstance(estimator, Labelled):
        estimator.classes_  # noqa: B018 - it must be there
        lengths["classes_"] = len(run.classes)
    for name, length in lengths.items():
        if (there := len(getattr(estimator, name, range(length)))) != length:
            raise ValueError(f"it has {there} values of {name}, not {length}")


def _of_command_line(run: Run) -> dict[str, Any]:
    """What `save` would have written beside a command-line run."""
    config, kind = run.config.to_json(), KINDS[run.config.model]
    own = {
        parameter: config.pop(field)
        for parameter, field in FIELDS.items()
        if parameter in {each.name for each in dataclasses.fields(kind)}
    }
    for name in OF_DATA:
        del config[name]
    if run.config.prior_file:  # its samples are among the networks
        del config["prior"]
    if config["model"] != "vae":  # no estimator makes one by itself
        del config["model"]
    d = math.prod(run.shape)
    scale: scaling.Scaling = scaling.Rows(np.zeros(d), np.ones(d), np.zeros(d, bool))
    arrays = {}
    if run.columns:
        scale = scaling.Table(run.columns)
        arrays["feature_names_in_"] = _to_json(np.array(scale.names, object))
    elif len(run.shape) > 1:
        scale = scaling.Pictures(run.shape)
    classes = np.array(run.classes if run.config.needs_labels else [])
    if kind is not AdversarialClustering:
        arrays["classes_"] = _to_json(classes)
    return {
        "parameters": {**own, "scale": "none", "options": config},
        "scaling": scale.to_json(),
        "features": len(run.columns.blocks) if run.columns else d,
        "arrays": arrays,
    }


def _to_json(array: NDArray[Any]) -> dict[str, Any]:
    return {"type": array.dtype.str, "values": array.tolist()}


def _array(about: dict[str, Any]) -> NDArray[Any]:
    """The array that `_to_json` wrote.

    Raises:
        ValueError: it is no such array.
    """
    kind, values = np.dtype(about["type"]), about["values"]
    # NumPy 1 makes a negative size of one that is too large.
    if not isinstance(values, list) or not 0 <= len(values) * kind.itemsize <= MOST:
        raise ValueError("its arrays are none, or larger than any of ours")
    array = np.array(values, dtype=kind)
    if array.ndim != 1:
        raise ValueError(f"an array in it is {[*array.shape]}, and none of ours is")
    return array


def _plain(value: Any) -> Any:
    """Convert what JSON cannot express: NumPy's numbers, as a grid search sets them."""
    if isinstance(value, np.generic):
        return value.item()
    raise ValueError(
        f"{value!r}, a parameter or a class, cannot be written as JSON; take a number or a text"
    )
