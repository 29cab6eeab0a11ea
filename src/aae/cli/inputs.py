"""What a user names on the command line: runs, pictures, files to write."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from aae.run import Part, Run

Split = Literal["train", "validation", "test"]


def pictures(run: Run, data: str, split: Split = "test", data_dir: str | None = None) -> Part:
    """Pictures for a run's model: those of a data set, or of a file.

    Args:
        run: whose model shall see them.
        data: a data set's name, or a ``.npy`` file of uint8 pictures.
        split: which part of a data set, split as the run splits its own.
        data_dir: where the data set's files lie.

    Raises:
        ValueError: there is no such data, or it is of another shape than the run's.
    """
    from aae.data import CATALOG, load
    from aae.run import Part, Splits

    if data in CATALOG:
        if CATALOG[data].shape != run.shape:
            raise ValueError(
                f"the pictures of {data} are {_by(CATALOG[data].shape)}, those of {run.folder} "
                f"{_by(run.shape)}; take pictures of that shape"
            )
        own = data == run.config.data
        dataset = run.dataset(data_dir) if own else load(data, data_dir)
        whole = dataclasses.replace(run.config, labels="all")  # another data set may have fewer
        part: Part = getattr(Splits.of(whole, dataset), split)
        return part
    path = Path(data)
    if path.suffix != ".npy" or not path.is_file():
        raise ValueError(
            f"{data!r} is neither a data set ({', '.join(CATALOG)}) nor a .npy file of pictures"
        )
    images = _read(path, run.shape)
    return Part(images, np.full(len(images), -1))


def output(path: Path, *endings: str) -> Path:
    """A file to write, its folder made.

    Raises:
        ValueError: its name has another ending than those that can be written.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(f"--out {path} must end in {' or '.join(endings)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Pictures uint8 [n, c, h, w] from a file that may hold [n, h, w] or [n, pixels] too."""
    try:
        images: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(f"{path} is no .npy file of numbers; write it with numpy.save") from None
    known = [shape, (int(np.prod(shape)),)]
    if shape[0] == 1:
        known.append(shape[1:])
    if images.dtype != np.uint8 or images.size == 0 or images.shape[1:] not in known:
        possible = " or ".join(f"[n, {', '.join(map(str, each))}]" for each in known)
        raise ValueError(
            f"{path} holds {images.dtype} {list(images.shape)}; "
            f"the run's model reads uint8 {possible}"
        )
    return images.reshape(-1, *shape)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
