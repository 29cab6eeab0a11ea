"""A plane with a place for each class or cluster: `AdversarialEmbedding`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from aae import inference, recipes
from aae.config import Config
from aae.estimators.labelled import Labelled


@dataclass(eq=False, repr=False)
class AdversarialEmbedding(Labelled):
    """Examples as points, with a place for each class or cluster ([AAE], section 7, Fig. 10).

    New examples are mapped to points too, and any point can be decoded into an example.

    Args:
        n_components: dimensions of the points.
        n_clusters: clusters to find if there are no labels.
        hidden: see `aae.estimators.base.Adversarial` for this and all other parameters.
        no_label: the value that means "no label"; see `aae.estimators.labelled.Labelled`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> AdversarialEmbedding(n_epochs=3, random_state=0).fit_transform(X).shape
        (150, 2)
    """

    n_components: int = 2
    n_clusters: int = 20

    def _recipe(self, n_classes: int) -> Config:
        return replace(
            recipes.embed(), latent_dim=self.n_components, clusters=self.n_clusters,
            labels="all" if n_classes else 0,
        )  # fmt: skip

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples, and on labels if there are any.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: labels [n] of any type; see ``no_label``.

        Raises:
            ValueError: X or y is not as described here, or a parameter is invalid.
        """
        return self._learn_labelled(X, y)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these examples, which may differ from those before.

        Args:
            X: see `fit`. The first call decides how rows are scaled.
            y: see `fit`.
            classes: all classes that will occur; by default those in the first ``y``.
        """
        return self._learn_labelled(X, y, classes=classes, partial=True)

    def inverse_transform(self, X: Any) -> Any:
        """Points [n, n_components] → examples."""
        model = self._ready
        return self._scaling.back(inference.decode_places(model, self._given_codes(X)).numpy())
