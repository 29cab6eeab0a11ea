"""What the scripts share: a small training, its final state, and where figures go."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from aae.config import Config
from aae.fit import fit, make_trainer, resume
from aae.run import Run, versions
from aae.splits import Splits
from aae.storage import read_json, written
from aae.training.trainer import Observer

RESULTS = Path(__file__).parents[1] / "results" / "faults"
SMALL = Config(
    recipe="semi", model="semi", data="digits", labels=100, hidden=32, epochs=6, batch_size=128,
    noise_std=0.3, dropout=0.2, batch_norm=True, warmup=6, lr_steps=(0.7,), log_every=3,
    sample_every=6, checkpoint_every=1, keep=2, device="cpu", precision="float32",
)  # fmt: skip
"""A training with all that keeps state: batch statistics, noise, a schedule, labelled pictures."""


def without_pictures() -> AbstractContextManager[object]:
    """Have trainings draw nothing: it would take most of their time, and is not tested here."""
    return mock.patch("aae.fit.Painter", return_value=Observer())


def begin_or_resume(folder: Path, config: Config = SMALL) -> Run:
    """Train in a folder, from its newest checkpoint if there is one."""
    if (folder / "config.json").exists():
        return resume(folder)
    return fit(config, folder)


def end(run: Run) -> dict[str, Any]:
    """The final state of a run: weights, training state, metrics (except the speed), events."""
    trainer = make_trainer(run, Splits.of(run.config, run.dataset()))
    records = [
        {name: value for name, value in record.items() if name != "images_per_second"}
        for record in run.records()
    ]
    return {
        "weights": trainer.model.state_dict(), "state": trainer.state(), "records": records,
        "events": sorted(_points(run.folder)),
    }  # fmt: skip


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def write(name: str, figures: dict[str, Any]) -> None:
    """Save and print a script's figures, with the versions that they depend on."""
    text = json.dumps({**figures, "versions": versions()}, indent=1)
    with written(RESULTS / f"{name}.json") as path:
        path.write_text(text + "\n")
    print(text)


def kept(name: str) -> dict[str, Any]:
    """The figures that a script saved before, if any."""
    place = RESULTS / f"{name}.json"
    return dict(read_json(place)) if place.exists() else {}


def asked(default: int) -> int:
    """The count given on the command line, or the default."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default


def _points(folder: Path) -> list[tuple[str, int]]:
    """Tag and step of everything in TensorBoard's files, including duplicates."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    return [
        (value.tag, event.step)
        for file in folder.glob("events*")
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
    ]
