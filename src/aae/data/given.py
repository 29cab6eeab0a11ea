"""A user's own data, of whatever kind, given in Python or in a file of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aae.data.checks import as_int64, numbered, refuse_one_class
from aae.data.columns import Columns
from aae.data.dataset import Dataset
from aae.data.decoding import UnreadableError, is_grey, pixels_of
from aae.data.npy import labels_beside, map_array, read_archive
from aae.data.splits import split_test
from aae.data.tables import (
    PLAINLY,
    SUFFIXES,
    TableReading,
    from_table,
    read_table,
    refuse_unknown,
    take,
)

_NAMES = {
    "x": ("x", "X", "x_train", "X_train", "data"),
    "y": ("y", "y_train", "labels", "target"),
    "x_test": ("x_test", "X_test"),
    "y_test": ("y_test", "labels_test"),
}
"""Names that arrays in a .npz file may have."""


def dataset_of(
    data: Any,
    labels: Any = None,
    *,
    test: Any = None,
    test_labels: Any = None,
    name: str = "data",
    reading: TableReading = PLAINLY,
) -> Dataset:
    """A data set from a user's own data.

    Args:
        data: a table, which is a pandas, polars or other frame, a dict of columns or a structured
            array; an array or tensor of rows, floats [n, d], or of pictures, uint8
            [n, height, width] or [n, channels, height, width]; a data set of Hugging Face's
            `datasets`, with pictures or a table, whose labels are in the label column that
            ``reading`` names, or else in the first ``ClassLabel``; or a map-style data set like
            torch's, of pictures or rows, alone or with their labels. Its floating-point pictures
            must be in [0, 1]. Pillow's pictures are read as those in files are: grey if all are.
        labels: integers [n], -1 for none, where the data do not hold them, or in place of those
            that they hold. If they are the data's own, apart from -1, they have the names that the
            data give to them, and a column of the data that holds them is no feature; other labels
            are named by their numbers, and all columns are features; a test set then needs its own.
        test: the test set, of the same kind; without it a part is split off, see
            `aae.data.splits.split_test`.
        test_labels: its labels. Where both parts name their classes, they may do so in another
            order.
        name: of the data set.
        reading: how a table is read.

    Raises:
        ValueError: the data are of another kind, or do not fit one another.

    Examples:
        >>> rows = np.random.default_rng(0).normal(size=(70, 3))
        >>> dataset_of(rows, np.arange(70) % 2).shape
        (3,)
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Mapping) and _is_hub(data.get("train")):
        data, test = data["train"], data.get("test") if test is None else test
    if test is None and test_labels is not None:
        raise ValueError("test_labels are given without a test set: give test, too")
    whole = [_unpacked(data, labels, reading)]
    if test is not None:
        whole.append(_unpacked(test, test_labels, reading))
        if whole[0].replaced and test_labels is None and whole[1].labels is not None:
            raise ValueError(
                "labels are given in place of those that the data hold, and the test set holds "
                "labels of the old kind: give test_labels, too"
            )
    if whole[0].labels is not None:
        reading = replace(reading, label_column=None)
    return _built(name, whole, reading)


@dataclass(frozen=True)
class _Given:
    """What a user gave.

    Attributes:
        examples: a table, rows or pictures.
        labels: those that are not in a column of the table.
        classes: their names, where the data have names for them.
        replaced: whether the data hold other labels than these.
    """

    examples: Any
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] = ()
    replaced: bool = False


