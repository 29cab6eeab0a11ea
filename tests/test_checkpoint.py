"""Checkpoints: whole or refused, few, and safe to open."""

import contextlib
import copy
import errno
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from aae.packing import pack
from aae.training import checkpoint
from aae.training.checkpoint import DamagedError


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
    assert names == {"weights.safetensors", "training.safetensors", "manifest.json"}
    with safe_open(place / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == trainer.model.state_dict().keys()
    manifest = json.loads((place / "manifest.json").read_text())
    assert (manifest["epoch"], manifest["batch"], manifest["step"]) == (1, 0, 4)
    assert manifest["figures"] == {}
    for name in names - {"manifest.json"}:
        assert manifest["sha256"][name] == hashlib.sha256((place / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["weights.safetensors", "training.safetensors"])
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


@pytest.mark.parametrize("name", ["weights.safetensors", "training.safetensors", "manifest.json"])
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


@pytest.mark.parametrize("what", ["step", "figures", "sha256"])
def test_a_change_in_the_manifest_is_noticed(place, fresh, what):
    text = (place / "manifest.json").read_text()
    changed = {
        "step": text.replace('"step": 4', '"step": 5'),
        "figures": text.replace('"figures": {}', '"figures": {"error": 0.0}'),
        "sha256": re.sub(r'("training.*": ")(.)', lambda m: m[1] + "0f"[m[2] == "0"], text),
    }[what]
    assert changed != text
    (place / "manifest.json").write_text(changed)
    with pytest.raises(DamagedError, match=r"damaged: manifest\.json changed on disk"):
        checkpoint.load(place, fresh)


@pytest.mark.parametrize("changes", [{"hidden": 31}, {"model": "basic"}, {"batch_norm": False}])
def test_another_models_weights_are_refused(place, trainer, new_model, changes):
    other = new_model(replace(trainer.config, **changes))
    with pytest.raises(ValueError, match="epoch-0001 are not those of this model"):
        checkpoint.load_weights(place, other)


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
    others = [
        ".epoch-0003.tmp",
        "epoch-0003.damaged",
        "epoch-3",
        "epoch-0003-batch-",
        "notes",
        "epoch-0003.old",
    ]
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


# --- which one is used


def damage(place, name="weights.safetensors"):
    content = bytearray((place / name).read_bytes())
    content[len(content) // 2] ^= 8
    (place / name).write_bytes(content)


def test_the_newest_that_is_whole_is_used_saying_so(trainer, tmp_path, caplog):
    places = [checkpoint.save(tmp_path, at(trainer, epoch), keep=9) for epoch in (1, 2, 3)]
    assert checkpoint.newest(tmp_path) == places[2]
    assert caplog.messages == []
    damage(places[2])
    (places[1] / "manifest.json").unlink()
    assert checkpoint.newest(tmp_path) == places[0]
    third, second = caplog.messages
    assert third == (
        f"the checkpoint {places[2]} is damaged: weights.safetensors changed on disk; "
        "going by epoch-0001 instead"
    )
    assert "epoch-0002 cannot be read: manifest.json, FileNotFoundError" in second
    damage(places[0], "training.safetensors")
    with pytest.raises(DamagedError) as error:
        checkpoint.newest(tmp_path)
    assert re.search(r"epoch-0003 .*epoch-0001 .*; no checkpoint is whole: ", str(error.value))
    advice = f"put back a copy of one, or remove {tmp_path}, and --resume trains from the start"
    assert str(error.value).endswith(advice)
    assert checkpoint.newest(tmp_path / "nowhere") is None


def test_what_was_damaged_is_put_out_of_the_way_by_the_next(trainer, tmp_path):
    for epoch in (1, 2, 3):
        checkpoint.save(tmp_path, at(trainer, epoch), keep=9)
    damage(tmp_path / "epoch-0003")
    checkpoint.save(tmp_path, at(trainer, 2, 1), keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-0002-batch-1", "epoch-0003.damaged",
    ]  # fmt: skip


@pytest.mark.parametrize("errors", [[0.5, math.nan, 0.3], [math.nan, 0.4, 0.3, 0.4, math.inf]])
def test_an_error_that_is_no_number_is_not_the_best_and_hides_no_other(trainer, tmp_path, errors):
    for epoch, error in enumerate(errors, 1):
        checkpoint.save(
            tmp_path, at(trainer, epoch), keep=9, keep_best="error", figures={"error": error}
        )
    assert checkpoint.best(tmp_path, "error") == tmp_path / "epoch-0003"
    checkpoint.save(tmp_path, at(trainer, 6), keep=1, keep_best="error")
    names = [place.name for place in checkpoint.found(tmp_path)]
    assert names == ["epoch-0003", "epoch-0006"]


def test_the_best_is_kept_beside_the_newest(trainer, tmp_path, caplog):
    errors = [0.5, 0.3, 0.4, math.nan, 0.6]
    for epoch, error in enumerate(errors, 1):
        checkpoint.save(
            tmp_path, at(trainer, epoch), keep=1, keep_best="error",
            figures={"error": error, "reconstruction": 3.0 - epoch, "split": "validation"},
        )  # fmt: skip
    assert [place.name for place in checkpoint.found(tmp_path)] == ["epoch-0002", "epoch-0005"]
    assert checkpoint.best(tmp_path, "error") == tmp_path / "epoch-0002"
    assert checkpoint.best(tmp_path, "reconstruction") == tmp_path / "epoch-0005"
    assert checkpoint.best(tmp_path, "unheard of") == tmp_path / "epoch-0005"
    damage(tmp_path / "epoch-0002")
    assert checkpoint.best(tmp_path, "error") == tmp_path / "epoch-0005"
    assert "going by epoch-0005" in caplog.text


def test_a_whole_one_without_figures_is_better_than_a_damaged_best(trainer, tmp_path):
    for epoch, figures in ((1, {"error": 0.5}), (2, {}), (3, {})):
        checkpoint.save(tmp_path, at(trainer, epoch), keep=9, figures=figures)
    assert checkpoint.best(tmp_path, "error") == tmp_path / "epoch-0001"
    for epoch in (1, 3):
        damage(tmp_path / f"epoch-000{epoch}")
    assert checkpoint.best(tmp_path, "error") == tmp_path / "epoch-0002"
    damage(tmp_path / "epoch-0002")
    with pytest.raises(checkpoint.DamagedError, match="no checkpoint is whole"):
        checkpoint.best(tmp_path, "error")


# --- a save cut short


@pytest.mark.parametrize("keep", [1, 2])
def test_a_save_cut_short_loses_nothing(trainer, fresh, monkeypatch, tmp_path, same_state, keep):
    """Power fails, so to speak, before each of the calls that a save makes of the system."""
    states = {}
    for epoch in (1, 2):
        at(trainer, epoch).model.decoder.pixels.bias.data.fill_(epoch)
        states[epoch] = copy.deepcopy((trainer.model.state_dict(), trainer.state()))
    used = []
    for calls in range(99):
        folder, left = tmp_path / str(calls), calls
        at(trainer, 1).model.decoder.pixels.bias.data.fill_(1)
        old = checkpoint.save(folder, trainer, keep=keep)
        at(trainer, 2).model.decoder.pixels.bias.data.fill_(2)

        def failing(do):
            def call(*args, **settings):
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return do(*args, **settings)

            return call

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            for owner, name in [
                (Path, "write_bytes"), (Path, "rename"), (Path, "mkdir"),
                (checkpoint, "flush"), (checkpoint.shutil, "rmtree"),
            ]:  # fmt: skip
                patch.setattr(owner, name, failing(getattr(owner, name)))
            checkpoint.save(folder, trainer, keep=keep)
        used.append(checkpoint.newest(folder))
        checkpoint.load(used[-1], fresh)
        expected = states[1 if used[-1] == old else 2]
        assert same_state((fresh.model.state_dict(), fresh.state()), expected)
        # What it left behind is in nobody's way.
        newer = checkpoint.save(folder, at(trainer, 3), keep=1)
        assert list(folder.iterdir()) == [newer]
        if left >= 0:
            break
    names = [place.name for place in used]
    assert names == sorted(names)
    assert {"epoch-0001", "epoch-0002"} == set(names)
    assert calls > 9


def test_saving_again_cut_short_leaves_a_checkpoint(trainer, place, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(place.parent, trainer.model, trainer.state())
    assert checkpoint.found(place.parent) == [place]


def test_a_full_disk_is_named_and_leaves_the_old_ones(trainer, place, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device: the checkpoint epoch-0002 could "
                       r"not be written; epoch-0001 is kept; make room"):  # fmt: skip
        checkpoint.save(place.parent, at(trainer, 2), keep=1)
    assert list(place.parent.iterdir()) == [place]
    with pytest.raises(OSError, match="there is none before it"):
        checkpoint.save(place.parent / "other", at(trainer, 2), keep=1)


# --- from a stranger


def forge(place, name, content):
    """Put another file into a checkpoint, with checksums that are right."""
    (place / name).write_bytes(content)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (place / "manifest.json").write_text(json.dumps(checkpoint._signed(manifest)))


def forged_state(trainer, change):
    state = trainer.state()
    change(state)
    return pack(state)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("progress"),
        lambda s: s["progress"].update(epoch="1"),
        lambda s: s["progress"].update(batch=-1),
        lambda s: s["progress"].update(counts={"a": 1}),
        lambda s: s.update(optimizers={}),
        lambda s: s["optimizers"]["autoencoder"]["state"][0].pop("exp_avg"),
        lambda s: s["optimizers"]["autoencoder"]["state"][0].update(exp_avg=torch.zeros(2)),
        lambda s: s["optimizers"]["autoencoder"]["state"][0].update(exp_avg=3.0),
        lambda s: s["optimizers"]["autoencoder"]["state"].update(x={"step": torch.ones(())}),
        lambda s: s.update(generator=torch.zeros(3, dtype=torch.uint8)),
        lambda s: s.update(generator=torch.full((5056,), 255, dtype=torch.uint8)),
        lambda s: s.update(generator="seed"),
    ],
)
def test_a_state_of_something_else_is_refused(trainer, place, fresh, change):
    name = "training.safetensors"
    forge(place, name, forged_state(trainer, change))
    with pytest.raises(ValueError, match=r"training.safetensors in .* is not of this training"):
        checkpoint.load(place, fresh)


@pytest.mark.parametrize("name", ["weights.safetensors", "training.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 16, (1 << 60).to_bytes(8, "little") + b"{}", b"PK\3\4"]
)
def test_no_safetensors_are_refused(place, fresh, name, content):
    forge(place, name, content)
    with pytest.raises(ValueError, match=f"{name} in .* is no safetensors file"):
        checkpoint.load(place, fresh)
