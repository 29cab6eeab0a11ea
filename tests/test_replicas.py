"""Many configs into a folder of run folders, by both engines."""

import itertools
import json
import math
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch

from aae.captions import captioned
from aae.fit import Interrupted, fit, make_trainer, resume
from aae.replicas import training
from aae.replicas.outcome import Stopped
from aae.replicas.processes import in_processes
from aae.replicas.summary import spread, summarise
from aae.replicas.together import in_step
from aae.run import Run
from aae.splits import Splits
from aae.storage import locked
from aae.training import checkpoint
from aae.training.group import Group

HARD = {"noise_std": 0.3, "labels": 100, "classification_every": 3, "warmup": 6, "lr": 1e-3}
EPOCH = 11
"""Batches in an epoch of the digits, less those kept for validation."""


@pytest.fixture
def by_stacking(monkeypatch, no_pictures):
    """Replicas are trained here, as on a GPU."""
    monkeypatch.setattr(training, "in_processes", in_step)


@pytest.fixture
def semi(tiny):
    return tiny(model="semi", step="joint-plain", epochs=3, **HARD)


def records(run):
    """Its records, but for the speed."""
    return [{k: v for k, v in r.items() if k != "images_per_second"} for r in run.records()]


def end(run):
    """All that a run's last checkpoint holds."""
    trainer = make_trainer(run, Splits.of(run.config, run.dataset()))
    assert trainer.progress.epoch == run.config.epochs
    return trainer.model.state_dict(), trainer.state()


def asked_after(steps):
    """Asks to stop after so many questions."""
    count = iter(range(steps))
    return lambda: next(count, None) is None


def test_names_and_seeds(tiny):
    configs = training.seeds(tiny(seed=7), 3)
    assert {name: config.seed for name, config in configs.items()} == {
        "seed-7": 7, "seed-8": 8, "seed-9": 9,
    }  # fmt: skip
    assert all(replace(config, seed=7) == tiny(seed=7) for config in configs.values())
    with pytest.raises(ValueError, match="--seeds must be at least 1, not 0"):
        training.seeds(tiny(), 0)


# --- one batched computation


def test_a_batched_run_is_the_run_alone(semi, tmp_path, by_stacking):
    news, said = [], []
    configs = training.seeds(semi, 3)
    outcome = training.fit(configs, tmp_path / "all", tell=news.append, say=said.append)
    assert outcome.failed == {}
    assert said == ["seed-0, seed-1, seed-2: 3 replicas in one batched computation"]
    for name, config in configs.items():
        alone, run = fit(config, tmp_path / name), outcome.finished[name]
        assert run.config == config
        for mine, other in zip(records(run), records(alone), strict=True):
            assert mine.pop("split") == other.pop("split")
            assert mine == pytest.approx(other, rel=1e-3, abs=1e-5)
        (weights, state), (others, other_state) = end(run), end(alone)
        for key, tensor in others.items():
            assert (weights[key] - tensor).norm() < 0.01 * tensor.norm(), key
        assert torch.equal(state["generator"], other_state["generator"])
        sizes = [
            {path.name: path.stat().st_size for path in (r.checkpoints / "epoch-0003").iterdir()}
            for r in (run, alone)
        ]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
        assert [each.epoch for each in news if each.name == name and each.ends_epoch] == [1, 2, 3]
    assert [each.done for each in news if each.name == "seed-1"][-1] == 1
    assert "error" in news[-1].records["validation"]


def test_stopped_together_and_resumed_is_the_same_to_the_bit(
    semi, tmp_path, by_stacking, same_state, monkeypatch
):
    configs = training.seeds(semi, 3)
    whole = training.fit(configs, tmp_path / "whole").finished

    folder = tmp_path / "stopped"
    for name, config in configs.items():
        Run.create(folder / name, config, Run(tmp_path / "whole" / name).dataset())
    runs, _ = training.opened(folder, training.found(folder))
    with pytest.raises(Interrupted) as stop:
        in_step(folder, runs, None, asked_after(EPOCH + 3), lambda news: None, lambda words: None)
    assert stop.value.place == folder
    places = [sorted(path.name for path in run.checkpoints.iterdir()) for run in runs.values()]
    assert places == [["epoch-0001", "epoch-0001-batch-4"]] * 3

    resumed = training.resume(folder).finished
    for name, run in resumed.items():
        assert same_state(end(run), end(whole[name]))
        assert records(run) == records(whole[name])


