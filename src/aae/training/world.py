"""The processes that train one model together: each takes some rows of every batch.

Their result for a batch is that of one process, up to rounding. Each draws random numbers for the
whole batch and keeps those of its own rows. A loss is a mean over the batch, so each process has a
share of it; shares and their gradients are summed. Where a loss combines examples (batch
statistics, the mean of y), the processes exchange sums within it, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

from aae import launch
from aae.autoencoder import Autoencoder, BatchRows, Pass, Phase
from aae.training.draws import Draws

T = TypeVar("T", Tensor, np.ndarray)

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others; the first one draws and validates meanwhile."""


class LostError(RuntimeError):
    """Another process of this training is gone."""


class World:
    """A process that trains alone; see `Workers` for several."""

    rank = 0
    """Its number. The first process, 0, keeps the run folder; the others write nothing."""
    size = 1
    """How many processes there are."""

    def part(self, order: T) -> tuple[T, BatchRows | None]:
        """Its own part of a batch, given as an order of examples [n], and which rows these are."""
        return order, None

    def prepare(self, model: Autoencoder) -> None:
        """Make a model see whole batches; call it before the parameters have an optimiser."""

    def phases(self, phases: Sequence[Phase]) -> tuple[Phase, ...]:
        """The same phases, with this process's shares of the losses, which sum to the batch's."""
        return tuple(phases)

    def total(
        self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]
    ) -> dict[str, Tensor]:
        """Sum the shares of losses, and in place the gradients of some parameters."""
        return dict(losses)

    def agreed(self, asked: Callable[[], bool]) -> Callable[[], bool]:
        """Tells whether any process was asked to stop: after each step, all say the same."""
        return asked

    def same(self, content: bytes) -> bytes:
        """The content that the first process has, in all processes."""
        return content


ALONE = World()


class Workers(World):
    """One of several processes.

    Args:
        rank: its number, from 0.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self._flat: dict[int, Tensor] = {}
        self._asked: Callable[[], bool] = lambda: False
        self._wishes = torch.zeros(())
        """How often any process was asked to stop, on the device."""
        self._looks = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Workers:
        return self  # a model's twin is in the same world

    def part(self, order: T) -> tuple[T, BatchRows | None]:
        """See `World.part`."""
        n = len(order)
        rows = BatchRows(n * self.rank // self.size, n * (self.rank + 1) // self.size, n)
        return order[rows.start : rows.end], rows

    def prepare(self, model: Autoencoder) -> None:
        """See `World.prepare`."""
        for module in model.modules():
            if hasattr(module, "batch_mean"):
                module.batch_mean = self._mean  # type: ignore[assignment]
        _share_statistics(model, self)

    def phases(self, phases: Sequence[Phase]) -> tuple[Phase, ...]:
        """See `World.phases`."""
        return tuple(replace(phase, loss=partial(_share_of, phase.loss)) for phase in phases)

    def total(
        self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]
    ) -> dict[str, Tensor]:
        """See `World.total`: one message, in memory that is reused for the next."""
        moved = [p for p in parameters if p.grad is not None]
        grads = [p.grad.flatten() for p in moved if p.grad is not None]
        device = next(iter(losses.values())).device  # of a phase that may change no weight
        asked = torch.tensor(float(self._asked()), device=device)
        said = torch.stack([*(loss.detach().float() for loss in losses.values()), asked])
        sizes = [grad.numel() for grad in grads]
        if (length := sum(sizes) + len(said)) not in self._flat:
            self._flat[length] = torch.empty(length, device=said.device)
        flat = self.sum(torch.cat([*grads, said], out=self._flat[length]))
        *grads, said = flat.split([*sizes, len(said)])
        for parameter, grad in zip(moved, grads, strict=True):
            parameter.grad = grad.view_as(parameter).to(parameter.dtype)
        *values, asked = said.clone()
        self._wishes = self._wishes.to(asked.device) + asked
        return dict(zip(losses, values, strict=True))

    def agreed(self, asked: Callable[[], bool]) -> Callable[[], bool]:
        """See `World.agreed`."""
        self._asked = asked
        return self._stops

    def _stops(self) -> bool:
        # A CPU has the answer at hand; another device is waited for only now and then.
        self._looks += 1
        at_hand = self._wishes.device.type == "cpu" or self._looks % 100 == 0
        return at_hand and bool(self._wishes)

    def same(self, content: bytes) -> bytes:
        """See `World.same`."""
        length = torch.tensor(len(content))
        with _heard():
            dist.broadcast(length, 0)
            data = torch.empty(int(length), dtype=torch.uint8)
            if self.rank == 0 and content:
                data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            dist.broadcast(data, 0)
        return data.numpy().tobytes()

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place.

        Raises:
            LostError: one of them is gone.
        """
        with _heard():
            dist.all_reduce(tensor)
        return tensor

    def _mean(self, x: Tensor) -> Tensor:
        """The mean over a batch [n, d] of which each process has some rows."""
        total: Tensor = _Sum.apply(self, torch.cat([x.sum(0), x.new_tensor([len(x)])]))
        return total[:-1] / total[-1].detach()


