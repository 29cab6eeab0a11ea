"""The classifier that reads generated pictures."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load as unpack
from safetensors.torch import save_file

from aae import judge as judging
from aae.data import Dataset, load
from aae.judge import Judge, judge_for, read_as, readable, train_judge


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "judges"


@pytest.fixture(scope="module")
def judge(digits, cache):
    return judge_for(digits, cache)


@pytest.fixture
def tiny(monkeypatch):
    """A data set and a schedule of one step."""
    monkeypatch.setattr(judging, "LEAST_STEPS", 1)
    monkeypatch.setattr(judging, "EPOCHS", 1)
    images = np.random.default_rng(0).integers(256, size=(12, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(12) % 2
    return Dataset("my own / set", ("even", "odd"), images, labels, images[:4], labels[:4])


class Fixed(Judge):
    """Gives logits that are known beforehand."""

    def __init__(self, logits):
        super().__init__((1, 8, 8), logits.shape[1])
        self.logits = logits

    def forward(self, images):
        return self.logits[images[:, 0, 0, 0].round().long()]


def test_digits_are_read(digits, judge):
    assert judge.test_accuracy >= 0.97
    images = torch.tensor(digits.test_images).float() / 255
    assert read_as(judge, images, torch.tensor(digits.test_labels)) == judge.test_accuracy
    share, counts, _ = readable(judge, images)
    assert share > 0.8
    assert all(0.6 * 36 < count < 1.4 * 36 for count in counts)


def test_noise_is_read_as_nothing_in_particular(digits, judge):
    images = torch.tensor(digits.test_images)
    labels = torch.tensor(digits.test_labels)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(len(images), 1, 8, 8, generator=generator)
    assert read_as(judge, noise, labels) < 0.3


def test_probabilities_do_not_depend_on_batches_or_mode(digits, judge):
    images = torch.tensor(digits.test_images[:50])
    whole = judge.probabilities(images)
    torch.testing.assert_close(whole.sum(1), torch.ones(50))
    torch.testing.assert_close(judge.probabilities(images, batch_size=7), whole)
    judge.train()
    torch.testing.assert_close(judge.probabilities(images.float() / 255), whole)
    assert judge.training
    judge.eval()


def test_read_as_by_hand():
    logits = torch.tensor([[5.0, 0], [0, 5]])
    images = torch.tensor([0.0, 1, 1])[:, None, None, None].expand(3, 1, 8, 8)
    asked = torch.tensor([0, 0, 1])
    assert read_as(Fixed(logits), images, asked) == pytest.approx(2 / 3)


def test_a_broken_picture_is_read_as_nothing(judge):
    images = torch.full((10, 1, 8, 8), math.nan)
    assert read_as(judge, images, torch.arange(10)) == 0
    assert readable(judge, images) == (0, [0] * 10, 1)


def test_readable_by_hand():
    judge = Fixed(torch.tensor([[0.8, 0.1, 0.1], [0.02, 0.96, 0.02]]).log())
    images = torch.tensor([0.0, 1, 1, 0])[:, None, None, None].expand(4, 1, 8, 8)
    assert readable(judge, images) == (0.5, [0, 2, 0], 2)
    assert readable(judge, images, confidence=0.7) == (1.0, [2, 2, 0], 2)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (3, 32, 32)])
def test_any_shape_trains(shape):
    images = np.random.default_rng(0).integers(256, size=(20, *shape), dtype=np.uint8)
    judge = train_judge(images, np.arange(20) % 3, 3, seed=0, epochs=1)
    assert judge.probabilities(torch.tensor(images)).shape == (20, 3)
    assert math.isnan(judge.test_accuracy)
    assert all(parameter.is_contiguous() for parameter in judge.parameters())


def test_training_is_repeatable_and_leaves_the_global_stream_alone(tiny):
    state = torch.get_rng_state()
    first, again, other = (
        train_judge(tiny.train_images, tiny.train_labels, 2, seed=seed).state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["layers.0.0.weight"], other["layers.0.0.weight"])


def test_pictures_without_a_label_are_left_out(tiny):
    labels = np.where(np.arange(12) < 6, tiny.train_labels, -1)
    some = train_judge(tiny.train_images, labels, 2, seed=0, epochs=1)
    alone = train_judge(tiny.train_images[:6], tiny.train_labels[:6], 2, seed=0, epochs=1)
    for one, two in zip(some.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, two)


def test_augmentation_keeps_the_picture_in_place_and_in_range():
    images = torch.zeros(200, 1, 16, 16)
    images[:, :, 6:10, 6:10] = 1
    moved = judging._augmented(images, torch.Generator().manual_seed(0))
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not torch.allclose(moved[0], moved[1], atol=0.1)
    torch.testing.assert_close(moved.mean(0), moved.mean(0).flip(-1), atol=0.15, rtol=0)
    assert (moved[:, :, 4:12, 4:12].sum((1, 2, 3)) > 0.9 * moved.sum((1, 2, 3))).all()


@pytest.fixture
def only(monkeypatch):
    """Leaves augmentation one of its four parts."""

    def leave(part, amount):
        for name in ("ROTATION", "SCALE", "SHEAR", "SHIFT"):
            monkeypatch.setattr(judging, name, amount if name == part else 0.0)

    return leave


def moved(down, right, n=200):
    """Where a soft dot is after augmentation, from the middle of 41×41 pixels; and its weight."""
    line = torch.arange(41.0) - 20
    dot = torch.exp(-((line[:, None] - down) ** 2 + (line - right) ** 2) / 4)
    images = judging._augmented(dot.expand(n, 1, 41, 41), torch.Generator().manual_seed(0))[:, 0]
    weight = images.sum((1, 2))
    places = torch.stack([(images.sum(2) * line).sum(1), (images.sum(1) * line).sum(1)], 1)
    return places / weight[:, None], weight / dot.sum()


def test_augmentation_turns_about_the_middle(only):
    only("ROTATION", 0.5)
    places, weight = moved(-6.0, 8.0)
    torch.testing.assert_close(places.norm(dim=1), torch.full((200,), 10.0), atol=0.05, rtol=0)
    torch.testing.assert_close(weight, torch.ones(200), atol=0.01, rtol=0)
    assert places.amin(0)[0] < -9
    assert places.amax(0)[0] > -2


def test_augmentation_stretches_each_side_on_its_own(only):
    only("SCALE", 0.2)
    factors = moved(-8.0, 8.0)[0] / torch.tensor([-8.0, 8.0])
    assert 1 / 1.21 < factors.min() < 0.86
    assert 1.2 < factors.max() < 1 / 0.79
    assert torch.corrcoef(factors.T)[0, 1].abs() < 0.2


# --- the cache


def test_the_second_time_it_is_read(digits, judge, cache, monkeypatch):
    monkeypatch.setattr(judging, "train_judge", None)
    again = judge_for(digits, cache)
    assert again.test_accuracy == judge.test_accuracy
    assert not again.training
    images = torch.tensor(digits.test_images)
    assert torch.equal(again.probabilities(images), judge.probabilities(images))
    assert [path.name for path in cache.iterdir()] == ["judge-digits.safetensors"]


def count_trainings(monkeypatch):
    trained = []

    def spy(*args, **kwargs):
        trained.append(1)
        return train_judge(*args, **kwargs)

    monkeypatch.setattr(judging, "train_judge", spy)
    return trained


def test_what_does_not_fit_is_trained_again(tiny, tmp_path, monkeypatch):
    trained = count_trainings(monkeypatch)
    judge_for(tiny, tmp_path)
    judge_for(tiny, tmp_path)
    assert len(trained) == 1
    judge_for(replace(tiny, train_labels=1 - tiny.train_labels), tmp_path)
    assert len(trained) == 2
    judge_for(replace(tiny, classes=("even", "odd", "neither")), tmp_path)
    assert len(trained) == 3
    monkeypatch.setattr(judging, "RECIPE", "another")
    judge_for(tiny, tmp_path)
    assert len(trained) == 4
    judge_for(tiny, tmp_path)
    assert len(trained) == 4


def test_it_is_tried_on_test_pictures_with_a_label_alone(tiny, tmp_path, monkeypatch):
    always_even = Fixed(torch.tensor([[5.0, 0.0]]).expand(2, 2))
    monkeypatch.setattr(judging, "train_judge", lambda *_, **__: always_even)
    few = replace(tiny, test_labels=np.array([0, -1, 1, -1]))
    assert judge_for(few, tmp_path).test_accuracy == 0.5


@pytest.mark.parametrize("name", ["train_images", "test_images", "test_labels"])
def test_other_data_of_the_same_name_are_learned_and_tried_anew(tiny, tmp_path, monkeypatch, name):
    trained = count_trainings(monkeypatch)
    judge_for(tiny, tmp_path)
    judge_for(replace(tiny, **{name: getattr(tiny, name)[::-1].copy()}), tmp_path)
    assert len(trained) == 2


def test_a_damaged_file_is_replaced(tiny, tmp_path, monkeypatch):
    trained = count_trainings(monkeypatch)
    judge_for(tiny, tmp_path)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    weights = unpack(whole)

    path.write_bytes(whole[: len(whole) // 2])
    judge_for(tiny, tmp_path)
    assert len(trained) == 2
    assert all(
        torch.equal(value, weights[name]) for name, value in unpack(path.read_bytes()).items()
    )

    save_file(weights, path)  # no word on where it comes from
    judge_for(tiny, tmp_path)
    assert len(trained) == 3

    del weights["layers.0.0.weight"]
    description = judging._description(tiny) | {"test_accuracy": "1.0"}
    save_file(weights, path, description)
    judge_for(tiny, tmp_path)
    assert len(trained) == 4
    assert [path] == list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing_behind(tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        judge_for(tiny, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the user's mistakes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((4, 1, 8, 8), np.float32)}, "float32"),
        ({"images": np.zeros((4, 8, 8), np.uint8)}, "channels"),
        ({"images": np.zeros((4, 1, 7, 8), np.uint8)}, "8×8 and up"),
        ({"labels": np.zeros(3, np.int64)}, "there are 4 images"),
        ({"labels": np.full(4, -1)}, "needs some"),
        ({"labels": np.full(4, 2)}, r"0\.\.1"),
        ({"n_classes": 1, "labels": np.zeros(4, np.int64)}, "at least 2 classes"),
    ],
)
def test_training_refuses(change, words):
    arguments = {
        "images": np.zeros((4, 1, 8, 8), np.uint8),
        "labels": np.array([0, 1, 0, 1]),
        "n_classes": 2,
    } | change
    with pytest.raises(ValueError, match=words):
        train_judge(**arguments, seed=0)


def test_reading_refuses():
    judge = Judge((1, 8, 8), 10)
    with pytest.raises(ValueError, match="this judge reads"):
        judge.probabilities(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="n > 0"):
        readable(judge, torch.zeros(0, 1, 8, 8))
    with pytest.raises(ValueError, match=r"scale them to \[0, 1\]"):
        judge.probabilities(torch.full((2, 1, 8, 8), -0.5))
    with pytest.raises(ValueError, match="asked for"):
        read_as(judge, torch.zeros(2, 1, 8, 8), torch.zeros(3, dtype=torch.int64))
