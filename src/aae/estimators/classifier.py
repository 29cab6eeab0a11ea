"""A classifier from few labels: `AdversarialClassifier`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from aae import recipes
from aae.config import Config
from aae.estimators import labels as labelling
from aae.estimators.labelled import Labelled


@dataclass(eq=False, repr=False)
class AdversarialClassifier(ClassifierMixin, Labelled):  # type: ignore[misc]
    """Class and style of examples, of which only a few need a label ([AAE], Fig. 8).

    With a few dozen labels and far fewer examples than in MNIST, it matters most that classes are
    smooth around all examples: the losses for this weigh more here than in ``aae train semi``.

    ``y`` has a label for each example, or ``no_label`` for those without one. `transform` gives
    the style.

    Args:
        latent_dim: dimensions of the style.
        hidden: see `aae.estimators.base.Adversarial` for this and all other parameters.
        no_label: the value that means "no label"; see `aae.estimators.labelled.Labelled`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y[::2] = -1  # not known
        >>> AdversarialClassifier(n_epochs=3, random_state=0).fit(X, y).predict_proba(X[:5]).shape
        (5, 3)
    """

    latent_dim: int = 10

    def _recipe(self, n_classes: int) -> Config:
        return replace(
            recipes.semi(), latent_dim=self.latent_dim, labels="all",
            classification_weight=1000.0, vat_weight=1000.0, balance_weight=100.0,
            y_generator_weight=10.0,
        )  # fmt: skip

    def fit(self, X: Any, y: Any) -> Self:
        """Train on examples and the available labels.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: labels [n] of any type, of two classes or more; see ``no_label``.

        Raises:
            ValueError: X or y is not as described here, or a parameter is invalid.
        """
        return self._learn_labelled(X, self._required(y), least=2)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train for one epoch on these examples, which may differ from those before.

        Args:
            X: see `fit`. The first call decides how rows are scaled.
            y: see `fit`.
            classes: all classes that will occur; by default those in the first ``y``.
        """
        return self._learn_labelled(X, self._required(y), classes=classes, partial=True, least=2)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each class in `classes_`, [n, K]."""
        y = self._codes(X).y
        assert y is not None
        probabilities: NDArray[np.float32] = y.numpy()
        return probabilities

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of examples whose label is predicted; no label is predicted to be missing."""
        right = labelling.right(y, self.predict(X), self.no_label)
        return float(np.average(right, weights=sample_weight))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each example, [n]."""
        chosen = self.predict_proba(X).argmax(1)
        classes: NDArray[Any] = self.classes_[chosen]
        return classes

    def sample(self, n: int = 1, label: Any = None) -> Any:
        """Examples decoded from draws of the style; the same ones if ``random_state`` is a number.

        Args:
            n: how many.
            label: the class of all samples; by default each is of any, all equally likely.

        Raises:
            ValueError: there is no such class.
        """
        check_is_fitted(self)
        chosen = None if label is None else np.repeat(self._numbers([label]), n)
        return self._sampled(n, chosen)
