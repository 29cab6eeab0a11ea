"""Tables become rows and come back; what cannot is refused by column and row."""

import json

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aae.data.columns import MOST_CATEGORIES, Columns
from aae.data.frames import by_name

TABLE = {
    "age": np.array([20, 30, 40, 50]),
    "colour": ["red", "blue", "red", "green"],
    "height": np.array([1.5, 1.6, 1.7, 1.8]),
    "smokes": [True, False, False, True],
}
GAPS = {"age": [20, None, 40, 50], "colour": ["red", None, "red", "blue"]}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_cells_lie_as_said():
    columns = Columns.of(TABLE)
    assert [(b.name, b.kind, b.start, b.width) for b in columns.blocks] == [
        ("age", "numeric", 0, 1),
        ("colour", "categorical", 2, 3),
        ("height", "numeric", 1, 1),
        ("smokes", "categorical", 5, 2),
    ]
    rows = columns.encode(TABLE)
    assert (rows.dtype, rows.shape) == (np.float32, (4, columns.width))
    assert np.allclose(rows[:, :2].mean(0), 0, atol=1e-6)
    assert np.allclose(rows[:, :2].std(0), 1, atol=1e-6)
    assert rows[1, 2:].tolist() == [1, 0, 0, 1, 0]


def test_the_table_comes_back_in_its_units_and_order():
    table = Columns.of(TABLE).decode(Columns.of(TABLE).encode(TABLE))
    assert list(table) == list(TABLE)
    assert table["age"].tolist() == [20, 30, 40, 50]
    assert table["age"].dtype.kind == "i"
    assert np.allclose(table["height"], TABLE["height"])
    assert table["colour"].tolist() == TABLE["colour"]
    assert table["smokes"].tolist() == TABLE["smokes"]


def test_json_holds_all():
    columns = Columns.of({**TABLE, "grade": [1, 2, 1, 3]}, categorical=["grade"])
    again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert again == columns
    assert columns.decode(columns.encode({**TABLE, "grade": [1, 2, 1, 3]}))["grade"][3] == 3


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pandas.DataFrame,
        polars.DataFrame,
        lambda table: polars.DataFrame(table).lazy(),
        lambda table: pandas.DataFrame(table).astype({"colour": "category"}),
        lambda table: pandas.DataFrame(table).convert_dtypes(),
        lambda table: polars.DataFrame(table).cast({"colour": polars.Categorical}),
        lambda table: np.array(
            list(zip(*table.values(), strict=True)),
            dtype=[("age", int), ("colour", "U9"), ("height", float), ("smokes", bool)],
        ),
    ],
)
def test_all_frames_are_one(make):
    assert Columns.of(make(TABLE)) == Columns.of(TABLE)
    assert np.array_equal(Columns.of(TABLE).encode(make(TABLE)), Columns.of(TABLE).encode(TABLE))


def test_the_columns_of_an_array_are_numbered():
    assert [block.name for block in Columns.of(np.eye(3)).blocks] == ["0", "1", "2"]


def test_a_frames_categories_stay_what_they_are():
    frame = pandas.DataFrame({"grade": pandas.Categorical([3, 1, 3])})
    assert Columns.of(frame).blocks[0].categories == (1, 3)


@pytest.mark.parametrize("make", [dict, pandas.DataFrame, polars.DataFrame])
@pytest.mark.parametrize("missing", [[], [None]])
def test_whole_numbers_as_categories_are_told_apart_however_large(make, missing):
    codes = [900000000000207008, 900000000000207010, *missing]
    if make is pandas.DataFrame and missing:
        table = make({"code": pandas.array(codes, "Int64")})
    else:
        table = make({"code": codes})
    columns = Columns.of(table, categorical=["code"], missing="impute")
    assert columns.blocks[0].categories == tuple(codes[:2])
    columns = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert columns.decode(columns.encode(table))["code"][:2].tolist() == codes[:2]


