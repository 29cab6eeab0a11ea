"""The pictures of a model: what its codes look like, and what its decoder makes of codes.

A model of rows shows only its codes, and one of a table its columns, too; tiles are for pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from aae import inference, plots
from aae.autoencoder import Autoencoder
from aae.data import Columns, column_distances, spread
from aae.priors import Prior
from aae.run import Run
from aae.splits import Part, Splits

MANIFOLDS = 20
"""Most components of a prior that a manifold is drawn of."""
CODES = 10_000
"""Most pictures whose codes are drawn; samples of the prior that are drawn beside any codes."""
ROWS, SHOWN = 10_000, 1_000
"""Rows that a model of a table generates to be measured, and rows drawn as points."""
SIDE = 20
"""Tiles along each side of a manifold or a sheet of samples, at most: fewer of large pictures."""


def pictures(
    model: Autoencoder, part: Part, classes: tuple[str, ...], *, seed: int = 0
) -> dict[str, Figure]:
    """All the pictures that make sense for a model, by file name without extension.

    Args:
        model: the model.
        part: held-out pictures, with labels to colour their codes by.
        classes: the names of the labels.
        seed: chooses samples and styles.
    """
    generator, part = torch.Generator().manual_seed(seed), part.some(CODES)
    figures = {"latent": latent(model, part, classes, generator)}
    if len(model.decoder.shape) > 1:
        figures |= _tiles(model, part, classes, generator)
    return figures


def _tiles(
    model: Autoencoder, part: Part, classes: tuple[str, ...], generator: torch.Generator
) -> dict[str, Figure]:
    """Those of `pictures` that are tiled from the model's pictures."""
    figures = manifold(model)
    rows = classes
    if model.finds_clusters:
        rows = tuple(str(k) for k in range(model.n_classes))
        figures["clusters"] = clusters(model, part)
    figures["samples"] = samples(model, rows, generator)
    if model.decodes_labels:
        figures["style"] = style(model, part, rows, generator)
    figures["reconstructions"] = reconstructions(model, part)
    return figures


def draw(run: Run, model: Autoencoder, splits: Splits, *, whole: bool = True) -> dict[str, Figure]:
    """All the pictures of a run as it stands, by file name.

    Args:
        run: the run.
        model: its model.
        splits: its data.
        whole: whether those of a table and the learning curves, which take longest, are drawn, too.
    """
    figures = pictures(model, splits.validation, run.classes, seed=run.config.seed)
    if not whole:
        return figures
    if run.columns is not None:
        figures |= of_table(run.columns, model, splits, seed=run.config.seed)
    if records := run.records():  # a training that was stopped early has none yet
        figures["learning-curves"] = plots.learning_curves(records)
    return figures


