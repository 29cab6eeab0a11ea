"""A classifier of digits from 50 labels, compared with scikit-learn's semi-supervised ones.

    python examples/few_labels.py

All methods are given the same 1,437 digits, five of each class with a label, and must tell the
classes of 360 others. A digit moved by a pixel is the same digit, so each method is given the moved
ones too; scikit-learn's are measured without them as well. A seed chooses the labels. Each method's
settings were chosen with ``--held-out validation``, on digits that are not among the 360.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from aae import AdversarialClassifier
from measuring import Figures, digits, few_of, run

PLACES = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
"""Upper left corners at which a digit, with a pixel of white around it, is cut out."""


def compare(
    *, seeds: Iterable[int], held_out: str = "test", per_class: int = 5, n_epochs: int = 30
) -> Figures:
    """Accuracy on held-out digits, for each seed."""
    X, X_new, y, y_new = digits(held_out)
    figures: Figures = {}
    for seed in seeds:
        shown = few_of(y, per_class, seed)
        ours = AdversarialClassifier(
            scale="range", n_epochs=n_epochs, batch_size=128, learning_rate=2e-3, random_state=seed
        )
        spreading = LabelSpreading(kernel="knn", n_neighbors=7)
        training = SelfTrainingClassifier(LogisticRegression(max_iter=500))
        for name, method, moved in (
            ("AdversarialClassifier", ours, True),
            ("LabelSpreading", spreading, True),
            ("LabelSpreading, no moved digits", spreading, False),
            ("SelfTrainingClassifier", training, True),
            ("SelfTrainingClassifier, no moved digits", training, False),
        ):
            with warnings.catch_warnings():  # about digits isolated in LabelSpreading's graph
                warnings.simplefilter("ignore", RuntimeWarning)
                method.fit(
                    (moves(X) if moved else X) / 16, np.tile(shown, len(PLACES) if moved else 1)
                )
            found = figures.setdefault(name, {"accuracy": []})
            found["accuracy"].append(float(method.score(X_new / 16, y_new)))
    return figures


def moves(X: NDArray[Any]) -> NDArray[Any]:
    """Digits as they are, followed by the same moved by a pixel each way."""
    framed = np.pad(X.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    cut = [framed[:, down : down + 8, right : right + 8] for down, right in PLACES]
    return np.concatenate(cut).reshape(-1, 64)


if __name__ == "__main__":
    run("few_labels", compare, seeds=[0], n_epochs=2)
