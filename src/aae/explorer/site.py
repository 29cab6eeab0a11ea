"""The explorer as a folder of files that any web server can serve."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aae import export
from aae.autoencoder import Autoencoder
from aae.explorer.content import Content, content
from aae.run import Run

PAGE = Path(__file__).parent / "page"
"""The files that are the same for every run: the page itself, and ONNX Runtime for browsers."""


def write(
    run: Run, folder: Path | str, *, count: int = 10_000, data_dir: str | None = None
) -> Path:
    """Write a run's explorer: the page, the networks as ONNX, and the test set's codes.

    Args:
        run: the run; the weights it uses are taken (`Run.in_use`).
        folder: a folder that is empty or does not exist yet; if writing fails, it stays so.
        count: maximum number of test pictures.
        data_dir: where the data set lies now, if not where the run's config says.

    Returns:
        The folder; ``index.html`` in it is the page.

    Raises:
        ValueError: the folder holds something already, the run cannot be shown (see
            `aae.explorer.content.content`), or a package for ONNX is not installed.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something already: name a new folder")
    model = run.model()
    shown = content(run, model, count=count, data_dir=data_dir)
    with _whole(folder) as aside:
        shutil.copytree(PAGE, aside, dirs_exist_ok=True)
        _write_networks(run, model, aside)
        _write_content(shown, aside)
    return folder


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A place to write a folder; it appears under its own name only once it is complete.

    An existing folder is filled, not replaced, and nothing is written beside it: it may be a mount
    or somebody's working directory, and what lies around it may belong to others.
    """
    there = folder.is_dir()
    aside = (folder if there else folder.parent) / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    aside.mkdir(parents=True)
    try:
        yield aside
        if there:
            for path in list(aside.iterdir()):
                path.replace(folder / path.name)
        else:
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_networks(run: Run, model: Autoencoder, folder: Path) -> None:
    told, networks = export.about(run, model), export.networks(model)
    for name in ("encoder", "decoder"):
        export.write_onnx(networks[name], folder / f"{name}.onnx", told | {"network": name})


def _write_content(shown: Content, folder: Path) -> None:
    for name, array in shown.arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        # No time of writing, so that the same run gives the same bytes.
        (folder / f"{name}.gz").write_bytes(gzip.compress(little.tobytes(), 6, mtime=0))
    kinds = {
        name: {"type": str(array.dtype), "shape": array.shape}
        for name, array in shown.arrays.items()
    }
    about = shown.about | {"arrays": kinds}
    (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
