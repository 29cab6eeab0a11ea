"""The parsers that `fuzz` tries: valid files for each, and how a damaged one is parsed."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars
from common import SMALL
from PIL import Image

from aae import events, fit
from aae.data import folders, load
from aae.data.decoding import UnreadableError, decode, look
from aae.data.files import read_unpacked
from aae.data.idx import parse_idx
from aae.data.npy import read_archive
from aae.data.tables import TableReading
from aae.kernel_density import KernelDensity
from aae.own_networks import SAMPLES, Networks
from aae.packing import unpack, unpack_tensors
from aae.run import Run
from aae.splits import Splits
from aae.training import checkpoint, old_formats

Parse = Callable[[bytes, Path], object]
DOCUMENTED = (ValueError, OSError, UnreadableError)
"""What a parser may raise."""
OLD = Path(__file__).parents[2] / "tests" / "old_runs" / "format-1"


Targets = dict[str, tuple[list[bytes], Parse]]
"""Valid files and parser, by the name of the format."""


def targets(where: Path) -> Targets:
    """All parsers.

    Args:
        where: a folder for what valid files are made from.
    """
    return {**of_data(), **of_runs(where)}


def of_data() -> Targets:
    """The parsers of data."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(256, size=(30, 6, 6), dtype=np.uint8)

    def file(name: str, then: Callable[[Path], object]) -> Parse:
        def parse(content: bytes, folder: Path) -> object:
            (folder / name).write_bytes(content)
            return then(folder / name)

        return parse

    def picture(content: bytes, folder: Path) -> None:
        look(io.BytesIO(content))
        decode(io.BytesIO(content), (8, 8), 3)

    def own(path: Path) -> object:
        return load(str(path), progress=False)

    def table(path: Path) -> object:
        return load(str(path), progress=False, table=TableReading(missing="impute"))

    return {
        "IDX": ([_idx(pictures), _idx(pictures[0, 0])], lambda c, _: parse_idx(c, "it")),
        "gzip": ([gzip.compress(_idx(pictures))], file("a.gz", lambda p: read_unpacked(p, 10**5))),
        "npy": ([_npy(pictures), _npy(rng.random((30, 4)))], file("a.npy", own)),
        "prior": ([_npy(rng.random((30, 2)))], file("a.npy", lambda p: KernelDensity.read(p, 2))),
        "npz": (
            [_npz(compressed=packed, x=rng.random((30, 4)), y=np.arange(30) % 3)
             for packed in (False, True)], file("a.npz", own),
        ),
        "npz, its arrays": ([_npy(pictures), _npy(rng.random((30, 4)))], file("a.npz", _member)),
        "zip": ([_zip_of_pictures(pictures)], file("a.zip", _unzip)),
        "zip, loaded": ([_zip_of_pictures(pictures)], file("a.zip", own)),
        "CSV": (_tables("write_csv"), file("a.csv", table)),
        "Parquet": (_tables("write_parquet"), file("a.parquet", table)),
        "pictures": ([_picture(pictures[0], kind) for kind in
                      ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")], picture),
    }  # fmt: skip


def of_runs(where: Path) -> Targets:
    """The parsers of what lies in a run folder; see `targets`."""
    samples = KernelDensity(np.random.default_rng(0).normal(size=(30, 2)))
    run = fit.fit(
        replace(SMALL, epochs=1, sample_every=1, hidden=8), where / "run",
        networks=Networks(prior=samples),
    )  # fmt: skip
    (place,) = checkpoint.found(run.checkpoints)
    trainer = fit.make_trainer(run, Splits.of(run.config, run.dataset()))
    old = next(OLD.glob("checkpoints/*/training.pt"))
    (log,) = run.folder.glob("events*")

    def in_place(name: str, then: Callable[[Run], object]) -> Parse:
        """Replace a file of a run folder, and correct its checksum if it has one."""

        def parse(content: bytes, folder: Path) -> object:
            copy = folder / "run"
            shutil.copytree(run.folder, copy, ignore=shutil.ignore_patterns("figures", "events*"))
            (copy / name).write_bytes(content)
            if name.startswith("checkpoints") and not name.endswith("manifest.json"):
                manifest = json.loads((copy / name).with_name("manifest.json").read_text())
                manifest["sha256"][Path(name).name] = checkpoint._sha256(content)
                signed = json.dumps(checkpoint._signed(manifest))
                (copy / name).with_name("manifest.json").write_text(signed)
            return then(Run(copy))

        return parse

    def undo(content: bytes, folder: Path) -> None:
        (folder / "events.out.tfevents.1").write_bytes(content)
        events.undo(folder, lambda step, tag: step <= 3)

    name = f"checkpoints/{place.name}"
    return {
        "safetensors": (
            [(place / "weights.safetensors").read_bytes()], lambda c, _: unpack_tensors(c, "it"),
        ),
        "training state": (
            [(place / "training.safetensors").read_bytes()], lambda c, _: unpack(c, "it"),
        ),
        "training state, loaded": (
            [(place / "training.safetensors").read_bytes()],
            in_place(f"{name}/training.safetensors",
                     lambda r: checkpoint.load(r.checkpoints / place.name, trainer)),
        ),
        "weights, loaded": (
            [(place / "weights.safetensors").read_bytes()],
            in_place(f"{name}/weights.safetensors", lambda r: r.model()),
        ),
        "training state of format 1": (
            [old.read_bytes()], lambda c, _: old_formats.unpack(c, "it"),
        ),
        "manifest": (
            [(place / "manifest.json").read_bytes()],
            in_place(f"{name}/manifest.json", lambda r: r.model()),
        ),
        "prior, kept": (
            [(run.folder / SAMPLES).read_bytes()], in_place(SAMPLES, lambda r: r.model()),
        ),
        "config": ([(run.folder / "config.json").read_bytes()],
                   in_place("config.json", lambda r: r.model())),
        "metrics": ([run.metrics.read_bytes()], in_place("metrics.jsonl", lambda r: r.records())),
        "TensorBoard's events": ([log.read_bytes()], undo),
    }  # fmt: skip


def _unzip(path: Path) -> None:
    """Read all of a zip of pictures, except for what cannot be read."""
    files = folders._open(path)
    for name in files.names:
        with contextlib.suppress(UnreadableError), files.open(name) as member:
            member.read()


def _member(path: Path) -> object:
    """Read the bytes of a file as an array in an archive."""
    content = path.read_bytes()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("x.npy", content)
    return read_archive(path)


def _idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(*, compressed: bool, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def _tables(write: str) -> list[bytes]:
    """A table of numbers, gaps, text and booleans, as polars writes it; and a plain one."""
    rng = np.random.default_rng(0)
    mixed = polars.DataFrame({
        "length": [None if k % 7 == 0 else float(v) for k, v in enumerate(rng.random(60))],
        "count": rng.integers(9, size=60),
        "kind": [("oak", "ash", "fir, old")[k % 3] for k in range(60)],
        "whole": [k % 2 == 0 for k in range(60)],
    })  # fmt: skip
    numbers = polars.DataFrame(rng.random((30, 2)).round(3), schema=["x", "y"])
    files = []
    for frame in (mixed, numbers):
        file = io.BytesIO()
        getattr(frame, write)(file)
        files.append(file.getvalue())
    return files


def _picture(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.stack([pixels, pixels.T, 255 - pixels], 2)).save(file, kind)
    return file.getvalue()


def _zip_of_pictures(pictures: np.ndarray) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for k, each in enumerate(pictures[:14]):
            packed.writestr(f"{'ab'[k % 2]}/{k}.png", _picture(each, "PNG"))
    return file.getvalue()
