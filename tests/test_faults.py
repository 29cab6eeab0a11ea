"""Faults, each one injected; `benchmarks/faults` has the long form."""

import errno
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aae.cli import main
from aae.fit import Interrupted, fit, make_trainer, resume
from aae.run import Run
from aae.splits import Splits
from aae.training import checkpoint
from aae.training.trainer import Observer

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "faults"))
import corruption
import full_disk
import kills
import soak

EPOCH = 11
"""Batches in an epoch of the digits, less those kept for validation."""


class At(Observer):
    """Does something after a number of steps."""

    def __init__(self, count, action):
        self.count, self.action = count, action

    def on_step(self, trainer):
        if trainer.progress.count == self.count:
            self.action()


def end(run):
    trainer = make_trainer(run, Splits.of(run.config, run.dataset()))
    return trainer.model.state_dict(), trainer.state()


# --- the short form of each script


def test_kills_at_random_moments(tmp_path, no_pictures):
    figures = kills.kills(tmp_path, count=3, seed=0)
    assert figures["kills"] == 3
    assert figures["lost"] == []


def test_kills_as_checkpoints_are_written(tmp_path, no_pictures):
    figures = kills.kills(tmp_path, count=2, seed=0, writes=True)
    assert figures[kills.WRITE] == sum(figures["writes"].values()) == 2
    assert figures["lost"] == []


def test_corrupted_checkpoints(tmp_path, no_pictures):
    figures = corruption.corruption(tmp_path, count=4, seed=0)
    assert figures["corrupted"] == figures["noticed"] == figures["survived"] == 4


def test_full_disks(tmp_path, no_pictures):
    figures = full_disk.full_disks(tmp_path, count=3, seed=0)
    assert figures["events"] == figures["clear"] == figures["kept"] == figures["went on"] == 3


def test_repeated_training_leaves_nothing_behind(tmp_path, no_pictures):
    figures = soak.soak(tmp_path, seconds=0, least=3)
    assert figures["trainings"] == 3
    assert figures["file descriptors"]["growth"] == 0


# --- one by one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_first(tiny, tmp_path, no_pictures, same_state, number):
    config = tiny(sample_every=9)
    expected = fit(config, tmp_path / "whole")
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [At(4, lambda: signal.raise_signal(number))])
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert [p.name for p in checkpoint.found(tmp_path / "run/checkpoints")] == [
        "epoch-0000-batch-4"
    ]
    assert same_state(end(resume(tmp_path / "run")), end(expected))


def test_whoever_sends_sigterm_twice_waits_for_the_checkpoint(tiny, tmp_path, no_pictures):
    def twice():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        fit(tiny(), tmp_path, [At(4, twice)])


def test_a_second_training_in_one_folder_is_refused(tiny, tmp_path, no_pictures, capsys):
    refused = []

    def second():
        refused.append(main(["train", "--resume", str(tmp_path)]))

    fit(tiny(), tmp_path, [At(4, second)])
    assert refused == [2]
    assert f"aae: {tmp_path} is in use: another training writes to it" in capsys.readouterr().err
    assert Run(tmp_path).epochs_done == 2
    resume(tmp_path)  # whoever was first has left


def test_damage_to_the_newest_costs_one_interval(tiny, tmp_path, no_pictures, same_state, caplog):
    config = tiny(epochs=4, sample_every=1, keep=2)
    expected = fit(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [At(3 * EPOCH + 2, lambda: signal.raise_signal(2))])
    newest = tmp_path / "run/checkpoints/epoch-0003-batch-2"
    os.truncate(newest / "training.safetensors", 999)
    run = resume(tmp_path / "run")
    assert "epoch-0003-batch-2 is damaged: training.safetensors changed" in caplog.text
    assert "going by epoch-0003 instead" in caplog.text
    assert same_state(end(run), end(expected))
    assert [r["step"] for r in run.records()] == [r["step"] for r in expected.records()]


def test_a_disk_that_fills_while_metrics_are_written(tiny, tmp_path, monkeypatch, no_pictures):
    class Full(Observer):
        def on_step(self, trainer):
            if trainer.progress.count == 12:
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fit(tiny(), tmp_path, [Full()])
    assert Run(tmp_path).epochs_done == 1


def test_a_run_that_was_killed_as_it_began_can_be_begun_again(tiny, tmp_path, no_pictures):
    (tmp_path / ".config.123.json").write_text("{")
    (tmp_path / ".lock").touch()
    fit(tiny(epochs=1), tmp_path)
    with pytest.raises(ValueError, match="exists already"):
        fit(tiny(epochs=1), tmp_path)


def test_the_best_epoch_is_kept_and_used(tiny, tmp_path, no_pictures):
    config = tiny(model="semi", labels=50, epochs=5, sample_every=9, keep=1, keep_best="error")
    run = fit(replace(config, lr=3e-3), tmp_path)
    errors = [r["error"] for r in run.records() if r["split"] == "validation"]
    assert run.epochs_in_use == errors.index(min(errors)) + 1
    names = {place.name for place in checkpoint.found(run.checkpoints)}
    assert names == {"epoch-0005", f"epoch-000{run.epochs_in_use}"}
