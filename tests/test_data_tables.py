"""CSV and Parquet files, and tables in Python, as data sets; every mistake is told by its place."""

import sys

import numpy as np
import pandas
import polars
import pytest
from sklearn import datasets

from aae.data import Columns, TableReading, load, open_rows, parquet
from aae.data.tables import from_table, load_table, read_table
from aae.fit import fit
from aae.run import Run
from aae.splits import data_of

NAMES = ("iris", "wine", "breast_cancer", "diabetes")


def frame_of(name):
    """One of scikit-learn's tables as a frame, its classes by name."""
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if name != "diabetes":
        frame["target"] = bunch.target_names[frame["target"]]
    return frame


@pytest.fixture(params=[".csv", ".tsv", ".parquet"])
def written(request, tmp_path):
    """Writes a frame into a file of one kind or another."""

    def write(frame):
        path = tmp_path / f"table{request.param}"
        frame = polars.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
        if request.param == ".parquet":
            frame.write_parquet(path)
        else:
            frame.write_csv(path, separator="\t" if request.param == ".tsv" else ",")
        return path

    return write


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learns_tables(name, written):
    frame = frame_of(name)
    place = written(frame)
    label = None if name == "diabetes" else "target"
    dataset = load(str(place), table=TableReading(label_column=label))
    n, test = len(frame), len(dataset.test_labels)
    assert test == round(n / 7)
    assert len(dataset.train_labels) == n - test
    assert dataset.shape == (len(frame.columns) - (label is not None),)
    assert np.allclose(dataset.train_images.mean(0), 0, atol=1e-5)
    assert np.allclose(dataset.train_images.std(0), 1, atol=1e-4)
    # Rows come back in their units, and each with its label.
    back = pandas.DataFrame(dataset.columns.decode(dataset.train_images))
    if label:
        assert dataset.classes == tuple(sorted({*frame["target"]}))
        back["target"] = [dataset.classes[k] for k in dataset.train_labels]
    known = frame.select_dtypes("number").columns
    rows = frame[known].to_numpy()
    at = [int(np.abs(rows - row).sum(1).argmin()) for row in back[known].to_numpy()]
    assert np.allclose(rows[at], back[known].to_numpy(), rtol=1e-4, atol=1e-4)
    if label:
        assert (frame["target"].to_numpy()[at] == back["target"].to_numpy()).all()


def test_the_split_keeps_the_shares_of_classes_and_is_the_same_again():
    first, again = (from_table(frame_of("wine"), "wine", TableReading("target")) for _ in "ab")
    assert np.bincount(first.test_labels).tolist() == [8, 10, 7]
    assert np.array_equal(first.test_images, again.test_images)


MIXED = "age,job,target\n30,cook,a\n40,?,b\n,cook,\n50,smith,b\n" + "35,smith,a\n" * 10


def test_missing_cells_are_told_of_or_masked(tmp_path):
    place = tmp_path / "people.csv"
    place.write_text(MIXED)
    with pytest.raises(ValueError, match=r"people.csv: column 'age' has 1 missing of 14 .* row 2"):
        load_table(place, TableReading("target"))
    dataset = load_table(place, TableReading("target", missing="impute"))
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    rows = np.concatenate([dataset.train_images, dataset.test_images])
    assert np.bincount(labels + 1).tolist() == [1, 11, 2]
    assert rows[labels == -1].tolist() == [[0, 1, 1, 0]]
    assert dataset.columns.blocks[0].integer


def test_names_are_no_categories_unless_they_are_said_to_be(tmp_path):
    place = tmp_path / "trips.csv"

    def write(count, often=1):
        rows = [f"2024-{k // 28 + 1:02}-{k % 28 + 1:02},{k}\n" for k in range(count)] * often
        place.write_text("day,age\n" + "".join(rows))

    write(200)
    with pytest.raises(ValueError, match=r"'day' holds 200 different .* 200 rows, such as '2024-0"):
        load_table(place)
    named = TableReading(categorical_columns=("day",))
    assert load_table(place, named).columns.blocks[0].width == 200
    frame = polars.read_csv(place)
    typed = frame.with_columns(polars.col("day").cast(polars.Categorical))
    assert from_table(typed, "trips").columns.blocks[0].width == 200
    with pytest.raises(ValueError, match=r"names, notes or dates; leave it out by --ignore"):
        from_table(frame, "trips")
    write(200, often=2)
    assert load_table(place).columns.blocks[0].width == 200
    write(20)
    assert load_table(place).columns.blocks[0].width == 20


