"""Codes against the prior: a scatter plot in the plane, histograms in more dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from aae.plots.style import (
    DPI,
    NO_LABEL,
    PRIOR,
    RULE,
    TITLE,
    TRAIN,
    class_colours,
    figure_legend,
    panels,
    styled,
    text_width,
)

Array = NDArray[Any]


@styled
def latent(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    density: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    limit: float | None = 3.5,
    names: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Codes in the plane, coloured by class, over the shape of the prior.

    The shaded regions are the smallest that hold 39 %, 86 % and 99 % of the prior's mass: one, two
    and three standard deviations of a Gaussian. A note counts the codes outside the frame.

    Args:
        codes: [n, 2].
        labels: integers [n], -1 for no label; without them all codes have one colour.
        density: the prior on a regular grid: x [g], y [h] and log-density in nats [h, g].
        limit: half the side of the frame around the origin; the frame grows if the prior needs it.
            None fits the frame to codes and prior.
        names: the classes' names for the legend; by default their numbers.
        title: drawn above.

    Raises:
        ValueError: if the shapes are not these, or a label has no name.
    """
    codes = _codes(codes)
    n, dim = codes.shape
    if dim != 2:
        raise ValueError(f"latent draws codes of 2 dimensions, not {dim}: use code_histograms")
    classes = np.full(n, -1) if labels is None else np.asarray(labels).astype(np.int64)
    if classes.shape != (n,) or classes.min(initial=0) < -1:
        raise ValueError(f"{n} codes need {n} labels of -1 or more, got shape {classes.shape}")
    count = int(classes.max(initial=-1)) + 1
    names = names or [str(k) for k in range(count)]
    if count > len(names):
        raise ValueError(f"label {count - 1} has no name: there are {len(names)} names")

    palette = np.array([*class_colours(len(names)), TRAIN if labels is None else NO_LABEL])
    named = [(k, names[k]) for k in np.unique(classes[classes >= 0])]
    if labels is not None and -1 in classes:
        named.append((-1, "no label"))
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    keys: list[Any] = [Line2D([], [], color=palette[k], label=name, **look) for k, name in named]
    if density is not None:
        keys.append(Patch(facecolor=PRIOR[-1], label="prior"))

    # Inches, so that the frame is square whatever stands beside it.
    side, left, bottom, top = 5.4, 0.6, 0.5, 0.45 if title else 0.15
    stacks = math.ceil(len(keys) / 28)
    widest = max((text_width(key.get_label()) for key in keys), default=0) / DPI
    W, H = left + side + 0.2 + stacks * (widest + 0.32), bottom + side + top
    figure = Figure(figsize=(W, H), dpi=DPI)
    axes = figure.add_axes((left / W, bottom / H, side / W, side / H))
    reach = _draw_density(axes, density) if density is not None else 0.0
    finite = np.asarray(np.isfinite(codes).all(axis=1))
    if limit is None:
        limit = 1.05 * float(np.abs(codes[finite]).max(initial=0)) or 1.0
    limit = max(limit, reach)
    order = np.argsort(classes >= 0, kind="stable")  # codes without a label lie below the others
    order = order[finite[order]]
    size = float(np.clip(20_000 / max(n, 1), 2.5, 12))
    x, y = codes[order].T
    axes.scatter(x, y, s=size, c=palette[classes[order]].tolist(), alpha=0.75, linewidths=0)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="z₁", ylabel="z₂")
    hidden = {
        "outside the frame": int((np.abs(codes[finite]) > limit).any(1).sum()),
        "not finite": n - int(finite.sum()),
    }
    note = "\n".join(f"{what}: {k:,} of {n:,} codes" for what, k in hidden.items() if k)
    if note:
        box = {"facecolor": "white", "edgecolor": RULE, "linewidth": 0.8, "pad": 4}
        axes.text(0.02, 0.02, note, fontsize=8, transform=axes.transAxes, bbox=box)
    if title:
        axes.set_title(title, pad=10, **TITLE)
    if keys:
        place: dict[str, Any] = {
            "loc": "upper left",
            "bbox_to_anchor": (1.01, 1),
            "borderaxespad": 0,
        }
        gaps: dict[str, Any] = {"handlelength": 1, "handletextpad": 0.5, "columnspacing": 1}
        axes.legend(handles=keys, ncols=stacks, **place, **gaps)
    return figure


