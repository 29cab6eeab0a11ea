"""A trained model applied to many pictures or codes, in batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aae.autoencoder import Autoencoder
from aae.nn import Codes
from aae.run import Part
from aae.training.batches import to_model, to_unit

BATCH = 1000
"""Pictures at a time."""


def in_batches(part: Part, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures in [-1, 1] with their labels, on a device."""
    images, labels = torch.from_numpy(part.images), torch.from_numpy(part.labels)
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        yield to_model(x.to(device)), y.to(device)


def encode(
    model: Autoencoder, images: np.ndarray, generator: torch.Generator | None = None
) -> Codes:
    """Pictures uint8 [n, c, h, w] → codes on the CPU: means, or draws if a generator is given."""
    device = next(model.parameters()).device
    part = Part(images, np.full(len(images), -1))
    with torch.inference_mode():
        codes = [model.encode(x, generator) for x, _ in in_batches(part, device)]

    def whole(parts: list[Tensor | None]) -> Tensor | None:
        return None if parts[0] is None else torch.cat([p.cpu() for p in parts if p is not None])

    z, mean = whole([c.z for c in codes]), whole([c.mean for c in codes])
    assert z is not None
    assert mean is not None
    return Codes(z, mean, whole([c.std for c in codes]), whole([c.y_logits for c in codes]))


def decode(model: Autoencoder, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """Codes [n, d], and labels [n] where the decoder sees them → pictures in [0, 1] on the CPU."""
    device = next(model.parameters()).device
    parts = []
    with torch.inference_mode():
        for i in range(0, len(z), BATCH):
            chosen = None if labels is None else labels[i : i + BATCH].to(device)
            parts.append(to_unit(model.decode(z[i : i + BATCH].to(device), chosen)).cpu())
    return torch.cat(parts)


def reconstruct(model: Autoencoder, part: Part) -> Tensor:
    """Pictures uint8 → their reconstructions from the mean code, in [0, 1] on the CPU."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        return torch.cat(
            [to_unit(model.reconstruct(x, y)).cpu() for x, y in in_batches(part, device)]
        )


def sample(
    model: Autoencoder, labels: Tensor | None, count: int, generator: torch.Generator
) -> Tensor:
    """Pictures of codes drawn from the prior, [count, c, h, w] in [0, 1] on the CPU.

    Args:
        model: the model.
        labels: [count] what each shall be: the decoder's label, or the part of the prior; -1 or
            None leaves it to chance.
        count: how many.
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
    if not model.decodes_labels:
        return decode(model, model.prior.sample(count, labels=labels, generator=generator))
    z = model.prior.sample(count, generator=generator)
    drawn = torch.randint(model.n_classes, (count,), generator=generator)
    return decode(model, z, drawn if labels is None else torch.where(labels < 0, drawn, labels))
