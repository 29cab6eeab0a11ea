"""Style separated from class: `SupervisedAdversarialAutoencoder`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from sklearn.utils import check_consistent_length

from aae import recipes
from aae.config import Config
from aae.estimators.labelled import Labelled


@dataclass(eq=False, repr=False)
class SupervisedAdversarialAutoencoder(Labelled):
    """The decoder is told the class, so that the code only keeps the style ([AAE], Fig. 6).

    Args:
        latent_dim: dimensions of the style.
        hidden: see `aae.estimators.base.Adversarial` for this and all other parameters.
        no_label: the value that means "no label"; see `aae.estimators.labelled.Labelled`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SupervisedAdversarialAutoencoder(2, n_epochs=3, random_state=0).fit(X, y)
        >>> model.generate([0, 1, 2]).shape, model.restyle(X[:5], [2] * 5).shape
        ((3, 4), (5, 4))
    """

    latent_dim: int = 8

    def _recipe(self, n_classes: int) -> Config:
        return replace(recipes.style(), latent_dim=self.latent_dim, reconstruction="squared")

    def fit(self, X: Any, y: Any) -> Self:
        """Train on examples and labels.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: labels [n] of any type; see ``no_label``.

        Raises:
            ValueError: X or y is not as described here, or a parameter is invalid.
        """
        return self._learn_labelled(X, self._required(y), least=1)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train for one epoch on these examples, which may differ from those before.

        Args:
            X: see `fit`. The first call decides how rows are scaled.
            y: see `fit`.
            classes: all classes that will occur; by default those in the first ``y``.
        """
        return self._learn_labelled(X, self._required(y), classes=classes, partial=True, least=1)

    def generate(self, labels: Any, styles: Any = None) -> Any:
        """Examples of given classes, [n, …].

        Args:
            labels: the class of each, [n].
            styles: the style of each, [n, latent_dim], as `transform` gives them; by default drawn
                from the prior, the same ones if ``random_state`` is a number.

        Raises:
            ValueError: there is no such class, or styles do not fit.
        """
        numbers = self._numbers(labels)
        if styles is None:
            return self._sampled(len(numbers), numbers)
        check_consistent_length(numbers, styles)
        return self._decoded(styles, numbers)

    def restyle(self, X: Any, labels: Any) -> Any:
        """Examples as they would be in other classes, with their own styles.

        Args:
            X: examples, n of them.
            labels: the new class of each, [n].
        """
        return self.generate(labels, self._codes(X).mean.numpy())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
