"""Who watches a training from its run folder: metrics, TensorBoard, checkpoints, pictures."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from aae import gallery, inference, plots
from aae.autoencoder import Autoencoder
from aae.data import at_hand
from aae.run import Part, Run, Splits
from aae.training import checkpoint
from aae.training.batches import to_model, to_unit
from aae.training.trainer import Observer, Progress, Record, Trainer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Recorder(Observer):
    """Writes each record to ``metrics.jsonl`` and to TensorBoard.

    Args:
        run: the run.
        progress: where the training stands; what was written of later is undone.
    """

    def __init__(self, run: Run, progress: Progress):
        with warnings.catch_warnings():  # tensorboard's own imports
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch.utils.tensorboard import SummaryWriter
        kept = [record for record in run.records() if _is_past(record, progress)]
        run.metrics.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self.file = run.metrics.open("a", buffering=1)
        self.tensorboard: SummaryWriter = SummaryWriter(
            str(run.folder), purge_step=progress.count + 1
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.tensorboard.close()

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        self.file.write(json.dumps(record) + "\n")
        for name, value in record.items():
            if isinstance(value, float):
                self.tensorboard.add_scalar(
                    f"{record['split']}/{name}", value, trainer.progress.count
                )


class Keeper(Observer):
    """Keeps a checkpoint every few epochs, and at the end."""

    def __init__(self, run: Run):
        self.run = run

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        if is_due(trainer):
            self.save(trainer)

    def save(self, trainer: Trainer) -> Path:
        """Save a checkpoint now."""
        return checkpoint.save(self.run.checkpoints, trainer, keep=trainer.config.keep)


class Painter(Observer):
    """Draws the pictures every few epochs, and at the end, in the folder and for TensorBoard."""

    def __init__(self, run: Run, splits: Splits, recorder: Recorder):
        self.run, self.splits, self.recorder = run, splits, recorder

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        if not is_due(trainer):
            return
        epoch = trainer.progress.epoch
        model = inference.ready(trainer.model, trainer.config.precision)
        figures = gallery.draw(self.run, model, self.splits.validation)
        for name, figure in figures.items():
            plots.save(figure, self.run.figures / f"{name}.png")
            if name in ("latent", "manifold", "samples", "style"):
                plots.save(figure, self.run.figures / "history" / f"{name}-{epoch:04d}.png")
        self._tensorboard(trainer, model)

    def _tensorboard(self, trainer: Trainer, model: Autoencoder) -> None:
        """What the reference program's summaries showed: pictures in and out, codes and prior."""
        generator = torch.Generator().manual_seed(trainer.config.seed)
        held_out = self.splits.validation.some(gallery.CODES)
        if len(model.decoder.shape) > 1:
            self._sheets(trainer, model, held_out, generator)
        self._histograms(trainer, model, held_out, generator)

    def _sheets(
        self, trainer: Trainer, model: Autoencoder, held_out: Part, generator: torch.Generator
    ) -> None:
        """Pictures as they go in and as they come out."""
        some = Part(at_hand(held_out.images[:64]), held_out.labels[:64])
        x = to_model(torch.from_numpy(np.asarray(some.images)))
        noise = torch.randn(x.shape, generator=generator)
        sheets = {
            "input": to_unit(x),
            "noisy_input": to_unit(x + trainer.config.noise_std * noise),
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
        """Codes, and samples of what they shall follow."""
        writer, step = self.recorder.tensorboard, trainer.progress.count
        # Noise must come from the model's own device.
        noise = torch.Generator(trainer.step.device).manual_seed(trainer.config.seed)
        codes = inference.encode(model, held_out.images, noise)
        writer.add_histogram("codes/z", codes.z, step)
        prior = model.prior.sample(len(codes.z), generator=generator)
        writer.add_histogram("codes/z_prior", prior, step)
        if codes.y is not None:
            writer.add_histogram("codes/y", codes.y, step)
            drawn = model.adversaries["y"].prior.sample(len(codes.z), generator=generator)
            writer.add_histogram("codes/y_prior", drawn, step)


def is_due(trainer: Trainer) -> bool:
    """Whether this epoch's end is one for checkpoints and pictures."""
    done = trainer.progress.epoch
    return done % trainer.config.sample_every == 0 or done == trainer.config.epochs


def _is_past(record: Record, progress: Progress) -> bool:
    """Whether a record was written before a training stood where it stands."""
    # An epoch's validation comes after its last step, so within an epoch it is still to come.
    ahead = record["split"] == "validation" and progress.batch > 0
    return int(record["step"]) + ahead <= progress.count
