"""What is not finite: kept away from the model, named, and heeded as the user asked."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from aae.autoencoder import Batch
from aae.fit import fit
from aae.run import Run
from aae.training import checkpoint
from aae.training.batches import Batches
from aae.training.trainer import STEPS, DivergedError, Observer

kinds = pytest.mark.parametrize("step", [*STEPS])
variants = pytest.mark.parametrize("model", ["basic", "supervised", "semi", "vat"])
HARD = {
    "noise_std": 0.3,
    "input_dropout": 0.1,
    "dropout": 0.2,
    "batch_norm": True,
    "classification_every": 1,
}


class Diary(Observer):
    def __init__(self):
        self.records = []

    def on_log(self, trainer, record):
        self.records.append(record)


def state(trainer):
    """What an update changes."""
    return copy.deepcopy((trainer.model.state_dict(), trainer.step.state()))


@kinds
@variants
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_step_that_is_not_finite_changes_nothing(
    new_trainer, tiny, same_state, model, step, optimizer, count, spoil
):
    config = tiny(model=model, step=step, optimizer=optimizer, lr=1e-3, on_nonfinite="skip", **HARD)
    trainer, states = new_trainer(config), []

    class Note(Observer):
        def on_step(self, trainer):
            states.append(state(trainer))

    trainer.observers = (Note(),)
    states.append(state(trainer))
    spoil(trainer, count).run()
    for n, (before, after) in enumerate(itertools.pairwise(states), 1):
        # A phase on labelled pictures has sound ones, and in the alternation a step of its own.
        if not step.startswith("alternating") or model in ("basic", "supervised"):
            assert same_state(before[0], after[0]) == (n == count), n
    assert all(weight.isfinite().all() for weight in states[-1][0].values())
    moments = [values for optimizer in states[-1][1].values()
               for values in optimizer["state"].values()]  # fmt: skip
    assert all(each.isfinite().all() for values in moments for each in values.values())


@kinds
@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_skipped_is_said_and_not_counted(new_trainer, tiny, caplog, step, at_once, spoil):
    diary = Diary()
    config = tiny(step=step, on_nonfinite="skip", log_every=4, epochs=1)
    trainer = spoil(new_trainer(config, [diary]), 2, 3)
    trainer._looks_at_once = at_once
    trainer.run()
    said = caplog.messages
    assert len(said) == (2 if at_once else 1)
    assert said[0].startswith("step 2: the loss of reconstruction ")
    assert "nor is the gradient of " in said[0]
    assert said[-1].endswith("; skipped" if at_once else "; skipped, with 1 more")
    clean = Diary()
    new_trainer(config, [clean]).run()
    assert diary.records[0]["reconstruction"] == pytest.approx(
        clean.records[0]["reconstruction"], rel=0.1
    )
    assert trainer.progress.count == 4


@pytest.mark.parametrize("step", ["joint", "alternating"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_training_stops_at_what_is_not_finite(
    new_trainer, tiny, same_state, step, at_once, spoil
):
    trainer = spoil(new_trainer(tiny(step=step, log_every=3, **HARD)), 2)
    trainer._looks_at_once = at_once
    before = state(new_trainer(tiny(step=step, **HARD)))
    with pytest.raises(DivergedError, match=r"^step 2: the loss of reconstruction.* skip$"):
        trainer.run()
    assert trainer.progress.count == (2 if at_once else 3)
    assert not same_state(state(trainer)[0], before[0])  # the steps around it were good
    assert all(weight.isfinite().all() for weight in trainer.model.state_dict().values())


def test_nothing_is_saved_after_what_nobody_has_seen(new_trainer, tiny, tmp_path, spoil):
    trainer = new_trainer(tiny())
    trainer._looks_at_once = False

    class Save(Observer):
        def on_step(self, trainer):
            checkpoint.save(tmp_path, trainer, keep=9)

    trainer.observers = (Save(),)
    with pytest.raises(DivergedError, match="step 3"):
        spoil(trainer, 3).run()
    assert checkpoint.newest(tmp_path).name == "epoch-0000-batch-2"


@kinds
def test_a_gradient_alone_is_named(new_trainer, tiny, step):
    trainer = new_trainer(tiny(step=step))
    bias = trainer.model.decoder.pixels.bias
    watch = trainer.step.watch
    look = type(watch).__call__

    class Overflow(type(watch)):
        def __call__(self, losses, parameters, count):
            if count == 1 and any(p is bias for p in parameters):
                bias.grad[:2] = torch.tensor([torch.inf, -torch.inf])  # which add up to no infinity
            return look(self, losses, parameters, count)

    watch.__class__ = Overflow
    with pytest.raises(DivergedError, match=r"^step 2: not finite is the gradient of decoder\.pix"):
        trainer.run()


@kinds
def test_no_step_asks_the_host(new_trainer, tiny, monkeypatch, step):
    trainer = new_trainer(tiny(step=step, **HARD))
    trainer._looks_at_once = False
    watch, asked = trainer.step.watch, []

    class Silent(type(watch)):
        def __call__(self, *args):
            with pytest.MonkeyPatch.context() as patch:
                for name in ("item", "tolist", "__bool__", "__int__", "__float__", "__index__"):
                    patch.setattr(torch.Tensor, name, lambda *_: pytest.fail("asked"))
                asked.append(super().__call__(*args))
            return asked[-1]

    watch.__class__ = Silent
    trainer.run()
    assert len(asked) >= trainer.progress.count


def test_the_last_checkpoint_is_kept(tiny, tmp_path, no_pictures, monkeypatch):
    take = Batches.take

    calls = []
    monkeypatch.setattr(
        Batches, "take",
        lambda self, indices, rows=None: calls.append(1) or (
            take(self, indices) if len(calls) != 15
            else Batch(torch.full_like(take(self, indices).x, torch.nan), self.labels[indices])
        ),
    )  # fmt: skip
    with pytest.raises(DivergedError, match=r"step 15.*skip, in a new run; this one keeps"):
        fit(tiny(epochs=3), tmp_path)
    run = Run(tmp_path)
    assert run.epochs_done == 1
    assert all(weight.isfinite().all() for weight in run.model().state_dict().values())


def test_a_step_that_is_not_finite_does_not_undo_what_clusters_were_merged(
    new_trainer, tiny, settling, spoil
):
    trainer = new_trainer(tiny(model="merged", on_nonfinite="skip"))
    before = trainer.model.clusters.cluster_of.clone()
    trainer.observers = (settling,)
    spoil(trainer, len(trainer.batches) + 1).run()
    first, then, _ = settling.seen
    assert torch.equal(first, then)
    assert not torch.equal(first, before)


@kinds
def test_the_first_step_after_a_resume_is_undone_to_what_was_resumed(
    new_trainer, tiny, same_state, step, spoil
):
    config = tiny(step=step, on_nonfinite="skip", epochs=1, **HARD)
    trained, resumed = new_trainer(config), new_trainer(replace(config, epochs=2, log_every=1))
    trained.run()
    resumed.model.load_state_dict(trained.model.state_dict())
    resumed.load_state(trained.state())
    states = []

    class Note(Observer):
        def on_step(self, trainer):
            states.append(copy.deepcopy(trainer.model.state_dict()))

    resumed.observers = (Note(),)
    spoil(resumed, 1).run()
    assert same_state(states[0], trained.model.state_dict())
