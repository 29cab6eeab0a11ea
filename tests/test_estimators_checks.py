"""scikit-learn's own test-suite, every check, on all five estimators."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    AdversarialEmbedding,
    SupervisedAdversarialAutoencoder,
)

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 8, "batch_size": 32, "learning_rate": 0.02}

ESTIMATORS = [
    AdversarialAutoencoder(2, **SMALL),
    AdversarialAutoencoder(2, use_labels=False, **SMALL),
    SupervisedAdversarialAutoencoder(2, **SMALL),
    AdversarialClassifier(2, no_label=None, **SMALL),
    AdversarialClustering(**SMALL),
    AdversarialEmbedding(**SMALL),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
