"""Training into a run folder: who sees which labels, and a run resumed to the bit."""

import json
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aae import inference
from aae.data import Dataset, Stored, dataset_of
from aae.evaluate import evaluate
from aae.fit import Interrupted, fit, make_trainer, paced, resume, validation_figures
from aae.replicas.training import fit as many
from aae.run import Run
from aae.splits import Part, Splits
from aae.training import checkpoint
from aae.training.batches import Batches
from aae.training.streams import Stream
from aae.training.trainer import Observer

HARD = {
    "noise_std": 0.3, "input_dropout": 0.1, "dropout": 0.2, "batch_norm": True,
    "classification_every": 3, "warmup": 6,
}  # fmt: skip
EPOCH = 11
"""Batches in an epoch of the digits, less those kept for validation."""


class At(Observer):
    """Does something after a number of steps."""

    def __init__(self, count, action):
        self.count, self.action = count, action

    def on_step(self, trainer):
        if trainer.progress.count == self.count:
            self.action()


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def crash():
    raise RuntimeError("power failure")


def records(run):
    """Its records, but for the speed."""
    speed = "images_per_second"
    return [{k: v for k, v in record.items() if k != speed} for record in run.records()]


def end(run):
    """All that a run's last checkpoint holds."""
    trainer = make_trainer(run, Splits.of(run.config, run.dataset()))
    assert trainer.progress.epoch == run.config.epochs
    return trainer.model.state_dict(), trainer.state()


# --- who sees which labels


@pytest.fixture
def trainer_of(tiny, digits, tmp_path):
    def make(**changes):
        config = tiny(**changes)
        run = Run.create(tmp_path / config.model, config, digits)
        return make_trainer(run, Splits.of(config, digits))

    return make


@pytest.mark.parametrize("model", ["basic", "vae", "semi"])
def test_labels_are_hidden_from_models_that_may_not_see_them(trainer_of, model):
    trainer = trainer_of(model=model)
    assert (trainer.batches.labels == -1).all()


@pytest.mark.parametrize("model", ["labels", "supervised"])
def test_only_the_labels_asked_for_are_shown(trainer_of, model):
    trainer = trainer_of(model=model, labels=50, prior="mixture")
    assert trainer.batches.labels[trainer.batches.labels >= 0].bincount().tolist() == [5] * 10
    assert trainer.labelled is None


def test_labelled_pictures_are_those_with_a_label(trainer_of, digits):
    trainer = trainer_of(model="semi", labels=50)
    assert trainer.labelled.labels.bincount().tolist() == [5] * 10
    assert len(trainer.labelled.images) == 50
    truth = {i.tobytes(): y for i, y in zip(digits.train_images, digits.train_labels, strict=True)}
    pairs = zip(trainer.labelled.images.numpy(), trainer.labelled.labels.tolist(), strict=True)
    assert all(truth[image.tobytes()] == label for image, label in pairs)
    assert trainer.labelled.seed != trainer.batches.seed


def test_the_trainer_takes_its_settings_from_the_config(trainer_of):
    trainer = trainer_of(batch_size=50, seed=3, validation=0.1)
    assert (trainer.batches.batch_size, trainer.batches.seed) == (50, 3)
    assert len(trainer.batches.images) == 1437 - 144
    assert trainer.progress.count == 0


@pytest.fixture
def in_files(digits, monkeypatch):
    """The digits in files, read in windows of three batches; only a few pictures are kept."""
    monkeypatch.setattr("aae.data.stored.RESIDENT", 100 * 64)
    monkeypatch.setattr("aae.training.streams.BLOCK", 5 * 64)
    monkeypatch.setattr("aae.training.streams.WINDOW", 300 * 64)
    files = [digits.train_images[:500], digits.train_images[500:]]
    return replace(digits, train_images=Stored(files))


def test_pictures_in_files_are_streamed_and_the_few_labelled_are_kept(tiny, in_files, tmp_path):
    config = tiny(model="semi", labels=50)
    run = Run.create(tmp_path, config, in_files)
    trainer = make_trainer(run, Splits.of(config, in_files))
    assert isinstance(trainer.batches, Stream)
    assert isinstance(trainer.labelled, Batches)
    assert trainer.batches.length == 3
    assert len(trainer.batches) == EPOCH
    assert (trainer.batches.labels == -1).all()


