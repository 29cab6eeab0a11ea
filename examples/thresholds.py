"""How many new examples a threshold calls outliers, all of them being as those learned from.

    python examples/thresholds.py

Of scikit-learn's wine, and of the benign tumours of its breast cancer data, three quarters are
learned from and the rest is new. With `contamination=0.1` a tenth is to be called outliers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import train_test_split

from aae import AdversarialAutoencoder
from measuring import Figures, run

CONTAMINATION = 0.1


def compare(*, seeds: Iterable[int], held_out: str = "test", n_epochs: int = 100) -> Figures:
    """The share of new examples that are called outliers, for each seed.

    Args:
        seeds: seeds of the methods and of the split.
        held_out: not used; every new example is one that a method never saw.
        n_epochs: see `AdversarialAutoencoder`.
    """
    figures: Figures = {}
    tumours, is_benign = load_breast_cancer(return_X_y=True)
    data = {"wine": load_wine().data, "benign tumours": tumours[is_benign == 1]}
    for seed in seeds:
        for name, X in data.items():
            learned, new = train_test_split(X, random_state=seed)
            common = {"n_epochs": n_epochs, "random_state": seed}
            for method, found in {
                "AdversarialAutoencoder": AdversarialAutoencoder(**common)
                .fit(learned).predict_outlier(new, CONTAMINATION),
                "AdversarialAutoencoder, early_stopping=True":
                AdversarialAutoencoder(early_stopping=True, **common)
                .fit(learned).predict_outlier(new, CONTAMINATION),
                "IsolationForest": IsolationForest(contamination=CONTAMINATION, random_state=seed)
                .fit(learned).predict(new),
            }.items():  # fmt: skip
                shares = figures.setdefault(method, {}).setdefault(name, [])
                shares.append(float(np.mean(found == -1)))
    return figures


if __name__ == "__main__":
    run("thresholds", compare, seeds=[0], n_epochs=2)
