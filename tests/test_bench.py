"""The benchmark from end to end, with tiny networks; nothing here depends on the clock."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aae.bench import throughput as module
from aae.bench.contender import timed
from aae.bench.throughput import QUICK, Plan, contenders, find_pictures, throughput
from aae.cli import main

TINY = Plan(
    rounds=2,
    growth={"batch_size": (32,)},
    growth_rounds=1,
    gauge_seconds=0.0,
    changes={"hidden": 16, "batch_size": 16, "warm_up": 2, "steps": 2},
)
ASKED_FOR = {
    "ratio_plain", "ratio_plain_float32", "ratio_pythae", "seconds_per_epoch", "fraction_of_floor",
    "threads", "device", "data", "machine", "versions",
}  # fmt: skip


@pytest.fixture(scope="module")
def figures(digits):
    """What a run with tiny networks gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_pictures", lambda data_dir: (digits.train_images, "digits"))
        patch.setattr(module, "pythae_version", lambda: None)
        return throughput(TINY, device="cpu", threads=1)


def test_one_object_with_all_that_was_asked_for(figures):
    assert figures.keys() >= ASKED_FOR
    assert json.loads(json.dumps(figures)) == figures
    assert figures["data"] == "digits"
    assert (figures["device"], figures["threads"], figures["rounds"]) == ("cpu", 1, 2)
    assert figures["networks"] == "64-16-16"
    assert figures["ratio_pythae"] is None
    assert figures["versions"]["pythae"] is None
    assert list(figures["contenders"]) == ["ours", "ours, float32", "plain"]
    for name in "ratio_plain", "ratio_plain_float32", "seconds_per_epoch", "fraction_of_floor":
        assert figures[name] > 0
    ours = figures["contenders"]["ours"]
    step = ours["milliseconds_per_step"]
    assert step["low"] <= step["median"] <= step["high"]
    assert figures["seconds_per_epoch"] == pytest.approx(0.09 * step["median"], rel=1e-3)
    assert ours["warm_up_steps"] == 2


def test_growth_has_a_row_for_each_value(figures):
    assert list(figures["growth"]) == ["batch_size"]
    (row,) = figures["growth"]["batch_size"]
    assert row["batch_size"] == 32
    # 1,437 pictures in batches of 32: 45 steps.
    step, epoch = row["milliseconds_per_step"], row["seconds_per_epoch"]
    assert epoch["median"] == pytest.approx(0.045 * step["median"], rel=1e-3)


@pytest.fixture
def command(monkeypatch, figures, capsys):
    """Runs ``aae bench`` without measuring; gives its exit code, output, and what was asked for."""
    asked = []

    def instead(plan, **options):
        asked.append((plan, options))
        return figures

    monkeypatch.setattr(module, "throughput", instead)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args):
        code = main(["bench", *args])
        return code, capsys.readouterr().out, asked[-1] if asked else None

    return run


def test_the_tables(command, figures):
    code, out, (plan, options) = command()
    assert code == 0
    assert plan == Plan()
    assert (options["device"], options["threads"], options["data_dir"]) == ("auto", None, None)
    plain, ratio = figures["contenders"]["plain"], figures["ratios"]["plain"]
    rows = [line.split("  ") for line in out.splitlines()]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    (row,) = [row for row in rows if row[:1] == ["plain"]]
    seconds = plain["seconds_per_epoch"]
    assert row[1:3] == [f"{seconds['median']:.3g}", f"{seconds['low']:.3g}–{seconds['high']:.3g}"]
    assert row[-1] == f"{plain['peak_memory_mib']}"
    (row,) = [row for row in rows if row[:1] == ["plain over ours"]]
    assert row[1:] == [f"{ratio['median']:.3g}", f"{ratio['low']:.3g}–{ratio['high']:.3g}"]
    assert "64-16-16, code 2, batch 16, 1 thread, 1,437 pictures (digits), 2 rounds" in out
    assert f"{figures['fraction_of_floor']:.1%}" in out
    assert "Ours, with batch size" in out
    assert "pythae is not installed" in out
    assert "pythae over ours" not in out


