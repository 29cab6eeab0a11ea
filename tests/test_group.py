"""Trainers that make their steps together, each as if it were alone."""

import copy
from dataclasses import replace

import pytest
import torch

from aae.training.group import Group, Together
from aae.training.stacked import lone_step, state_of
from aae.training.trainer import DivergedError, Observer, Trainer

HARD = {
    "noise_std": 0.3,
    "input_dropout": 0.1,
    "dropout": 0.2,
    "classification_every": 3,
    "warmup": 6,
    "lr": 1e-3,
}


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
    assert str(group.lost[trainers[1]]).startswith("seed 1, step 1: the loss of reconstruction is")
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
    assert group.progress.count == 1


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("step", ["joint-plain", "alternating"])
@pytest.mark.parametrize("counts", [(1,), (2, 3), (4, 5)])
def test_a_member_that_skips_steps_goes_on_as_it_would_alone(
    members, caplog, step, counts, at_once, spoil
):
    # Adam counts a step that one member skipped, so it is near and no more.
    changes = {"step": step, "on_nonfinite": "skip", "optimizer": "sgd", "lr": 1e-4}
    alone, expected = members(**changes, batch_norm=True)
    spoil(alone[1], *counts)
    for trainer, validate in zip(alone, validates(alone), strict=True):
        trainer.run(validate)
    caplog.clear()
    trainers, diaries = members(**changes, batch_norm=True)
    spoil(trainers[1], *counts)
    group = Group(trainers, validates(trainers))
    group._looks_at_once = at_once
    group.run()
    assert group.lost == {}
    assert caplog.messages
    assert all(m.startswith("seed 1, step ") and "skipped" in m for m in caplog.messages)
    for trainer, other in zip(trainers, alone, strict=True):
        near(trainer, other)
        for mine, its in zip(trainer.model.buffers(), other.model.buffers(), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-5)
    for diary, wanted in zip(diaries, expected, strict=True):
        assert len(diary.records) == len(wanted.records)
        for mine, other in zip(diary.records, wanted.records, strict=True):
            assert mine == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("count", [1, 3])
def test_adam_s_moments_are_taken_back_too(members, same_state, count, spoil):
    trainers, _ = members(on_nonfinite="skip")
    spoil(trainers[1], count)
    states = []

    class Note(Observer):
        def on_step(self, group):
            state = state_of(group.step.state(), 1)
            held = {
                (name, number, key): value.clone()
                for name, whole in state.items()
                for number, values in whole["state"].items()
                for key, value in values.items()
                if value.dim()
            }
            states.append((copy.deepcopy(trainers[1].model.state_dict()), held))

    before = copy.deepcopy(trainers[1].model.state_dict())
    Group(trainers, validates(trainers), [Note()]).run()
    weights, moments = states[count - 1]
    # A phase on labelled pictures has sound ones: the joint step leaves all out.
    assert same_state(weights, states[count - 2][0] if count > 1 else before)
    if count > 1:
        assert same_state(moments, states[count - 2][1])
    else:
        assert all(not moment.any() for moment in moments.values())
    assert all(value.isfinite().all() for value in states[-1][0].values())
    assert not same_state(states[-1][0], weights)


@pytest.mark.parametrize("saves", [True, False])
def test_what_only_a_gradient_shows_is_seen_before_a_member_is_saved(members, saves):
    trainers, diaries = members()
    group = Group(trainers, validates(trainers))
    group._looks_at_once = False
    bias, at = group.model.decoder.pixels.bias, 2 if saves else 4
    watch = group.step.watch

    class Overflow(type(watch)):
        def __call__(self, losses, parameters, count):
            if count + 1 == at and any(p is bias for p in parameters):
                bias.grad[1, 0] = torch.inf
            return super().__call__(losses, parameters, count)

    class Save(Observer):
        def on_step(self, group):
            if saves and group.progress.count == at:
                assert group.hand_out() == [trainers[0], trainers[2]]

    watch.__class__ = Overflow
    group.observers = (Save(),)
    group.run()
    assert list(group.lost) == [trainers[1]]
    wanted = f"seed 1, step {at}: not finite is the gradient of decoder.pixels.bias"
    assert str(group.lost[trainers[1]]).startswith(wanted)
    assert [event for event in diaries[1].events if event[0] == "epoch"] == []
    assert diaries[0].events == diaries[2].events == [("epoch", 1), ("epoch", 2)]


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


def test_a_skipped_step_does_not_undo_what_clusters_were_merged(members, settling, spoil):
    trainers, _ = members(model="merged", classification_every=1, on_nonfinite="skip")
    before = [trainer.model.clusters.cluster_of.clone() for trainer in trainers]
    group = Group(trainers, validates(trainers))
    group.observers = (settling,)
    spoil(trainers[1], len(trainers[1].batches) + 1)
    group.run()
    first, then, _ = settling.seen
    assert torch.equal(first, then)
    assert not torch.equal(first, torch.stack(before))
