"""Figures of tables, read back from their artists; and the distances that they show."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from aae import gallery, plots
from aae.build import build
from aae.data import Columns, column_distances, dataset_of
from aae.data.tables import TableReading
from aae.splits import Splits

RNG = np.random.default_rng(0)


def table(count, shift=0.0):
    return {
        "size": RNG.normal(shift, 1, count),
        "kind": np.array(["a", "b", "c"], object)[RNG.choice(3, count, p=[0.5, 0.3, 0.2])],
    }


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_pairs_draws_every_pair_of_columns_of_both_tables():
    real, made = table(200), table(150, shift=1)
    figure = plots.pairs(real, made, title="Both")
    assert len(panels(figure)) == 4 + 2  # on the diagonal, one more for heights
    by_both = panels(figure)[1]  # size over kind
    first, second = (c.get_offsets() for c in by_both.collections)
    assert (len(first), len(second)) == (200, 150)
    assert np.allclose(first[:, 1], real["size"])
    kinds = np.array(["a", "b", "c"])[np.rint(first[:, 0]).astype(int)]
    assert (kinds == real["kind"]).all()
    low, high = panels(figure)[0].get_xlim()
    far = sum(((t["size"] < low) | (t["size"] > high)).sum() for t in (real, made))
    note = {0: [], 1: ["1 row outside"]}.get(far, [f"{far} rows outside"])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["real", "generated", *note]
    shares = [bar.get_height() for bar in panels(figure)[-1].patches]
    assert np.allclose(shares[:3], [np.mean(real["kind"] == k) for k in "abc"])
    assert np.allclose(shares[3:], [np.mean(made["kind"] == k) for k in "abc"])


def test_pairs_leaves_out_what_is_missing_and_what_is_too_much():
    real = {str(k): RNG.normal(size=50) for k in range(9)}
    real["0"][:10] = np.nan
    figure = plots.pairs(real, {name: values + 1 for name, values in real.items()})
    assert len(panels(figure)) == 36 + 6
    assert np.isfinite(panels(figure)[0].get_xlim()).all()
    assert figure.legends[0].get_texts()[-1].get_text() == "first 6 of 9 columns"


def test_pairs_says_how_many_rows_lie_outside():
    values = RNG.normal(size=1000)
    kind = np.array(["a"] * 1000, object)
    far = values.copy()
    far[[3, 5]] = [1e6, np.nan]
    for real, made, words in (
        ({"x": values, "y": values, "kind": kind}, {"x": far, "y": values, "kind": kind}, "1 row"),
        ({"x": far, "y": far, "kind": kind}, {"x": far, "y": values, "kind": kind}, "2 rows"),
    ):
        figure = plots.pairs(real, made)
        *labels, note = (text.get_text() for text in figure.legends[0].get_texts())
        assert (labels, note) == (["real", "generated"], f"{words} outside")
    even = {"x": np.linspace(0, 1, 1000)}
    for table in (even, {"kind": kind}):
        (legend,) = plots.pairs(table, table).legends
        assert [text.get_text() for text in legend.get_texts()] == ["real", "generated"]


def test_shares_of_categories_are_of_what_is_there():
    real = {"kind": np.array(["a", None, "b", "a", "a"], object)}
    made = {"kind": np.array(["b", "b", "a", None, None], object)}
    shares = [bar.get_height() for bar in panels(plots.pairs(real, made))[-1].patches]
    assert shares == pytest.approx([3 / 4, 1 / 4, 1 / 3, 2 / 3])


def test_the_first_row_of_pairs_has_its_own_numbers():
    first, second, *_ = panels(plots.pairs(table(200), table(150)))
    assert first.get_ylim() == second.get_ylim()
    assert first.yaxis.get_tick_params()["labelleft"]
    assert not second.yaxis.get_tick_params()["labelleft"]


def test_names_of_categories_do_not_run_into_each_other():
    cities = ["Bern", "Köln", "New York", "Sankt Petersburg"]
    real = {k: np.array(cities, object) for k in ("city", "home")} | {"size": np.arange(4.0)}
    figure = plots.pairs(real, real)
    figure.canvas.draw()
    names = panels(figure)[6].get_xticklabels()
    assert [name.get_text() for name in names] == [*cities[:3], "Sankt Pete…"]
    boxes = [name.get_window_extent() for name in names]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    few = plots.pairs(table(9), table(9))
    assert {name.get_rotation() for name in panels(few)[3].get_xticklabels()} == {0}


def test_pairs_of_other_columns_or_of_nothing_are_refused():
    for made in ({"size": np.zeros(3)}, {k: v[:0] for k, v in table(3).items()}):
        with pytest.raises(ValueError, match="two tables of the same columns"):
            plots.pairs(table(3), made)


def test_a_bar_is_as_long_as_the_distance():
    made, held_out = {"size": 0.25, "kind": 0.5, "none": np.nan}, {"size": 0.1, "kind": 0.2}
    figure = plots.column_distances(made, held_out, ["kind"])
    (axes,) = panels(figure)
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.5]
    assert list(axes.lines[0].get_xdata()) == [0.1, 0.2]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["size", "kind"]
    with pytest.raises(ValueError, match="no distance"):
        plots.column_distances({"none": np.nan}, {})


def test_bars_of_many_columns_are_of_the_farthest():
    made = {str(k): 0.1 * (k % 70) for k in range(200)}
    axes = plots.column_distances(made, {}).axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert len(names) == 60
    assert names == sorted(names, key=int)
    assert min(made[name] for name in names) == pytest.approx(4.6)
    assert axes.get_xlabel().endswith("the farthest 60 of 200 columns")


def test_nothing_known_among_generated_rows_is_nothing_drawn():
    real, gone = {"x": RNG.normal(size=50)}, {"x": np.full(50, np.nan)}
    assert len(panels(plots.pairs(real, gone))[-1].patches) == 1  # of the real rows


def test_distances_are_those_of_the_definitions():
    columns = Columns.of(table(300), missing="impute")
    a, b = (columns.encode(t) for t in (table(400), table(400, shift=3)))
    found = column_distances(columns, a, b)
    moved = np.sort(a[:, 0]) - np.sort(b[:, 0])
    assert found["size"] == pytest.approx(np.abs(moved).mean(), rel=1e-5)
    apart = np.abs(a[:, 2:].mean(0) - b[:, 2:].mean(0)).sum() / 2
    assert found["kind"] == pytest.approx(apart, rel=1e-5)
    assert set(column_distances(columns, a, a).values()) == {0.0}


def test_what_is_missing_has_no_part_in_a_distance():
    columns = Columns.of({"x": [0.0, 2.0], "k": ["a", "b"]}, missing="impute")
    full = columns.encode({"x": [0.0, 2.0], "k": ["a", "b"]})
    gaps = columns.encode({"x": [0.0, None, 2.0], "k": ["a", None, "b"]})
    assert column_distances(columns, full, gaps) == {"x": 0.0, "k": 0.0}
    nothing = columns.encode({"x": [None], "k": ["a"]})
    assert np.isnan(column_distances(columns, full, nothing)["x"])


def test_the_gallery_of_a_table(tiny):
    rows = table(200)
    rows["size"][:20] = np.nan
    data = dataset_of(rows, reading=TableReading(missing="impute"))
    config = tiny()
    model = build(config, data.shape, 0, torch.Generator().manual_seed(0), columns=data.columns)
    splits = Splits.of(config, data)
    figures = gallery.of_table(data.columns, model.eval(), splits)
    assert list(figures) == ["pairs", "columns"]
    (axes,) = panels(figures["columns"])
    train, held_out = splits.train.images, splits.validation.images
    expected = column_distances(data.columns, held_out, train)
    assert list(axes.lines[0].get_xdata()) == pytest.approx(list(expected.values()))
    again = gallery.of_table(data.columns, model, splits)
    for name, figure in figures.items():
        points, same = (
            [c.get_offsets().tolist() for axes in panels(each) for c in axes.collections]
            for each in (figure, again[name])
        )
        assert repr(points) == repr(same)


def test_real_rows_keep_their_gaps_and_generated_categories_are_drawn(tiny, monkeypatch):
    rows, seen, config = table(200), {}, tiny()
    rows["size"][:20] = np.nan
    data = dataset_of(rows, reading=TableReading(missing="impute"))
    model = build(config, data.shape, 0, torch.Generator().manual_seed(0), columns=data.columns)

    def pairs(real, made, *, title):
        seen.update(real=real, made=made)
        return Figure()

    alike = torch.full((500, data.columns.width), 0.5)
    monkeypatch.setattr(plots, "pairs", pairs)
    monkeypatch.setattr("aae.inference.sample", lambda *_: alike)
    splits = Splits.of(config, data)
    gallery.of_table(data.columns, model.eval(), splits)
    gone = splits.train.images[:, data.columns.masks][:, 0] == 1
    assert gone.any()
    assert np.array_equal(np.isnan(seen["real"]["size"]), gone)
    assert set(seen["made"]["kind"]) == {"a", "b", "c"}
