"""Scatters and histograms of codes, read back from their artists and pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from aae import plots
from aae.plots import style
from test_plots import words


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal(limit: float, std: float = 1.0, steps: int = 101):
    line = np.linspace(-limit, limit, steps)
    x, y = np.meshgrid(line, line)
    return line, line, -(x**2 + y**2) / (2 * std**2)


def test_latent_draws_each_code_in_the_colour_of_its_class():
    codes = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    figure = plots.latent(codes, [2, -1, 0, 2])
    (points,) = figure.axes[0].collections
    drawn = {
        tuple(place): to_hex(colour)
        for place, colour in zip(points.get_offsets().data, points.get_facecolors(), strict=True)
    }
    assert drawn == {
        (0.0, 0.0): style.CLASSES[2],
        (1.0, 0.0): style.NO_LABEL,
        (0.0, 1.0): style.CLASSES[0],
        (1.0, 1.0): style.CLASSES[2],
    }
    assert tuple(points.get_offsets().data[0]) == (1.0, 0.0), "codes without a label lie below"
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["0", "2", "no label"]


def test_latent_names_classes():
    figure = plots.latent(np.zeros((2, 2)), [1, 0], names=("Trouser", "Coat"))
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["Trouser", "Coat"]


def test_latent_without_labels_or_prior_has_no_legend(rng):
    assert plots.latent(rng.normal(size=(9, 2))).axes[0].get_legend() is None


def test_colours_are_distinct_for_any_number_of_classes(rng):
    for count in (10, 25):
        (points,) = plots.latent(rng.normal(size=(count, 2)), np.arange(count)).axes[0].collections
        assert len({to_hex(colour) for colour in points.get_facecolors()}) == count


@pytest.mark.parametrize("classes", [2, 10, 60])
def test_the_frame_is_square_and_the_legend_inside_the_figure(rng, classes):
    labels = np.arange(120) % classes
    figure = plots.latent(rng.normal(size=(120, 2)), labels, density=normal(4), title="Codes")
    figure.canvas.draw()
    axes = figure.axes[0]
    frame, legend = axes.get_window_extent(), axes.get_legend().get_window_extent()
    assert frame.width == pytest.approx(frame.height, abs=1e-6)
    assert axes.get_xlim() == axes.get_ylim() == (-3.5, 3.5)
    assert frame.x1 < legend.x0 + 1
    assert legend.x1 <= figure.bbox.x1
    assert legend.y0 >= 0


def test_codes_outside_of_the_frame_are_counted(rng):
    codes = np.zeros((1200, 2))
    codes[:7, 1] = -4.0
    codes[7, 0] = np.nan
    assert "outside" not in words(plots.latent(np.zeros((9, 2))))
    shown = words(plots.latent(codes))
    assert "outside the frame: 7 of 1,200 codes" in shown
    assert "not finite: 1 of 1,200 codes" in shown


@pytest.mark.parametrize(("std", "expected"), [(1.0, 3.5), (2.0, 6.3)])
def test_the_frame_grows_only_where_the_prior_needs_it(std, expected):
    figure = plots.latent(np.zeros((3, 2)), density=normal(5 * std, std, steps=501))
    assert figure.axes[0].get_xlim()[1] == pytest.approx(expected, rel=0.02)


def test_without_a_limit_the_frame_holds_all_codes():
    figure = plots.latent([[0.1, -9.0], [2.0, 3.0]], limit=None)
    assert figure.axes[0].get_xlim() == pytest.approx((-9.45, 9.45))
    assert "outside" not in words(figure)


def test_the_shading_of_a_gaussian_lies_at_one_two_and_three_deviations():
    figure = plots.latent(np.zeros((1, 2)), density=normal(5, steps=501))
    contours = figure.axes[0].collections[0]
    # Regions between levels: the outermost ring's radius is 3, the innermost disc's is 1.
    radii = [np.linalg.norm(path.vertices, axis=1).max() for path in contours.get_paths()]
    assert radii == pytest.approx([3, 2, 1], abs=0.03)


def test_a_flat_prior_has_a_shape():
    x, y, _ = normal(4, steps=81)
    inside = np.maximum(np.abs(x[None]), np.abs(y[:, None])) <= 1
    figure = plots.latent(np.zeros((1, 2)), density=(x, y, np.where(inside, 0.0, -np.inf)))
    (path,) = figure.axes[0].collections[0].get_paths()
    assert np.abs(path.vertices).max() == pytest.approx(1, abs=0.11)


def test_a_prior_of_two_plateaus_has_two_regions():
    x, y, _ = normal(4, steps=81)
    distance = np.maximum(np.abs(x[None]), np.abs(y[:, None]))
    log_p = np.where(distance <= 1, 0.0, np.where(distance <= 2, -3.0, -np.inf))
    figure = plots.latent(np.zeros((1, 2)), density=(x, y, log_p))
    colours = [to_hex(colour) for colour in figure.axes[0].collections[0].get_facecolors()]
    assert colours == style.PRIOR[-2:]


def test_density_rows_run_along_y():
    x, y = np.linspace(-3, 3, 61), np.linspace(-3, 3, 41)
    log_p = -((x[None] - 1) ** 2) / 0.02 - (y[:, None] + 2) ** 2 / 0.02
    figure = plots.latent(np.zeros((1, 2)), density=(x, y, log_p))
    path = figure.axes[0].collections[0].get_paths()[0]
    assert path.vertices.mean(axis=0) == pytest.approx([1, -2], abs=0.2)


def test_latent_draws_no_codes_too():
    assert "prior" in words(plots.latent(np.zeros((0, 2)), density=normal(4)))


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.zeros((3, 8)), {}, "2 dimensions, not 8: use code_histograms"),
        (np.zeros(3), {}, r"shape \(3,\)"),
        (np.zeros((3, 2)), {"labels": [0, 1]}, "3 codes need 3 labels"),
        (np.zeros((2, 2)), {"labels": [0, -2]}, "labels of -1 or more"),
        (np.zeros((2, 2)), {"labels": [0, 2], "names": ["a", "b"]}, "label 2 has no name"),
        (np.zeros((2, 2)), {"density": (np.zeros(3), np.zeros(4), np.zeros((3, 4)))}, "density"),
        (np.zeros((2, 2)), {"density": (np.ones(2), np.ones(2), np.full((2, 2), -np.inf))}, "fin"),
    ],
)
def test_latent_refuses_other_shapes(codes, options, message):
    with pytest.raises(ValueError, match=message):
        plots.latent(codes, **options)


def test_histograms_show_each_dimension_of_codes_and_prior(rng):
    codes = rng.normal(size=(400, 3)) * 0.1 + [0.0, 1.0, -1.0]
    figure = plots.code_histograms(codes, rng.normal(size=(900, 3)), title="Codes")
    assert [axes.get_title() for axes in figure.axes] == ["z₁", "z₂", "z₃"]
    for axes, centre in zip(figure.axes, (0.0, 1.0, -1.0), strict=True):
        prior, drawn = axes.patches
        assert prior.get_label() == "prior"
        assert drawn.get_label() == "codes"
        corners = drawn.get_xy()
        assert corners[corners[:, 1].argmax(), 0] == pytest.approx(centre, abs=0.3)
    shown = words(figure)
    assert "prior" in shown
    assert "codes" in shown


def test_histograms_hide_no_value(rng):
    codes = np.array([[0.0]] * 999 + [[50.0]])
    axes = plots.code_histograms(codes, rng.normal(size=(10_000, 1))).axes[0]
    _, drawn = axes.patches
    low, high = axes.get_xlim()
    assert high < 5
    shares = drawn.get_xy()[1:-1:2, 1] * (high - low) / 40
    assert shares[-1] == pytest.approx(0.001), "what lies beyond is in the last bin"
    assert shares.sum() == pytest.approx(1)


def test_each_dimension_has_its_values_on_the_axis(rng):
    codes = rng.normal(size=(1000, 5)) * [1, 1, 1, 1, 3]
    axes = plots.code_histograms(codes, rng.normal(size=(1000, 5))).axes[4]
    _, drawn = axes.patches
    low, high = axes.get_xlim()
    shares = drawn.get_xy()[1:-1:2, 1] * (high - low) / 40
    assert max(shares[0], shares[-1]) < 0.01


def test_histograms_have_room_for_few_codes_beside_many_samples(rng):
    axes = plots.code_histograms(np.array([[7.0], [9.0]]), rng.normal(size=(10_000, 1))).axes[0]
    assert axes.get_xlim()[1] == pytest.approx(9, abs=0.1)


def test_histograms_say_how_many_dimensions_are_left_out(rng):
    figure = plots.code_histograms(rng.normal(size=(20, 60)), rng.normal(size=(20, 60)))
    assert len(figure.axes) == 24
    assert "first 24 of 60 dimensions" in words(figure)


@pytest.mark.parametrize(
    ("codes", "prior", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), "codes have 3 dimensions, prior_samples 2"),
        (np.zeros((0, 2)), np.zeros((4, 2)), "one or more of each"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), "all finite"),
    ],
)
def test_histograms_refuse_other_arrays(codes, prior, message):
    with pytest.raises(ValueError, match=message):
        plots.code_histograms(codes, prior)
