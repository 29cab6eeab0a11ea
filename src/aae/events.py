"""TensorBoard's event files: what was written after a checkpoint is taken back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from aae.storage import flush, written

_LENGTH, _CHECKSUM = struct.Struct("<Q"), 4
"""A record is a length, its checksum, that many bytes, and their checksum (TFRecord format)."""


def undo(folder: Path, is_past: Callable[[int, str], bool]) -> None:
    """Rewrite the event files in a folder: only what is past stays, and no torn end.

    Args:
        folder: where they lie.
        is_past: whether to keep what was written at a step under a tag.
    """
    for file in _files(folder):
        with written(file) as path, path.open("wb") as kept:
            for record in _records(file):
                if _is_kept(record, is_past):
                    kept.write(record)


def flush_all(folder: Path) -> None:
    """Have the event files in a folder written to the disk."""
    for file in _files(folder):
        flush(file)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("events.out.tfevents.*") if path.is_file())


def _records(file: Path) -> Iterator[bytes]:
    """The records of a file, with their framing, up to the first that is cut short."""
    left = file.stat().st_size
    with file.open("rb") as stream:
        while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
            rest = _CHECKSUM + _LENGTH.unpack(head)[0] + _CHECKSUM
            left -= len(head) + rest
            if left < 0:
                return
            yield head + stream.read(rest)


def _is_kept(record: bytes, is_past: Callable[[int, str], bool]) -> bool:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        event = Event.FromString(record[_LENGTH.size + _CHECKSUM : -_CHECKSUM])
    except DecodeError:
        return False
    return all(is_past(event.step, value.tag) for value in event.summary.value)
