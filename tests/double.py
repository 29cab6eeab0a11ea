"""Arithmetic in float64, for tests that compare two ways to one result.

In float32 the power iteration of virtual adversarial training makes differences of 1e-3 out of
rounding, which no bound tells from mistakes on every processor.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch


@contextmanager
def in_double() -> Iterator[None]:
    """Has new tensors, and those that are cast to float, in float64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)
