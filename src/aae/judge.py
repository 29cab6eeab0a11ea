"""The judge: an independent classifier that reads generated pictures.

It sees nothing of the autoencoder: it is trained on the real training pictures of a data set. Its
schedule is fixed beforehand, and the test set is used once, to say how far to trust it.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from aae.storage import written
from aae.training.device import choose_precision

if TYPE_CHECKING:
    from aae.data import Dataset


RECIPE = "1"
"""Version of architecture and schedule: a cached judge of another version is trained again."""
WIDTH = 24
"""Channels of the first two convolutions; later pairs have twice and four times as many."""
EPOCHS, LEAST_STEPS = 6, 400
"""Passes over the pictures, and steps that are made at least: few pictures get more passes."""
LARGEST_BATCH, LEARNING_RATE, WEIGHT_DECAY = 256, 1e-2, 0.05
"""Pictures of a batch, at most; highest rate of the one-cycle schedule; AdamW's weight decay."""
ROTATION, SCALE, SHEAR, SHIFT = math.radians(12), 0.1, 0.1, 0.15
"""Largest change of a training picture, either way: radians; of width and of height, each on its
own; sideways move of a line for each line that it is above another, on a square picture; across
and along, in halves of a side, so about two pixels of 28."""
SMALLEST = 8
"""Pixels of a picture's shorter side, at least."""


class Judge(nn.Module):
    """A small convolutional classifier: six 3×3 convolutions and the mean over positions.

    Args:
        shape: of one picture, (channels, height, width), at least 8×8.
        n_classes: number of classes K.

    Attributes:
        test_accuracy: share of the data set's test pictures read correctly; NaN if not measured.

    Raises:
        ValueError: there are no pictures, they are too small, or there are fewer than two classes.

    Examples:
        >>> Judge((1, 8, 8), 10).probabilities(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 10])
    """

    test_accuracy: float = math.nan

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"the judge reads pictures, not rows of {shape[0]} features")
        if min(shape[1:]) < SMALLEST:
            raise ValueError(
                f"pictures are {shape[1]}×{shape[2]}; the judge reads {SMALLEST}×{SMALLEST} and up"
            )
        if n_classes < 2:
            raise ValueError(f"the judge needs at least 2 classes to choose from, not {n_classes}")
        self.shape, self.n_classes = shape, n_classes
        self.layers = nn.Sequential(
            _block(shape[0], WIDTH),
            _block(WIDTH, WIDTH, stride=2),
            _block(WIDTH, 2 * WIDTH),
            _block(2 * WIDTH, 2 * WIDTH, stride=2),
            _block(2 * WIDTH, 4 * WIDTH),
            _block(4 * WIDTH, 4 * WIDTH),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * WIDTH, n_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, K] of pictures in [0, 1], float [n, channels, height, width]."""
        logits: Tensor = self.layers(images)
        return logits

    @torch.no_grad()
    def probabilities(self, images: Tensor, batch_size: int = 128) -> Tensor:
        """How likely each class is for each picture.

        Args:
            images: float [n, channels, height, width] in [0, 1], or uint8; on any device.
            batch_size: pictures that are read at once. On two cores, MNIST is read three times as
                fast by 128 as by 1,000.

        Returns:
            Probabilities [n, K], on the device of `images`.

        Raises:
            ValueError: there are no pictures, or they have another shape or range.
        """
        if images.shape[1:] != self.shape or len(images) == 0:
            raise ValueError(
                f"pictures are {list(images.shape)}; this judge reads {['n', *self.shape]}, n > 0"
            )
        if images.is_floating_point() and ((images < 0) | (images > 1)).any():
            low, high = images.min().item(), images.max().item()
            raise ValueError(f"pixels go from {low:.3g} to {high:.3g}; scale them to [0, 1]")
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        reads = [self(_scaled(batch.to(device))).softmax(1) for batch in images.split(batch_size)]
        self.train(was_training)
        return torch.cat(reads).to(images.device)


def train_judge(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    seed: int,
    epochs: int | None = None,
) -> Judge:
    """Train a judge: AdamW, one cycle of the learning rate, small shifts, turns and stretches.

    Labels are not smoothed: that would cap the confidence that `readable` asks for.

    Args:
        images: uint8 [n, channels, height, width].
        labels: int64 [n]; pictures with label -1 (no label) are left out.
        n_classes: number of classes.
        seed: of weights, batches and augmentation.
        epochs: passes over the pictures; by default 6, or enough for 400 steps if that is more.

    Raises:
        ValueError: arrays do not fit one another, no label is given, or one is out of range.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; "
            "the judge learns from uint8 [n, channels, height, width]"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels are {list(labels.shape)}; there are {len(images)} images")
    known = labels >= 0
    if not known.any() or labels.max() >= n_classes:
        raise ValueError(
            f"labels go up to {labels.max(initial=-1)}; the judge needs some, in 0..{n_classes - 1}"
        )
    x, y = torch.from_numpy(images[known]), torch.from_numpy(labels[known])
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = images.shape[1:]
    judge = _new_judge((channels, height, width), n_classes, seed)
    judge.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]

    batch_size = min(LARGEST_BATCH, max(16, len(x) // 20))
    steps_per_epoch = math.ceil(len(x) / batch_size)
    if epochs is None:
        epochs = max(EPOCHS, math.ceil(LEAST_STEPS / steps_per_epoch))
    total = epochs * steps_per_epoch
    optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=total, pct_start=0.2
    )
    products = choose_precision("auto", x.device)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), generator=generator).split(batch_size):
            batch = _augmented(_scaled(x[chosen]), generator)
            with torch.autocast(x.device.type, products, enabled=products != torch.float32):
                loss = nn.functional.cross_entropy(judge(batch), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    judge.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    return judge.eval()


def judge_for(
    dataset: Dataset,
    cache_dir: str | Path,
) -> Judge:
    """The judge of a data set: trained the first time, read from `cache_dir` afterwards.

    A cached file is used only if it was made by this version of the recipe from these very
    pictures and labels; otherwise it is replaced.

    Args:
        dataset: with all its labels, in memory.
        cache_dir: folder, made if it is missing.

    Returns:
        The judge, its `test_accuracy` measured on the test set.

    Raises:
        ValueError: the judge cannot be trained on this data set, see `train_judge`.
    """
    path = Path(cache_dir) / f"judge-{re.sub(r'[^A-Za-z0-9.-]+', '-', dataset.name)}.safetensors"
    made_from = _description(dataset)
    cached = _load(path, made_from, dataset)
    if cached is not None:
        return cached
    judge = train_judge(
        np.asarray(dataset.train_images),
        dataset.train_labels,
        dataset.n_classes,
        seed=0,
    )
    known = dataset.test_labels >= 0
    judge.test_accuracy = read_as(
        judge,
        torch.from_numpy(np.asarray(dataset.test_images[known])),
        torch.from_numpy(dataset.test_labels[known]),
    )
    _save(judge, path, made_from)
    return judge


def read_as(judge: Judge, images: Tensor, asked: Tensor) -> float:
    """Share of pictures that the judge reads as the class that was asked for.

    Args:
        judge: the one that reads.
        images: as in `Judge.probabilities`; pictures that are not finite are read as nothing.
        asked: class of each picture, int64 [n].

    Raises:
        ValueError: the arrays do not fit one another.
    """
    if asked.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} pictures, but classes {list(asked.shape)} asked for")
    probabilities = judge.probabilities(images)
    right = (probabilities.argmax(1) == asked.to(images.device)) & probabilities.isfinite().all(1)
    return int(right.sum()) / len(right)