def test_pictures_in_files_are_drawn(tiny, in_files, tmp_path):
    run = fit(tiny(epochs=1), tmp_path, dataset=in_files)
    drawn = {path.stem for path in run.figures.glob("*.png")}
    assert drawn == {"latent", "manifold", "samples", "reconstructions", "learning-curves"}


# --- validation


@pytest.mark.parametrize("reconstruction", ["squared", "absolute"])
def test_validation_figures_by_hand(tiny, new_model, digits, monkeypatch, reconstruction):
    monkeypatch.setattr(inference, "batch_size", lambda model: 30)  # the last batch is smaller
    model = new_model(tiny(model="semi", init="he", reconstruction=reconstruction)).eval()
    part = Part(digits.test_images[:100], digits.test_labels[:100])
    figures = validation_figures(model, part)
    x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
    codes = model.encode(x)
    error = model.decoder(codes.mean, codes.y) - x
    loss = 0.5 * error.square() if reconstruction == "squared" else error.abs()
    assert figures == pytest.approx(
        {
            "reconstruction": loss.sum().item() / 100,
            "classification": F.cross_entropy(codes.y_logits, labels).item(),
            "error": (codes.y.argmax(1) != labels).float().mean().item(),
        },
        rel=1e-5,
    )


def test_validation_draws_nothing_and_keeps_no_graph(tiny, new_model, part):
    model = new_model(tiny(posterior="universal")).eval()
    first, again = (validation_figures(model, part) for _ in range(2))
    assert first == again
    assert first.keys() == {"reconstruction"}
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_pictures_without_a_label_do_not_count_as_errors(tiny, new_model, part):
    model = new_model(tiny(model="semi", init="he")).eval()
    half = Part(part.images, np.where(np.arange(100) < 50, part.labels, -1))
    few = Part(part.images[:50], part.labels[:50])
    none = Part(part.images, np.full(100, -1))
    expected, found = (validation_figures(model, p) for p in (few, half))
    for name in ("classification", "error"):
        assert found[name] == pytest.approx(expected[name])
    assert found["reconstruction"] != pytest.approx(expected["reconstruction"])
    assert validation_figures(model, none).keys() == {"reconstruction"}


# --- a run, stopped and resumed


@pytest.fixture
def whole(tiny, tmp_path, no_pictures):
    """Runs a config without a stop."""
    return lambda config: fit(config, tmp_path / "whole")


@pytest.mark.parametrize("step", ["joint", "alternating"])
@pytest.mark.parametrize("model", ["basic", "semi"])
@pytest.mark.parametrize("count", [4, EPOCH, EPOCH + 7])  # within, at an epoch's last step, later
def test_ctrl_c_and_resume_is_the_same_to_the_bit(
    tiny, tmp_path, whole, same_state, model, step, count
):
    config = tiny(model=model, step=step, lr_steps=(1,), labels=50, sample_every=3, **HARD)
    expected = whole(config)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as stop:
        fit(config, tmp_path / "run", [At(count, press_ctrl_c)])
    assert signal.getsignal(signal.SIGINT) is handler
    place = f"epoch-{(count - 1) // EPOCH:04d}-batch-{(count - 1) % EPOCH + 1}"
    assert stop.value.place == tmp_path / "run" / "checkpoints" / place
    assert str(stop.value.place) in str(stop.value)
    assert all(record["step"] <= count for record in Run(tmp_path / "run").records())

    resumed = resume(tmp_path / "run")
    assert same_state(end(resumed), end(expected))
    assert records(resumed) == records(expected)


