"""The pictures in a run's folder, with their captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aae.run import Run

CAPTIONS = {
    "learning-curves": "Learning curves",
    "latent": "Held-out codes over the prior",
    "manifold": "What the decoder makes of a grid of codes",
    "clusters": "Clusters, and held-out pictures of each",
    "samples": "Random samples",
    "pairs": "Real and generated rows, two columns at a time",
    "columns": "How far each generated column is from the real one",
    "style": "Class by row, style by column",
    "reconstructions": "Held-out pictures and their reconstructions",
}
"""Captions by the start of a file's name, in the order in which pictures are shown."""


def captioned(run: Run) -> Iterator[tuple[str, Path]]:
    """Caption and file of each picture of a run, manifold-2 before manifold-10."""
    for name, caption in CAPTIONS.items():
        found = run.figures.glob(f"{name}*.png")
        for path in sorted(found, key=lambda path: (len(path.stem), path.stem)):
            yield caption, path