def of_table(
    columns: Columns, model: Autoencoder, splits: Splits, *, seed: int = 0
) -> dict[str, Figure]:
    """Generated rows beside training rows, in pairs of columns, and each column's distance."""
    train, held_out, shown = (
        np.asarray(part.images, np.float32)
        for part in (
            splits.train.some(CODES), splits.validation.some(CODES), splits.train.some(SHOWN),
        )
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    made = inference.sample(model, None, ROWS, generator).numpy()
    drawn = columns.decode(made[: len(shown)], np.random.default_rng(seed))
    return {
        "pairs": plots.pairs(_with_gaps(columns, shown), drawn, title="Real and generated rows"),
        "columns": plots.column_distances(
            column_distances(columns, made, train),
            column_distances(columns, held_out, train),
            [block.name for block in columns.categorical],
            title="How far each generated column is off",
        ),
    }


def _with_gaps(columns: Columns, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The table of encoded rows, with gaps where values were missing."""
    table = columns.decode(rows)
    for block in columns.blocks:
        numeric = block.kind == "numeric"
        values = table[block.name].astype(np.float64) if numeric else table[block.name]
        values[~columns.known(block, rows)] = np.nan if numeric else None
        table[block.name] = values
    return table


def latent(
    model: Autoencoder, part: Part, classes: tuple[str, ...], generator: torch.Generator
) -> Figure:
    """The codes (posterior means) over the prior: a scatter plot in 2-D, else histograms."""
    codes, prior = model.embed(inference.encode(model, part.images)), model.embedded_prior
    if codes.shape[1] == 2:
        return plots.latent(
            codes.numpy(), part.labels, density=density(prior), limit=prior.limit,
            names=classes, title="Held-out codes over the prior",
        )  # fmt: skip
    return plots.code_histograms(
        codes.numpy(),
        prior.sample(CODES, generator=generator).numpy(),
        title="Held-out codes and the prior",
    )


def density(prior: Prior, steps: int = 201) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The log-density of a 2-D prior over its frame: x [g], y [g], [g, g]."""
    line = torch.linspace(-prior.limit, prior.limit, steps)
    return line.numpy(), line.numpy(), prior.log_prob_over(line, line).numpy()


def manifold(model: Autoencoder, side: int | None = None) -> dict[str, Figure]:
    """What the decoder makes of a grid of codes; one picture for each component of a mixture.

    Of more than `MANIFOLDS` components, that many are drawn, evenly spaced. A decoder that needs a
    class has a style grid instead.
    """
    if model.decodes_labels:
        return {}
    side = side or _side(model.decoder.shape)
    grids = model.prior.manifold(side)
    return {
        f"manifold-{k}" if len(grids) > 1 else "manifold": plots.grid(
            inference.decode(model, grids[k]).numpy(), columns=side, title=title(k, grids)
        )
        for k in np.arange(len(grids))[spread(len(grids), MANIFOLDS)].tolist()
    }


def title(k: int, grids: Tensor) -> str:
    """The title of the k-th manifold."""
    return "The learned manifold" + (f", component {k}" if len(grids) > 1 else "")


def samples(model: Autoencoder, classes: tuple[str, ...], generator: torch.Generator) -> Figure:
    """Pictures of random codes; a row for each class where the model knows classes."""
    parts_are_classes = model.uses_labels and model.prior.components > 1
    side = _side(model.decoder.shape)
    if not (model.decodes_labels or parts_are_classes):
        images = inference.sample(model, None, side * side, generator)
        return plots.grid(images.numpy(), columns=side, title="Random samples")
    shown = _shown(len(classes), side, model.decoder.shape)
    labels = shown.repeat_interleave(side)
    images = inference.sample(model, labels, len(labels), generator)
    return plots.grid(
        images.numpy(), columns=side, row_labels=[classes[k] for k in shown],
        title="Random samples of each class" + _of(shown, len(classes)),
    )  # fmt: skip


def style(
    model: Autoencoder, part: Part, classes: tuple[str, ...], generator: torch.Generator
) -> Figure:
    """One class a row, one style a column; the styles are those of held-out pictures."""
    columns = min(10, len(part.images))
    chosen = torch.randperm(len(part.images), generator=generator)[:columns].numpy()
    styles = inference.encode(model, part.images[chosen]).mean
    shown = _shown(len(classes), columns, model.decoder.shape)
    labels = shown.repeat_interleave(columns)
    images = inference.decode(model, styles.repeat(len(shown), 1), labels)
    return plots.grid(
        images.numpy(), columns=columns, row_labels=[classes[k] for k in shown],
        title="Class by row, style by column" + _of(shown, len(classes)),
    )  # fmt: skip


def clusters(model: Autoencoder, part: Part, members: int = 15) -> Figure:
    """One cluster a row: its head with no style, then held-out pictures of it ([AAE], Fig. 9)."""
    shown = _shown(model.n_classes, 1 + members, model.decoder.shape)
    heads = inference.decode(model, torch.zeros(len(shown), model.prior.dim), shown)
    y = inference.encode(model, part.images).y
    assert y is not None
    chosen = y.argmax(1).numpy()
    tiles = np.zeros((len(shown), 1 + members, *part.images.shape[1:]), np.float32)
    tiles[:, 0] = heads.numpy()
    for row, k in zip(tiles, shown.tolist(), strict=True):
        own: NDArray[Any] = np.asarray(part.images[np.flatnonzero(chosen == k)[:members]])
        row[1 : 1 + len(own)] = own / np.float32(255)
    return plots.grid(
        tiles.reshape(-1, *part.images.shape[1:]), columns=1 + members,
        row_labels=[str(k) for k in shown.tolist()],
        title="Clusters: the head of each, and held-out pictures" + _of(shown, model.n_classes),
    )  # fmt: skip


def reconstructions(model: Autoencoder, part: Part, count: int = 40) -> Figure:
    """Held-out pictures and their reconstructions from the code."""
    some = part.some(count)
    columns = min(10, len(some.images))
    shown: NDArray[Any] = np.asarray(some.images)
    return plots.reconstructions(
        shown / 255, inference.reconstruct(model, some).numpy(), columns=columns,
        title="Held-out pictures and their reconstructions",
    )  # fmt: skip


def _side(shape: Sequence[int]) -> int:
    """Tiles along each side of a sheet of such pictures: `SIDE`, or as many as may be drawn."""
    return next(n for n in range(SIDE, 0, -1) if n == 1 or plots.most_rows(shape, n) >= n)


def _shown(count: int, columns: int, shape: Sequence[int]) -> Tensor:
    """The classes or clusters that have a row of a sheet: all, or as many as may be drawn."""
    rows = min(count, plots.most_rows(shape, columns))
    return torch.linspace(0, count - 1, rows).round().long()


def _of(shown: Tensor, count: int) -> str:
    """What a title says where some are not shown."""
    return "" if len(shown) == count else f" ({len(shown)} of {count})"


def columns_for(count: int) -> int:
    """Columns of a sheet of ``count`` pictures that is about as wide as it is high.

    >>> columns_for(100), columns_for(7)
    (10, 3)
    """
    return math.isqrt(max(count - 1, 0)) + 1
