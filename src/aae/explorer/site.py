"""The explorer as a folder of files that any web server can hand out."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

from aae import export
from aae.explorer.content import content
from aae.run import Run

PAGE = Path(__file__).parent / "page"
"""What is the same for every run: the page itself, and ONNX Runtime for browsers."""


def write(
    run: Run, folder: Path | str, *, count: int = 10_000, data_dir: str | None = None
) -> Path:
    """Write the explorer of a run: the page, its networks as ONNX, the test set's codes.

    Args:
        run: the run; its newest weights are taken.
        folder: a folder that is empty or not there yet.
        count: pictures of the test set, at most.
        data_dir: where the data set lies now, if elsewhere than the run's config says.

    Returns:
        The folder; ``index.html`` in it is the page.

    Raises:
        ValueError: the folder holds something already, the run cannot be shown (see
            `aae.explorer.content.content`), or a package for ONNX is not installed.
    """
    folder, model = Path(folder), run.model()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something already: name a new folder")
    shown = content(run, model, count=count, data_dir=data_dir)
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    told = export.about(run, model)
    for name in ("encoder", "decoder"):
        path = folder / f"{name}.onnx"
        export.write_onnx(export.networks(model)[name], path, told | {"network": name})
    for name, array in shown.arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        # No time of writing: the same run gives the same bytes.
        (folder / f"{name}.gz").write_bytes(gzip.compress(little.tobytes(), 6, mtime=0))
    kinds = {
        name: {"type": str(array.dtype), "shape": array.shape}
        for name, array in shown.arrays.items()
    }
    about = shown.about | {"arrays": kinds}
    (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    return folder