def test_categories_as_large_as_128_bits_are_told_apart():
    codes = polars.DataFrame({"code": ["1" + "0" * 25, "1" + "0" * 24 + "1"]})
    table = codes.cast(polars.Int128)
    assert Columns.of(table, categorical=["code"]).blocks[0].categories == (10**25, 10**25 + 1)


def test_a_whole_number_is_one_category_whatever_its_type():
    columns = Columns.of({"grade": [3, 1]}, categorical=["grade"])
    assert columns.encode({"grade": [1.0, 3.0]}).tolist() == [[1, 0], [0, 1]]
    assert Columns.of({"grade": [3.0, 1.0]}, categorical=["grade"]) == columns


@pytest.mark.parametrize(
    "series",
    [
        pandas.Series([3, 1, 3], dtype="category"),
        polars.Series(["c", "a", "c"]).cast(polars.Categorical),
    ],
)
def test_categories_are_so_in_a_dict_and_in_a_frame(series):
    frame = type(series.to_frame())({"grade": series})
    columns = Columns.of({"grade": series})
    assert columns.blocks[0].kind == "categorical"
    assert columns == Columns.of(frame)


def test_means_are_those_of_training_rows_and_categories_of_all():
    columns = Columns.of(TABLE, train=np.array([0, 1]))
    age, colour = columns.blocks[:2]
    assert (age.mean, age.scale) == (25, 5)
    assert colour.categories == ("blue", "green", "red")


@pytest.mark.parametrize("make", [dict, pandas.DataFrame, polars.DataFrame])
def test_missing_values_are_refused_by_name_and_place(make):
    with pytest.raises(ValueError, match=r"'age' has 1 missing of 4 .* row 1: .*--missing impute"):
        Columns.of(make(GAPS))
    full = Columns.of({"age": [1, 2], "colour": ["red", "blue"]})
    with pytest.raises(ValueError, match=r"'colour' has 1 missing of 2 values, the first in row 1"):
        full.encode(make({"age": [1, 2], "colour": ["red", None]}))


@pytest.mark.parametrize("make", [dict, pandas.DataFrame, polars.DataFrame])
def test_missing_values_are_masked(make):
    columns = Columns.of(make(GAPS), missing="impute")
    rows = columns.encode(make(GAPS))
    assert rows[:, columns.masks].tolist() == [[0], [1], [0], [0]]
    assert rows[1].tolist() == [0, 1, 0, 0]
    assert columns.blocks[0].mean == pytest.approx(110 / 3)
    assert np.rint(columns.decode(rows)["age"]).tolist() == [20, 37, 40, 50]
    # A gap where the training rows had none is one as well.
    assert columns.encode({"age": [None], "colour": ["red"]})[0].tolist() == [0, 1, 0, 1]


def test_gaps_are_those_of_columns_by_their_names():
    columns = Columns.of({"a": [1, 2], "b": [3, 5]}, missing="impute")
    rows = columns.encode({"b": [5, None], "more": [0, 0], "a": [None, 1]})
    assert rows.tolist() == [[0, 1, 1, 0], [-1, 0, 0, 1]]
    known = [columns.known(block, rows).tolist() for block in columns.blocks]
    assert known == [[False, True], [True, False]]


