"""Files that are whole or absent, JSON that may be a stranger's, and folders with one writer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_JSON = 64 * 2**20
"""Most bytes that a JSON file may have to be read."""


@contextmanager
def written(place: Path) -> Iterator[Path]:
    """A place to write a file at, which gets its own name only once it is complete.

    Missing folders are made. What was written is on the disk when the context ends: a loss of power
    afterwards does not undo it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.stem}.{os.getpid()}{place.suffix}")
    aside.unlink(missing_ok=True)  # it might be a link to elsewhere
    try:
        yield aside
        flush(aside)
        aside.replace(place)
        flush(place.parent)
    except OSError as error:
        if error.filename in (aside, str(aside)):
            error.filename = str(place)  # the name that was asked for
        raise
    finally:
        aside.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or too long or too deep to be one of ours.
    """
    return parse_json(read_bounded(path, MOST_JSON), str(path))


def write_json(path: Path, values: Any) -> None:
    """Write values as a file of JSON, all or nothing."""
    with written(path) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n")


def parse_json(text: bytes | str, name: str) -> Any:
    """The value of a JSON text.

    Args:
        text: the text.
        name: where it is from, for messages.

    Raises:
        ValueError: it is no JSON, or too deep to be one of ours.

    >>> parse_json("[1, 2", "notes")
    Traceback (most recent call last):
    ValueError: notes is not JSON: Expecting ',' delimiter: line 1 column 6 (char 5)
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{name} is not JSON of ours: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None


def read_bounded(path: Path, most: int) -> bytes:
    """A file's content.

    Raises:
        OSError: it cannot be read.
        ValueError: it is longer than ``most`` bytes, or not a regular file.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise ValueError(f"{path} has {size:,} bytes; at most {most:,} are expected there")
        return file.read(most)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one that writes to a folder; the system frees it if the process dies.

    Raises:
        ValueError: another one writes to it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(
            f"{folder} is in use: another training writes to it; wait for its end or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def refuse_links(folder: Path, *names: str) -> None:
    """Refuse to write into a folder if that would lead elsewhere.

    Args:
        folder: the folder.
        names: what is written to in it, if it exists.

    Raises:
        ValueError: one of these is a link.
    """
    for name in names:
        if (folder / name).is_symlink():
            raise ValueError(
                f"{folder / name} is a link, and writing would leave the folder: put there what "
                "it links to"
            )
