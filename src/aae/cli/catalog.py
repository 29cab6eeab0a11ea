"""``aae list``."""

from __future__ import annotations

import json as json_format

from aae.cli.training import summary
from aae.recipes import RECIPES


def list_all(*, json: bool = False) -> int:
    """List recipes and data sets.

    Args:
        json: Print one JSON object instead of tables.
    """
    from aae.data import CATALOG

    recipes = {name: summary(make) for name, make in RECIPES.items()}
    if json:
        sets = {
            name: {
                "description": source.description,
                "shape": source.shape,
                "train": source.n_train,
                "test": source.n_test,
                "classes": source.classes,
            }
            for name, source in CATALOG.items()
        }
        print(json_format.dumps({"recipes": recipes, "data": sets}, indent=1))
        return 0
    from rich.console import Console

    from aae.cli.tables import table

    kinds = table("Recipes", "recipe", "what it trains")
    for name, words in recipes.items():
        kinds.add_row(name, words)
    sets_table = table(
        "Data sets", "data", "pictures", "training", "test", "what they are",
        numbers=("training", "test"),
    )  # fmt: skip
    for name, source in CATALOG.items():
        shape = "×".join(map(str, source.shape))
        counts = (f"{n:,}" for n in (source.n_train, source.n_test))
        sets_table.add_row(name, shape, *counts, source.description)
    Console().print(kinds, sets_table)
    return 0