def test_the_tables_of_a_gpu_with_pythae_beside(command, figures, monkeypatch):
    spread = {"median": 3.25, "low": 3.0, "high": 3.5}
    on_gpu = {**figures["contenders"]["plain"], "peak_device_memory_mib": 1234}
    more = {
        "contenders": {**figures["contenders"], "pythae": on_gpu},
        "ratios": {**figures["ratios"], "pythae": spread},
        "ratio_pythae": 3.25,
        "machine": {**figures["machine"], "gpu": "A Fast One"},
    }
    monkeypatch.setattr(module, "throughput", lambda plan, **options: {**figures, **more})
    code, out, _ = command("--quick")
    assert code == 0
    assert re.search(r"pythae over ours +3\.25 +3–3\.5 ", out)
    assert "1,234" in out
    assert "A Fast One" in out
    assert "not installed" not in out


def test_flags(command, figures):
    code, out, (plan, options) = command(
        "--quick", "--json", "--rounds", "4", "--threads", "3", "--device", "cuda:1",
        "--data-dir", "there",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out) == figures
    assert plan == replace(QUICK, rounds=4, seconds=math.inf)  # asked for, they are made
    assert (options["device"], options["threads"], options["data_dir"]) == ("cuda:1", 3, "there")
    assert not QUICK.growth


def test_the_script_is_another_door_to_the_command():
    script = Path(__file__).parents[1] / "benchmarks" / "throughput.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: aae bench" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["--threads", "0"], "--threads must be at least 1, not 0"),
        (["--device", "meta"], "--device meta cannot be timed; take cpu or cuda"),
    ],
)
def test_wrong_use(capsys, args, words):
    assert main(["bench", *args]) == 2
    assert words in capsys.readouterr().err


def test_pythae_runs_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(module, "pythae_version", lambda: "0.1.2")
    assert list(contenders())[-1] == "pythae"
    monkeypatch.setattr(module, "pythae_version", lambda: None)
    assert "pythae" not in contenders()


def test_without_mnist_pictures_are_random(monkeypatch, tmp_path):
    monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path))
    images, source = find_pictures()
    assert (images.shape, images.dtype) == ((60_000, 1, 28, 28), np.uint8)
    assert "random" in source
    assert images.std() > 70
    with pytest.raises(ValueError, match="mnist not found"):
        find_pictures(str(tmp_path))


@pytest.mark.parametrize("there", ["AAE_DATA_DIR", "AAE_CACHE_DIR", None])
def test_mnist_is_taken_where_it_lies(monkeypatch, tmp_path, digits, there):
    def load(name, folder):  # as the loader, which never downloads where it is given a folder
        if str(folder) != str(tmp_path / "there"):
            raise ValueError(f"{name} not found")
        return digits

    monkeypatch.setattr(module, "load", load)
    for place in ("AAE_DATA_DIR", "AAE_CACHE_DIR"):
        folder = tmp_path / ("there" if place == there else "elsewhere")
        monkeypatch.setenv(place, str(folder))
    images, source = find_pictures(None if there else str(tmp_path / "there"))
    assert source == "MNIST"
    assert images is digits.train_images


def test_a_lap_s_time_is_a_step_s(monkeypatch, small_setup):
    done = []
    monkeypatch.setattr("time.perf_counter", lambda: float(sum(done)))
    lap = timed(lambda setup: done.append, replace(small_setup, warm_up=5, steps=2))()
    assert done == [2, 2, 2, 2]  # three laps to warm up, for two would be too few
    assert (lap.seconds, lap.warm_up) == (1.0, 6)


def test_a_warm_up_that_takes_too_long_ends(monkeypatch, small_setup):
    done = []
    monkeypatch.setattr("time.monotonic", lambda: float(sum(done)))
    setup = replace(small_setup, warm_up=100, warm_up_seconds=7.0, steps=2)
    assert timed(lambda setup: done.append, setup)().warm_up == 8


def test_few_pictures_are_repeated(small_setup):
    many = replace(small_setup, pictures=250)
    images = many.load()
    assert many.epoch == 8
    assert np.array_equal(images[100:200], images[:100])
    assert np.array_equal(images[200:], images[:50])
