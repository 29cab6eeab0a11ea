"""A user's own table: a file or a frame → rows, labels and what they stand for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aae.data.columns import MOST_CATEGORIES, Columns, Missing
from aae.data.dataset import Dataset
from aae.data.frames import Series, by_name
from aae.data.parquet import read_parquet
from aae.data.splits import split_test
from aae.words import nearest

T = TypeVar("T")
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
"""Extensions of files that hold tables."""
NO_VALUE = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "?")
"""What stands for a missing value in a CSV file."""
_NO_NUMBER = ("-", "--", ".", "None", "none")
"""What else does so in a column that otherwise has numbers."""
_GROUPED = r"[+-]?(\d+(,\d+)+(\.\d+)?|\d{1,3}((\.\d{3})+,\d+|(\.\d{3}){2,}))"
"""Numbers with separated thousands or a decimal comma: 1,234.5 or 1.234,5; but not 31.12.2020."""
_NO_UTF8 = "it is not UTF-8; save it as UTF-8 (in Excel: CSV UTF-8)"
_CLASSES = (
    20,
    0.2,
)  # more numbers than both, the second as a share of rows, are measurements, not names


@dataclass(frozen=True)
class TableReading:
    """How a table is read.

    Attributes:
        label_column: the column that holds the class of each row, which is not a feature; an empty
            cell in it means a row without a label.
        missing: see `aae.data.columns.Columns`.
        categorical_columns: columns of numbers that are categories, or of texts that surely are.
        ignore_columns: columns from which nothing is learned.
    """

    label_column: str | None = None
    missing: Missing = "refuse"
    categorical_columns: tuple[str, ...] = ()
    ignore_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.label_column in (*self.categorical_columns, *self.ignore_columns):
            raise ValueError(
                f"--label-column {self.label_column} is no feature: leave it out of "
                "--categorical-columns and --ignore-columns"
            )


PLAINLY = TableReading()


def load_table(place: Path, reading: TableReading = PLAINLY) -> Dataset:
    """A data set from the table in a CSV or Parquet file; see `from_table`."""
    table = read_table(place, categories=reading.categorical_columns, label=reading.label_column)
    return from_table(table, str(place), reading)


def from_table(
    table: object,
    name: str,
    reading: TableReading = PLAINLY,
    *,
    test: object = None,
    labels: NDArray[np.int64] | None = None,
    test_labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
) -> Dataset:
    """A data set from a table.

    Args:
        table: see `aae.data.frames.by_name`.
        name: what errors call the data, or their file; the data set is called by its stem.
        reading: how to read it.
        test: the test set, in a table of its own; without it a part is split off, see
            `aae.data.splits.split_test`.
        labels: int64 [n], -1 for none, where no column holds them.
        test_labels: those of ``test``.
        classes: the names of these labels.

    Raises:
        ValueError: it cannot be read as asked; names the column, and the row.
    """
    try:
        features, column = _parts(table, reading)
        count = len(next(iter(features.values())))
        if column is not None:
            classes = _classes(column)
            labels = _numbers(column, classes)
        labels = np.full(count, -1) if labels is None else labels
        if len(labels) != count:
            raise ValueError(f"there are {len(labels)} labels for {count} rows")
        if test is None:
            is_test = np.zeros(count, bool)
            is_test[split_test(labels, name)] = True
            columns = _columns(features, reading, np.flatnonzero(~is_test))
            rows = columns.encode(features)
            train, held_out = ((rows[part], labels[part]) for part in (~is_test, is_test))
        else:
            columns = _columns(features, reading, None)
            train = columns.encode(features), labels
            others, column = _parts(test, reading)
            if all(isinstance(each, np.ndarray) for each in (table, test)):  # none has names
                refuse_unknown(others, features)
            rows = columns.encode(others)
            if column is not None:
                test_labels = _numbers(column, classes)
            held_out = rows, np.full(len(rows), -1) if test_labels is None else test_labels
    except ValueError as error:
        raise ValueError(error if str(error).startswith(name) else f"{name}: {error}") from None
    names = tuple(str(each) for each in classes)
    return Dataset(Path(name).stem, names, *train, *held_out, columns=columns)


def read_table(
    place: Path,
    text: Iterable[str] = (),
    categories: Iterable[str] = (),
    label: str | None = None,
) -> Any:
    """The frame in a file.

    Args:
        place: a CSV or Parquet file. In a CSV file, spaces around names and values do not count; a
            comma is decimal if semicolons separate the cells; a column is numeric if all its values
            are numbers or stand for none, and none is a code such as 01234; and empty rows at the
            end do not count if there are two columns or more.
        text: columns of a CSV file that hold words, even if these look like numbers.
        categories: columns that stand for categories, which may be written as numbers may not. In a
            CSV file they hold words if one is not its number's text, as 01234 and 1.10 are not.
        label: the column of classes, likewise; only fractions are numbers however they are written.

    Raises:
        ValueError: it cannot be read, or polars is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError:
        raise ValueError(
            f"{place.name} needs the package 'polars' to be read: pip install polars"
        ) from None
    if place.suffix.lower() in (".parquet", ".pq"):
        frame = read_parquet(place)
        # pandas keeps these beside the columns.
        return frame.drop([c for c in frame.columns if re.fullmatch(r"__index_.*__", c)])
    separator, end = _dialect(place)
    try:
        frame = polars.read_csv(
            place, separator=separator, eol_char=end, infer_schema=False, glob=False
        )
    except (
        polars.exceptions.PolarsError,
        polars.exceptions.PanicException,  # not an Exception, yet damage makes polars raise it
        UnicodeDecodeError,
    ) as error:
        why = str(error).splitlines()[0]
        if re.search("utf-?8", why.lower()):
            why = _NO_UTF8
        raise ValueError(f"{place} cannot be read: {why}") from None
    # polars removes the quotes around a name, and leaves those within it doubled.
    names = [name.replace('""', '"').strip() for name in frame.columns]
    _check_header(place, names)
    frame.columns = names
    of_words, free = {*text}, {*categories, label}
    columns = []
    for cells in _without_blank_end(polars.DataFrame([*map(_words, frame)])):
        typed = cells if cells.name in of_words else _typed(cells, separator == ";")
        if cells.name in free and typed.dtype.is_numeric():
            fractions = cells.name == label and (typed % 1 != 0).any()
            if not fractions and _renames(cells, typed, separator == ";"):
                typed = cells
        if cells.name not in of_words | free:
            _refuse_grouped(place, cells, separator == ";", numeric=typed is not cells)
        columns.append(typed)
    return polars.DataFrame(columns)


