"""The loop: its order, its records, its randomness and its state."""

import copy
import gc
import itertools

import numpy as np
import pytest
import torch

from aae.training.trainer import STEPS, DivergedError, Observer, Progress

HARD = {
    "noise_std": 0.3, "input_dropout": 0.1, "dropout": 0.2, "batch_norm": True,
    "classification_every": 3, "warmup": 6,
}  # fmt: skip
"""All that is random, or has a memory."""
kinds = pytest.mark.parametrize("step", ["joint", "alternating"])
variants = pytest.mark.parametrize("model", ["basic", "semi", "vat"])


class Diary(Observer):
    """Writes down all that it is told."""

    def __init__(self):
        self.events, self.records = [], []

    def on_step(self, trainer):
        assert trainer.model.training
        self.events.append(("step", trainer.progress.epoch, trainer.progress.batch))

    def on_log(self, trainer, record):
        self.events.append((record["split"], trainer.progress.epoch, trainer.progress.batch))
        self.records.append(record)

    def on_epoch(self, trainer):
        assert not trainer.model.training
        self.events.append(("epoch", trainer.progress.epoch, trainer.progress.batch))


class Stop(Observer):
    """Raises after some steps."""

    def __init__(self, count):
        self.count = count

    def on_step(self, trainer):
        if trainer.progress.count == self.count:
            raise KeyboardInterrupt


# --- progress


def test_progress_keeps_means_of_the_epoch():
    progress = Progress()
    progress.add({"a": torch.tensor(1.0)})
    progress.add({"a": torch.tensor(3.0), "b": torch.tensor(7.0)})
    assert (progress.epoch, progress.batch, progress.count) == (0, 2, 2)
    assert progress.means() == {"a": 2, "b": 7}
    progress.finish_epoch()
    assert progress == Progress(epoch=1, batch=0, count=2)
    progress.add({"b": torch.tensor(5.0)})
    assert progress.means() == {"b": 5}


# --- the loop


def test_who_is_told_what_and_when(new_trainer, tiny):
    diary = Diary()
    trainer = new_trainer(tiny(epochs=2, log_every=3), [diary])  # 100 pictures: 4 batches an epoch
    validated = []

    def validate():
        assert not trainer.model.training
        validated.append(trainer.progress.epoch)
        return {"reconstruction": 9.0}

    trainer.run(validate)
    first = [("step", 0, 1), ("step", 0, 2), ("train", 0, 3), ("step", 0, 3), ("train", 0, 4),
             ("step", 0, 4), ("validation", 1, 0), ("epoch", 1, 0)]  # fmt: skip
    second = [("step", 1, 1), ("train", 1, 2), ("step", 1, 2), ("step", 1, 3), ("train", 1, 4),
              ("step", 1, 4), ("validation", 2, 0), ("epoch", 2, 0)]  # fmt: skip
    assert diary.events == first + second
    assert validated == [1, 2]
    assert [record["step"] for record in diary.records] == [3, 4, 4, 6, 8, 8]
    assert [record["epoch"] for record in diary.records] == [0.75, 1, 1, 1.5, 2, 2]


def test_what_a_record_holds(new_trainer, tiny):
    diary = Diary()
    trainer = new_trainer(tiny(model="semi", lr=0.01, lr_steps=(1,), epochs=2, log_every=2,
                               classification_every=3), [diary])  # fmt: skip
    losses = []
    step = trainer.step
    trainer.step = lambda *args: losses.append(step(*args)) or losses[-1]
    trainer.step.prepare, trainer.step.watch = step.prepare, step.watch
    trainer.run(lambda: {"error": 0.5})
    train, end, validation = diary.records[:3]
    for record, count in [(train, 2), (end, 4)]:
        for name in losses[0]:
            mean = torch.stack([some[name] for some in losses[:count]]).mean()
            assert record[name] == pytest.approx(mean.item())
        assert record["images_per_second"] > 0
    assert "classification" not in train
    assert end["classification"] == pytest.approx(losses[2]["classification"].item())
    assert validation == {
        "step": 4, "epoch": 1.0, "split": "validation", "error": 0.5,
    }  # fmt: skip
    rates = [r["learning_rate"] for r in diary.records if r["split"] == "train"]
    assert rates == [0.01] * 2 + [0.001] * 2


