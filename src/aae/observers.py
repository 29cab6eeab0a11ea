"""Observers that fill a training's run folder: metrics, TensorBoard, checkpoints, pictures."""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aae import events, gallery, inference, plots, projector
from aae.autoencoder import Autoencoder
from aae.pixels import to_model, to_unit
from aae.run import Run
from aae.splits import Part, Splits
from aae.storage import written
from aae.training import checkpoint
from aae.training.trainer import Observer, Progress, Record, Trainer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SHARE = 0.1
"""Of the time so far, what whole sets of pictures may have taken for another to be drawn."""


class Recorder(Observer):
    """Writes each record to ``metrics.jsonl`` and to TensorBoard.

    Args:
        run: the run.
        progress: where the training stands; what was written after that is undone.
    """

    def __init__(self, run: Run, progress: Progress):
        with warnings.catch_warnings():  # tensorboard's own imports
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch.utils.tensorboard import SummaryWriter

        def is_past(step: int, split: str) -> bool:
            # An epoch's validation and pictures come after its last step, so within an epoch
            # they are still to come.
            still_to_come = split != "train" and progress.batch > 0
            return step < progress.count if still_to_come else step <= progress.count

        kept = [r for r in run.records() if is_past(r["step"], r["split"])]
        with written(run.metrics) as path:
            path.write_text("".join(json.dumps(record) + "\n" for record in kept))
        events.undo(run.folder, lambda step, tag: is_past(step, tag.partition("/")[0]))
        self.run = run
        with ExitStack() as opening:
            opening.enter_context(_no_traces_of_writers())
            self.tensorboard: SummaryWriter = SummaryWriter(str(run.folder))
            opening.callback(self.tensorboard.close)
            self.file = opening.enter_context(run.metrics.open("a", buffering=1))
            self._open = opening.pop_all()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        self.file.write(json.dumps(record) + "\n")
        for name, value in record.items():
            if isinstance(value, float):
                self.tensorboard.add_scalar(
                    f"{record['split']}/{name}", value, trainer.progress.count
                )

    def flush(self) -> None:
        """Write all that it was told to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.tensorboard.flush()
        events.flush_all(self.run.folder)


class Keeper(Observer):
    """Keeps a checkpoint every few epochs or minutes, at the end, and of the best epoch.

    Args:
        run: the run.
        recorder: what it was told must be on the disk before the checkpoint that follows.
    """

    def __init__(self, run: Run, recorder: Recorder):
        self.run, self.recorder = run, recorder
        self.epochs, minutes = run.config.checkpoint_interval
        self.seconds = 60 * minutes
        self.saved_at = time.monotonic()
        self.figures: Record = {}
        self._last: tuple[int, Path] | None = None

    def on_step(self, trainer: Trainer) -> None:
        """See `Observer.on_step`."""
        if self.is_late():
            self.save(trainer)

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        if record["split"] == "validation":
            self.figures = record

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        if is_due(trainer, self.epochs) or self.is_late() or self._is_best():
            self.save(trainer)

    def save(self, trainer: Trainer) -> Path:
        """Save a checkpoint now, unless this step, within an epoch, has one already."""
        progress, config = trainer.progress, trainer.config
        if progress.batch and self._last and self._last[0] == progress.count:
            return self._last[1]
        self.recorder.flush()
        place = checkpoint.save(
            self.run.checkpoints, trainer, keep=config.keep, keep_best=config.keep_best,
            figures={} if progress.batch else self.figures,
        )  # fmt: skip
        self.saved_at, self._last = time.monotonic(), (progress.count, place)
        return place

    def is_late(self) -> bool:
        """Whether the minutes that may lie between two checkpoints have passed."""
        return time.monotonic() - self.saved_at > self.seconds

    def _is_best(self) -> bool:
        figure = self.run.config.keep_best
        if figure is None or figure not in self.figures:
            return False
        before = [
            checkpoint.figures_of(place).get(figure, math.inf)
            for place in checkpoint.found(self.run.checkpoints)
        ]
        return float(self.figures[figure]) < min(before, default=math.inf)


class Painter(Observer):
    """Draws the pictures every few epochs, and at the end, in the folder and for TensorBoard.

    What shows the training or a table as a whole takes seconds to draw, in which a small model
    makes many epochs. On the way it is left out while it has taken more than `SHARE` of the time.
    """

    def __init__(self, run: Run, splits: Splits, recorder: Recorder):
        self.run, self.splits, self.recorder = run, splits, recorder
        self.began, self.spent = time.monotonic(), 0.0
        """When the training began, and the seconds that it has spent on whole sets of pictures."""

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        if not is_due(trainer, trainer.config.sample_every):
            return
        since = time.monotonic()
        done = trainer.progress.epoch == trainer.config.epochs
        whole = done or self.spent <= SHARE * (since - self.began)
        self.draw(trainer, whole=whole)
        if whole:
            self.spent += time.monotonic() - since

    def draw(self, trainer: Trainer, *, whole: bool = True) -> None:
        """Draw the pictures of a model as it is now.

        Args:
            trainer: trains the model.
            whole: whether to draw all, or only those of the model itself.
        """
        epoch = trainer.progress.epoch
        model = inference.ready(trainer.model, trainer.config.precision)
        figures = gallery.draw(self.run, model, self.splits, whole=whole)
        for name, figure in figures.items():
            place = plots.save(figure, self.run.figures / f"{name}.png")
            if name in ("latent", "manifold", "samples", "style"):
                with written(place.parent / "history" / f"{name}-{epoch:04d}.png") as aside:
                    shutil.copyfile(place, aside)
        self._tensorboard(trainer, model)

    def _tensorboard(self, trainer: Trainer, model: Autoencoder) -> None:
        """What the reference program's summaries showed: pictures in and out, codes and prior."""
        generator = torch.Generator().manual_seed(trainer.config.seed)
        held_out = self.splits.validation.some(gallery.CODES)
        if len(model.decoder.shape) > 1:
            self._sheets(trainer, model, held_out, generator)
        self._histograms(trainer, model, held_out, generator)
        self._projector(model, self.splits.validation.some(projector.POINTS))

    def _projector(self, model: Autoencoder, part: Part) -> None:
        """Codes to turn and search in the projector, with labels and thumbnails."""
        pictures, classes = None, self.run.classes
        if len(model.decoder.shape) > 1:
            x = to_model(torch.from_numpy(np.asarray(part.images)))
            pictures = plots.visible(to_unit(x).numpy())
        labels = [classes[k] if k >= 0 else "?" for k in part.labels] if classes else None
        codes = inference.encode(model, part.images).mean
        projector.write(self.run.folder, codes.numpy(), labels, pictures)

    def _sheets(
        self, trainer: Trainer, model: Autoencoder, held_out: Part, generator: torch.Generator
    ) -> None:
        """Pictures as they go in and as they come out."""
        some = held_out.some(64)
        x = to_model(torch.from_numpy(np.asarray(some.images)))
        sheets = {
            "input": to_unit(x),
            "noisy_input": to_unit(trainer.step.corruption.input(x, generator)),
            "reconstruction": inference.reconstruct(model, some),
            "sample": inference.sample(model, None, 64, generator),
        }
        for name, images in sheets.items():
            sheet = plots.tile(images.numpy(), 8)
            self.recorder.tensorboard.add_image(
                f"images/{name}", sheet, trainer.progress.count, dataformats="HWC"
            )

    def _histograms(
        self, trainer: Trainer, model: Autoencoder, held_out: Part, generator: torch.Generator
    ) -> None:
        """Codes, and samples of the priors that they should follow."""
        writer, step = self.recorder.tensorboard, trainer.progress.count
        # Noise must come from the model's own device, and be another than the prior's samples.
        noise = torch.Generator(trainer.step.device).manual_seed(trainer.config.seed + 1)
        codes = inference.encode(model, held_out.images, noise)
        writer.add_histogram("codes/z", codes.z, step)
        prior = model.prior.sample(len(codes.z), generator=generator)
        writer.add_histogram("codes/z_prior", prior, step)
        if codes.y is not None:
            # The discriminator saw the clusters before any were merged.
            seen = codes.y if codes.found is None else codes.found
            writer.add_histogram("codes/y", seen, step)
            drawn = model.adversaries["y"].prior.sample(len(codes.z), generator=generator)
            writer.add_histogram("codes/y_prior", drawn, step)


@contextmanager
def _no_traces_of_writers() -> Iterator[None]:
    """Print no traceback of a TensorBoard thread that cannot write: its next call raises that."""
    before = threading.excepthook

    def hear(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__name__ != "_AsyncWriterThread":
            before(args)

    threading.excepthook = hear
    try:
        yield
    finally:
        threading.excepthook = before


def is_due(trainer: Trainer, every: int) -> bool:
    """Whether the number of finished epochs is a multiple of ``every``, or is all of them."""
    done = trainer.progress.epoch
    return done % every == 0 or done == trainer.config.epochs
