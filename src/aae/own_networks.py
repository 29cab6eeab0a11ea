"""A user's own networks, or a prior, in place of ours: what keeps to a contract.

A network may be any `torch.nn.Module`. Each is tried on two examples when a model is built, and
works in every variant and every kind of step. The model has a copy of it, with the weights that its
maker drew, laid out row by row. Training copies it, too, and a buffer that it changes must be
changed in place. What it draws by itself, in dropout for example, comes from torch's global
generator, and no seed of ours repeats it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from aae.config import Config
from aae.kernel_density import KernelDensity
from aae.priors import Prior
from aae.storage import written
from aae.words import in_one_line

SAMPLES = "prior.safetensors"
"""File of a run folder with the samples that its prior is of."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The user's own networks, and the prior that the code shall follow; ours where one is None.

    Attributes:
        encoder: pictures [n, c, h, w] in [-1, 1], or rows [n, d] → features [n, f], for any f. The
            heads that make codes and classes of them are ours.
        decoder: codes [n, d] → pictures [n, c, h, w] in [-1, 1], or rows. If the recipe also
            decodes a class, the input has K more columns: a one-hot label, or probabilities.
        critic: codes z [n, d] → logits [n] of "drawn from the prior". If the recipe shows it the
            label, the input has K + 1 more columns: that label one-hot, the last one for "none".
        prior: of the codes z, in place of the one that the config names. It has as many dimensions
            as the code, and draws on the generator's device. A run folder keeps a `KernelDensity`;
            all else that is given here must be given again to open a run.

    Examples:
        >>> Networks(encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU())).names
        ('encoder',)
    """

    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    critic: nn.Module | None = None
    prior: Prior | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that are given, and that a run folder does not keep."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return tuple(
            name for name, own in given.items() if not isinstance(own, KernelDensity | None)
        )

    def of(self, config: Config) -> Networks:
        """These, with the prior's samples where a config names a file of them.

        Raises:
            ValueError: it is no such file.
        """
        if self.prior is not None or config.prior_file is None:
            return self
        return replace(self, prior=KernelDensity.read(config.prior_file, config.latent_dim))

    def keep(self, folder: Path) -> None:
        """Write the prior's samples, if it has any, into a run folder, for `kept_in`."""
        if isinstance(self.prior, KernelDensity):
            with written(folder / SAMPLES) as file:
                self.prior.write(file)

    def kept_in(self, folder: Path, config: Config) -> Networks:
        """These, with the prior's samples where a run folder of that config keeps them.

        Raises:
            ValueError: its file of them is damaged or lost, or it keeps none and some were given.
        """
        file = folder / SAMPLES
        if file.exists() and isinstance(self.prior, KernelDensity | None):
            return replace(self, prior=KernelDensity.open(file))
        if config.prior_file is not None and self.prior is None:
            raise ValueError(f"{folder} lacks {SAMPLES}, the samples of its prior: bring it back")
        if isinstance(self.prior, KernelDensity):
            raise ValueError(
                f"{folder} was not trained with a prior of samples: open it without prior=…"
            )
        return self

    def refuse(self, had: Sequence[str], folder: Path) -> None:
        """Refuse to open a run with these.

        Args:
            had: the names of the user's own that it was trained with.
            folder: its folder.

        Raises:
            ValueError: these have other names.
        """
        if [*self.names] == [*had]:
            return
        wanted = ", ".join(f"{name}=…" for name in had)
        words = f"the user's own {' and '.join(had)}" if wanted else "our networks alone"
        these = f", Networks({wanted})" if wanted else ""
        raise ValueError(
            f"{folder} was trained with {words}: open it in Python by Run({str(folder)!r}{these}) "
            f"or aae.load({str(folder)!r}{these})"
        )

    def prior_in_use(self, config: Config) -> str:
        """What the prior is called."""
        of_file = config.prior_file is not None and isinstance(self.prior, KernelDensity)
        return config.prior_name if self.prior is None or of_file else "own"


OURS = Networks()


