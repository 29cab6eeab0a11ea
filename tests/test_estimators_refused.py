"""What estimators refuse, and that they are what they were then."""

import warnings

import numpy as np
import pytest

from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    AdversarialEmbedding,
    SupervisedAdversarialAutoencoder,
)

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 1, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    """Some rows [60, 3], and labels in words."""
    rng = np.random.default_rng(0)
    return rng.normal(5, 2, size=(60, 3)), np.array(["a", "b"])[np.arange(60) % 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 0}, "^batch_size must be at least 2, not 0"),
        ({"batch_size": "64"}, "^batch_size cannot be '64'"),
        ({"batch_size": None}, "^batch_size cannot be None"),
        ({"batch_size": 32.0}, "^batch_size cannot be 32.0"),
        ({"n_epochs": "3"}, "^n_epochs cannot be '3'"),
        ({"n_epochs": None}, "^n_epochs cannot be None"),
        ({"latent_dim": "2"}, "^latent_dim cannot be '2'"),
        ({"options": {"batch_size": 0}}, "^batch_size must be at least 2, not 0"),
        ({"options": {"kl_weight": -1.0}}, r'^options\["kl_weight"\] must be 0 or more'),
        ({"options": 3}, "^options=3 must be a dict"),
        ({"options": {"labels": 3}}, r"^options\['labels'\] is about the data, which fit is given"),
        ({"options": {"validation": 0.5}}, "leave it out; see validation_fraction"),
        ({"options": {"model": "semi"}}, r"^options\['model'\]='semi': the estimator decides"),
        ({"options": [("dropout", 0.1)]}, "^options=.* must be a dict"),
        ({"learning_rate": "fast"}, "^learning_rate cannot be 'fast'"),
        ({"validation_fraction": "x"}, "^validation_fraction='x' must be between 0 and 1"),
        ({"validation_fraction": 1}, "^validation_fraction=1 must be between 0 and 1"),
        ({"n_iter_no_change": "a"}, "^n_iter_no_change='a' must be a whole number of 1 or more"),
        ({"n_iter_no_change": 0}, "^n_iter_no_change=0 must be a whole number of 1 or more"),
        ({"verbose": "a"}, "^verbose='a' must be a whole number"),
        (
            {"early_stopping": True, "options": {"sharpen_from": 0.5}},
            r"^options\['sharpen_from'\] changes the loss that early_stopping compares",
        ),
    ],
)
def test_values_that_cannot_be_are_refused_as_such(parameters, message, rows):
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder(**SMALL | {"latent_dim": 2} | parameters).fit(*rows)


