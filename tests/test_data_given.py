"""Whatever a user has in Python, or in files of arrays, becomes a data set or a clear error."""

import numpy as np
import pandas
import polars
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix
from torch.utils.data import StackDataset, TensorDataset

from aae.data import TableReading, dataset_of, load

RNG = np.random.default_rng(0)
ROWS = RNG.normal(5, 2, (70, 3))
LABELS = np.arange(70) % 2
PICTURES = RNG.integers(0, 256, (70, 8, 8), dtype=np.uint8)


def same(a, b):
    return (
        a.classes == b.classes
        and np.array_equal(a.train_images, b.train_images)
        and np.array_equal(a.train_labels, b.train_labels)
        and np.array_equal(a.test_images, b.test_images)
        and np.array_equal(a.test_labels, b.test_labels)
    )


class Items:
    """A map-style data set of someone's own."""

    def __init__(self, examples, labels=None):
        self.examples, self.labels = examples, labels

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, k):
        if not 0 <= k < len(self):
            raise IndexError(k)
        return self.examples[k] if self.labels is None else (self.examples[k], self.labels[k])


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (ROWS, LABELS),
        (torch.tensor(ROWS), torch.tensor(LABELS)),
        (TensorDataset(torch.tensor(ROWS), torch.tensor(LABELS)), None),
        (StackDataset(torch.tensor(ROWS), torch.tensor(LABELS)), None),
        (Items(ROWS, LABELS.tolist()), None),
        (Items(ROWS), LABELS),
        (ROWS.tolist(), LABELS.tolist()),
        (pandas.DataFrame(ROWS), LABELS),
        ({str(k): ROWS[:, k] for k in range(3)}, LABELS),
    ],
)
def test_rows_are_rows_whatever_they_come_in(data, labels):
    dataset = dataset_of(data, labels)
    assert same(dataset, dataset_of(ROWS, LABELS))
    assert dataset.classes == ("0", "1")
    assert (len(dataset.test_labels), dataset.shape) == (10, (3,))
    assert np.allclose(dataset.train_images.mean(0), 0, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        PICTURES,
        PICTURES[:, None],
        torch.tensor(PICTURES),
        torch.tensor(PICTURES)[:, None] / 255,
        Items([Image.fromarray(p) for p in PICTURES]),
        Items([torch.tensor(p)[None] / 255 for p in PICTURES]),
    ],
)
def test_pictures_are_pictures_whatever_they_come_in(data):
    dataset = dataset_of(data, LABELS, name="mine")
    assert same(dataset, dataset_of(PICTURES, LABELS))
    assert (dataset.shape, dataset.name) == ((1, 8, 8), "mine")
    assert {*map(bytes, dataset.train_images)} < {*map(bytes, PICTURES)}


def test_colour_has_its_channels_first():
    pixels = RNG.integers(0, 256, (9, 4, 6, 3), dtype=np.uint8)
    dataset = dataset_of(Items([Image.fromarray(p) for p in pixels]), np.arange(9) % 2)
    assert dataset.shape == (3, 4, 6)
    assert {*map(bytes, dataset.train_images)} < {*map(bytes, pixels.transpose(0, 3, 1, 2))}


COLOURFUL = Image.new("RGB", (8, 8), (200, 30, 40))
GREY = Image.new("L", (8, 8), 90)
CLEAR = Image.new("RGBA", (8, 8), (0, 0, 0, 0))


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.fromarray(np.full((8, 8), 40_000, np.uint16)), [40_000 >> 8]),
        (Image.new("1", (8, 8), 1), [255]),
        (Image.new("LA", (8, 8), (90, 255)), [90]),
        (GREY.convert("P"), [90]),
        (CLEAR, [255, 255, 255]),
        (COLOURFUL.convert("P"), [200, 30, 40]),
    ],
)
def test_pillows_pictures_are_read_as_those_in_files(tmp_path, image, colour):
    image.save(tmp_path / "0.png")
    images = np.asarray(dataset_of(Items([image] * 9)).train_images)
    assert images[:, :, 4, 4].tolist() == [pytest.approx(colour, abs=25)] * 8
    for k in range(8):
        image.save(tmp_path / f"{k + 1}.png")
    np.testing.assert_array_equal(load(str(tmp_path)).train_images, images)


