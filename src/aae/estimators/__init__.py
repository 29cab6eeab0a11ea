"""Adversarial autoencoders as scikit-learn estimators.

`save` and `load` keep them in run folders like those of ``aae train``. Citations: [AAE] Makhzani
et al., Adversarial Autoencoders, arXiv:1511.05644.
"""

from aae.estimators.autoencoder import AdversarialAutoencoder
from aae.estimators.classifier import AdversarialClassifier
from aae.estimators.clustering import AdversarialClustering
from aae.estimators.embedding import AdversarialEmbedding
from aae.estimators.folder import load
from aae.estimators.supervised import SupervisedAdversarialAutoencoder

__all__ = [
    "AdversarialAutoencoder",
    "AdversarialClassifier",
    "AdversarialClustering",
    "AdversarialEmbedding",
    "SupervisedAdversarialAutoencoder",
    "load",
]
