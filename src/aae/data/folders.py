"""A user's own pictures, each in a file: a folder of them, or a zip of such a folder."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from aae.data.dataset import Dataset
from aae.data.decoding import AS_THEY_ARE, SUFFIXES, Reading, UnreadableError
from aae.data.kept import Files, decoded
from aae.data.splits import split_test
from aae.data.stored import Stored, at_hand

TRAIN, TEST = "train", "test"
_MEANT = {
    TRAIN: TRAIN, TEST: TEST, "training": TRAIN, "testing": TEST,
    **dict.fromkeys(("val", "valid", "validation"), TRAIN),
}  # fmt: skip
"""The part that a folder's name means."""
MOST_BYTES = 2**28
"""Most bytes of one file, unpacked."""
_TOLD = 5
"""Number of unreadable files that an error names."""


def load_folder(place: Path, reading: Reading = AS_THEY_ARE, *, progress: bool = True) -> Dataset:
    """A data set of pictures in files; they are decoded once, into the cache.

    A picture's class is the name of the place's subfolder that it is in, however deep, as long as
    there are two such folders or more; a picture directly in the place has no class. The pictures
    in a folder ``test`` are the test set, and the rest, or those in a folder ``train``, are the
    training set. Without ``test``, a part is split off, see `aae.data.splits.split_test`. Beside
    these or one another, folders ``training``, ``testing`` and ``val`` are parts as well; pictures
    in ``val`` are for training (a part is held out by chance). Upper and lower case do not matter.
    Pictures directly in a part beside folders of classes are refused: its name may be a class, too.
    A place that contains only one folder stands for that folder. Pictures that take more than
    `aae.data.stored.RESIDENT` bytes once decoded stay in their file.

    Args:
        place: a folder, or a zip of one, which is not unpacked.
        reading: how pictures are brought to one shape, and what becomes of unreadable files.
        progress: draw a progress bar where pictures are decoded.

    Raises:
        ValueError: there are no pictures, or they cannot be read as asked.
    """
    files = _open(place)
    tree = arrange(_in_order(files), place)
    advice = ", or leave them out by --unreadable skip"
    images, readable = _read(files, tree.names, reading, progress, advice)
    labels, is_test = tree.labels[readable], tree.is_test[readable]
    if not is_test.any():
        is_test[split_test(labels, str(place))] = True
    train, test = ((at_hand(images[part]), labels[part]) for part in (~is_test, is_test))
    left_out = tuple(np.delete(tree.names, readable).tolist())
    return Dataset(place.stem, tree.classes, *train, *test, left_out=left_out)


def holds_files(place: Path) -> bool:
    """Whether a path holds pictures in files of their own, and not in arrays."""
    return place.suffix.lower() == ".zip" if place.is_file() else not any(place.glob("*.npy"))


def names_in(place: Path) -> tuple[str, ...]:
    """The names of all picture files in a folder or zip, sorted, relative to it."""
    return _in_order(_open(place))


def _in_order(files: _Folder | _Zip) -> tuple[str, ...]:
    return tuple(sorted(files.names))


def open_folder(place: Path, shape: tuple[int, ...]) -> Stored:
    """All pictures of a folder or zip, in the order of `names_in`, brought to a shape.

    Args:
        place: see `load_folder`.
        shape: (channels, height, width).

    Raises:
        ValueError: there are no pictures, or some cannot be read or brought to that shape.
    """
    channels, *size = shape
    files = _open(place)
    images, _ = _read(files, _in_order(files), Reading(tuple(size), channels), progress=True)
    return images


@dataclass(frozen=True)
class Tree:
    """How pictures are arranged in folders.

    Attributes:
        names: of their files, sorted.
        labels: int64 [n], -1 for none.
        classes: the folders that labels stand for.
        is_test: bool [n].
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    is_test: NDArray[np.bool_]


def arrange(names: Iterable[str], place: Path) -> Tree:
    """Read parts and classes off file names; see `load_folder`.

    Args:
        names: relative to the place, with slashes.
        place: named in errors.

    Raises:
        ValueError: ``test`` has classes that are not there to learn, or a folder may be a part or a
            class.

    Examples:
        >>> tree = arrange(["train/dog/a.png", "train/cat/b.png", "test/cat/c.png"], Path("pets"))
        >>> tree.names, tree.classes, tree.labels.tolist(), tree.is_test.tolist()
        (('test/cat/c.png', 'train/cat/b.png', 'train/dog/a.png'), ('cat', 'dog'), [0, 0, 1], \
[True, False, False])
    """
    paths = [PurePosixPath(name) for name in sorted(names)]
    folders = [path.parts[:-1] for path in paths]
    while all(folders) and len({folder[0] for folder in folders}) == 1:
        folders = [folder[1:] for folder in folders]
    tops = [folder[0].lower() if folder else "" for folder in folders]
    parts = _parts({*tops})
    _refuse_ambiguous(folders, parts, place)
    is_test = np.array([parts.get(top) == TEST for top in tops])
    # Within a part, its own name is no class.
    within = [folder[top in parts :] for folder, top in zip(folders, tops, strict=True)]
    of = [_printable(folder[0]) if folder else "" for folder in within]
    named = [(name, test) for name, test in zip(of, is_test, strict=True) if name]
    known = {name for name, test in named if not test}
    if unknown := {name for name, test in named if test} - known:
        raise ValueError(
            f"{place} has the classes {', '.join(sorted(unknown))} in {TEST} alone: there is "
            "no picture of them to learn from"
        )
    classes = tuple(sorted(known)) if len(known) > 1 else ()
    numbers = {name: k for k, name in enumerate(classes)}
    labels = np.array([numbers.get(name, -1) for name in of], np.int64)
    return Tree(tuple(map(str, paths)), labels, classes, is_test)


def _printable(name: str) -> str:
    r"""A folder's name, which may be any bytes, as a class is called: `caf\xe9`, if not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parts(tops: set[str]) -> dict[str, str]:
    """Top folders → the parts they mean.

    Other names than ``train`` and ``test`` count only beside one of these, or one another.
    """
    meant = {top: _MEANT[top] for top in tops if top in _MEANT}
    return meant if tops & {TRAIN, TEST} or len(meant) > 1 else {}


