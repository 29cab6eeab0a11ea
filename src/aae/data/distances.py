"""How far apart the rows of two tables are, column by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aae.data.columns import Columns


def column_distances(
    columns: Columns, a: NDArray[np.float32], b: NDArray[np.float32]
) -> dict[str, float]:
    """The distance between each column's distributions in two sets of rows.

    For numbers it is the first Wasserstein distance, in standard deviations of the training rows:
    how far values must move on average to turn one distribution into the other. For categories it
    is the total variation, 0 to 1: the share that must be changed; cells may be probabilities.
    Missing values are left out.

    Args:
        columns: what the cells stand for.
        a: rows [n, d], from `Columns.encode` or a decoder.
        b: rows [m, d].

    Returns:
        By the column's name; NaN where one of the two sets has no value.

    Example:
        >>> table = {"age": [20, 40], "smoker": ["no", "yes"]}
        >>> columns = Columns.of(table)
        >>> later = columns.encode({"age": [30, 50], "smoker": ["no", "no"]})
        >>> column_distances(columns, columns.encode(table), later)
        {'age': 1.0, 'smoker': 0.5}
    """
    from scipy.stats import wasserstein_distance

    found: dict[str, float] = {}
    for block in columns.blocks:
        x, y = (rows[columns.known(block, rows), block.cells].astype(np.float64) for rows in (a, b))
        if not len(x) or not len(y):
            found[block.name] = np.nan
        elif block.kind == "numeric":
            found[block.name] = float(wasserstein_distance(x[:, 0], y[:, 0]))
        else:
            found[block.name] = float(np.abs(x.mean(0) - y.mean(0)).sum() / 2)
    return found
