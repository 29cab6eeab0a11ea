"""Pictures decoded once and kept as one array in the cache, where a training can stream them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aae.data.cache import cache_folder, workspace
from aae.data.decoding import Look, Reading, UnreadableError, decode, look
from aae.data.npy import write_array
from aae.storage import flush, read_json, write_json
from aae.terminal import console
from aae.words import by

_FORMAT = 2  # of what is kept; pictures kept in another one are decoded anew
_AHEAD = 256
"""Number of pictures that are decoded ahead of the one that is written."""
_PIXELS, _ABOUT = "pixels.npy", "unreadable.json"
T = TypeVar("T")


class Files(Protocol):
    """Files by name, in a folder or in a zip."""

    place: Path

    def stamp(self, name: str) -> Sequence[int]:
        """Numbers that change when a file does."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file, for reading.

        Raises:
            UnreadableError: it is not to be opened.
        """


@dataclass(frozen=True)
class Kept:
    """Decoded pictures.

    Attributes:
        pixels: uint8 [n, c, h, w], mapped from a file; zeros where a picture cannot be read.
        reasons: why it cannot be read, by the name of its file.
    """

    pixels: NDArray[np.uint8]
    reasons: dict[str, str]


def decoded(files: Files, names: Sequence[str], reading: Reading, *, progress: bool) -> Kept:
    """Decode pictures into one array, or take it from the cache as long as no file has changed.

    Args:
        files: where the pictures are.
        names: those of the pictures, in order.
        reading: how they are read.
        progress: draw a progress bar where they are decoded.

    Raises:
        ValueError: no picture can be read, or they have several sizes and are to keep them, or the
            disk is too full.
        CacheError: the cache cannot be written.
    """
    import PIL

    how = [_FORMAT, PIL.__version__, reading.image_size, reading.channels]
    place = cache_folder() / "pictures" / _digest([str(files.place.resolve()), how])
    folder = place / _digest([[name, *files.stamp(name)] for name in names])
    if not folder.is_dir():
        with workspace(place) as aside, warnings.catch_warnings():
            # Pillow's are about metadata, and it has no say in what is too large. Filters are the
            # whole process's: threads that each set and reset them would leave them set.
            warnings.simplefilter("ignore")
            made = aside / folder.name
            made.mkdir()  # to be read by whoever may read the cache, unlike the workspace
            _decode(files, names, reading, made, progress)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # made by another process meanwhile
                    raise
        for old in place.iterdir():
            if old != folder and not old.name.startswith("."):
                shutil.rmtree(old, ignore_errors=True)
    about: dict[str, str] = read_json(folder / _ABOUT)
    return Kept(np.load(folder / _PIXELS, mmap_mode="r"), about)


def _decode(
    files: Files, names: Sequence[str], reading: Reading, folder: Path, progress: bool
) -> None:
    """Write the pictures, and the reasons why some are missing, into a folder."""
    size, channels = reading.size, reading.channels
    if size is None or channels is None:
        seen = _each(names, _reader(files, look), "looking at pictures", progress)
        looks = [each for each in seen if isinstance(each, Look)]
        size = size or _common_size(looks, files.place)
        channels = channels or (1 if all(each.grey for each in looks) else 3)
    shape = len(names), channels, *size
    needed, free = math.prod(shape), shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"the pictures of {files.place} take {needed / 1e9:.1f} GB in the cache "
            f"{cache_folder()}, where {free / 1e9:.1f} GB are free: take a smaller --image-size, "
            "or set AAE_CACHE_DIR to a folder elsewhere"
        )
    read = _reader(files, partial(decode, size=size, channels=channels))
    reasons = {}

    def pixels() -> Iterator[NDArray[np.uint8]]:
        seen = _each(names, read, "decoding pictures", progress)
        for name, picture in zip(names, seen, strict=True):
            if isinstance(picture, UnreadableError):
                reasons[name] = str(picture)
                yield np.zeros(shape[1:], np.uint8)
            else:
                yield picture

    write_array(folder / _PIXELS, "|u1", shape, pixels())
    flush(folder / _PIXELS)
    write_json(folder / _ABOUT, reasons)


def _reader(files: Files, work: Callable[[BinaryIO], T]) -> Callable[[str], T | UnreadableError]:
    """Make a function that works on a file by name; a failure to read it is a result, too."""

    def read(name: str) -> T | UnreadableError:
        try:
            with files.open(name) as file:
                return work(file)
        except UnreadableError as error:
            return error
        except OSError as error:
            return UnreadableError(error.strerror or str(error))

    return read


def _each(
    names: Sequence[str], read: Callable[[str], T], words: str, progress: bool
) -> Iterator[T]:
    """What each file is read as, in order; threads read some ahead."""
    from rich.progress import track

    starts = track(
        range(0, len(names), _AHEAD), words,
        console=console(stderr=True), transient=True, disable=not progress,
    )  # fmt: skip
    with ThreadPoolExecutor(os.cpu_count(), "decoding") as pool:
        for start in starts:
            yield from pool.map(read, names[start : start + _AHEAD])


def _common_size(looks: Sequence[Look], place: Path) -> tuple[int, int]:
    """The single size that all pictures have."""
    sizes = Counter(each.size for each in looks)
    if not sizes:
        raise ValueError(f"none of the pictures in {place} can be read")
    if len(sizes) > 1:
        usual, count = sizes.most_common(1)[0]
        heights, widths = ({size[side] for size in sizes} for side in (0, 1))
        raise ValueError(
            f"the pictures in {place} have {len(sizes)} sizes, {min(heights)} to {max(heights)} "
            f"high and {min(widths)} to {max(widths)} wide, {count} of {len(looks)} being "
            f"{by(usual)} (height×width): say to what size each is scaled and cropped, such as "
            "--image-size 64"
        )
    return next(iter(sizes))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
