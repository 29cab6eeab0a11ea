"""A run's networks as files for other programs: ONNX, torch.export, or weights alone.

Inputs and outputs are what those programs have at hand: pictures are float32 in [0, 1], whatever
the model was trained on; rows of features are as the data set has them. All networks take any
number of rows at once and draw nothing.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, fx, nn

import aae
from aae.autoencoder import Autoencoder
from aae.models import ClusteringAAE
from aae.nn import HeadedDecoder
from aae.pixels import from_model
from aae.run import Run
from aae.scaling import Rows, beside
from aae.storage import written

Format = Literal["onnx", "torch-export", "safetensors"]

TOLERANCE = 1e-4
"""How far the outputs of an ONNX file may be from the model's, as a share of the largest if that is
above 1. Each file is tested once it is written."""


class _Scale(nn.Module):
    """`aae.scaling.Rows` for tensors [n, d]; without one, rows stay as they are."""

    centre: Tensor
    unit: Tensor
    spread: Tensor

    def __init__(self, rows: Rows | None):
        super().__init__()
        self.scales = rows is not None
        if rows is not None:
            for name in ("centre", "unit", "spread"):
                values = torch.from_numpy(getattr(rows, name)).float()
                self.register_buffer(name, values)

    def forward(self, x: Tensor) -> Tensor:
        """The user's rows → the model's."""
        return (x - self.centre) / self.unit if self.scales else x

    def back(self, x: Tensor) -> Tensor:
        """The model's rows → the user's."""
        return x * self.spread + self.centre if self.scales else x


class Encoding(nn.Module):
    """Pictures [n, c, h, w] in [0, 1], or rows → z [n, d] and, if the model has classes, y [n, K].

    z is the posterior's mean or, in an embedding, the point that `Autoencoder.embed` gives.
    """

    def __init__(self, model: Autoencoder, rows: Rows | None = None):
        super().__init__()
        self.encode, self.embed, self.scale = model.encode, model.embed, _Scale(rows)
        # What those two use. The whole model would take all its other weights into the file.
        self.encoder = model.encoder
        if isinstance(model, ClusteringAAE):
            self.clusters = model.clusters
        if isinstance(model.decoder, HeadedDecoder):
            self.heads = model.decoder.heads

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        codes = self.encode(self.scale(x) if x.ndim == 2 else 2 * x - 1)
        z = self.embed(codes)
        return (z,) if codes.y is None else (z, codes.y)


class Classification(Encoding):
    """Pictures [n, c, h, w] in [0, 1], or rows → probabilities of classes or clusters y [n, K]."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return super().forward(x)[1:]


