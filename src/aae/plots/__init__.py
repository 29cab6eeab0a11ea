"""Figures: numpy arrays in, matplotlib figures out.

No pyplot and no global state: every function returns a ``matplotlib.figure.Figure`` that draws
without a display, and `save` writes it to a PNG whose bytes depend only on the figure.
"""

from aae.plots.codes import code_histograms, latent
from aae.plots.curves import Errors, error_curves, learning_curves
from aae.plots.style import class_colours, save
from aae.plots.tables import column_distances, pairs
from aae.plots.tiles import grid, most_rows, reconstructions, tile, visible, write_tiles

__all__ = [
    "Errors",
    "class_colours",
    "code_histograms",
    "column_distances",
    "error_curves",
    "grid",
    "latent",
    "learning_curves",
    "most_rows",
    "pairs",
    "reconstructions",
    "save",
    "tile",
    "visible",
    "write_tiles",
]
