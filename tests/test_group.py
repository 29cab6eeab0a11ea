"""Trainers that make their steps together, each as if it were alone."""

from dataclasses import replace

import pytest
import torch

from aae.training.group import Group, Together
from aae.training.stacked import lone_step
from aae.training.trainer import DivergedError, Observer, Trainer

HARD = {"noise_std": 0.3, "dropout": 0.2, "classification_every": 3, "warmup": 6, "lr": 1e-3}


class Diary(Observer):
    def __init__(self):
        self.records, self.events = [], []

    def on_step(self, trainer):
        self.events.append(("step", trainer.progress.count))

    def on_log(self, trainer, record):
        self.records.append(
            {k: v for k, v in record.items() if k not in ("split", "images_per_second")}
        )

    def on_epoch(self, trainer):
        assert not trainer.model.training
        self.events.append(("epoch", trainer.progress.epoch))


@pytest.fixture
def members(tiny, new_trainer):
    """Makes three trainers that differ by their seeds, and their diaries."""

    def make(**changes):
        config = tiny(**{"model": "semi", "step": "joint-plain", **HARD, **changes})
        diaries = [Diary() for _ in range(3)]
        trainers = [
            new_trainer(replace(config, seed=seed), [diary]) for seed, diary in enumerate(diaries)
        ]
        return trainers, diaries

    return make


def validates(trainers):
    return [lambda trainer=trainer: {"seed": float(trainer.config.seed)} for trainer in trainers]


def near(a, b):
    for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("step", ["joint-plain", "alternating"])
def test_each_member_is_told_what_it_would_be_alone(members, step):
    alone, expected = members(step=step)
    for trainer, validate in zip(alone, validates(alone), strict=True):
        trainer.run(validate)
    trainers, diaries = members(step=step)
    own = Diary()
    Group(trainers, validates(trainers), [own]).run()
    for diary, wanted in zip(diaries, expected, strict=True):
        assert len(diary.records) == len(wanted.records) > 2
        for mine, other in zip(diary.records, wanted.records, strict=True):
            assert mine == pytest.approx(other, rel=1e-4)
        assert diary.events == [event for event in wanted.events if event[0] == "epoch"]
    assert own.events == expected[0].events
    for trainer, other in zip(trainers, alone, strict=True):
        near(trainer, other)
        assert torch.equal(trainer.generator.get_state(), other.generator.get_state())


def test_members_go_on_from_where_they_stand_together_or_alone(members, same_state):
    class Stop(Observer):
        def on_step(self, trainer):
            if trainer.progress.count == 6:
                raise KeyboardInterrupt

    whole, _ = members(epochs=3)
    Group(whole, validates(whole)).run()

    stopped, _ = members(epochs=3)
    group = Group(stopped, validates(stopped), [Stop()])
    with pytest.raises(KeyboardInterrupt):
        group.run()
    states = [
        ({k: v.clone() for k, v in member.model.state_dict().items()}, member.state())
        for member in group.hand_out()
    ]
    assert [state["progress"]["batch"] for _, state in states] == [2] * 3

    def restored():
        trainers, _ = members(epochs=3)
        for trainer, (weights, state) in zip(trainers, states, strict=True):
            trainer.model.load_state_dict(weights)
            trainer.load_state(state)
        return trainers

    together = restored()
    Group(together, validates(together)).run()
    for trainer, other in zip(together, whole, strict=True):
        assert same_state(trainer.model, other.model)
        assert same_state(trainer.state(), other.state())
    alone = restored()[1]
    alone.run()
    near(alone, whole[1])


def test_one_that_diverges_does_not_stop_the_others(members):
    alone, _ = members()
    alone[2].run()
    trainers, diaries = members()
    with torch.no_grad():
        next(trainers[1].model.decoder.parameters()).fill_(torch.nan)
    group = Group(trainers, validates(trainers))
    group.run()
    assert list(group.lost) == [trainers[1]]
    assert group.hand_out() == [trainers[0], trainers[2]]
    assert "diverged by step 4" in str(group.lost[trainers[1]])
    assert diaries[1].records == diaries[1].events == []
    assert diaries[0].events == diaries[2].events == [("epoch", 1), ("epoch", 2)]
    near(trainers[2], alone[2])


def test_it_ends_when_all_have_diverged(members):
    trainers, _ = members()
    for trainer in trainers:
        with torch.no_grad():
            next(trainer.model.decoder.parameters()).fill_(torch.nan)
    group = Group(trainers, validates(trainers))
    with pytest.raises(DivergedError):
        group.run()
    assert list(group.lost) == trainers
    assert group.progress.count == 4


def test_batches_of_all_lie_side_by_side(members):
    trainers, _ = members()
    together = Together([trainer.batches for trainer in trainers])
    assert len(together) == len(trainers[0].batches) == 4
    batches = list(together.epoch(1, 2))
    assert [batch.x.shape for batch in batches] == [(3, 32, 1, 8, 8), (3, 4, 1, 8, 8)]
    for seat, trainer in enumerate(trainers):
        own = list(trainer.batches.epoch(1, 2))
        assert all(torch.equal(a.x[seat], b.x) for a, b in zip(batches, own, strict=True))
        assert torch.equal(together.at(5).labels[seat], trainer.batches.at(5).labels)


def test_only_what_differs_by_its_seed_alone_is_a_group(members, tiny, new_trainer):
    trainers, _ = members()
    other = new_trainer(replace(trainers[0].config, lr=1.0))
    with pytest.raises(AssertionError):
        Group([trainers[0], other], validates(trainers[:2]))
    trainers[1].progress.count = 5
    with pytest.raises(AssertionError):
        Group(trainers, validates(trainers))


def test_a_member_needs_no_more_than_the_plain_step(members):
    trainer, *_ = members(step="joint")[0]
    plain = Trainer(trainer.model, trainer.config, trainer.batches, step=lone_step)
    assert type(plain.step).__name__ == "JointStep"
    assert plain.step.state().keys() == trainer.step.state().keys()  # checkpoints of both fit both
