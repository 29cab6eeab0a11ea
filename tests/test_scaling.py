"""Between a user's examples and what a model takes."""

import numpy as np
import pytest

from aae import scaling


@pytest.mark.parametrize("scale", ["standard", "range", "none"])
def test_rows_come_back(scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)) * [1e-3, 1, 1e3] + [0, 5, -1e4]
    rows = scaling.Rows.of(x, scale)
    assert np.allclose(rows.back(rows.forward(x)), x, rtol=1e-5, atol=1e-6 * np.abs(x).max())
    again = scaling.from_json(rows.to_json())
    assert np.array_equal(again.forward(x), rows.forward(x))
    assert again.scale == scale


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


@pytest.mark.parametrize("scale", ["standard", "range"])
def test_numbers_whose_spread_overflows_are_refused(scale):
    with pytest.raises(ValueError, match=r"as large as 1e\+308: take another unit"):
        scaling.Rows.of(np.array([[1e308], [-1e308], [0.0]]), scale)


def test_a_constant_pixel_keeps_the_scale_of_the_others():
    x = np.array([[0.0, 16], [0, 4]])
    assert scaling.Rows.of(x, "range").forward(x).tolist() == [[-1, 1], [-1, -0.5]]


def test_pictures_come_back_in_the_nearest_shade():
    x = np.array([[[[0.4, 0.6], [254.4, 254.6]]]]) / 255
    assert scaling.Pictures((2, 2)).back(x).tolist() == [[[0, 1], [254, 255]]]