def test_checkpoints_of_all_by_the_clock(semi, tmp_path, by_stacking, monkeypatch):
    written, write, now = [], checkpoint.write, itertools.count()
    monkeypatch.setattr("aae.observers.time.monotonic", lambda: 60.0 * next(now))

    def note(folder, *args):
        place = write(folder, *args)
        written.append((folder.parent.name, place.name))
        return place

    monkeypatch.setattr(checkpoint, "write", note)
    training.fit(training.seeds(replace(semi, checkpoint_every="9m"), 2), tmp_path / "all")
    within = [place for _, place in written if "batch" in place]
    assert len(within) > 4
    first, second = ([p for whose, p in written if whose == f"seed-{k}"] for k in range(2))
    assert first == second


def test_seeds_on_one_split_are_one_computation(semi, tmp_path, by_stacking):
    configs = {"a": semi, "b": replace(semi, seed=5, split_seed=semi.seed)}
    said = []
    finished = training.fit(configs, tmp_path / "all", say=said.append).finished
    assert said == ["a, b: 2 replicas in one batched computation"]
    first, second = (run.records()[-1] for run in finished.values())
    alone = fit(configs["b"], tmp_path / "b").records()[-1]
    assert second["reconstruction"] == pytest.approx(alone["reconstruction"], rel=1e-3)
    assert first["reconstruction"] != pytest.approx(alone["reconstruction"], rel=1e-3)


def test_what_is_not_alike_is_trained_by_itself(semi, tmp_path, by_stacking, same_state):
    configs = {
        **training.seeds(semi, 2),
        "slow": replace(semi, lr=1e-4),
        "odd-0": replace(semi, vat_weight=1.0, batch_norm=True),
        "odd-1": replace(semi, vat_weight=1.0, batch_norm=True, seed=1),
    }
    said = []
    finished = training.fit(configs, tmp_path / "all", say=said.append).finished
    assert set(finished) == set(configs)
    assert len(said) == 4
    assert sum("one batched computation" in words for words in said) == 1
    alone = fit(configs["slow"], tmp_path / "slow")
    assert same_state(end(finished["slow"]), end(alone))


@pytest.fixture
def spoilt(by_stacking, monkeypatch):
    """Makes the second of several replicas diverge at its first step."""

    def run(self):
        with torch.no_grad():
            next(self.members[1].model.decoder.parameters()).fill_(torch.nan)
        whole(self)

    whole = Group.run
    monkeypatch.setattr(Group, "run", run)


def test_one_that_diverges_is_named_and_can_be_resumed(semi, tmp_path, spoilt):
    outcome = training.fit(training.seeds(semi, 3), tmp_path / "all")
    assert list(outcome.finished) == ["seed-0", "seed-2"]
    assert "seed 1, step 1: the loss of reconstruction is not finite" in outcome.failed["seed-1"]
    assert outcome.finished["seed-2"].epochs_done == 3
    said = []
    again = training.resume(tmp_path / "all", say=said.append)  # it starts anew
    assert list(again.finished) == ["seed-0", "seed-1", "seed-2"]
    assert said == ["seed-1: by itself: no other is at its step and differs by its seed alone"]


def test_one_that_diverged_is_named_where_the_others_are_stopped(semi, digits, tmp_path, spoilt):
    for name, config in training.seeds(semi, 3).items():
        Run.create(tmp_path / name, config, digits)
    runs, _ = training.opened(tmp_path, training.found(tmp_path))
    with pytest.raises(Stopped, match=r"those that ran are saved in .*; seed-1 failed: ") as stop:
        in_step(tmp_path, runs, digits, asked_after(3), lambda news: None, lambda words: None)
    assert list(stop.value.failed) == ["seed-1"]
    assert "step 1: the loss of reconstruction is not finite" in stop.value.failed["seed-1"]
    saved = [bool(checkpoint.found(run.checkpoints)) for run in runs.values()]
    assert saved == [True, False, True]


def test_replicas_at_different_steps_go_on_each_by_itself(tiny, digits, tmp_path, no_pictures):
    for name, config in training.seeds(tiny(step="joint-plain"), 2).items():
        Run.create(tmp_path / name, config, digits)
    runs, _ = training.opened(tmp_path, training.found(tmp_path))
    with pytest.raises(Interrupted):
        resume(runs["seed-1"].folder, dataset=digits, stop=asked_after(EPOCH + 3))
    said = []
    assert in_step(tmp_path, runs, digits, lambda: False, lambda news: None, said.append) == {}
    assert sum("by itself" in words for words in said) == 2
    assert [run.epochs_done for run in runs.values()] == [2, 2]


def test_a_replica_that_another_training_writes_to_is_named(tiny, digits, tmp_path, by_stacking):
    for name, config in training.seeds(tiny(epochs=1), 2).items():
        Run.create(tmp_path / name, config, digits)
    with locked(tmp_path / "seed-1"):
        outcome = training.resume(tmp_path, dataset=digits)
    assert outcome.failed.keys() >= {"seed-1"}
    assert "is in use: another training writes to it" in outcome.failed["seed-1"]


