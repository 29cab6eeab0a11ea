"""``aae list``."""

from __future__ import annotations

from aae.cli.training import summary
from aae.recipes import RECIPES
from aae.terminal import console, show_json
from aae.words import by


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
        show_json({"recipes": recipes, "data": sets})
        return 0
    from aae.cli.tables import table

    kinds = table("Recipes", "recipe", "what it trains")
    for name, words in recipes.items():
        kinds.add_row(name, words)
    sets_table = table(
        "Data sets", "data", "pictures", "training", "test", "what they are",
        numbers=("training", "test"),
    )  # fmt: skip
    for name, source in CATALOG.items():
        shape = by(source.shape)
        counts = (f"{n:,}" for n in (source.n_train, source.n_test))
        sets_table.add_row(name, shape, *counts, source.description)
    console().print(kinds, sets_table)
    return 0
