"""Codes that follow a distribution: `AdversarialAutoencoder`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from aae import inference, recipes
from aae.config import Config
from aae.estimators.labelled import Labelled
from aae.scaling import Table
from aae.splits import Part

LEVELS = np.linspace(0, 1, 1001)
"""The levels of the quantiles that are kept of the training examples' scores."""


@dataclass(eq=False, repr=False)
class AdversarialAutoencoder(Labelled):
    """Examples ↔ codes of a few dimensions that follow a distribution ([AAE], Fig. 1 and 3).

    With labels, codes follow a mixture with a part for each class: codes of a class lie in its
    part, and samples from that part are of the class. Without labels, codes follow a Gaussian.

    Args:
        latent_dim: dimensions of the code; must be even with labels, unless the prior is your own.
        use_labels: False ignores ``y``, as in a pipeline that ends in a regressor.
        hidden: see `aae.estimators.base.Adversarial` for this and all other parameters.
        no_label: the value that means "no label"; see `aae.estimators.labelled.Labelled`.

    Attributes:
        score_quantiles_: quantiles of the training examples' `score_samples`, at a thousand levels;
            with ``early_stopping`` those of the examples that it held out.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = AdversarialAutoencoder(2, n_epochs=3, random_state=0).fit(X)
        >>> model.transform(X).shape, model.sample(5).shape
        ((150, 2), (5, 4))
    """

    latent_dim: int = 8
    use_labels: bool = True

    def _recipe(self, n_classes: int) -> Config:
        unlabelled = replace(recipes.gaussian(), latent_dim=self.latent_dim)
        if not n_classes:
            return unlabelled
        own = self._given.prior is not None
        if self.latent_dim % 2 and not own:
            raise ValueError(
                f"latent_dim={self.latent_dim}: labels name parts of a mixture over pairs of "
                "dimensions; take an even latent_dim, or use_labels=False"
            )
        return replace(
            recipes.labels(), latent_dim=self.latent_dim, components=n_classes, labels="all",
            prior="gaussian" if own else "mixture",  # with one's own, the config's is not used
        )  # fmt: skip

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples, and on labels if there are any.

        Args:
            X: rows of floats [n, d], or pictures uint8 [n, h, w] or [n, c, h, w].
            y: labels [n] of any type; see ``no_label``.

        Raises:
            ValueError: X or y is not as described here, or a parameter is invalid.
        """
        return self._learn_labelled(X, y if self.use_labels else None)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these examples, which may differ from those before.

        `score_quantiles_`, and so `predict_outlier`, only use the latest examples.

        Args:
            X: see `fit`. The first call decides how rows are scaled.
            y: see `fit`.
            classes: all classes that will occur; by default those in the first ``y``.
        """
        shown = y if self.use_labels else None
        return self._learn_labelled(X, shown, classes=classes, partial=True)

    def _one_of_each(self, y: Any, least: int) -> NDArray[Any]:
        try:
            return super()._one_of_each(y, least)
        except ValueError as error:
            error.args = (f"{error}; use_labels=False leaves y out",)
            raise

    def _compare(self, part: Part) -> None:
        scores = inference.scores(self._ready, replace(part, labels=np.full_like(part.labels, -1)))
        self.score_quantiles_ = np.quantile(scores, LEVELS)

    def inverse_transform(self, X: Any) -> Any:
        """Codes [n, latent_dim] → examples."""
        return self._decoded(X)

    def reconstruct(self, X: Any) -> Any:
        """Examples → their reconstructions from the code."""
        return self._decoded(self._codes(X).mean.numpy())

    def sample(self, n: int = 1, label: Any = None) -> Any:
        """Examples decoded from draws of the prior; the same ones if ``random_state`` is a number.

        Args:
            n: how many.
            label: the class of all samples, if trained with labels.

        Raises:
            ValueError: there is no such class.
        """
        check_is_fitted(self)
        chosen = None if label is None else np.repeat(self._numbers([label]), n)
        if len(getattr(self, "classes_", ())) == 1:  # all samples are of it
            chosen = None
        return self._sampled(n, chosen)

    def interpolate(self, a: Any, b: Any, steps: int = 10) -> Any:
        """Examples along the straight line from one example's code to another's, [steps, …].

        Args:
            a: one example, or a table of one row, such as a frame.
            b: another.
            steps: how many examples, including the reconstructions of both.
        """
        if steps < 2:
            raise ValueError(f"steps={steps} must be 2 or more: both ends are among them")
        check_is_fitted(self)
        ends = [self._codes(self._scaling.one(each)).mean.numpy() for each in (a, b)]
        if max(map(len, ends)) > 1:
            raise ValueError("a and b are one example each: give a table of one row for it")
        return self._decoded(np.linspace(ends[0][0], ends[1][0], steps))

    def score_samples(self, X: Any) -> NDArray[np.float32]:
        """How normal examples are, [n]; higher is more normal, as everywhere in scikit-learn.

        It is minus the reconstruction error: half the squared error in the model's scale, summed
        over an example; for a table, plus the negative log-likelihood of its categories.
        """
        examples = self._examples(X)
        part = Part(examples, np.full(len(examples), -1))
        columns = self._scaling.columns if isinstance(self._scaling, Table) else None
        return inference.scores(self._ready, part, columns)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, for a grid search to make large; ``y`` is not used.

        It is in the scale of the model, so it cannot compare one ``scale`` with another.
        """
        return float(self.score_samples(X).mean())

    def predict_outlier(self, X: Any, contamination: float = 0.1) -> NDArray[np.int64]:
        """-1 for outliers and 1 for the others, [n].

        Args:
            X: examples.
            contamination: the share of the training examples (after `partial_fit`, of the latest
                ones) that count as outliers; it decides how low an outlier's score must be. New
                examples score lower than those that a model learned by heart: with
                ``early_stopping`` the share is one of examples that were held out.
        """
        if not 0 < contamination <= 0.5:
            raise ValueError(f"contamination={contamination} must lie in (0, 0.5]")
        scores = self.score_samples(X)
        if not hasattr(self, "score_quantiles_"):
            raise ValueError(
                "a run of the command line keeps no scores of its training examples: compare "
                "score_samples with those of examples that are known to be normal"
            )
        return np.where(scores < np.interp(contamination, LEVELS, self.score_quantiles_), -1, 1)
