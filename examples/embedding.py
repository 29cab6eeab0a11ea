"""Digits on a plane, compared with PCA, t-SNE and UMAP.

    pip install '.[examples]'
    python examples/embedding.py

All methods lay out 1,437 digits on a plane, and all but t-SNE, which cannot, then add 360 others
that they have not seen. Measured on these others: whether neighbours on the plane were neighbours
before (trustworthiness), and whether the nearest learned digit on the plane is the same digit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from aae import AdversarialEmbedding
from measuring import Figures, digits, few_of, run


def methods(seed: int, n_epochs: int) -> dict[str, Any]:
    """The methods compared, with UMAP if it is installed."""
    settings: dict[str, Any] = {"scale": "range", "n_epochs": n_epochs, "random_state": seed}
    made: dict[str, Any] = {
        "AdversarialEmbedding": AdversarialEmbedding(**settings),
        "AdversarialEmbedding, 50 labels": AdversarialEmbedding(**settings),
        "PCA": PCA(2, random_state=seed),
        "t-SNE": TSNE(random_state=seed),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from umap import UMAP
    except ImportError:
        return made
    return made | {"UMAP": UMAP(random_state=seed, n_jobs=1)}


def compare(*, seeds: Iterable[int], held_out: str = "test", n_epochs: int = 150) -> Figures:
    """Trustworthiness, and accuracy of the nearest neighbour, for each seed."""
    X, X_new, y, y_new = digits(held_out)
    figures: Figures = {}
    for seed in seeds:
        for name, method in methods(seed, n_epochs).items():
            shown = few_of(y, 5, seed) if "labels" in name else None
            known = method.fit_transform(X, shown) if shown is not None else method.fit_transform(X)
            found = figures.setdefault(name, {"trustworthiness, learned": []})
            found["trustworthiness, learned"].append(float(trustworthiness(X, known)))
            if not hasattr(method, "transform"):
                continue
            new = method.transform(X_new)
            found.setdefault("trustworthiness, new", []).append(float(trustworthiness(X_new, new)))
            nearest = KNeighborsClassifier(1).fit(known, y)
            found.setdefault("nearest neighbour, new", []).append(float(nearest.score(new, y_new)))
    return figures


def draw(n_epochs: int = 150) -> None:
    """Draw the planes of the first seed."""
    from matplotlib.figure import Figure

    X, X_new, y, y_new = digits()
    every = methods(0, n_epochs)
    figure = Figure(figsize=(12, 7.4), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for place, (name, method) in zip(axes, every.items(), strict=False):
        labels = [few_of(y, 5, 0)] if "labels" in name else []
        points = method.fit_transform(X, *labels)
        new = method.transform(X_new) if hasattr(method, "transform") else None
        _scatter(place, points, y, new, y_new)
        place.set_title(name)
    axes[-1].axis("off")
    for place in axes:
        place.set_xticks([])
        place.set_yticks([])
    figure.savefig(Path(__file__).parents[1] / "docs" / "figures" / "embedding.png", dpi=80)


def _scatter(
    place: Any, points: NDArray[Any], y: NDArray[Any], new: Any, y_new: NDArray[Any]
) -> None:
    look = {"cmap": "tab10", "vmin": -0.5, "vmax": 9.5, "linewidths": 0}
    place.scatter(*points.T, c=y, s=5, alpha=0.35, **look)
    if new is not None:
        place.scatter(*new.T, c=y_new, s=12, **look)


if __name__ == "__main__":
    import sys

    if "--draw" in sys.argv:
        draw()
    else:
        run("embedding", compare, seeds=[0], n_epochs=2)
