"""``aae train --seeds``."""

import json
import signal

import numpy as np
import pytest
import torch

import aae.splits
from aae import fit
from aae.observers import Keeper
from aae.replicas import training
from aae.replicas.outcome import Outcome, Stopped
from aae.replicas.together import in_step
from aae.run import Run
from aae.training import checkpoint
from aae.training.group import Group

SMALL = ["--data", "digits", "--hidden", "16", "--epochs", "2", "--device", "cpu"]


def test_one_that_cannot_be_measured_does_not_cost_the_summary(
    run, tiny, part, tmp_path, no_pictures
):
    for name in ("gone", "here"):
        np.save(tmp_path / f"{name}.npy", part.images)
        fit.fit(tiny(data=str(tmp_path / f"{name}.npy"), epochs=1), tmp_path / "all" / name)
    (tmp_path / "gone.npy").unlink()
    code, out, err = run("train", "--resume", tmp_path / "all")
    summary = json.loads((tmp_path / "all" / "summary.json").read_text())
    assert (code, [*summary["runs"]], [*summary["failed"]]) == (1, ["here"], ["gone"])
    assert "1 runs" in out
    assert err.startswith("aae: gone: not measured: ")
    (tmp_path / "here.npy").unlink()
    code, _, err = run("train", "--resume", tmp_path / "all")
    assert (code, err.count("not measured")) == (1, 2)


@pytest.fixture(autouse=True)
def here(monkeypatch, no_pictures):
    """Trains in this process, as on a GPU."""
    monkeypatch.setattr("aae.replicas.training.in_processes", in_step)


def test_leaves_a_run_for_each_seed_and_their_summary(run, tmp_path):
    folder = tmp_path / "all"
    code, out, err = run("train", "semi", *SMALL, "--labels", 50, "--vat-weight", 0,
                         "--seed", 4, "--seeds", 2, "--out", folder)  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "seed-4, seed-5: 2 replicas in one batched computation"
    assert [line.partition(";")[0] for line in lines[1:5]] == [
        "seed-4: epoch 1/2", "seed-5: epoch 1/2", "seed-4: epoch 2/2", "seed-5: epoch 2/2",
    ]  # fmt: skip
    assert "semi on digits, validation set, 2 runs" in out
    assert "Health: " in out
    summary = json.loads((folder / "summary.json").read_text())
    for seed in (4, 5):
        assert Run(folder / f"seed-{seed}").config.seed == seed
        assert (folder / f"seed-{seed}" / "report.html").is_file()
        assert summary["runs"][f"seed-{seed}"]["seed"] == seed
    both = [each["error"] for each in summary["runs"].values()]
    assert summary["figures"]["error"]["mean"] == pytest.approx(sum(both) / 2)

    [row] = [line.split() for line in out.splitlines() if line.startswith("  error ")]
    shown = [f"{value:.4g}" for value in (sum(both) / 2, min(both), max(both))]
    assert [row[1], *row[3:]] == shown
    code, out, _ = run("evaluate", folder / "seed-5", "--split", "validation", "--json")
    assert code == 0
    assert json.loads(out)["error"] == both[1]


def test_json_is_one_object(run, tmp_path):
    folder = tmp_path / "all"
    code, out, err = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", folder, "--json")
    assert code == 0
    assert err.startswith("seed-0, seed-1: 2 replicas")
    told = json.loads(out)
    assert (told["folder"], told["failed"]) == (str(folder), {})
    assert 0 < told["seconds"] < 600
    assert told["summary"] == json.loads((folder / "summary.json").read_text())
    code, out, err = run("train", "--resume", folder, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["summary"] == told["summary"]


def test_ctrl_c_keeps_all_and_resume_goes_on(run, tmp_path, monkeypatch):
    folder = tmp_path / "all"
    log = Group._log

    def log_and_press(group, speed):
        log(group, speed)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Group, "_log", log_and_press)
        code, out, err = run("train", "gaussian", *SMALL, "--log-every", 3, "--seeds", 2,
                             "--out", folder)  # fmt: skip
    assert (code, err) == (130, "")
    assert f"go on with: aae train --resume {folder}" in out
    for seed in (0, 1):
        places = checkpoint.found(folder / f"seed-{seed}" / "checkpoints")
        assert [place.name for place in places] == ["epoch-0000-batch-3"]
    code, out, _ = run("train", "--resume", folder)
    assert code == 0
    assert "gaussian on digits, validation set, 2 runs" in out
    assert (folder / "summary.json").is_file()
    assert Run(folder / "seed-1").epochs_done == 2