@styled
def code_histograms(
    codes: ArrayLike, prior_samples: ArrayLike, *, title: str | None = None
) -> Figure:
    """Each dimension of the codes against the same dimension of the prior, for the first 24.

    Values beyond the axis (at most 0.2 % in each dimension) are counted in the outermost bins.

    Args:
        codes: [n, d].
        prior_samples: draws from the prior, [m, d].
        title: drawn above.

    Raises:
        ValueError: if the shapes are not these, or a number is not finite.
    """
    both = {"prior": _codes(prior_samples), "codes": _codes(codes)}
    d = both["codes"].shape[1]
    if both["prior"].shape[1] != d:
        raise ValueError(f"codes have {d} dimensions, prior_samples {both['prior'].shape[1]}")
    if not all(values.size and np.isfinite(values).all() for values in both.values()):
        raise ValueError("code_histograms needs codes and samples: one or more of each, all finite")
    shown = min(d, 24)
    # Of each dimension of each by itself: one may reach farther, and there may be more samples.
    reaches = [np.quantile(np.abs(v[:, :shown]), 0.998, axis=0) for v in both.values()]
    reach = float(np.max(reaches)) or 1.0
    bins = np.linspace(-reach, reach, 41).tolist()
    figure, drawn = panels(shown, columns=5, size=(1.7, 1.35), title=title)
    looks: dict[str, dict[str, Any]] = {
        "prior": {"histtype": "stepfilled", "color": PRIOR[-1]},
        "codes": {"histtype": "step", "color": TRAIN, "linewidth": 1.3},
    }
    for k, axes in enumerate(drawn):
        for name, values in both.items():
            inside = np.clip(values[:, k], -reach, reach)
            axes.hist(inside, bins=bins, density=True, label=name, **looks[name])
        axes.set(yticks=[], xlim=(-reach, reach))
        axes.spines["left"].set_visible(False)
        subscript = "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(k + 1))
        axes.set_title(f"z{subscript}", loc="center")
    figure_legend(figure, drawn, note=f"first {shown} of {d} dimensions" if d > shown else None)
    return figure


def _codes(codes: ArrayLike) -> Array:
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2:
        raise ValueError(f"codes must be [n, dimensions], got an array of shape {codes.shape}")
    return codes


def _draw_density(axes: Axes, density: tuple[ArrayLike, ArrayLike, ArrayLike]) -> float:
    """Shade the prior; returns half the side of a frame that holds its outermost region."""
    x, y, log_p = (np.asarray(part, dtype=np.float64) for part in density)
    if x.ndim != 1 or y.ndim != 1 or log_p.shape != (len(y), len(x)):
        shapes = f"{x.shape}, {y.shape}, {log_p.shape}"
        raise ValueError(f"density must be x [g], y [h] and log-density [h, g], got {shapes}")
    if not np.isfinite(log_p.max()):
        raise ValueError("density needs log-densities below infinity, one of them finite, no NaN")
    p = np.exp(log_p - log_p.max())
    falling = np.sort(p, axis=None)[::-1]
    mass = falling.cumsum() / falling.sum()
    outer, *inner = falling[np.searchsorted(mass, [0.989, 0.865, 0.393])]
    levels = [outer * (1 - 1e-6)]  # just below, so that a flat prior has an edge too
    for level in inner:
        if level > 1.01 * levels[-1]:
            levels.append(level)
    axes.contourf(x, y, p, levels=[*levels, np.inf], colors=PRIOR[-len(levels) :])
    rows, columns = np.nonzero(p >= levels[0])
    return 1.05 * float(max(np.abs(x[columns]).max(), np.abs(y[rows]).max()))
