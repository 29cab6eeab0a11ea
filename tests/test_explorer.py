"""What the explorer's page is given, and the folder it lies in."""

import gzip
import json
import math

import numpy as np
import pytest
import torch

from aae import inference
from aae.build import build
from aae.explorer import site
from aae.explorer.content import _border, _errors, content
from aae.export import Decoding, Encoding
from aae.priors import Gaussian, Mixture
from aae.run import Run
from aae.splits import Part, Splits


@pytest.fixture(scope="module")
def shown(tiny_run):
    return content(tiny_run, tiny_run.model(), count=100)


@pytest.fixture
def drawn(tiny, digits, tmp_path):
    """Makes runs whose weights are drawn and not trained, and their models."""

    def make(**changes):
        config = tiny(init="he", **changes)
        model = build(config, (1, 8, 8), 10, torch.Generator().manual_seed(0)).eval()
        return Run.create(tmp_path / "drawn", config, digits), model

    return make


def test_codes_are_those_of_the_test_set(tiny_run, shown, digits):
    part = Splits.of(tiny_run.config, digits).test.some(100)
    codes = inference.encode(tiny_run.model(), part.images).mean
    assert np.array_equal(shown.arrays["codes"], codes.numpy())
    assert np.array_equal(shown.arrays["labels"], part.labels)
    assert np.array_equal(shown.arrays["pictures"], part.images)


def test_pictures_are_bounded_in_bytes(tiny_run, monkeypatch):
    monkeypatch.setattr("aae.explorer.content.MOST_BYTES", 64 * 7)
    assert len(content(tiny_run, tiny_run.model(), count=100).arrays["codes"]) == 7


def test_its_epochs_are_those_of_its_weights(tiny_run, monkeypatch):
    monkeypatch.setattr(Run, "epochs_in_use", property(lambda run: 2))
    assert tiny_run.epochs_done == 3
    assert content(tiny_run, tiny_run.model(), count=10).about["epochs"] == 2


def test_errors_are_half_the_squared_error_over_pixels(tiny_run, shown):
    images = shown.arrays["pictures"]
    part = Part(images, shown.arrays["labels"].astype(np.int64))
    off = 2 * (inference.reconstruct(tiny_run.model(), part).numpy() - images / 255)
    errors = np.square(off).sum((1, 2, 3)) / 2
    assert shown.about["errors"][0] == pytest.approx(errors.min(), rel=1e-4)
    assert shown.about["errors"][100] == pytest.approx(np.median(errors), rel=1e-4)
    assert shown.about["errors"][200] == pytest.approx(errors.max(), rel=1e-4)


@pytest.mark.parametrize(
    "model", ["basic", "supervised", "semi", "cluster", "merged", "embed", "vae"]
)
def test_errors_are_those_of_the_exported_networks(drawn, model):
    run, made = drawn(model=model, labels=100 if model in ("supervised", "semi", "embed") else 0)
    found = content(run, made, count=50)
    x = torch.from_numpy(found.arrays["pictures"]).float() / 255
    labels = torch.from_numpy(found.arrays["labels"]).long()
    told = [torch.eye(10)[labels]] if model == "supervised" else []
    with torch.inference_mode():
        z, *y = Encoding(made)(x)
        [x_hat] = Decoding(made)(z, *(y if made.places_need_class and y else told))
        before = (made.reconstruct(2 * x - 1, labels).clamp(-1, 1) + 1) / 2
    of = [2 * (each - x).square().sum((1, 2, 3)) for each in (x_hat, before)]
    expected, reconstructed = (np.quantile(each, np.linspace(0, 1, 201)) for each in of)
    assert found.about["errors"] == pytest.approx(expected, rel=1e-4)
    # What only the page knows of merged clusters is what they became.
    assert np.allclose(expected, reconstructed, rtol=1e-4) == (model != "merged")


def test_errors_without_a_label_are_those_of_the_best_class(drawn, part):
    _, model = drawn(model="supervised", labels=100)
    labels = np.where(np.arange(100) < 60, part.labels, -1)
    found = _errors(model, Part(part.images, labels))
    told = [_errors(model, Part(part.images, np.full(100, k))) for k in range(10)]
    assert np.allclose(found[:60], np.stack(told)[labels[:60], np.arange(60)])
    assert np.allclose(found[60:], np.min(told, 0)[60:])


def test_what_the_decoder_is_told(shown, drawn):
    about = shown.about
    assert (about["told"], about["classifies"], about["clusters"]) == (True, True, False)
    assert about["y"] == about["classes"] == [str(k) for k in range(10)]
    clusters = content(*drawn(model="cluster", labels=0, clusters=4), count=10).about
    assert (clusters["told"], clusters["clusters"]) == (True, True)
    assert clusters["y"] == ["0", "1", "2", "3"]


def test_a_place_in_an_embedding_is_of_a_class(drawn):
    run, model = drawn(model="embed", labels=100)
    about = content(run, model, count=10).about
    assert (about["told"], about["classifies"]) == (False, True)
    assert about["limit"] == pytest.approx(model.embedded_prior.limit)


