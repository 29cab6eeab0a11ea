"""What a training leaves in its folder: metrics, TensorBoard, checkpoints, pictures."""

import json
import struct
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aae.data import dataset_of
from aae.fit import fit
from aae.observers import Keeper, Painter, Recorder, is_due
from aae.run import Run
from aae.training import checkpoint
from aae.training.trainer import Progress

with warnings.catch_warnings():  # tensorboard's own imports
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


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


@pytest.mark.parametrize(
    ("progress", "kept"),
    [
        (Progress(), []),
        (Progress(epoch=0, batch=9, count=9), [("train", 5)]),
        (Progress(epoch=0, batch=10, count=10), [("train", 5), ("train", 10)]),
        (Progress(epoch=1, count=10), [("train", 5), ("train", 10), ("validation", 10)]),
    ],
)
@pytest.mark.parametrize("torn", [0, 1, 30])
def test_events_written_after_the_checkpoint_or_torn_are_undone(run, progress, kept, torn):
    with Recorder(run, Progress()) as recorder:
        recorder.on_log(at(5), record(5, 0))
        recorder.on_log(at(10), record(10, 1))
        recorder.on_log(at(10), record(10, 1, "validation"))
        recorder.tensorboard.add_histogram("codes/z", np.arange(9.0), 10)
        recorder.on_log(at(15), record(15, 1))
    (file,) = run.folder.glob("events*")
    file.write_bytes(file.read_bytes()[: -torn or None])
    with Recorder(run, progress) as recorder:
        recorder.on_log(at(20), record(20, 2))
    found = [
        (tag.partition("/")[0], point.step)
        for tag in events(run.folder).Tags()["scalars"]
        for point in events(run.folder).Scalars(tag)
    ]
    assert sorted(found) == sorted([*kept, ("train", 20)])
    histograms = events(run.folder).Tags()["histograms"]
    assert histograms == (["codes/z"] if len(kept) == 3 else [])
    # Not only does TensorBoard pass over them: they are gone from the files.
    loaded = [
        event.step
        for path in sorted(run.folder.glob("events*"))
        for event in LegacyEventFileLoader(str(path)).Load()
        if event.summary.value
    ]
    assert sorted(loaded) == sorted([step for _, step in kept] + [10] * len(histograms) + [20])


def test_bytes_that_are_no_events_are_left_out(run):
    place = run.folder / "events.out.tfevents.1"
    record = struct.pack("<Q", 3) + b"1234" + b"\xff\xff\xff" + b"1234"
    for content in (b"", b"12345", record, struct.pack("<Q", 2**63) + b"1234"):
        place.write_bytes(content)
        with Recorder(run, Progress()):
            assert place.read_bytes() == b""


def test_what_was_told_is_on_the_disk_before_a_checkpoint(run):
    with Recorder(run, Progress()) as recorder:
        recorder.on_log(at(5), record(5, 0))
        recorder.flush()
        assert len(events(run.folder).Scalars("train/reconstruction")) == 1
        assert len(run.records()) == 1


# --- when


@pytest.mark.parametrize(
    ("every", "epochs", "due"), [(2, 5, [2, 4, 5]), (10, 3, [3]), (1, 2, [1, 2])]
)
def test_checkpoints_and_pictures_are_due_every_few_epochs_and_at_the_end(every, epochs, due):
    asked = range(1, epochs + 1)
    assert [e for e in asked if is_due(at(0, e, epochs=epochs), every)] == due


@pytest.fixture
def keeper(run, monkeypatch):
    """Makes a keeper for some settings; notes when it saves."""

    def make(**changes):
        run.config = replace(run.config, **changes)
        keeper = Keeper(run, SimpleNamespace(flush=lambda: None))
        keeper.saved = []

        def save(folder, trainer, *, keep, keep_best, figures):
            assert (keep, keep_best) == (run.config.keep, run.config.keep_best)
            keeper.saved.append((trainer.progress.epoch, trainer.progress.batch))
            place = folder / f"epoch-{len(keeper.saved):04d}"
            place.mkdir(parents=True)
            monkeypatch.setitem(measured, place, figures)
            return place

        monkeypatch.setattr("aae.training.checkpoint.save", save)
        monkeypatch.setattr("aae.training.checkpoint.figures_of", measured.__getitem__)
        return keeper

    measured = {}
    return make


