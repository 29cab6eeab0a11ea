"""How one batch updates a model: the joint step, and the paper's alternating step.

Both use the same phases. Gradients are requested by name (``torch.autograd.grad`` of a loss with
respect to the parameters it may change), so no phase can touch parameters that are not its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from aae.autoencoder import Autoencoder, Batch, Corruption, Pass, Phase
from aae.config import Config
from aae.training.device import choose_precision, keep_freed_memory
from aae.training.finite import Watch, without
from aae.training.optimizers import learning_rate, make_optimizer
from aae.training.replay import Replays
from aae.training.world import ALONE, World

Losses = dict[str, Tensor]


class Read(Protocol):
    """Reads the losses of some phases off a pass, as `read` and `stacked.StackedRead` do."""

    def __call__(
        self,
        model: Autoencoder,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        generator: torch.Generator,
        corruption: Corruption,
    ) -> Losses:
        """See `Step.__call__`. Phases on labelled pictures get a pass of their own."""


def read(
    model: Autoencoder,
    phases: Sequence[Phase],
    batch: Batch,
    labelled: Batch | None,
    generator: torch.Generator,
    corruption: Corruption,
) -> Losses:
    """The losses of some phases, with their graph; see `Read`."""
    passes = {}
    for only in sorted({p.labelled for p in phases}):
        seen = labelled if only else batch
        assert seen is not None
        passes[only] = Pass(model, seen, generator, corruption)
    return {p.name: p.loss(passes[p.labelled]) for p in phases}


class Step(ABC):
    """One training step of a model; its optimisers are its state.

    Args:
        model: the model to train, on its device.
        config: loss weights, optimisers, corruption, precision.
        read: how losses are read off the model.
        world: the processes that make the step together.
    """

    def __init__(self, model: Autoencoder, config: Config, read: Read = read, world: World = ALONE):
        self.model, self.config, self.read, self.world = model, config, read, world
        self.phases, self.weights = world.phases(model.phases()), config.weights
        self.corruption = Corruption(config.noise_std, config.input_dropout, config.dropout)
        self.device = next(model.parameters()).device
        self.dtype = choose_precision(config.precision, self.device)
        keep_freed_memory(max(p.numel() * p.element_size() for p in model.parameters()))
        players = self._players()
        self._adversarial = {name: adversarial for name, _, adversarial in players}
        self.optimizers = {
            name: make_optimizer(config, parameters, adversarial=adversarial)
            for name, parameters, adversarial in players
        }
        self.watch = Watch(model, [phase.name for phase in self.phases])
        self.generators: Sequence[torch.Generator] = ()
        """What it draws from, besides the generator that it is called with."""
        self.replays: Replays | None = None
        """Where set, steps are recorded and replayed."""
        if self.device.type == "cuda" and world.size == 1:
            self.replays = Replays(self.device)
        self.moves = 0
        """Updates made by this object; those of a replay are not counted."""

    @abstractmethod
    def _players(self) -> list[tuple[str, list[nn.Parameter], bool]]:
        """Name, parameters and "is adversarial" of each optimiser."""

    def __call__(
        self, batch: Batch, labelled: Callable[[], Batch], count: int, generator: torch.Generator
    ) -> Losses:
        """Train on one batch.

        Args:
            batch: pictures, and those of their labels that may be used.
            labelled: gives a batch of labelled pictures; called only if a phase needs one.
            count: steps made before this one.
            generator: source of all randomness, on the model's device.

        Returns:
            The unweighted loss of each phase that ran, on the device.
        """
        phases = self._due(count)
        only = labelled() if any(phase.labelled for phase in phases) else None

        def make(batch: Batch, only: Batch | None, count: int | Tensor) -> Losses:
            return self._make(phases, batch, only, count, generator)

        if self.replays is None:
            return make(batch, only, count)
        names, sources = [phase.name for phase in phases], {generator, *self.generators}
        return self.replays(make, names, batch, only, count, list(sources))

    @abstractmethod
    def _make(
        self,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        count: int | Tensor,
        generator: torch.Generator,
    ) -> Losses:
        """Make the step of some phases; see `__call__`."""

    def prepare(self, epoch: int, count: int) -> None:
        """Set the learning rates of the next step, and what else depends on the progress so far.

        Args:
            epoch: epochs finished before it.
            count: steps made before it.
        """
        self.model.reach(epoch / self.config.epochs)
        for name, adversarial in self._adversarial.items():
            rate = learning_rate(self.config, epoch, count, adversarial=adversarial)
            self.optimizers[name].lr.fill_(rate)

    def state(self) -> dict[str, dict[str, Any]]:
        """The states of its optimisers, by name."""
        return {name: {"state": each.numbered()} for name, each in self.optimizers.items()}

    def load_state(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore what `state` gave; learning rates are the config's.

        Raises:
            KeyError: an optimiser's state is missing.
            ValueError: a state belongs to another optimiser or to other parameters.
        """
        for name, optimizer in self.optimizers.items():
            optimizer.load(state[name]["state"], name)
        self.watch.remember()
        if self.replays is not None:
            self.replays.forget()

    def _due(self, count: int) -> list[Phase]:
        """The phases of this step: those on labelled pictures run every few steps."""
        every = self.config.classification_every
        return [p for p in self.phases if not p.labelled or (count + 1) % every == 0]

    def _weighted(self, phase: Phase, loss: Tensor) -> Tensor:
        return self.weights[phase.name] * phase.share * loss

    def _autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def _update(self, losses: dict[str, Tensor], seen: Losses, count: int | Tensor) -> Losses:
        """Step each named optimiser on its own loss; all gradients are taken before any step.

        See `_move` for the other arguments and the result.
        """
        *_, last = losses
        for name, loss in losses.items():
            parameters = [
                parameter
                for parameter in self.optimizers[name].parameters
                if parameter.requires_grad  # else the user froze it: it never has a gradient
            ]
            if not parameters:
                continue
            # What no phase of this step reaches (a class head, say) stays as it is.
            grads = torch.autograd.grad(
                loss, parameters, retain_graph=name != last, allow_unused=True
            )
            for parameter, grad in zip(parameters, grads, strict=True):
                # Fused updates assume that a gradient is laid out as its parameter is: row by row.
                parameter.grad = None if grad is None else grad.contiguous()
        return self._move(losses, seen, count)

    def _move(self, names: Iterable[str], seen: Losses, count: int | Tensor) -> Losses:
        """Step some optimisers, unless a loss or a gradient is not finite.

        Args:
            names: those of the optimisers.
            seen: the unweighted loss of each phase that has a share in the gradients. Where several
                processes make the step, losses and gradients are this process's shares.
            count: steps made before this one.

        Returns:
            Those losses, detached; 0 where no step was made.
        """
        moved = [self.optimizers[name] for name in names]
        parameters = [p for optimizer in moved for p in optimizer.parameters]
        seen = self.world.total(seen, parameters)
        self.moves += 1
        bad = self.watch(seen, parameters, count)
        self.watch.update(moved, bad)
        return without(seen, bad)