def test_the_speed_counts_the_wait_for_a_device(new_trainer, tiny, monkeypatch):
    diary, clock = Diary(), [0.0]
    trainer = new_trainer(tiny(epochs=1, log_every=2), [diary])
    look = trainer.step.watch.look

    def wait():
        clock[0] += 8.0
        return look()

    trainer._looks_at_once = False
    monkeypatch.setattr(trainer.step.watch, "look", wait)
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    trainer.run()
    assert [r["images_per_second"] for r in diary.records] == [2 * 32 / 8, (32 + 4) / 8]


def test_the_learning_rate_warms_up_and_falls_between_epochs(new_trainer, tiny):
    class Rates(Observer):
        def __init__(self):
            self.rates = []

        def on_step(self, trainer):
            self.rates += [o.lr.item() for o in trainer.step.optimizers.values()]

    rates, diary = Rates(), Diary()
    config = tiny(
        lr=1.0, adversarial_lr=2.0, lr_steps=(1, 2), lr_factor=0.5, epochs=3, warmup=2, log_every=1
    )
    new_trainer(config, [rates, diary]).run()
    assert rates.rates == [0.5, 1.0] + [1.0, 2.0] * 3 + [0.5, 1.0] * 4 + [0.25, 0.5] * 4
    assert [record["learning_rate"] for record in diary.records] == rates.rates[::2]


@pytest.mark.parametrize("step", [*STEPS])
def test_the_reconstruction_is_sharpened_from_its_share_of_the_epochs_on(new_trainer, tiny, step):
    class Losses(Observer):
        def __init__(self):
            self.late = []

        def on_step(self, trainer):
            read = trainer.step.twin.model if hasattr(trainer.step, "twin") else trainer.model
            self.late.append(read.reconstruction_loss.late.item())

    losses = Losses()
    new_trainer(tiny(step=step, epochs=4, sharpen_from=0.5), [losses]).run()
    assert losses.late == [0] * 8 + [1] * 8  # four batches an epoch


@pytest.mark.parametrize("step", ["joint", "joint-plain"])
def test_an_epoch_is_validated_with_the_loss_that_it_was_trained_with(new_trainer, tiny, step):
    trainer, late = new_trainer(tiny(step=step, epochs=4, sharpen_from=0.5)), []
    late_of = trainer.model.reconstruction_loss.late

    def validate():
        late.append(late_of.item())
        return {"reconstruction": 9.0}

    trainer.run(validate)
    assert late == [0, 0, 1, 1]
    # So it is where a training was stopped between an epoch's last step and its end.
    stopped = new_trainer(trainer.config)
    stopped.progress.epoch = 3
    late_of = stopped.model.reconstruction_loss.late
    stopped.conclude_epoch(validate)
    assert late[4:] == [1]


def test_labelled_pictures_come_in_their_own_order(new_trainer, tiny):
    trainer = new_trainer(tiny(model="semi", classification_every=3, epochs=6))
    seen = []
    step = trainer.step

    def spy(batch, labelled, count, generator):
        def note():
            seen.append(labelled())
            return seen[-1]

        return step(batch, note, count, generator)

    trainer.step, spy.prepare, spy.watch = spy, step.prepare, step.watch
    trainer.run()
    assert len(seen) == 24 // 3
    for i, batch in enumerate(seen):
        assert torch.equal(batch.x, trainer.labelled.at(i).x)


def test_training_learns(new_trainer, tiny):
    diary = Diary()
    new_trainer(tiny(epochs=20, lr=2e-3, log_every=1000), [diary]).run()
    assert diary.records[-1]["reconstruction"] < 0.8 * diary.records[0]["reconstruction"]


# --- randomness


@kinds
@variants
def test_the_seed_decides_a_run(new_trainer, tiny, same_state, model, step):
    def trained(seed):
        trainer = new_trainer(tiny(model=model, step=step, seed=seed, **HARD))
        trainer.run()
        return trainer

    first, again, other = trained(1), trained(1), trained(2)
    assert same_state(first.model, again.model)
    assert same_state(first.state(), again.state())
    assert not same_state(first.model, other.model)


