"""What a judge reads in generated pictures, where it is known beforehand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aae import legibility, uncertainty
from aae.data import Dataset
from aae.judge import Judge

SHADES = torch.tensor([0, 51, 102, 255])
"""The grey that the judge reads as each class, surely if the picture is of one shade."""


class Shades(Judge):
    """Reads the shade of the first pixel; a last pixel of another shade leaves it unsure."""

    test_accuracy = 0.75

    def __init__(self):
        super().__init__((1, 8, 8), len(SHADES))

    def forward(self, images):
        first, last = images[:, 0, 0, 0], images[:, 0, -1, -1]
        nearest = (first[:, None] - SHADES / 255).abs().argmin(1)
        sureness = torch.where(first == last, 50.0, 0.1)
        return sureness[:, None] * F.one_hot(nearest, len(SHADES)).float()


def pictures(classes, *, unsure=()):
    """Pictures in [0, 1] that are read as some classes."""
    shades = SHADES[torch.as_tensor(classes)] / 255
    images = shades[:, None, None, None].repeat(1, 1, 8, 8)
    images[list(unsure), :, -1, -1] = 0.5
    return images


@pytest.fixture
def judged(monkeypatch):
    """What is measured of a model, whose pictures of classes and samples are given."""
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3, -1, -1])
    images = (pictures(labels.clip(0)) * 255).round().byte().numpy()
    images[1::2, :, 4] = 60  # no two of a class are the same
    data = Dataset("shades", ("a", "b", "c", "d"), images, labels, images, labels)
    monkeypatch.setattr(legibility, "GENERATED", 10)
    monkeypatch.setattr(legibility, "judge_for", lambda *_: Shades())

    def judged(samples, meant=None, drawn=None):
        def sample(model, told, count, generator):
            assert count == 10
            return samples if told is None else drawn(told)

        monkeypatch.setattr(legibility.inference, "sample", sample)
        errors = {}
        decoder = SimpleNamespace(shape=(1, 8, 8))
        model = SimpleNamespace(n_classes=0 if meant is None else len(meant), decoder=decoder)
        return legibility.judged(model, data, torch.Generator(), meant, errors), errors

    return judged


def test_samples_by_hand(judged):
    read = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3]
    figures, errors = judged(pictures(read, unsure=(0, 7)))
    assert figures == {
        "judge_accuracy": 0.75, "readable": 0.8, "smallest_class": 0.1, "classes_drawn": 4,
    }  # fmt: skip
    assert errors == {
        "judge_accuracy": uncertainty.of_share(0.75, 8),  # two test pictures have no label
        "readable": uncertainty.of_share(0.8, 10),
        "smallest_class": uncertainty.of_share(0.1, 10),
    }


def test_a_class_that_is_never_read_surely_is_drawn_all_the_same(judged):
    figures, _ = judged(pictures([0] * 4 + [1] * 4 + [3, 3], unsure=(8, 9)))
    assert (figures["readable"], figures["smallest_class"]) == (0.8, 0)
    assert figures["classes_drawn"] == 3


def test_what_is_asked_of_clusters_is_the_class_that_each_stands_for(judged):
    meant = torch.tensor([2, 0, 2, 1])

    def drawn(told):
        assert told.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
        images = pictures(meant[told])
        images[0] = pictures([3])  # one is not as asked
        return images

    figures, errors = judged(pictures([0] * 10), meant, drawn)
    assert figures["style_accuracy"] == 0.9
    assert errors["style_accuracy"] == uncertainty.of_share(0.9, 10)
    assert "style_variety" in figures


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 28, 28), 10_000), ((3, 128, 128), 2730), ((3, 512, 512), 1000)]
)
def test_of_large_pictures_fewer_are_generated(shape, count):
    model = SimpleNamespace(decoder=SimpleNamespace(shape=shape))
    assert legibility._generated(model) == count