def _words(series: Any) -> Any:
    """A column's cells without the spaces around them; null where they stand for no value."""
    words = series.str.strip_chars()
    return words.set(words.is_in(list(NO_VALUE)), None)


def _without_blank_end(frame: Any) -> Any:
    """A frame without the empty rows that blank lines at the end of its file leave.

    Empty rows before others stay, so that rows keep their numbers; those of a lone column may be
    meant.
    """
    import polars

    if frame.width < 2:
        return frame
    there = frame.select(~polars.all_horizontal(polars.all().is_null())).to_series().arg_true()
    return frame.head(there[-1] + 1) if len(there) else frame


def _typed(words: Any, decimal_comma: bool) -> Any:
    """A column of a CSV file as truth values, whole numbers or numbers; else the words it has."""
    import polars

    there = words.drop_nulls().str.to_lowercase()
    if len(there) and there.is_in(["true", "false"]).all():
        return words.str.to_lowercase() == "true"
    if words.str.contains(r"^[+-]?0\d+$").any():  # a code, such as 01234
        return words
    given = _with_points(words, decimal_comma)
    count = len(given.drop_nulls())
    for kind in (polars.Int64, polars.Float64):
        numbers = given.cast(kind, strict=False)
        if count and len(numbers.drop_nulls()) == count:
            return numbers
    return words


def _with_points(words: Any, decimal_comma: bool) -> Any:
    """Words that may be numbers, null where they stand for none, with points for decimal commas."""
    given = words.set(words.is_in(list(_NO_NUMBER)), None)
    return given.str.replace(",", ".", literal=True) if decimal_comma else given


def _renames(words: Any, numbers: Any, decimal_comma: bool) -> bool:
    """Whether categories would change their names as numbers, other than 1 and 1.0."""
    import polars

    given, text = _with_points(words, decimal_comma), numbers.cast(polars.String)
    return bool(((given != text) & (given + ".0" != text)).any())


def _refuse_grouped(place: Path, words: Any, decimal_comma: bool, numeric: bool) -> None:
    """Refuse a column of numbers if some have commas or points that may separate thousands."""
    import polars

    given = _with_points(words, decimal_comma)
    number = given.is_null() | given.cast(polars.Float64, strict=False).is_not_null()
    grouped = words.str.contains(f"^{_GROUPED}$") & ~number
    if numeric and words.str.contains(",", literal=True).any():
        grouped = words.str.contains(r"^[+-]?\d{1,3}(\.\d{3})+$")  # beside decimal commas
    if grouped.any() and (number | grouped).all():
        row = grouped.arg_true()[0]
        raise ValueError(
            f"{place}: column {words.name!r} holds {words[row]!r} in row {row}: write numbers with "
            "a point, and without separators of thousands; or name it in --categorical-columns"
        )


