"""How a training goes, on the terminal: a bar, or a line for each epoch if nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from aae.terminal import say
from aae.training.trainer import Observer, Record, Trainer, figures_in


@contextmanager
def shown(console: Console) -> Iterator[Observer]:
    """An observer that shows a training on a console for as long as the context lasts."""
    if not console.is_interactive:
        yield EpochLines(console)
        return
    with _Display(console) as display:
        yield Bar(display)


class EpochLines(Observer):
    """Prints one plain line at the end of each epoch."""

    def __init__(self, console: Console):
        self.console = console
        self.records: dict[str, Record] = {}

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        self.records[str(record["split"])] = record

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        line = in_a_line(trainer.progress.epoch, trainer.config.epochs, self.records)
        say(self.console, line)


class Bar(Observer):
    """Moves a progress bar with every step; losses and speed change as they are logged."""

    def __init__(self, display: Progress):
        self.display = display
        self.task = display.add_task("", total=None, epoch="starting", speed="", losses="")

    def on_step(self, trainer: Trainer) -> None:
        """See `Observer.on_step`."""
        progress, epochs = trainer.progress, trainer.config.epochs
        steps = len(trainer.batches)
        self.display.update(
            self.task,
            total=epochs * steps,
            completed=progress.epoch * steps + progress.batch,
            epoch=f"epoch {min(progress.epoch + 1, epochs)}/{epochs}",
        )

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        if record["split"] == "train":
            self.display.update(self.task, losses=losses(record), speed=speed(record))


@dataclass(frozen=True)
class News:
    """Where one training of many stands; may be sent from process to process."""

    name: str
    epoch: int
    """Epochs finished."""
    epochs: int
    done: float
    """Share of all steps that have been made."""
    records: dict[str, Record]
    """The newest records, by their splits."""
    ends_epoch: bool


class Herald(Observer):
    """Reports how a training goes to a function that hears of many.

    Args:
        name: of the training.
        tell: the function.
    """

    def __init__(self, name: str, tell: Callable[[News], None]):
        self.name, self.tell = name, tell
        self.records: dict[str, Record] = {}

    def on_log(self, trainer: Trainer, record: Record) -> None:
        """See `Observer.on_log`."""
        self.records[str(record["split"])] = record
        self._tell(trainer)

    def on_epoch(self, trainer: Trainer) -> None:
        """See `Observer.on_epoch`."""
        self._tell(trainer, ends_epoch=True)

    def _tell(self, trainer: Trainer, *, ends_epoch: bool = False) -> None:
        progress, epochs = trainer.progress, trainer.config.epochs
        done = (progress.epoch + progress.batch / len(trainer.batches)) / epochs
        records = dict(self.records)
        self.tell(News(self.name, progress.epoch, epochs, done, records, ends_epoch))


@contextmanager
def many_shown(console: Console) -> Iterator[Callable[[News], None]]:
    """A function to tell of many trainings: it shows them on a console while the context lasts."""
    if not console.is_interactive:

        def line(news: News) -> None:
            if news.ends_epoch:
                words = f"{news.name}: {in_a_line(news.epoch, news.epochs, news.records)}"
                say(console, words)

        yield line
        return
    with _Display(console, TextColumn("{task.description}")) as display:
        tasks: dict[str, TaskID] = {}

        def move(news: News) -> None:
            if news.name not in tasks:
                tasks[news.name] = display.add_task(
                    news.name, total=1.0, epoch="", speed="", losses=""
                )
            train = news.records.get("train", {})
            display.update(
                tasks[news.name],
                completed=news.done,
                epoch=f"epoch {min(news.epoch + 1, news.epochs)}/{news.epochs}",
                speed=speed(train),
            )

        yield move


def in_a_line(epoch: int, epochs: int, records: dict[str, Record]) -> str:
    """An epoch's newest records, by their splits, in words.

    >>> in_a_line(2, 50, {"train": {"kl": 1.5, "images_per_second": 900.0}})
    'epoch 2/50; kl 1.5; 900 images/s'
    """
    train = records.get("train", {})
    parts = [f"epoch {epoch}/{epochs}", losses(train)]
    if "validation" in records:
        parts.append("validation: " + losses(records["validation"]))
    return "; ".join([*parts, speed(train)])


def losses(record: Record) -> str:
    """The losses of a record in words.

    >>> losses({"split": "train", "epoch": 3, "reconstruction": 31.24, "generator_z": 0.6931})
    'reconstruction 31.24, generator z 0.6931'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures_in(record).items()
    )


def speed(record: Record) -> str:
    """The speed of a record in words.

    >>> speed({"images_per_second": 12345.6})
    '12,346 images/s'
    """
    return f"{record.get('images_per_second', 0):,.0f} images/s"


class _Display(Progress):
    """A bar, and the losses below it, where there is room for them."""

    def __init__(self, console: Console, *before: ProgressColumn):
        super().__init__(
            *before,
            TextColumn("{task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if words := task.fields["losses"]:
                yield Text(words, style="dim")
