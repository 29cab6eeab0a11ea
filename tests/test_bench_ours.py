"""Timing our trainer in pieces changes nothing of what it does."""

import pytest
import torch

from aae.bench import ours as module
from aae.bench.ours import ours
from aae.fit import make_trainer


@pytest.fixture
def trainers(monkeypatch):
    """The trainers that were made."""
    made = []

    def noted(*args):
        made.append(make_trainer(*args))
        return made[-1]

    monkeypatch.setattr(module, "make_trainer", noted)
    return made


def test_it_makes_as_many_steps_as_it_is_told_to_whatever_the_pieces(
    small_setup, trainers, same_state
):
    pieces = ours(small_setup, "float32")
    for steps in 1, 4, 2:  # an epoch has three
        pieces(steps)
    ours(small_setup, "float32")(7)
    first, second = trainers
    assert len(first.batches) == 3
    assert first.progress.count == second.progress.count == 7
    assert same_state(first.model, second.model)
    assert any(bool(m.abs().sum() > 0) for m in first.model.state_dict().values())


def test_it_is_the_recipe_s_own_training(small_setup, trainers):
    ours(small_setup)
    ours(small_setup, "bf16")
    auto, low = trainers
    config = auto.config
    assert (config.recipe, config.step, config.precision) == ("gaussian", "joint", "auto")
    assert (config.hidden, config.latent_dim, config.batch_size) == (16, 3, 32)
    assert low.step.dtype == torch.bfloat16
