"""A checkpoint: weights, training state and a manifest, written aside and renamed into place.

All tensors are safetensors, so that a checkpoint from a stranger can be opened. The manifest holds
the checksum of every file and its own, so that a file that changed on disk can be named.
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
from aae.hints import fits
from aae.packing import pack, pack_tensors, unpack, unpack_tensors
from aae.storage import flush, read_bounded, read_json
from aae.training import old_formats
from aae.training.trainer import Trainer

_WEIGHTS, _STATE, _MANIFEST = "weights.safetensors", "training.safetensors", "manifest.json"
_NAME = re.compile(r"epoch-(\d{4,9})(?:-batch-(\d{1,9}))?")

MOST = 16 * 2**30
"""Most bytes of a checkpoint's file that are read into memory."""

logger = logging.getLogger(__name__)


class DamagedError(ValueError):
    """A checkpoint differs from what was written."""


def save(
    folder: Path,
    trainer: Trainer,
    *,
    keep: int,
    figures: Mapping[str, Any] | None = None,
    keep_best: str | None = None,
) -> Path:
    """Write a checkpoint of a training, and delete all but the newest and the best.

    Args:
        folder: where the checkpoints are, one folder each.
        trainer: the training.
        keep: how many of the newest to keep.
        figures: the validation figures of its weights, where they were measured.
        keep_best: the figure by which the best checkpoint is kept, too; the lowest is best.

    Returns:
        The checkpoint's folder, named after the epochs finished (and batches, within an epoch).

    Raises:
        OSError: it could not be written (the disk is full, say); earlier ones are unchanged.
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
    """Write a checkpoint of a model and of its trainer's state; see `save`."""
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
        # It was damaged, or the training would not be at an earlier point.
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
    """The newest undamaged checkpoint; the log names those passed over.

    Returns:
        None where there is no checkpoint.

    Raises:
        DamagedError: there are checkpoints, and all are damaged.
    """
    return _first_whole(list(reversed(found(folder))))


def best(folder: Path, figure: str) -> Path | None:
    """The undamaged checkpoint with the lowest validation figure; the newest if none has one.

    Returns:
        None where there is no checkpoint.

    Raises:
        DamagedError: see `newest`.
    """
    values = {place: figures_of(place).get(figure, math.inf) for place in found(folder)}
    measured = sorted(
        (p for p, value in values.items() if value < math.inf), key=values.__getitem__
    )
    return _first_whole([*measured, *(p for p in reversed(values) if p not in measured)])


def figures_of(place: Path) -> dict[str, float]:
    """The validation figures of a checkpoint's weights; those that are unknown are left out."""
    try:
        figures = _manifest(place).get("figures", {})
        numbers = {name: float(value) for name, value in figures.items() if fits(value, float)}
    except (DamagedError, AttributeError, OverflowError):
        return {}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def epoch_of(place: Path) -> int:
    """Epochs finished at a checkpoint."""
    return _age(place)[0]


def bytes_of_weights(place: Path) -> int:
    """Size of a checkpoint's weights file in bytes; 0 where there is none."""
    file = place / _WEIGHTS
    return file.stat().st_size if file.is_file() else 0


def load_weights(place: Path, model: Autoencoder) -> None:
    """Load a checkpoint's weights into a model.

    Raises:
        DamagedError: the checkpoint is damaged.
        ValueError: it belongs to another model.
    """
    weights = unpack_tensors(_content(place, _WEIGHTS), f"{_WEIGHTS} in {place}")
    give_weights(place, weights, model)


def load(place: Path, trainer: Trainer) -> None:
    """Restore a training to its state at a checkpoint, bit for bit.

    Raises:
        DamagedError: the checkpoint is damaged.
        ValueError: it belongs to another model or training.
    """
    weights, state = read(place)
    give_weights(place, weights, trainer.model)
    try:
        trainer.load_state(state)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{_state_of(place)} in {place} is not of this training: {what}") from None


def read(place: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the training state in a checkpoint.

    Raises:
        DamagedError: the checkpoint is damaged.
    """
    file = _state_of(place)
    weights, content = _content(place, _WEIGHTS), _content(place, file)
    state = (unpack if file == _STATE else old_formats.unpack)(content, f"{file} in {place}")
    return unpack_tensors(weights, f"{_WEIGHTS} in {place}"), state


def give_weights(place: Path, weights: dict[str, Tensor], model: Autoencoder) -> None:
    """Load the weights that `read` found in a checkpoint into a model.

    Raises:
        ValueError: they belong to another model.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the weights in {place} are not those of this model: {error}") from None


def _state_of(place: Path) -> str:
    """Name of the file in which a checkpoint keeps the training state."""
    old = old_formats.STATE in _manifest(place)["sha256"]
    return old_formats.STATE if old else _STATE


def _first_whole(places: list[Path]) -> Path | None:
    """The first undamaged checkpoint among some."""
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
        raise DamagedError(
            "; ".join(damages) + "; no checkpoint is whole: put back a copy of one, or remove "
            f"{places[0].parent}, and --resume trains from the start"
        )
    return None


def _best(folder: Path, figure: str | None) -> Path | None:
    """The checkpoint to keep for its figure; a damaged one is never the best."""
    values = {place: figures_of(place).get(figure or "", math.inf) for place in found(folder)}
    place = min(values, key=values.__getitem__, default=None)
    return place if place is not None and values[place] < math.inf else None


def _manifest(place: Path) -> dict[str, Any]:
    """A checkpoint's manifest, checked against its own checksum.

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
    """A manifest that lists its own checksum among those of the files."""
    files = {k: v for k, v in manifest["sha256"].items() if k != _MANIFEST}
    text = json.dumps(manifest | {"sha256": files}, sort_keys=True)
    return manifest | {"sha256": files | {_MANIFEST: _sha256(text.encode())}}


def _verify(place: Path) -> None:
    """Check a checkpoint's files against their checksums, a piece at a time.

    Raises:
        DamagedError: a file is missing, or not as it was written.
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
    """The content of a checkpoint's file, checked against its checksum.

    Raises:
        DamagedError: the file is missing, or not as it was written.
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
    """Rename a folder; one that already has the new name is removed once that is done."""
    old = _put_aside(target) if target.exists() else None
    source.rename(target)
    if old:
        shutil.rmtree(old)


def _discard(place: Path) -> None:
    """Remove a folder; if that is interrupted, the rest no longer has a checkpoint's name."""
    shutil.rmtree(_put_aside(place))


def _put_aside(place: Path) -> Path:
    """Take its name from a folder; returns where it is now."""
    aside = place.with_name(f".{place.name}.tmp")
    if aside.exists():
        aside = place.with_name(f".{place.name}.old.tmp")
    return place.rename(aside)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
