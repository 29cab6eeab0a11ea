"""Checkpoints: whole or refused, few, and safe to open."""

import hashlib
import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from aae.training import checkpoint


@pytest.fixture
def trainer(new_trainer, tiny):
    """A trained semi-supervised model with batch statistics."""
    trainer = new_trainer(tiny(model="semi", batch_norm=True, epochs=1, noise_std=0.3))
    trainer.run()
    return trainer


@pytest.fixture
def place(trainer, tmp_path):
    return checkpoint.save(tmp_path / "checkpoints", trainer, keep=2)


@pytest.fixture
def fresh(new_trainer, trainer):
    """Another trainer of the same kind, from another seed."""
    return new_trainer(replace(trainer.config, seed=1))


def at(trainer, epoch, batch=0):
    trainer.progress.epoch, trainer.progress.batch = epoch, batch
    return trainer


def test_save_and_load(trainer, place, fresh, same_state):
    assert place.name == "epoch-0001"
    assert not same_state(fresh.model, trainer.model)
    checkpoint.load(place, fresh)
    assert same_state(fresh.model, trainer.model)
    assert same_state(fresh.state(), trainer.state())
    assert fresh.progress == trainer.progress


def test_weights_alone(trainer, place, fresh, same_state):
    before = fresh.state()
    checkpoint.load_weights(place, fresh.model)
    assert same_state(fresh.model, trainer.model)
    assert same_state(fresh.state(), before)


def test_what_a_checkpoint_holds(trainer, place):
    names = {path.name for path in place.iterdir()}
    assert names == {"weights.safetensors", "training.pt", "manifest.json"}
    with safe_open(place / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == trainer.model.state_dict().keys()
    manifest = json.loads((place / "manifest.json").read_text())
    assert (manifest["epoch"], manifest["batch"], manifest["step"]) == (1, 0, 4)
    for name in names - {"manifest.json"}:
        assert manifest["sha256"][name] == hashlib.sha256((place / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["weights.safetensors", "training.pt"])
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_a_damaged_file_is_named(place, fresh, same_state, name, how):
    content = bytearray((place / name).read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
    else:
        del content[-1]
    (place / name).write_bytes(content)
    before = fresh.model.state_dict(), fresh.state()
    with pytest.raises(ValueError, match=f"epoch-0001 is damaged: {name} changed on disk"):
        checkpoint.load(place, fresh)
    assert same_state((fresh.model.state_dict(), fresh.state()), before)


@pytest.mark.parametrize("name", ["weights.safetensors", "training.pt", "manifest.json"])
def test_a_missing_file_is_named(place, fresh, name):
    (place / name).unlink()
    with pytest.raises(ValueError, match=rf"epoch-0001 cannot be read: .*{name}"):
        checkpoint.load(place, fresh)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 3}'])
def test_a_damaged_manifest_is_refused(place, fresh, text):
    (place / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="epoch-0001 cannot be read"):
        checkpoint.load(place, fresh)


def test_a_manifest_that_lists_nothing_is_refused(place, fresh):
    (place / "manifest.json").write_text('{"sha256": {}}')
    with pytest.raises(ValueError, match="epoch-0001 cannot be read"):
        checkpoint.load(place, fresh)


@pytest.mark.parametrize("changes", [{"hidden": 31}, {"model": "basic"}, {"batch_norm": False}])
def test_another_models_weights_are_refused(place, trainer, new_model, changes):
    other = new_model(replace(trainer.config, **changes))
    with pytest.raises(ValueError, match="epoch-0001 are not those of this model"):
        checkpoint.load_weights(place, other)


class Evil:
    """Writes a file when it is unpickled by a careless reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_refused_and_not_run(place, fresh, tmp_path, zipped):
    evil, file = Evil(tmp_path / "taken"), place / "training.pt"
    if zipped:
        torch.save({"progress": evil}, file)
    else:
        file.write_bytes(pickle.dumps(evil, protocol=2))
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["sha256"]["training.pt"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"training\.pt in .*epoch-0001 cannot be trusted"):
        checkpoint.load(place, fresh)
    assert not (tmp_path / "taken").exists()


def test_only_the_newest_are_kept(trainer, tmp_path):
    for epoch, batch in [(1, 0), (1, 9), (1, 10), (2, 0), (10, 0), (10000, 0)]:
        place = checkpoint.save(tmp_path, at(trainer, epoch, batch), keep=3)
        assert checkpoint.found(tmp_path)[-1] == place
        assert len(checkpoint.found(tmp_path)) <= 3
    expected = ["epoch-0002", "epoch-0010", "epoch-10000"]
    assert [path.name for path in checkpoint.found(tmp_path)] == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)


def test_checkpoints_are_found_by_age_and_nothing_else_is(tmp_path):
    names = ["epoch-0001", "epoch-0001-batch-9", "epoch-0001-batch-10", "epoch-0002", "epoch-10000"]
    others = [".epoch-0003.tmp", "epoch-3", "epoch-0003-batch-", "notes", "epoch-0003.old"]
    for name in [*reversed(names), *others]:
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoint.found(tmp_path)] == names
    assert checkpoint.found(tmp_path / "nowhere") == []


def test_the_middle_of_an_epoch_has_a_name_of_its_own(trainer, tmp_path):
    assert checkpoint.save(tmp_path, at(trainer, 3, 7), keep=1).name == "epoch-0003-batch-7"


def test_saving_again_replaces(trainer, place, fresh, same_state):
    with torch.no_grad():
        trainer.model.encoder.posterior.mean.bias.fill_(7.0)
    assert checkpoint.save(place.parent, trainer, keep=2) == place
    checkpoint.load(place, fresh)
    assert same_state(fresh.model, trainer.model)


def test_a_save_cut_short_leaves_the_old_ones(trainer, place, fresh, monkeypatch, same_state):
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}

    def fail(*args):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        for epoch in (1, 2):
            with pytest.raises(OSError, match="no space"):
                checkpoint.save(place.parent, at(trainer, epoch), keep=1)
    assert checkpoint.found(place.parent) == [place]
    checkpoint.load(place, fresh)
    assert same_state(dict(fresh.model.state_dict()), before)
    # What it left behind is in nobody's way.
    newer = checkpoint.save(place.parent, at(trainer, 2), keep=1)
    assert checkpoint.found(place.parent) == [newer]
