"""Rows of real features go the way that pictures go."""

import json

import numpy as np
import pytest
import torch

from aae import inference
from aae.build import VARIANTS, build
from aae.data import Dataset
from aae.evaluate import evaluate
from aae.fit import fit, resume
from aae.pixels import from_model, to_model, within
from aae.run import Run
from aae.run_report import write_report
from aae.splits import Splits

FEATURES, CLASSES = 5, 3


def make_rows(count, seed=0):
    """Three clouds of points on a plane in five dimensions, far from the unit cube."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    flat = rng.standard_normal((count, 2)) + 3 * np.eye(CLASSES, 2)[labels]
    rows = flat @ np.linspace(-2, 2, 2 * FEATURES).reshape(2, FEATURES) + 7
    return rows.astype(np.float32), labels


@pytest.fixture(scope="module")
def rows():
    """A data set of rows."""
    return Dataset("rows", ("a", "b", "c"), *make_rows(200), *make_rows(50, seed=1))


def test_a_data_set_of_rows(rows):
    assert rows.shape == (FEATURES,)
    assert rows.sample(most_bytes=1).train_images is rows.train_images


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_must_be_finite(rows, value):
    spoilt = rows.train_images.copy()
    spoilt[[3, 8], 1] = value
    with pytest.raises(ValueError, match=r"2 rows hold a feature that is not finite, .* row 3"):
        Dataset("rows", rows.classes, spoilt, rows.train_labels, spoilt, rows.train_labels)


@pytest.mark.parametrize("kind", [np.float64, np.uint8, np.int64])
def test_features_must_be_single_precision(rows, kind):
    wrong = rows.train_images.astype(kind)
    with pytest.raises(ValueError, match=r"images are .* rows of features float32 \[n, d\]"):
        Dataset("rows", rows.classes, wrong, rows.train_labels, wrong, rows.train_labels)


def test_training_and_test_must_be_of_one_kind(rows, digits):
    with pytest.raises(ValueError, match="must have one shape and type"):
        Dataset(
            "rows", digits.classes, rows.train_images, rows.train_labels,
            digits.test_images, digits.test_labels,
        )  # fmt: skip


def test_features_are_not_scaled_and_pixels_are(rows, digits):
    x = torch.from_numpy(rows.train_images)
    assert torch.equal(to_model(x), x)
    assert torch.equal(from_model(x), x)
    assert torch.equal(within(x), x)
    pixels = torch.from_numpy(digits.train_images[:9])
    y = to_model(pixels)
    assert (y.min(), y.max()) == (-1, 1)
    assert torch.allclose(from_model(y), pixels / 255)
    assert torch.equal(within(3 * y), (3 * y).clamp(-1, 1))


@pytest.mark.parametrize("model", VARIANTS)
def test_every_variant_gives_rows_without_bounds(model, tiny):
    labels = 0 if model == "cluster" else "all"
    config = tiny(model=model, labels=labels)
    built = build(config, (FEATURES,), CLASSES, torch.Generator().manual_seed(0))
    with torch.no_grad():
        pixels = next(m for name, m in built.named_modules() if name.endswith("pixels"))
        pixels.bias.fill_(100)
    labels = torch.zeros(4, dtype=torch.long) if built.decodes_labels else None
    given = inference.decode(built, torch.zeros(4, 2), labels)
    assert given.shape == (4, FEATURES)
    assert given.min() > 10


@pytest.fixture(scope="module")
def trained(rows, tiny, tmp_path_factory):
    """A run on rows, with all that a run leaves."""
    config = tiny(
        model="semi", labels=60, latent_dim=3, epochs=30, lr=3e-3, batch_size=20,
        sample_every=15, generator_weight=1.0, classification_every=1,
    )  # fmt: skip
    return fit(config, tmp_path_factory.mktemp("runs") / "rows", dataset=rows)


def test_a_run_on_rows_draws_no_tiles(trained):
    assert {path.stem for path in trained.figures.glob("*.png")} == {"latent", "learning-curves"}


def test_a_run_on_rows_is_measured(trained, rows):
    figures = evaluate(trained, dataset=rows)
    assert figures["error"] < 0.3
    train, test = Splits.of(trained.config, rows).train, rows.test_images
    of_mean = np.square(test - train.images.mean(0)).sum(1).mean() / 2
    assert figures["reconstruction_error_of_mean"] == pytest.approx(of_mean, rel=1e-4)
    assert figures["reconstruction_error"] < of_mean / 2
    assert not any(name.startswith(("judge", "style")) for name in figures)
    assert "relative reconstruction error" in [check["name"] for check in figures["health_checks"]]
    assert "mean" in write_report(trained, figures).read_text()


def test_no_judge_reads_rows(trained, rows):
    with pytest.raises(ValueError, match="reads pictures, not rows of 5 features"):
        evaluate(trained, dataset=rows, judge=True)


def test_the_folder_of_a_run_on_rows_opens_and_goes_on(trained, rows, tmp_path, same_state):
    assert json.loads((trained.folder / "config.json").read_text())["data"]["shape"] == [FEATURES]
    again = Run(trained.folder)
    assert again.shape == rows.shape
    assert same_state(again.model(), trained.model())
    whole = resume(trained.folder, dataset=rows)
    assert whole.epochs_done == 30


def test_samples_of_rows_are_written_as_numbers(trained, tmp_path, run):
    code, _, _ = run("sample", trained.folder, "--count", 7, "--out", tmp_path / "s.npy")
    assert code == 0
    samples = np.load(tmp_path / "s.npy")
    assert (samples.dtype, samples.shape) == (np.float32, (7, FEATURES))
    assert samples.max() > 1
    code, _, err = run("sample", trained.folder, "--out", tmp_path / "s.png")
    assert code == 2
    assert ".npy" in err
