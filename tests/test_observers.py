"""What a training leaves in its folder: metrics, TensorBoard, checkpoints, pictures."""

import json
import warnings
from types import SimpleNamespace

import pytest

from aae.fit import fit
from aae.observers import Keeper, Painter, Recorder, is_due
from aae.run import Run
from aae.training.trainer import Progress

with warnings.catch_warnings():  # tensorboard's own imports
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def events(folder):
    found = EventAccumulator(str(folder), {"scalars": 0, "images": 0, "histograms": 0})
    found.Reload()
    return found


def at(count, epoch=0, batch=0, **config):
    """As much of a trainer as observers look at."""
    return SimpleNamespace(
        progress=Progress(epoch=epoch, batch=batch, count=count), config=SimpleNamespace(**config)
    )


@pytest.fixture
def run(tiny, digits, tmp_path):
    return Run.create(tmp_path / "run", tiny(), digits)


def record(step, epoch, split="train", **figures):
    return {"step": step, "epoch": epoch, "split": split, "reconstruction": 2.5, **figures}


# --- metrics


def test_each_record_is_a_line_and_a_point(run):
    with Recorder(run, Progress()) as recorder:
        for step in (5, 10):
            recorder.on_log(at(step), record(step, 0, reconstruction=10.0 / step))
            # Whoever watches the file sees the line at once.
            assert run.records()[-1]["step"] == step
        recorder.on_log(at(10, 1), record(10, 1, "validation", reconstruction=7.0))
    assert [r["reconstruction"] for r in run.records()] == [2, 1, 7]
    found = events(run.folder)
    assert found.Tags()["scalars"] == ["train/reconstruction", "validation/reconstruction"]
    points = found.Scalars("train/reconstruction")
    assert [(point.step, point.value) for point in points] == [(5, 2), (10, 1)]
    assert [p.step for p in found.Scalars("validation/reconstruction")] == [10]


@pytest.mark.parametrize(
    ("progress", "kept"),
    [
        (Progress(), 0),
        (Progress(epoch=0, batch=5, count=5), 1),
        (Progress(epoch=0, batch=9, count=9), 1),
        (Progress(epoch=0, batch=10, count=10), 2),  # the epoch's last step, but not its end
        (Progress(epoch=1, batch=0, count=10), 3),
        (Progress(epoch=1, batch=5, count=15), 4),
    ],
)
def test_what_was_written_after_the_checkpoint_is_undone(run, progress, kept):
    records = [record(5, 0.5), record(10, 1.0), record(10, 1.0, "validation"), record(15, 1.5)]
    run.metrics.write_text("".join(json.dumps(r) + "\n" for r in records))
    with Recorder(run, progress) as recorder:
        assert run.records() == records[:kept]
        recorder.on_log(at(99), record(99, 9))
    assert run.records() == [*records[:kept], record(99, 9)]


def test_tensorboard_forgets_what_was_written_after_the_checkpoint(run):
    with Recorder(run, Progress()) as recorder:
        for step in (5, 10, 15):
            recorder.on_log(at(step), record(step, 0, reconstruction=1.0))
    with Recorder(run, Progress(count=10)) as recorder:
        recorder.on_log(at(20), record(20, 0, reconstruction=2.0))
    points = events(run.folder).Scalars("train/reconstruction")
    assert [(point.step, point.value) for point in points] == [(5, 1), (10, 1), (20, 2)]


# --- when


@pytest.mark.parametrize(
    ("every", "epochs", "due"), [(2, 5, [2, 4, 5]), (10, 3, [3]), (1, 2, [1, 2])]
)
def test_checkpoints_and_pictures_are_due_every_few_epochs_and_at_the_end(every, epochs, due):
    asked = range(1, epochs + 1)
    assert [e for e in asked if is_due(at(0, e, sample_every=every, epochs=epochs))] == due


def test_nothing_is_kept_or_painted_when_it_is_not_due(run, monkeypatch):
    monkeypatch.setattr("aae.gallery.draw", lambda *args: pytest.fail("painted"))
    monkeypatch.setattr("aae.training.checkpoint.save", lambda *args, **_: pytest.fail("saved"))
    trainer = at(5, 1, sample_every=2, epochs=4, keep=1)
    Keeper(run).on_epoch(trainer)
    Painter(run, None, None).on_epoch(trainer)


# --- the folder of a whole run: three epochs, pictures after the second and at the end


def test_the_pictures_of_a_run(tiny_run):
    names = {path.name for path in tiny_run.figures.glob("*.png")}
    pictures = {"latent", "samples", "style", "reconstructions", "learning-curves"}
    assert names == {f"{name}.png" for name in pictures}
    history = {path.name for path in (tiny_run.figures / "history").iterdir()}
    assert history == {
        f"{name}-{epoch}.png"
        for name in ("latent", "samples", "style")
        for epoch in ("0002", "0003")
    }
    for name in ("latent", "samples", "style"):
        newest = (tiny_run.figures / f"{name}.png").read_bytes()
        assert newest.startswith(b"\x89PNG")
        assert newest == (tiny_run.figures / "history" / f"{name}-0003.png").read_bytes()
        assert newest != (tiny_run.figures / "history" / f"{name}-0002.png").read_bytes()


def test_the_metrics_of_a_run(tiny_run):
    records = tiny_run.records()
    assert [(r["split"], r["step"]) for r in records] == [
        ("train", 5), ("train", 10), ("train", 11), ("validation", 11),
        ("train", 15), ("train", 20), ("train", 22), ("validation", 22),
        ("train", 25), ("train", 30), ("train", 33), ("validation", 33),
    ]  # fmt: skip
    losses = {"reconstruction", "discriminator_z", "generator_z", "discriminator_y", "generator_y"}
    about = {"step", "epoch", "split", "learning_rate"}
    assert records[-2].keys() == losses | about | {"classification", "images_per_second"}
    assert records[-1].keys() == about | {"reconstruction", "classification", "error"}
    assert records[-2]["reconstruction"] < records[2]["reconstruction"]


def test_the_summaries_of_a_run(tiny_run):
    found = events(tiny_run.folder)
    tags = found.Tags()
    sheets = ("input", "noisy_input", "reconstruction", "sample")
    assert set(tags["images"]) == {f"images/{name}" for name in sheets}
    assert set(tags["histograms"]) == {"codes/z", "codes/z_prior", "codes/y", "codes/y_prior"}
    for name in tags["images"]:
        assert [image.step for image in found.Images(name)] == [22, 33]
    for name in tags["histograms"]:
        count = 120 * (1 if "/z" in name else 10) * (2 if "/z" in name else 1)
        assert [h.histogram_value.num for h in found.Histograms(name)] == [count] * 2, name
    images = {name: found.Images(name)[0].encoded_image_string for name in tags["images"]}
    assert len(set(images.values())) == len(sheets)
    for r in tiny_run.records():
        points = {p.step: p.value for p in found.Scalars(f"{r['split']}/reconstruction")}
        assert points[r["step"]] == pytest.approx(r["reconstruction"])


def test_pictures_do_not_change_the_training(tiny_run, same_state, tmp_path, no_pictures):
    bare = fit(tiny_run.config, tmp_path / "bare")
    assert same_state(bare.model(), tiny_run.model())
