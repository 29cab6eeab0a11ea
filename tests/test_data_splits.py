"""Validation splits and the choice of labels."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aae.data import advised_share, choose_labels, split_validation
from aae.data.splits import split_test

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(3), [50, 30, 20]))


def test_split_keeps_the_share_of_each_class():
    train, validation = split_validation(LABELS, 0.1, seed=0)
    assert np.bincount(LABELS[validation]).tolist() == [5, 3, 2]
    assert np.bincount(LABELS[train]).tolist() == [45, 27, 18]


def test_split_is_a_sorted_partition():
    train, validation = split_validation(LABELS, 0.25, seed=3)
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert sorted([*train, *validation]) == list(range(100))


def test_split_rounds_up_where_most_is_left_over():
    labels = np.repeat([0, 1, 2], [10, 4, 6])  # whose parts are 1, 0.4 and 0.6
    _, validation = split_validation(labels, 0.1, seed=0)
    assert np.bincount(labels[validation], minlength=3).tolist() == [1, 0, 1]


@given(
    st.lists(st.integers(-1, 4), max_size=60),
    st.floats(0, 0.99, allow_subnormal=False),
    st.integers(0, 99),
)
@example([0, 0, 0, 1, 2], 1 / 3, 0)  # class 0 gives one more than its part, as 1 and 2 have one
def test_split_rounds_each_class_to_a_neighbour(labels, share, seed):
    labels = np.array(labels, dtype=np.int64)
    train, validation = split_validation(labels, share, seed)
    assert len(validation) == round(share * len(labels))
    assert len(train) + len(validation) == len(labels)
    values, counts = np.unique(labels, return_counts=True)
    kept = np.array([(labels[validation] == value).sum() for value in values])
    # Or it gives one more, where another class that could not keeps its last picture instead.
    spared = ((values >= 0) & (kept == counts - 1) & (kept < share * counts)).any()
    for own, part in zip(kept, share * counts, strict=True):
        assert abs(own - part) < 1 or (spared and own == pytest.approx(part + 1))


@given(st.integers(4, 3_000), st.booleans())
def test_an_advised_share_works(count, more):
    words = advised_share(count, 1 if more else count - 1)
    share = float(words.split()[2])
    train, validation = split_validation(np.zeros(count, np.int64), share, seed=0)
    assert len(validation) >= 2
    assert len(train) >= 2
    assert words.endswith("more" if more else "less")


@pytest.mark.parametrize("seed", range(5))
def test_split_leaves_each_class_an_example(seed):
    labels = np.array([*range(10), *[-1] * 100])
    train, validation = split_validation(labels, 0.1, seed)
    assert len(validation) == 11
    assert {*labels[train]} == {-1, *range(10)}
    # Where all have but one, some have to give it.
    assert len(split_validation(np.arange(10), 0.3, seed)[1]) == 3


def test_split_depends_on_the_seed_alone():
    first, again, other = (split_validation(LABELS, 0.2, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_split_of_nothing():
    train, validation = split_validation(LABELS, 0, seed=0)
    assert len(train) == 100
    assert len(validation) == 0


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_split_refuses_other_shares(share):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        split_validation(LABELS, share, seed=0)


@pytest.mark.parametrize("count", [3, 10, 11, 30, 59, 60, 62])
def test_chosen_labels_are_true_and_balanced(count):
    chosen = choose_labels(LABELS, count, seed=0, n_classes=3)
    shown = chosen >= 0
    assert shown.sum() == count
    assert (chosen[~shown] == -1).all()
    np.testing.assert_array_equal(chosen[shown], LABELS[shown])
    assert np.ptp(np.bincount(chosen[shown], minlength=3)) <= 1


def test_all_and_no_labels():
    everything = choose_labels(LABELS, "all", seed=0, n_classes=3)
    np.testing.assert_array_equal(everything, LABELS)
    assert everything is not LABELS
    assert (choose_labels(LABELS, 0, seed=0, n_classes=3) == -1).all()


def test_choice_depends_on_the_seed_alone():
    first, again, other = (choose_labels(LABELS, 9, seed, n_classes=3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_run_that_goes_on_finds_the_split_and_the_labels_it_began_with():
    labels = np.repeat([0, 1, 2], 10)
    shown = choose_labels(labels, 7, seed=0, n_classes=3)
    assert np.flatnonzero(shown >= 0).tolist() == [0, 7, 13, 18, 20, 21, 26]
    assert split_validation(labels, 0.2, seed=0)[1].tolist() == [4, 6, 12, 19, 24, 25]


def test_which_class_gets_the_odd_label_depends_on_the_seed():
    odd = {
        np.bincount(chosen[chosen >= 0]).argmax()
        for chosen in (choose_labels(LABELS, 4, seed, n_classes=3) for seed in range(20))
    }
    assert odd == {0, 1, 2}


@given(st.integers(3, 62), st.integers(3, 62), st.integers(0, 9))
def test_fewer_labels_are_among_more(one, other, seed):
    few, many = sorted([one, other])
    shown = [choose_labels(LABELS, count, seed, n_classes=3) >= 0 for count in (few, many)]
    assert (shown[0] <= shown[1]).all()


def test_hidden_labels_stay_hidden():
    hidden = np.where(np.arange(100) < 50, -1, LABELS)
    assert (choose_labels(hidden, 12, seed=0, n_classes=3)[:50] == -1).all()
    assert (choose_labels(hidden, "all", seed=0, n_classes=3)[:50] == -1).all()


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (
            63,
            "--labels 63, balanced over 3 classes, of 100: class 2 has only 20; choose at most 62",
        ),
        (101, "choose at most 62, or all"),
        (2, r"--labels 2 for 3 classes; choose 0, or at least 3"),
        (-1, "--labels -1 for 3 classes"),
    ],
)
def test_impossible_counts_are_refused(count, message):
    with pytest.raises(ValueError, match=message):
        choose_labels(LABELS, count, seed=0, n_classes=3)


def test_the_class_with_too_few_has_its_name():
    with pytest.raises(ValueError, match="class 'owl' has only 20; choose at most 62"):
        choose_labels(LABELS, 63, seed=0, n_classes=3, names=("cat", "dog", "owl"))


def test_class_without_labels_is_named():
    with pytest.raises(ValueError, match="class 3 has only 0"):
        choose_labels(LABELS, 8, seed=0, n_classes=4)


def test_labels_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"from 0 to 2; they must lie in -1..1"):
        choose_labels(LABELS, "all", seed=0, n_classes=2)


def test_without_classes_no_label_can_be_hidden():
    assert choose_labels(np.full(5, -1), 0, seed=0, n_classes=0).tolist() == [-1] * 5


def test_nothing_has_no_test_set():
    with pytest.raises(ValueError, match="mine holds 0 examples: too few for a test set"):
        split_test(np.zeros(0, np.int64), "mine")
