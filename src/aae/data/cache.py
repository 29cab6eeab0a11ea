"""The folder of what was downloaded, decoded or learned once, and may be deleted at any time."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ASIDE = ".partial-"
WEEK = 7 * 24 * 3600
"""Seconds after which nobody is still at work in a temporary folder."""


class CacheError(OSError):
    """The cache cannot be written."""


def cache_folder() -> Path:
    """Folder of downloaded files: `AAE_CACHE_DIR`, or the system's place for caches."""
    if chosen := os.environ.get("AAE_CACHE_DIR"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("aae"))


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A temporary folder within a folder of the cache, which is made if it is not there.

    What processes that were killed left there is removed after a week.

    Raises:
        CacheError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_ASIDE}*"):  # by a process that was killed
            with suppress(FileNotFoundError):  # another process removes it, too
                if time.time() - left.stat().st_mtime > WEEK:
                    shutil.rmtree(left, ignore_errors=True)
        aside = tempfile.TemporaryDirectory(prefix=_ASIDE, dir=folder)
    except OSError as error:
        raise CacheError(
            f"cannot write to the cache {folder} ({error.strerror}); "
            "set AAE_CACHE_DIR to a folder that can be written"
        ) from error
    with aside as path:
        yield Path(path)
