"""Clusters found without a label: `AdversarialClustering`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted

from aae import recipes
from aae.config import Config
from aae.estimators.base import Adversarial


@dataclass(eq=False, repr=False)
class AdversarialClustering(ClusterMixin, Adversarial):  # type: ignore[misc]
    """Clusters of examples, and a style for what differs within a cluster ([AAE], Fig. 9).

    Args:
        n_clusters: how many clusters; some may remain empty.
        merged_from: how many clusters to find at first; those that share examples are then merged
            until ``n_clusters`` are left, see `aae.merging`. 0: none are merged.
        latent_dim: dimensions of the style.
        hidden: see `aae.estimators.base.Adversarial` for this and all other parameters.

    Attributes:
        labels_: the cluster of each training example, int64 [n].

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> AdversarialClustering(3, n_epochs=3, random_state=0).fit_predict(X).shape
        (150,)
    """

    n_clusters: int = 8
    merged_from: int = 0
    latent_dim: int = 5

    def _recipe(self, n_classes: int) -> Config:
        return replace(
            recipes.cluster(), latent_dim=self.latent_dim, clusters=self.n_clusters,
            merged_from=self.merged_from,
        )  # fmt: skip

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: not used.

        Raises:
            ValueError: X is not as described here, or a parameter is invalid.
        """
        return self._learn(X, None, 0)._label(X)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch on these examples; `labels_` are then theirs.

        Args:
            X: see `fit`. The first call decides how rows are scaled.
            y: not used.
        """
        return self._learn(X, None, 0, partial=True)._label(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable cluster of each example, [n]."""
        chosen: NDArray[np.int64] = self.predict_proba(X).argmax(1)
        return chosen

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each cluster, [n, n_clusters]."""
        y = self._codes(X).y
        assert y is not None
        probabilities: NDArray[np.float32] = y.numpy()
        return probabilities

    def sample(self, n: int = 1, label: int | None = None) -> Any:
        """Examples decoded from draws of the prior; the same ones if ``random_state`` is a number.

        Args:
            n: how many.
            label: the cluster of all samples.

        Raises:
            ValueError: there is no such cluster.
        """
        check_is_fitted(self)
        if label is None:
            return self._sampled(n, None)
        count = self.config_.clusters
        whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if not whole or not 0 <= label < count:
            raise ValueError(f"label={label!r} is none of the clusters, 0 to {count - 1}")
        return self._sampled(n, np.full(n, int(label)))

    def _label(self, X: Any) -> Self:
        self.labels_ = self.predict(X)
        return self