@kinds
@pytest.mark.parametrize("posterior", ["gaussian", "universal"])
def test_each_step_draws_anew(new_trainer, tiny, posterior, step):
    trainer = new_trainer(tiny(posterior=posterior, step=step, **HARD))
    states = [trainer.generator.get_state()]

    class Watch(Observer):
        def on_step(self, trainer):
            states.append(trainer.generator.get_state())

    trainer.observers = (Watch(),)
    trainer.run()
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(states))


@kinds
def test_training_leaves_the_worlds_randomness_alone(new_trainer, tiny, step):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    new_trainer(tiny(model="semi", posterior="universal", step=step, **HARD)).run()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


# --- state


@kinds
@variants
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("count", [1, 4, 6, 8])  # in an epoch, at its last step, in the next, last
def test_stopped_and_resumed_is_the_same_to_the_bit(
    new_trainer, tiny, same_state, model, step, optimizer, count
):
    config = tiny(model=model, step=step, optimizer=optimizer, lr_steps=(1,), **HARD)
    whole_diary, diary = Diary(), Diary()
    whole = new_trainer(config, [whole_diary])
    whole.run()

    stopped = new_trainer(config, [diary, Stop(count)])
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    weights, state = copy.deepcopy((stopped.model.state_dict(), stopped.state()))
    resumed = new_trainer(config, [diary])
    resumed.model.load_state_dict(weights)
    resumed.load_state(state)
    resumed.run()

    assert same_state(resumed.model, whole.model)
    assert same_state(resumed.state(), whole.state())
    assert diary.events == whole_diary.events
    for records in (diary.records, whole_diary.records):
        for record in records:
            record.pop("images_per_second", None)
    assert diary.records == whole_diary.records


def test_losses_keep_their_order(new_trainer, tiny):
    trainer = new_trainer(tiny(), [Stop(4)])
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    state, names = trainer.state(), [*trainer.progress.means()]
    sums = state["progress"]["sums"]
    state["progress"]["sums"] = {name: sums[name] for name in sorted(sums)}  # as files have them
    assert names != sorted(names)
    resumed = new_trainer(tiny())
    resumed.load_state(state)
    assert [*resumed.progress.means()] == names


def test_a_state_from_another_kind_of_device(new_trainer, tiny, same_state):
    config = tiny(**HARD)
    stopped = new_trainer(config, [Stop(6)])
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    state = {**stopped.state(), "device": "cuda", "generator": torch.zeros(16, dtype=torch.uint8)}
    resumed = new_trainer(config)
    beginning = resumed.generator.get_state()
    resumed.load_state(state)
    assert same_state(resumed.state()["optimizers"], stopped.state()["optimizers"])
    assert resumed.progress == stopped.progress
    assert not torch.equal(resumed.generator.get_state(), beginning)
    resumed.run()


def test_a_finished_training_has_nothing_to_do(new_trainer, tiny, same_state):
    trainer = new_trainer(tiny())
    trainer.run()
    before = copy.deepcopy(trainer.model)
    trainer.run()
    assert same_state(trainer.model, before)


def test_a_training_that_diverges_stops_and_says_where(new_trainer, tiny):
    trainer = new_trainer(tiny(log_every=1))
    with torch.no_grad():
        trainer.model.decoder.pixels.bias[0] = torch.nan
    with pytest.raises(DivergedError, match=r"^step 1: the loss of reconstruction is not f"):
        trainer.run()


@variants
@kinds
def test_the_collector_rests_and_misses_nothing(tiny, new_trainer, model, step):
    awake = []

    class Watch(Observer):
        def on_step(self, trainer):
            awake.append(gc.isenabled())

    trainer = new_trainer(tiny(model=model, step=step, epochs=3), [Watch()])
    trainer._epoch()
    gc.collect()
    gc.disable()
    trainer._epoch()
    assert gc.collect() == 0
    gc.enable()
    trainer.run()
    assert gc.isenabled()
    assert not awake[-1]
