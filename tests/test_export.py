"""Networks as other programs see them: the same outputs, any number of rows, all of it said."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from aae import inference
from aae.build import build
from aae.config import Config
from aae.data import Columns
from aae.estimators import AdversarialClassifier
from aae.export import TOLERANCE, Network, about, export, networks, write_onnx, write_program
from aae.fit import fit
from aae.recipes import recipe
from aae.run import Run
from aae.splits import Part, data_of

VARIANTS = {
    "basic": {"output": "linear"},
    "supervised": {"latent_dim": 5},
    "semi": {"posterior": "universal", "batch_norm": True},
    "embed": {"labels": 100},
}
"""One for each way that codes and classes take through the networks."""


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(256, size=(1000, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    """The ONNX files of a run, by the names of their networks."""
    return {p.stem: p for p in export(tiny_run, tmp_path_factory.mktemp("new") / "folder")}


def given(path, **inputs):
    """What ONNX Runtime gives."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def unit(images):
    return images.astype(np.float32) / 255


@pytest.mark.parametrize("kind", VARIANTS)
def test_onnx_runtime_gives_what_the_model_gives(tiny, new_model, pictures, tmp_path, kind):
    model = new_model(tiny(model=kind, init="he", **VARIANTS[kind])).eval()
    for name in ("encoder", "decoder"):
        write_onnx(networks(model)[name], tmp_path / f"{name}.onnx", {})
    codes = inference.encode(model, pictures)
    encoded = given(tmp_path / "encoder.onnx", x=unit(pictures))
    assert np.abs(encoded["z"] - model.embed(codes).numpy()).max() < TOLERANCE
    if codes.y is not None:
        assert np.abs(encoded["y"] - codes.y.numpy()).max() < TOLERANCE
    labels = np.arange(1000) % 10
    if kind == "supervised":
        encoded["y"] = F.one_hot(torch.from_numpy(labels), 10).float().numpy()
    inputs = {k: v for k, v in encoded.items() if k in networks(model)["decoder"].inputs}
    decoded = given(tmp_path / "decoder.onnx", **inputs)["x"]
    expected = inference.reconstruct(model, Part(pictures, labels)).numpy()
    assert decoded.shape == (1000, 1, 8, 8)
    assert np.abs(decoded - expected).max() < TOLERANCE
    assert expected.std() > 0.01


def test_convolutions_agree_for_any_number_of_pictures(tiny, tmp_path):
    config = tiny(network="conv", width=8, init="he")
    model = build(config, (3, 16, 16), 0, torch.Generator().manual_seed(0)).eval()
    images = np.random.default_rng(0).integers(256, size=(7, 3, 16, 16), dtype=np.uint8)
    z = inference.encode(model, images).mean
    expected = inference.reconstruct(model, Part(images, np.full(7, -1)))
    for name, network in networks(model).items():
        write_onnx(network, tmp_path / f"{name}.onnx", {})
        write_program(network, tmp_path / f"{name}.pt2", {})
    found = given(tmp_path / "encoder.onnx", x=unit(images))["z"]
    assert np.abs(found - z.numpy()).max() < TOLERANCE
    assert np.abs(given(tmp_path / "decoder.onnx", z=found)["x"] - expected.numpy()).max() < 1e-3
    encoder, decoder = (
        torch.export.load(tmp_path / f"{name}.pt2").module() for name in ("encoder", "decoder")
    )
    with torch.inference_mode():
        (found,) = encoder(torch.from_numpy(unit(images)))
        (x,) = decoder(found)
    assert (found - z).abs().max() < TOLERANCE
    assert (x - expected).abs().max() < 1e-3
    assert expected.std() > 0.01


def test_networks_of_full_size_agree(tmp_path):
    model = build(recipe("semi"), (1, 28, 28), 10, torch.Generator().manual_seed(0)).eval()
    images = np.random.default_rng(0).integers(256, size=(1000, 1, 28, 28), dtype=np.uint8)
    found = networks(model)
    for part in ("encoder", "decoder"):
        write_onnx(found[part], tmp_path / f"{part}.onnx", {})
    encoded = given(tmp_path / "encoder.onnx", x=unit(images))
    decoded = given(tmp_path / "decoder.onnx", **encoded)["x"]
    part = Part(images, np.full(1000, -1))
    assert np.abs(encoded["z"] - inference.encode(model, images).mean.numpy()).max() < TOLERANCE
    assert np.abs(decoded - inference.reconstruct(model, part).numpy()).max() < TOLERANCE


def test_rows_of_features_are_taken_as_they_are(tiny, tmp_path):
    model = build(tiny(init="he"), (5,), 0, torch.Generator().manual_seed(0)).eval()
    rows = 3 * torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    for name in ("encoder", "decoder"):
        write_onnx(networks(model)[name], tmp_path / f"{name}.onnx", {})
    z = given(tmp_path / "encoder.onnx", x=rows.numpy())["z"]
    x = given(tmp_path / "decoder.onnx", z=z)["x"]
    with torch.inference_mode():
        expected = model.reconstruct(rows, torch.full((100,), -1))
    assert np.abs(x - expected.numpy()).max() < TOLERANCE
    assert expected.abs().max() > 1