def test_impute_is_another_layout_whatever_is_missing():
    columns = Columns.of(TABLE, missing="impute")
    assert columns.width == Columns.of(TABLE).width + 2
    assert not columns.encode(TABLE)[:, columns.masks].any()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a": [1.0, np.inf]}, r"'a' has 1 infinite values, the first in row 1"),
        ({"a": [1e200, -1e200]}, r"'a' has numbers as large as 1e\+200"),
        ({"a": [None, None]}, r"'a' has 2 missing"),
        ({"a": [1, -(10**400)]}, "'a' holds a number beyond 1.8e308 in row 1"),
        ({"a": [1, "x"]}, r"'a' mixes .*numbers \(1 in row 0\).*"),
        ({"a": [b"x"]}, r"'a' holds bytes, such as b'x' in row 0: .*--ignore-columns"),
        ({"a": [1, 2], "b": [1]}, r"not of one length: {'a': 2, 'b': 1}"),
        ({}, "empty"),
        ({"a": []}, "empty"),
        ({"a": np.eye(2)}, r"'a' is \[2, 2\]"),
        (
            {"smoker": "yes"},
            "'smoker' is a single value, 'yes': give a list, with a value for each",
        ),
        ({"b": [1], "age": 35}, "'age' is a single value, 35: give a list"),
        (np.zeros(3), r"an array \[3\] is no table"),
        ("text", "str is no table: give a pandas or polars frame"),
        ({"a": [str(k) for k in range(MOST_CATEGORIES + 1)]}, r"257 different values.*at most 256"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), r"name"),
        ({1: [1], "1": [2]}, r"two columns of the table have one name: 1, 1"),
        ({"a": [2**70, 1]}, r"'a' has whole numbers as large as 1\.18.*e\+21, the first in row 0"),
        ({"a": np.uint64([1, 2**63])}, r"in row 1, .*--ignore-columns, or take another unit"),
        (pandas.DataFrame({"a": pandas.to_datetime(["2020-01-01"])}), r"'a' holds Timestamps"),
    ],
)
def test_what_no_table_can_hold_is_refused(table, words):
    with pytest.raises(ValueError, match=words):
        Columns.of(table)


@pytest.mark.parametrize("unit", ["ns", "s", "D"])
@pytest.mark.parametrize(("kind", "word"), [("M8", "dates"), ("m8", "durations")])
def test_dates_are_no_numbers_however_fine(unit, kind, word):
    dates = np.array(["NaT", 7], f"{kind}[{unit}]")
    structured = np.zeros(2, [("a", dates.dtype), ("b", float)])
    structured["a"] = dates
    for table in ({"a": dates}, {"a": list(dates)}, structured):
        with pytest.raises(ValueError, match=rf"'a' holds {word}, .* in row 1: .*--ignore-columns"):
            by_name(table)


def test_whole_numbers_beyond_the_rows_stay_whole():
    ids = np.array([-(2**63), 0, 2**62, 2**63 - 2**10])
    columns = Columns.of({"id": ids})
    back = columns.decode(np.float32([[-9], [9]]))["id"]
    assert back.tolist() == [-(2**63), 2**63 - 2**10]


def test_numbers_beside_missing_ones_are_whole_if_they_all_are():
    given = {"a": [1.0, np.nan, 3.0], "b": [1.5, np.nan, 3.0], "c": [1.0, 2.0, 3.0]}
    given["d"] = [1e20, np.nan, 3.0]  # beyond 64 bits
    columns = Columns.of(given, missing="impute")
    back = columns.decode(columns.encode(given))
    assert [back[name].dtype.kind for name in given] == ["i", "f", "f", "f"]


def test_a_column_of_nothing_is_refused_even_if_imputed():
    for nothing in ([None, None], [np.nan, np.nan]):
        with pytest.raises(ValueError, match="'a' has no value to learn from"):
            Columns.of({"a": nothing}, missing="impute")


def test_a_constant_column_is_zero_and_comes_back():
    table = {"a": np.full(7, 0.1), "b": ["x"] * 7}
    columns = Columns.of(table)
    rows = columns.encode(table)
    assert not rows[:, 0].any()
    assert same(columns.decode(rows), {"a": table["a"], "b": np.array(["x"] * 7, object)})
    assert columns.encode({"a": [2.1], "b": ["x"]})[0, 0] == 2
    with pytest.raises(ValueError, match=r"beyond all measure where .* have 0\.1 throughout"):
        columns.encode({"a": [1e300], "b": ["x"]})


@pytest.mark.parametrize("value", [0.001, 3, -1e9])
def test_a_constant_column_comes_back_whatever_a_decoder_says(value):
    columns = Columns.of({"a": [value] * 5})
    columns = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    back = columns.decode(np.float32([[-0.7], [0.0], [0.7]]))["a"]
    assert back.tolist() == [value] * 3
    assert back.dtype.kind == ("i" if isinstance(value, int) else "f")