def test_columns_are_ignored_and_taken_for_categories(tmp_path):
    place = tmp_path / "people.csv"
    place.write_text("id;age;zone\n" + "".join(f"n{k};{20 + k};{k % 3}\n" for k in range(300)))
    with pytest.raises(ValueError, match=r"'id' holds 300 different values.*--ignore-columns"):
        load_table(place)
    reading = TableReading(ignore_columns=("id",), categorical_columns=("zone",))
    dataset = load_table(place, reading)
    assert [(b.name, b.kind, b.width) for b in dataset.columns.blocks] == [
        ("age", "numeric", 1), ("zone", "categorical", 3),
    ]  # fmt: skip
    assert dataset.classes == ()
    assert (dataset.train_labels == -1).all()


@pytest.mark.parametrize(
    ("text", "reading", "words"),
    [
        ("a,b\n1,2\n", {}, "holds 1 examples: too few for a test set"),
        ("a,b\n1,2\n3,4\n", {}, "too few for a test set"),
        ("a,b\n", {}, "empty"),
        ("", {}, "cannot be read"),
        ("a,b\n1,2,3\n", {}, "cannot be read"),
        (",b\n1,2\n", {}, "column 0 has no name: .*index=False"),
        ("a,a\n1,2\n", {}, "two columns are called 'a'"),
        ("a, a\n1,2\n", {}, "two columns are called 'a'"),
        ("0,1\n1,2\n", {}, r"numbers in its first line, .*names: 0, 1"),
        ("1,2\n1,2\n", {}, r"numbers in its first line, .*names: 1, 2"),
        ("1.5,2\n1,2\n", {}, r"numbers in its first line, .*names: 1.5, 2"),
        ("a,b\n" + "1,x\n" * 9, {"label_column": "b"}, "'b' has one class, 'x'"),
        ("a,b\n" + "1,\n" * 9, {"label_column": "b"}, "'b' has no label at all"),
        ("a,b\n" + "1,x\n" * 9, {"label_column": "bb"}, "no column is called 'bb'; .*mean 'b'"),
        ("a,b\n" + "1,x\n" * 9, {"ignore_columns": ("a", "b")}, "no column is left"),
        ("a,b\n1,0.5\n" + "1,1.5\n" * 9, {"label_column": "b"}, "'b' holds 2 different values"),
        ("a,b\ninf,1\n" + "1,1\n" * 9, {}, "'a' has 1 infinite values, the first in row 0"),
        ("a\n" + "1\n" * 9, {"categorical_columns": ("b",)}, "no column is called 'b'"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", {}, "numbers in its first line"),
        ('a,b\n1,"1,234"\n2,"5"\n', {}, "'b' holds '1,234' in row 0: write numbers with a point"),
        ("a;b\n1;999,5\n2;1.234,5\n", {}, "'b' holds '1.234,5' in row 1: write numbers with a p"),
        ("a;b\n1;999,5\n2;1.234\n", {}, "'b' holds '1.234' in row 1: write numbers with a p"),
        ("a\tb\n1\t1.234.567\n2\t5\n", {}, "'b' holds '1.234.567' in row 0: write numbers"),
        ("a,b\n" + "1,x\n" * 9, {"label_column": "b", "ignore_columns": ("b",)}, "b is no feature"),
    ],
)
def test_mistakes_are_told(tmp_path, text, reading, words):
    place = tmp_path / "mine.csv"
    place.write_text(text)
    with pytest.raises(ValueError, match=f"(mine.csv.*|--label-column ){words}"):
        load_table(place, TableReading(**reading))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("u;v;c\n1,5;2,0;a\n-3,25;4;b\n", [[1.5, 2.0, "a"], [-3.25, 4.0, "b"]]),
        ("u, v, c\n1.5, 2, a\n2.5, 4, b\n", [[1.5, 2, "a"], [2.5, 4, "b"]]),
        ("u,v\n1.5,None\n2.5,-\n , 4\n", [[1.5, None], [2.5, None], [None, 4]]),
        ('"len, mm";"width, mm"\n1,5;2\n', [[1.5, 2]]),
        ("zip,u,v\n01234,0,0.5\n98765,-10,01.5\n", [["01234", 0, 0.5], ["98765", -10, 1.5]]),
        ("u,v\n-07,1\n3,2\n", [["-07", 1], ["3", 2]]),
        ('"len,\nmm";"width,\n\nmm"\n1,5;2\n', [[1.5, 2]]),
        ("\n\nu;v\n1,5;1.25\n-2,5;1.5\n", [[1.5, 1.25], [-2.5, 1.5]]),
        ("u;v\n1.234;2,5\n1.5;3\n", [[1.234, 2.5], [1.5, 3]]),
        ("2010,country\n1,no\n2,se\n", [[1, "no"], [2, "se"]]),
        ("u,t\n1e3,TRUE\n2,false\n", [[1000.0, True], [2.0, False]]),
        ("u,zone\n1,1\n2,3a\n", [[1, "1"], [2, "3a"]]),
        ("u;day\n1;31.12.2020\n2;01.01.2021\n", [[1, "31.12.2020"], [2, "01.01.2021"]]),
        ("u,v\n1,a\n,\n2,\n  \n,\nNA,?\n\n\n", [[1, "a"], [None, None], [2, None]]),
        ("u\n1\n\n2\n", [[1], [None], [2]]),
    ],
)
def test_numbers_are_numbers_however_they_are_written(tmp_path, text, rows):
    place = tmp_path / "mine.csv"
    place.write_text(text)
    assert [list(row) for row in read_table(place).rows()] == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_of_the_three_ways(tmp_path, end):
    (tmp_path / "a.csv").write_bytes(end.join(["a;b", "1,5;x", "2;y", ""]).encode())
    frame = read_table(tmp_path / "a.csv")
    assert frame.to_dict(as_series=False) == {"a": [1.5, 2.0], "b": ["x", "y"]}