def test_parameters_are_named_as_the_estimator_does(rows):
    for refused, message in (
        (AdversarialClustering(0, **SMALL), "^n_clusters must be at least 1"),
        (AdversarialClustering(4, 4, 2, **SMALL), "^merged_from=4 must be more than n_clusters=4"),
        (AdversarialEmbedding(0, **SMALL), "^n_components must be at least 1"),
        (
            AdversarialAutoencoder(3, options={"prior": "swiss-roll"}, use_labels=False, **SMALL),
            "latent_dim must be 2, not 3",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            refused.fit(rows[0])


def test_numbers_of_numpy_are_parameters(rows):
    for model in (
        AdversarialAutoencoder(np.int64(2), **SMALL),
        AdversarialClassifier(np.int64(2), **SMALL),
        AdversarialClustering(np.int64(2), np.int64(0), np.int64(2), **SMALL),
    ):
        assert type(model.fit(*rows).config_.latent_dim) is int


@pytest.mark.parametrize("label", [-1, 2, 1.5, "a", True, None, np.nan])
def test_a_cluster_that_is_none_is_refused(label, rows):
    model = AdversarialClustering(2, **SMALL).fit(rows[0])
    if label is None:
        assert model.sample(2, label=label).shape == (2, 3)
        return
    with pytest.raises(ValueError, match="is none of the clusters, 0 to 1"):
        model.sample(2, label=label)
    assert model.sample(2, label=np.int64(1)).shape == (2, 3)


@pytest.mark.parametrize("label", ["c", 1.5, 0])
def test_a_class_that_is_none_is_refused(label, rows):
    model = AdversarialAutoencoder(2, **SMALL).fit(*rows)
    with pytest.raises(ValueError, match=r"which is none of \['a', 'b'\]"):
        model.sample(2, label=label)


@pytest.mark.parametrize("label", [-1, "-1", np.nan])
def test_no_label_is_no_class_to_draw(label, rows):
    message = r"means no label: name a class for each, of \['a', 'b'\]"
    model = AdversarialAutoencoder(2, **SMALL).fit(*rows)
    with pytest.raises(ValueError, match=message):
        model.sample(2, label=label)
    with pytest.raises(ValueError, match=message):
        SupervisedAdversarialAutoencoder(2, **SMALL).fit(*rows).generate(["a", label])


def test_a_training_that_diverges_names_no_checkpoint(rows):
    model = AdversarialAutoencoder(2, **SMALL | {"learning_rate": 1e30, "n_epochs": 9})
    with pytest.raises(RuntimeError, match=r"lower learning_rate, or take (?!.*checkpoint)"):
        model.fit(rows[0])


@pytest.mark.parametrize("warm", [True, False])
def test_a_fit_that_fails_leaves_the_columns_known(warm, rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows[0], columns=["x", "y", "z"])
    model = AdversarialClassifier(warm_start=warm, **SMALL).fit(frame, rows[1])
    expected = model.predict(frame)
    fewer = frame[["x", "y"]] if not warm else frame.assign(w=1.0)
    with pytest.raises(ValueError, match=r"had \[3\] before|^hidden must be"):
        model.set_params(hidden=16 if warm else -1).fit(fewer, rows[1])
    assert np.array_equal(model.predict(frame), expected)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["x", "y", "z"]


def test_a_fit_that_fails_leaves_nothing_of_a_frame(rows):
    pandas = pytest.importorskip("pandas")
    model = AdversarialAutoencoder(2, **SMALL).fit(rows[0])
    frame = pandas.DataFrame(rows[0], columns=["x", "y", "z"])
    with pytest.raises(ValueError, match=r"^hidden must be"):
        model.set_params(hidden=-1).fit(frame)
    assert not hasattr(model, "feature_names_in_")
    assert model.transform(rows[0]).shape == (60, 2)


def test_pictures_with_their_channels_last():
    pictures = np.zeros((60, 16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match=r"X: images are .* channels last: give images.transpose"):
        AdversarialAutoencoder(**SMALL).fit(pictures)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (
            np.zeros((9, 8, 8)),
            r"X is float64 \[9, 8, 8\], and pictures are .*rows, X.reshape",
        ),
        (np.zeros((9, 1, 8, 8), np.int64), r"X is int64 \[9, 1, 8, 8\], and pictures are uint8"),
        (np.zeros((9, 8, 8), np.uint8), "all 9 examples looked at are the same"),
        (np.eye(9, dtype=np.uint8)[:, None], "0 or 1, and go to 255: .* multiply them by 255"),
    ],
)
def test_pictures_that_cannot_be_learned(pictures, message):
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder(**SMALL).fit(pictures)


def test_pale_pictures_are_warned_of(digits):
    pictures = digits.train_images[:60]
    with pytest.warns(UserWarning, match=r"between 100 and 115, .*, for example \(X - 100\) \* 17"):
        AdversarialAutoencoder(**SMALL).fit(100 + pictures // 17)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdversarialAutoencoder(**SMALL).fit(pictures)


def test_a_number_to_regress_is_no_class(rows):
    with pytest.raises(ValueError, match=r"Unknown label type.*; use_labels=False leaves y out"):
        AdversarialAutoencoder(2, **SMALL).fit(rows[0], rows[0][:, 0])
