"""Learning curves, read back from their artists."""

import math

import pytest

from aae import plots
from test_plots import words


def records(*metrics: str, epochs: int = 4, splits=("train",)):
    return [
        {"step": 10 * epoch, "epoch": epoch, "split": split, **dict.fromkeys(metrics, 1.0 + epoch)}
        for epoch in range(epochs)
        for split in splits
    ]


def test_panels_come_in_the_order_of_the_phases():
    given = ["images_per_second", "kl", "error", "generator_z", "learning_rate"]
    given += ["reconstruction", "discriminator_y", "classification", "discriminator_z"]
    titles = [axes.get_title("left") for axes in plots.learning_curves(records(*given)).axes]
    assert titles == [
        *("reconstruction", "discriminator y", "discriminator z", "generator z"),
        *("classification", "error", "kl", "learning rate", "images per second"),
    ]


def test_train_and_validation_share_a_panel():
    both = records("reconstruction", splits=("train", "validation"))
    both += [{"step": 40, "epoch": 4, "reconstruction": 9.0}]
    figure = plots.learning_curves(both)
    train, validation = figure.axes[0].get_lines()
    assert train.get_xydata().tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 9]]
    assert validation.get_xydata().tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert train.get_color() != validation.get_color()
    assert "validation" in words(figure)


def test_one_split_needs_no_legend():
    assert "train" not in words(plots.learning_curves(records("reconstruction"), title=None))


@pytest.mark.parametrize(
    ("metric", "value", "label"),
    [
        ("discriminator_z", 2 * math.log(2), "equilibrium 2 ln 2 = 1.386"),
        ("generator_y", math.log(2), "equilibrium ln 2 = 0.693"),
    ],
)
def test_the_equilibrium_is_drawn(metric, value, label):
    axes = plots.learning_curves(records(metric, epochs=2)).axes[0]
    dashed = [line for line in axes.get_lines() if line.is_dashed()]
    assert [line.get_ydata()[0] for line in dashed] == [value]
    assert axes.get_title("right") == label
    assert axes.get_ylim()[0] < value < axes.get_ylim()[1]


def test_other_panels_have_no_equilibrium():
    axes = plots.learning_curves(records("reconstruction")).axes[0]
    assert axes.get_title("right") == ""
    assert len(axes.get_lines()) == 1


def test_several_records_in_an_epoch_are_drawn_over_steps():
    lines = [{"step": k, "epoch": 0, "split": "train", "reconstruction": 1.0} for k in range(3)]
    axes = plots.learning_curves(lines).axes[0]
    assert axes.get_xlabel() == "step"
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2]
    assert plots.learning_curves(records("error")).axes[0].get_xlabel() == "epoch"


def test_what_is_not_a_number_is_passed_over(tmp_path):
    lines = records("reconstruction", epochs=2)
    lines[0] |= {"note": "text", "flag": True, "error": None}
    lines += [{"epoch": 2, "reconstruction": math.nan}, {"epoch": 3, "reconstruction": math.inf}]
    figure = plots.learning_curves(lines)
    assert [axes.get_title("left") for axes in figure.axes] == ["reconstruction"]
    plots.save(figure, tmp_path / "a.png")


@pytest.mark.parametrize("lines", [[], [{"step": 1, "epoch": 0, "split": "train"}]])
def test_records_without_metrics_are_refused(lines):
    with pytest.raises(ValueError, match=f"none of {len(lines)} records holds a metric"):
        plots.learning_curves(lines)


def test_error_curves_have_a_line_for_each_run_and_one_for_what_is_asked():
    rows = [
        plots.Errors("a hundred", "ours", [[(1, 0.5), (2, 0.25)], [(1, 0.4), (2, 0.2)]], 0.1),
        plots.Errors("a hundred", "theirs", [[(1, 0.6), (2, 0.3)]]),
        plots.Errors("all", "theirs", [[(1, 0.1), (2, 0.05)]]),
    ]
    figure = plots.error_curves(rows, ["ours", "theirs"], title="Errors")
    first, second = figure.axes
    assert [line.get_xydata().tolist() for line in first.get_lines()] == [
        [[1, 50], [2, 25]], [[1, 40], [2, 20]], [[0, 10], [1, 10]], [[1, 60], [2, 30]],
    ]  # fmt: skip
    ours, again, asked, theirs = first.get_lines()
    assert ours.get_color() == again.get_color() == asked.get_color() != theirs.get_color()
    assert asked.is_dashed()
    assert second.get_lines()[0].get_color() == theirs.get_color()
    assert (first.get_title("left"), second.get_title("left")) == ("a hundred", "all")
    assert first.get_yscale() == "log"
    assert "theirs" in words(figure)
