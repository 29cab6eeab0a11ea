"""What the page shows of a run: codes, pictures, the prior, as arrays and one JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import aae
from aae import gallery, inference, plots
from aae.autoencoder import Autoencoder
from aae.codes import Codes
from aae.priors import Gaussian, Mixture, Prior, Uniform
from aae.run import Run
from aae.splits import Part

PRIOR_SAMPLES = 20_000
"""Samples of a prior of more than two dimensions: the page makes its density over a plane."""
GRID = 201
"""Places along each side of a density."""
MOST_BYTES = 2**25
"""The page loads at most this many bytes of pictures."""


@dataclass(frozen=True)
class Content:
    """What the page is given besides the networks."""

    about: dict[str, Any]
    """Names, sizes and colours, ready for JSON."""
    arrays: dict[str, NDArray[Any]]
    """``codes`` float32 [n, d]; ``labels`` int16 [n]; ``pictures`` uint8 [n, c, h, w]; ``prior``
    and perhaps ``pair``, float32: see `_prior`."""


def content(run: Run, model: Autoencoder, *, count: int, data_dir: str | None = None) -> Content:
    """Encode a run's test set for the page.

    Args:
        run: the run.
        model: its model, see `aae.inference.ready`.
        count: maximum number of test pictures to show, evenly spaced; fewer if they would exceed
            `MOST_BYTES`.
        data_dir: where the data set lies now, if not where the run's config says.

    Raises:
        ValueError: the run's examples are not pictures that can be drawn.
    """
    if len(run.shape) != 3 or run.shape[0] not in (1, 3):
        raise ValueError(
            f"the explorer shows pictures of 1 or 3 channels, and {run.folder} was trained on "
            f"{' × '.join(map(str, run.shape))} values"
        )
    test = run.splits(data_dir).test
    part = test.some(max(1, min(count, MOST_BYTES // int(np.prod(run.shape)))))
    pictures: NDArray[np.uint8] = np.asarray(part.images, np.uint8)
    part = Part(pictures, part.labels)
    codes = model.embed(inference.encode(model, pictures)).numpy()
    arrays: dict[str, NDArray[Any]] = {
        "codes": codes.astype(np.float32),
        "labels": part.labels.astype(np.int16),
        "pictures": pictures,
    }
    prior = _prior(model.embedded_prior, run.config.seed)
    return Content(_about(run, model, part, codes) | prior.about, arrays | prior.arrays)


def _about(run: Run, model: Autoencoder, part: Part, codes: NDArray[np.float32]) -> dict[str, Any]:
    config, classes = run.config, list(run.classes)
    names = [str(k) for k in range(model.n_classes)] if model.finds_clusters else classes
    errors = _errors(model, part)
    return {
        "program": f"aae {aae.__version__}",
        "recipe": config.recipe,
        "data": config.data_name,
        "epochs": run.epochs_in_use,
        "shape": run.shape,
        "prior": run.networks.prior_in_use(config),
        "limit": model.embedded_prior.limit,
        "axes": _principal(codes).tolist(),
        "classes": classes,
        "colours": {
            "light": plots.class_colours(len(classes)),
            "dark": plots.class_colours(len(classes), dark=True),
        },
        "y": names if model.encoder.classes is not None or model.decodes_labels else [],
        "clusters": model.finds_clusters,
        "told": model.places_need_class,
        "classifies": model.encoder.classes is not None,
        "errors": np.quantile(errors, np.linspace(0, 1, 201)).tolist(),
        "border": float(_border(np.asarray(part.images, np.uint8)).mean() / 255),
    }


def _errors(model: Autoencoder, part: Part) -> NDArray[np.float64]:
    """Half the squared error of each reconstruction, summed over pixels in [-1, 1]: [n].

    The reconstructions are those of the page, which only knows clusters after merging, and tries
    every class where nobody knows the one that the decoder must be told.
    """
    found = []

    def off(x: Tensor, codes: Codes, labels: Tensor) -> Tensor:
        inputs = [model.embed(codes)]
        if model.places_need_class:  # the encoder's own class, or else the label
            y = codes.y
            inputs.append(model.decoder_inputs(codes, labels)[1] if y is None else y)
        x_hat = model.place_decoder(*inputs).clamp(-1, 1)
        squares: Tensor = (x_hat - x).square().flatten(1).sum(1).cpu()
        return squares / 2

    with torch.inference_mode():
        for x, labels in inference.in_batches(model, part):
            codes, told = model.encode(x), [labels]
            if model.places_need_class and codes.y is None and (labels < 0).any():
                told = [labels.where(labels >= 0, k) for k in range(model.n_classes)]
            found.append(torch.stack([off(x, codes, each) for each in told]).amin(0))
    errors: NDArray[np.float64] = torch.cat(found).double().numpy()
    return errors


def _principal(codes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unit vectors along the codes' two largest variances: [2, d], or [1, 1]."""
    centred = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    directions = np.linalg.eigh(centred.T @ centred).eigenvectors.T[:-3:-1]
    # The sign of a direction is arbitrary: make its largest component positive.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    signed: NDArray[np.float64] = directions * np.where(largest < 0, -1, 1)
    return signed


def _border(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outermost pixels of pictures [n, c, h, w]."""
    sides = (images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1])
    return np.concatenate([side.ravel() for side in sides])


def _prior(prior: Prior, seed: int) -> Content:
    """What shows a prior.

    If it looks the same in every plane that is shown (``planar``), ``prior`` is its density: on a
    grid [g, g] over the frame, rows from the bottom, at most 1. Else it is samples [m, d], from
    which the page makes a density in the current plane; and ``pair`` is the density, where it is
    known, over two dimensions: any two (``any_pair``), or else the first two, the next two, ….
    """
    marginal = _marginal(prior)
    if isinstance(prior, Gaussian) or prior.dim <= 2:
        return Content({"planar": True}, {"prior": _density(marginal or prior)})
    generator = torch.Generator().manual_seed(seed)
    arrays = {"prior": prior.sample(PRIOR_SAMPLES, generator=generator).numpy()}
    if marginal is not None:
        arrays["pair"] = _density(marginal)
    return Content({"planar": False, "any_pair": isinstance(prior, Uniform)}, arrays)


def _marginal(prior: Prior) -> Prior | None:
    """A prior of more dimensions in two of its own, where it is of the same kind there."""
    if prior.dim <= 2:
        return None
    match prior:
        case Gaussian():
            return Gaussian(2, prior.std)
        case Uniform():
            return Uniform(2, prior.half)
        case Mixture():
            return Mixture(
                2, prior.components, prior.radius, prior.radial_std, prior.tangential_std
            )
    return None


def _density(prior: Prior) -> NDArray[np.float32]:
    """The density on a grid, see `_prior`; that of one dimension is the same at every height."""
    if prior.dim == 1:
        line = torch.linspace(-prior.limit, prior.limit, GRID)[:, None]
        log_p = np.tile(prior.log_prob(line).numpy(), (GRID, 1))
    else:
        _, _, log_p = gallery.density(prior, GRID)
    density: NDArray[np.float32] = np.exp(log_p - log_p.max()).astype(np.float32)
    return density
