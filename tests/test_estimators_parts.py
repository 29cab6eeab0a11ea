"""Labels of any type, and scales."""

import numpy as np
import pytest

from aae import scaling
from aae.estimators import AdversarialAutoencoder
from aae.estimators import labels as labelling
from aae.estimators.base import ERROR_OF_MEAN


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


def test_labels_in_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="1d array"):
        labelling.one_of_each([[1, 2], [3, 4]])


@pytest.mark.parametrize("labels", [["cat", 3], [True, 2], np.array([True, 2], dtype=object)])
def test_labels_of_several_types_are_refused_in_lists_too(labels):
    with pytest.raises(ValueError, match="of several types"):
        labelling.one_of_each(labels)


@pytest.mark.parametrize("scale", ["standard", "range", "none"])
def test_rows_come_back(scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)) * [1e-3, 1, 1e3] + [0, 5, -1e4]
    rows = scaling.Rows.of(x, scale)
    assert np.allclose(rows.back(rows.forward(x)), x, rtol=1e-5, atol=1e-6 * np.abs(x).max())
    again = scaling.from_json(rows.to_json())
    assert np.array_equal(again.forward(x), rows.forward(x))


def test_each_scale_is_what_it_says():
    x = np.array([[1.0, 10], [3, 30]])
    assert scaling.Rows.of(x, "standard").forward(x).tolist() == [[-1, -1], [1, 1]]
    spread = scaling.Rows.of(x, "range").forward(x)
    assert (spread.min(), spread.max()) == (-1, 1)
    assert np.isclose(spread[0, 1] - spread[0, 0], 9 * 2 / 29)
    assert scaling.Rows.of(x, "none").forward(x).tolist() == x.tolist()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_column_is_not_blown_up(value):
    x = np.column_stack([np.full(1000, value), np.arange(1000.0)])
    assert np.abs(scaling.Rows.of(x, "standard").forward(x + 1e-3)[:, 0]).max() < 0.01


def test_values_beyond_single_precision_are_refused():
    x = np.array([[1e300], [0.0]])
    with pytest.raises(ValueError, match="beyond the range of float32"):
        scaling.Rows.of(x, "none").forward(x)


def test_the_mean_of_large_pictures_weighs_alike():
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(20, 3, 32, 32)).astype(np.uint8)
    small = {"hidden": 16, "layers": 1, "n_epochs": 1, "batch_size": 32, "random_state": 0}
    model = AdversarialAutoencoder(2, **small, options={"network": "mlp"}).fit(X)
    x = X / 127.5 - 1
    error_of_mean = np.square(x - x.mean(0)).sum((1, 2, 3)).mean() / 2
    weight = model.config_.reconstruction_weight * model.model_.reconstruction_share
    assert weight * error_of_mean == pytest.approx(ERROR_OF_MEAN, rel=1e-4)


@pytest.mark.parametrize("scale", ["standard", "range"])
def test_numbers_whose_spread_overflows_are_refused(scale):
    with pytest.raises(ValueError, match=r"as large as 1e\+308: take another unit"):
        scaling.Rows.of(np.array([[1e308], [-1e308], [0.0]]), scale)


def test_a_constant_column_comes_back_as_it_was():
    X = np.column_stack([np.arange(40.0), np.full(40, 1e-3)])
    model = AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0).fit(X)
    for back in (model.reconstruct(X), model.sample(50)):
        assert set(back[:, 1]) == {1e-3}
        assert len(set(back[:, 0])) > 1
    moved = np.add(X, [0, 1])
    assert (model.score_samples(moved) < model.score_samples(X)).all()


def test_a_constant_pixel_keeps_the_scale_of_the_others():
    x = np.array([[0.0, 16], [0, 4]])
    assert scaling.Rows.of(x, "range").forward(x).tolist() == [[-1, 1], [-1, -0.5]]


def test_the_only_class_can_be_asked_for():
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0)
    model.fit(X, ["a"] * 20)
    assert np.array_equal(model.sample(4, "a"), model.sample(4))
    with pytest.raises(ValueError, match="b"):
        model.sample(4, "b")


@pytest.mark.filterwarnings("error")
def test_pictures_that_cannot_be_written_to():
    X = np.random.default_rng(0).integers(256, size=(20, 8, 8), dtype=np.uint8)
    X.flags.writeable = False
    AdversarialAutoencoder(hidden=8, layers=1, n_epochs=1, random_state=0).fit(X).score_samples(X)
