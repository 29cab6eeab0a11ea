"""Estimators in run folders: what `aae train` writes, with what the estimator knows beside it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aae.config import Model
from aae.estimators import scaling
from aae.estimators.autoencoder import AdversarialAutoencoder
from aae.estimators.base import Adversarial
from aae.estimators.classifier import AdversarialClassifier
from aae.estimators.clustering import AdversarialClustering
from aae.estimators.embedding import AdversarialEmbedding
from aae.estimators.supervised import SupervisedAdversarialAutoencoder
from aae.run import Run
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
"""The estimator of each variant."""
ARRAYS = ("classes_", "feature_names_in_", "labels_", "score_quantiles_")
"""What estimators have learned beside the model, where they have it."""
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
"""Parameters of estimators, and the fields of a config that they are."""
_FILE = "estimator.json"


def save(estimator: Adversarial, folder: Path) -> Path:
    """Write a run folder; see `Adversarial.save`."""
    classes = getattr(estimator, "classes_", np.array([]))
    data = {
        "shape": estimator._scaling.model_shape,
        "classes": [str(name) for name in classes.tolist()],
        "train": estimator._count,
    }
    run = Run.write(folder, estimator.config_, data)
    checkpoint.write(run.checkpoints, estimator.model_, estimator._state)
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in estimator.history_))
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters["random_state"], int | None):
        parameters["random_state"] = None  # a source that is passed on has a state of its own
    about = {
        "parameters": parameters,
        "scaling": estimator._scaling.to_json(),
        "features": estimator.n_features_in_,
        "arrays": {
            name: _to_json(getattr(estimator, name)) for name in ARRAYS if hasattr(estimator, name)
        },
    }
    (run.folder / _FILE).write_text(json.dumps(about, indent=1, default=_plain) + "\n")
    return run.folder


def load(folder: str | Path) -> Adversarial:
    """Open a run folder as an estimator: one that `save` wrote, or ``aae train``.

    ``hf:USER/NAME`` is a folder that ``aae push`` shared on the Hugging Face Hub, see
    `aae.hub.fetch`.

    A run of ``aae train`` takes pictures uint8 [n, c, h, w], or rows as they were given, and has
    the names of its classes for labels.

    Raises:
        ValueError: it is no run folder, is damaged, or holds no checkpoint yet.
    """
    if str(folder).startswith("hf:"):
        from aae import hub

        folder = hub.fetch(str(folder))
    run = Run(folder)
    place = run.in_use
    if place is None:
        raise ValueError(f"{run.folder} holds no checkpoint yet")
    file = run.folder / _FILE
    about = json.loads(file.read_text()) if file.exists() else _of_command_line(run)
    estimator = KINDS[run.config.model](**about["parameters"])
    estimator.config_, estimator._scaling = run.config, scaling.from_json(about["scaling"])
    estimator.n_features_in_ = about["features"]
    for name, values in about["arrays"].items():
        setattr(estimator, name, np.array(values["values"], dtype=values["type"]))
    estimator.history_, estimator.n_iter_ = run.records(), checkpoint.epoch_of(place)
    estimator._count, estimator._n_classes = run.count or 0, len(run.classes)
    estimator._open(*checkpoint.read(place))
    return estimator


def _of_command_line(run: Run) -> dict[str, Any]:
    """What `save` would have written beside a run of the command line."""
    config, kind = run.config.to_json(), KINDS[run.config.model]
    own = {
        parameter: config.pop(field)
        for parameter, field in FIELDS.items()
        if parameter in {each.name for each in dataclasses.fields(kind)}
    }
    for name in ("recipe", "model", "data", "data_dir", "validation", "labels"):
        del config[name]  # what says on which data, and is not the estimator's to say
    d = math.prod(run.shape)
    pictures = len(run.shape) > 1
    scale = scaling.Pictures(run.shape) if pictures else scaling.Rows(np.zeros(d), np.ones(d))
    classes = np.array(run.classes if run.config.needs_labels else [])
    return {
        "parameters": {**own, "scale": "none", "options": config},
        "scaling": scale.to_json(),
        "features": d,
        "arrays": {} if kind is AdversarialClustering else {"classes_": _to_json(classes)},
    }


def _to_json(array: NDArray[Any]) -> dict[str, Any]:
    return {"type": array.dtype.str, "values": array.tolist()}


def _plain(value: Any) -> Any:
    """What JSON has no word for: NumPy's numbers, as a grid search sets them."""
    if isinstance(value, np.generic):
        return value.item()
    raise ValueError(f"the parameter value {value!r} cannot be written as JSON; take a plain one")
