"""Figures: their bytes, their pixels, what they say and what they refuse."""

import itertools
import math
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from aae import plots
from aae.plots import style


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def words(figure: Figure) -> str:
    """Every word that the drawn figure shows."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def pixels(figure: Figure, folder) -> np.ndarray:
    return np.rint(imread(plots.save(figure, folder / "figure.png"))[..., :3] * 255).astype(int)


def contains(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether part lies in the picture somewhere, to the pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], part.shape[:2])
    corners = np.argwhere(windows[:, :, 0, 0] == part[0, 0, 0])
    height, width = part.shape[:2]
    return any((picture[y : y + height, x : x + width] == part).all() for y, x in corners)


def normal(limit: float, std: float = 1.0, steps: int = 101):
    line = np.linspace(-limit, limit, steps)
    x, y = np.meshgrid(line, line)
    return line, line, -(x**2 + y**2) / (2 * std**2)


# --- the whole


def test_neither_torch_nor_pyplot_is_imported():
    check = "import sys, aae.plots; print({'torch', 'matplotlib.pyplot'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_users_settings_are_left_alone_and_do_not_matter(rng, tmp_path):
    codes = rng.normal(size=(50, 2))
    usual = plots.save(plots.latent(codes), tmp_path / "usual.png").read_bytes()
    theirs = {"font.size": 20, "savefig.bbox": "tight", "axes.facecolor": "red", "figure.dpi": 40}
    with matplotlib.rc_context(theirs):
        assert plots.save(plots.latent(codes), tmp_path / "theirs.png").read_bytes() == usual
        assert matplotlib.rcParams["font.size"] == 20


# --- save


def test_save_repeats_its_bytes_and_leaves_nothing_beside(tmp_path):
    figure = plots.learning_curves([{"step": 1, "epoch": 0, "reconstruction": 30.0}])
    first = plots.save(figure, tmp_path / "new" / "a.png").read_bytes()
    plots.save(figure, tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").read_bytes() == first
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    assert b"Software" not in first
    assert b"tEXt" not in first


def test_a_failed_save_keeps_the_old_picture(tmp_path):
    class Broken(Figure):
        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError("disk full")

    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        plots.save(Broken(), tmp_path / "a.png")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.png": b"old"}


def test_save_refuses_other_formats(tmp_path):
    with pytest.raises(ValueError, match=r"not 'a.jpg': name it a.png"):
        plots.save(Figure(), tmp_path / "a.jpg")


# --- tiles


def test_tile_places_images_in_rows_between_lines(rng):
    images = rng.random((5, 3, 4, 6))
    tiled = plots.tile(images, 3)
    assert tiled.shape == (2 * 5 + 1, 3 * 7 + 1, 3)
    for k in range(5):
        top, left = 1 + k // 3 * 5, 1 + k % 3 * 7
        assert (tiled[top : top + 4, left : left + 6] == images[k].transpose(1, 2, 0)).all()
    assert (tiled[0] == tiled[0, 0]).all()
    assert 0 < tiled[0, 0, 0] < 1
    assert (tiled[6:, 16:] == 1).all(), "a place without an image is white"


def test_tile_scales_by_repeating_pixels(rng):
    images = rng.random((1, 1, 2, 2))
    scaled = plots.tile(images, 1, scale=3)
    assert (scaled[1:-1, 1:-1, 0] == np.kron(images[0, 0], np.ones((3, 3)))).all()


def test_tile_does_not_reserve_columns_that_no_image_fills():
    assert plots.tile(np.zeros((2, 1, 4, 4)), 10).shape == (6, 11, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28)), r"got \(2, 28, 28\)"),
        (np.zeros((2, 2, 8, 8)), r"got \(2, 2, 8, 8\)"),
        (np.zeros((0, 1, 8, 8)), r"got \(0, 1, 8, 8\)"),
        (np.full((1, 1, 8, 8), 255, np.uint8), "uint8 from 255 to 255: divide uint8 by 255"),
        (np.full((1, 1, 8, 8), -1.0), "from -1 to -1"),
        (np.full((1, 1, 8, 8), np.nan), "from nan to nan"),
    ],
)
def test_images_that_cannot_be_drawn_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        plots.tile(images, 1)
    with pytest.raises(ValueError, match=message):
        plots.grid(images, columns=1)


@pytest.mark.parametrize(("columns", "scale"), [(0, 1), (1, 0)])
def test_columns_and_scale_must_be_positive(columns, scale):
    with pytest.raises(ValueError, match=f"got {columns} and {scale}"):
        plots.tile(np.zeros((1, 1, 4, 4)), columns, scale=scale)


@pytest.mark.parametrize("channels", [1, 3])
def test_write_tiles_writes_the_tiled_pixels(rng, tmp_path, channels):
    images = rng.random((6, channels, 5, 5))
    written = imread(plots.write_tiles(images, tmp_path / "new" / "a.png", 3))[..., :3]
    tiled = np.broadcast_to(plots.tile(images, 3), written.shape)
    assert np.abs(written - tiled).max() <= 0.5 / 255 + 1e-6
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize(
    ("shape", "columns", "scale"),
    [((400, 1, 28, 28), 20, 2), ((9, 3, 32, 32), 3, 8), ((40, 1, 8, 8), 20, 7)],
)
def test_grid_shows_every_image_pixel_as_a_whole_square(rng, tmp_path, shape, columns, scale):
    images = rng.integers(0, 256, shape) / 255
    figure = plots.grid(images, columns=columns, title="Samples")
    tiled = np.rint(plots.tile(images, columns, scale=scale) * 255).astype(int)
    picture = pixels(figure, tmp_path)
    assert contains(picture, np.broadcast_to(tiled, (*tiled.shape[:2], 3)))


def test_grid_keeps_its_words_inside_the_figure():
    figure = plots.grid(
        np.zeros((6, 1, 8, 8)),
        columns=3,
        title="A title that is a good deal wider than the tiles",
        row_labels=["short", "a long label of a row"],
        column_labels=["0", "1", "a long label of a column"],
    )
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    for text, box in zip(figure.texts, boxes, strict=True):
        assert box.x0 >= 0, text.get_text()
        assert box.y0 >= 0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
        assert box.y1 <= figure.bbox.y1, text.get_text()
        assert not box.overlaps(figure.axes[0].get_window_extent()), text.get_text()
    assert len(figure.texts) == 6


def test_row_labels_stand_beside_their_rows():
    figure = plots.grid(np.zeros((4, 1, 8, 8)), columns=2, row_labels=["above", "below"])
    figure.canvas.draw()
    tiles = figure.axes[0].get_window_extent()
    above, below = (text.get_window_extent() for text in figure.texts)
    for box, share in ((above, 0.75), (below, 0.25)):
        middle = (box.y0 + box.y1) / 2
        assert middle == pytest.approx(tiles.y0 + share * tiles.height, abs=4)


def test_dollars_in_labels_are_dollars():
    figure = plots.grid(np.zeros((1, 1, 8, 8)), columns=1, title="$x$", row_labels=["$y"])
    assert not any(text.get_parse_math() for text in figure.texts)


@pytest.mark.parametrize("which", ["row_labels", "column_labels"])
def test_grid_refuses_a_wrong_number_of_labels(which):
    with pytest.raises(ValueError, match=f"{which} must be 2 for this grid, got 3"):
        plots.grid(np.zeros((4, 1, 8, 8)), columns=2, **{which: ["a", "b", "c"]})


def test_reconstructions_stand_below_their_originals(rng, tmp_path):
    original, seen, back = rng.integers(0, 256, (3, 5, 1, 8, 8)) / 255
    picture = pixels(plots.reconstructions(original, back, inputs=seen, columns=3), tmp_path)
    rows = [(part[row]) for row in (slice(0, 3), slice(3, 5)) for part in (original, seen, back)]
    found = []
    for row in rows:
        tiled = np.rint(plots.tile(row, 3, scale=8) * 255).astype(int)[4:-4, 4:-4]
        tops = [
            top
            for top in range(picture.shape[0] - tiled.shape[0])
            if contains(picture[top : top + tiled.shape[0]], np.repeat(tiled, 3, axis=-1))
        ]
        assert len(tops) == 1
        found += tops
    assert found == sorted(found), "original, input, reconstruction, then the next images"


def test_reconstructions_name_their_rows():
    images = np.zeros((3, 1, 8, 8))
    assert words(plots.reconstructions(images, images, columns=2)).split() == (
        ["original", "reconstruction"] * 2
    )
    assert "input" in words(plots.reconstructions(images, images, inputs=images))


def test_reconstructions_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"one shape, got .*\(3, 1, 8, 8\).*\(2, 1, 8, 8\)"):
        plots.reconstructions(np.zeros((3, 1, 8, 8)), np.zeros((2, 1, 8, 8)))


# --- codes


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
    codes = np.array([[0.0]] * 9 + [[50.0]])
    axes = plots.code_histograms(codes, rng.normal(size=(10_000, 1))).axes[0]
    _, drawn = axes.patches
    low, high = axes.get_xlim()
    assert high < 5
    shares = drawn.get_xy()[1:-1:2, 1] * (high - low) / 40
    assert shares[-1] == pytest.approx(0.1), "what lies beyond is in the last bin"
    assert shares.sum() == pytest.approx(1)


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


# --- learning curves


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
