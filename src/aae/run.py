"""A run folder: what was trained, how it went, and the weights; and the training that fills it."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

import numpy as np
import torch

import aae
from aae.about import FORMAT, are, none_of_ours, of_today
from aae.autoencoder import Autoencoder
from aae.build import build, choose_network
from aae.config import Config
from aae.data import NOWHERE, Columns, Dataset, NotThereError
from aae.own_networks import OURS, Networks
from aae.splits import Splits, data_of
from aae.storage import locked, parse_json, read_bounded, read_json, refuse_links, write_json
from aae.training import checkpoint
from aae.training.device import choose_device, machine

SURELY_HELD = 10**8
"""Up to this many weights a model is built without first comparing it with its checkpoint."""
MOST_METRICS = 2**30
"""Most bytes of metrics that are read: some four million lines."""


class Run:
    """An existing run folder.

    Args:
        folder: the folder.
        networks: the user's own networks, if it was trained with any.

    Raises:
        ValueError: it is not a run folder, or it is of a later version of this program.
    """

    def __init__(self, folder: Path | str, networks: Networks = OURS):
        self.folder = Path(folder)
        try:
            about = read_json(self.folder / "config.json")
        except FileNotFoundError:
            raise ValueError(
                f"{self.folder} is not a run folder (it has no config.json); "
                "'aae train RECIPE --out RUN' makes one"
            ) from None
        written_to = ("checkpoints", "figures", "figures/history", "projector", "export")
        refuse_links(self.folder, ".lock", *written_to)
        self._about = of_today(about, self.folder)
        self._is_old = self._about != about
        self.config = Config.from_json(self._about["config"])
        self.networks = networks.kept_in(self.folder, self.config)
        self.shape: tuple[int, ...] = tuple(self._about["data"]["shape"])
        self.classes: tuple[str, ...] = tuple(self._about["data"]["classes"])
        self.count: int | None = self._about["data"].get("train")
        """Number of training examples; None if an early version wrote the folder."""
        columns = self._about["data"].get("columns")
        try:
            self.columns = columns and Columns.from_json(columns)
        except (TypeError, KeyError, AttributeError, IndexError, ValueError):
            raise none_of_ours(self.folder, "its columns are none") from None
        if self.columns and self.shape != (self.columns.width,):
            raise none_of_ours(self.folder, "its columns do not fit its shape")
        self._given: list[str] = self._about.get("networks", [])
        # Before this was written, there was only one kind of network.
        self.network: Literal["mlp", "conv"] = self._about.get("network", "mlp")

    @classmethod
    def create(
        cls, folder: Path | str, config: Config, dataset: Dataset, networks: Networks = OURS
    ) -> Run:
        """Make a new run folder.

        Raises:
            ValueError: the folder holds something already; or see `refuse_unfit`.
        """
        data = {
            "shape": dataset.shape,
            "classes": dataset.classes,
            "train": len(dataset.train_labels),
            "left_out": len(dataset.left_out),
            "columns": dataset.columns and dataset.columns.to_json(),
        }
        networks = networks.of(config)
        refuse_unfit(config, dataset, networks)
        return cls.write(folder, config, data, networks)

    @classmethod
    def write(
        cls, folder: Path | str, config: Config, data: dict[str, Any], networks: Networks = OURS
    ) -> Run:
        """Make a new run folder from what it is to say about its data; see `create`."""
        folder = Path(folder)
        refuse_used(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):  # another process may have found it free at the same time
            refuse_used(folder)
            cls._write(folder, config, data, networks)
        return cls(folder, networks)

    @staticmethod
    def _write(folder: Path, config: Config, data: dict[str, Any], networks: Networks) -> None:
        about = {
            "format": FORMAT,
            "config": config.to_json(),
            # Kept, as another version may choose otherwise.
            "network": choose_network(config.network, data["shape"]),
            "networks": networks.names,
            "data": data,
            "versions": versions(),
        }
        networks.keep(folder)
        write_json(folder / "config.json", about)

    def renew(self) -> None:
        """Mark the folder as of today's format, before anything in that format goes into it."""
        if not self._is_old:
            return
        write_json(self.folder / "config.json", self._about)

    @property
    def versions(self) -> dict[str, str]:
        """What it was made with; see `versions`."""
        return {str(name): str(value) for name, value in self._about.get("versions", {}).items()}

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.folder / "checkpoints"

    @property
    def figures(self) -> Path:
        """Where its pictures lie."""
        return self.folder / "figures"

    @property
    def metrics(self) -> Path:
        """The file of its metrics, one record a line."""
        return self.folder / "metrics.jsonl"

    def dataset(self, data_dir: str | None = None) -> Dataset:
        """The data set it was trained on, from ``data_dir`` or where the config says.

        Raises:
            ValueError: it is not there, or not what it was, or was never in a file.
        """
        if self.config.data in NOWHERE:
            raise ValueError(
                f"{self.folder} was trained on data given in Python, which it does not hold: give "
                "them again (dataset=…), or use it by aae.load"
            )
        try:
            dataset = data_of(self.config, data_dir)
        except NotThereError:
            raise ValueError(
                f"the data that {self.folder} was trained on are no longer there: put back "
                f"{self.config.data}, or name the folder where they lie now, under the same name, "
                "by --data-dir (data_dir=…)"
            ) from None
        count = len(dataset.train_labels)
        if count != (self.count or count):
            raise ValueError(
                f"{self.config.data} has {count} training pictures and had {self.count} when "
                f"{self.folder} was made: training and held-out pictures would mix; bring back "
                "what it was"
            )
        if dataset.columns != self.columns:
            raise ValueError(
                f"the columns of {self.config.data} are not what they were when {self.folder} was "
                "made; bring back what it was"
            )
        for what in ("shape", "classes"):
            now, then = getattr(dataset, what), getattr(self, what)
            if now != then:
                pairs = zip(now, then, strict=False)
                same = next(
                    (k for k, (a, b) in enumerate(pairs) if a != b), min(len(now), len(then))
                )
                raise ValueError(
                    f"the {what} of {self.config.data} when {self.folder} was made: "
                    f"{_short(then, same)}; now: {_short(now, same)}; bring back what it was"
                )
        return dataset

    def splits(self, data_dir: str | None = None) -> Splits:
        """The data set it was trained on, as it sees it; see `dataset`."""
        return Splits.of(self.config, self.dataset(data_dir))

    @property
    def device(self) -> torch.device:
        """Where its model is best used: on its config's device, else on what this machine has."""
        try:
            return choose_device(self.config.device)
        except ValueError:
            return choose_device("auto")

    def new_model(self) -> Autoencoder:
        """Its model before training, on the CPU.

        Raises:
            ValueError: see `refuse_other_networks`.
        """
        self.refuse_other_networks()
        generator = torch.Generator().manual_seed(self.config.seed)
        config = replace(self.config, network=self.network)
        self._refuse_promises(config)
        return self._build(config, generator)

    def refuse_other_networks(self) -> None:
        """Refuse to open it with other networks than it was trained with; see `Networks.refuse`."""
        self.networks.refuse(self._given, self.folder)

    def _build(self, config: Config, generator: torch.Generator) -> Autoencoder:
        n_classes = len(self.classes)
        return build(config, self.shape, n_classes, generator, self.networks, self.columns)

    def _refuse_promises(self, config: Config) -> None:
        """Refuse a model that is larger than the weights in the folder, before it is made.

        Raises:
            ValueError: the config in the folder promises more than the folder holds.
        """
        places = checkpoint.found(self.checkpoints)
        side = config.hidden + 8 * config.width
        codes = config.latent_dim + config.components + config.clusters_found + len(self.classes)
        guess = side * (math.prod(self.shape) + side * config.layers + codes)
        if not places or guess < SURELY_HELD:  # counting takes seconds: torch imports for it
            return
        try:
            with torch.device("meta"):
                model = self._build(config, torch.Generator())
        except (TypeError, RuntimeError, OverflowError):
            raise none_of_ours(self.folder, "no model has such sizes") from None
        needed = sum(each.numel() * each.element_size() for each in model.state_dict().values())
        if needed > (held := max(map(checkpoint.bytes_of_weights, places))):
            raise ValueError(
                f"the config in {self.folder} is of a model of {needed:,} bytes, and its largest "
                f"checkpoint has {held:,}: it is not that model's"
            )

    @property
    def epochs_done(self) -> int:
        """Epochs finished by its newest intact checkpoint."""
        place = checkpoint.newest(self.checkpoints)
        return checkpoint.epoch_of(place) if place else 0

    @property
    def in_use(self) -> Path | None:
        """The checkpoint whose weights are used: the best by ``keep_best``, else the newest."""
        if figure := self.config.keep_best:
            return checkpoint.best(self.checkpoints, figure)
        return checkpoint.newest(self.checkpoints)

    @property
    def epochs_in_use(self) -> int:
        """Epochs finished by the checkpoint `in_use`."""
        place = self.in_use
        return checkpoint.epoch_of(place) if place else 0

    def model(self, device: torch.device | None = None) -> Autoencoder:
        """Its model with the weights `in_use`, ready for use.

        Raises:
            ValueError: there is no checkpoint, or all are damaged.
        """
        place = self.in_use
        if place is None:
            raise ValueError(f"{self.folder} holds no checkpoint yet")
        model = self.new_model()
        checkpoint.load_weights(place, model)
        return model.to(device or torch.device("cpu")).eval()

    def records(self) -> list[dict[str, Any]]:
        """The records in its file of metrics."""
        if not self.metrics.exists():
            return []
        # What follows the last newline was being written when the process died.
        lines = read_bounded(self.metrics, MOST_METRICS).split(b"\n")[:-1]
        records = []
        for number, line in enumerate(lines, 1):
            record = parse_json(line, f"{self.metrics}, line {number}")
            known = isinstance(record, dict) and are(int, [record.get("step")])
            if not known or not are(str, [record.get("split")]):
                raise ValueError(f"{self.metrics}, line {number}, is no record of a training")
            records.append(record)
        return records


