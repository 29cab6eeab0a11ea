"""What a user names on the command line: data sets, runs, pictures, files to write."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aae import launch
from aae.words import by

if TYPE_CHECKING:
    from aae.config import Config
    from aae.data import Dataset, Examples
    from aae.run import Run
    from aae.splits import Part, Splits

Split = Literal["train", "validation", "test"]


def loaded(config: Config) -> Dataset:
    """A config's data set; slow loading shows a progress bar, and files left out are reported."""
    from aae.splits import data_of

    dataset = data_of(config)
    if dataset.left_out and not launch.rank():
        print(
            f"left out {len(dataset.left_out)} files that cannot be read, such as "
            f"{dataset.left_out[0]}",
            file=sys.stderr,
        )
    return dataset


def pictures(run: Run, data: str, split: Split | None = None, data_dir: str | None = None) -> Part:
    """Examples for a run's model, from a data set or from the user's own files.

    Args:
        run: the run whose model takes them.
        data: a data set's name; or a folder or .zip of pictures, which are scaled and cropped to
            the run's shape; or a ``.npy`` file of uint8 pictures, a folder of such files, or a
            ``.npz`` file of pictures ``x``; or a table or rows with the run's columns. Everything
            at a path is taken, unless a part of the run's own data is asked for.
        split: which part of a data set, split as the run splits its own; by default test.
        data_dir: the folder with the data set's files, or that the run's own data have moved to.

    Raises:
        ValueError: there is no such data, its shape is not the run's, or a part is asked for of
            data that have none.
    """
    import numpy as np

    from aae.data import CATALOG, load
    from aae.splits import Part, Splits

    if data in CATALOG:
        _refuse_other(CATALOG[data].shape, data, run)
        own = data == run.config.data
        dataset = run.dataset(data_dir) if own else load(data, data_dir)
        # Another data set may have fewer labels; a config that uses none must not ask for any.
        whole = dataclasses.replace(run.config, labels="all" if run.config.labels else 0)
        return _part(Splits.of(whole, dataset), split or "test")
    path = Path(data).expanduser()
    if split is not None and path.resolve() in _own_places(run, data_dir):
        return _part(run.splits(data_dir), split)
    if not path.exists():
        raise ValueError(
            f"{data!r} is neither a data set ({', '.join(CATALOG)}) nor a folder or .zip of "
            "pictures, a .npy or .npz file of pictures or a folder of .npy files, or a table"
        )
    if split is not None:
        raise ValueError(
            f"--split {split} is of a data set by name, or of the run's own data "
            f"({run.config.data}); of {data} all is taken: leave --split out, or, where these are "
            "the run's own and have moved, name their folder by --data-dir"
        )
    if run.columns is None and len(run.shape) == 1:
        raise ValueError(
            f"{run.folder} holds an estimator that learned rows of numbers, which this command "
            f"does not read: open it in Python, aae.load({str(run.folder)!r})"
        )
    examples = _all(run, path)
    return Part(examples, np.full(len(examples), -1))


def names(data: str) -> tuple[str, ...]:
    """The names of the pictures' files if `pictures` reads a folder or zip of them, else none."""
    from aae.data import CATALOG, holds_files, names_in

    path = Path(data).expanduser()
    return names_in(path) if data not in CATALOG and holds_files(path) else ()


def output(path: Path, *endings: str, data: str | None = None) -> Path:
    """Check a file to write, and create its folder.

    Args:
        path: the file.
        endings: file name endings that can be written.
        data: the data being read at the same time, as `pictures` takes it.

    Raises:
        ValueError: its name has another ending, or it is one of the files that are read, or would
            be read the next time.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(f"--out {path} must end in {' or '.join(endings)}")
    if data and _is_read(path.resolve(), Path(data).expanduser().resolve()):
        raise ValueError(f"--out {path} is among the data that are read, {data}: take another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _is_read(place: Path, source: Path) -> bool:
    """Whether a file is read from a source, or would be if it existed."""
    from aae.data import labels_beside

    # Any .npy file makes its folder one of such files; a .csv file in a folder is never read.
    own = {source} | ({labels_beside(source)} if source.suffix == ".npy" else set())
    return place in own or (place.parent == source and place.suffix == ".npy")


def _own_places(run: Run, data_dir: str | None) -> set[Path]:
    """The path of a run's own data, and the one that they have in the folder they moved to."""
    own, moved = Path(run.config.data).expanduser(), data_dir or run.config.data_dir
    places = [own, Path(moved).expanduser() / own.name] if moved else [own]
    return {place.resolve() for place in places}


def _all(run: Run, path: Path) -> Examples:
    """All examples in the user's own file or folder, as a run's model takes them.

    Raises:
        ValueError: they are not of the run's kind or shape, or cannot be read.
    """
    from aae.data import (
        holds_files,
        holds_table,
        open_folder,
        open_packed,
        open_pictures,
        open_rows,
    )

    archive = run.columns is None and path.suffix.lower() == ".npz"
    packed = open_packed(path) if archive else None
    tabular = packed is None and holds_table(path)
    if tabular != (run.columns is not None):
        raise ValueError(
            f"{path} holds {'a table or rows' if tabular else 'pictures'}, and the model of "
            f"{run.folder} learned {'a table' if run.columns else 'other examples'}"
        )
    if run.columns is not None:
        label, ignored = run.config.label_column, run.config.ignore_columns
        return open_rows(path, run.columns, (*ignored, *([label] if label else [])))
    if packed is None:
        return (open_folder if holds_files(path) else open_pictures)(path, run.shape)
    _refuse_other(packed.shape[1:], str(path), run)
    return packed


def _refuse_other(shape: tuple[int, ...], name: str, run: Run) -> None:
    """Refuse pictures of another shape than the run's."""
    if shape != run.shape:
        raise ValueError(
            f"the pictures of {name} are {by(shape)}, those of {run.folder} {by(run.shape)}; "
            "take pictures of that shape"
        )


def _part(splits: Splits, split: Split) -> Part:
    part: Part = getattr(splits, split)
    return part
