"""Commands that use runs: ``aae evaluate``, ``compare``, ``sample``, ``plot``, and so on."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aae.cli.inputs import Split, names, output, pictures
from aae.storage import written
from aae.terminal import console, show_json
from aae.words import nearest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from aae.autoencoder import Autoencoder
    from aae.data import Columns
    from aae.run import Run

SHOWN = 20
"""Most names of classes in an error."""


def evaluate(
    run: Path,
    /,
    *,
    split: Literal["test", "validation"] = "test",
    data_dir: str | None = None,
    judge: Literal["auto", "yes", "no"] = "auto",
    json: bool = False,
) -> int:
    """Measure a run on held-out pictures.

    Args:
        run: The run folder.
        split: The test set, for the final figure, or the validation set, for making choices.
        data_dir: Folder that holds the data set's files, if they have moved since the run began.
        judge: Whether an independent classifier reads generated pictures; it is trained at first
            use (minutes). auto: only if the decoder is told the class.
        json: Print one JSON object instead of tables.
    """
    from aae import evaluate as measuring
    from aae.run import Run

    asked = {"auto": None, "yes": True, "no": False}[judge]
    figures = measuring.evaluate(Run(run), split=split, data_dir=data_dir, judge=asked)
    if json:
        show_json(figures)
        return 0
    from aae.cli import tables

    console().print(tables.figures(figures), tables.health(figures))
    return 0


def compare(
    runs: tuple[Path, ...],
    /,
    *,
    split: Literal["test", "validation"] = "validation",
    data_dir: str | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Compare runs side by side: the settings that differ, and the figures of each run.

    Args:
        runs: Two or more run folders.
        split: The validation set, for making choices, or the test set, for the final figure.
        data_dir: Folder that holds the data sets' files, if they have moved since the runs began.
        out: A .html file to write as well, with the runs' pictures.
        json: Print one JSON object instead of tables.
    """
    out = None if out is None else output(out, ".html")
    from aae import compare as comparing
    from aae.run import Run

    places = [Run(run) for run in runs]
    compared = comparing.compare(places, split=split, data_dir=data_dir)
    if out is not None:
        comparing.write_page(out, places, compared)
    if json:
        show_json(compared)
        return 0
    from aae.cli import tables

    names = list(compared["runs"])
    figures = comparing.figures(compared)
    console().print(
        tables.side_by_side("Settings that differ", ["setting", *names], compared["settings"]),
        tables.side_by_side(f"Figures of the {split} set", ["figure", *names], figures),
    )
    if out is not None:
        print(out)
    return 0


def sample(
    run: Path, /, *, out: Path, count: int = 100, label: str | None = None, seed: int = 0
) -> int:
    """Sample pictures or rows from a run's model.

    Args:
        run: The run folder.
        out: For pictures, a .png with all of them on one sheet, or a .npy, uint8 [count, channels,
            height, width]. For rows, a .npy, float32 [count, features]. For a table, a .csv in the
            units and categories of its columns, with the class, cluster or part of the prior that
            was asked for, or that the decoder was told.
        count: How many pictures or rows.
        label: The class of all samples, by its name, or by its number in the run, from 0 on; or the
            number of a cluster or part of the prior. A number counts from 0 even where the names
            of classes are other numbers. Without it, all that the model knows are equally likely,
            however frequent they are in the data that it learned from.
        seed: Seed of the codes.
    """
    if count < 1:
        raise ValueError(f"--count must be at least 1, not {count}")
    if count > 10**9:
        raise ValueError(f"--count must be at most 1,000,000,000, not {count}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed must be 0 or more and below 2^63, not {seed}")
    out = output(out, ".png", ".npy", ".csv")
    import numpy as np
    import torch

    from aae import inference, plots
    from aae.data.npy import write_array
    from aae.gallery import columns_for
    from aae.run import Run
    from aae.scaling import beside

    place = Run(run)
    rows = len(place.shape) == 1
    output(out, *([".csv"] if place.columns else [".npy"] if rows else [".png", ".npy"]))
    model = inference.of_run(place)
    labels = None if label is None else torch.tensor(_number(label, place, model)).expand(count)
    generator = torch.Generator().manual_seed(seed)
    if place.columns and model.decodes_labels and labels is None:
        labels = torch.randint(model.n_classes, (count,), generator=generator)
    pieces = inference.samples(model, labels, count, generator)
    with written(out) as path:
        if place.columns:
            drawn = np.random.default_rng(seed)
            tables = (place.columns.decode(piece.numpy(), drawn) for piece in pieces)
            _write_table(path, place.columns, tables, _told(place, model, labels))
        elif out.suffix.lower() == ".png":
            images = torch.cat(list(pieces)).numpy()
            scale = max(1, round(64 / images.shape[2]))
            plots.write_tiles(images, path, columns_for(count), scale=scale)
        else:
            own = beside(place.folder)  # for an estimator that was saved
            back = own.back if own else np.asarray
            arrays = (back(p.numpy()) if rows else np.rint(p.numpy() * 255) for p in pieces)
            write_array(path, "<f4" if rows else "|u1", (count, *place.shape), arrays)
    print(out)
    return 0


