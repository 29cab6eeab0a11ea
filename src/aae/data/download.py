"""Fetching published files from mirrors into a cache."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aae.data.cache import cache_folder, workspace
from aae.data.catalog import Source, SourceFile
from aae.data.files import read_verified
from aae.terminal import console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_ROUNDS = 2
"""How often each mirror is tried."""
_PAUSE_SECONDS = 1.0
"""From one round to the next."""
_TIMEOUT_SECONDS = (10, 30)
"""To connect, and between two pieces."""
_CHUNK = 1 << 16
"""Bytes of a piece."""
_GZIP_OVERHEAD = 1 << 16
"""Bytes by which a packed file may be longer than its content."""


class DownloadError(OSError):
    """No mirror gave a good copy of a file."""


def fetch(source: Source, file: SourceFile, *, progress: bool = True) -> bytes:
    """Read a file from the cache; download and check it first if it is missing or damaged.

    Each mirror is tried in turn, all of them twice. A file enters the cache whole and checked,
    by a rename, or not at all.

    Args:
        source: the data set, with its mirrors.
        file: one of its files.
        progress: draw a progress bar on the standard error.

    Returns:
        The content, decompressed.

    Raises:
        DownloadError: every mirror failed; says how each failed, and what to do.
        CacheError: see `workspace`.
    """
    folder = cache_folder() / source.name
    cached = folder / file.name
    if cached.is_file():
        try:
            return read_verified(cached, file)
        except ValueError:
            pass  # a damaged copy is replaced below
    failures: dict[str, str] = {}
    for attempt in range(_ROUNDS):
        if attempt > 0:
            time.sleep(_PAUSE_SECONDS)
        for mirror in source.mirrors:
            with workspace(folder) as aside:
                partial = aside / file.name
                try:
                    _download(
                        mirror + file.name, partial, file, f"{source.name}/{file.name}", progress
                    )
                    content = read_verified(partial, file)
                except (OSError, ValueError) as error:
                    failures[mirror] = _reason(error)
                    continue
                partial.replace(cached)
                return content
    tried = "; ".join(f"{mirror + file.name}: {reason}" for mirror, reason in failures.items())
    raise DownloadError(
        f"cannot download {file.name} of {source.name} ({tried}); check the network, or put "
        f"{', '.join(each.name for each in source.files)} into DIR/{source.name} and use "
        "--data-dir DIR"
    )


def _download(url: str, target: Path, file: SourceFile, label: str, progress: bool) -> None:
    import pooch

    with _progress_bar(label, progress) as bar, target.open("wb") as output:
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK,
            timeout=_TIMEOUT_SECONDS,
            headers={"Accept-Encoding": "identity"},  # checksums are of the bytes as published
        )
        downloader(url, _BoundedFile(output, file.size + _GZIP_OVERHEAD), None)


class _BoundedFile:
    """A file that refuses to grow past a limit, whatever a server sends."""

    def __init__(self, output: BinaryIO, limit: int) -> None:
        self._output = output
        self._left = limit

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise ValueError("it sends more than the file can hold")
        self._output.write(chunk)

    def flush(self) -> None:
        self._output.flush()


class _Bar:
    """A row of a rich progress display, with the methods of tqdm that pooch calls."""

    def __init__(self, display: "Progress", task: "TaskID") -> None:
        self._display = display
        self._task = task

    @property
    def total(self) -> float | None:
        return self._display.tasks[self._task].total

    @total.setter
    def total(self, n_bytes: int) -> None:
        if n_bytes:  # pooch says 0 where the server names no size
            self._display.update(self._task, total=n_bytes)

    def update(self, n_bytes: int) -> None:
        self._display.advance(self._task, n_bytes)

    def reset(self) -> None:
        self._display.update(self._task, completed=0)

    def close(self) -> None:
        pass


@contextmanager
def _progress_bar(label: str, shown: bool) -> Iterator[_Bar | bool]:
    if not shown:
        yield False
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console(stderr=True), transient=True) as display:
        yield _Bar(display, display.add_task(label, total=None))


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return str(error)
