"""A checkpoint: weights, training state and a manifest, written aside and renamed into place.

All tensors are safetensors, so that a checkpoint from a stranger can be opened. Every file has its
checksum in the manifest, and the manifest its own: what changed on the disk is known by name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from aae.autoencoder import Autoencoder
from aae.storage import flush, read_bounded, read_json
from aae.training import old_formats
from aae.training.packing import pack, pack_tensors, unpack, unpack_tensors
from aae.training.trainer import Trainer

_WEIGHTS, _STATE, _MANIFEST = "weights.safetensors", "training.safetensors", "manifest.json"
_NAME = re.compile(r"epoch-(\d{4,9})(?:-batch-(\d{1,9}))?")

MOST = 16 * 2**30
"""Bytes of a checkpoint's file that are read into memory, at most."""

logger = logging.getLogger(__name__)


class DamagedError(ValueError):
    """A checkpoint is not what was written."""


def save(
    folder: Path,
    trainer: Trainer,
    *,
    keep: int,
    figures: Mapping[str, Any] | None = None,
    keep_best: str | None = None,
) -> Path:
    """Write a checkpoint of a training and drop all but the newest, and the best.

    Args:
        folder: where checkpoints lie, one folder each.
        trainer: the training.
        keep: how many of the newest to keep.
        figures: the validation figures of its weights, where they were measured.
        keep_best: the figure by which the best is kept too; the lowest is best.

    Returns:
        The checkpoint's folder, named after the epochs finished (and batches, within an epoch).

    Raises:
        OSError: it could not be written (the disk is full, say); those before are as they were.
    """
    place = write(folder, trainer.model, trainer.state(), figures)
    best = _best(folder, keep_best)
    for old in found(folder)[:-keep]:
        if old != best:
            _discard(old)
    return place


