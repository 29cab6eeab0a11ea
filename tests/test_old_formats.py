"""Run folders of earlier formats, as earlier versions wrote them, load and go on."""

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aae.about import FORMAT
from aae.fit import make_trainer, resume
from aae.run import Run
from aae.splits import Splits
from aae.training import checkpoint

KEPT = Path(__file__).parent / "old_runs"
PLACE = "checkpoints/epoch-0001-batch-7"


@pytest.fixture
def first(tmp_path):
    """A run of format 1, stopped by Ctrl-C after 18 steps of 33."""
    shutil.copytree(KEPT / "format-1", tmp_path / "run")
    return Run(tmp_path / "run")


def test_there_is_a_run_of_each_format():
    assert {path.name for path in KEPT.iterdir()} == {f"format-{n}" for n in range(1, FORMAT)}


def test_its_model_and_records_are_as_they_were(first, same_state):
    expected = load_file(first.folder / PLACE / "weights.safetensors")
    assert same_state(dict(first.model().state_dict()), expected)
    assert [r["step"] for r in first.records()] == [6, 11, 11, 12, 18]
    assert json.loads((first.folder / "config.json").read_text())["format"] == 1


def test_its_training_stands_where_it_stood(first, same_state, digits):
    state = torch.load(first.folder / PLACE / "training.pt", weights_only=True)
    trainer = make_trainer(first, Splits.of(first.config, digits))
    now = trainer.state()
    for name in ("progress", "generator"):
        assert same_state(now[name], state[name])
    for name, optimizer in state["optimizers"].items():
        assert same_state(now["optimizers"][name]["state"], optimizer["state"])
        (group,), own = optimizer["param_groups"], trainer.step.optimizers[name]
        assert (own.betas, own.EPSILON, 0) == (group["betas"], group["eps"], group["weight_decay"])


def test_it_goes_on_and_is_of_today_then(first, no_pictures):
    before = first.records()
    run = resume(first.folder)
    assert run.records()[: len(before)] == before
    assert [r["step"] for r in run.records()][len(before) :] == [22, 22, 24, 30, 33, 33]
    about = json.loads((run.folder / "config.json").read_text())
    assert about["format"] == FORMAT
    (place,) = checkpoint.found(run.checkpoints)
    assert (place / "training.safetensors").exists()
    assert Run(run.folder).epochs_done == 3


def test_a_gpus_run_is_used_and_goes_on_on_a_cpu(first, no_pictures):
    file = first.folder / "config.json"
    file.write_text(file.read_text().replace('"device": "cpu"', '"device": "cuda:7"'))
    run = Run(first.folder)
    assert run.config.device == "cuda:7"
    assert run.model().encode(torch.zeros(1, 1, 8, 8)).z.shape == (1, 2)
    assert resume(first.folder, device="cpu").epochs_done == 3


@pytest.mark.parametrize("name", ["training.pt", "weights.safetensors"])
def test_damage_is_noticed(first, name):
    file = first.folder / PLACE / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{name} changed on disk; no checkpoint is whole"):
        first.model()


# --- from a stranger


class Evil:
    """Writes a file when it is unpickled by a careless reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def torch_saved(thing):
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


def bomb():
    """A few kilobytes that unpack to many."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(torch_saved({"a": torch.zeros(10**6)}))) as plain,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for each in plain.infolist():
            packed.writestr(each.filename, plain.read(each))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        lambda evil: torch_saved({"progress": evil}),
        lambda evil: pickle.dumps(evil, protocol=2),
        lambda evil: torch_saved(3)[:-40],
        lambda evil: bomb(),
        lambda evil: b"",
    ],
)
def test_code_and_bombs_are_refused_and_not_run(first, tmp_path, digits, content):
    content = content(Evil(tmp_path / "taken"))
    assert len(content) < 10_000
    file, manifest = first.folder / PLACE / "training.pt", first.folder / PLACE / "manifest.json"
    file.write_bytes(content)
    about = json.loads(manifest.read_text())
    about["sha256"]["training.pt"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"training\.pt in .* cannot be trusted"):
        make_trainer(first, Splits.of(first.config, digits))
    assert not (tmp_path / "taken").exists()


def test_whatever_torch_raises_is_told_in_one_way(first, digits, monkeypatch):
    def load(*args, **settings):
        raise AssertionError("saved_id must be a tuple, got int")  # a flipped bit once made it so

    monkeypatch.setattr("torch.load", load)
    with pytest.raises(ValueError, match=r"training\.pt in .* cannot be trusted: .*saved_id"):
        make_trainer(first, Splits.of(first.config, digits))
