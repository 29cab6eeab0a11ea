"""A checkpoint: weights, training state and a manifest, written aside and renamed into place.

Weights are safetensors; the rest is read by torch without pickle's powers (``weights_only``), so
that a checkpoint from a stranger can be opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from aae.autoencoder import Autoencoder
from aae.training.trainer import Trainer

_WEIGHTS, _STATE = "weights.safetensors", "training.pt"
_NAME = re.compile(r"epoch-(\d{4,})(?:-batch-(\d+))?")


def save(folder: Path, trainer: Trainer, *, keep: int) -> Path:
    """Write a checkpoint of a training and drop all but the newest.

    Args:
        folder: where checkpoints lie, one folder each.
        trainer: the training.
        keep: how many checkpoints to keep.

    Returns:
        The checkpoint's folder, named after the epochs finished (and batches, within an epoch).
    """
    progress = trainer.progress
    name = f"epoch-{progress.epoch:04d}" + (f"-batch-{progress.batch}" if progress.batch else "")
    aside = folder / f".{name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in trainer.model.state_dict().items()}
    save_file(weights, aside / _WEIGHTS)
    torch.save(trainer.state(), aside / _STATE)
    files = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
    manifest = {"epoch": progress.epoch, "batch": progress.batch, "step": progress.count}
    (aside / "manifest.json").write_text(json.dumps({**manifest, "sha256": files}, indent=1))
    for path in aside.iterdir():
        _flush(path)
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    _flush(folder)
    for old in found(folder)[:-keep]:
        shutil.rmtree(old)
    return place


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [
        path
        for _, path in sorted(
            ((int(m[1]), int(m[2] or 0)), path) for m, path in matches if m is not None
        )
    ]


def epoch_of(place: Path) -> int:
    """Epochs finished at a checkpoint."""
    match = _NAME.fullmatch(place.name)
    assert match is not None
    return int(match[1])


def load_weights(place: Path, model: Autoencoder) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        ValueError: the checkpoint is damaged, or is of another model.
    """
    _verify(place)
    try:
        model.load_state_dict(load_file(place / _WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"the weights in {place} are not those of this model: {error}") from None


def load(place: Path, trainer: Trainer) -> None:
    """Put a training where it stood at a checkpoint, to the bit.

    Raises:
        ValueError: the checkpoint is damaged, or is of another model.
    """
    load_weights(place, trainer.model)
    try:
        state: dict[str, Any] = torch.load(place / _STATE, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{_STATE} in {place} cannot be trusted: it holds more than tensors and plain values"
        ) from None
    trainer.load_state(state)


def _verify(place: Path) -> None:
    try:
        expected = json.loads((place / "manifest.json").read_text())["sha256"]
        damaged = [name for name in (_WEIGHTS, _STATE) if _sha256(place / name) != expected[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"the checkpoint {place} cannot be read: {what}") from None
    if damaged:
        raise ValueError(f"the checkpoint {place} is damaged: {', '.join(damaged)} changed on disk")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