def test_pillows_pictures_are_colour_if_any_is():
    assert dataset_of(Items([GREY, COLOURFUL] * 9)).shape == (3, 8, 8)


@pytest.mark.parametrize(("kind", "words"), [(np.float32, "no bytes"), (np.int32, "32 bits")])
def test_pillows_pictures_of_other_numbers_are_refused(kind, words):
    images = [GREY] * 9 + [Image.fromarray(np.ones((8, 8), kind))]
    with pytest.raises(
        ValueError, match=f"picture 9, of Pillow's mode [FI]: .*{words}.*; give pic"
    ):
        dataset_of(Items(images))


def test_a_test_set_of_ones_own_is_kept_whole():
    dataset = dataset_of(ROWS, LABELS, test=ROWS[:5] + 1, test_labels=LABELS[:5])
    assert (len(dataset.train_labels), dataset.test_labels.tolist()) == (70, [0, 1, 0, 1, 0])
    back = dataset.columns.decode(dataset.test_images)
    assert np.allclose(np.stack([*back.values()], 1), ROWS[:5] + 1, atol=1e-5)
    frame = polars.DataFrame({"x": ROWS[:, 0], "y": ["a", "b"] * 35})
    dataset = dataset_of(frame, test=frame[1:4], reading=TableReading("y"))
    assert (dataset.classes, dataset.test_labels.tolist()) == (("a", "b"), [1, 0, 1])


def test_a_data_set_is_taken_as_it_is(digits):
    assert dataset_of(digits) is digits


class ImageFolderLike(Items):
    classes = ("cat", "dog")


def test_names_of_classes_are_taken_over():
    assert dataset_of(ImageFolderLike(PICTURES, LABELS)).classes == ("cat", "dog")
    with pytest.raises(ValueError, match="label"):
        dataset_of(ImageFolderLike(PICTURES, LABELS + 1))


def test_classes_keep_their_names_if_some_labels_are_left_out():
    some = np.where(np.arange(70) < 40, LABELS, -1)
    dataset = dataset_of(ImageFolderLike(PICTURES, LABELS.tolist()), torch.tensor(some))
    assert dataset.classes == ("cat", "dog")
    assert {*dataset.train_labels} == {-1, 0, 1}


@pytest.mark.parametrize("own", [LABELS.tolist(), [["of"] * k for k in range(70)], None])
@pytest.mark.parametrize("others", [np.arange(70) % 3, 1 - LABELS])
def test_other_labels_do_not_get_the_names_of_classes(own, others):
    dataset = dataset_of(ImageFolderLike(PICTURES, own), others)
    assert dataset.classes == tuple(str(k) for k in range(1 + others.max()))


def test_labels_that_stand_in_for_others_need_those_of_the_test_set():
    both = ImageFolderLike(PICTURES, LABELS), ImageFolderLike(PICTURES[:4], LABELS[:4])
    hub = [Hub({"x": ROWS[:n, 0], "y": LABELS[:n].tolist()}, {"x": None, "y": ClassLabel()})
           for n in (70, 4)]  # fmt: skip
    for train, test in (both, hub):
        with pytest.raises(ValueError, match="labels of the old kind: give test_labels, too"):
            dataset_of(train, 1 - LABELS, test=test)
        made = dataset_of(train, 1 - LABELS, test=test, test_labels=[1, 0, -1, 0])
        assert made.test_labels.tolist() == [1, 0, -1, 0]
        some = np.where(np.arange(70) < 40, LABELS, -1)  # the data's own, some left out
        assert dataset_of(train, some, test=test).test_labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="give test_labels, too"):
        dataset_of(dict(zip(("train", "test"), hub, strict=True)), 1 - LABELS)


