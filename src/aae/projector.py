"""TensorBoard's embedding projector: codes, their labels, and thumbnails on one sheet."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aae.storage import written

POINTS = 2_000
"""Most codes that are shown: what the projector's layouts take at once."""
SIDE = 32
"""Most pixels of a thumbnail's longer side: the sheet stays below 2 MP."""


def write(
    folder: Path,
    codes: NDArray[np.float32],
    labels: Sequence[str] | None = None,
    pictures: NDArray[np.float32] | None = None,
) -> None:
    """Write what the projector shows of a run, in place of what it showed before.

    Args:
        folder: the run folder, where TensorBoard looks.
        codes: [n, d], of at most `POINTS` examples.
        labels: a word for each, if there are any.
        pictures: [n, c, h, w] in [0, 1], one or three channels, if the examples are pictures.
    """
    with warnings.catch_warnings():  # tensorboard's own imports
        warnings.simplefilter("ignore", DeprecationWarning)
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    assert len(codes) <= POINTS
    place, config = folder / "projector", ProjectorConfig()
    shown = config.embeddings.add(tensor_name="codes", tensor_path="projector/codes.tsv")
    with written(place / "codes.tsv") as path:
        np.savetxt(path, codes, fmt="%.6g", delimiter="\t")
    if labels is not None:
        shown.metadata_path = "projector/labels.tsv"
        with written(place / "labels.tsv") as path:
            words = (" ".join(label.split()) or "?" for label in labels)
            path.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    if pictures is not None:
        shown.sprite.image_path = "projector/thumbnails.png"
        with written(place / "thumbnails.png") as path:
            shown.sprite.single_image_dim.extend(_write_sheet(path, pictures))
    with written(folder / "projector_config.pbtxt") as path:
        path.write_text(text_format.MessageToString(config), encoding="utf-8")


def _write_sheet(path: Path, pictures: NDArray[np.float32]) -> tuple[int, int]:
    """Write thumbnails row by row on a square sheet, as the projector cuts it → (width, height)."""
    from PIL import Image

    height, width = pictures.shape[2:]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    across = math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (across * size[0], across * size[1]))
    for k, picture in enumerate(np.rint(pictures * 255).astype(np.uint8)):
        # Grey pictures have one channel, which stands for all three.
        pixels = np.broadcast_to(picture, (3, height, width)).transpose(1, 2, 0)
        thumbnail = Image.fromarray(np.ascontiguousarray(pixels))
        if thumbnail.size != size:
            thumbnail = thumbnail.resize(size, Image.Resampling.BOX)
        sheet.paste(thumbnail, (k % across * size[0], k // across * size[1]))
    sheet.save(path)
    return size
