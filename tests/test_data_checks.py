"""Data that nothing can be learned from: refused before a training, saying where and what to do."""

import numpy as np
import pytest

from aae.data import Dataset, Stored, refuse_untrainable
from aae.data.tables import from_table
from aae.fit import fit

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(256, size=(60, 1, 8, 8), dtype=np.uint8)
LABELS = np.arange(60) % 3


def dataset(images=PICTURES, labels=LABELS, classes=("cat", "dog", "owl")):
    return Dataset("mine", classes, images, labels, images[:9], labels[:9])


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full_like(PICTURES, 7), "all 60 examples looked at are the same as row 0: there is no"),
        (
            PICTURES % 2,
            "the pixels of all 60 pictures looked at are 0 or 1, and go to 255",
        ),
    ],
)
def test_pictures_without_anything_to_learn(tiny, tmp_path, images, message, stored):
    given = dataset(Stored([images]) if stored else images)
    with pytest.raises(ValueError, match=f"mine: {message}"):
        fit(tiny(), tmp_path / "run", dataset=given)
    assert not (tmp_path / "run").exists()


def test_rows_that_are_all_alike():
    with pytest.raises(ValueError, match="the same as row 0"):
        refuse_untrainable("mine", np.full((5, 3), 0.5, np.float32), None, ())
    refuse_untrainable("mine", np.eye(3, dtype=np.float32), None, ())


@pytest.mark.parametrize("labels", ["all", 9])
def test_a_class_without_labels_is_named(tiny, tmp_path, labels):
    given = dataset(labels=np.where(LABELS == 1, -1, LABELS))
    with pytest.raises(ValueError, match=r"no training example has the label 1 \(dog\): give some"):
        fit(tiny(model="semi", labels=labels), tmp_path / "run", dataset=given)
    refuse_untrainable("mine", given.train_images, None, given.classes)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pictures_are_refused(tiny, tmp_path, count):
    with pytest.raises(ValueError, match=r"keeps|the same as row 0"):
        fit(tiny(labels=0), tmp_path / "run", dataset=dataset(PICTURES[:count], LABELS[:count]))


def test_a_label_out_of_range_is_found():
    labels = LABELS.copy()
    labels[[17, 30]] = 3
    with pytest.raises(ValueError, match=r"labels go from 0 to 3, .* in row 17; .* 0\.\.2"):
        dataset(labels=labels)


def test_fractions_are_told_what_to_become(tmp_path):
    np.save(tmp_path / "x.npy", RNG.random((9, 8, 8)))
    from aae.data import load

    with pytest.raises(ValueError, match=r"float64 .* expected uint8 .*, 0 to 255: scale "):
        load(str(tmp_path / "x.npy"))


def test_columns_of_another_width_are_refused():
    rows, labels = np.zeros((4, 3), np.float32), np.full(4, -1)
    columns = from_table({"a": np.arange(20.0)}, "table").columns
    with pytest.raises(ValueError, match="mine: an example has shape"):
        Dataset("mine", (), rows, labels, rows, labels, columns=columns)
