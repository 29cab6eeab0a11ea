"""``aae score``: which of one's own pictures or rows are unusual."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aae.cli.inputs import Split, names, output, pictures
from aae.cli.use import lines
from aae.terminal import console, show_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aae.autoencoder import Autoencoder
    from aae.run import Run
    from aae.splits import Part

SHOWN = 10
"""How many of the most unusual examples are named and drawn."""


def score(
    run: Path,
    data: str,
    /,
    *,
    out: Path,
    sheet: bool = False,
    split: Split | None = None,
    data_dir: str | None = None,
    json: bool = False,
) -> int:
    """Find unusual pictures or rows: the lower a score, the more unusual.

    A score is minus the error of the reconstruction, as `score_samples` gives it in Python: a model
    reconstructs poorly what is unlike all that it learned from. The lowest are shown at the end.

    Args:
        run: The run folder.
        data: A data set's name; or a folder or .zip of pictures, which are scaled and cropped to
            the run's shape; or a .npy file of uint8 pictures ([n, height, width],
            [n, channels, height, width] or [n, pixels]), or a folder of such files; or a table or
            rows with the run's columns.
        out: A .csv file to write, with the columns index and score; also held_out_below, the share
            of the run's validation examples that score lower (0: it is more unusual than all of
            them), if the run's own data are there; and file, if all pictures of a folder are read.
        sheet: Draw the most unusual pictures above their reconstructions, the lowest first, into a
            .png beside the .csv.
        split: Part of a data set, split as the run splits its own; without it, test. Files are
            taken whole; only of the run's own data can a part be named.
        data_dir: Folder that holds the data set's files, or the run's own data if they have moved.
        json: Print one JSON object instead of a table.
    """
    out = output(out, ".csv", data=data)
    from aae import inference
    from aae.run import Run
    from aae.splits import Part

    place = Run(run)
    if sheet:
        _refuse_sheet(place, data, out)
    model = inference.of_run(place)
    if model.decodes_labels and model.encoder.classes is None:
        raise ValueError(
            f"{run} holds a model of the recipe {place.config.recipe!r}, which reconstructs only "
            "where it is told the class; train one that needs none: aae train gaussian"
        )
    part = pictures(place, data, split, data_dir)
    files = names(data) if split is None else ()  # a part of them has no names
    found = inference.scores(model, part, place.columns)
    held_out = _held_out(place, model, data_dir)

    def line(k: int) -> dict[str, Any]:
        values: dict[str, Any] = {"index": k, "score": float(str(found[k]))}  # float32's digits
        if len(held_out):
            values["held_out_below"] = round(held_out.searchsorted(found[k]) / len(held_out), 6)
        return values | ({"file": files[k]} if files else {})

    with lines(out) as writer:
        writer.writerow(line(0))  # its names
        writer.writerows(line(k).values() for k in range(len(found)))
    lowest = found.argsort(kind="stable")[:SHOWN]
    if sheet:
        _draw(model, Part(part.images[lowest], part.labels[lowest]), out.with_suffix(".png"))
    unusual = [line(k) for k in lowest.tolist()]
    if json:
        show_json({"out": str(out), "examples": len(found), "most_unusual": unusual})
        return 0
    _show(unusual, len(found))
    print(out)
    if sheet:
        print(out.with_suffix(".png"))
    return 0


def _held_out(place: Run, model: Autoencoder, data_dir: str | None) -> NDArray[np.float32]:
    """The scores of a run's validation examples, sorted; none, and a word why, without its data."""
    import numpy as np

    from aae import inference

    try:
        splits = place.splits(data_dir)
    except (ValueError, OSError) as error:
        print(f"not compared with the run's validation examples: {error}", file=sys.stderr)
        return np.empty(0, np.float32)
    return np.sort(inference.scores(model, splits.validation, place.columns))


def _refuse_sheet(place: Run, data: str, out: Path) -> None:
    """Refuse to draw what is no picture, or where the drawing would be read the next time."""
    if len(place.shape) == 1:
        raise ValueError(f"--sheet draws pictures, and {place.folder} learned rows: leave it out")
    if names(data) and Path(data).expanduser().resolve() in out.resolve().parents:
        raise ValueError(
            f"--sheet draws {out.with_suffix('.png')}, which would be one of the pictures of "
            f"{data} the next time: take another folder for --out"
        )


def _draw(model: Autoencoder, part: Part, path: Path) -> None:
    """Draw pictures above their reconstructions."""
    import numpy as np

    from aae import inference, plots

    images: NDArray[Any] = np.asarray(part.images)
    made = inference.reconstruct(model, part).numpy()
    plots.save(plots.reconstructions(images / 255, made), path)


def _show(unusual: list[dict[str, Any]], count: int) -> None:
    """Print the most unusual examples."""
    from rich.markup import escape

    from aae.cli.tables import table

    columns = {name: name.replace("_", " ") for name in unusual[0]}
    numbers = [words for name, words in columns.items() if name != "file"]
    made = table(f"The most unusual of {count:,}", *columns.values(), numbers=numbers)
    for line in unusual:
        cells = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in line.values())
        # A terminal takes text alone, and names of files may be any bytes.
        made.add_row(*(escape(os.fsencode(cell).decode(errors="replace")) for cell in cells))
    console().print(made)
