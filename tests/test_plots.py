"""Figures: their bytes, their pixels, what they say and what they refuse."""

import itertools
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from aae import plots


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


def test_characters_that_no_font_has_are_boxes_without_a_warning(tmp_path):
    figure = plots.grid(
        np.zeros((1, 1, 8, 8)), columns=1, row_labels=["\U000f0000"], title="\U000f0001"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.grid(np.zeros((1, 1, 8, 8)), columns=1, row_labels=["\U000f0002"])
        plots.save(figure, tmp_path / "boxes.png")


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
        (np.zeros((2, 0, 8, 8)), r"got \(2, 0, 8, 8\)"),
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
    assert len(figure.texts) == 3


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


def test_grid_refuses_a_wrong_number_of_labels():
    with pytest.raises(ValueError, match="row_labels must be 2 for this grid, got 3"):
        plots.grid(np.zeros((4, 1, 8, 8)), columns=2, row_labels=["a", "b", "c"])


def test_reconstructions_stand_below_their_originals(rng, tmp_path):
    original, back = rng.integers(0, 256, (2, 5, 1, 8, 8)) / 255
    picture = pixels(plots.reconstructions(original, back, columns=3), tmp_path)
    rows = [(part[row]) for row in (slice(0, 3), slice(3, 5)) for part in (original, back)]
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
    assert found == sorted(found), "original, reconstruction, then the next images"


def test_reconstructions_name_their_rows():
    images = np.zeros((3, 1, 8, 8))
    assert words(plots.reconstructions(images, images, columns=2)).split() == (
        ["original", "reconstruction"] * 2
    )


def test_reconstructions_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"one shape, got .*\(3, 1, 8, 8\).*\(2, 1, 8, 8\)"):
        plots.reconstructions(np.zeros((3, 1, 8, 8)), np.zeros((2, 1, 8, 8)))
