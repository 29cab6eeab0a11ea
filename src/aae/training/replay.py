"""A step on a GPU as one launch: its kernels are recorded once, as a CUDA graph, and replayed.

A CPU takes longer to launch a step's few hundred small kernels one by one than a GPU takes to run
them. A replay does the same work on the same tensors. So whatever changes from step to step
(examples, the step's number, rates, moments, draws) must be in tensors that stay in place; nothing
may wait for the device, or be decided by a tensor's values.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from aae.autoencoder import Batch

Losses = dict[str, Tensor]
Make = Callable[[Batch, Batch | None, int | Tensor], Losses]
"""Makes a step from examples, labelled ones where a phase needs them, and the steps made before."""
Kind = tuple[object, ...]
"""What must be equal for a recording to be used again: the shapes and the phases."""

FIRST = 3
"""Steps of a kind made normally before one is recorded: they set up what is initialised lazily."""

logger = logging.getLogger(__name__)


class Recording(Protocol):
    """Recorded work on a device, which can be done again."""

    def record(self, work: Callable[[], Tensor]) -> Tensor:
        """Record some work without doing it; returns the tensor that will hold its result."""

    def replay(self) -> None:
        """Do the recorded work."""


class CudaGraph:
    """A recording of a GPU's kernels.

    Args:
        device: the GPU, which need not be torch's current one.
        generators: what the work draws from; a replay continues from their current states.
    """

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator]):
        self.device, self.generators = device, generators
        with torch.cuda.device(device):
            self.graph = torch.cuda.CUDAGraph()
            for generator in generators:
                self.graph.register_generator_state(generator)

    def record(self, work: Callable[[], Tensor]) -> Tensor:
        """See `Recording.record`. Another thread may read data meanwhile."""
        with (
            torch.cuda.device(self.device),
            # A recording that fails leaves its own stream behind as the current one.
            torch.cuda.stream(torch.cuda.current_stream(self.device)),
        ):
            # torch's own stream would be on the device that was current the first time.
            stream = torch.cuda.Stream(self.device)
            try:
                with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                    return work()
            except RuntimeError:
                self._release()
                raise

    def _release(self) -> None:
        """Let generators draw again: some releases of torch still treat them as being recorded.

        A copy of a state is at the same draw, and belongs to no recording.
        """
        index = torch.cuda.current_device()
        for generator in (*self.generators, torch.cuda.default_generators[index]):
            generator.graphsafe_set_state(generator.clone_state())

    def replay(self) -> None:
        """See `Recording.replay`."""
        self.graph.replay()


@dataclass
class _Recorded:
    """A recording, with the tensors that its step reads and those that it writes."""

    recording: Recording
    inputs: list[Tensor]
    names: list[str]
    losses: Tensor


class Replays:
    """Makes steps, and replays those of a kind that has come often enough.

    Steps that cannot be recorded on this device are made kernel by kernel; a warning says so.

    Args:
        device: where steps run.
        recording: makes an empty recording of work on a device that draws from some generators.
    """

    def __init__(
        self,
        device: torch.device,
        recording: Callable[[torch.device, Sequence[torch.Generator]], Recording] = CudaGraph,
    ):
        self.device, self.recording = device, recording
        self._made: Counter[Kind] = Counter()
        self._recorded: dict[Kind, _Recorded] = {}
        self._refused = False

    def forget(self) -> None:
        """Drop all recordings, because the tensors are other ones now."""
        self._made.clear()
        self._recorded.clear()

    def __call__(
        self,
        make: Make,
        phases: Sequence[str],
        batch: Batch,
        labelled: Batch | None,
        count: int,
        generators: Sequence[torch.Generator],
    ) -> Losses:
        """Make a step, and return its losses.

        Args:
            make: makes the step.
            phases: the names of its phases.
            batch: its examples.
            labelled: its labelled ones.
            count: steps made before it.
            generators: what it draws from.
        """
        given = _tensors(batch, labelled)
        kind: Kind = (*phases, *(tensor.shape for tensor in given))
        if kind not in self._recorded:
            self._made[kind] += 1
            if (
                self._refused
                or self._made[kind] <= FIRST
                or not self._record(kind, make, batch, labelled, generators)
            ):
                return make(batch, labelled, count)
        known = self._recorded[kind]
        for place, tensor in zip(known.inputs, given, strict=False):
            place.copy_(tensor)
        known.inputs[-1].fill_(count)
        known.recording.replay()
        # A copy: the next replay writes where this one did.
        return dict(zip(known.names, known.losses.clone().unbind(), strict=True))

    def _record(
        self,
        kind: Kind,
        make: Make,
        batch: Batch,
        labelled: Batch | None,
        generators: Sequence[torch.Generator],
    ) -> bool:
        """Record a kind of step; returns whether that was possible."""
        batch = Batch(batch.x.clone(), batch.labels.clone())
        labelled = labelled and Batch(labelled.x.clone(), labelled.labels.clone())
        count = torch.zeros((), dtype=torch.long, device=self.device)
        names: list[str] = []

        def work() -> Tensor:
            losses = make(batch, labelled, count)
            names.extend(losses)
            return torch.stack(list(losses.values()))

        recording = self.recording(self.device, generators)
        try:
            losses = recording.record(work)
        except RuntimeError as error:
            self._refused = True
            first = str(error).splitlines()[0]
            logger.warning("steps are made kernel by kernel: they cannot be recorded (%s)", first)
            return False
        inputs = [*_tensors(batch, labelled), count]
        self._recorded[kind] = _Recorded(recording, inputs, names, losses)
        return True


def _tensors(*batches: Batch | None) -> list[Tensor]:
    return [tensor for batch in batches if batch for tensor in (batch.x, batch.labels)]