# --- processes


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def test_processes_stopped_and_resumed_give_the_runs_alone_to_the_bit(
    tiny, tmp_path, two_cores, same_state, no_pictures
):
    config = tiny(epochs=60, sample_every=100, noise_std=0.3)
    configs = training.seeds(config, 3)
    said, names = [], set()

    def interrupt(news):
        names.add(news.name)
        if len(names) == 2:  # both are at work
            signal.raise_signal(signal.SIGINT)
            names.clear()

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        training.fit(configs, tmp_path / "all", tell=interrupt, say=said.append)
    assert signal.getsignal(signal.SIGINT) is handler
    assert multiprocessing.active_children() == []
    assert said == ["3 replicas on the CPU, 2 at a time, each in a process of 1 thread"]
    runs, _ = training.opened(tmp_path / "all", training.found(tmp_path / "all"))
    assert list(runs) == ["seed-0", "seed-1", "seed-2"]
    assert 0 < runs["seed-0"].records()[-1]["epoch"] < 60
    assert runs["seed-0"].checkpoints.is_dir()
    assert not runs["seed-2"].checkpoints.exists()

    outcome = training.resume(tmp_path / "all")
    assert outcome.failed == {}
    for name, run in outcome.finished.items():
        alone = fit(configs[name], tmp_path / name)
        assert same_state(end(run), end(alone))
        assert records(run) == records(alone)


def test_a_worker_that_fails_or_dies_does_not_lose_the_others(tiny, tmp_path, two_cores):
    good = tiny(epochs=1, sample_every=50)
    configs = {
        "good": good,
        "dies": replace(good, epochs=10_000),
        "wrong": replace(good, lr=1e30),
    }

    def kill(news):
        if news.name == "dies":
            for child in multiprocessing.active_children():
                if child.name == "dies":
                    os.kill(child.pid, signal.SIGKILL)

    outcome = training.fit(configs, tmp_path / "all", tell=kill)
    assert list(outcome.finished) == ["good"]
    assert outcome.finished["good"].epochs_done == 1
    assert outcome.failed["dies"] == "its process died (exit code -9)"
    assert "not finite" in outcome.failed["wrong"]


def test_a_worker_that_failed_is_named_where_the_others_are_stopped(
    tiny, digits, tmp_path, two_cores
):
    long = tiny(epochs=10_000, sample_every=10_000)
    for name, config in {"long": long, "wrong": replace(long, lr=1e30)}.items():
        Run.create(tmp_path / name, config, digits)

    def asked():
        return all(child.name != "wrong" for child in multiprocessing.active_children())

    runs, _ = training.opened(tmp_path, training.found(tmp_path))
    with pytest.raises(Stopped) as stop:
        in_processes(tmp_path, runs, digits, asked, lambda news: None, lambda words: None)
    assert list(stop.value.failed) == ["wrong"]
    assert "not finite" in stop.value.failed["wrong"]
    assert checkpoint.found(runs["long"].checkpoints)


class Deadly:
    """What kills a process that reads it, long before its end."""

    def __reduce__(self):
        return os._exit, (7,), bytes(2**20)


def test_a_worker_that_dies_before_it_has_read_its_data_is_told_of(tiny, digits, tmp_path):
    Run.create(tmp_path / "all" / "early", tiny(epochs=1), digits)
    outcome = training.resume(tmp_path / "all", dataset=Deadly())
    assert outcome.failed == {"early": "its process died (exit code 7)"}


# --- folders and figures


def test_nothing_is_made_where_something_does_not_fit(tiny, tmp_path):
    with pytest.raises(ValueError, match="choose at most"):
        training.fit(training.seeds(tiny(labels=10_000), 2), tmp_path / "all")
    good = tiny(model="labels", prior="mixture", components=10)
    with pytest.raises(ValueError, match="the prior only 3 parts"):
        training.fit({"good": good, "wrong": replace(good, components=3)}, tmp_path / "all")
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        training.fit({"a/b": tiny()}, tmp_path / "all")
    assert not (tmp_path / "all").exists()
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "mine").touch()
    with pytest.raises(ValueError, match="all exists already: take another folder"):
        training.fit(training.seeds(tiny(), 2), tmp_path / "all")


