"""The step of many models of one kind as one batched computation: their tensors are stacked.

Models, phases and steps do not know of it. A stacked model is an ordinary one whose tensors have
one more dimension, in front. `StackedRead` reads the losses of all its replicas at once, with
``torch.func.vmap``; everything else in a step is elementwise or a sum over losses. Each replica
draws from a generator of its own, in the order in which it would draw alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from aae.autoencoder import Autoencoder, Batch, Corruption, Phase
from aae.config import Config
from aae.training.draws import Draws
from aae.training.finite import GuardOfMany, WatchOfMany
from aae.training.step import AlternatingStep, JointStep, Losses, Read, Step, read

State = dict[str, dict[str, Any]]
"""What `Step.state` gives."""


def stack(models: Sequence[Autoencoder]) -> Autoencoder:
    """One model with the tensors of all models, stacked; each model's own become views of them."""
    whole = copy.deepcopy(models[0])
    for stacked, *own in zip(_tensors(whole), *map(_tensors, models), strict=True):
        stacked.data = torch.stack([tensor.data for tensor in own])
        for tensor, view in zip(own, stacked.data, strict=True):
            tensor.data = view
    whole.gradient = _gradient
    return whole


def stacked_step(model: Autoencoder, config: Config, generators: Sequence[torch.Generator]) -> Step:
    """The step of a stacked model; its batches and losses have one more dimension in front, too.

    Args:
        model: see `stack`.
        config: the config of all replicas, except for the seed.
        generators: one for each replica. The step is called with the first, which stands for all
            of them.
    """
    step = lone_step(model, config, StackedRead(model, generators))
    step.generators = generators
    kind = GuardOfMany if config.on_nonfinite == "skip" else WatchOfMany
    step.watch = kind(model, [phase.name for phase in step.phases], (len(generators),))
    return step


def lone_step(model: Autoencoder, config: Config, reads: Read = read) -> Step:
    """The step of a single model that the stacked step reproduces."""
    alternates = config.step.startswith("alternating")
    return (AlternatingStep if alternates else JointStep)(model, config, reads)


def can_be_stacked(config: Config) -> bool:
    """Whether models can be stacked: no gradient within vmap goes through batch normalisation."""
    return not (config.smooths_classes and config.batch_norm)


class StackedRead:
    """Reads the losses of all replicas at once, [k] each; see `aae.training.step.Read`.

    Args:
        model: the stacked model.
        generators: see `stacked_step`.
    """

    def __init__(self, model: Autoencoder, generators: Sequence[torch.Generator]):
        self.reading, self.generators = _Reading(model), generators
        self.tensors = {
            **dict(self.reading.named_parameters()),
            **dict(self.reading.named_buffers()),
        }
        self.seats = torch.arange(len(generators), device=generators[0].device)[:, None]

    def __call__(
        self,
        model: Autoencoder,
        phases: Sequence[Phase],
        batch: Batch,
        labelled: Batch | None,
        generator: torch.Generator,
        corruption: Corruption,
    ) -> Losses:
        """Pictures [k, n, c, h, w] with labels [k, n] → losses [k]."""
        assert model is self.reading.model
        assert generator is self.generators[0]
        pictures = {"all": (batch.x, batch.labels)}
        if labelled is not None:
            pictures["labelled"] = (labelled.x, labelled.labels)

        def replica(
            tensors: dict[str, Tensor], pictures: dict[str, tuple[Tensor, Tensor]], seat: Tensor
        ) -> Losses:
            batches = {name: Batch(*pair) for name, pair in pictures.items()}
            with _OwnDraws(self.generators, seat):
                losses: Losses = torch.func.functional_call(
                    self.reading, tensors, (phases, batches, generator, corruption)
                )
            return losses

        # vmap sees one draw for all replicas; `_OwnDraws` picks each replica's own from it.
        together = torch.func.vmap(replica, randomness="same")
        losses: Losses = together(self.tensors, pictures, self.seats)
        return losses


class _Reading(nn.Module):
    """One replica's reading of losses as a module, so that a call can replace its tensors."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(
        self,
        phases: Sequence[Phase],
        batches: dict[str, Batch],
        generator: torch.Generator,
        corruption: Corruption,
    ) -> Losses:
        return read(
            self.model, phases, batches["all"], batches.get("labelled"), generator, corruption
        )


def _gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`aae.losses.gradient` within vmap, where autograd has no tensors to differentiate by."""
    with torch.no_grad():  # for all but x
        grad: Tensor = torch.func.grad(f)(x)
    return grad


class _OwnDraws(Draws):
    """Whenever a replica draws from the first generator, each replica draws from its own.

    Args:
        generators: one for each replica.
        seat: the replica's number, [1]; under vmap, that of all replicas at once.
    """

    def __init__(self, generators: Sequence[torch.Generator], seat: Tensor):
        super().__init__(generators[0])
        self.generators, self.seat = generators, seat

    def draw(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """See `Draws.draw`."""
        draws = []
        for generator in self.generators:
            # Where a draw is in place, each replica draws into a tensor of its own.
            own = (torch.empty_like(a) if isinstance(a, Tensor) else a for a in args)
            draws.append(func(*own, **{**kwargs, "generator": generator}))
        return torch.stack(draws).index_select(0, self.seat)[0]


def stack_states(states: Sequence[State]) -> State:
    """A stacked step's state, from its replicas' own states after equally many steps."""

    def stacked(*values: Any) -> Any:
        return torch.stack(values) if _of_replica(values[0]) else copy.deepcopy(values[0])

    return _map(stacked, *states)


def state_of(state: State, seat: int) -> State:
    """A copy of one replica's part of a stacked state, as the replica's own step would give it."""

    def own(value: Any) -> Any:
        return value[seat].clone() if _of_replica(value) else copy.deepcopy(value)

    return _map(own, state)


def _of_replica(value: Any) -> bool:
    """Whether a value in an optimiser's state belongs to a parameter; a step count does not."""
    return isinstance(value, Tensor) and value.dim() > 0


def _map(function: Callable[..., Any], *states: State) -> State:
    """Apply a function to the values of states: for each optimiser, parameter and name."""
    first = states[0]
    return {
        name: {
            **whole,
            "state": {
                number: {
                    key: function(*(state[name]["state"][number][key] for state in states))
                    for key in values
                }
                for number, values in whole["state"].items()
            },
        }
        for name, whole in first.items()
    }


def _tensors(model: nn.Module) -> chain[Tensor]:
    return chain(model.parameters(), model.buffers())