def epochs_of(keeper, run, figures):
    """Some epochs of two steps with these validation figures, as a keeper sees them."""
    for epoch, record in enumerate(figures, 1):
        for batch in (1, 2):
            keeper.on_step(at(2 * epoch + batch - 2, epoch - 1, batch, **vars(run.config)))
        end = at(2 * epoch, epoch, **vars(run.config))
        keeper.on_log(end, {"split": "validation", **record})
        keeper.on_epoch(end)
    return keeper.saved


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({"sample_every": 2}, [2, 4, 5]),
        ({"sample_every": 2, "checkpoint_every": 3}, [3, 5]),
        ({"sample_every": 9, "checkpoint_every": 3, "keep_best": "reconstruction"}, [1, 3, 4, 5]),
        ({"checkpoint_every": "999m"}, [5]),
    ],
)
def test_checkpoints_are_kept_when_they_are_due_and_of_the_best(run, keeper, changes, saved):
    figures = [{"reconstruction": value} for value in (5.0, 6.0, 7.0, 4.5, 4.5)]
    made = epochs_of(keeper(epochs=5, **changes), run, figures)
    assert made == [(epoch, 0) for epoch in saved]


def test_checkpoints_by_the_clock(run, keeper, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("aae.observers.time.monotonic", lambda: now[0])
    watch = keeper(epochs=9, checkpoint_every="0.5m")
    for count, (batch, seconds) in enumerate([(1, 29), (2, 31), (3, 60), (4, 62), (5, 999)], 1):
        now[0] = seconds
        watch.on_step(at(count, 0, batch, **vars(run.config)))
    assert watch.saved == [(0, 2), (0, 4), (0, 5)]
    # Whoever stops a training at a step that was just saved is given what was saved.
    assert watch.save(at(5, 0, 5, **vars(run.config))) == run.checkpoints / "epoch-0003"
    assert len(watch.saved) == 3


def test_the_end_is_saved_though_the_last_step_was(run, keeper, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("aae.observers.time.monotonic", lambda: now[0])
    watch = keeper(epochs=1, checkpoint_every="1m")
    now[0] = 61
    watch.on_step(at(2, 0, 2, **vars(run.config)))
    watch.on_epoch(at(2, 1, 0, **vars(run.config)))
    assert watch.saved == [(0, 2), (1, 0)]


def test_the_figures_of_an_epoch_are_not_those_of_later_weights(run, keeper):
    watch = keeper(epochs=2, sample_every=1)
    epochs_of(watch, run, [{"error": 0.5}])
    watch.save(at(3, 1, 1, **vars(run.config)))
    ended, later = (checkpoint.figures_of(run.checkpoints / f"epoch-000{k}") for k in (1, 2))
    assert (ended["error"], later) == (0.5, {})


def test_nothing_is_painted_when_it_is_not_due(run, monkeypatch):
    monkeypatch.setattr("aae.gallery.draw", lambda *_, **__: pytest.fail("painted"))
    Painter(run, None, None).on_epoch(at(5, 1, sample_every=2, epochs=4, keep=1))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1.0, [True, True, True, True]), (60.0, [True, False, False, True])],
)
def test_what_takes_long_to_draw_is_left_out_on_the_way(run, monkeypatch, seconds, expected):
    clock = [0.0]
    monkeypatch.setattr("aae.observers.time.monotonic", lambda: clock[0])
    painter, drawn = Painter(run, None, None), []

    def draw(trainer, *, whole):
        drawn.append(whole)
        clock[0] += seconds

    monkeypatch.setattr(painter, "draw", draw)
    for epoch in range(1, 5):
        clock[0] += 100.0
        painter.on_epoch(at(epoch, epoch, sample_every=1, epochs=4))
    assert drawn == expected


# --- the folder of a whole run: three epochs, pictures after the second and at the end


def test_a_failure_to_draw_loses_nothing_of_what_was_learned(
    tiny, digits, tmp_path, monkeypatch, same_state
):
    def fail(*_, **__):
        raise MemoryError("no room for a picture")

    monkeypatch.setattr("aae.gallery.draw", fail)
    with pytest.raises(MemoryError):
        fit(tiny(epochs=2, sample_every=2), tmp_path / "run", dataset=digits)
    run = Run(tmp_path / "run")
    assert [place.name for place in checkpoint.found(run.checkpoints)] == ["epoch-0002"]


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
    about = {"step", "epoch", "split"}
    assert records[-2].keys() == losses | about | {
        "classification", "images_per_second", "learning_rate",
    }  # fmt: skip
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


def test_the_noise_of_codes_is_not_that_of_the_prior_beside_them(tiny, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "torch.utils.tensorboard.SummaryWriter.add_histogram",
        lambda self, name, values, step: drawn.update({name: values}),
    )
    rows = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    fit(tiny(epochs=1, posterior="gaussian"), tmp_path / "run", dataset=dataset_of(rows))
    together = np.corrcoef(drawn["codes/z"].flatten(), drawn["codes/z_prior"].flatten())
    assert abs(together[0, 1]) < 0.5


def test_pictures_do_not_change_the_training(tiny_run, same_state, tmp_path, no_pictures):
    bare = fit(tiny_run.config, tmp_path / "bare")
    assert same_state(bare.model(), tiny_run.model())
