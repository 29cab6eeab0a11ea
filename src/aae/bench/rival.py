"""pythae's adversarial autoencoder, where it is installed: its model, its trainer, our networks.

pythae (Chadebec et al., 2022, arXiv:2206.08309) encodes a batch once, runs the discriminator three
times, and has one Adam for the autoencoder and one for the discriminator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from aae.bench.contender import Setup, Train, endless
from aae.bench.plain import mlp


def pythae_version() -> str | None:
    """The installed version of pythae, if there is one."""
    try:
        return version("pythae")
    except PackageNotFoundError:
        return None


def pythae(setup: Setup) -> Train:
    """The training step of pythae's ``AdversarialTrainer``, with its defaults."""
    if setup.device != "cpu":  # it knows only the current GPU
        torch.cuda.set_device(torch.device(setup.device).index or 0)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), TemporaryDirectory() as d:
        trainer = _trainer(setup, d)  # it logs, as do the modules that it imports

    def train(steps: int) -> None:
        trainer.train_loader.steps = steps
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):  # its progress bar
            trainer.train_step(1)

    return train


def _trainer(setup: Setup, folder: str) -> Any:
    from pythae.data.datasets import BaseDataset
    from pythae.models import Adversarial_AE, Adversarial_AE_Config
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
    from pythae.trainers import AdversarialTrainer, AdversarialTrainerConfig

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self, pixels: int):
            super().__init__()
            sizes = pixels, setup.hidden, setup.hidden
            self.trunk = nn.Sequential(mlp(*sizes, activation=nn.ReLU()), nn.ReLU())
            self.mean = nn.Linear(setup.hidden, setup.latent_dim)
            self.log_variance = nn.Linear(setup.hidden, setup.latent_dim)

        def forward(self, x: Tensor) -> Any:
            h = self.trunk(x)
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self, pixels: int):
            super().__init__()
            sizes = setup.latent_dim, setup.hidden, setup.hidden, pixels
            self.layers = nn.Sequential(mlp(*sizes, activation=nn.ReLU()), nn.Tanh())

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    class Discriminator(BaseDiscriminator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            sizes = setup.latent_dim, setup.hidden, setup.hidden, 1
            self.layers = nn.Sequential(mlp(*sizes, activation=nn.LeakyReLU(0.2)), nn.Sigmoid())

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(embedding=self.layers(z))

    x = setup.load_floats()
    pixels = x.shape[1]
    model = Adversarial_AE(
        Adversarial_AE_Config(input_dim=(pixels,), latent_dim=setup.latent_dim),
        encoder=Encoder(pixels),
        decoder=Decoder(pixels),
        discriminator=Discriminator(),
    )
    trainer = AdversarialTrainer(
        model=model,
        train_dataset=BaseDataset(x, torch.zeros(len(x))),
        training_config=AdversarialTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=setup.batch_size,
            no_cuda=setup.device == "cpu",
        ),
    )
    trainer.prepare_training()
    trainer.train_loader = _Some(trainer.train_loader)
    return trainer


class _Some:
    """A loader whose epochs have the requested number of batches."""

    steps = 1

    def __init__(self, loader: DataLoader):
        self.dataset, self._batches = loader.dataset, endless(loader)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return islice(self._batches, self.steps)
