"""Streams: what an epoch of pictures in files holds, in which order, and in how much memory."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from aae.data import Stored
from aae.training import streams
from aae.training.streams import Stream

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    """Blocks of four pictures, windows of 30: pictures are of one byte."""
    monkeypatch.setattr(streams, "BLOCK", 4)
    monkeypatch.setattr(streams, "WINDOW", 30)


def stream(n, batch_size, seed=0):
    """Pictures of one pixel whose value is their number, and whose label is its negative."""
    images = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    files = [images[: n // 3], images[n // 3 :]]
    return Stream(Stored(files), -np.arange(n), batch_size=batch_size, device=CPU, seed=seed)


def numbers(batch):
    return ((batch.x + 1) * 127.5).round().long().flatten().tolist()


def order(data, epoch, start=0):
    return [i for batch in data.epoch(epoch, start) for i in numbers(batch)]


@pytest.mark.parametrize(
    ("n", "batch_size"), [(200, 5), (202, 5), (201, 5), (121, 30), (20, 50), (200, 40), (63, 31)]
)
def test_an_epoch_covers_every_picture_once(small, n, batch_size):
    data = stream(n, batch_size)
    for epoch in range(3):
        parts = [numbers(batch) for batch in data.epoch(epoch)]
        assert len(parts) == len(data)
        assert sorted(i for part in parts for i in part) == list(range(n))
        assert all(len(part) == min(batch_size, n) for part in parts[:-1])
        assert 1 < len(parts[-1]) <= batch_size + 1


def test_pictures_keep_their_labels(small):
    for batch in stream(200, 8).epoch(3):
        assert numbers(batch) == (-batch.labels).tolist()


def test_the_order_depends_on_seed_and_epoch_alone(small):
    data = stream(200, 5, seed=1)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = order(data, 0)
    assert torch.equal(state, torch.get_rng_state())
    others = [order(data, 1), order(stream(200, 5, seed=2), 0), order(stream(200, 5, seed=0), 1)]
    assert order(data, 0) == first == order(stream(200, 5, seed=1), 0)
    assert first not in others
    assert len({tuple(other) for other in others}) == 3


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7, 39])
def test_an_epoch_from_the_middle(small, start):
    whole = [numbers(batch) for batch in stream(200, 5).epoch(2)]
    assert [numbers(batch) for batch in stream(200, 5).epoch(2, start)] == whole[start:]


def test_an_endless_stream_is_one_epoch_after_the_other(small):
    data, epochs = stream(62, 5), stream(62, 5)
    found = [numbers(data.at(count)) for count in range(2 * len(data))]
    assert found == [numbers(batch) for epoch in (0, 1) for batch in epochs.epoch(epoch)]


def test_a_window_is_blocks_from_everywhere_in_any_order(small):
    windows = []
    for epoch in range(20):
        seen = order(stream(200, 5), epoch)
        windows += [seen[i : i + 30] for i in range(0, 180, 30)]
    for window in windows:
        pairs = np.diff(sorted(window)) == 1
        assert pairs.sum() >= 30 - 9  # at most nine blocks, of which two may be cut
        assert window != sorted(window)
    # The first picture of an epoch is any, and so is the place of a picture within its window.
    firsts = [order(stream(200, 5), epoch)[0] for epoch in range(200)]
    assert np.std(firsts) == pytest.approx(200 / 12**0.5, rel=0.15)
    places = [sorted(window).index(window[0]) for window in windows]
    assert np.mean(places) == pytest.approx(14.5, abs=3)


def test_seed_and_epoch_decide_what_is_in_a_window_and_its_order(small):
    both = [(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    firsts = {frozenset(order(stream(200, 5, seed), epoch)[:30]) for seed, epoch in both}
    assert len(firsts) == 4
    # The only window of thirty pictures holds them all.
    assert len({tuple(order(stream(30, 5, seed), epoch)) for seed, epoch in both}) == 4


def test_the_next_window_is_read_ahead_and_once(small, monkeypatch):
    read, done = [], threading.Event()
    original = Stream._read

    def spy(self, k):
        window = original(self, k)
        read.append((k, threading.current_thread() is threading.main_thread()))
        if k == 3:
            done.set()
        return window

    monkeypatch.setattr(Stream, "_read", spy)
    data = stream(90, 10)  # three windows an epoch
    batches = data.epoch(0)
    for _ in range(9):
        next(batches)
    assert done.wait(10)  # the next epoch's first window, before it is asked for
    list(data.epoch(1))
    data._reader.shutdown()
    assert read == [(k, False) for k in range(7)]


def test_a_file_that_cannot_be_read_is_told(small, monkeypatch):
    def fail(self, out):
        raise OSError("the disk is gone")

    monkeypatch.setattr(Stored, "read", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream(90, 10).epoch(0))


MEMORY = """
import json, os, re, sys
from pathlib import Path
import torch
import aae.fit
from aae import cli
from aae.config import Config
from aae.evaluate import evaluate
from aae.training.trainer import Observer

os.chdir(sys.argv[1])
torch.set_num_threads(1)
aae.fit.Painter = lambda *args: Observer()

def megabytes():  # of its own: pages of mapped files are the system's
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

class Watch(Observer):
    most = 0
    def on_step(self, trainer):
        self.most = max(self.most, megabytes())

def use(name, validation):
    watch, data = Watch(), f"{name}.npy"
    config = Config(recipe="x", model="basic", data=data, hidden=16, epochs=1, batch_size=500,
                    validation=validation, network="mlp", device="cpu", precision="float32")
    run = aae.fit.fit(config, name, [watch])
    evaluate(run, judge=False)
    assert cli.main(["encode", name, data, "--out", f"{name}-codes.npy"]) == 0
    return max(watch.most, megabytes())

before = use("few", 0.5)  # what libraries, networks and one batch take
print(json.dumps([before, use("many", 0.02)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_and_use_take_a_bounded_memory(tmp_path):
    for name, n in {"few": 3_000, "many": 75_000}.items():
        images = np.lib.format.open_memmap(
            tmp_path / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(n, 64, 64)
        )
        images[::7, ::9] = 200  # the rest is a hole in the file
    # What is freed goes back at once: what is left is in use, not held for the next that asks.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY, tmp_path], env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert images.nbytes > 300e6
    assert after - before < 60  # two windows of 16 MB, and what goes with so many pictures
    codes = np.load(tmp_path / "many-codes.npy", mmap_mode="r")
    assert codes.shape == (75_000, 2)
    assert np.isfinite(codes).all()