def test_the_classifier_is_the_encoders(exported, pictures):
    y = given(exported["classifier"], x=unit(pictures))["y"]
    assert np.array_equal(y, given(exported["encoder"], x=unit(pictures))["y"])
    assert np.allclose(y.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3])
def test_any_number_of_rows(exported, rows):
    z, y = np.zeros((rows, 2), np.float32), np.eye(10, dtype=np.float32)[:rows]
    assert given(exported["decoder"], z=z, y=y)["x"].shape == (rows, 1, 8, 8)


def test_a_file_says_what_it_takes(tiny_run, exported):
    assert list(exported) == ["encoder", "decoder", "classifier"]
    model = onnx.load(exported["decoder"])
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["shape"]) == [1, 8, 8]
    assert json.loads(told["classes"]) == [str(k) for k in range(10)]
    assert (told["network"], told["prior"], told["latent_dim"]) == ("decoder", "gaussian", "2")
    assert "[0, 1]" in told["scaling"]
    assert Config.from_json(json.loads(told["config"])) == tiny_run.config
    sizes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert sizes == [["n", 2], ["n", 10], ["n", 1, 8, 8]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("semi", "probabilities of classes"),
        ("supervised", "probabilities of classes"),
        ("cluster", "probabilities of clusters"),
        ("basic", None),
    ],
)
def test_a_file_says_what_y_is_of_where_there_is_one(tiny, digits, tmp_path, kind, words):
    run = Run.create(tmp_path / "run", tiny(model=kind), digits)
    assert about(run, run.new_model()).get("y") == words


def test_a_table_says_what_its_cells_are(tiny, tmp_path):
    rows = "\n".join(f"{k % 7},{'red' if k % 3 else 'blue'}" for k in range(60))
    (tmp_path / "table.csv").write_text("size,colour\n" + rows)
    config = tiny(data=str(tmp_path / "table.csv"))
    dataset = data_of(config)
    run = Run.create(tmp_path / "run", config, dataset)
    told = about(run, run.new_model())
    assert Columns.from_json(json.loads(told["columns"])) == dataset.columns
    assert "cells" in told["scaling"]


def test_a_file_tells_nothing_of_the_machine(tiny_run, exported, tmp_path):
    folders = [str(Path(file).parents[1]).encode() for file in (__file__, torch.__file__)]
    for path in (*exported.values(), *export(tiny_run, tmp_path, "torch-export")):
        assert not [folder for folder in folders if folder in path.read_bytes()]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("basic", {}),
        ("semi", {}),
        ("merged", {"clusters.cluster_of": 15, "clusters.typical": 12}),
        ("embed", {"heads.weight": 20}),
    ],
)
def test_a_program_has_the_weights_of_its_own_network(
    tiny, new_model, pictures, tmp_path, kind, more
):
    model = new_model(tiny(model=kind)).eval()
    write_program(networks(model)["encoder"], tmp_path / "encoder.pt2", {})
    program = torch.export.load(tmp_path / "encoder.pt2")
    held = {name: value.numel() for name, value in program.state_dict.items()}
    encoder = {f"encoder.{k}": v.numel() for k, v in model.encoder.state_dict().items()}
    assert held == encoder | more
    codes = inference.encode(model, pictures)
    with torch.inference_mode():
        z, *y = program.module()(torch.from_numpy(unit(pictures)))
    assert torch.allclose(z, model.embed(codes), atol=1e-6)
    assert all(torch.allclose(each, codes.y, atol=1e-6) for each in y)
    assert bool(y) == (codes.y is not None)


def test_torch_export_gives_the_same(tiny_run, pictures, tmp_path):
    files = {path.stem: path for path in export(tiny_run, tmp_path, "torch-export")}
    told = {"shape": "", "network": ""}
    encoder, classifier, decoder = (
        torch.export.load(files[name], extra_files=told).module()
        for name in ("encoder", "classifier", "decoder")
    )
    assert (json.loads(told["shape"]), told["network"]) == ([1, 8, 8], "decoder")
    part = Part(pictures, np.full(len(pictures), -1))
    with torch.inference_mode():
        z, y = encoder(torch.from_numpy(unit(pictures)))
        (x,) = decoder(z, y)
        assert torch.equal(classifier(torch.from_numpy(unit(pictures)))[0], y)
    expected = inference.reconstruct(tiny_run.model(), part)
    assert torch.allclose(x, expected, atol=1e-5)


