"""Train a config into a run folder: puts data, model, trainer and observers together."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
import torch

from aae import launch, losses
from aae.autoencoder import Autoencoder
from aae.config import Config
from aae.data import Dataset, Examples, Stored, at_hand
from aae.inference import in_batches, ready
from aae.observers import Keeper, Painter, Recorder
from aae.own_networks import OURS, SAMPLES, Networks
from aae.run import Run
from aae.splits import Part, Splits, data_of
from aae.storage import locked
from aae.training import checkpoint
from aae.training.batches import Batches, Epochs, batches_in
from aae.training.device import choose_device
from aae.training.step import Step
from aae.training.streams import Stream
from aae.training.trainer import Observer, Record, Trainer, make_step
from aae.training.world import ALONE, LostError, World, joined

logger = logging.getLogger(__name__)


class Interrupted(Exception):  # noqa: N818 - no error: it was asked for
    """A training was asked to stop, and saved a checkpoint first."""

    def __init__(self, place: Path):
        super().__init__(f"stopped; saved {place}")
        self.place = place


def fit(
    config: Config,
    folder: Path | str,
    observers: Iterable[Observer] = (),
    *,
    dataset: Dataset | None = None,
    networks: Networks = OURS,
) -> Run:
    """Train a config into a new run folder.

    Processes that a launcher such as torchrun started train it together, each on a part of every
    batch. The first of them keeps the folder; the run that the others return is of no use. If one
    is lost and all are started again, they go on with the run that they began.

    Args:
        config: what to train.
        folder: the run folder; it must not exist yet, or be empty.
        observers: who else is told how it goes.
        dataset: the data set, if it is loaded already.
        networks: the user's own, in place of ours.

    Raises:
        ValueError: the config and the data do not fit each other, or the folder is in use.
        DivergedError: a loss or a gradient is not finite (unless ``on_nonfinite`` is "skip").
        Interrupted: on Ctrl-C or SIGTERM, after a checkpoint.
        LostError: another process is gone; a warning says which checkpoint there is.
    """
    dataset = dataset or data_of(config)
    splits = Splits.to_train(config, dataset)
    config = of_data(config, dataset)
    with ExitStack() as working:
        world = working.enter_context(joined())
        choose_device(config.device)  # refuses one that is not there, with no folder yet
        begun = launch.restarts() > 0 and not world.rank and _began(Path(folder), config)
        if world.same(b"begun" if begun else b"new") == b"begun":
            return resume(folder, observers, dataset=dataset, networks=networks)
        own = _own(Path(folder), world, working)
        run = Run.create(own, config, dataset, networks)
        _train(run, splits, observers, world=world)
    return run


def resume(
    folder: Path | str,
    observers: Iterable[Observer] = (),
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    device: str | None = None,
    stop: Callable[[], bool] | None = None,
    networks: Networks = OURS,
) -> Run:
    """Go on with a run from its newest checkpoint, as if it had never stopped.

    Several processes go on together, as in `fit`, however many there were before.

    Args:
        folder: the run folder; only the first process must have it.
        observers: who else is told how it goes.
        dataset: the run's data set, if it is loaded already.
        data_dir: where the data set lies now, if elsewhere than the config says.
        device: where to go on, if elsewhere than the config says.
        stop: asked after each step whether to save a checkpoint and stop; by default, Ctrl-C or
            SIGTERM asks for that.
        networks: the user's own, as when it began.

    Raises:
        ValueError: it is no run folder, or its data are not there, or not what they were.
        DivergedError: see `fit`.
        Interrupted: it was asked to stop.
        LostError: another process is gone; a warning says which checkpoint there is.
    """
    with ExitStack() as working:
        world = working.enter_context(joined())
        own = _own(Path(folder), world, working)
        _send(own, world)
        run = Run(own, networks)
        if device is not None:
            run.config = replace(run.config, device=device)
        splits = Splits.of(run.config, dataset or run.dataset(data_dir))
        _train(run, splits, observers, stop, world)
    return run


def of_data(config: Config, dataset: Dataset) -> Config:
    """A config with what a data set decides: where it is, and the precision for its kind.

    Where it is holds in any working directory, as the run may be used from another.

    bfloat16 tells about as many values apart as a pixel has. The numbers of rows have more, so
    "auto" is float32 for them.
    """
    if config.precision == "auto" and len(dataset.shape) == 1:
        config = replace(config, precision="float32")
    data_dir = config.data_dir and str(Path(config.data_dir).expanduser().resolve())
    return replace(config, data=dataset.origin, data_dir=data_dir)


def _own(folder: Path, world: World, working: ExitStack) -> Path:
    """The run folder in the first process; a temporary one in the others, which keep nothing."""
    if not world.rank:
        return folder
    return Path(working.enter_context(TemporaryDirectory(prefix="aae-")))


def _send(folder: Path, world: World) -> None:
    """Give every process the config and newest checkpoint of the first one's run folder."""
    if world.size == 1:
        return
    files: dict[str, Path] = {}
    if not world.rank:
        Run(folder)  # refuses what is none, before others are sent anything
        place = checkpoint.newest(folder / "checkpoints")
        there = [*folder.glob(SAMPLES), *(sorted(place.iterdir()) if place else [])]
        there.insert(0, folder / "config.json")
        files = {str(path.relative_to(folder)): path for path in there}
    for name in json.loads(world.same(json.dumps(list(files)).encode())):
        content = world.same(files[name].read_bytes() if name in files else b"")
        if world.rank:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def _began(folder: Path, config: Config) -> bool:
    """Whether a folder holds a training of this config that was started before."""
    return (folder / "config.json").exists() and Run(folder).config == config