def test_quotes_in_names_are_those_meant(tmp_path):
    place = tmp_path / "mine.csv"
    place.write_text('"size ""in""",b\n1,2\n')
    assert read_table(place).columns == ['size "in"', "b"]
    place.write_text('"",b\n1,2\n')
    with pytest.raises(ValueError, match="column 0 has no name"):
        read_table(place)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("rows", [1, 100_000])
def test_text_that_is_no_utf8_is_told(tmp_path, encoding, rows):
    place = tmp_path / "mine.csv"
    place.write_text("a,b\n" + "1,x\n" * rows + "2,café\n", encoding=encoding)
    with pytest.raises(ValueError, match=r"mine\.csv cannot be read: it is not UTF-8; save it as"):
        load_table(place)


def test_categories_may_be_written_as_numbers_with_points(tmp_path):
    place = tmp_path / "mine.csv"
    place.write_text("u;code\n" + "1;1.234,5\n2;1.234,6\n" * 9)
    columns = load_table(place, TableReading(categorical_columns=("code",))).columns
    assert columns.blocks[1].categories == ("1.234,5", "1.234,6")


@pytest.mark.parametrize(
    ("words", "categories"),
    [
        (["01234", "1234", "98765"], ("01234", "1234", "98765")),
        (["+1", "1"], ("+1", "1")),
        (["3.1", "3.10"], ("3.1", "3.10")),
        (["1" + "0" * 20, "1" + "0" * 19 + "1"], ("1" + "0" * 20, "1" + "0" * 19 + "1")),
        (["900000000000207008", "900000000000207010"], (900000000000207008, 900000000000207010)),
        (["10", "9", "-8"], (-8, 9, 10)),
        (["3", "3.0", "4.5"], (3, 4.5)),
        (["3.0", "4.0"], (3, 4)),
        (["true", "FALSE"], (False, True)),
    ],
)
def test_categories_are_told_apart_as_they_are_written(tmp_path, words, categories):
    place = tmp_path / "mine.csv"
    place.write_text("u,code\n" + "".join(f"{k},{words[k % len(words)]}\n" for k in range(40)))
    columns = load_table(place, TableReading(categorical_columns=("code",))).columns
    assert columns.blocks[1].categories == categories
    assert {*columns.decode(open_rows(place, columns))["code"]} == {*categories}


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (["01", "1", "02"], ("01", "02", "1")),
        (["10", "9"], ("9", "10")),
        (["3.0", "4"], ("3", "4")),
        (
            ["900000000000207010", "900000000000207008"],
            ("900000000000207008", "900000000000207010"),
        ),
    ],
)
def test_classes_are_told_apart_as_they_are_written(tmp_path, words, classes):
    place = tmp_path / "mine.csv"
    place.write_text("u,code\n" + "".join(f"{k},{words[k % len(words)]}\n" for k in range(40)))
    assert load_table(place, TableReading(label_column="code")).classes == classes


def test_measurements_are_no_classes_however_they_are_written(tmp_path):
    place = tmp_path / "mine.csv"
    place.write_text("u,code\n" + "1,0.50\n2,00.5\n3,1.5\n" * 9)
    with pytest.raises(
        ValueError, match=r"'code' holds 2 different values .*these name no classes"
    ):
        load_table(place, TableReading(label_column="code"))


def test_categories_may_have_commas(tmp_path):
    place = tmp_path / "mine.csv"
    place.write_text("u,pair\n" + '1,"1,2"\n2,"1,3"\n' * 9)
    columns = load_table(place, TableReading(categorical_columns=("pair",))).columns
    assert columns.blocks[1].categories == ("1,2", "1,3")