def test_one_that_fails_is_named(run, tmp_path, monkeypatch):
    def fails_for_one(folder, runs, *rest):
        name, other = runs
        fit.resume(folder / other)
        return {name: "out of luck"}

    monkeypatch.setattr("aae.replicas.training.in_processes", fails_for_one)
    folder = tmp_path / "all"
    code, out, err = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", folder)
    assert (code, err) == (1, "aae: seed-0: out of luck\n")
    assert "validation set, 1 runs" in out


def test_one_that_failed_is_named_after_ctrl_c(run, tmp_path, monkeypatch):
    def stopped(folder, *_):
        raise Stopped(folder, {"seed-0": "out of luck"})

    monkeypatch.setattr(training, "in_processes", stopped)
    folder = tmp_path / "all"
    code, out, err = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", folder)
    assert (code, err) == (130, "aae: seed-0: out of luck\n")
    assert f"those that ran are saved, go on with: aae train --resume {folder}" in out


def test_one_that_was_lost_is_not_late(run, tmp_path, monkeypatch):
    def spoil(group):
        with torch.no_grad():
            next(group.members[1].model.decoder.parameters()).fill_(torch.nan)
        train(group)

    train = Group.run
    monkeypatch.setattr(Group, "run", spoil)
    monkeypatch.setattr(Keeper, "is_late", lambda keeper: keeper.run.config.seed == 1)
    folder = tmp_path / "all"
    code, _, err = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", folder)
    assert (code, err.startswith("aae: seed-1: seed 1, step 1: ")) == (1, True)
    places = checkpoint.found(folder / "seed-0" / "checkpoints")
    assert [place.name for place in places] == ["epoch-0002"]


def test_data_are_loaded_once(run, tmp_path, monkeypatch):
    loaded = []

    def note(name, *args, **settings):
        loaded.append(name)
        return load(name, *args, **settings)

    load = aae.splits.load
    monkeypatch.setattr(aae.splits, "load", note)
    code, *_ = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", tmp_path / "all")
    assert (code, loaded) == (0, ["digits"])


def test_pictures_in_files_are_not_sent_to_processes(run, tmp_path, monkeypatch):
    def not_tried(configs, folder, *, dataset, **_):
        return Outcome({}, {"seed-0": f"not tried with {dataset}"})

    monkeypatch.setattr(training, "fit", not_tried)
    monkeypatch.setattr("aae.data.stored.RESIDENT", 0)
    pictures = tmp_path / "mine.npy"
    np.save(pictures, np.random.default_rng(0).integers(0, 255, (50, 1, 8, 8), dtype=np.uint8))
    *_, err = run("train", "gaussian", *SMALL, "--data", pictures, "--seeds", 2)
    assert err == "aae: seed-0: not tried with None\n"


def test_a_folder_in_use_is_refused(run, tmp_path):
    (tmp_path / "mine").touch()
    code, _, err = run("train", "gaussian", *SMALL, "--seeds", 2, "--out", tmp_path)
    assert code == 2
    assert "exists already" in err


def test_they_go_on_wherever_they_are_asked_to(run, tiny, digits, tmp_path, monkeypatch):
    seen = []

    def engine(folder, runs, *_):
        seen.extend((each.config.data_dir, each.config.device) for each in runs.values())
        return dict.fromkeys(runs, "the data are gone")

    for name in ("in_processes", "in_step"):
        monkeypatch.setattr(f"aae.replicas.training.{name}", engine)
    Run.create(tmp_path / "all" / "seed-0", tiny(data_dir="there", device="auto"), digits)
    resume = "train", "--resume", tmp_path / "all"
    assert run(*resume)[0] == 1
    assert run(*resume, "--data-dir", "here", "--device", "cpu")[0] == 1
    assert seen == [("there", "auto"), ("here", "cpu")]
