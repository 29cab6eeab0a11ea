"""The steps with less work; a test compares them with those of `aae.training.step`.

What they leave out changes the result by no more than rounding, where critics judge each row by
itself:

- Casts. Autocast casts every weight at each use; a `aae.training.twin` keeps them cast.
- The critic's second forward pass. Prior samples and codes go through it as one batch.
- In the joint step, the critic's second gradient. The discriminator's and the generator's loss
  reach a code through the same logit, so their gradients differ by a factor for each row, and one
  is computed from the other.
- In the alternating step, the graph of an encoding that only a discriminator reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from aae.autoencoder import Autoencoder, Batch, Corruption, Pass, Phase
from aae.codes import Codes
from aae.config import Config
from aae.training.step import AlternatingStep, JointStep, Losses
from aae.training.twin import Twin
from aae.training.world import ALONE, World

LEAST = 1e-12
"""Below this σ(f) the discriminator's gradient is raised to LEAST: still too small to matter, but
large enough for the generator's to be recovered from it."""


class FastAlternatingStep(AlternatingStep):
    """See the module and `AlternatingStep`."""

    def __init__(self, model: Autoencoder, config: Config, world: World = ALONE):
        super().__init__(model, config, world=world)
        self.twin = Twin(model, self.dtype)
        self.own = {phase.name: phase.parameters for phase in self.phases}
        """The weights that each phase changes; its loss is computed with the twin's."""
        self.phases = world.phases(self.twin.model.phases())

    def load_state(self, state: dict[str, dict[str, Any]]) -> None:
        """See `Step.load_state`."""
        super().load_state(state)
        self.twin.follow()  # weights are loaded before this state

    def _make(
        self,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        count: int | Tensor,
        generator: torch.Generator,
    ) -> Losses:
        """See `Step._make`."""
        losses: Losses = {}
        for phase in phases:
            seen = labelled if phase.labelled else batch
            assert seen is not None
            kind = LookingPass if phase.side == "critic" else Pass
            corruption = self._corruption_of(phase)
            loss = phase.loss(kind(self.twin.model, seen, generator, corruption))
            weights = self.own[phase.name]
            self.twin.differentiate(self._weighted(phase, loss), weights)
            losses |= self._move([phase.name], {phase.name: loss}, count)
            self.twin.follow(weights)
        return losses


class FastJointStep(JointStep):
    """See the module and `JointStep`. The discriminators' weights must be above 0."""

    def __init__(self, model: Autoencoder, config: Config, world: World = ALONE):
        super().__init__(model, config, world=world)
        self.twin = Twin(model, self.dtype)
        self.phases = world.phases(self.twin.model.phases())
        self.given = {f"generator_{code}" for code in model.adversaries}
        """Phases whose gradient `SharedPass` gives."""

    def _make(
        self,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        count: int | Tensor,
        generator: torch.Generator,
    ) -> Losses:
        """See `Step._make`."""
        self.twin.follow()
        shared = SharedPass(self.twin.model, batch, generator, self.corruption, self.weights)
        losses, total = {}, []
        for phase in phases:
            seen: Pass = shared
            if phase.labelled:
                assert labelled is not None
                seen = Pass(self.twin.model, labelled, generator, self.corruption)
            losses[phase.name] = phase.loss(seen)
            if phase.name not in self.given:
                total.append(self._weighted(phase, losses[phase.name]))
        self.twin.differentiate(torch.stack(total).sum())
        return self._move(self.optimizers, losses, count)


class AtOncePass(Pass):
    """A pass whose critics read prior samples and codes as one batch."""

    def fake(self, code: str) -> Tensor:
        """See `Pass.fake`."""
        self._read(code)
        return self._fake[code]

    def real(self, code: str) -> Tensor:
        """See `Pass.real`."""
        self._read(code)
        return self._real[code]

    def _read(self, code: str) -> None:
        if code not in self._fake:
            self._read_at_once(code, self.code(code))

    def _read_at_once(self, code: str, seen: Tensor) -> None:
        adversary, labels = self.model.adversaries[code], self.batch.labels
        self._real[code], self._fake[code] = adversary.both(seen, labels, self.generator)


class LookingPass(AtOncePass):
    """A pass from which only a discriminator learns."""

    @cached_property
    def codes(self) -> Codes:
        """See `Pass.codes`."""
        with torch.no_grad():
            return super().codes


class SharedPass(AtOncePass):
    """A pass in which the discriminator's loss gives codes the generator's gradient.

    At a logit f the discriminator's gradient is weighted by σ(f) and the generator's by -σ(-f); all
    else is the same.

    Args:
        model: see `Pass`.
        batch: see `Pass`.
        generator: see `Pass`.
        corruption: see `Pass`.
        weights: the weight of each phase's loss, by its name.
    """

    def __init__(
        self,
        model: Autoencoder,
        batch: Batch,
        generator: torch.Generator,
        corruption: Corruption,
        weights: dict[str, float],
    ):
        super().__init__(model, batch, generator, corruption)
        self.weights = weights

    def _read_at_once(self, code: str, seen: Tensor) -> None:
        seen = seen.clone()  # for the critic: only the gradient that comes through it is changed
        super()._read_at_once(code, seen)
        fake = self._fake[code]
        of_discriminator = self.weights[f"discriminator_{code}"]
        f = fake.detach()
        factor = -f.neg().sigmoid() / f.sigmoid().clamp(LEAST)
        factor = factor * (self.weights[f"generator_{code}"] / of_discriminator)
        rows = self.batch.rows
        least = of_discriminator * LEAST / (rows.total if rows else max(len(f), 1))
        if fake.requires_grad:
            fake.register_hook(lambda grad: grad.clamp(least))
        if seen.requires_grad:  # not if the encoder is frozen
            seen.register_hook(lambda grad: grad * factor[:, None])
