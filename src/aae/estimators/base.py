"""What all estimators share: parameters, validation, training and saving."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from aae import inference
from aae.autoencoder import Autoencoder
from aae.build import build
from aae.codes import Codes
from aae.config import Config
from aae.data import Examples, as_array, split_validation
from aae.estimators.parameters import config_of, going_on, own_words, refuse_another
from aae.estimators.training import FEW, train
from aae.own_networks import OURS, Networks
from aae.packing import pack, pack_tensors, unpack, unpack_tensors
from aae.scaling import (
    Pictures,
    Rows,
    Scaling,
    Table,
    are_pictures,
    check_pictures,
    refuse_other_pictures,
)
from aae.splits import Part
from aae.training.device import choose_device
from aae.training.trainer import Record


class Fitted(BaseEstimator):  # type: ignore[misc]
    """What a training leaves. These are not dataclass fields, for such fields are parameters."""

    config_: Config
    model_: Autoencoder
    history_: list[Record]
    n_iter_: int
    n_features_in_: int
    classes_: NDArray[Any]
    _scaling: Scaling
    _networks: Networks
    """The user's own networks that it was trained with."""
    _n_classes: int
    _count: int
    """Examples trained on."""
    _state: dict[str, Any]
    """The trainer's state, to resume from."""


@dataclass(kw_only=True, eq=False, repr=False)
class Adversarial(Fitted):
    """The parameters of all estimators; see its subclasses.

    Args:
        hidden: units in each hidden layer.
        layers: hidden layers of encoder, decoder and discriminators.
        n_epochs: passes over the data.
        batch_size: examples in a batch.
        learning_rate: Adam's learning rate; it rises at the start, and falls to a tenth after 70 %
            and again after 90 % of the epochs.
        scale: how rows are scaled inside: "standard", each column to mean 0 and deviation 1;
            "range", all columns alike to [-1, 1], for columns of one kind such as pixels; "none".
            Pictures, uint8 [n, h, w] or [n, c, h, w], need no scaling.
        early_stopping: whether to hold examples out, and stop when their reconstruction (for
            classifiers, classification) no longer improves; the best epoch's weights are kept.
        validation_fraction: the share that early stopping holds out.
        n_iter_no_change: epochs without improvement after which early stopping ends a training.
        warm_start: whether `fit` starts from the weights of the previous one.
        random_state: seed of everything random.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        verbose: above 0, the progress of a training is shown.
        options: any other field of `aae.config.Config` by its name, such as ``{"dropout": 0.1}``.
        networks: the user's own encoder, decoder, critic or prior. Each training starts with their
            weights as they are, whatever the seed, and changes copies.

    Attributes:
        config_: the full config that it was trained with.
        model_: the `aae.autoencoder.Autoencoder`.
        history_: a record for each epoch, as in a run's ``metrics.jsonl``; see
            `aae.plots.learning_curves`.
        n_iter_: epochs that the weights were trained for; after early stopping, the best epoch.
        n_features_in_: values in an example.
        feature_names_in_: names of the columns, if they had any.
    """

    hidden: int = 256
    layers: int = 2
    n_epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    scale: str = "standard"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 20
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    verbose: int = 0
    options: Mapping[str, Any] | None = None
    networks: Networks | None = None

    @property
    def _given(self) -> Networks:
        """The networks that a training is to take."""
        return self.networks or OURS

    def _recipe(self, n_classes: int) -> Config:
        """The config of the model to train, for data with ``n_classes`` classes of labels."""
        raise NotImplementedError

    # --- training

    def _learn(
        self, X: Any, labels: NDArray[np.int64] | None, n_classes: int, *, partial: bool = False
    ) -> Self:
        """Train on examples.

        Args:
            X: rows or pictures, as the user gives them.
            labels: int64 [n], -1 where there is none; None for none at all.
            n_classes: how many classes the labels have.
            partial: continue the last training, if any, for one epoch at the full learning rate,
                with the parameters as they are now.
        """
        there = hasattr(self, "model_")
        again = there and (partial or self.warm_start)
        if again and isinstance(self._scaling, Table):
            raise ValueError(
                f"this {type(self).__name__} learned a table, and an estimator learns arrays: "
                "train on the whole table by aae train, or make a new estimator"
            )
        with self._as_before(), own_words(self):
            x = self._validated(X, reset=not (there and partial))
            labels = np.full(len(x), -1) if labels is None else labels
            check_consistent_length(x, labels)
            scaling = self._scaling if again else self._new_scaling(x)
            if x.shape[1:] != scaling.shape:
                raise ValueError(
                    f"X has examples of {list(x.shape[1:])}, and had {list(scaling.shape)} before: "
                    "warm_start goes on with what there is; make a new estimator"
                )
            part, held_out = Part(scaling.forward(x), labels), None
            config = config_of(self, part.images, n_classes)
            if again:
                refuse_another(self, config, optimizers=partial)
            state: Any = None
            history, done = [], 0
            if partial:
                if again:
                    config, state = going_on(config, self.config_, self.options), self._state
                    # Early stopping went on for some epochs after the one that it took.
                    history = [r for r in self.history_ if float(r["epoch"]) <= self.n_iter_]
                    done = self.n_iter_
                config = replace(config, epochs=done + 1, lr_steps=())
            elif self.early_stopping:
                part, held_out = self._split(part)
            model = self._new_model(config, scaling, n_classes, self._given)
            if again:
                model.load_state_dict(self.model_.state_dict())
            state, records = train(
                model, config, part, held_out,
                state=state, patience=self.n_iter_no_change, verbose=self.verbose,
            )  # fmt: skip
        self.model_, self.config_, self._scaling = model.eval(), config, scaling
        self._state, self._n_classes, self._count = state, n_classes, len(part.labels)
        self._networks = self._given
        self.history_, self.n_iter_ = [*history, *records], state["progress"]["epoch"]
        self._compare(part if held_out is None else held_out)
        return self

    def _compare(self, part: Part) -> None:
        """Note what new examples are to be compared with, from those held out, or else learned."""

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """If a training fails, restore what was known of the examples' columns."""
        names = ("n_features_in_", "feature_names_in_")
        before = {name: value for name, value in self.__dict__.items() if name in names}
        try:
            yield
        except BaseException:
            for name in names:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Examples as an array: rows of floats, or pictures of bytes; a table as it is given.

        Raises:
            ValueError: they are neither, or of another shape than those trained on.
        """
        if not reset and isinstance(self._scaling, Table):
            return X  # its columns say what they take
        if hasattr(X, "detach"):
            X = as_array(X)
        if not are_pictures(X):
            if not reset and isinstance(self._scaling, Pictures):
                raise ValueError(
                    f"{type(self).__name__} was trained on pictures uint8 "
                    f"[n, {', '.join(map(str, self._scaling.shape))}]; X is something else"
                )
            refuse_other_pictures(X)
            rows: NDArray[Any] = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32],
                ensure_min_samples=FEW if reset else 1,
            )  # fmt: skip
            return rows
        pictures: NDArray[Any] = check_array(
            X, dtype=None, allow_nd=True, ensure_min_samples=FEW if reset else 1
        )
        if reset:
            check_pictures(pictures)
            self.n_features_in_ = math.prod(pictures.shape[1:])
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
            return pictures
        given, own = Pictures(pictures.shape[1:]), self._scaling
        if given.model_shape != own.model_shape:  # grey ones may have their channel or not
            raise ValueError(
                f"X has pictures of {list(given.shape)}; "
                f"{type(self).__name__} was trained on {list(own.shape)}"
            )
        return pictures.reshape(-1, *own.shape)

    def _new_scaling(self, x: NDArray[Any]) -> Scaling:
        return Pictures(x.shape[1:]) if are_pictures(x) else Rows.of(x, self.scale)

    def _split(self, part: Part) -> tuple[Part, Part]:
        """The examples to train on, and a share held out."""
        seed = self._seed()
        inside, outside = split_validation(part.labels, self.validation_fraction, seed)
        if len(inside) < FEW or not len(outside):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(part.labels)} examples "
                f"holds out {len(outside)}: at least 1 is needed, and {FEW} to train on"
            )
        return (
            Part(part.images[inside], part.labels[inside]),
            Part(part.images[outside], part.labels[outside]),
        )

    # --- use

    @property
    def _ready(self) -> Autoencoder:
        """The model, ready for use."""
        check_is_fitted(self)
        return inference.ready(self.model_, self.config_.precision)

    def _examples(self, X: Any) -> Examples:
        """Examples as the model takes them."""
        check_is_fitted(self)
        return self._scaling.forward(self._validated(X, reset=False))

    def _codes(self, X: Any) -> Codes:
        """All codes of examples."""
        return inference.encode(self._ready, self._examples(X))

    def _decoded(self, z: Any, labels: NDArray[np.int64] | None = None) -> Any:
        """Codes [n, d] → examples as the user gives them."""
        model, z = self._ready, self._given_codes(z)
        chosen = None if labels is None else torch.from_numpy(labels)
        return self._scaling.back(inference.decode(model, z, chosen).numpy())

    def _given_codes(self, z: Any) -> Tensor:
        """Codes [n, d] from outside, as a tensor."""
        z = np.require(check_array(z, dtype=np.float32), requirements="W")
        if z.shape[1] != self.config_.latent_dim:
            raise ValueError(
                f"codes have {self.config_.latent_dim} dimensions here; these have {z.shape[1]}"
            )
        return torch.from_numpy(z)

    def _sampled(self, n: int, labels: NDArray[np.int64] | None) -> Any:
        """Examples decoded from draws of the prior, as the user gives them."""
        if n < 1:
            raise ValueError(f"n={n} samples cannot be drawn: ask for 1 or more")
        seed = self._seed()
        generator = torch.Generator().manual_seed(seed)
        chosen = None if labels is None else torch.from_numpy(labels)
        x = inference.sample(self._ready, chosen, n, generator)
        return self._scaling.back(x.numpy(), seed)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    # --- keeping

    def save(self, folder: str | Path) -> Path:
        """Write a run folder, without pickle; `aae.load` opens it again.

        Args:
            folder: the folder to write; it must be empty or not exist yet.

        Returns:
            The folder.
        """
        from aae.estimators.folder import save

        check_is_fitted(self)
        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, networks: Networks = OURS) -> Self:
        """Open a run folder that `save` or ``aae train`` wrote.

        Args:
            folder: the folder.
            networks: the user's own, if it was trained with any.

        Raises:
            ValueError: it is not a run folder, it holds another estimator, or it was trained with
                other networks.
        """
        from aae.estimators.folder import load

        estimator = load(folder, networks)
        if not isinstance(estimator, cls):
            raise ValueError(
                f"{folder} holds a model for {type(estimator).__name__}, not {cls.__name__}"
            )
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if "model_" in state:
            # Without torch's own objects, so that a model trained on a GPU opens where there is
            # none.
            weights = pack_tensors(state.pop("model_").state_dict())
            state["_packed"] = weights, pack(state.pop("_state"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        packed = state.pop("_packed", None)
        super().__setstate__(state)
        if packed is not None:
            weights, training = packed
            config = replace(self.config_, device="cpu")
            model = self._new_model(config, self._scaling, self._n_classes, self._networks)
            model.load_state_dict(unpack_tensors(weights, "the pickle"))
            self._open(model, unpack(training, "the pickle"))

    def _open(self, model: Autoencoder, state: dict[str, Any]) -> None:
        """Take a trained model and its training state; its device might not be here."""
        try:
            device = choose_device(self.config_.device)
        except ValueError:
            device = choose_device("auto")
        self.model_, self._state = model.to(device).eval(), state

    def _new_model(
        self, config: Config, scaling: Scaling, n_classes: int, networks: Networks
    ) -> Autoencoder:
        """A model before training, on its device."""
        generator = torch.Generator().manual_seed(config.seed)
        columns = scaling.columns if isinstance(scaling, Table) else None
        model = build(config, scaling.model_shape, n_classes, generator, networks, columns)
        return model.to(choose_device(config.device))
