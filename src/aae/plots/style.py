"""What all figures share: colours, typography, panels, and writing to files."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from aae.storage import written

DPI = 128  # a power of two: pixels / DPI * DPI is exact, so that tiles keep whole pixels
INK, SOFT, RULE, PALE = "#2b2f36", "#6b7079", "#d5d8dd", "#eceef1"
TRAIN, VALIDATION, NO_LABEL = "#3d6fb6", "#d9822b", "#b4b4b4"
PRIOR = ["#eff0f3", "#e0e3e7", "#cdd1d8"]  # outermost region first
# Found by search: at least 0.09 apart in OKLab from one another and from NO_LABEL, also under
# simulated protanopia, deuteranopia and tritanopia.
CLASSES = ["#669cf3", "#963621", "#078e64", "#a19f11", "#492d82"]
CLASSES += ["#a6e378", "#ce73ab", "#135c68", "#ffb1fc", "#894ea7"]
# For a dark background: at least 0.1 apart in the same sense.
CLASSES_ON_DARK = ["#6990fe", "#d73f2e", "#7fe00f", "#e58113", "#5f50f6"]
CLASSES_ON_DARK += ["#c8ff98", "#eb9fdb", "#a3a58a", "#fad0de", "#af29b6"]

FONTS = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans",
    "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS", "Segoe UI",
)  # fmt: skip
"""Ours, which comes with matplotlib, and others for what it lacks: names of classes are the user's.
They are those of Linux, macOS and Windows."""


def families(installed: Collection[str]) -> list[str]:
    """Those of `FONTS` to look for characters in, in turn; matplotlib warns of absent ones.

    >>> families({"DejaVu Sans", "Yu Gothic", "Comic Sans MS"})
    ['DejaVu Sans', 'Yu Gothic']
    """
    return [name for name in FONTS if name in installed]


TITLE: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "color": INK}
STYLE: dict[Any, Any] = {
    "font.family": families(get_font_names()),
    "font.size": 9,
    "text.usetex": False,
    "text.parse_math": False,  # a "$" in a user's title is a dollar
    "axes.axisbelow": True,
    "axes.facecolor": "white",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "savefig.bbox": "standard",
    "savefig.facecolor": "white",
    **dict.fromkeys(["axes.labelsize", "axes.titlesize", "legend.fontsize"], 9),
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize"], 8),
    **dict.fromkeys(["text.color", "axes.titlecolor"], INK),
    **dict.fromkeys(["axes.edgecolor", "xtick.color", "ytick.color"], RULE),
    **dict.fromkeys(["axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"], SOFT),
}
styled = matplotlib.rc_context(STYLE)  # a decorator: our typography, the user's rc left alone


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as a PNG, atomically and with repeatable bytes; returns the path.

    Raises:
        ValueError: if the path does not end in ``.png``.
    """
    with replacing(path) as aside, _quietly():
        figure.savefig(aside, format="png", dpi=DPI, metadata={"Software": None})
    return Path(path)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without words, each time, on boxes for characters that no font has, or fonts without bold."""
    finder = logging.getLogger("matplotlib.font_manager")
    level = finder.level
    finder.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from (current )?font")
            yield
    finally:
        finder.setLevel(level)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside the PNG to write to, moved to its place at the end; makes missing folders."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"pictures are written as PNG, not {path.name!r}: name it {path.stem}.png")
    with written(path) as aside:
        yield aside


def class_colours(count: int, *, dark: bool = False) -> list[str]:
    """Hexadecimal colours for classes; up to ten, the colour-blind can tell them apart.

    >>> class_colours(2)
    ['#669cf3', '#963621']
    """
    palette = CLASSES_ON_DARK if dark else CLASSES
    if count <= len(palette):
        return palette[:count]
    return [to_hex(matplotlib.colormaps["turbo"]((k + 0.5) / count)) for k in range(count)]


def text_width(text: str, fontsize: float = 9, fontweight: str = "normal", **_: object) -> int:
    """Width of a line of text in pixels, rounded up."""
    font = FontProperties(size=fontsize, weight=fontweight)
    with _quietly():
        width, _, _ = RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, ismath=False)
    return math.ceil(float(width))


def panels(
    count: int, *, columns: int, size: tuple[float, float], title: str | None
) -> tuple[Figure, list[Axes]]:
    """Axes of about ``size`` inches in rows, below a line for the title and the legend."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    head, pad = 0.45, 0.1
    words = text_width(title, **TITLE) / DPI if title else 0.0
    W, H = max(columns * size[0], words + 2.2), rows * size[1] + head
    figure = Figure(figsize=(W, H), dpi=DPI)
    inside = (pad / W, pad / H, 1 - 2 * pad / W, 1 - (pad + head) / H)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=inside, hspace=0.08, wspace=0.04))
    if title:
        figure.text(pad / W, 1 - pad / H, title, va="top", **TITLE)
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def figure_legend(figure: Figure, panels: Sequence[Axes], *, note: str | None = None) -> None:
    """Add one legend for all panels, top right, if there is more than one thing to name."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        found.update(zip(names, handles, strict=True))
    if note:
        found[note] = Line2D([], [], linestyle="")
    if len(found) > 1:
        look: dict[str, Any] = {"handlelength": 1.2, "columnspacing": 1.2, "labelcolor": SOFT}
        figure.legend([*found.values()], [*found], loc="upper right", ncols=len(found), **look)
