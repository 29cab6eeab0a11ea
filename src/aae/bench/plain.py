"""The plain loop that ours is compared with: PyTorch as people write it.

With each batch it does what the reference program does, in turn: reconstruction, discriminator,
generator, each with its own encoding and its own Adam, in float32, with weights 1, 6 and 6. It uses
nothing from the library, so that what makes the library fast does not make the loop fast, too.
"""

from __future__ import annotations

from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from aae.bench.contender import Setup, Train, endless

LR, BETAS, ADVERSARIAL_WEIGHT = 2e-4, (0.5, 0.999), 6.0


def mlp(*sizes: int, activation: nn.Module) -> nn.Sequential:
    """Fully connected layers of these sizes, an activation after each but the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation]
    return nn.Sequential(*layers[:-1])


class Encoder(nn.Module):
    """Pictures [n, pixels] → a draw from the posterior, [n, d]."""

    def __init__(self, pixels: int, hidden: int, latent_dim: int):
        super().__init__()
        self.trunk = nn.Sequential(mlp(pixels, hidden, hidden, activation=nn.ReLU()), nn.ReLU())
        self.mean = nn.Linear(hidden, latent_dim)
        self.std = nn.Linear(hidden, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        h = self.trunk(x)
        mean: Tensor = self.mean(h)
        return mean + F.softplus(self.std(h)) * torch.randn_like(mean)


class PlainLoop:
    """The networks, their three optimisers, and the training on a batch.

    Args:
        pixels: values in a picture.
        hidden: units in each hidden layer.
        latent_dim: dimensions of the code.
        device: where to train.
    """

    def __init__(self, pixels: int, hidden: int, latent_dim: int, device: str):
        self.latent_dim = latent_dim
        self.encoder = Encoder(pixels, hidden, latent_dim).to(device)
        self.decoder = nn.Sequential(
            mlp(latent_dim, hidden, hidden, pixels, activation=nn.ReLU()), nn.Tanh()
        ).to(device)
        self.critic = mlp(latent_dim, hidden, hidden, 1, activation=nn.LeakyReLU(0.2)).to(device)
        both = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.reconstruction = torch.optim.Adam(both, lr=LR, betas=BETAS)
        self.discriminator = torch.optim.Adam(self.critic.parameters(), lr=LR, betas=BETAS)
        self.generator = torch.optim.Adam(self.encoder.parameters(), lr=LR, betas=BETAS)

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Train on pictures [n, pixels] in [-1, 1]; returns the unweighted loss of each phase."""
        self.reconstruction.zero_grad()
        reconstruction = 0.5 * F.mse_loss(self.decoder(self.encoder(x)), x, reduction="sum")
        reconstruction = reconstruction / len(x)
        reconstruction.backward()
        self.reconstruction.step()

        self.discriminator.zero_grad()
        fake = self.critic(self.encoder(x).detach())
        real = self.critic(torch.randn(len(x), self.latent_dim, device=x.device))
        discriminator = F.binary_cross_entropy_with_logits(
            real, torch.ones_like(real)
        ) + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        (ADVERSARIAL_WEIGHT * discriminator).backward()
        self.discriminator.step()

        self.generator.zero_grad()
        fake = self.critic(self.encoder(x))
        generator = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
        (ADVERSARIAL_WEIGHT * generator).backward()
        self.generator.step()
        return reconstruction.detach(), discriminator.detach(), generator.detach()


def plain(setup: Setup) -> Train:
    """The plain loop over a ``DataLoader``."""
    x = setup.load_floats()
    loader = DataLoader(TensorDataset(x), batch_size=setup.batch_size, shuffle=True)
    loop = PlainLoop(x.shape[1], setup.hidden, setup.latent_dim, setup.device)
    batches = endless(loader)

    def train(steps: int) -> None:
        for (batch,) in islice(batches, steps):
            loop.step(batch.to(setup.device))

    return train
