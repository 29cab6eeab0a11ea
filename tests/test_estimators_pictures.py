"""The five estimators on pictures."""

import numpy as np
import pytest

import aae
from aae import estimators
from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClustering,
    AdversarialEmbedding,
    SupervisedAdversarialAutoencoder,
)

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 1, "batch_size": 32, "random_state": 0}
KINDS = [getattr(estimators, name) for name in estimators.__all__ if name != "load"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8)], ids=str)
def test_pictures_in_and_out(shape, kind, digits, tmp_path):
    X, y = digits.train_images[:120].reshape(-1, *shape), digits.train_labels[:120]
    model = kind(**SMALL).fit(X, y)
    assert model.n_features_in_ == 64
    if kind is not AdversarialClustering:
        assert model.transform(X).shape == (120, model.config_.latent_dim)
    if kind is SupervisedAdversarialAutoencoder:
        made = model.restyle(X, y)
    elif kind is AdversarialEmbedding:
        made = model.inverse_transform(model.transform(X))
    else:
        made = model.sample(120)
    assert (made.dtype, made.shape) == (np.uint8, X.shape)
    again = aae.load(model.save(tmp_path / "run"))
    assert np.array_equal(chosen(again, X), chosen(model, X))
    with pytest.raises(ValueError, match="was trained on"):
        chosen(model, np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(ValueError, match="was trained on pictures uint8"):
        chosen(model, X.reshape(120, -1) / 255)


def chosen(model, X):
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8)], ids=str)
def test_grey_pictures_may_have_their_channel_or_not(shape, digits):
    X = digits.train_images[:60]
    model = AdversarialAutoencoder(2, **SMALL).fit(X.reshape(-1, *shape))
    assert np.array_equal(*(model.transform(X.reshape(-1, *each)) for each in ((8, 8), (1, 8, 8))))
    with pytest.raises(ValueError, match=r"X has pictures of \[4, 16\]"):
        model.transform(X.reshape(-1, 4, 16))
