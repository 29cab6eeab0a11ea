"""Pictures in files: indexed without reading, read as an array in memory would be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aae.data import Stored, at_hand, spread, stored

SIZES = (5, 1, 7)
WHOLE = np.arange(13, dtype=np.uint8).repeat(6).reshape(13, 1, 2, 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    ends = np.cumsum(SIZES)
    for k, (size, end) in enumerate(zip(SIZES, ends, strict=True)):
        np.save(folder / f"{k}.npy", WHOLE[end - size : end])
    return [np.load(folder / f"{k}.npy", mmap_mode="r") for k in range(len(SIZES))]


slices = st.builds(slice, st.integers(0, 14), st.integers(0, 14), st.integers(1, 4))
numbers = st.lists(st.integers(0, 12), max_size=20).map(lambda some: np.array(some, dtype=np.int64))
masks = st.lists(st.booleans(), min_size=13, max_size=13).map(np.array)


@settings(deadline=None)  # a busy disk is no failure
@given(first=st.one_of(slices, numbers, masks), second=slices)
def test_views_are_those_of_an_array(files, first, second):
    view, expected = Stored(files)[first][second], WHOLE[first][second]
    found = np.asarray(view)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert (len(view), view.shape, view.ndim) == (len(expected), expected.shape, 4)
    assert (view.size, view.nbytes, view.dtype) == (expected.size, expected.nbytes, np.uint8)


def test_what_was_read_is_ones_own(files):
    pictures = Stored(files)
    np.asarray(pictures)[:] = 0
    np.testing.assert_array_equal(np.asarray(pictures), WHOLE)


def test_indexing_reads_nothing(files, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("read")

    monkeypatch.setattr(np, "take", refuse)
    view = Stored(files)[np.arange(3)][:2]
    with pytest.raises(AssertionError):
        np.asarray(view)


def test_few_pictures_are_read_and_many_are_not(files, monkeypatch):
    pictures = Stored(files)
    assert isinstance(at_hand(pictures), np.ndarray)
    monkeypatch.setattr(stored, "RESIDENT", WHOLE.nbytes - 1)
    assert at_hand(pictures) is pictures
    assert isinstance(at_hand(pictures[:12]), np.ndarray)


@pytest.mark.parametrize(("count", "most"), [(10, 10), (10, 3), (100, 99), (5, 1), (3, 9)])
def test_pictures_spread_evenly(count, most):
    chosen = np.arange(count)[spread(count, most)]
    assert len(chosen) == min(count, most)
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert len(chosen) < 2 or (chosen[0], chosen[-1]) == (0, count - 1)
