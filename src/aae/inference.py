"""A trained model applied to many examples or codes, in batches, in memory or in files.

Examples are pictures, uint8 [n, c, h, w], which come back in [0, 1]; or rows, float32 [n, d].

`codes` and `samples` give their results piece by piece, so that they need not fit into memory; all
else gives them whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aae import losses
from aae.autoencoder import Autoencoder
from aae.build import row_error
from aae.codes import Codes
from aae.conv import Convolution
from aae.data import Columns, Examples
from aae.own_networks import Given
from aae.pixels import from_model, to_model, within
from aae.run import Run
from aae.splits import Part
from aae.training.device import choose_precision
from aae.training.twin import twin

WORKING_BYTES = {"cpu": 32 * 2**20, "cuda": 2**30}
"""Bytes that a batch and all that is computed from it may take, by kind of device. On a processor,
the speed is level from 500 to 4,000 pictures of 28×28; this makes them 1,100."""


def ready(model: Autoencoder, precision: str) -> Autoencoder:
    """The same model for use, with its large products in the type that trainings take.

    It shares float32 weights with the original, and is a snapshot of the rest. Codes, class logits
    and pictures stay float32.

    Args:
        model: the model, on its device.
        precision: as a config says it, see `aae.training.device.choose_precision`.
    """
    return twin(model, choose_precision(precision, _device(model))).eval()


def of_run(run: Run) -> Autoencoder:
    """A run's model with the weights `Run.in_use`, `ready` on the device that it is best used on.

    Raises:
        ValueError: see `Run.model`.
    """
    return ready(run.model(run.device), run.config.precision)


def batch_size(model: Autoencoder) -> int:
    """How many pictures or codes a model is given at a time, to keep to `WORKING_BYTES`."""
    values = math.prod(model.decoder.shape)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            values += layer.out_features
        elif isinstance(layer, Convolution):
            values += layer.out_channels * layer.places
        elif isinstance(layer, Given):
            values += layer.values
    most = WORKING_BYTES.get(_device(model).type, WORKING_BYTES["cpu"])
    return max(1, most // (4 * values))


def in_batches(model: Autoencoder, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
    """Examples as a model takes them, with their labels, on its device."""
    device, size = _device(model), batch_size(model)
    for i in range(0, len(part.labels), size):
        images = torch.from_numpy(np.asarray(part.images[i : i + size]))
        labels = torch.from_numpy(part.labels[i : i + size])
        yield to_model(images.to(device)), labels.to(device)


def codes(
    model: Autoencoder, images: Examples, generator: torch.Generator | None = None
) -> Iterator[Codes]:
    """Examples → codes on the CPU: means, or draws if a generator is given."""
    for x, _ in in_batches(model, Part(images, np.full(len(images), -1))):
        with torch.inference_mode():
            found = vars(model.encode(x, generator))
        values: dict[str, Any] = {k: None if v is None else v.cpu() for k, v in found.items()}
        yield Codes(**values)


def encode(model: Autoencoder, images: Examples, generator: torch.Generator | None = None) -> Codes:
    """All that `codes` gives, at once."""
    whole: dict[str, Tensor] = {}
    start = 0
    for some in codes(model, images, generator):
        end = start + len(some.z)
        for name, value in vars(some).items():
            if value is not None:
                if name not in whole:  # many small tensors, joined, would fragment the memory
                    whole[name] = value.new_empty(len(images), *value.shape[1:])
                whole[name][start:end] = value
        start = end
    return Codes(**whole)


def decode(model: Autoencoder, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """Codes [n, d], and labels [n] if the decoder sees them → examples on the CPU."""
    device, size = _device(model), batch_size(model)
    parts = []
    with torch.inference_mode():
        for i in range(0, len(z), size):
            chosen = None if labels is None else labels[i : i + size].to(device)
            parts.append(from_model(model.decode(z[i : i + size].to(device), chosen)).cpu())
    return torch.cat(parts)


def decode_places(model: Autoencoder, points: Tensor) -> Tensor:
    """Points [n, d] that `Autoencoder.embed` gives → examples on the CPU.

    For models whose points need no class beside them.
    """
    device, decoder = _device(model), model.place_decoder
    with torch.inference_mode():
        parts = [
            from_model(decoder(some.to(device))).cpu() for some in points.split(batch_size(model))
        ]
    return torch.cat(parts)


def reconstruct(model: Autoencoder, part: Part) -> Tensor:
    """Examples → their reconstructions from the mean code, on the CPU."""
    with torch.inference_mode():
        return torch.cat(
            [from_model(model.reconstruct(x, y)).cpu() for x, y in in_batches(model, part)]
        )


def sample(
    model: Autoencoder, labels: Tensor | None, count: int, generator: torch.Generator
) -> Tensor:
    """All that `samples` gives, at once: [count, …]."""
    return torch.cat(list(samples(model, labels, count, generator)))


def samples(
    model: Autoencoder, labels: Tensor | None, count: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """What codes drawn from the prior decode to, [m, …] on the CPU, piece by piece.

    Args:
        model: the model.
        labels: [count], what each is to be: the decoder's label, or the part of the prior; -1 or
            None leaves it to chance.
        count: how many in all.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: a label is asked for, but the model knows none.
    """
    known = model.prior.components if model.prior.components > 1 else 0
    if model.decodes_labels:
        known = model.n_classes
    if labels is not None and bool((labels >= known).any()):
        raise ValueError(
            f"label {int(labels.max())} cannot be asked for: "
            + (
                f"this model's are 0 to {known - 1}"
                if known
                else "this model samples without labels"
            )
        )
    size = batch_size(model)
    starts = range(0, count, size)
    return (
        _sample(
            model,
            None if labels is None else labels[start : start + size],
            min(size, count - start),
            generator,
        )
        for start in starts
    )


def _sample(
    model: Autoencoder, labels: Tensor | None, count: int, generator: torch.Generator
) -> Tensor:
    if not model.decodes_labels:
        return decode(model, model.prior.sample(count, labels=labels, generator=generator))
    z = model.prior.sample(count, generator=generator)
    drawn = torch.randint(model.n_classes, (count,), generator=generator)
    return decode(model, z, drawn if labels is None else torch.where(labels < 0, drawn, labels))


def _device(model: Autoencoder) -> torch.device:
    return next(model.parameters()).device


@torch.inference_mode()
def errors(
    model: Autoencoder,
    part: Part,
    guess: Callable[[Tensor, Tensor], Tensor],
    columns: Columns | None = None,
) -> Tensor:
    """The error of a guess at each example from it and its label: float64 [n], on the CPU.

    Args:
        model: the model.
        part: the examples.
        guess: examples as the model takes them and labels → examples, such as its `reconstruct`.
        columns: what the cells of a row stand for, if the rows are a table's.
    """
    error = row_error(columns) if columns else losses.squared_error
    of_each = torch.vmap(lambda x_hat, x: error(x_hat[None], x[None]))
    pieces = (of_each(within(guess(x, labels)), x).cpu() for x, labels in in_batches(model, part))
    return torch.cat(list(pieces)).double()


def scores(model: Autoencoder, part: Part, columns: Columns | None = None) -> NDArray[np.float32]:
    """How normal examples are, [n]: minus the `errors` of their reconstructions."""
    found: NDArray[np.float32] = -errors(model, part, model.reconstruct, columns).float().numpy()
    return found