class Decoding(nn.Module):
    """What `Encoding` gives → pictures [n, c, h, w] in [0, 1], or rows.

    There is no y if the decoder knows no class; if it is told a label, y is that label, one-hot.
    """

    def __init__(self, model: Autoencoder, rows: Rows | None = None):
        super().__init__()
        self.decoder, self.scale = model.place_decoder, _Scale(rows)

    def forward(self, *codes: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        x = from_model(self.decoder(*codes))
        return (self.scale.back(x) if x.ndim == 2 else x,)


@dataclass(frozen=True)
class Network:
    """One of a model's networks as other programs see it."""

    module: nn.Module
    inputs: dict[str, Tensor]
    """Its inputs by name, two rows of each."""
    outputs: tuple[str, ...]


def networks(model: Autoencoder, rows: Rows | None = None) -> dict[str, Network]:
    """The encoder, the decoder and, if the model has classes, the classifier.

    Args:
        model: a trained model in float32, on the CPU.
        rows: how the rows that it was trained on were scaled.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *model.decoder.shape, generator=generator)
    if rows is not None:
        x = _Scale(rows).back(x)
    codes = {"z": torch.randn(2, model.prior.dim, generator=generator)}
    if model.places_need_class:
        codes["y"] = torch.rand(2, model.n_classes, generator=generator).softmax(1)
    found = {"decoder": Network(Decoding(model, rows), codes, ("x",))}
    if model.encoder.classes is None:
        return {"encoder": Network(Encoding(model, rows), {"x": x}, ("z",)), **found}
    return {
        "encoder": Network(Encoding(model, rows), {"x": x}, ("z", "y")),
        **found,
        "classifier": Network(Classification(model, rows), {"x": x}, ("y",)),
    }


def export(run: Run, folder: Path | str, form: Format = "onnx") -> list[Path]:
    """Write the networks of a run, each into a file of its own that says what it takes and gives.

    Args:
        run: the run; the weights it uses are taken (`Run.in_use`).
        folder: where to write; made if it is not there.
        form: ``onnx``; ``torch-export``, for `torch.export.load`; or ``safetensors``, the weights
            of encoder and decoder by their names in `aae.nn`, and which clusters were merged.

    Returns:
        The files.

    Raises:
        ValueError: a package that the format needs is not installed; or a network of another run is
            in the folder and would stay, beside those of this one.
        RuntimeError: ONNX Runtime gives other outputs than the model.
    """
    model, folder = run.model(), Path(folder)
    told, rows = about(run, model), beside(run.folder)
    if form == "safetensors":
        parts: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
        if isinstance(model, ClusteringAAE) and model.clusters.state_dict():
            parts["clusters"] = model.clusters  # which are merged
        if rows is not None:
            told["scaling"] = (
                "weights take float32 rows [n, features], less centre and over unit; what they "
                "decode, times spread and plus centre, are rows as in the data set"
            )
            for name in ("centre", "unit", "spread"):
                told[name] = json.dumps(getattr(rows, name).tolist())
        elif len(run.shape) > 1:
            told["scaling"] = (
                "weights take and give float32 pictures in [-1, 1], [n, channels, height, width]: "
                "twice those in [0, 1], less 1"
            )
        files = _files(folder, parts, "safetensors")
        for path, part in zip(files, parts.values(), strict=True):
            # Tensors that a network of the user's own has twice are written twice.
            weights = {name: tensor.clone() for name, tensor in part.state_dict().items()}
            with written(path) as new:
                save_file(weights, new, metadata=told)
        return files
    write, ending = {"onnx": (write_onnx, "onnx"), "torch-export": (write_program, "pt2")}[form]
    all_networks = networks(model, rows)
    files = _files(folder, all_networks, ending)
    for path, (name, network) in zip(files, all_networks.items(), strict=True):
        write(network, path, told | {"network": name})
    return files


def _files(folder: Path, names: Iterable[str], ending: str) -> list[Path]:
    """The files of these networks; refused beside those of a run that has others."""
    files = [folder / f"{name}.{ending}" for name in names]
    for name in ("encoder", "decoder", "classifier", "clusters"):
        if (other := folder / f"{name}.{ending}") not in files and other.exists():
            raise ValueError(
                f"{folder} holds {other.name} of another run, which would stay beside these: take "
                "another folder (--out), or remove that file"
            )
    return files


def about(run: Run, model: Autoencoder) -> dict[str, str]:
    """What a stranger must know about a run's networks, as texts, which all formats can hold."""
    config = run.config
    values: dict[str, Any] = {
        "program": f"aae {aae.__version__}",
        "recipe": config.recipe,
        "data": config.data_name,
        "shape": run.shape,
        "scaling": "rows are float32 [n, features], as in the data set"
        if len(run.shape) == 1
        else "pictures are float32 in [0, 1], [n, channels, height, width]",
        "classes": run.classes,
        "y": "probabilities of " + ("clusters" if model.finds_clusters else "classes"),
        "prior": run.networks.prior_in_use(config),
        "latent_dim": config.latent_dim,
        "config": config.for_strangers(),
    }
    if run.columns is not None:
        values["columns"] = run.columns.to_json()
        values["scaling"] = "rows are float32 [n, cells], which columns says how to make and read"
    if not model.places_need_class and model.encoder.classes is None:
        del values["y"]
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def write_program(network: Network, path: Path, told: dict[str, str]) -> None:
    """Write a network for `torch.export.load`; ``told`` becomes the file's extra files.

    Args:
        network: the network.
        path: a ``.pt2`` file.
        told: names and texts to go with it.
    """
    with _quiet():
        program = _program(network)
        for module in program.graph_module.modules():
            if isinstance(module, fx.GraphModule):
                for node in module.graph.nodes:
                    # Lines of our source with their folders, which are nobody's business.
                    node.meta.pop("stack_trace", None)
        with written(path) as new:
            torch.export.save(program, new, extra_files=dict(told))


def write_onnx(network: Network, path: Path, told: dict[str, str]) -> None:
    """Write a network as ONNX, and check that ONNX Runtime gives the same outputs.

    Args:
        network: the network.
        path: an ``.onnx`` file.
        told: names and texts to go with it.

    Raises:
        ValueError: onnx, onnxscript or onnxruntime is not installed.
        RuntimeError: the outputs differ by more than `TOLERANCE`.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ImportError as error:
        raise ValueError(
            f"ONNX needs the package {error.name!r}: pip install onnx onnxruntime onnxscript"
        ) from None
    with _quiet():
        program = torch.onnx.export(
            _program(network), dynamo=True, verbose=False,
            input_names=list(network.inputs), output_names=list(network.outputs),
        )  # fmt: skip
    assert program is not None
    graph = program.model_proto.graph
    # Names of symbols, and lines of our source with their folders, are nobody's business.
    del graph.value_info[:]
    for node in graph.node:
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    made = onnx.helper.make_model(
        graph, opset_imports=program.model_proto.opset_import,
        ir_version=program.model_proto.ir_version, producer_name="aae",
    )  # fmt: skip
    onnx.helper.set_model_props(made, told)
    onnx.checker.check_model(made)
    with torch.inference_mode():
        expected = network.module(*network.inputs.values())
    with written(path) as new:  # it gets its name only if it is sound
        onnx.save(made, new)
        session = onnxruntime.InferenceSession(new, providers=["CPUExecutionProvider"])
        given = session.run(None, {name: value.numpy() for name, value in network.inputs.items()})
        for name, a, b in zip(network.outputs, given, expected, strict=True):
            off = float((torch.from_numpy(a) - b).abs().max())
            if not off <= TOLERANCE * max(1, float(b.abs().max())):  # it may be NaN
                raise RuntimeError(
                    f"ONNX Runtime gives another {name} for {path}: it is off by {off}"
                )


def _program(network: Network) -> torch.export.ExportedProgram:
    inputs = tuple(network.inputs.values())
    rows = {0: torch.export.Dim("n", min=1)}
    # A star argument is one tuple to torch.export.
    shapes: Any = ((rows,) * len(inputs),) if isinstance(network.module, Decoding) else (rows,)
    return torch.export.export(network.module.eval(), inputs, dynamic_shapes=shapes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's warnings of torch's own past, and of torchvision, which is not needed."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