def plot(run: Path, /, *, data_dir: str | None = None) -> int:
    """Redraw all figures of a run, and print their paths.

    Args:
        run: The run folder.
        data_dir: Folder that holds the data set's files, if they have moved since the run began.
    """
    from aae import gallery, inference, plots
    from aae.run import Run

    place = Run(run)
    splits = place.splits(data_dir)
    model = inference.of_run(place)
    for name, figure in gallery.draw(place, model, splits).items():
        print(plots.save(figure, place.figures / f"{name}.png"))
    return 0


def encode(
    run: Path, data: str, /, *, out: Path, split: Split | None = None, data_dir: str | None = None
) -> int:
    """Write the codes of pictures or rows: posterior means, or places in an embedding.

    Args:
        run: The run folder.
        data: A data set's name; or a folder or .zip of pictures, which are scaled and cropped to
            the run's shape; or a .npy file of uint8 pictures ([n, height, width],
            [n, channels, height, width] or [n, pixels]), or a folder of such files; or a table or
            rows with the run's columns.
        out: A .npy file to write, float32 [n, latent-dim]; or a .csv, with the columns index, z1,
            z2, …; also file, if all pictures of a folder are read. Pictures of a folder are in the
            order of their names.
        split: Part of a data set, split as the run splits its own; without it, test. Files are
            taken whole; only of the run's own data can a part be named.
        data_dir: Folder that holds the data set's files.
    """
    out = output(out, ".npy", ".csv", data=data)
    from aae import inference
    from aae.data.npy import write_array
    from aae.run import Run

    place = Run(run)
    part = pictures(place, data, split, data_dir)
    model = inference.of_run(place)
    places = (model.embed(some).numpy() for some in inference.codes(model, part.images))
    if out.suffix.lower() == ".csv":
        files = names(data) if split is None else ()  # a part of them has no names
        with lines(out) as writer:
            axes = (f"z{k + 1}" for k in range(place.config.latent_dim))
            writer.writerow(["index", *axes, *(["file"] if files else [])])
            for k, z in enumerate(itertools.chain.from_iterable(places)):
                writer.writerow([k, *(f"{value:.7g}" for value in z), *files[k : k + 1]])
    else:
        shape = len(part.labels), place.config.latent_dim
        with written(out) as path:
            write_array(path, "<f4", shape, places)
    print(out)
    return 0