def load_arrays_file(place: Path, reading: TableReading = PLAINLY) -> Dataset:
    """A data set of the arrays in a ``.npz`` file, or of rows in a ``.npy`` file.

    Args:
        place: a ``.npz`` with an array ``x``, and ``y``, ``x_test`` and ``y_test`` if there are
            any; or a ``.npy`` of floats [n, d], whose labels may be beside it as with pictures.
            Rows are tables whose columns are called "0", "1", …
        reading: how a table is read.

    Raises:
        ValueError: it holds something else; says what it may hold.
    """
    found = _arrays(place)
    if "y_test" in found and "x_test" not in found:
        raise ValueError(f"{place} has y_test without x_test: add the one, or leave out the other")
    parts = [("x", "y"), ("x_test", "y_test")] if "x_test" in found else [("x", "y")]
    whole = [_Given(found[x], _labels(found.get(y), len(found[x]))) for x, y in parts]
    return _built(str(place), whole, reading)


def open_packed(place: Path) -> NDArray[np.uint8] | None:
    """The pictures ``x`` of a ``.npz`` file, uint8 [n, c, h, w]; None if it holds rows.

    Raises:
        ValueError: the file cannot be read, or its pictures are of another kind.
    """
    x = _arrays(place)["x"]
    if not _are_pictures(x):
        return None
    if not len(x):
        raise ValueError(f"{place} holds no pictures: its x is {list(x.shape)}")
    return _pictures(x, str(place))