def test_safetensors_hold_the_weights(tiny_run, tmp_path, same_state):
    model = tiny_run.model()
    for path in export(tiny_run, tmp_path, "safetensors"):
        with safe_open(path, "pt") as file:
            told, names = file.metadata(), file.keys()
            weights = {name: file.get_tensor(name) for name in names}
        assert same_state(weights, dict(getattr(model, path.stem).state_dict()))
        assert Config.from_json(json.loads(told["config"])) == tiny_run.config
        assert "[-1, 1]" in told["scaling"]


def test_another_result_is_an_error(tmp_path, monkeypatch):
    inputs, rows = {"x": torch.ones(2, 3)}, ({0: torch.export.Dim("n")},)
    twice = torch.export.export(_Times(2), (inputs["x"],), dynamic_shapes=rows)
    monkeypatch.setattr("aae.export._program", lambda _: twice)
    network = Network(_Times(3), inputs, ("y",))
    with pytest.raises(RuntimeError, match=r"another y .* off by 1\.0"):
        write_onnx(network, tmp_path / "x.onnx", {})


class _Times(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return (self.factor * x,)


def test_what_is_missing_is_named(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match="'onnxscript': pip install onnx onnxruntime onnxscript"):
        export(tiny_run, tmp_path)


class TestCommand:
    def test_writes_beside_the_run_unless_told_otherwise(self, run, tiny_run, tmp_path):
        code, out, err = run("export", tiny_run.folder, "--format", "safetensors")
        files = [
            tiny_run.folder / "export" / f"{name}.safetensors" for name in ("encoder", "decoder")
        ]
        assert (code, err) == (0, "")
        assert out.splitlines() == [str(path) for path in files]
        assert all(path.exists() for path in files)
        assert run("export", tiny_run.folder, "--out", tmp_path)[0] == 0
        assert (tmp_path / "classifier.onnx").exists()

    def test_other_formats_are_refused(self, run, tiny_run):
        code, _, err = run("export", tiny_run.folder, "--format", "tflite")
        assert code == 2
        assert "tflite" in err


@pytest.mark.parametrize("scale", ["standard", "range", "none"])
def test_rows_of_a_saved_estimator_are_those_that_it_was_given(tmp_path, scale):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) * [1e6, 10, 1e-2, 0] + [5, -100, 0, 3]
    model = AdversarialClassifier(scale=scale, hidden=8, layers=1, n_epochs=2, random_state=0)
    model.fit(X, np.arange(60) % 3)
    run = Run(model.save(tmp_path / "run"))
    files = {path.stem: path for path in export(run, tmp_path / "onnx")}
    encoded = given(files["encoder"], x=X.astype(np.float32))
    X = X.astype(np.float32)
    z = model.transform(X)
    assert np.abs(encoded["z"] - z).max() < TOLERANCE * max(1, np.abs(z).max())
    assert np.abs(encoded["y"] - model.predict_proba(X)).max() < TOLERANCE
    y = given(files["classifier"], x=X.astype(np.float32))["y"]
    assert np.array_equal(y, encoded["y"])
    decoded = given(files["decoder"], **encoded)["x"]
    part = Part(model._scaling.forward(X), np.full(60, -1))
    expected = model._scaling.back(inference.reconstruct(model.model_, part).numpy())
    assert np.allclose(decoded, expected, rtol=1e-4, atol=1e-3)
    (weights, *_) = export(run, tmp_path / "weights", "safetensors")
    with safe_open(weights, "pt") as file:
        told = file.metadata()
    scaled = (X - json.loads(told["centre"])) / json.loads(told["unit"])
    assert np.allclose(scaled, model._scaling.forward(X), atol=1e-6)
    # The constant column comes back as it was, whatever was decoded.
    x = inference.reconstruct(model.model_, part).numpy()
    rows = x * json.loads(told["spread"]) + json.loads(told["centre"])
    assert np.array_equal(rows, expected)


def test_networks_of_another_run_are_not_left_beside_and_not_removed(
    tiny_run, tmp_path, tiny, no_pictures
):
    for form, ending in (("torch-export", "pt2"), ("safetensors", "safetensors")):
        place = tmp_path / form
        files = export(tiny_run, place, form)
        assert export(tiny_run, place, form) == files
        other = fit(tiny(epochs=1), tmp_path / f"run-{form}")
        (place / f"classifier.{ending}").touch()
        before = {path: path.read_bytes() for path in place.iterdir()}
        with pytest.raises(ValueError, match=rf"holds classifier\.{ending} of another run"):
            export(other, place, form)
        assert {path: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.parametrize("form", ["onnx", "torch-export", "safetensors"])
def test_a_linked_file_is_replaced_and_not_written_through(tiny_run, tmp_path, form):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    place = tmp_path / "export"
    place.mkdir()
    ending = {"torch-export": "pt2"}.get(form, form)
    (place / f"encoder.{ending}").symlink_to(precious)
    (encoder, *_) = export(tiny_run, place, form)
    assert not encoder.is_symlink()
    assert precious.read_text() == "kept"