def test_a_test_set_may_name_its_classes_in_another_order():
    def of(*classes):
        items = ImageFolderLike(PICTURES[:4], [0, 1, 1, 0])
        items.classes = classes
        return items

    train = ImageFolderLike(PICTURES, LABELS)
    made = dataset_of(train, test=of("dog", "cat"))
    assert (made.classes, made.test_labels.tolist()) == (("cat", "dog"), [1, 0, 0, 1])
    lone = of("dog")
    lone.labels = [0, 0, 0, 0]  # as where a folder of the test set is missing
    assert dataset_of(train, test=lone).test_labels.tolist() == [1, 1, 1, 1]
    assert dataset_of(train, test=of("dog", "cat", "cow")).test_labels.tolist() == [1, 0, 0, 1]
    with pytest.raises(ValueError, match=r"test set has the class 'cow', and the .* cat, dog"):
        dataset_of(train, test=of("cat", "cow"))
    with pytest.raises(ValueError, match="test set has the class '1', and the training set"):
        dataset_of(train, test=of("dog"))
    names = [ClassLabel(("no", "yes")), ClassLabel(("yes", "no"))]
    first, second = (Hub({"x": ROWS[:, 0], "y": LABELS.tolist()}, {"x": None, "y": y})
                     for y in names)  # fmt: skip
    assert dataset_of(first, test=second).test_labels.tolist() == (1 - LABELS).tolist()


def test_what_is_masked_is_missing():
    rows = np.ma.array(ROWS, mask=np.arange(210).reshape(70, 3) == 4)
    with pytest.raises(ValueError, match="'1' has 1 missing of 70 values, the first in row 1"):
        dataset_of(rows)
    plain = np.where(rows.mask, np.nan, ROWS)
    imputed = TableReading(missing="impute")
    assert same(dataset_of(rows, reading=imputed), dataset_of(plain, reading=imputed))


def test_labels_that_are_masked_are_none():
    hidden = np.arange(70) % 4 == 1
    masked = np.ma.array(LABELS, mask=hidden)
    assert same(dataset_of(ROWS, masked), dataset_of(ROWS, np.where(hidden, -1, LABELS)))


def test_items_of_one_part_are_examples():
    assert same(dataset_of(TensorDataset(torch.tensor(ROWS))), dataset_of(ROWS))
    pictures = torch.tensor(PICTURES)
    assert same(dataset_of(TensorDataset(pictures)), dataset_of(PICTURES))


def test_items_may_be_lists():
    assert same(dataset_of((PICTURES / 255).tolist()), dataset_of(PICTURES / 255))
    colours = [[each, each, each] for each in PICTURES]
    assert dataset_of(colours).shape == (3, 8, 8)


def test_numbers_one_by_one_are_rows():
    assert same(dataset_of([(x,) for x in ROWS[:, 0].tolist()]), dataset_of(ROWS[:, :1]))


def test_bfloat16_is_read():
    rows = torch.tensor(ROWS).bfloat16()
    assert same(dataset_of(rows), dataset_of(rows.float()))


def test_names_of_classes_may_be_none():
    data = Items(ROWS, LABELS)
    data.classes = None
    assert same(dataset_of(data), dataset_of(ROWS, LABELS))


def test_truth_values_are_labels():
    assert same(dataset_of(Items(ROWS, [k % 2 == 1 for k in range(70)])), dataset_of(ROWS, LABELS))


class ClassLabel:
    def __init__(self, names=("no", "yes")):
        self.names = names


ImageFeature = type("Image", (), {})


class Hub:
    """As much of a Hugging Face data set as is asked of one; development does without theirs."""

    def __init__(self, columns, features):
        self.columns_, self.features, self.column_names = columns, features, [*columns]

    def __len__(self):
        return len(next(iter(self.columns_.values())))

    def __getitem__(self, name):
        return self.columns_ if isinstance(name, slice) else self.columns_[name]

    def remove_columns(self, name):
        return Hub({k: v for k, v in self.columns_.items() if k != name}, self.features)

    def with_format(self, kind):
        assert kind == "arrow"
        return self


