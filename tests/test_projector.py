"""What TensorBoard's projector is given, read as it reads it."""

import warnings

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from aae import projector
from aae.inference import encode
from aae.observers import Painter
from aae.run import Run
from aae.splits import Part, Splits

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig


def shown(folder):
    """The one embedding of a folder: codes, labels, thumbnails."""
    text = (folder / "projector_config.pbtxt").read_text()
    (about,) = text_format.Parse(text, ProjectorConfig()).embeddings
    codes = np.loadtxt(folder / about.tensor_path, delimiter="\t", ndmin=2)
    labels = about.metadata_path and (folder / about.metadata_path).read_text().splitlines()
    if not about.sprite.image_path:
        return codes, labels, None
    width, height = about.sprite.single_image_dim
    sheet = np.asarray(Image.open(folder / about.sprite.image_path))
    across = sheet.shape[1] // width
    assert across * height == sheet.shape[0]
    tiles = sheet.reshape(across, height, across, width, 3).swapaxes(1, 2)
    return codes, labels, tiles.reshape(-1, height, width, 3)


def test_a_run_shows_its_held_out_codes(tiny_run, digits):
    codes, labels, thumbnails = shown(tiny_run.folder)
    part = Splits.of(tiny_run.config, digits).validation
    assert labels == [digits.classes[k] for k in part.labels]
    expected = encode(tiny_run.model(), part.images).mean.numpy()
    assert np.allclose(codes, expected, atol=1e-3)
    for k in (0, 50, len(labels) - 1):
        assert (thumbnails[k] == np.asarray(part.images[k])[0][..., None]).all()


def test_a_code_without_a_label_is_of_no_class(tiny, digits, tmp_path):
    run = Run.create(tmp_path / "run", tiny(), digits)
    part = Part(digits.train_images[:3], np.array([1, -1, 0]))
    Painter(run, None, None)._projector(run.new_model().eval(), part)
    assert shown(run.folder)[1] == ["1", "?", "0"]


@pytest.mark.parametrize(
    ("shape", "size"), [((1, 28, 28), (28, 28)), ((3, 64, 96), (21, 32)), ((1, 2, 200), (1, 32))]
)
def test_thumbnails_are_small(tmp_path, shape, size):
    pictures = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None, None] * np.ones(shape, "f4")
    projector.write(tmp_path, np.zeros((7, 2), "f4"), None, pictures)
    codes, labels, thumbnails = shown(tmp_path)
    assert (codes.shape, labels) == ((7, 2), "")
    assert thumbnails.shape == (9, *size, 3)
    assert thumbnails[:7, 0, 0, 0].tolist() == [0, 42, 85, 128, 170, 212, 255]


def test_rows_have_no_thumbnails_and_words_no_breaks(tmp_path):
    projector.write(tmp_path, np.eye(3, dtype=np.float32), ["a\tb", "", "c\nd"])
    codes, labels, thumbnails = shown(tmp_path)
    assert (codes == np.eye(3)).all()
    assert labels == ["a b", "?", "c d"]
    assert thumbnails is None