class AlternatingStep(Step):
    """The paper's step: one phase after the other, each with its own encoding and optimiser."""

    def _players(self) -> list[tuple[str, list[nn.Parameter], bool]]:
        return [(p.name, p.parameters, p.name != "reconstruction") for p in self.phases]

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
            corruption = self._corruption_of(phase)
            with self._autocast():
                seen = self.read(self.model, [phase], batch, labelled, generator, corruption)
            weighted = {phase.name: self._weighted(phase, seen[phase.name]).sum()}
            losses |= self._update(weighted, seen, count)
        return losses

    def _corruption_of(self, phase: Phase) -> Corruption:
        """Dropout of hidden units applies to the reconstruction phase alone."""
        dropout = self.corruption.dropout if phase.name == "reconstruction" else 0.0
        return replace(self.corruption, dropout=dropout)


class JointStep(Step):
    """One encoding serves all phases; autoencoder and critics are each updated once.

    The discriminator's loss sees the same codes and logits as the generator's, both from before
    the update.
    """

    def _players(self) -> list[tuple[str, list[nn.Parameter], bool]]:
        model = self.model
        critic = [p for network in model.critics for p in network.parameters()]
        others = set(critic)
        autoencoder = [p for p in model.parameters() if p not in others]
        players = [("autoencoder", autoencoder, False), ("critic", critic, True)]
        return [player for player in players if player[1]]

    def _make(
        self,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        count: int | Tensor,
        generator: torch.Generator,
    ) -> Losses:
        """See `Step._make`."""
        with self._autocast():
            losses = self.read(self.model, phases, batch, labelled, generator, self.corruption)
        sides: dict[str, list[Tensor]] = {name: [] for name in self.optimizers}
        for phase in phases:
            sides[phase.side].append(self._weighted(phase, losses[phase.name]))
        totals = {name: torch.stack(parts).sum() for name, parts in sides.items()}
        return self._update(totals, losses, count)