def test_one_whose_checkpoints_are_damaged_is_named_and_can_start_over(
    tiny, digits, tmp_path, by_stacking, same_state
):
    folder, config = tmp_path / "stopped", tiny(epochs=1)
    for name, each in training.seeds(config, 2).items():
        Run.create(folder / name, each, digits)
    runs, _ = training.opened(folder, training.found(folder))
    with pytest.raises(Stopped):
        in_step(folder, runs, digits, asked_after(6), lambda news: None, lambda words: None)
    damaged = runs["seed-0"].checkpoints
    for file in damaged.rglob("weights.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])

    outcome = training.resume(folder, dataset=digits)
    assert list(outcome.finished) == ["seed-1"]
    assert outcome.finished["seed-1"].epochs_done == 1
    assert outcome.failed.keys() == {"seed-0"}
    assert f"put back a copy of one, or remove {damaged}, and" in outcome.failed["seed-0"]
    shutil.rmtree(damaged)
    again = training.resume(folder, dataset=digits)
    assert again.failed == {}
    mine, whole = again.finished["seed-0"], fit(config, tmp_path / "whole", dataset=digits)
    assert same_state(end(mine), end(whole))
    assert records(mine) == records(whole)


def test_one_whose_config_is_damaged_is_named_and_the_others_go_on(
    tiny, digits, tmp_path, by_stacking
):
    for name, config in training.seeds(tiny(epochs=1), 2).items():
        Run.create(tmp_path / name, config, digits)
    (tmp_path / "seed-0" / "config.json").write_text("{")
    outcome = training.resume(tmp_path, dataset=digits)
    assert list(outcome.finished) == ["seed-1"]
    assert str(tmp_path / "seed-0") in outcome.failed["seed-0"]


def test_a_damaged_one_is_named_where_the_others_are_stopped(tiny, digits, tmp_path, monkeypatch):
    def stopped(folder, runs, *_):
        assert list(runs) == ["seed-1"]
        raise Stopped(folder, {"seed-1": "out of luck"})

    monkeypatch.setattr(training, "in_processes", stopped)
    for name, config in training.seeds(tiny(), 2).items():
        Run.create(tmp_path / name, config, digits)
    (tmp_path / "seed-0" / "checkpoints" / "epoch-0001").mkdir(parents=True)
    with pytest.raises(Stopped) as stop:
        training.resume(tmp_path)
    assert stop.value.failed.keys() == {"seed-0", "seed-1"}


def test_only_those_that_are_named_go_on(tiny, digits, tmp_path, by_stacking):
    for name, config in training.seeds(tiny(epochs=1), 3).items():
        Run.create(tmp_path / name, config, digits)
    outcome = training.resume(tmp_path, names=["seed-2", "seed-0"], dataset=digits)
    assert {name: run.epochs_done for name, run in outcome.finished.items()} == {
        "seed-0": 1, "seed-2": 1,
    }  # fmt: skip
    assert Run(tmp_path / "seed-1").epochs_done == 0
    with pytest.raises(ValueError, match="no run seed-3, seed-4: name some of seed-0, seed-1, "):
        training.resume(tmp_path, names=["seed-1", "seed-4", "seed-3"])
    assert training.resume(tmp_path, names=[]).finished == {}


def test_runs_are_found_in_their_order(tiny, digits, tmp_path):
    for name in ("seed-10", "seed-9"):
        Run.create(tmp_path / name, tiny(), digits)
    assert training.found(tmp_path) == ["seed-9", "seed-10"]
    assert training.found(tmp_path / "seed-9") == []
    assert training.found(tmp_path / "nowhere") == []


def test_the_summary_of_runs(tiny_run, tmp_path):
    summary = summarise(tmp_path, {"a": tiny_run, "b": tiny_run})
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["split"] == "validation"
    assert summary["runs"].keys() == {"a", "b"}
    error = summary["runs"]["a"]["error"]
    assert summary["figures"]["error"] == {"mean": pytest.approx(error), "std": pytest.approx(0)}
    assert "seed" not in summary["figures"]
    page = (tiny_run.folder / "report.html").read_text()
    assert page.count("<img ") == len(list(captioned(tiny_run))) >= 5


def test_means_and_deviations_by_hand():
    measured = [{"a": 1.0, "b": 1.0}, {"a": 2.0}, {"a": 6.0, "b": 2.0}]
    assert spread(measured) == {"a": {"mean": 3.0, "std": pytest.approx(7**0.5)}}
    counted = [{"classes_drawn": 9, "seed": 0}, {"classes_drawn": 10, "seed": 1}]
    assert spread(counted) == {"classes_drawn": {"mean": 9.5, "std": pytest.approx(0.5**0.5)}}
    assert spread([{"a": 1.5}]) == {"a": {"mean": 1.5, "std": None}}
    assert spread([]) == {}
    lost = spread([{"a": 1.5}, {"a": math.nan}, {"a": math.inf}])
    assert all(math.isnan(lost["a"][name]) for name in ("mean", "std"))