@pytest.mark.parametrize("dim", [2, 5])
def test_a_gaussian_looks_the_same_in_every_plane(drawn, dim):
    found = content(*drawn(latent_dim=dim), count=10)
    grid = found.arrays["prior"]
    assert found.about["planar"]
    side = grid.shape[0]
    middle, edge = grid[side // 2, side // 2], grid[side // 2, -1]
    assert middle == 1
    assert math.log(edge) == pytest.approx(-0.5 * Gaussian(2).limit ** 2, abs=1e-3)


def test_other_priors_of_more_dimensions_are_sampled(drawn):
    run, model = drawn(latent_dim=4, prior="mixture")
    found = content(run, model, count=10)
    assert not found.about["planar"]
    samples = torch.from_numpy(found.arrays["prior"])
    assert samples.shape == (20_000, 4)
    assert float(samples.norm(dim=1).mean()) == pytest.approx(
        float(Mixture(4).sample(20_000, generator=torch.Generator()).norm(dim=1).mean()), rel=0.02
    )


def test_the_border_is_all_four_sides(shown):
    about, pictures = shown.about, shown.arrays["pictures"]
    assert about["border"] == pytest.approx(_border(pictures).mean() / 255)
    images = np.zeros((1, 1, 3, 3), np.uint8)
    images[..., 1, 1] = 255
    assert _border(images).max() == 0
    images[..., 2] = 255  # three on the right, and one of three above and below
    assert _border(images).sum() == 5 * 255


def test_principal_directions_hold_the_largest_variance(drawn):
    found = content(*drawn(latent_dim=5), count=300)
    axes, codes = np.array(found.about["axes"]), found.arrays["codes"]
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    variances = np.linalg.eigvalsh(np.cov(codes.T))
    assert (codes @ axes.T).var(0, ddof=1) == pytest.approx(variances[::-1][:2], rel=1e-3)


def test_a_single_picture_has_a_plane_too(drawn):
    found = content(*drawn(latent_dim=5), count=1)
    axes = np.array(found.about["axes"])
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)


def test_rows_cannot_be_shown(drawn, monkeypatch):
    run, model = drawn()
    monkeypatch.setattr(run, "shape", (5,))
    with pytest.raises(ValueError, match=r"shows pictures of 1 or 3 channels, and .* 5 values"):
        content(run, model, count=10)


def test_the_folder_holds_what_the_page_asks_for(tiny_site):
    about = json.loads((tiny_site / "about.json").read_text())
    for name, kind in about["arrays"].items():
        raw = gzip.decompress((tiny_site / f"{name}.gz").read_bytes())
        assert np.frombuffer(raw, kind["type"]).size == math.prod(kind["shape"])
    names = {
        path.relative_to(tiny_site).as_posix() for path in tiny_site.rglob("*") if path.is_file()
    }
    licences = {"ort/LICENSE", "ort/ThirdPartyNotices.txt"}
    assert {"index.html", "encoder.onnx", "decoder.onnx", "ort/ort.wasm.gz"} | licences <= names


def test_no_more_is_written_than_asked_for(drawn, monkeypatch, tmp_path):
    run, model = drawn()
    monkeypatch.setattr(Run, "model", lambda self: model)
    monkeypatch.setattr("aae.export.write_onnx", lambda *_: None)
    about = json.loads((site.write(run, tmp_path / "new", count=20) / "about.json").read_text())
    assert about["arrays"]["codes"]["shape"] == [20, 2]


def test_a_folder_in_use_is_refused(tiny_run, tiny_site):
    with pytest.raises(ValueError, match="holds something already"):
        site.write(tiny_run, tiny_site)


class TestWriting:
    @pytest.fixture
    def write(self, drawn, monkeypatch):
        """Writes the explorer of a run that is not trained; networks can be told to fail."""
        run, model = drawn()
        monkeypatch.setattr(Run, "model", lambda self: model)

        def write(folder, network=lambda *_: None):
            monkeypatch.setattr("aae.export.write_onnx", network)
            return site.write(run, folder, count=20)

        return write

    @pytest.fixture
    def place(self, tmp_path):
        (tmp_path / "host").mkdir()
        return tmp_path / "host"

    @pytest.mark.parametrize("there", [False, True])
    @pytest.mark.parametrize("error", [ValueError("no onnxscript"), OSError(28, "No space")])
    def test_what_failed_can_be_tried_again(self, write, place, there, error):
        folder = place / "site"
        if there:
            folder.mkdir()

        def fail(*_):
            raise error

        with pytest.raises(type(error)):
            write(folder, fail)
        assert list(place.rglob("*")) == ([folder] if there else [])
        assert (write(folder) / "index.html").is_file()
        assert list(place.iterdir()) == [folder]
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []

    def test_a_folder_that_is_there_stays_the_same(self, write, place, monkeypatch):
        place.chmod(0o700)
        before = place.stat()
        monkeypatch.chdir(place)
        assert (write(".") / "index.html").is_file()
        assert (place.stat().st_ino, place.stat().st_mode) == (before.st_ino, before.st_mode)

    def test_what_a_killed_one_left_is_no_hindrance(self, write, place, monkeypatch):
        monkeypatch.setattr("os.getpid", lambda: 7)
        (place / ".site.7").mkdir()
        (place / ".site.7" / "half").touch()
        assert not (write(place / "site") / "half").exists()
        assert [path.name for path in place.iterdir()] == ["site"]