def test_columns_kept_before_constant_ones_were_told_are_the_same():
    columns = Columns.of({"a": [3, 3], "b": [1, 2]})
    kept = columns.to_json()
    for block in kept["blocks"]:
        del block["constant"]
    before = Columns.from_json(kept)
    assert before == columns
    assert before.encode({"a": [5], "b": [1]}).tolist() == [[2, -1]]


def test_the_cell_that_makes_words_of_a_column_is_named():
    columns = Columns.of({"age": [1, 2.5]})
    for words, told in ((["42", "1,5", "old"], "'old' in row 2"), (["42", "7"], "'42' in row 0")):
        with pytest.raises(ValueError, match=f"'age' holds {told}, and numbers where"):
            columns.encode({"age": words})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": ["mauve"]}, r"'colour' holds 'mauve' in row 0, .* they had blue, green, red"),
        ({"colour": [1]}, r"'colour' holds 1 in row 0"),
        ({"age": ["old"]}, r"'age' holds 'old' in row 0, and numbers where"),
        ({"age": [-np.inf]}, r"'age' has 1 infinite"),
        ({"age": [1e300]}, r"'age' holds 1e\+300 in row 0, beyond all measure"),
    ],
)
def test_a_new_table_must_fit(change, words):
    row = {"age": [1], "colour": ["red"], "height": [1.0], "smokes": [True], "more": ["passed by"]}
    columns = Columns.of(TABLE)
    assert columns.encode(row).shape == (1, columns.width)
    with pytest.raises(ValueError, match=words):
        columns.encode({**row, **change})
    del row["height"]
    with pytest.raises(ValueError, match=r"no column 'height'; it has age, colour, smokes, more"):
        columns.encode(row)


def test_an_unknown_categorical_column_is_refused():
    with pytest.raises(ValueError, match="no column is called 'agee'; there are age, colour"):
        Columns.of(TABLE, categorical=["agee"])


def test_categories_are_drawn_as_probable_as_said():
    columns = Columns.of({"colour": ["blue", "green", "red"]})
    rows = np.tile(np.float32([0.2, 0.0, 0.8]), (4000, 1))
    drawn = columns.decode(rows, np.random.default_rng(0))["colour"]
    assert {*drawn} == {"blue", "red"}
    assert np.mean(drawn == "red") == pytest.approx(0.8, abs=0.03)
    assert {*columns.decode(rows)["colour"]} == {"red"}
    assert same(columns.decode(rows, np.random.default_rng(0)), {"colour": drawn})


def test_a_missing_category_is_drawn_as_any():
    columns = Columns.of({"colour": ["blue", "green", None]}, missing="impute")
    rows = np.tile(columns.encode({"colour": [None]}), (300, 1))
    drawn = columns.decode(rows, np.random.default_rng(0))["colour"]
    assert {*drawn} == {"blue", "green"}


def test_rows_of_another_width_are_refused():
    columns = Columns.of(TABLE)
    with pytest.raises(ValueError, match=r"rows are \[2, 3\]; these columns need \[n, 7\]"):
        columns.decode(np.zeros((2, 3), np.float32))


@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6, allow_subnormal=False) | st.none(),
            st.sampled_from("abc") | st.none(),
            st.integers(-1000, 1000),
        ),
        min_size=1,
    )
)
def test_whatever_is_there_comes_back(rows):
    x, y, n = (list(column) for column in zip(*rows, strict=True))
    table = {"x": x, "y": y, "n": n}
    if all(v is None for v in x) or all(v is None for v in y):
        return
    columns = Columns.of(table, missing="impute")
    back = columns.decode(columns.encode(table))
    known = by_name(table)
    there = ~known["x"].missing
    scale = columns.blocks[0].scale
    assert np.allclose(back["x"][there], known["x"].values[there], atol=1e-5 * max(scale, 1e-12))
    assert [b for b, v in zip(back["y"], y, strict=True) if v] == [v for v in y if v]
    assert back["n"].tolist() == n
