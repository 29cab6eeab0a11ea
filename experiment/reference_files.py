"""The files that the reference program writes: checkpoints, pictures, TensorBoard's scalars."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aae import gallery, inference, plots
from aae.autoencoder import Autoencoder, Batch, Pass
from aae.build import build
from aae.config import Config
from aae.data import Dataset
from aae.splits import Part, Splits
from aae.training.trainer import Observer, Record, Trainer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVERY = 10
"""Epochs between two checkpoints with pictures, counted from the first, which is epoch 0."""
STYLES = 10

_TAGS = {"reconstruction": "loss", "discriminator_z": "d_loss", "generator_z": "g_loss"}
_SEMI_TAGS = {
    "reconstruction": "loss", "discriminator_z": "z_d_loss", "generator_z": "z_g_loss",
    "discriminator_y": "y_d_loss", "generator_y": "y_g_loss", "classification": "cls_loss",
}  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A trained model, and the names of its classes."""

    model: Autoencoder
    classes: tuple[str, ...]


class Files(Observer):
    """Writes the reference program's files while a model trains.

    Args:
        folder: the folder to write to.
        config: the config that is trained.
        dataset: the data set that it is trained on.
    """

    def __init__(self, folder: Path, config: Config, dataset: Dataset):
        self.folder, self.config = folder, config
        self.shape, self.classes = dataset.shape, dataset.classes
        self.held_out = Splits.of(config, dataset).validation
        self.tags = _SEMI_TAGS if config.model == "semi" else _TAGS

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        if "writer" in vars(self):
            self.writer.close()

    @cached_property
    def writer(self) -> SummaryWriter:
        """TensorBoard's writer; made when the training has begun."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder))

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`: scalars under the reference program's names."""
        figures: Record = {name: value for name, value in record.items() if name in self.tags}
        if record["split"] == "validation":
            figures = {**losses(trainer.model, self.held_out, trainer.config.seed)}
        scalars = {self.tags[name]: float(value) for name, value in figures.items()}
        if "error" in record:
            scalars["cls_accuracy"] = 1 - float(record["error"])
        elif trainer.labelled is not None:
            steps = trainer.progress.count // trainer.config.classification_every
            scalars["cls_accuracy"] = _accuracy(trainer.model, trainer.labelled.at(steps))
        split = "valid" if record["split"] == "validation" else "train"
        for name, value in scalars.items():
            self.writer.add_scalar(f"{split}/{name}", value, trainer.progress.count)

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`: a checkpoint with pictures, every ten epochs and at the end."""
        epoch, model = trainer.progress.epoch - 1, trainer.model
        if epoch % EVERY and epoch + 1 != trainer.config.epochs:
            return
        save(self.folder / f"aae-epoch-{epoch}", model, self.config, self.shape, self.classes)
        loaded = Loaded(model, self.classes)
        generator = torch.Generator().manual_seed(self.config.seed)
        figures = {"generate_im": samples(loaded, True, generator)}
        if model.prior.dim == 2:
            figures["latent"] = gallery.latent(model, self.held_out, self.classes, generator)
        if model.decodes_labels:
            figures["sample_style"] = style(loaded, generator)
        for name, figure in figures.items():
            plots.save(figure, self.folder / f"{name}_{epoch}.png")


def save(
    path: Path, model: Autoencoder, config: Config, shape: tuple[int, ...], classes: tuple[str, ...]
) -> None:
    """Write a model as one file: its weights, and as metadata all that is needed to build it."""
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    about = {"config": config.to_json(), "shape": shape, "classes": classes}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    save_file(weights, aside, {"about": json.dumps(about)})
    aside.replace(path)


def load(folder: Path, epoch: int) -> Loaded:
    """The model of a checkpoint.

    Raises:
        ValueError: there is no checkpoint of that epoch, or it is damaged.
    """
    path = folder / f"aae-epoch-{epoch}"
    if not path.is_file():
        epochs = sorted(
            int(p.name[10:]) for p in folder.glob("aae-epoch-*") if p.name[10:].isdigit()
        )
        there = f"--load one of {', '.join(map(str, epochs))}" if epochs else "train first"
        raise ValueError(f"{folder} holds no checkpoint of epoch {epoch}; {there}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = Config.from_json(about["config"])
        classes = tuple(about["classes"])
        model = build(config, about["shape"], len(classes), torch.Generator())
        model.load_state_dict(weights)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is no checkpoint of this program, or damaged: {error}") from None
    return Loaded(model.eval(), classes)


def samples(loaded: Loaded, by_class: bool, generator: torch.Generator) -> Figure:
    """Random samples; a row for each class if that is wanted and the model knows classes."""
    if by_class:
        return gallery.samples(loaded.model, loaded.classes, generator)
    images = inference.sample(loaded.model, None, gallery.SIDE**2, generator)
    return plots.grid(images.numpy(), columns=gallery.SIDE, title="Random samples")


def style(loaded: Loaded, generator: torch.Generator) -> Figure:
    """One class a row, one style a column; the styles are drawn from the prior.

    Raises:
        ValueError: the model's decoder is not told a class.
    """
    if not loaded.model.decodes_labels:
        raise ValueError(
            "this model's decoder is not told a class: --supervise is for checkpoints of "
            "--train_supervised and --train_semisupervised"
        )
    rows = len(loaded.classes)
    styles = loaded.model.prior.sample(STYLES, generator=generator).repeat(rows, 1)
    images = inference.decode(loaded.model, styles, torch.arange(rows).repeat_interleave(STYLES))
    return plots.grid(
        images.numpy(), columns=STYLES, row_labels=loaded.classes,
        title="Class by row, style by column",
    )  # fmt: skip


def codes_and_manifold(
    loaded: Loaded, dataset: Dataset, generator: torch.Generator
) -> dict[str, Figure]:
    """Figures of the test pictures' codes and of a decoded grid of codes, by file name."""
    part = Part(dataset.test_images, dataset.test_labels)
    figures = {"latent": gallery.latent(loaded.model, part, loaded.classes, generator)}
    for name, figure in gallery.manifold(loaded.model).items():
        component = name.removeprefix("manifold").replace("-", "_component_")
        figures[f"generate_im{component}"] = figure
    return figures


@torch.inference_mode()
def losses(model: Autoencoder, part: Part, seed: int) -> dict[str, float]:
    """The loss of each phase on held-out pictures, without noise or dropout."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    sums = dict.fromkeys((phase.name for phase in model.phases()), 0.0)
    for x, labels in inference.in_batches(model, part):
        whole = Pass(model, Batch(x, labels), generator)
        for phase in model.phases():
            sums[phase.name] += float(phase.loss(whole)) * len(x) / len(part.images)
    return sums


@torch.inference_mode()
def _accuracy(model: Autoencoder, batch: Batch) -> float:
    logits = model.encode(batch.x).y_logits
    assert logits is not None
    return float((logits.argmax(1) == batch.labels).float().mean())
