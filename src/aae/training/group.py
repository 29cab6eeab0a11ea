"""Replicas trained in lockstep: one loop, one batched computation, and a trainer for each replica.

A member is an ordinary trainer whose model is a view of the stacked one. The group makes the steps.
At each log and epoch it brings its members up to date, so that their observers, validation and
checkpoints work as if each had trained alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch

from aae.autoencoder import Batch
from aae.training.batches import Epochs
from aae.training.stacked import stack, stack_states, stacked_step, state_of
from aae.training.trainer import DivergedError, Observer, Record, Trainer


class Group(Trainer):
    """Trainers that differ only in their seeds and are at the same step.

    Values that are not finite are handled for each member as its config asks: a member that stops
    hears no more, and the others go on.

    Args:
        members: the trainers.
        validates: gives each member's validation figures.
        observers: hear of the steps and epochs of the group itself.
    """

    def __init__(
        self,
        members: Sequence[Trainer],
        validates: Sequence[Callable[[], Record]],
        observers: Iterable[Observer] = (),
    ):
        first = members[0]
        assert len({(m.progress.count, m.config.of_any_seed) for m in members}) == 1
        self.members, self.validates = members, validates
        self.lost: dict[Trainer, DivergedError] = {}
        generators = [member.generator for member in members]
        super().__init__(
            stack([member.model for member in members]),
            first.config,
            Together([member.batches for member in members]),
            None if first.labelled is None else Together([m.labelled for m in members]),
            observers,
            step=lambda model, config: stacked_step(model, config, generators),
        )
        self.generator = first.generator
        self.step.load_state(stack_states([member.step.state() for member in members]))
        sums = {
            name: torch.stack([member.progress.sums[name] for member in members])
            for name in first.progress.sums
        }
        self.progress = replace(first.progress, sums=sums, counts=dict(first.progress.counts))
        self._fewer = [self._fewer_of(member) for member in members]

    def hand_out(self) -> list[Trainer]:
        """Bring all members up to date, so that they can be saved; returns those not lost."""
        self._look()  # no member may be saved after an unseen fault
        self._share_progress()
        state = self.step.state()
        for seat, member in enumerate(self.members):
            member.step.load_state(state_of(state, seat))
        return self._there()

    def _there(self) -> list[Trainer]:
        return [member for member in self.members if member not in self.lost]

    def _lose(self, member: Trainer, error: DivergedError) -> None:
        """Go on without a member, as long as there is another one."""
        self.lost[member] = error
        if not self._there():
            raise error

    def _fewer_of(self, member: Trainer) -> dict[str, int]:
        """How many fewer losses its sums hold than the group's: it may have skipped steps."""
        own = member.progress.counts
        return {name: count - own[name] for name, count in self.progress.counts.items()}

    def _share_progress(self) -> None:
        for seat, (member, fewer) in enumerate(zip(self.members, self._fewer, strict=True)):
            sums = {name: total[seat].clone() for name, total in self.progress.sums.items()}
            counts = {
                name: count - fewer.get(name, 0) for name, count in self.progress.counts.items()
            }
            member.progress = replace(self.progress, sums=sums, counts=counts)

    def _look(self) -> None:
        """Check whether a member's step was not finite, and have the member act on it."""
        faults = {self.members[seat]: fault for seat, fault in self.step.watch.look().items()}
        if faults.keys() <= self.lost.keys():
            return
        self._share_progress()
        for seat, member in enumerate(self.members):
            if member in faults and member not in self.lost:
                try:
                    member._heed(replace(faults[member], of=f"seed {member.config.seed}"))
                except DivergedError as error:
                    self._lose(member, error)
                self._fewer[seat] = self._fewer_of(member)

    def _log(self, speed: float) -> None:
        """Tell each member's observers; the speed is that of one member."""
        self._share_progress()
        for member in self._there():
            try:
                member._log(speed)
            except DivergedError as error:
                self._lose(member, error)

    def conclude_epoch(self, validate: Callable[[], Record] | None = None) -> None:
        """See `Trainer.conclude_epoch`; each member concludes its own."""
        self.model.eval()
        self._fewer = [{} for _ in self.members]
        there = self.hand_out()
        for member, own in zip(self.members, self.validates, strict=True):
            if member in there:
                member.conclude_epoch(own)
        self.step.watch.remember()  # what members settled stands in the stacked tensors
        for observer in self.observers:
            observer.on_epoch(self)


class Together(Epochs):
    """Batches of replicas, stacked: pictures [k, n, c, h, w], labels [k, n].

    Args:
        parts: each replica's own epochs, with equally many pictures.
    """

    def __init__(self, parts: Sequence[Epochs | None]):
        self.parts = [part for part in parts if part is not None]
        first = self.parts[0]
        assert len({part.count for part in self.parts}) == 1
        super().__init__(first.count, batch_size=first.batch_size, seed=first.seed)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """See `Epochs.epoch`; each replica's own is called, because some read ahead."""
        for batches in zip(*(part.epoch(number, start) for part in self.parts), strict=True):
            yield _beside(batches)

    def batch(self, number: int, i: int) -> Batch:
        """See `Epochs.batch`."""
        return _beside([part.batch(number, i) for part in self.parts])


def _beside(batches: Sequence[Batch]) -> Batch:
    return Batch(torch.stack([b.x for b in batches]), torch.stack([b.labels for b in batches]))