@contextmanager
def joined() -> Iterator[World]:
    """The processes that a launcher such as torchrun started, for as long as the context lasts.

    Without a launcher, or with one process, a training is alone. If torch's process group exists
    already, it is used, and left as it is.

    Raises:
        ValueError: the launcher's environment variables are incomplete.
    """
    if dist.is_available() and dist.is_initialized():
        yield Workers(dist.get_rank(), dist.get_world_size())
        return
    if not launch.several():
        yield ALONE
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        if (number := launch.rank_here()) < torch.cuda.device_count():
            torch.cuda.set_device(number)  # without one, asking for a GPU raises an error
    with _heard():
        # After a restart, the launcher's store still holds the addresses of the old processes.
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        own = PrefixStore(f"aae/{launch.restarts()}", store)
        dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Workers(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


@contextmanager
def _heard() -> Iterator[None]:
    """Turn a failed communication into an error that says what it means."""
    try:
        yield
    except RuntimeError as error:
        raise LostError("another process of this training is gone, or cannot be heard") from error


def _share_of(loss: Callable[[Pass], Tensor], seen: Pass) -> Tensor:
    """This process's share of a phase's loss."""
    rows = seen.batch.rows
    assert rows is not None
    with _OwnRows(seen.generator, rows):
        value = loss(seen)
    if not rows.count:  # without examples there is no mean, and no share
        value = value.nan_to_num(0.0)
    return value * (rows.count / rows.total)


class _OwnRows(Draws):
    """Makes a draw for some rows of a batch a draw for all rows, and takes those rows of it.

    Args:
        generator: what it is drawn from.
        rows: which rows.
    """

    def __init__(self, generator: torch.Generator, rows: BatchRows):
        super().__init__(generator)
        self.rows = rows

    def draw(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """See `Draws.draw`."""
        given = next((i for i, a in enumerate(args) if isinstance(a, (Tensor, tuple))), None)
        if given is None:  # randn(n, d)
            args = self._of_all(args)
        else:  # randn((n, d)), randint(k, (n,)), x.bernoulli_(p)
            own = args[given]
            whole = self._of_all(tuple(own.shape) if isinstance(own, Tensor) else own)
            of_all = own.new_empty(whole) if isinstance(own, Tensor) else whole
            args = (*args[:given], of_all, *args[given + 1 :])
        drawn: Tensor = func(*args, **kwargs)
        return drawn[self.rows.start : self.rows.end]

    def _of_all(self, size: tuple[int, ...]) -> tuple[int, ...]:
        assert size[0] == self.rows.count
        return (self.rows.total, *size[1:])


class _Sum(torch.autograd.Function):
    """A sum over all processes, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, world: Workers, x: Tensor) -> Tensor:
        ctx.world = world
        return world.sum(x.clone())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, ctx.world.sum(grads[0].clone())


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the whole batch's statistics (torch's own needs a GPU).

    Args:
        layer: the layer that it replaces, whose weights and statistics it takes over.
        world: the processes that have the rest of the batch.
    """

    def __init__(self, layer: nn.modules.batchnorm._BatchNorm, world: Workers):
        super().__init__(
            layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
        )
        self._parameters, self._buffers = layer._parameters, layer._buffers
        self.world = world
        self.train(layer.training)

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """[n, d, …] → the same shape and type."""
        if not self.training:  # in use, a process is alone
            return super().forward(input)
        x = input.float()
        over = [0, *range(2, x.ndim)]
        own = x.new_tensor([x.numel() // x.shape[1]])
        total = _Sum.apply(self.world, torch.cat([x.sum(over), own]))
        count = total[-1].detach()
        mean = _spread(total[:-1] / count, x)
        var = _Sum.apply(self.world, (x - mean).square().sum(over)) / count
        y = (x - mean) * (_spread(var, x) + self.eps).rsqrt()
        if self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                share = self.momentum
                if share is None:
                    share = 1 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean.flatten(), share)
                self.running_var.lerp_(var * (count / (count - 1)), share)
        if self.affine:
            y = y * _spread(self.weight, x) + _spread(self.bias, x)
        return y.to(input.dtype)


def _spread(values: Tensor, x: Tensor) -> Tensor:
    """One value for each channel, [d], shaped to broadcast with x."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def _share_statistics(module: nn.Module, world: Workers) -> None:
    """Make the layers within a module normalise by the whole batch."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, _SharedBatchNorm(layer, world))
        else:
            _share_statistics(layer, world)