@pytest.mark.parametrize("step", ["joint", "alternating"])
@pytest.mark.parametrize("model", ["basic", "semi"])
def test_a_crash_goes_back_to_the_last_checkpoint_and_is_the_same_to_the_bit(
    tiny, tmp_path, whole, same_state, model, step
):
    config = tiny(model=model, step=step, epochs=3, labels=50, sample_every=2, **HARD)
    expected = whole(config)
    with pytest.raises(RuntimeError, match="power failure"):
        fit(config, tmp_path / "run", [At(2 * EPOCH + 6, crash)])
    stopped = Run(tmp_path / "run")
    assert [place.name for place in checkpoint.found(stopped.checkpoints)] == ["epoch-0002"]
    assert stopped.records()[-1]["step"] == 2 * EPOCH + 3  # 25, a multiple of five

    resumed = resume(tmp_path / "run")
    assert same_state(end(resumed), end(expected))
    assert records(resumed) == records(expected)


def test_a_crash_before_the_first_checkpoint_starts_anew(tiny, tmp_path, whole, same_state):
    config = tiny(**HARD)
    expected = whole(config)
    with pytest.raises(RuntimeError):
        fit(config, tmp_path / "run", [At(7, crash)])
    resumed = resume(tmp_path / "run")
    assert same_state(end(resumed), end(expected))
    assert records(resumed) == records(expected)


@pytest.mark.parametrize("count", [4, 6, EPOCH, EPOCH + 7])  # windows are of three steps
def test_a_stream_goes_on_to_the_bit(
    tiny, tmp_path, in_files, same_state, no_pictures, monkeypatch, count
):
    config = tiny(model="semi", labels=200, sample_every=3, **HARD)  # labelled ones streamed too
    monkeypatch.setattr("aae.splits.load", lambda *_, **__: in_files)
    expected = fit(config, tmp_path / "whole", dataset=in_files)
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [At(count, press_ctrl_c)], dataset=in_files)
    resumed = resume(tmp_path / "run")
    assert same_state(end(resumed), end(expected))
    assert records(resumed) == records(expected)
    assert evaluate(resumed, judge=False) == evaluate(expected, judge=False)


def test_a_stop_at_an_epochs_end_and_then_a_crash(tiny, tmp_path, whole, same_state):
    # The checkpoint is older than the validation figures of the same step.
    config = tiny(sample_every=9)
    expected = whole(config)
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [At(EPOCH, press_ctrl_c)])
    with pytest.raises(RuntimeError):
        resume(tmp_path / "run", [At(EPOCH + 2, crash)])
    resumed = resume(tmp_path / "run")
    assert records(resumed) == records(expected)
    assert same_state(end(resumed), end(expected))


def test_a_stop_at_an_epochs_end_is_judged_by_the_loss_of_that_epoch(tiny, tmp_path, whole):
    config = tiny(epochs=2, sharpen_from=0.5)
    expected = whole(config)
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [At(2 * EPOCH, press_ctrl_c)])
    assert records(resume(tmp_path / "run")) == records(expected)


def test_a_finished_run_is_left_as_it_is(tiny, whole, same_state):
    run = whole(tiny())
    before = end(run), run.records()
    again = resume(run.folder)
    assert same_state(end(again), before[0])
    assert again.records() == before[1]


def test_a_run_goes_on_wherever_it_is_asked_to(tiny, tmp_path, no_pictures, monkeypatch):
    run = fit(tiny(), tmp_path)
    asked = []
    monkeypatch.setattr("aae.fit.choose_device", lambda n: asked.append(n) or torch.device("cpu"))
    resume(tmp_path)
    resume(tmp_path, device="cuda:7")
    assert asked == ["cpu", "cuda:7"]
    assert Run(tmp_path).config == run.config  # the folder keeps what it was trained on


def test_a_second_ctrl_c_does_not_wait(tiny, tmp_path, no_pictures):
    def twice():
        press_ctrl_c()
        press_ctrl_c()

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), tmp_path / "run", [At(4, twice)])
    assert signal.getsignal(signal.SIGINT) is handler


def test_outside_of_the_main_thread_signals_belong_to_others(tiny, tmp_path, no_pictures):
    failures = []

    def train():
        try:
            fit(tiny(epochs=1), tmp_path / "run")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert failures == []
    assert len(Run(tmp_path / "run").records()) == 4


# --- the same run again


