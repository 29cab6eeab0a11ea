"""Clusters of digits found without labels, compared with k-means.

    python examples/clusters.py

All methods learn from 1,437 digits and assign 360 others. Two figures are measured on these: the
adjusted Rand index, and the share whose digit is that of their cluster, which is the most frequent
one in it among the digits learned from. "warped" sees pictures instead of rows, and keeps a
picture's cluster when it is turned, slanted, stretched and shifted a little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from aae import AdversarialClustering
from measuring import Figures, digits, run


def pictures(X: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Rows of 64 values in [0, 16] → pictures [n, 8, 8]."""
    return np.rint(X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)


def compare(
    *, seeds: Iterable[int], held_out: str = "test", n_clusters: int = 10, n_epochs: int = 60
) -> Figures:
    """Agreement of clusters with digits, for each seed."""
    X, X_new, y, y_new = digits(held_out)
    figures: Figures = {}
    for seed in seeds:
        ours = partial(AdversarialClustering, n_clusters, n_epochs=n_epochs, random_state=seed)
        methods: dict[str, tuple[Any, Callable[..., NDArray[Any]]]] = {
            "AdversarialClustering, warped": (ours(options={"warp_weight": 200.0}), pictures),
            "AdversarialClustering": (ours(scale="range"), np.asarray),
            "KMeans": (KMeans(n_clusters, random_state=seed, n_init=10), np.asarray),
        }
        for name, (method, view) in methods.items():
            learned, found = method.fit_predict(view(X)), method.predict(view(X_new))
            names = [np.bincount(y[learned == k], minlength=10).argmax() for k in range(n_clusters)]
            found_in = figures.setdefault(name, {"adjusted Rand index": [], "accuracy": []})
            found_in["adjusted Rand index"].append(float(adjusted_rand_score(y_new, found)))
            found_in["accuracy"].append(float((np.array(names)[found] == y_new).mean()))
    return figures


if __name__ == "__main__":
    run("clusters", compare, seeds=[0], n_epochs=2)
