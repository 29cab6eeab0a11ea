"""What a run is handed on as: ``aae export``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def export(
    run: Path,
    /,
    *,
    format: Literal["onnx", "torch-export", "safetensors"] = "onnx",
    out: Path | None = None,
) -> int:
    """Write a run's encoder, decoder and classifier for other programs.

    Args:
        run: The run folder.
        format: ONNX; a program for torch.export.load; or weights alone, with the config.
        out: Folder to write to; without it, RUN/export.
    """
    from aae import export as exporting
    from aae.run import Run

    for path in exporting.export(Run(run), out or run / "export", format):
        print(path)
    return 0