def make_trainer(
    run: Run,
    splits: Splits,
    observers: Iterable[Observer] = (),
    step: Callable[[Autoencoder, Config], Step] = make_step,
    world: World = ALONE,
) -> Trainer:
    """A trainer for a run, at its newest checkpoint or at the start."""
    model = run.new_model().to(choose_device(run.config.device))
    config = paced(run.config, len(splits.train.labels))
    trainer = new_trainer(model, config, splits.train, observers, step, world)
    if place := checkpoint.newest(run.checkpoints):
        checkpoint.load(place, trainer)
    return trainer


def paced(config: Config, count: int) -> Config:
    """A config whose warm-up is no more than a tenth of its training on a number of examples."""
    steps = config.epochs * batches_in(count, config.batch_size)
    return replace(config, warmup=min(config.warmup, steps // 10))


def new_trainer(
    model: Autoencoder,
    config: Config,
    train: Part,
    observers: Iterable[Observer] = (),
    step: Callable[[Autoencoder, Config], Step] = make_step,
    world: World = ALONE,
) -> Trainer:
    """A trainer at the start, which shows the model only the labels that it is to see.

    Args:
        model: the model, on its device.
        config: its config.
        train: what to train on; labels that must not be used are -1.
        observers: who is told.
        step: makes the step of a model and a config, in the same world.
        world: who trains together.

    Raises:
        ValueError: there are more processes than pictures in a batch.
    """
    if config.batch_size < world.size:
        raise ValueError(
            f"--batch-size {config.batch_size} is for all of {world.size} processes together: "
            "take more, or start fewer"
        )
    world.prepare(model)
    device = next(model.parameters()).device

    def batches(images: Examples, labels: np.ndarray, seed: int) -> Epochs:
        settings: dict[str, Any] = {
            "batch_size": config.batch_size, "device": device, "seed": seed, "world": world,
        }  # fmt: skip
        if isinstance(images, Stored):
            return Stream(images, labels, **settings)
        return Batches(images, labels, **settings)

    shown = train.labels if model.uses_labels else np.full_like(train.labels, -1)
    labelled = None
    if any(phase.labelled for phase in model.phases()):
        known = np.flatnonzero(train.labels >= 0)
        if len(known):
            if len(known) == 1:  # twice, as a batch of one has no statistics
                known = known.repeat(2)
            labelled = batches(at_hand(train.images[known]), train.labels[known], config.seed + 1)
        else:  # examples that an estimator is given bit by bit: these phases are never due
            config = replace(config, classification_every=sys.maxsize)
    everything = batches(train.images, shown, config.seed)
    return Trainer(model, config, everything, labelled, observers, step=step)


@torch.inference_mode()
def validation_figures(model: Autoencoder, part: Part) -> Record:
    """Losses on held-out pictures, from mean codes and clean input, and the share misclassified."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}

    def note(name: str, value: torch.Tensor, count: int) -> None:
        sums[name] = sums.get(name, 0.0) + float(value) * count
        counts[name] = counts.get(name, 0) + count

    for x, labels in in_batches(model, part):
        codes = model.encode(x)
        x_hat = model.decoder(*model.decoder_inputs(codes, labels))
        note("reconstruction", model.reconstruction_loss(x_hat, x), len(x))
        known = labels >= 0
        if codes.y_logits is not None and known.any() and not model.finds_clusters:
            logits, labels = codes.y_logits[known], labels[known]
            note("classification", losses.classification(logits, labels), len(labels))
            note("error", (logits.argmax(1) != labels).float().mean(), len(labels))
    return {name: total / counts[name] for name, total in sums.items()}


def validates(trainer: Trainer, part: Part) -> Callable[[], Record]:
    """What measures `validation_figures` of a training's model as it is then."""
    return lambda: validation_figures(ready(trainer.model, trainer.config.precision), part)


@contextmanager
def watched(
    run: Run, splits: Splits, trainer: Trainer, observers: Iterable[Observer] = ()
) -> Iterator[Keeper]:
    """Have a run's own observers watch its training for as long as the context lasts.

    The folder must be `locked` first, and the trainer made after that, as another training may have
    gone on in the folder.

    Yields:
        The observer that can save a checkpoint.
    """
    run.renew()
    with Recorder(run, trainer.progress) as recorder:
        keeper = Keeper(run, recorder)
        # Pictures come last of the run's own: if they fail, what was learned is saved.
        trainer.observers = (recorder, keeper, Painter(run, splits, recorder), *observers)
        trainer.left = ", in a new run; this one keeps its checkpoints"
        yield keeper


def _train(
    run: Run,
    splits: Splits,
    observers: Iterable[Observer],
    stop: Callable[[], bool] | None = None,
    world: World = ALONE,
) -> None:
    stopping = asked_to_stop() if stop is None else nullcontext(stop)
    with stopping as asked, locked(run.folder):
        step = partial(make_step, world=world)
        trainer = make_trainer(run, splits, step=step, world=world)
        agreed = world.agreed(asked)
        if world.rank:
            trainer.observers = (_Stopper(lambda trainer: run.folder, agreed),)
            trainer.run()
            return
        with watched(run, splits, trainer, observers) as keeper:
            back = _WayBack(trainer)
            trainer.observers += (back, _Stopper(keeper.save, agreed))
            try:
                trainer.run(validates(trainer, splits.validation))
            except LostError as lost:
                # Said at once: whoever started the processes ends this one any moment.
                logger.warning("%s; %s", lost, back.saved(keeper))
                raise


class _Stopper(Observer):
    """Ends a training between two steps, where its state is whole."""

    def __init__(self, save: Callable[[Trainer], Path], asked: Callable[[], bool]):
        self.save, self.asked = save, asked

    def on_step(self, trainer: Trainer) -> None:
        if self.asked():
            raise Interrupted(self.save(trainer))


class _WayBack(Observer):
    """Knows the state before the current step, which may be lost with another process."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        self.moves, self.drawn = trainer.step.moves, trainer.generator.get_state()

    def saved(self, keeper: Keeper) -> str:
        """Save a checkpoint of that state, unless a part of the step was made already."""
        trainer = self.trainer
        if trainer.step.moves != self.moves:
            return "the last checkpoint is kept, go on with --resume"
        trainer.generator.set_state(self.drawn)
        trainer.step.watch.restore()
        return f"saved {keeper.save(trainer)}, go on with --resume"


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, or SIGTERM came; a second Ctrl-C interrupts at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        # SIGTERM comes from whoever sends SIGKILL next: hearing it twice is no reason to hurry.
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # whoever owns that one handles signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    # None is a handler not set from Python, and could not be put back.
    before = {n: signal.signal(n, ask) for n in numbers if signal.getsignal(n) is not None}
    heeded = False
    try:
        yield lambda: bool(asked)
    except BaseException:
        heeded = True
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked and not heeded:  # it came when there was no step left to stop after
            signal.raise_signal(asked[0])
