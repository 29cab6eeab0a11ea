"""What is shared by estimators that learn codes of examples and may be given labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from aae.estimators import labels as labelling
from aae.estimators.base import Adversarial


@dataclass(kw_only=True, eq=False, repr=False)
class Labelled(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Adversarial):  # type: ignore[misc]
    """See the module.

    Args:
        no_label: the value in ``y`` that means "no label". A string that spells it means the same,
            and so do None, NaN and pandas' NA in any case; ``no_label=None`` means only these.

    Attributes:
        classes_: the classes, sorted; empty if trained without labels.
    """

    no_label: Any = -1

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Examples → codes, the posterior's means, float32 [n, d]."""
        codes: NDArray[np.float32] = self._ready.embed(self._codes(X)).numpy()
        return codes

    @property
    def _n_features_out(self) -> int:
        return self.config_.latent_dim

    def _learn_labelled(
        self, X: Any, y: Any, *, classes: Any = None, partial: bool = False, least: int = 0
    ) -> Self:
        """Train on examples and labels of ``least`` classes or more; see `Adversarial._learn`."""
        before = self.classes_ if hasattr(self, "model_") else None
        if partial and before is not None:
            there = before
            named = there if classes is None else self._one_of_each(classes, 0)
            if named.tolist() != there.tolist():
                raise ValueError(
                    f"classes are {named.tolist()}, and were {there.tolist()} before: leave them "
                    "out, or make a new estimator"
                )
        else:
            there = self._one_of_each(y if classes is None else classes, least)
            if self.warm_start and before is not None and there.tolist() != before.tolist():
                raise ValueError(
                    f"y has the classes {there.tolist()}, and had {before.tolist()} before: "
                    "warm_start goes on with what there is; make a new estimator"
                )
        numbers = None if y is None else labelling.numbers(y, there, self.no_label)
        self._learn(X, numbers, len(there), partial=partial)
        self.classes_ = there
        return self

    def _one_of_each(self, y: Any, least: int) -> NDArray[Any]:
        classes = np.array([]) if y is None else labelling.one_of_each(y, self.no_label)
        if len(classes) < least:
            raise ValueError(
                f"y has {len(classes)} class{'' if len(classes) == 1 else 'es'}, and "
                f"{type(self).__name__} needs {least} or more; {self.no_label!r} is no label"
            )
        return classes

    def _required(self, y: Any) -> Any:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        return y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]  # models compute in it
        return tags

    def _numbers(self, labels: Any) -> NDArray[np.int64]:
        """The class number of each label, as the model knows it.

        Raises:
            ValueError: a label is none of the classes, or means "no label".
        """
        check_is_fitted(self)
        if not len(self.classes_):
            raise ValueError(f"this {type(self).__name__} was trained without labels")
        numbers = labelling.numbers(labels, self.classes_, self.no_label)
        if (numbers < 0).any():
            raise ValueError(
                "labels hold one that means no label: name a class for each, of "
                f"{self.classes_.tolist()}"
            )
        return numbers