class Given(nn.Module):
    """A user's module as a part of our network, in place of hidden layers.

    Args:
        module: the module; this one works on a copy.
        low: whether autocast may take its products in the training's type. A module that reads a
            code has float32 products, as a code needs all its digits.
    """

    def __init__(self, module: nn.Module, *, low: bool = False):
        super().__init__()
        self.module, self.low = copy.deepcopy(module), low
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            tensor.data = tensor.data.contiguous()  # as gradients come, and files have them
        self.dtype = torch.float32
        """The type of its products, which a twin sets."""
        self.values = 0
        """Numbers that it and its parts made of one example when it was `given`."""
        self.made: tuple[int, ...] = ()
        """The shape of the result for one example, found then."""

    def forward(
        self, x: Tensor, drop: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """The module's output for x, in float32."""
        low = self.dtype != torch.float32
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            y: Tensor = self.module(x)
        return y.float()

    def mixes_rows(self, width: int) -> bool:
        """Whether what it makes of one row [width] depends on others, as batch normalisation does.

        Tried on a copy, in training, by the gradients of one row's result.
        """
        rows = torch.randn(8, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
        with torch.random.fork_rng(devices=[]):  # it may have dropout
            made = copy.deepcopy(self).cpu().train()(rows)
        (slopes,) = torch.autograd.grad(made[0].sum(), rows, allow_unused=True)
        return slopes is not None and bool(slopes[1:].any())


def given(
    name: str,
    module: nn.Module | None,
    inputs: Sequence[int],
    outputs: Sequence[Sequence[int | None]],
    *,
    low: bool = False,
) -> Given | None:
    """A user's module, tried on two examples; None where there is none.

    Args:
        name: which network it is given as.
        module: the module.
        inputs: the shape of an example.
        outputs: the shapes that the result for an example may have; None is any number.
        low: see `Given`.

    Raises:
        ValueError: it does not take such examples, its result has another shape, or it cannot be
            trained: it has no copy, or puts new tensors in its buffers' places.
    """
    if module is None:
        return None
    took, must = f"the {name} given, for {_rows(inputs)},", " or ".join(map(_rows, outputs))
    try:
        # Where only sizes are asked for, torch would make tensors of nothing else.
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            wrapped, x = Given(module, low=low), torch.zeros(2, *inputs)
            y = _tried(wrapped, x)
            trained = copy.deepcopy(wrapped).train()
            before = dict(trained.named_buffers())
            trained(x)
            copy.deepcopy(trained)
    except Exception as error:  # a user's module raises what it likes
        what = in_one_line(error)
        if "deepcopy" in what:  # hooks keep tensors that have none
            what += "; torch.nn.utils.parametrizations has weight_norm and spectral_norm that can"
        raise ValueError(f"{took} must make {must}; it fails: {what}") from error
    if new := [key for key, buffer in trained.named_buffers() if buffer is not before.get(key)]:
        raise ValueError(
            f"the {name} given makes a new tensor of its buffer {new[0].removeprefix('module.')!r}"
            ": change it in place, as by copy_"
        )
    fits = (
        y.shape[:1] == (2,)
        and len(y.shape) == 1 + len(shape)
        and all(size in (None, made) for size, made in zip(shape, y.shape[1:], strict=True))
        for shape in outputs
    )
    if not any(fits):
        raise ValueError(f"{took} must make {must}; of two it makes {list(y.shape)}")
    wrapped.made = tuple(y.shape[1:])
    return wrapped.train()


def refuse_misfit(prior: Prior, dim: int) -> None:
    """Try a user's prior of codes of ``dim`` dimensions.

    Raises:
        ValueError: it is no `aae.priors.Prior`, or one of its methods does not give what it must,
            or its samples lie far from where codes begin.
    """
    if not isinstance(prior, Prior):
        raise ValueError(
            f"the prior given is a {type(prior).__name__}: make a class of aae.priors.Prior of it"
        )
    if isinstance(prior, KernelDensity):
        prior.refuse_far()
    try:
        drawn = prior.draw(3, None, torch.Generator().manual_seed(0))
        if drawn.shape != (3, dim) or not drawn.isfinite().all():
            must = f"draw 3 samples as a tensor [3, {dim}] of finite numbers"
        elif prior.dim != dim or not prior.limit > 0:
            must = f"have dim={dim}, as the code has, and a limit above 0"
        elif prior.component_log_prob(drawn).shape != (3, prior.components):
            must = f"give each of 3 codes a density for each part, [3, {prior.components}]"
        elif prior.manifold(2).shape[1:] != (4, dim):
            must = f"have a manifold [pictures, 4, {dim}] of side 2"
        else:
            return
    except Exception as error:  # a user's class raises what it likes
        what = in_one_line(error)
        raise ValueError(f"the prior given fails: {type(error).__name__}: {what}") from error
    raise ValueError(f"the prior given must {must}")


@torch.no_grad()
def _tried(wrapped: Given, x: Tensor) -> Tensor:
    """What a module makes of two examples; it notes how many numbers its parts make of one."""

    def note(part: nn.Module, inputs: object, made: object) -> None:
        wrapped.values += made.numel() // 2 if isinstance(made, Tensor) else 0

    hooks = [part.register_forward_hook(note) for part in wrapped.modules()]
    made: Tensor = wrapped.eval()(x)
    for hook in hooks:
        hook.remove()
    return made


def _rows(shape: Sequence[int | None]) -> str:
    """The shape of n examples in words."""
    return f"[{', '.join(['n', *('any' if size is None else str(size) for size in shape)])}]"
