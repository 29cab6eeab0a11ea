"""What the examples share: the digits, split once, and how results are written."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

RESULTS = Path(__file__).parent / "results"
Figures = dict[str, dict[str, list[float]]]
"""By method and by what was measured: a number for each seed."""
Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def digits(held_out: str = "test") -> Split:
    """scikit-learn's digits: rows to learn from and others, and the labels of both.

    Args:
        held_out: "test", 360 digits for the final figure; or "validation", 360 of the others, for
            making choices.
    """
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=360, random_state=0, stratify=y)
    if held_out == "test":
        return X, X_test, y, y_test
    X, X_test, y, y_test = train_test_split(X, y, test_size=360, random_state=1, stratify=y)
    return X, X_test, y, y_test


def few_of(y: NDArray[Any], per_class: int, seed: int) -> NDArray[Any]:
    """The labels with all but a few of each class replaced by -1."""
    generator = np.random.default_rng(seed)
    shown = np.full_like(y, -1)
    for label in np.unique(y):
        chosen = generator.permutation(np.flatnonzero(y == label))[:per_class]
        shown[chosen] = label
    return shown


def run(name: str, compare: Callable[..., Figures], **quick: Any) -> None:
    """The command line of an example: measure, print a table, write the figures.

    Args:
        name: the example's name.
        compare: measures all methods; takes ``seeds`` and ``held_out``.
        quick: what ``--quick`` changes.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--held-out", choices=["test", "validation"], default="test")
    parser.add_argument("--quick", action="store_true", help="a small one, to see that it works")
    asked = parser.parse_args()
    settings: dict[str, Any] = {"seeds": range(asked.seeds), "held_out": asked.held_out}
    figures = compare(**settings | (quick if asked.quick else {}))
    print(table(figures))
    if not asked.quick and asked.held_out == "test":
        RESULTS.mkdir(exist_ok=True)
        versions = {
            "python": platform.python_version(), "numpy": np.__version__,
            "scikit-learn": sklearn.__version__, "torch": torch.__version__,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        }  # fmt: skip
        about = {"seeds": asked.seeds, "figures": figures, "versions": versions}
        (RESULTS / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")


def table(figures: Figures) -> str:
    """Means ± standard deviations over seeds, in Markdown.

    >>> print(table({"a": {"accuracy": [0.5, 0.7]}}))
    | method | accuracy |
    |---|---|
    | a | 0.600 ± 0.141 |
    """
    measured = list(dict.fromkeys(name for each in figures.values() for name in each))
    lines = ["| method | " + " | ".join(measured) + " |", "|---" * (1 + len(measured)) + "|"]
    for method, found in figures.items():
        cells = [_cell(found[name]) if name in found else "" for name in measured]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
