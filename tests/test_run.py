"""Run folders: made once, read by anyone, and split as the seed says."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from aae.data import GIVEN, IN_MEMORY, Dataset, Stored
from aae.run import Run, Splits, data_of, versions
from aae.training import checkpoint


def holds(part, images):
    """Where each of a part's pictures is among others."""
    places = {image.tobytes(): i for i, image in enumerate(images)}
    return [places[image.tobytes()] for image in part.images]


@pytest.fixture(scope="module")
def numbered():
    """A data set whose pictures are all different, in four classes."""
    images = np.arange(240, dtype=np.uint8).repeat(4).reshape(240, 1, 2, 2)
    labels = np.arange(240) % 4
    return Dataset("numbered", ("a", "b", "c", "d"), images[:200], labels[:200], images[200:],
                   labels[200:])  # fmt: skip


# --- splits


def test_train_and_validation_share_no_picture(tiny, numbered):
    splits = Splits.of(tiny(validation=0.1), numbered)
    train, kept = (holds(p, numbered.train_images) for p in (splits.train, splits.validation))
    assert sorted(train + kept) == list(range(200))
    assert len(kept) == 20
    assert np.array_equal(splits.train.labels, numbered.train_labels[train])
    assert np.array_equal(splits.validation.labels, numbered.train_labels[kept])
    assert np.bincount(splits.validation.labels).tolist() == [5] * 4


def test_the_test_set_is_left_alone(tiny, numbered):
    splits = Splits.of(tiny(labels=8), numbered)
    assert np.array_equal(splits.test.images, numbered.test_images)
    assert np.array_equal(splits.test.labels, numbered.test_labels)


def test_labels_beyond_those_asked_for_are_hidden(tiny, numbered):
    splits = Splits.of(tiny(labels=8, validation=0.1), numbered)
    shown = splits.train.labels >= 0
    assert shown.sum() == 8
    assert np.bincount(splits.train.labels[shown]).tolist() == [2] * 4
    truth = numbered.train_labels[holds(splits.train, numbered.train_images)]
    assert np.array_equal(splits.train.labels[shown], truth[shown])
    assert (splits.train.labels[~shown] == -1).all()
    assert (splits.validation.labels >= 0).all()


def test_the_seed_decides_the_splits(tiny, numbered, same_state):
    def split(seed):
        splits = Splits.of(tiny(labels=8, seed=seed), numbered)
        return [splits.train.images, splits.train.labels, splits.validation.images]

    assert same_state(split(1), split(1))
    assert not any(same_state(a, b) for a, b in zip(split(1), split(2), strict=True))


def test_a_seed_of_the_split_leaves_the_rest_to_the_other(tiny, numbered, same_state, tmp_path):
    def drawn(name, **seeds):
        config = tiny(labels=8, **seeds)
        splits = Splits.of(config, numbered)
        weights = Run.create(tmp_path / name, config, numbered).new_model().state_dict()
        return weights, [splits.train.images, splits.train.labels, splits.validation.images]

    first, split = drawn("first", seed=1)
    second, same = drawn("second", seed=2, split_seed=1)
    third, other = drawn("third", seed=1, split_seed=2)
    assert same_state(split, same)
    assert not same_state(first, second)
    assert same_state(first, third)
    assert not same_state(split, other)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.999])
def test_a_part_without_pictures_is_refused(tiny, numbered, share):
    with pytest.raises(ValueError, match=f"--validation {share} of 200 examples keeps"):
        Splits.of(tiny(validation=share), numbered)


def test_a_share_that_works_is_named(tiny, numbered):
    few = replace(
        numbered, train_images=numbered.train_images[:17], train_labels=numbered.train_labels[:17]
    )
    words = "--validation 0.08333 of 17 examples keeps 1: .*; take --validation 0.12 or more"
    with pytest.raises(ValueError, match=words):
        Splits.of(tiny(validation=1 / 12), few)
    assert len(Splits.of(tiny(validation=0.12), few).validation.labels) == 2


def test_too_many_labels_are_refused(tiny, numbered):
    with pytest.raises(ValueError, match=r"class '[abcd]' has only .*; choose at most"):
        Splits.of(tiny(labels=190), numbered)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"model": "vae", "labels": 0}, True),
        ({"labels": 10}, False),
        ({"model": "labels"}, False),
        ({"model": "supervised"}, False),
        ({"model": "semi"}, False),
    ],
)
def test_data_without_labels_do_for_recipes_without(tiny, numbered, changes, fits):
    data = replace(numbered, classes=(), train_labels=np.full(200, -1), test_labels=np.full(40, -1))
    if fits:
        assert len(Splits.of(tiny(**changes), data).validation.labels) == 17
        return
    with pytest.raises(ValueError, match=r"numbered has none: put those of X.npy beside it as X.l"):
        Splits.of(tiny(**changes), data)


def test_pictures_in_files_are_split_alike_and_not_read(tiny, numbered, monkeypatch):
    config, whole = tiny(labels=8), Splits.of(tiny(labels=8), numbered)
    stored = Stored([numbered.train_images[:70], numbered.train_images[70:]])
    with monkeypatch.context() as patch:
        patch.setattr(Stored, "read", lambda self, out: pytest.fail("read"))
        splits = Splits.of(config, replace(numbered, train_images=stored))
    for name in ("train", "validation"):
        found, expected = getattr(splits, name), getattr(whole, name)
        assert isinstance(found.images, Stored)
        np.testing.assert_array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)


def test_some_of_a_part(part):
    assert np.array_equal(part.some(1000).images, part.images)
    few = part.some(4)
    assert np.array_equal(few.images, part.images[[0, 33, 66, 99]])
    assert np.array_equal(few.labels, part.labels[[0, 33, 66, 99]])


def test_a_config_says_how_its_pictures_are_read(tiny, tmp_path):
    for k in range(9):
        Image.new("RGB", (8, 8), (30 * k, 9, 9)).save(tmp_path / f"{k}.png")
    (tmp_path / "x.png").write_bytes(b"no picture")
    config = tiny(data=str(tmp_path), image_size=(4, 6), channels=1, unreadable="skip")
    data = data_of(config)
    assert (data.shape, data.left_out) == ((1, 4, 6), ("x.png",))


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


def test_its_data_set(tiny_run, digits):
    assert np.array_equal(tiny_run.dataset().train_images, digits.train_images)
    assert tiny_run.shape == (1, 8, 8)
    assert tiny_run.classes == digits.classes


def test_where_its_data_set_lies(tiny, numbered, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("aae.run.load", lambda *args, **how: asked.append(args) or numbered)
    run = Run.create(tmp_path, tiny(data="mnist", data_dir="there"), numbered)
    run.dataset()
    run.dataset("here")
    assert asked == [("mnist", "there"), ("mnist", "here")]


def test_a_data_set_that_changed_is_refused(tiny, numbered, tmp_path, monkeypatch):
    run = Run.create(tmp_path, tiny(), numbered)
    more = replace(
        numbered, train_images=numbered.train_images[:199], train_labels=numbered.train_labels[:199]
    )
    monkeypatch.setattr("aae.run.load", lambda *args, **how: more)
    with pytest.raises(ValueError, match="has 199 training pictures and had 200 when"):
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
