"""Trainings that go on: started again, with data that moved, on another device."""

import copy
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aae.cli.training import _folder
from aae.fit import Interrupted, _WayBack, asked_to_stop, fit, resume
from aae.regroup import regroup
from aae.replicas import training
from aae.replicas.processes import _work
from aae.replicas.together import _alone
from aae.run import Run
from aae.training.trainer import Observer


@pytest.fixture
def restarted(monkeypatch):
    """Makes this a process that was started again as another was lost, or no longer that."""

    def make(count=1):
        monkeypatch.setattr("aae.launch.restarts", lambda: count)

    return make


@pytest.fixture
def mine(part, tmp_path):
    """A file of pictures."""
    np.save(tmp_path / "mine.npy", part.images)
    return tmp_path / "mine.npy"


def moved(place):
    """The folder to which a file has been moved."""
    (place.parent / "there").mkdir()
    place.rename(place.parent / "there" / place.name)
    return place.parent / "there"


def test_a_folder_of_data_is_found_from_anywhere(tiny, digits, tmp_path, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)
    run = fit(tiny(epochs=1, data_dir="there"), "run", dataset=digits)
    assert run.config.data_dir == Run(tmp_path / "run").config.data_dir == str(tmp_path / "there")


class Finger(Observer):
    """Presses Ctrl-C after the first step."""

    def on_step(self, trainer):
        if trainer.progress.count == 1:
            signal.raise_signal(signal.SIGINT)


# --- after a restart


def test_what_is_started_again_has_the_folder_that_it_had(tmp_path, restarted):
    restarted()
    assert _folder(tmp_path, "gaussian") == tmp_path / "gaussian-1"  # it was lost too early
    for k in (1, 2):
        restarted(0)
        assert _folder(tmp_path, "gaussian") == tmp_path / f"gaussian-{k}"
        (tmp_path / f"gaussian-{k}").mkdir()
        restarted()
        assert _folder(tmp_path, "gaussian") == tmp_path / f"gaussian-{k}"


def test_only_what_is_started_again_goes_on_and_only_with_its_own(
    tiny, tmp_path, restarted, no_pictures
):
    config, words = tiny(epochs=1), "exists already: take another folder"
    with pytest.raises(Interrupted):
        fit(config, tmp_path, [Finger()])
    with pytest.raises(ValueError, match=words):
        fit(config, tmp_path)
    restarted()
    with pytest.raises(ValueError, match=words):
        fit(replace(config, seed=1), tmp_path)
    assert Run(tmp_path).epochs_done == 0
    assert fit(config, tmp_path).epochs_done == 1


def test_a_signal_that_stopped_no_training_is_heard_after_it(tmp_path):
    def stopped():
        with asked_to_stop():
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted(tmp_path)

    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("later"))
    try:
        with asked_to_stop() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert (asked(), heard) == (True, [])
        assert heard == ["later"]
        with pytest.raises(Interrupted):
            stopped()
        assert heard == ["later"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    asked = {signal.SIGINT: signal.getsignal(signal.SIGINT)}  # and of SIGTERM Python knows nothing
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", asked.get)
        with asked_to_stop():
            patch.undo()
            assert signal.getsignal(signal.SIGTERM) == before
            assert signal.getsignal(signal.SIGINT) != asked[signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) == asked[signal.SIGINT]


def test_of_a_step_that_was_lost_nothing_is_saved(tiny, new_trainer, batch, same_state):
    trainer = new_trainer(tiny(batch_norm=True))
    trainer.model.train()

    def state():
        return copy.deepcopy((trainer.model.state_dict(), trainer.generator.get_state()))

    back, before = _WayBack(trainer), state()
    trainer.model.encode(batch.x, trainer.generator)
    assert not any(same_state(now, then) for now, then in zip(state(), before, strict=True))
    saved = []
    keeper = SimpleNamespace(save=lambda trainer: saved.append(state()) or "it")
    assert back.saved(keeper) == "saved it, go on with --resume"
    assert same_state(saved, [before])
    trainer.step.moves += 1
    assert back.saved(keeper) == "the last checkpoint is kept, go on with --resume"
    assert len(saved) == 1


# --- with data that moved, or elsewhere


def test_a_run_goes_on_with_data_that_moved(tiny, mine, tmp_path, no_pictures):
    with pytest.raises(Interrupted):
        fit(tiny(data=str(mine), epochs=2), tmp_path / "run", [Finger()])
    there = moved(mine)
    assert resume(tmp_path / "run", data_dir=str(there)).epochs_done == 2


def test_the_command_goes_on_and_measures_with_data_that_moved(
    run, tiny, mine, tmp_path, no_pictures
):
    with pytest.raises(Interrupted):
        fit(tiny(data=str(mine), epochs=2), tmp_path / "run", [Finger()])
    code, _, err = run("train", "--resume", tmp_path / "run", "--data-dir", moved(mine))
    assert code == 0, err
    assert (tmp_path / "run" / "report.html").exists()


def test_the_command_says_where_a_run_is_to_go_on(run, tmp_path, monkeypatch):
    told = {}

    def refuse(folder, observers, **how):
        told.update(how, folder=folder)
        raise ValueError("enough")

    monkeypatch.setattr("aae.fit.resume", refuse)
    args = "--data-dir", "there", "--device", "cuda:1"
    assert run("train", "--resume", tmp_path, *args) == (2, "", "aae: enough\n")
    assert told == {"folder": tmp_path, "data_dir": "there", "device": "cuda:1"}


def test_replicas_are_measured_on_data_that_moved(run, tiny, mine, tmp_path, no_pictures):
    fit(tiny(data=str(mine), epochs=1), tmp_path / "all" / "seed-0")
    args = "--data-dir", moved(mine)
    assert run("train", "--resume", tmp_path / "all", *args, "--json")[0] == 0
    assert (tmp_path / "all" / "summary.json").exists()


def test_replicas_know_where_their_data_are(tiny, mine, tmp_path, monkeypatch):
    monkeypatch.chdir(mine.parent)
    monkeypatch.setattr(training, "resume", lambda folder, **_: None)
    training.fit({"one": tiny(data=mine.name)}, tmp_path / "all")
    assert Run(tmp_path / "all" / "one").config.data == str(mine)


def test_each_engine_goes_on_where_it_is_told(tiny, tmp_path, monkeypatch):
    told = []

    def note(folder, observers, *, data_dir, device, **_):
        told.append((folder, data_dir, device))

    monkeypatch.setattr("aae.fit.resume", note)
    config = tiny(data_dir="there", device="cuda:1")
    pipe = SimpleNamespace(recv=lambda: None, send=lambda news: None)
    _work("one", tmp_path / "one", config, 1, pipe, threading.Event())
    _alone(tmp_path, {"one": SimpleNamespace(config=config)}, None, bool, print, {})
    assert told == [(tmp_path / "one", "there", "cuda:1")] * 2


def test_clusters_are_merged_where_data_moved(run, tiny, mine, tmp_path, monkeypatch, no_pictures):
    monkeypatch.setattr("aae.regroup.Painter", lambda *_: SimpleNamespace(draw=lambda trainer: 0))
    nine = fit(tiny(model="cluster", clusters=9, data=str(mine), epochs=1), tmp_path / "nine")
    there, fewer = moved(mine), tmp_path / "fewer"
    assert regroup(nine, 4, fewer, data_dir=str(there)).config.clusters == 4
    again = "merge", nine.folder, "--clusters", 3, "--out", tmp_path / "three"
    code, _, err = run(*again, "--data-dir", there)
    assert code == 0, err
    assert (tmp_path / "three" / "report.html").exists()