def refuse_unfit(config: Config, dataset: Dataset, networks: Networks = OURS) -> None:
    """Refuse a config of which no model for these data can be made, before there is a folder.

    Raises:
        ValueError: see `aae.build.build`.
    """
    # Not on torch's meta device, which takes half a second to import.
    build(config, dataset.shape, len(dataset.classes), None, networks, dataset.columns)


def refuse_used(folder: Path) -> None:
    """Refuse to train into a folder that holds something already.

    Raises:
        ValueError: it does.
    """
    left = (".lock", ".config.", ".prior.")  # of a process that died as it began
    if folder.exists() and (
        not folder.is_dir() or any(not path.name.startswith(left) for path in folder.iterdir())
    ):
        words = f"{folder} exists already: take another folder"
        if _can_go_on(folder):
            words += f", or go on with what is there: aae train --resume {folder}"
        raise ValueError(words)


def _can_go_on(folder: Path) -> bool:
    """Whether a folder holds a run, or runs, that are trained on data which can be read again."""
    try:
        return Run(folder).config.data not in NOWHERE
    except (ValueError, OSError):
        return any(folder.glob("*/config.json"))


def _short(values: tuple[object, ...], same: int) -> str:
    """Values in words, from the first ones of which many are the same elsewhere."""
    first = max(0, same - 2)
    shown = shorten(", ".join(map(str, values[first:])), 100, placeholder=" …")
    return f"{len(values)}, … {shown}" if first else shown or "none"


def versions() -> dict[str, str]:
    """The versions that a run's numbers depend on."""
    return {
        "aae": aae.__version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": machine(),
    }
