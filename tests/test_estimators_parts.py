"""Labels of any type, and what estimators do with examples."""

import numpy as np
import pytest
import torch

from aae import inference
from aae.build import ERROR_OF_MEAN
from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    SupervisedAdversarialAutoencoder,
)
from aae.estimators import labels as labelling


@pytest.mark.parametrize(
    ("y", "no_label", "expected"),
    [
        (np.array([0, 1, -1]), -1, [1, 1, 0]),
        (np.array([0, 1, -1]), None, [1, 1, 1]),
        (np.array([0, 1, 9]), 9, [1, 1, 0]),
        (np.array([0.0, -1.0, np.nan]), -1, [1, 0, 0]),
        (np.array(["a", -1, "b"]), -1, [1, 0, 1]),
        (np.array(["a", -1, "b"], dtype=object), -1, [1, 0, 1]),
        (np.array(["a", None, np.nan], dtype=object), None, [1, 0, 0]),
        (np.array(["a", "-1"]), None, [1, 1]),
        (np.array(["a", np.nan]), -1, [1, 0]),
        (np.array(["a", np.nan]), np.nan, [1, 0]),
        (np.array(["a", "nan"], dtype=object), -1, [1, 1]),
        (np.array(["a", "None"]), None, [1, 0]),
        (np.array([0, np.nan]), None, [1, 0]),
        (np.array(["", "a"]), "", [0, 1]),
        (np.array([True, False]), -1, [1, 1]),
    ],
)
def test_what_is_no_label(y, no_label, expected):
    assert labelling.known(y, no_label).tolist() == [bool(k) for k in expected]


def test_missing_values_of_pandas_are_no_labels():
    pandas = pytest.importorskip("pandas")
    y = np.asarray(pandas.Series(["a", None, "b"], dtype="string"), dtype=object)
    assert labelling.known(y).tolist() == [True, False, True]


def test_what_is_masked_is_no_label():
    y = np.ma.array([3, 1, 3, 1], mask=[False, True, False, False])
    assert labelling.one_of_each(y).tolist() == [1, 3]
    assert labelling.numbers(y, np.array([1, 3])).tolist() == [1, -1, 1, 0]


def test_numbers_of_labels():
    y = ["cat", -1, "ant", "cat"]
    classes = labelling.one_of_each(np.array(y, dtype=object))
    assert classes.tolist() == ["ant", "cat"]
    assert labelling.numbers(np.array(y, dtype=object), classes).tolist() == [1, -1, 0, 1]
    assert labelling.numbers(np.array(y), classes).tolist() == [1, -1, 0, 1]


def test_labels_of_several_types_are_refused():
    with pytest.raises(ValueError, match=r"several types \(int, str\)"):
        labelling.one_of_each(np.array(["cat", 3], dtype=object))


@pytest.mark.parametrize(
    ("y", "no_label", "classes", "expected"),
    [
        (["cat", float("nan"), "dog"], -1, ["cat", "dog"], [0, -1, 1]),
        (("cat", None, "dog"), -1, ["cat", "dog"], [0, -1, 1]),
        ([None, 0, 1], -1, [0, 1], [-1, 0, 1]),
        (np.array([1, None, 0], dtype=object), -1, [0, 1], [1, -1, 0]),
        ([True, False, None], -1, [False, True], [1, 0, -1]),
        ([True, False, -1], -1, [False, True], [1, 0, -1]),
        ([1, None, 2.0], -1, [1.0, 2.0], [0, -1, 1]),
        (np.array(["cat", -1.0]), -1, ["cat"], [0, -1]),
        (np.array(["cat", -1]), -1.0, ["cat"], [0, -1]),
        (np.array([b"cat", b"-1"]), -1, ["cat"], [0, -1]),
        (["None", "a", None], None, ["None", "a"], [0, 1, -1]),
        (["nan", "a", None], float("nan"), ["a", "nan"], [1, 0, -1]),
    ],
)
def test_labels_are_what_was_given(y, no_label, classes, expected):
    found = labelling.one_of_each(y, no_label)
    assert found.tolist() == classes
    assert found.dtype.kind == np.array(classes).dtype.kind
    assert labelling.numbers(y, found, no_label).tolist() == expected


def test_labels_of_pandas_that_are_missing_in_part():
    pandas = pytest.importorskip("pandas")
    classes = labelling.one_of_each(pandas.Series([True, None, False]))
    assert (classes.tolist(), classes.dtype) == ([False, True], bool)
    assert labelling.one_of_each(["a", pandas.NA], pandas.NA).tolist() == ["a"]
    for kind, values in (("boolean", [True, False]), ("Int64", [1, 2]), ("string", ["a", "b"])):
        y = pandas.Series([*values, None], dtype=kind)
        classes = labelling.one_of_each(y)
        assert classes.tolist() == sorted(values)
        assert classes.dtype == np.array(values).dtype
        assert labelling.numbers(y, classes)[2] == -1


