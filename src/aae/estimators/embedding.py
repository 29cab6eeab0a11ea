"""A plane with a place for each class or cluster: `AdversarialEmbedding`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from aae import recipes
from aae.config import Config
from aae.estimators.labelled import Labelled
from aae.nn import HeadedDecoder


@dataclass(eq=False, repr=False)
class AdversarialEmbedding(Labelled):
    """Examples as points, with a place for each class or cluster ([AAE], section 7, Fig. 10).

    New examples have a point too, and any point has an example.

    Args:
        n_components: dimensions of the points.
        n_clusters: clusters to find where there are no labels.
        hidden: see `aae.estimators.base.Adversarial` for this and all others.
        no_label: what stands for "no label"; see `aae.estimators.labelled.Labelled`.

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
        """Train on examples, and on labels where there are any.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: labels [n] of any type; see ``no_label``.

        Raises:
            ValueError: X or y is not what is said here, or a parameter is not possible.
        """
        return self._learn_labelled(X, y)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """Make one epoch on these examples, which may be others than those before.

        Args:
            X: see `fit`. The first ones decide how rows are scaled.
            y: see `fit`.
            classes: all classes that there will be; by default those in the first ``y``.
        """
        return self._learn_labelled(X, y, classes=classes, partial=True)

    def inverse_transform(self, X: Any) -> Any:
        """Points [n, n_components] → examples."""
        check_is_fitted(self)
        decoder = self._ready.decoder
        assert isinstance(decoder, HeadedDecoder)
        points = check_array(X, dtype=np.float32)
        # A class and a style beside its head make the point: any class will do.
        styles = torch.from_numpy(points) - decoder.centres[:1].detach().cpu()
        return self._decoded(styles.numpy(), np.zeros(len(points), np.int64))