def _dialect(place: Path) -> tuple[str, str]:
    """What separates a CSV file's cells, as its header tells, and what ends its lines."""
    try:
        with place.open(encoding="utf-8-sig") as file:
            header = next((line for line in file if line.strip("\r\n")), "")
            for line in islice(file, 100):  # a quoted name may have line breaks
                if header.count('"') % 2 == 0:
                    break
                header += line
            first = re.sub(r'"[^"]*"', "", header)
            end = "\r" if file.newlines == "\r" else "\n"
    except UnicodeDecodeError:
        first = "\0"
    if "\0" in first:  # which UTF-16 without a byte order mark has
        raise ValueError(f"{place} cannot be read: {_NO_UTF8}")
    return max(",;\t|", key=first.count), end


def _check_header(place: Path, names: list[str]) -> None:
    if "" in names:
        raise ValueError(
            f"{place}: column {names.index('')} has no name: name it, or write the file without "
            "it (pandas: index=False)"
        )
    plain = Counter(re.sub(r"_duplicated_\d+$", "", name) for name in names)
    if twice := [name for name, count in plain.items() if count > 1]:
        raise ValueError(f"{place}: two columns are called {twice[0]!r}")
    if len(names) > 2 and names == [str(k) for k in range(len(names))]:
        return  # as columns without names are called; two might be a row
    numbers = [name for name in names if re.fullmatch(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?", name)]
    if len(numbers) == len(names) or any(not name.isdecimal() for name in numbers):
        raise ValueError(
            f"{place} has numbers in its first line, which must have the columns' names: "
            f"{', '.join(names[:5])}"
        )


def _parts(table: object, reading: TableReading) -> tuple[dict[str, Series], Series | None]:
    """Features, and labels if a column of them is asked for."""
    features = by_name(table)
    for name in reading.ignore_columns:
        take(features, name)
    labels = None if reading.label_column is None else take(features, reading.label_column)
    if not features:
        raise ValueError("no column is left to learn from")
    return features, labels


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse columns, called by their numbers, of rows that are wider than those learned from.

    Raises:
        ValueError: there are such.
    """
    names = list(given)
    if any(name not in known for name in names):
        raise ValueError(f"rows have {len(names)} values, and those learned from {len(known)}")


def take(features: dict[str, T], name: str) -> T:
    """Remove a column by its name, and return it.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in features:
        hint = nearest(name, features)
        raise ValueError(f"no column is called {name!r}; {hint}there are {', '.join(features)}")
    return features.pop(name)


def _columns(
    features: Mapping[str, Series], reading: TableReading, train: NDArray[np.int64] | None
) -> Columns:
    return Columns.of(
        features, train=train, categorical=reading.categorical_columns, missing=reading.missing
    )


def _classes(column: Series) -> tuple[Any, ...]:
    """The classes that a column names, in order."""
    there = column.categories().values[~column.missing].tolist()
    classes = tuple(sorted({*there}))
    least, share = _CLASSES
    measures = column.numeric and (
        len(classes) > max(least, share * len(there)) or any(v % 1 for v in classes)
    )
    if measures or len(classes) > MOST_CATEGORIES:
        raise ValueError(
            f"column {column.name!r} holds {len(classes)} different values in {len(there)} rows, "
            f"such as {classes[0]!r}: these name no classes; leave --label-column out, and it is "
            "learned from like the others"
        )
    if len(classes) < 2:
        of = f"one class, {classes[0]!r}" if classes else "no label at all"
        raise ValueError(
            f"column {column.name!r} has {of}: there is nothing to tell apart; leave "
            "--label-column out"
        )
    return classes


def _numbers(column: Series, classes: tuple[Any, ...]) -> NDArray[np.int64]:
    """The number of each row's class, -1 for none."""
    number = {name: k for k, name in enumerate(classes)}
    for row, value in enumerate(values := column.categories().values.tolist()):
        if value is not None and value not in number:
            raise ValueError(
                f"column {column.name!r} holds {value!r} in row {row} of the test set, which no "
                f"training row has; these have {', '.join(map(str, classes))}"
            )
    return np.array([-1 if value is None else number[value] for value in values], np.int64)
