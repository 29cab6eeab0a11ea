"""Standard errors: how far a figure would move on other examples; and the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation: None of one value, NaN if a value is not finite.

    Examples:
        >>> deviation([1.0, 3.0]), deviation([1.0]), deviation([1.0, math.inf])
        (1.4142135623730951, None, nan)
    """
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1)) if np.isfinite(values).all() else math.nan


def of_mean(values: Tensor) -> float:
    """The standard error of a mean: the sample standard deviation over √n; NaN for one value.

    Args:
        values: one for each example, [n].

    Examples:
        >>> import torch
        >>> of_mean(torch.tensor([1.0, 2.0, 3.0, 2.0]))
        0.408248290463863
    """
    return values.double().std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan


def of_share(share: float, count: int) -> float:
    """The standard error of a share k/n of n examples: √(p (1 - p) / n), p = (k + 1) / (n + 2).

    By this p, Laplace's rule of succession, none in a hundred does not count as never.

    Examples:
        >>> round(of_share(0.02, 10_000), 4), round(of_share(0.0, 100), 4)
        (0.0014, 0.0099)
    """
    p = (share * count + 1) / (count + 2)
    return math.sqrt(p * (1 - p) / count)


def bootstrap(
    figure: Callable[..., float], *samples: NDArray[np.float32], repeats: int = 50
) -> float:
    """The standard error of any figure, by resampling its examples with replacement.

    Efron, Bootstrap methods: another look at the jackknife, 1979, section 2.

    Args:
        figure: measures samples like those given.
        samples: arrays [n, …] of examples; each is resampled by itself, with seed 0.
        repeats: how often they are resampled.

    Examples:
        >>> sample = np.arange(100, dtype=np.float32)
        >>> abs(bootstrap(np.mean, sample) - of_mean(Tensor(sample))) < 0.5
        True
    """
    generator = np.random.default_rng(0)
    drawn = [
        figure(*(sample[generator.integers(len(sample), size=len(sample))] for sample in samples))
        for _ in range(repeats)
    ]
    return float(np.std(drawn, ddof=1))


def in_words(value: float, error: float | None) -> str:
    """A figure with its standard error, if that is known.

    Examples:
        >>> in_words(0.02, 0.0014), in_words(0.02, None)
        ('0.02 ± 0.0014', '0.02')
    """
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"
