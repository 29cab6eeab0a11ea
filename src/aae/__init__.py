"""Adversarial autoencoders (Makhzani et al., arXiv:1511.05644) on PyTorch.

The estimators of `aae.estimators` are here too, and `load`, which opens a run folder as one; they
are imported when they are first asked for, so that ``import aae`` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aae.estimators import (
        AdversarialAutoencoder,
        AdversarialClassifier,
        AdversarialClustering,
        AdversarialEmbedding,
        SupervisedAdversarialAutoencoder,
        load,
    )

__version__ = "0.1.0"

__all__ = [
    "AdversarialAutoencoder",
    "AdversarialClassifier",
    "AdversarialClustering",
    "AdversarialEmbedding",
    "SupervisedAdversarialAutoencoder",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'aae' has no attribute {name!r}")
    return getattr(import_module("aae.estimators"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