def test_columns_of_words_stay_so_where_a_file_has_but_numbers_in_them(tmp_path):
    columns = Columns.of({"u": [1.0, 2.0, 3.0], "zone": ["1", "2", "3a"]})
    (tmp_path / "new.csv").write_text("zone,u\n2,1\n1,2\n")
    rows = open_rows(tmp_path / "new.csv", columns)
    assert rows[:, -3:].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_measured_target_names_no_classes():
    with pytest.raises(ValueError, match=r"diabetes: column 'target' holds 214 different values"):
        from_table(frame_of("diabetes"), "diabetes", TableReading("target"))


@pytest.mark.parametrize(
    ("count", "rows", "are"), [(20, 20, True), (21, 105, True), (21, 100, False)]
)
def test_numbers_name_classes_if_they_are_few_or_come_often(count, rows, are):
    table = {"u": np.arange(rows) / 2, "code": np.arange(rows) % count}
    if are:
        classes = from_table(table, "mine", TableReading("code")).classes
        assert classes == tuple(map(str, range(count)))
    else:
        with pytest.raises(ValueError, match=f"{count} different values in {rows} rows"):
            from_table(table, "mine", TableReading("code"))


def test_what_is_no_parquet_is_told(tmp_path):
    place = tmp_path / "mine.parquet"
    place.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"mine.parquet cannot be read"):
        load_table(place)


def test_a_parquet_file_that_its_reader_dies_of_is_told(tmp_path, monkeypatch):
    place = tmp_path / "mine.parquet"
    polars.DataFrame({"a": range(9)}).write_parquet(place)
    dying = "import os, sys; print('out of memory', file=sys.stderr, flush=True); os.abort()"
    monkeypatch.setattr(parquet, "_READER", dying)
    with pytest.raises(ValueError, match=r"mine\.parquet .*: its reader died of it: out of memory"):
        load_table(place)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no process to its memory")
def test_a_parquet_file_that_unfolds_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "mine.parquet"
    polars.DataFrame({"a": np.zeros(3 * 10**7)}).write_parquet(place)
    assert place.stat().st_size < 10**5
    monkeypatch.setattr(parquet, "MOST", 2**30)  # the interpreter and polars take most of it
    with pytest.raises(ValueError, match=r"mine\.parquet cannot be read"):
        read_table(place)


def test_the_folder_that_one_is_in_holds_no_code_for_parquet(tmp_path, monkeypatch):
    polars.DataFrame({"a": range(9)}).write_parquet(tmp_path / "mine.parquet")
    (tmp_path / "polars.py").write_text("raise SystemExit('a stranger was here')")
    monkeypatch.chdir(tmp_path)
    assert len(read_table(tmp_path / "mine.parquet")) == 9


def test_the_index_that_pandas_keeps_in_parquet_is_no_column(tmp_path):
    frame = polars.DataFrame({"a": range(9), "__index_level_0__": range(9)})
    frame.write_parquet(tmp_path / "mine.parquet")
    assert len(load_table(tmp_path / "mine.parquet").columns.blocks) == 1


def test_brackets_in_a_name_are_no_pattern(tmp_path):
    for name, count in (("t1", 5), ("t[1]", 9)):
        polars.DataFrame({"a": range(count)}).write_parquet(tmp_path / f"{name}.parquet")
    assert len(read_table(tmp_path / "t[1].parquet")) == 9


def test_without_polars_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    (tmp_path / "mine.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"'polars'.*pip install polars$"):
        load_table(tmp_path / "mine.csv")


def test_flags_of_tables_are_refused_elsewhere(tmp_path):
    np.save(tmp_path / "p.npy", np.zeros((9, 8, 8), np.uint8))
    for data in ("digits", str(tmp_path / "p.npy")):
        with pytest.raises(ValueError, match="is no table: --label-column"):
            load(data, table=TableReading("target"))


def test_a_config_says_how_its_table_is_read(tmp_path, tiny):
    rows = [f"{k},{k % 3},{'xy'[k % 2]}" for k in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["id,zone,kind", *rows]))
    columns = {"categorical_columns": ("zone",), "ignore_columns": ("id",)}
    data = data_of(tiny(data=str(tmp_path / "t.csv"), label_column="kind", **columns))
    assert [(b.name, b.kind) for b in data.columns.blocks] == [("zone", "categorical")]
    assert data.classes == ("x", "y")


def test_a_run_knows_its_columns_and_what_changed(tmp_path, tiny, no_pictures):
    place = tmp_path / "wine.csv"
    frame_of("wine").to_csv(place, index=False)
    config = tiny(data=str(place), label_column="target", epochs=1)
    run = fit(config, tmp_path / "run")
    assert data_of(run.config).columns == run.columns == Run(run.folder).columns
    assert run.dataset().classes == ("class_0", "class_1", "class_2")
    frame = frame_of("wine")
    frame["alcohol"] *= 2
    frame.to_csv(place, index=False)
    with pytest.raises(ValueError, match=r"the columns of .*wine.csv are not what they were"):
        run.dataset()
