"""Are generated tables as good to learn from as real ones? Train on synthetic, test on real.

    python benchmarks/tables.py --seeds 5

For each seed, a quarter of a table's rows is held out, and an adversarial autoencoder learns the
rest, with the class as one column among the others. As many rows as it learned from are sampled.
Two classifiers that learn from these alone are tested on the held-out rows, and compared with the
same classifiers trained on the real rows, and on samples of a Gaussian with full covariance fitted
to each class. The settings are those of the recipe ``gaussian`` except for 128 units, batches of 32
and 300 epochs, which were tried on parts of the training rows of seeds 0 and 1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

RESULT = Path(__file__).parent / "results" / "tables.json"
TABLES = ("wine", "breast_cancer")
Rows = tuple[np.ndarray, np.ndarray]
"""Features [n, d] and classes [n]."""


def parts(table: str, seed: int) -> tuple[Rows, Rows]:
    """Training and test rows of one of scikit-learn's tables."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{table}")(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=seed
    )
    return (x_train, y_train), (x_test, y_test)


def generated(train: Rows, seed: int, epochs: int = 300) -> Rows:
    """As many rows as are given, sampled from a model that learned them."""
    import torch

    from aae import inference
    from aae.build import build
    from aae.config import Config
    from aae.data import TableReading, dataset_of
    from aae.fit import new_trainer
    from aae.splits import Part

    x, y = train
    table = {**{str(k): column for k, column in enumerate(x.T)}, "class": y}
    reading = TableReading(categorical_columns=("class",))
    # The data set's test set is not used here; the held-out rows are not in it.
    data = dataset_of(table, test=table, reading=reading)
    assert data.columns is not None
    config = Config(
        recipe="gaussian", model="basic", hidden=128, batch_size=32, epochs=epochs, seed=seed,
        precision="float32", device="cpu",
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    model = build(config, data.shape, 0, generator, columns=data.columns)
    new_trainer(model, config, Part(data.train_images, data.train_labels)).run()
    rows = inference.sample(model.eval(), None, len(y), generator).numpy()
    made = data.columns.decode(rows, np.random.default_rng(seed))
    classes = made.pop("class").astype(int)
    return np.stack([*made.values()], 1), classes


def gaussians(train: Rows, seed: int) -> Rows:
    """As many rows of each class, drawn from a Gaussian fitted to it."""
    x, y = train
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multivariate_normal(x[y == k].mean(0), np.cov(x[y == k].T), (y == k).sum())
        for k in np.unique(y)
    ]
    return np.concatenate(drawn), np.sort(y)


SOURCES: dict[str, Callable[[Rows, int], Rows]] = {
    "real rows": lambda train, seed: train,
    "generated": generated,
    "Gaussians": gaussians,
}


def accuracies(train: Rows, test: Rows) -> dict[str, float]:
    """Accuracy, on test rows, of each classifier trained on some rows."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    judges = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest": RandomForestClassifier(100, random_state=0),
    }
    return {name: float(judge.fit(*train).score(*test)) for name, judge in judges.items()}


def main() -> None:
    """Measure all tables, write down the results and print a table of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    import sklearn

    from aae.run import versions

    results: dict[str, Any] = {"versions": {**versions(), "scikit-learn": sklearn.__version__}}
    for table in TABLES:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in SOURCES}
        for seed in range(arguments.seeds):
            train, test = parts(table, seed)
            for name, rows in SOURCES.items():
                found[name].append(accuracies(rows(train, seed), test))
        results[table] = found
        for name, runs in found.items():
            cells = [[run[judge] for run in runs] for judge in runs[0]]
            spread = (f"{mean(c):.3f} ± {stdev(c) if len(c) > 1 else 0:.3f}" for c in cells)
            print(f"| {table} | {name} | {' | '.join(spread)} |", flush=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
