"""Images side by side: grids, reconstructions, and the bare pixels of both."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import ArrayLike, NDArray

from aae.plots.style import DPI, SOFT, TITLE, replacing, styled, text_width

Array = NDArray[Any]

MOST = 6_000_000
"""Screen pixels of the largest grid that should be drawn: drawing one takes some 150 bytes each."""
FRAME = 0.4  # grey of the lines, distinct from the black and the white at digits' borders


def tile(images: ArrayLike, columns: int, *, scale: int = 1) -> Array:
    """Lay images out in rows, framed by thin grey lines; places without an image are white.

    Args:
        images: floats in [0, 1], [n, 1 or 3, height, width].
        columns: tiles in a row; the last row may be incomplete.
        scale: screen pixels for each image pixel.

    Returns:
        float64 [H, W, 1 or 3] in [0, 1].

    Raises:
        ValueError: if the images have another shape, are not finite, or leave [0, 1].

    Examples:
        >>> tile(np.zeros((5, 1, 28, 28)), columns=3).shape
        (59, 88, 1)
    """
    return _canvas(_images(images), columns, scale)[0]


def write_tiles(
    images: ArrayLike, path: str | os.PathLike[str], columns: int, *, scale: int = 1
) -> Path:
    """Write the result of `tile` as a PNG, atomically; returns the path."""
    pixels = np.rint(tile(images, columns, scale=scale) * 255).astype(np.uint8)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    anonymous: dict[str, Any] = {"Software": None}
    with replacing(path) as aside:
        imsave(aside, pixels, format="png", metadata=anonymous)
    return Path(path)


@styled
def grid(
    images: ArrayLike,
    *,
    columns: int,
    title: str | None = None,
    row_labels: Sequence[str] | None = None,
) -> Figure:
    """Plain tiles, with whole screen pixels for each image pixel: manifold, samples, styles.

    Args:
        images: floats in [0, 1], [n, 1 or 3, height, width], row by row.
        columns: tiles in a row.
        title: drawn above.
        row_labels: one for each row, drawn to its left.

    Raises:
        ValueError: on bad images (as in `tile`) or a wrong number of labels.
    """
    return _tiles(_images(images), columns, title, row_labels)


@styled
def reconstructions(
    originals: ArrayLike,
    reconstructions: ArrayLike,
    *,
    columns: int = 10,
    title: str | None = None,
) -> Figure:
    """Each image above its reconstruction.

    Args:
        originals: floats in [0, 1], [n, 1 or 3, height, width].
        reconstructions: of the same shape.
        columns: images in a row.
        title: drawn above.

    Raises:
        ValueError: on bad images (as in `tile`) or shapes that differ.
    """
    kinds = {"original": _images(originals), "reconstruction": _images(reconstructions)}
    shapes = {name: images.shape for name, images in kinds.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"reconstructions need arrays of one shape, got {shapes}")
    n, *shape = shapes["original"]
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    cells = np.full((len(kinds), rows * columns, *shape), np.nan)
    cells[:, :n] = list(kinds.values())
    cells = cells.reshape(len(kinds), rows, columns, *shape).swapaxes(0, 1).reshape(-1, *shape)
    return _tiles(cells, columns, title, list(kinds) * rows, together=len(kinds))


def most_rows(shape: Sequence[int], columns: int) -> int:
    """Rows of a `grid` of pictures (channels, height, width) up to `MOST` screen pixels, 1 or more.

    >>> most_rows((1, 28, 28), 20), most_rows((3, 256, 256), 20)
    (95, 4)
    """
    _, height, width = shape
    row = columns * height * width * _scale(columns, height, width) ** 2
    return max(1, MOST // row)


def visible(images: Array) -> Array:
    """Pictures [n, c, h, w] as they can be shown: those not of 1 or 3 channels as a grey mean."""
    return images if images.shape[1] in (1, 3) else images.mean(1, keepdims=True)


def _images(given: ArrayLike) -> Array:
    images = np.asarray(given)
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images must be [n, channels, height, width], got {images.shape}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # also if one is NaN
        raise ValueError(
            f"images must lie in [0, 1], got {images.dtype} from {low:g} to {high:g}: "
            "divide uint8 by 255, map [-1, 1] by (x + 1) / 2"
        )
    return np.clip(visible(images).astype(np.float64), 0.0, 1.0)


def _canvas(
    images: Array, columns: int, scale: int, together: int | None = None
) -> tuple[Array, list[int]]:
    """The tiled picture and where rows begin; NaN images are left out.

    Some space is left after every ``together`` rows.
    """
    if columns < 1 or scale < 1:
        raise ValueError(f"columns and scale must be 1 or more, got {columns} and {scale}")
    images = images.repeat(scale, axis=2).repeat(scale, axis=3).transpose(0, 2, 3, 1)
    n, height, width, channels = images.shape
    columns = min(columns, n)
    line = max(1, scale // 2)
    space = height // 6 + line
    lefts = [line + k * (width + line) for k in range(columns)]
    tops = [
        line + k * (height + line) + (k // together * space if together else 0)
        for k in range(math.ceil(n / columns))
    ]
    canvas = np.ones((tops[-1] + height + line, lefts[-1] + width + line, channels))
    for k, image in enumerate(images):
        if not np.isnan(image).any():
            top, left = tops[k // columns], lefts[k % columns]
            canvas[top - line : top + height + line, left - line : left + width + line] = FRAME
            canvas[top : top + height, left : left + width] = image
    return canvas, tops


def _scale(columns: int, height: int, width: int) -> int:
    """Screen pixels along each side of a picture's pixel."""
    least = 2 if max(height, width) <= 64 else 1
    return int(np.clip(1160 // (columns * width + 1), least, 8))


def _tiles(
    images: Array,
    columns: int,
    title: str | None,
    row_labels: Sequence[str] | None = None,
    together: int | None = None,
) -> Figure:
    """A figure with exact pixels: the canvas, and margins as wide as the words need."""
    _, _, height, width = images.shape
    scale = _scale(min(columns, len(images)), height, width)
    canvas, tops = _canvas(images, columns, scale, together)
    if row_labels is not None and len(row_labels) != len(tops):
        raise ValueError(f"row_labels must be {len(tops)} for this grid, got {len(row_labels)}")
    edge, line, space = 14, 16, 10
    tall, wide = canvas.shape[:2]
    left = edge + (max(map(text_width, row_labels)) + space if row_labels else 0)
    head = edge + (line + 2 * space if title else 0)
    W = max(left + wide, edge + (text_width(title, **TITLE) if title else 0)) + edge
    H = head + tall + edge
    figure = Figure(figsize=(W / DPI, H / DPI), dpi=DPI)
    axes = figure.add_axes((left / W, edge / H, wide / W, tall / H))
    axes.set_axis_off()
    picture = np.broadcast_to(canvas, (tall, wide, 3))
    axes.imshow(picture, interpolation="nearest", aspect="auto")

    def write(x: float, y: float, text: str, **how: Any) -> None:
        figure.text(x / W, 1 - y / H, text, **{"color": SOFT, **how})

    if title:
        write(edge, edge, title, va="top", **TITLE)
    for label, top in zip(row_labels or (), tops, strict=bool(row_labels)):
        write(left - space, head + top + height * scale / 2, label, ha="right", va="center")
    return figure