def test_data_sets_of_hugging_face():
    table = {"age": list(range(70)), "job": ["a", "b"] * 35, "y": LABELS.tolist()}
    data = Hub(table, {"age": None, "job": None, "y": ClassLabel()})
    dataset = dataset_of(data)
    assert (dataset.classes, dataset.shape) == (("no", "yes"), (3,))
    assert same(dataset_of(data, reading=TableReading("y")), dataset)
    assert dataset_of({"train": data, "test": data}).test_images.shape == (70, 3)
    by_job = dataset_of(data.remove_columns("y"), reading=TableReading("job"))
    assert (by_job.classes, by_job.shape) == (("a", "b"), (1,))
    images = [Image.fromarray(p) for p in PICTURES]
    pictures = Hub({"im": images, "y": LABELS.tolist()}, {"im": ImageFeature(), "y": ClassLabel()})
    dataset = dataset_of(pictures)
    assert dataset.classes == ("no", "yes")
    assert np.array_equal(dataset.train_images, dataset_of(PICTURES, LABELS).train_images)


FINE, COARSE = np.arange(70) % 6, np.arange(70) % 3
NAMED = {"fine": ClassLabel("abcdef"), "coarse": ClassLabel("xyz")}


@pytest.mark.parametrize(
    "rest", [{"im": [Image.fromarray(p) for p in PICTURES]}, {"age": list(range(70))}]
)
def test_labels_have_the_names_of_their_own_column(rest):
    features = {**NAMED, **{name: ImageFeature() if name == "im" else None for name in rest}}
    data = Hub({**rest, "fine": FINE.tolist(), "coarse": COARSE.tolist()}, features)
    by_name = dataset_of(data, reading=TableReading("coarse"))
    assert by_name.classes == ("x", "y", "z")
    assert same(dataset_of(data, data["coarse"]), by_name)
    assert dataset_of(data).classes == (*"abcdef",)
    some = dataset_of(data, np.where(np.arange(70) < 40, COARSE, -1))
    assert (some.classes, some.shape) == (("x", "y", "z"), by_name.shape)
    others = dataset_of(data, (FINE > 3).astype(int))
    assert others.classes == ("0", "1")
    if others.columns:
        assert [block.name for block in by_name.columns.blocks] == ["age", "fine"]
        assert [block.name for block in others.columns.blocks] == ["age", "fine", "coarse"]
    with pytest.raises(ValueError, match="no column is called 'coarce'; did you mean 'coarse'"):
        dataset_of(data, reading=TableReading("coarce"))
    with pytest.raises(ValueError, match="labels are given, and are in the column 'fine', too"):
        dataset_of(data, FINE, reading=TableReading("fine"))


class Streamed:
    """A data set of Hugging Face's that is read as it comes."""

    features = column_names = with_format = None


@pytest.mark.parametrize(
    ("data", "given", "words"),
    [
        (TensorDataset(torch.tensor(ROWS), torch.rand(70)), {}, "labels are float32"),
        (ROWS, {"labels": LABELS[:5]}, r"labels are int64 \[5\]; they must be integers \[70\]"),
        (ROWS, {"labels": LABELS / 2}, "labels are float64"),
        (ROWS, {"labels": LABELS - 2}, r"the label of row \d+ is -2"),
        (ROWS, {"labels": LABELS * 0}, "all labels are 0"),
        (pandas.DataFrame(ROWS), {"labels": LABELS[:5]}, "5 labels"),
        (np.where(ROWS > 8, np.nan, ROWS), {}, r"data: column '\d' has \d+ missing of 70"),
        (np.where(ROWS > 8, np.inf, ROWS), {}, r"column '\d' has \d+ infinite"),
        (ROWS[:1], {}, "1 examples: too few"),
        (ROWS[0], {}, r"an array \[3\] is no table"),
        (PICTURES / 100, {}, r"picture 0 has \d\.\d+ among its values; give .* in \[0, 1\]"),
        (
            np.where(np.arange(70)[:, None, None] == 17, np.nan, PICTURES / 255),
            {},
            "picture 17 has nan among its values",
        ),
        (PICTURES.astype(int), {}, r"pictures are int64 \[70, 8, 8\]"),
        (PICTURES, {"reading": TableReading("y")}, "labels|holds pictures"),
        (Items([np.zeros(3), np.zeros(4)]), {}, r"of 2 shapes, such as \(3,\) and \(4,\)"),
        (7, {}, "int is no table"),
        (np.array(3.0), {}, "data are a single number"),
        (torch.tensor(3.0), {}, "data are a single number"),
        (TensorDataset(*[torch.tensor(ROWS)] * 3), {}, "an item of the data set has 3 parts"),
        (Streamed(), {}, "a streamed data set is read in order alone: load it without"),
        (ROWS, {"labels": LABELS.astype(np.uint64) + 2**63}, "a label is 92233720368547758"),
        (ROWS, {"test": np.zeros((5, 4))}, "rows have 4 values, and those learned from 3"),
        (ROWS, {"labels": LABELS, "test_labels": LABELS}, "test_labels are given without a test"),
        ({"x": [1, 2]}, {"labels": [0, 1], "reading": TableReading("x")}, "in the column 'x', too"),
    ],
)
def test_mistakes_are_told(data, given, words):
    with pytest.raises(ValueError, match=words):
        dataset_of(data, **given)