def predict(
    run: Path, data: str, /, *, out: Path, split: Split | None = None, data_dir: str | None = None
) -> int:
    """Write the most probable class, or cluster, of each picture or row.

    Args:
        run: The run folder of a model that classifies (recipes semi, cluster, embed).
        data: A data set's name; or a folder or .zip of pictures, which are scaled and cropped to
            the run's shape; or a .npy file of uint8 pictures ([n, height, width],
            [n, channels, height, width] or [n, pixels]), or a folder of such files; or a table or
            rows with the run's columns.
        out: A .csv file to write, with the columns index, label and probability; also file, if all
            pictures of a folder are read, and class, the label's name, if classes have names
            other than their numbers.
        split: Part of a data set, split as the run splits its own; without it, test. Files are
            taken whole; only of the run's own data can a part be named.
        data_dir: Folder that holds the data set's files.
    """
    out = output(out, ".csv", data=data)
    from aae import inference
    from aae.run import Run

    place = Run(run)
    model = inference.of_run(place)
    if model.encoder.classes is None:
        raise ValueError(
            f"{run} holds a model of the recipe {place.config.recipe!r}, which does not classify; "
            "train one that does: aae train semi"
        )
    images = pictures(place, data, split, data_dir).images
    files = names(data) if split is None else ()  # a part of them has no names
    numbered = all(name == str(k) for k, name in enumerate(place.classes))
    classes = () if numbered or model.finds_clusters else place.classes
    index = itertools.count()
    with lines(out) as writer:
        more = [*(["file"] if files else []), *(["class"] if classes else [])]
        writer.writerow(["index", "label", "probability", *more])
        for codes in inference.codes(model, images):
            assert codes.y is not None
            probabilities, labels = codes.y.max(1)
            rows = zip(labels.tolist(), probabilities.tolist(), strict=True)
            for label, p in rows:
                k = next(index)
                named = classes[label : label + 1]
                writer.writerow([k, label, f"{p:.6f}", *files[k : k + 1], *named])
    print(out)
    return 0


@contextmanager
def lines(out: Path) -> Iterator[Any]:
    """A `csv.writer` of a file that is whole or not there."""
    with (
        written(out) as path,
        # File names are bytes, and are written unchanged.
        path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        yield csv.writer(file)


def _number(label: str, place: Run, model: Autoencoder) -> int:
    """The number of the class, cluster or part of the prior that is asked for.

    Raises:
        ValueError: what is asked for is no number of a class, and no class has that name.
    """
    parts = model.n_classes if model.decodes_labels else model.prior.components
    if parts < 2:
        raise ValueError(
            f"--label {label!r} cannot be asked for: this model samples without labels; those of "
            "the recipes style, semi, labels and cluster take them"
        )
    classes = () if model.finds_clusters or not _knows_classes(model) else place.classes
    # A prior may have more parts than there are classes, but nothing was put there.
    if label.isdecimal() and not (classes and int(label) >= len(classes)):
        return int(label)
    if not classes:
        nameless = "clusters" if model.finds_clusters else "parts of its prior"
        raise ValueError(
            f"--label {label!r} is no number, and this model's {nameless} have no names: take a "
            f"number from 0 to {parts - 1}"
        )
    if label in classes:
        return classes.index(label)
    some = ", ".join(classes[:SHOWN]) + (", …" if len(classes) > SHOWN else "")
    raise ValueError(
        f"--label {label!r} is no class of {place.folder}; {nearest(label, classes)}choose "
        f"from {some}, or take a number from 0 to {len(classes) - 1}"
    )


def _knows_classes(model: Autoencoder) -> bool:
    """Whether the labels that are sampled for may be classes; else they are parts of the prior."""
    return model.decodes_labels or model.uses_labels


def _told(place: Run, model: Autoencoder, labels: Tensor | None) -> dict[str, list[object]]:
    """The class or cluster that was asked for in each row, under its column's name."""
    if labels is None:
        return {}
    told: list[object] = labels.tolist()
    if model.finds_clusters:
        name = "cluster"
    elif not _knows_classes(model):  # a part of the prior, which is no class
        name = "component"
    else:
        name = place.config.label_column or "label"
        told = [place.classes[k] for k in labels.tolist()]
    features = {block.name for block in place.columns.blocks} if place.columns else set()
    while name in features:
        name += "_"
    return {name: told}


def _write_table(
    path: Path,
    columns: Columns,
    tables: Iterable[dict[str, np.ndarray]],
    beside: dict[str, list[object]],
) -> None:
    """Write tables with the same columns one after another, and columns for them all beside."""
    decimals = {
        block.name: block.decimals
        for block in columns.numeric
        if not (block.integer or block.constant)
    }
    start = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for table in tables:
            cells = [
                (values.round(decimals[name]) if name in decimals else values).tolist()
                for name, values in table.items()
            ]
            end = start + len(cells[0])
            cells += [values[start:end] for values in beside.values()]
            if not start:
                writer.writerow([*table, *beside])
            writer.writerows(zip(*cells, strict=True))
            start = end