def test_labels_in_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="1d array"):
        labelling.one_of_each([[1, 2], [3, 4]])


@pytest.mark.parametrize("labels", [["cat", 3], [True, 2], np.array([True, 2], dtype=object)])
def test_labels_of_several_types_are_refused_in_lists_too(labels):
    with pytest.raises(ValueError, match="of several types"):
        labelling.one_of_each(labels)


def test_the_mean_of_large_pictures_weighs_alike():
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(20, 3, 32, 32)).astype(np.uint8)
    small = {"hidden": 16, "layers": 1, "n_epochs": 1, "batch_size": 32, "random_state": 0}
    model = AdversarialAutoencoder(2, **small, options={"network": "mlp"}).fit(X)
    x = X / 127.5 - 1
    error_of_mean = np.square(x - x.mean(0)).sum((1, 2, 3)).mean() / 2
    weight = model.config_.reconstruction_weight * model.model_.reconstruction_share
    assert weight * error_of_mean == pytest.approx(ERROR_OF_MEAN, rel=1e-4)


@pytest.mark.parametrize(
    "kind", [SupervisedAdversarialAutoencoder, AdversarialClassifier, AdversarialClustering]
)
def test_the_mean_weighs_alike_in_other_estimators(kind):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = kind(hidden=8, layers=1, n_epochs=1, random_state=0).fit(X, np.arange(40) % 2)
    x = torch.from_numpy(model._scaling.forward(X))
    error_of_mean = float(model.model_.reconstruction_loss(x.mean(0).expand_as(x), x))
    weight = model.config_.reconstruction_weight * model.model_.reconstruction_share
    assert weight * error_of_mean == pytest.approx(ERROR_OF_MEAN, rel=1e-4)


def test_the_losses_of_a_vae_are_one_likelihood():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AdversarialAutoencoder(2, hidden=8, layers=1, n_epochs=1, random_state=0)
    assert model.fit(X).config_.reconstruction_weight != 1
    model.set_params(options={"model": "vae"}).fit(X)
    assert model.config_.reconstruction_weight == model.model_.reconstruction_share == 1


def test_a_constant_column_comes_back_as_it_was():
    X = np.column_stack([np.arange(40.0), np.full(40, 1e-3)])
    model = AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0).fit(X)
    for back in (model.reconstruct(X), model.sample(50)):
        assert set(back[:, 1]) == {1e-3}
        assert len(set(back[:, 0])) > 1
    moved = np.add(X, [0, 1])
    assert (model.score_samples(moved) < model.score_samples(X)).all()


def test_the_only_class_can_be_asked_for():
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0)
    model.fit(X, ["a"] * 20)
    assert np.array_equal(model.sample(4, "a"), model.sample(4))
    with pytest.raises(ValueError, match="b"):
        model.sample(4, "b")


def test_samples_are_of_the_cluster_that_is_asked_for():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = AdversarialClustering(3, hidden=8, layers=1, n_epochs=1, random_state=0).fit(X)
    for k in range(3):
        generator = torch.Generator().manual_seed(model.config_.seed)
        drawn = inference.sample(model.model_, torch.full((5,), k), 5, generator)
        assert np.array_equal(model.sample(5, label=k), model._scaling.back(drawn.numpy()))


def test_a_classifier_draws_examples_of_a_class():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 60)
    X = rng.normal(size=(120, 4)) + np.where(y == "a", -3, 3)[:, None]
    settings = {"hidden": 32, "n_epochs": 60, "learning_rate": 5e-3, "batch_size": 20}
    model = AdversarialClassifier(2, no_label="", random_state=0, **settings)
    model.fit(X, np.where(np.arange(120) % 6 == 0, y, ""))
    assert model.sample(200, "b").mean() - model.sample(200, "a").mean() > 1
    assert np.array_equal(model.sample(4), model.sample(4))
    for label in ("c", ""):
        with pytest.raises(ValueError, match="label"):
            model.sample(1, label)


@pytest.mark.filterwarnings("error")
def test_pictures_that_cannot_be_written_to():
    X = np.random.default_rng(0).integers(256, size=(20, 8, 8), dtype=np.uint8)
    X.flags.writeable = False
    AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0).fit(X).score_samples(X)


@pytest.mark.parametrize("missing", [None, float("nan"), -1, "-1"])
def test_what_is_right_by_hand(missing):
    y = ["a", missing, "b", "a"]
    predicted = np.array(["a", "a", "a", "a"])
    assert labelling.right(y, predicted).tolist() == [True, False, False, True]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        labelling.right(y, predicted[:3])