def test_files_of_arrays(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "rows.labels.npy", LABELS)
    np.savez(tmp_path / "rows.npz", x=ROWS, y=LABELS)
    np.savez(tmp_path / "keras.npz", x_train=PICTURES, y_train=LABELS, x_test=PICTURES[:5],
             y_test=LABELS[:5])  # fmt: skip
    for name in ("rows.npy", "rows.npz"):
        assert same(load(str(tmp_path / name)), dataset_of(ROWS, LABELS))
    pictures = load(str(tmp_path / "keras.npz"))
    assert same(pictures, dataset_of(PICTURES, LABELS, test=PICTURES[:5], test_labels=LABELS[:5]))


def test_arrays_in_fortrans_order_are_what_they_were(tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.asfortranarray(ROWS), y=LABELS)
    assert same(load(str(tmp_path / "rows.npz")), dataset_of(ROWS, LABELS))


def test_shares_of_white_become_the_nearest_bytes():
    shares = np.tile(np.array([0, 99.4, 99.6, 254.6]) / 255, (7, 4, 1))
    rows = dataset_of(shares, test=shares[:1]).test_images[0, 0]
    assert rows.tolist() == [[0, 99, 100, 255]] * 4


def test_a_test_set_that_is_given_stands_for_the_data_s_own():
    rows, few = Hub({"age": list(range(70))}, {"age": None}), Hub({"age": [7, 8]}, {"age": None})
    dataset = dataset_of({"train": rows, "test": rows}, test=few)
    assert np.array_equal(dataset.test_images, dataset.columns.encode({"age": [7, 8]}))


def test_files_of_other_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "odd.npz", here=ROWS)
    (tmp_path / "bad.npz").write_text("no zip")
    np.savez(tmp_path / "flat.npz", x=ROWS[0])
    np.savez(tmp_path / "long.npz", x=ROWS, y=LABELS[:3])
    np.savez(tmp_path / "lone.npz", x=ROWS, y=LABELS, y_test=LABELS)
    np.save(tmp_path / "gap.npy", np.where(ROWS > 8, np.nan, ROWS))
    for name, words in {
        "odd.npz": "holds the arrays here; call them x, and y",
        "bad.npz": "bad.npz is no file of numpy's arrays",
        "flat.npz": r"flat.npz: an array \[3\] is no table",
        "lone.npz": "lone.npz has y_test without x_test",
        "long.npz": r"labels are int64 \[3\]; they must be integers \[70\]",
        "gap.npy": r"gap.npy: column '\d' has \d+ missing of 70 values.*--missing impute",
    }.items():
        with pytest.raises(ValueError, match=words):
            load(str(tmp_path / name))
    assert load(str(tmp_path / "gap.npy"), table=TableReading(missing="impute")).shape == (6,)


def test_a_single_value_is_no_example(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.float32(3))
    with pytest.raises(ValueError, match="holds a single value as x; give one for each example"):
        load(str(tmp_path / "mine.npz"))


def test_sparse_rows_are_to_be_given_whole():
    with pytest.raises(ValueError, match=r"csr_matrix is sparse: give data.toarray\(\)"):
        dataset_of(csr_matrix(np.eye(40)))


def test_whole_numbers_of_any_size_are_numbers():
    table = polars.DataFrame({"id": pandas.Series(range(40)).tolist()})
    rows = dataset_of(table.with_columns(polars.col("id").cast(polars.Int128))).train_images
    assert rows.shape[1] == 1