class Readable(NamedTuple):
    """What a judge reads in pictures.

    Attributes:
        share: of the pictures that are read with confidence.
        counts: how many of these are of each class.
        kinds: how many classes pictures are read as, with confidence or without.
    """

    share: float
    counts: list[int]
    kinds: int


def readable(judge: Judge, images: Tensor, confidence: float = 0.9) -> Readable:
    """Share of pictures that the judge reads with confidence, and what it reads.

    Args:
        judge: the one that reads.
        images: as in `Judge.probabilities`.
        confidence: least probability of the class that is read.
    """
    best, reads = judge.probabilities(images).max(1)
    sure = best >= confidence
    counts = torch.bincount(reads[sure], minlength=judge.n_classes)
    return Readable(int(sure.sum()) / len(sure), counts.tolist(), len(reads.unique()))


def _block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def _new_judge(shape: tuple[int, ...], n_classes: int, seed: int) -> Judge:
    with torch.random.fork_rng(devices=[]):  # modules draw their weights from the global stream
        torch.manual_seed(seed)
        return Judge(shape, n_classes)


def _scaled(images: Tensor) -> Tensor:
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return pixels.contiguous(memory_format=torch.channels_last)


def _augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [n, c, h, w], each turned, stretched, sheared and shifted a little at random."""
    turn, stretch_x, stretch_y, shear, shift_x, shift_y = (
        2 * torch.rand(6, len(images), generator=generator) - 1
    )
    cos, sin = (ROTATION * turn).cos(), (ROTATION * turn).sin()
    x, y = 1 + SCALE * stretch_x, 1 + SCALE * stretch_y
    rows = [cos * x, SHEAR * shear - sin * y, SHIFT * shift_x, sin * x, cos * y, SHIFT * shift_y]
    maps = torch.stack(rows, 1).view(-1, 2, 3).to(images.device)
    grid = nn.functional.affine_grid(maps, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _description(dataset: Dataset) -> dict[str, str]:
    digest = hashlib.sha256()
    for array in (
        dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels,
    ):  # fmt: skip
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return {
        "recipe": RECIPE,
        "data": dataset.name,
        "classes": str(dataset.n_classes),
        "sha256": digest.hexdigest(),
    }


def _load(path: Path, made_from: dict[str, str], dataset: Dataset) -> Judge | None:
    """The cached judge; None if there is none, or it is damaged or made from something else."""
    judge = _new_judge(dataset.shape, dataset.n_classes, seed=0)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if any(metadata.get(key) != value for key, value in made_from.items()):
                return None
            names = file.keys()
            judge.load_state_dict({name: file.get_tensor(name) for name in names})
        judge.test_accuracy = float(metadata["test_accuracy"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError):
        return None
    return judge.eval()


def _save(judge: Judge, path: Path, made_from: dict[str, str]) -> None:
    weights = {name: value.cpu().contiguous() for name, value in judge.state_dict().items()}
    with written(path) as aside:
        aside.write_bytes(save(weights, made_from | {"test_accuracy": str(judge.test_accuracy)}))