def _refuse_ambiguous(
    folders: Iterable[tuple[str, ...]], parts: Collection[str], place: Path
) -> None:
    """Refuse pictures directly in a part beside folders of classes: it may be one of these."""
    beside = {folder[0] for folder in folders if folder and folder[0].lower() not in parts}
    plain = {folder[0] for folder in folders if len(folder) == 1} - beside
    if beside and plain:
        part, others = min(plain), ", ".join(sorted(beside)[:_TOLD])
        raise ValueError(
            f"{place} has pictures directly in {part}, which is a part of the data by its name, "
            f"beside folders of classes ({others}): if {part} is a class, too, give its folder "
            f"another name; if not, move the folders of classes into {TRAIN}"
        )


def _read(
    files: Files, names: Sequence[str], reading: Reading, progress: bool, advice: str = ""
) -> tuple[Stored, NDArray[np.int64]]:
    """The pictures that can be read, and the numbers of their names."""
    if not names:
        raise ValueError(
            f"{files.place} holds no pictures: no file in it ends in {', '.join(sorted(SUFFIXES))}"
        )
    kept = decoded(files, names, reading, progress=progress)
    if kept.reasons and reading.unreadable == "refuse":
        told = [f"{name} ({reason})" for name, reason in list(kept.reasons.items())[:_TOLD]]
        more = f" and {len(kept.reasons) - _TOLD} more" if len(kept.reasons) > _TOLD else ""
        raise ValueError(
            f"{len(kept.reasons)} of {len(names)} pictures in {files.place} cannot be read: "
            f"{'; '.join(told)}{more}. Mend or remove them{advice}"
        )
    readable = np.array([k for k, name in enumerate(names) if name not in kept.reasons], np.int64)
    if not len(readable):
        raise ValueError(f"none of the {len(names)} pictures in {files.place} can be read")
    return Stored([kept.pixels])[readable], readable


class _Folder:
    """The pictures in a folder and its subfolders, linked ones too, without hidden names."""

    def __init__(self, place: Path):
        self.place = place

    @property
    def names(self) -> Iterator[str]:
        linked: set[Path] = set()  # folders that a link led to: in these no further one is followed
        for name, inner, files in os.walk(self.place, followlinks=True):
            folder, there = Path(name), [each for each in inner if not each.startswith(".")]
            inner.clear()
            for path in (folder / each for each in there):
                within, leads = folder in linked, path.is_symlink()
                if leads and (within or folder.resolve().is_relative_to(path.resolve())):
                    continue  # the way back, or out of the place
                if leads or within:
                    linked.add(path)
                inner.append(path.name)
            for file in filter(_is_picture, files):
                yield (folder / file).relative_to(self.place).as_posix()

    def stamp(self, name: str) -> tuple[int, ...]:
        try:
            file = (self.place / name).stat()
        except OSError:  # a dangling link, say: opening it says so
            return ()
        # A new name or a date set back changes the last of these (on Windows it is constant).
        return file.st_size, file.st_mtime_ns, file.st_ctime_ns

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        path = self.place / name
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe that nobody writes to would be waited for
            raise UnreadableError("it is no file")
        _refuse_large(about.st_size)
        with path.open("rb") as file:
            yield file


class _Zip:
    """The pictures in a zip file, read in place: nothing is unpacked, wherever its names point."""

    def __init__(self, place: Path):
        self.place = place
        try:
            self.zip = ZipFile(place)
        except OSError:
            raise
        except Exception as error:  # zipfile raises any kind of error on damaged files
            raise ValueError(f"{place} is no zip file: {error}") from None
        infos = self.zip.infolist()
        # Some programs of Windows write backslashes for slashes.
        slash = "/" if any("/" in info.filename for info in infos) else "\\"
        paths = [PurePosixPath(info.filename.replace(slash, "/")) for info in infos]
        # Paths are taken to begin at the zip: ./a, ../a and /a are a.
        parts = [[part for part in path.parts if part not in ("/", "..")] for path in paths]
        names = [str(PurePosixPath(*within)) for within in parts]
        self.infos = dict(zip(names, infos, strict=True))

    @property
    def names(self) -> Iterator[str]:
        return (name for name in self.infos
                if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
                and _is_picture(name))  # fmt: skip

    def stamp(self, name: str) -> tuple[int, int]:
        return self.infos[name].file_size, self.infos[name].CRC

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        _refuse_large(self.infos[name].file_size)  # no more than that is ever unpacked
        try:
            content = self.zip.read(self.infos[name])
        except Exception as error:  # so do its decompressors
            raise UnreadableError(str(error) or type(error).__name__) from None
        yield io.BytesIO(content)


def _open(place: Path) -> _Folder | _Zip:
    return _Folder(place) if place.is_dir() else _Zip(place)


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _refuse_large(size: int) -> None:
    if size > MOST_BYTES:
        raise UnreadableError(f"it has more than {MOST_BYTES:,} bytes")