def write(
    folder: Path,
    model: Autoencoder,
    state: dict[str, Any],
    figures: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint of a model and of the state that its trainer gave; see `save`."""
    epoch, batch, step = (state["progress"][key] for key in ("epoch", "batch", "count"))
    name = f"epoch-{epoch:04d}" + (f"-batch-{batch}" if batch else "")
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".epoch-*.tmp"):  # by a process that died
        shutil.rmtree(left, ignore_errors=True)
    contents = {
        _WEIGHTS: pack_tensors(model.state_dict()),
        _STATE: pack(state),
    }
    about = {
        "epoch": epoch, "batch": batch, "step": step, "figures": dict(figures or {}),
    }  # fmt: skip
    manifest = _signed(about | {"sha256": {k: _sha256(v) for k, v in contents.items()}})
    contents[_MANIFEST] = json.dumps(manifest, indent=1).encode()
    aside = folder / f".{name}.tmp"
    try:
        aside.mkdir()
        for file, content in contents.items():
            (aside / file).write_bytes(content)
            flush(aside / file)
        flush(aside)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        kept = found(folder)
        raise OSError(
            error.errno,
            f"{error.strerror}: the checkpoint {name} could not be written; "
            + (f"{kept[-1].name} is kept" if kept else "there is none before it")
            + "; make room, and go on with --resume",
            str(folder),
        ) from error
    place = folder / name
    for later in found(folder):
        # It was damaged, or the training would not stand before it.
        if _age(later) > _age(place):
            _rename(later, later.with_name(f"{later.name}.damaged"))
    _rename(aside, place)
    flush(folder)
    flush(folder.parent)
    return place


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_age)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; those passed over are named to the log.

    Returns:
        None where there is no checkpoint.

    Raises:
        DamagedError: there are some, and all are damaged.
    """
    return _first_whole(list(reversed(found(folder))))


def best(folder: Path, figure: str) -> Path | None:
    """The whole checkpoint with the lowest of a validation figure, or the newest without any."""
    measured = sorted((figures_of(place).get(figure, math.inf), place) for place in found(folder))
    return _first_whole([place for value, place in measured if value < math.inf]) or newest(folder)


def figures_of(place: Path) -> dict[str, float]:
    """The validation figures of a checkpoint's weights; none where they are unknown."""
    try:
        figures = _manifest(place).get("figures", {})
        return {name: float(value) for name, value in figures.items() if _is_number(value)}
    except (DamagedError, AttributeError, OverflowError):
        return {}


def epoch_of(place: Path) -> int:
    """Epochs finished at a checkpoint."""
    return _age(place)[0]


def bytes_of_weights(place: Path) -> int:
    """How large the file of a checkpoint's weights is; 0 where there is none."""
    file = place / _WEIGHTS
    return file.stat().st_size if file.is_file() else 0


def load_weights(place: Path, model: Autoencoder) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        DamagedError: the checkpoint is damaged.
        ValueError: it is of another model.
    """
    weights = unpack_tensors(_content(place, _WEIGHTS), f"{_WEIGHTS} in {place}")
    _give_weights(place, weights, model)


def load(place: Path, trainer: Trainer) -> None:
    """Put a training where it stood at a checkpoint, to the bit.

    Raises:
        DamagedError: the checkpoint is damaged.
        ValueError: it is of another model or training.
    """
    weights, state = read(place)
    _give_weights(place, weights, trainer.model)
    try:
        trainer.load_state(state)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{_state_of(place)} in {place} is not of this training: {what}") from None


def read(place: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights in a checkpoint, and the state of the training.

    Raises:
        DamagedError: the checkpoint is damaged.
    """
    file = _state_of(place)
    weights, content = _content(place, _WEIGHTS), _content(place, file)
    state = (unpack if file == _STATE else old_formats.unpack)(content, f"{file} in {place}")
    return unpack_tensors(weights, f"{_WEIGHTS} in {place}"), state


def _state_of(place: Path) -> str:
    """The file that a checkpoint keeps the state of the training in."""
    old = old_formats.STATE in _manifest(place)["sha256"]
    return old_formats.STATE if old else _STATE


def _give_weights(place: Path, weights: dict[str, Tensor], model: Autoencoder) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the weights in {place} are not those of this model: {error}") from None


def _first_whole(places: list[Path]) -> Path | None:
    """The first checkpoint of some that is whole."""
    damages: list[str] = []
    for place in places:
        try:
            _verify(place)
        except DamagedError as error:
            damages.append(str(error))
            continue
        for damage in damages:
            logger.warning("%s; going by %s instead", damage, place.name)
        return place
    if damages:
        raise DamagedError("; ".join(damages) + "; no checkpoint is whole")
    return None


def _best(folder: Path, figure: str | None) -> Path | None:
    """The checkpoint to be kept for its figure; what is damaged is nobody's best."""
    values = {place: figures_of(place).get(figure or "", math.inf) for place in found(folder)}
    place = min(values, key=values.__getitem__, default=None)
    return place if place is not None and values[place] < math.inf else None


def _manifest(place: Path) -> dict[str, Any]:
    """A checkpoint's manifest, held to its own checksum.

    Raises:
        DamagedError: it is not as it was written.
    """
    try:
        manifest = read_json(place / _MANIFEST)
        files = manifest["sha256"]
        own = files.get(_MANIFEST)  # format 1 has none
        names = {_WEIGHTS, _STATE, _MANIFEST} if own else {_WEIGHTS, old_formats.STATE}
        if files.keys() != names:
            raise ValueError(f"it lists {', '.join(files) or 'nothing'}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{_MANIFEST}, {type(error).__name__}: {error}"
        raise DamagedError(f"the checkpoint {place} cannot be read: {what}") from None
    if own and _signed(manifest)["sha256"][_MANIFEST] != own:
        raise DamagedError(f"the checkpoint {place} is damaged: {_MANIFEST} changed on disk")
    return manifest  # type: ignore[no-any-return]


def _signed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest with a checksum of its own among those of the files."""
    files = {k: v for k, v in manifest["sha256"].items() if k != _MANIFEST}
    text = json.dumps(manifest | {"sha256": files}, sort_keys=True)
    return manifest | {"sha256": files | {_MANIFEST: _sha256(text.encode())}}


def _verify(place: Path) -> None:
    """Hold a checkpoint's files to their checksums, a piece at a time.

    Raises:
        DamagedError: one is not there, or not as it was written.
    """
    for file, expected in _manifest(place)["sha256"].items():
        if file == _MANIFEST:
            continue
        try:
            if not (place / file).is_file():
                raise FileNotFoundError(f"{file} is missing")
            with (place / file).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DamagedError(f"the checkpoint {place} cannot be read: {error}") from None
        if found != expected:
            raise DamagedError(f"the checkpoint {place} is damaged: {file} changed on disk")


def _content(place: Path, file: str) -> bytes:
    """A file of a checkpoint, held to its checksum.

    Raises:
        DamagedError: it is not there, or not as it was written.
    """
    expected = _manifest(place)["sha256"][file]
    try:
        content = read_bounded(place / file, MOST)
    except (OSError, ValueError) as error:
        raise DamagedError(f"the checkpoint {place} cannot be read: {error}") from None
    if _sha256(content) != expected:
        raise DamagedError(f"the checkpoint {place} is damaged: {file} changed on disk")
    return content


def _age(place: Path) -> tuple[int, int]:
    """Epochs finished, and batches after them."""
    match = _NAME.fullmatch(place.name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)


def _rename(source: Path, target: Path) -> None:
    """Rename a folder; what has the new name already gives way."""
    if target.exists():
        _discard(target)
    source.rename(target)


def _discard(place: Path) -> None:
    """Remove a folder; where that is cut short, what is left bears no checkpoint's name."""
    aside = place.with_name(f".{place.name}.tmp")
    if aside.exists():
        aside = place.with_name(f".{place.name}.old.tmp")
    place.rename(aside)
    shutil.rmtree(aside)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