def test_the_seed_decides_a_run(tiny, tmp_path, same_state, no_pictures):
    def trained(name, seed):
        return fit(tiny(model="semi", labels=50, seed=seed, **HARD), tmp_path / name)

    first, again, other = trained("a", 1), trained("b", 1), trained("c", 2)
    assert same_state(end(first), end(again))
    assert records(first) == records(again)
    assert not same_state(end(first)[0], end(other)[0])


def test_a_run_leaves_the_worlds_randomness_alone(tiny, tmp_path):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(tiny(epochs=1, posterior="universal", **HARD), tmp_path)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_the_checkpoints_asked_for_are_kept(tiny, tmp_path, no_pictures):
    run = fit(tiny(epochs=5, sample_every=2, keep=2), tmp_path)
    names = [place.name for place in checkpoint.found(run.checkpoints)]
    assert names == ["epoch-0004", "epoch-0005"]


# --- data of one's own, and mistakes


def test_data_of_ones_own(tiny, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(61, 3, 6, 5), dtype=np.uint8)
    labels = np.arange(61) % 4 - 1  # a quarter has no label
    classes = ("cat", "dog", "owl")
    dataset = Dataset("mine", classes, images, labels, images[:9], np.maximum(labels[:9], 0))
    config = tiny(model="semi", labels="all", epochs=1, batch_size=16, classification_every=2)
    run = fit(config, tmp_path, dataset=dataset)
    assert run.shape == (3, 6, 5)
    assert run.classes == classes
    assert run.records()[-1]["error"] <= 1
    assert run.model().encode(torch.zeros(1, 3, 6, 5)).y.shape == (1, 3)
    # It does not take the config's data set for the one that it was given.
    with pytest.raises(ValueError, match=r"data given in Python.*give them again"):
        evaluate(Run(tmp_path))
    assert evaluate(Run(tmp_path), dataset=dataset)["examples"] == 9


def test_numbers_of_rows_are_made_in_float32(tiny, tmp_path):
    rows = np.random.default_rng(0).normal(size=(90, 4))
    run = fit(tiny(epochs=1, precision="auto"), tmp_path / "rows", dataset=dataset_of(rows))
    assert run.config.precision == "float32"
    chosen = fit(tiny(epochs=1, precision="bf16"), tmp_path / "own", dataset=dataset_of(rows))
    assert chosen.config.precision == "bf16"
    assert fit(tiny(epochs=1, precision="auto"), tmp_path / "run").config.precision == "auto"


def test_a_short_training_is_not_over_before_its_rates_have_risen(tiny, tmp_path):
    config = tiny(epochs=3, warmup=100, lr_steps=(), lr=0.5, log_every=1)
    run = fit(config, tmp_path)
    rates = [r["learning_rate"] for r in run.records() if r["split"] == "train"]
    assert rates[:4] == pytest.approx([1 / 6, 1 / 3, 0.5, 0.5])  # three steps, a tenth of 33
    assert run.config.warmup == 100


def test_the_warm_up_is_a_tenth_of_the_batches_that_there_are(tiny):
    config = tiny(epochs=100, batch_size=128, warmup=100)
    assert paced(config, 129).warmup == 10  # the lone example joins the batch before it
    assert paced(config, 130).warmup == 20
    assert paced(config, 5).warmup == 10


def test_what_does_not_fit_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(ValueError, match="choose at most"):
        fit(tiny(labels=10_000), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_not_gone_on_from(tiny, tmp_path, no_pictures):
    run = fit(tiny(epochs=1), tmp_path)
    weights = checkpoint.found(run.checkpoints)[-1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    about = json.loads((tmp_path / "config.json").read_text())
    about["config"] = replace(run.config, epochs=2).to_json()
    (tmp_path / "config.json").write_text(json.dumps(about))
    before = run.metrics.read_text()
    with pytest.raises(ValueError, match=r"is damaged: weights\.safetensors"):
        resume(tmp_path)
    assert run.metrics.read_text() == before


@pytest.mark.parametrize("how", [fit, lambda config, folder: many({"one": config}, folder)])
def test_a_device_that_is_not_there_leaves_no_folder(tiny, tmp_path, how):
    with pytest.raises(ValueError, match="--device cuda:99 cannot be used here"):
        how(tiny(device="cuda:99"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
