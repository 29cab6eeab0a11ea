"""The parts of a data set that a run trains on, chooses by and is judged by."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aae.data import Stored
from aae.run import Run
from aae.splits import Splits, data_of


def holds(part, images):
    """Where each of a part's pictures is among others."""
    places = {image.tobytes(): i for i, image in enumerate(images)}
    return [places[image.tobytes()] for image in part.images]


def test_train_and_validation_share_no_picture(tiny, numbered):
    splits = Splits.of(tiny(validation=0.1), numbered)
    train, kept = (holds(p, numbered.train_images) for p in (splits.train, splits.validation))
    assert sorted(train + kept) == list(range(200))
    assert len(kept) == 20
    assert np.array_equal(splits.train.labels, numbered.train_labels[train])
    assert np.array_equal(splits.validation.labels, numbered.train_labels[kept])
    assert np.bincount(splits.validation.labels).tolist() == [5] * 4


def test_the_test_set_is_left_alone(tiny, numbered):
    splits = Splits.of(tiny(labels=8), numbered)
    assert np.array_equal(splits.test.images, numbered.test_images)
    assert np.array_equal(splits.test.labels, numbered.test_labels)


def test_labels_beyond_those_asked_for_are_hidden(tiny, numbered):
    splits = Splits.of(tiny(labels=8, validation=0.1), numbered)
    shown = splits.train.labels >= 0
    assert shown.sum() == 8
    assert np.bincount(splits.train.labels[shown]).tolist() == [2] * 4
    truth = numbered.train_labels[holds(splits.train, numbered.train_images)]
    assert np.array_equal(splits.train.labels[shown], truth[shown])
    assert (splits.train.labels[~shown] == -1).all()
    assert (splits.validation.labels >= 0).all()


def test_the_seed_decides_the_splits(tiny, numbered, same_state):
    def split(seed):
        splits = Splits.of(tiny(labels=8, seed=seed), numbered)
        return [splits.train.images, splits.train.labels, splits.validation.images]

    assert same_state(split(1), split(1))
    assert not any(same_state(a, b) for a, b in zip(split(1), split(2), strict=True))


def test_a_seed_of_the_split_leaves_the_rest_to_the_other(tiny, numbered, same_state, tmp_path):
    def drawn(name, **seeds):
        config = tiny(labels=8, **seeds)
        splits = Splits.of(config, numbered)
        weights = Run.create(tmp_path / name, config, numbered).new_model().state_dict()
        return weights, [splits.train.images, splits.train.labels, splits.validation.images]

    first, split = drawn("first", seed=1)
    second, same = drawn("second", seed=2, split_seed=1)
    third, other = drawn("third", seed=1, split_seed=2)
    assert same_state(split, same)
    assert not same_state(first, second)
    assert same_state(first, third)
    assert not same_state(split, other)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.999])
def test_a_part_without_pictures_is_refused(tiny, numbered, share):
    with pytest.raises(ValueError, match=f"--validation {share} of 200 examples keeps"):
        Splits.of(tiny(validation=share), numbered)


def test_a_share_that_works_is_named(tiny, numbered):
    few = replace(
        numbered, train_images=numbered.train_images[:17], train_labels=numbered.train_labels[:17]
    )
    words = "--validation 0.08333 of 17 examples keeps 1: .*; take --validation 0.12 or more"
    with pytest.raises(ValueError, match=words):
        Splits.of(tiny(validation=1 / 12), few)
    assert len(Splits.of(tiny(validation=0.12), few).validation.labels) == 2


def test_too_many_labels_are_refused(tiny, numbered):
    with pytest.raises(ValueError, match=r"class '[abcd]' has only .*; choose at most"):
        Splits.of(tiny(labels=190), numbered)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"model": "vae", "labels": 0}, True),
        ({"labels": 10}, False),
        ({"model": "labels"}, False),
        ({"model": "supervised"}, False),
        ({"model": "semi"}, False),
    ],
)
def test_data_without_labels_do_for_recipes_without(tiny, numbered, changes, fits):
    data = replace(numbered, classes=(), train_labels=np.full(200, -1), test_labels=np.full(40, -1))
    if fits:
        assert len(Splits.of(tiny(**changes), data).validation.labels) == 17
        return
    with pytest.raises(ValueError, match=r"numbered has none: put those of X.npy beside it as X.l"):
        Splits.of(tiny(**changes), data)


def test_pictures_in_files_are_split_alike_and_not_read(tiny, numbered, monkeypatch):
    config, whole = tiny(labels=8), Splits.of(tiny(labels=8), numbered)
    stored = Stored([numbered.train_images[:70], numbered.train_images[70:]])
    with monkeypatch.context() as patch:
        patch.setattr(Stored, "read", lambda self, out: pytest.fail("read"))
        splits = Splits.of(config, replace(numbered, train_images=stored))
    for name in ("train", "validation"):
        found, expected = getattr(splits, name), getattr(whole, name)
        assert isinstance(found.images, Stored)
        np.testing.assert_array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)


def test_some_of_a_part(part):
    assert np.array_equal(part.some(1000).images, part.images)
    few = part.some(4)
    assert np.array_equal(few.images, part.images[[0, 33, 66, 99]])
    assert np.array_equal(few.labels, part.labels[[0, 33, 66, 99]])


def test_a_config_says_how_its_pictures_are_read(tiny, tmp_path):
    for k in range(9):
        Image.new("RGB", (8, 8), (30 * k, 9, 9)).save(tmp_path / f"{k}.png")
    (tmp_path / "x.png").write_bytes(b"no picture")
    config = tiny(data=str(tmp_path), image_size=(4, 6), channels=1, unreadable="skip")
    data = data_of(config)
    assert (data.shape, data.left_out) == ((1, 4, 6), ("x.png",))
