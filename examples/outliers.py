"""Examples unlike all that were learned from, compared with an isolation forest.

    python examples/outliers.py

Digits: both methods learn from all digits except one kind, and score others, which include that
kind. Each kind is left out once. Tumours: both learn from 200 benign ones of scikit-learn's breast
cancer data, and score 100 other benign ones and 106 malignant ones. The figure is how often an
example of the kind left out is scored as less normal than another (area under the ROC curve).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from aae import AdversarialAutoencoder
from measuring import Figures, digits, run

LEARNED = 200
"""Benign tumours that are learned from."""


def compare(*, seeds: Iterable[int], held_out: str = "test", n_epochs: int = 100) -> Figures:
    """Area under the ROC curve, for each seed.

    Args:
        seeds: seeds of the methods. Seed k leaves out the digits 2k and 2k + 1 in turn, and chooses
            the tumours to learn from; those scored are always the same.
        held_out: what is scored: "test", or "validation", which are others, for making choices.
        n_epochs: see `AdversarialAutoencoder`.
    """
    figures: Figures = {}
    for seed in seeds:
        of_digits = [_without_digit(k % 10, held_out) for k in (2 * seed, 2 * seed + 1)]
        for data, scale, cases in (
            ("one digit left out", "range", of_digits),
            ("malignant tumours", "standard", [_tumours(seed, held_out)]),
        ):
            for learned, new, is_normal in cases:
                methods = {
                    "AdversarialAutoencoder": AdversarialAutoencoder(
                        scale=scale, n_epochs=n_epochs, random_state=seed
                    ),
                    "IsolationForest": IsolationForest(random_state=seed),
                }
                for name, method in methods.items():
                    scores = method.fit(learned).score_samples(new)
                    found = figures.setdefault(name, {}).setdefault(data, [])
                    found.append(float(roc_auc_score(is_normal, scores)))
    return figures


Case = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""What is learned from, what is scored, and whether each of these is normal."""


def _without_digit(kind: int, held_out: str) -> Case:
    X, X_new, y, y_new = digits(held_out)
    return X[y != kind], X_new, y_new != kind


def _tumours(seed: int, held_out: str) -> Case:
    X, y = load_breast_cancer(return_X_y=True)
    benign, benign_test = train_test_split(X[y == 1], test_size=100, random_state=0)
    malignant, malignant_test = train_test_split(X[y == 0], test_size=0.5, random_state=0)
    order = np.random.default_rng(seed).permutation(len(benign))
    learned, rest = benign[order[:LEARNED]], benign[order[LEARNED:]]
    normal, other = (benign_test, malignant_test) if held_out == "test" else (rest, malignant)
    return learned, np.concatenate([normal, other]), np.repeat([1, 0], [len(normal), len(other)])


if __name__ == "__main__":
    run("outliers", compare, seeds=[0], n_epochs=2)