def open_rows(place: Path, columns: Columns, beside: Iterable[str] = ()) -> NDArray[np.float32]:
    """All rows of a file, by columns that were learned from another; see `Columns.encode`.

    Args:
        place: a CSV or Parquet file; or a ``.npz`` with an array ``x``, or a ``.npy``.
        columns: the columns.
        beside: other columns that an array may have, such as that of labels: a further one would
            shift those that were learned.

    Raises:
        ValueError: the file cannot be read, or has other columns.
    """
    words = (b.name for b in columns.blocks if any(isinstance(k, str) for k in b.categories))
    table = read_table(place, words) if place.suffix.lower() in SUFFIXES else _arrays(place)["x"]
    try:
        if isinstance(table, np.ndarray) and not table.dtype.names and table.ndim == 2:
            known = {*beside, *(block.name for block in columns.blocks)}
            refuse_unknown(map(str, range(table.shape[1])), known)
        return columns.encode(table)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _arrays(place: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a ``.npy`` or ``.npz`` file, by what they hold."""
    if place.suffix.lower() == ".npz":
        arrays = read_archive(place)
        found = {
            key: arrays[name] for key, names in _NAMES.items() for name in names if name in arrays
        }
        held = ", ".join(arrays)
    else:
        held, found = "", {"x": np.array(map_array(place))}
        beside = labels_beside(place)
        if beside.is_file():
            found["y"] = np.array(map_array(beside))
    if lone := [name for name, array in found.items() if not array.ndim]:
        raise ValueError(f"{place} holds a single value as {lone[0]}; give one for each example")
    if "x" not in found:
        raise ValueError(
            f"{place} holds the arrays {held}; call them x, and y, x_test and y_test where there "
            "are labels and a test set"
        )
    return found


def _built(name: str, whole: Sequence[_Given], reading: TableReading) -> Dataset:
    """A data set from a training set and, if there is one, a test set."""
    first, *others = whole
    whole = [first, *(_named_alike(part, first.classes, name) for part in others)]
    known = [part.labels for part in whole if part.labels is not None]
    classes = first.classes or numbered(name, *known)
    refuse_one_class(name, classes)
    if not _are_pictures(first.examples):
        test = whole[1] if len(whole) > 1 else _Given(None, None)
        return from_table(
            first.examples, name, reading, labels=first.labels, classes=classes,
            test=test.examples, test_labels=test.labels,
        )  # fmt: skip
    if reading != PLAINLY:
        raise ValueError(f"{name} holds pictures, and {reading} is for tables")
    parts = [(_pictures(part.examples, name), _sure(part)) for part in whole]
    if len(parts) == 1:
        (images, labels), is_test = parts[0], np.zeros(len(parts[0][0]), bool)
        is_test[split_test(labels, name)] = True
        parts = [(images[chosen], labels[chosen]) for chosen in (~is_test, is_test)]
    return Dataset(Path(name).stem, classes, *parts[0], *parts[1])


def _named_alike(part: _Given, classes: tuple[str, ...], name: str) -> _Given:
    """A test set with its classes numbered as in the training set."""
    if part.labels is None or not classes or part.classes in ((), classes):
        return part
    there = [(k, part.classes[k] if k < len(part.classes) else str(k))
             for k in np.unique(part.labels).tolist() if k >= 0]  # fmt: skip
    if unknown := [called for _, called in there if called not in classes]:
        raise ValueError(
            f"{name}: the test set has the class {unknown[0]!r}, and the training set has "
            f"{', '.join(classes)}"
        )
    labels = np.full_like(part.labels, -1)
    for k, called in there:
        labels[part.labels == k] = classes.index(called)
    return replace(part, labels=labels, classes=classes)


def _sure(part: _Given) -> NDArray[np.int64]:
    return np.full(len(part.examples), -1) if part.labels is None else part.labels


def _unpacked(data: Any, labels: Any, reading: TableReading) -> _Given:
    """What a user gave, in whatever form."""
    if hasattr(data, "toarray"):
        raise ValueError(f"{type(data).__name__} is sparse: give data.toarray()")
    if labels is not None and reading.label_column:
        raise ValueError(f"labels are given, and are in the column {reading.label_column!r}, too")
    if _is_hub(data):
        return _of_hub(data, labels, reading.label_column)
    if _is_map_style(data):
        return _of_items(data, labels)
    examples = as_array(data) if hasattr(data, "detach") else data
    if isinstance(examples, np.ndarray) and not examples.ndim:
        raise ValueError("data are a single number: give one row or picture for each example")
    count = len(examples) if isinstance(examples, np.ndarray) else None
    return _Given(examples, _labels(labels, count))


def _of_hub(data: Any, labels: Any, column: str | None) -> _Given:
    """What a data set of Hugging Face's `datasets` holds: pictures if there are any, or a table."""
    if not hasattr(data, "__len__"):
        raise ValueError("a streamed data set is read in order alone: load it without streaming")
    kinds = [(type(feature).__name__, name) for name, feature in data.features.items()]
    image = next((name for kind, name in kinds if kind == "Image"), None)
    named = [name for kind, name in kinds if kind == "ClassLabel"]
    found, replaced = _labels(labels, len(data)), False
    if found is not None:
        replaced = _replace(found, [data[name] for name in named])
        named = [name for name in named if _are(found, data[name])]
    column = column or next(iter(named), None)
    names: tuple[str, ...] = ()
    if column:
        names = tuple(getattr(take({**data.features}, column), "names", ()))
    if names or (column and image):
        found = _labels(list(data[column]), len(data)) if found is None else found
        data = data.remove_columns(column)
    examples = _stacked(data[image]) if image else data.with_format("arrow")[:]
    return _Given(examples, found, names, replaced)


def _of_items(data: Any, labels: Any) -> _Given:
    """What a map-style data set holds, its items requested one by one."""
    items, own = [data[k] for k in range(len(data))], []
    if isinstance(items[0], (tuple, list)) and len(items[0]) == 2:
        own = [as_array(label) for _, label in items]
        items = [example for example, _ in items]
    elif isinstance(items[0], tuple) and items[0] and np.ndim(as_array(items[0][0])):
        if len(items[0]) > 1:
            raise ValueError(
                f"an item of the data set has {len(items[0])} parts: an item is an example, or an "
                "example and its label"
            )
        items = [example for (example,) in items]  # of torch's TensorDataset without labels
    found = _labels(own or None if labels is None else labels, len(items))
    named = labels is None or (own and _are(labels, own))
    classes = tuple(map(str, getattr(data, "classes", None) or ())) if named else ()
    replaced = labels is not None and _replace(labels, [own] if own else [])
    return _Given(_stacked(items), found, classes, replaced)


def _are(labels: Iterable[Any], own: Iterable[Any]) -> bool:
    """Whether labels are the data's own, some of them perhaps left out."""
    known = [(mine, theirs) for mine, theirs in zip(labels, own, strict=True) if mine >= 0]
    return bool(known) and all(np.array_equal(*pair) for pair in known)


def _replace(labels: Iterable[Any], held: Sequence[Iterable[Any]]) -> bool:
    """Whether labels are others than those that the data hold."""
    return bool(held) and not any(_are(labels, own) for own in held)


def _labels(labels: Any, count: int | None) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    given = np.ma.filled(labels, -1) if np.ma.isMaskedArray(labels) else as_array(labels)
    if given.dtype.kind not in "iub" or given.ndim != 1 or count not in (None, len(given)):
        raise ValueError(
            f"labels are {given.dtype} {list(given.shape)}; they must be integers "
            f"[{'n' if count is None else count}], -1 for none"
        )
    if len(wrong := np.flatnonzero(given < -1)):
        raise ValueError(
            f"the label of row {wrong[0]} is {given[wrong[0]]}; labels must be 0 or more, or -1 "
            "for none"
        )
    return as_int64("data", given)


def _are_pictures(examples: Any) -> bool:
    return isinstance(examples, np.ndarray) and not examples.dtype.names and examples.ndim > 2


def _pictures(images: Any, name: str) -> NDArray[np.uint8]:
    """Pictures as bytes [n, c, h, w]."""
    if images.dtype.kind == "f":
        sound = (images >= 0) & (images <= 1)  # NaN is neither
        if not sound.all():
            row = int(np.flatnonzero(~sound.reshape(len(images), -1).all(1))[0])
            wrong = images[row][~sound[row]].flat[0]
            raise ValueError(
                f"{name}: picture {row} has {wrong:g} among its values; give floating-point "
                "pictures in [0, 1] (before they are normalised), or as bytes"
            )
        images = np.rint(images * 255).astype(np.uint8)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(
            f"{name}: pictures are {images.dtype} {list(images.shape)}; they must be uint8 "
            "[n, height, width] or [n, channels, height, width]"
        )
    return np.asarray(images[:, None] if images.ndim == 3 else images)


def as_array(example: Any) -> NDArray[Any]:
    """A picture, row or label as an array, wherever it is."""
    if not hasattr(example, "detach"):
        return np.asarray(example)
    here = example.detach().cpu()
    return np.asarray(here.float() if str(here.dtype) == "torch.bfloat16" else here)


def _stacked(given: Iterable[Any]) -> NDArray[Any]:
    """Pictures or rows as one array; Pillow's pictures, as those in files, are grey if all are."""
    from PIL.Image import Image

    examples = list(given)
    images = {row: each for row, each in enumerate(examples) if isinstance(each, Image)}
    channels = 1 if all(map(is_grey, images.values())) else 3
    for row, image in images.items():
        try:
            examples[row] = pixels_of(image, channels)
        except UnreadableError as error:
            raise ValueError(
                f"picture {row}, of Pillow's mode {image.mode}: {error}; give pictures of bytes, "
                "or an array of floats in [0, 1]"
            ) from None
    examples = [as_array(each) for each in examples]
    shapes = sorted({example.shape for example in examples})
    if len(shapes) != 1:
        raise ValueError(
            f"examples are of {len(shapes)} shapes, such as {shapes[0]} and {shapes[-1]}: bring "
            "them to one"
        )
    return np.stack(examples)


def _is_map_style(data: Any) -> bool:
    """Whether data give an example for each number, and are of no other known kind."""
    known = isinstance(data, (Mapping, np.ndarray, str)) or hasattr(data, "columns")
    known = known or hasattr(data, "detach")
    return not known and hasattr(data, "__getitem__") and hasattr(data, "__len__") and len(data) > 0


def _is_hub(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("features", "column_names", "with_format"))
