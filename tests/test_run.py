"""Run folders: made once, and read by anyone."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from aae.data import GIVEN, IN_MEMORY
from aae.run import Run, versions
from aae.splits import data_of
from aae.training import checkpoint

# --- folders


def test_a_new_run_can_be_read_again(tiny, numbered, tmp_path):
    config = tiny(model="semi", labels=8, lr_steps=(3, 4))
    made, read = Run.create(tmp_path / "a" / "run", config, numbered), Run(tmp_path / "a" / "run")
    for run in (made, read):
        assert run.config == config
        assert run.shape == (1, 2, 2)
        assert run.classes == ("a", "b", "c", "d")
        assert run.records() == []
        assert run.folder == tmp_path / "a" / "run"
    about = json.loads((read.folder / "config.json").read_text())
    assert about["format"] == 2
    assert about["versions"] == versions()
    assert about["versions"]["torch"] == torch.__version__
    assert about["versions"]["numpy"] == np.__version__


def test_an_empty_folder_will_do(tiny, numbered, tmp_path):
    assert Run.create(tmp_path, tiny(), numbered).config == tiny()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_folder_in_use_is_refused_and_left_alone(tiny, numbered, tmp_path, what):
    place = tmp_path / "run"
    note = place / "note" if what == "folder" else place
    note.parent.mkdir(exist_ok=True)
    note.write_text("mine")
    with pytest.raises(ValueError, match=r"run exists already: take another folder$"):
        Run.create(place, tiny(), numbered)
    assert note.read_text() == "mine"
    assert [path.name for path in note.parent.iterdir()] == [note.name]


def test_who_finds_a_run_there_can_go_on_with_it(tiny, numbered, tmp_path):
    Run.create(tmp_path / "all" / "run", tiny(), numbered)
    for folder in (tmp_path / "all" / "run", tmp_path / "all"):
        words = f"take another folder, or go on with what is there: aae train --resume {folder}$"
        with pytest.raises(ValueError, match=words):
            Run.create(folder, tiny(), numbered)
    for name, data in (("one", IN_MEMORY), ("two", GIVEN)):
        Run.create(tmp_path / name, tiny(data=data), numbered)
        with pytest.raises(ValueError, match=f"{name} exists already: take another folder$"):
            Run.create(tmp_path / name, tiny(data=data), numbered)


def test_data_that_have_moved_are_missed_by_the_run(tiny, numbered, tmp_path):
    place = tmp_path / "numbered.npy"
    np.save(place, numbered.train_images)
    run = Run.create(tmp_path / "run", tiny(data=str(place)), data_of(tiny(data=str(place))))
    (tmp_path / "there").mkdir()
    place.rename(tmp_path / "there" / place.name)
    with pytest.raises(ValueError, match=rf"run was trained on are no .*: put back {place}, or"):
        run.dataset()
    assert run.dataset(str(tmp_path / "there")).shape == (1, 2, 2)


def test_what_is_no_run_folder_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=r"not a run folder .*'aae train RECIPE --out RUN'"):
            Run(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is not JSON"),
        ("3", "has the format None; aae reads 1 to 2"),
        ("{}", "has the format None; aae reads 1 to 2"),
        ('{"format": true}', "has the format True; aae reads 1 to 2"),
        ('{"format": 0}', "has the format 0; aae reads 1 to 2"),
        (
            '{"format": 3}',
            "has the format 3, of a later version of aae; this one reads 1 to 2",
        ),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        Run(tmp_path)


def test_an_unknown_field_is_refused(tiny, numbered, tmp_path):
    Run.create(tmp_path, tiny(), numbered)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"latent_dim"', '"latent_dims"'))
    with pytest.raises(ValueError, match="did you mean 'latent_dim'"):
        Run(tmp_path)


# --- what a run holds


def test_of_two_that_make_one_folder_one_is_refused(tiny, numbered, tmp_path, monkeypatch):
    def first(folder):  # another process comes between looking and writing
        monkeypatch.undo()
        Run.create(folder, tiny(seed=1), numbered)

    monkeypatch.setattr("aae.run.refuse_used", first)
    with pytest.raises(ValueError, match="exists already: take another folder"):
        Run.create(tmp_path / "run", tiny(seed=2), numbered)
    assert Run(tmp_path / "run").config.seed == 1


def test_its_data_set(tiny_run, digits):
    assert np.array_equal(tiny_run.dataset().train_images, digits.train_images)
    assert tiny_run.shape == (1, 8, 8)
    assert tiny_run.classes == digits.classes


def test_where_its_data_set_lies(tiny, numbered, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("aae.splits.load", lambda *args, **how: asked.append(args) or numbered)
    run = Run.create(tmp_path, tiny(data="mnist", data_dir="there"), numbered)
    run.dataset()
    run.dataset("here")
    assert asked == [("mnist", "there"), ("mnist", "here")]


def test_a_data_set_that_changed_is_refused(tiny, numbered, tmp_path, monkeypatch):
    run = Run.create(tmp_path, tiny(), numbered)
    more = replace(
        numbered, train_images=numbered.train_images[:199], train_labels=numbered.train_labels[:199]
    )
    monkeypatch.setattr("aae.splits.load", lambda *args, **how: more)
    with pytest.raises(ValueError, match="has 199 training pictures and had 200 when"):
        run.dataset()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("b", "a", "c", "d")}, "the classes of .* was made: a, b, c, d; now: b, a, c"),
        (
            {"classes": ("a", "b", "c", "e")},
            "the classes of .* was made: 4, … b, c, d; now: 4, … b, c, e; bring",
        ),
        (
            {"classes": (), "train_labels": np.full(200, -1), "test_labels": np.full(40, -1)},
            "the classes of .* was made: a, b, c, d; now: none; bring back",
        ),
        (
            {
                name: np.zeros((n, 4, 1, 1), np.uint8)
                for name, n in [("train_images", 200), ("test_images", 40)]
            },
            "the shape of .* was made: 1, 2, 2; now: 4, 1, 1; bring back",
        ),
    ],
)
def test_data_of_other_classes_or_pictures_are_refused(
    tiny, numbered, tmp_path, monkeypatch, changes, words
):
    run = Run.create(tmp_path, tiny(), numbered)
    other = replace(numbered, **changes)
    monkeypatch.setattr("aae.splits.load", lambda *args, **how: other)
    with pytest.raises(ValueError, match=words):
        run.dataset()


def test_its_model_before_training(tiny_run, tiny, numbered, tmp_path, same_state):
    assert same_state(tiny_run.new_model(), tiny_run.new_model())
    other = Run.create(tmp_path, replace(tiny_run.config, seed=1), tiny_run.dataset())
    assert not same_state(other.new_model(), tiny_run.new_model())


def test_its_model_has_the_newest_weights(tiny_run, same_state):
    places = checkpoint.found(tiny_run.checkpoints)
    assert [place.name for place in places] == ["epoch-0002", "epoch-0003"]
    model, expected, older = tiny_run.model(), tiny_run.new_model(), tiny_run.new_model()
    checkpoint.load_weights(places[-1], expected)
    checkpoint.load_weights(places[0], older)
    assert same_state(model, expected)
    assert not same_state(model, older)
    assert not model.training


def test_its_model_is_that_of_the_newest_checkpoint_that_is_whole(
    tiny_run, tmp_path, caplog, same_state
):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    run = Run(folder)
    older, newer = checkpoint.found(run.checkpoints)
    (newer / "weights.safetensors").write_bytes(b"")
    expected = tiny_run.new_model()
    checkpoint.load_weights(older, expected)
    assert same_state(run.model(), expected)
    assert run.epochs_done == run.epochs_in_use == 2
    assert "epoch-0003 is damaged: weights.safetensors changed on disk; going by" in caplog.text
    (older / "manifest.json").unlink()
    with pytest.raises(ValueError, match="no checkpoint is whole"):
        run.model()


def test_its_model_is_the_best_where_that_is_kept(tiny_run):
    run = Run(tiny_run.folder)
    places = checkpoint.found(run.checkpoints)
    for figure in ("error", "reconstruction"):
        run.config = replace(tiny_run.config, keep_best=figure)
        values = [checkpoint.figures_of(place)[figure] for place in places]
        assert run.in_use == places[values.index(min(values))]
        assert run.epochs_in_use == checkpoint.epoch_of(run.in_use)
        assert run.epochs_done == 3


def test_its_device_is_one_that_is_here(tiny, numbered, tmp_path):
    assert Run.create(tmp_path / "a", tiny(), numbered).device.type == "cpu"
    gone = Run.create(tmp_path / "b", tiny(device="xpu:7"), numbered).device
    assert gone.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_run_without_checkpoints_has_no_model(tiny, numbered, tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint yet"):
        Run.create(tmp_path, tiny(), numbered).model()


def test_its_records(tiny_run):
    records = tiny_run.records()
    lines = tiny_run.metrics.read_text().splitlines()
    assert [json.dumps(record) for record in records] == lines
    assert {record["split"] for record in records} == {"train", "validation"}


def test_a_line_of_metrics_cut_short_is_passed_over(tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    whole = Run(folder).records()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "epo')
    assert Run(folder).records() == whole != []


@pytest.mark.parametrize(
    "line", ["{", "3", "{}", "[" * 99_999, '{"step": 1}', '{"step": "1", "split": "train"}', "\0"]
)
def test_a_line_of_metrics_that_is_none_is_named(tiny_run, tmp_path, line):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    number = len(Run(folder).records()) + 1
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line {number},? is no"):
        Run(folder).records()
