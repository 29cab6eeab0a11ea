"""From made-up laps to figures."""

import dataclasses

import pytest

from aae.bench import figures
from aae.bench.contender import Lap
from aae.bench.figures import compare, fractions, grown, work_of
from aae.bench.machine import Rates

RATES = [Rates(2e9, 8e9, 1e9)] * 3


def laps(*milliseconds, memory=100.4, on_gpu=None):
    return [Lap(1e-3 * ms, memory, on_gpu, 30) for ms in milliseconds]


@pytest.fixture
def compared(small_setup):
    times = {
        "ours": laps(1, 2, 10), "ours, float32": laps(2, 3, 12), "plain": laps(4, 12, 20)
    }  # fmt: skip
    return compare(small_setup, times, RATES)


def test_ratios_are_taken_within_a_round(compared):
    assert compared["ratios"]["plain"] == {"median": 4, "low": 2, "high": 6}
    assert compared["ratio_plain"] == 4
    assert compared["ratio_plain_float32"] == 2
    assert compared["ratio_pythae"] is None
    assert compared["ratios"]["pythae"] is None


def test_pythae_where_it_ran(small_setup):
    times = {"ours": laps(1), "ours, float32": laps(2), "plain": laps(4), "pythae": laps(3)}
    assert compare(small_setup, times, RATES)["ratio_pythae"] == 3


def test_an_epoch_is_as_many_steps_as_it_has_batches(compared):
    # 100 pictures in batches of 32: four steps.
    assert compared["seconds_per_epoch"] == 0.008
    spread = compared["contenders"]["plain"]["seconds_per_epoch"]
    assert spread == {"median": 0.048, "low": 0.016, "high": 0.08}
    assert compared["rounds"] == 3


def test_fractions_are_of_the_rate_of_the_own_products(monkeypatch, small_setup):
    work, seconds = work_of(small_setup), [0.001, 0.002, 0.009]
    rates = Rates(1e8, 4e8, 1e9)
    for precision, name, rate in ("float32", "float32", 1e8), ("bf16", "bfloat16", 4e8):
        told = fractions(small_setup, seconds, rates, precision)
        floor = work.operations / rate + work.traffic / 1e9
        assert told["products"] == name
        assert told["floor_milliseconds"] == pytest.approx(1e3 * floor, rel=1e-3)
        assert told["fraction_of_floor"] == pytest.approx(floor / 0.002, rel=1e-3)
        assert told["fraction_of_rate"] == pytest.approx(work.operations / rate / 0.002, rel=1e-3)


def test_where_the_processor_has_no_units_ours_is_in_float32(monkeypatch, small_setup):
    monkeypatch.setattr("aae.training.device._has_bf16_units", lambda device: False)
    times = {"ours": laps(2), "ours, float32": laps(2), "plain": laps(4)}
    told = compare(small_setup, times, [Rates(2e9, None, 1e9)])
    assert told["contenders"]["ours"]["products"] == "float32"
    assert told["rates"]["bf16_gflops"] is None


def test_the_memory_is_the_last_lap_s(compared, small_setup):
    assert compared["contenders"]["plain"]["peak_memory_mib"] == 100
    assert compared["contenders"]["plain"]["peak_device_memory_mib"] is None
    row = grown(small_setup, laps(1, memory=7) + laps(1, memory=8.6, on_gpu=2.5), RATES)
    assert (row["peak_memory_mib"], row["peak_device_memory_mib"]) == (9, 2)


def test_a_row_of_growth(small_setup):
    larger = dataclasses.replace(small_setup, batch_size=50)
    row = grown(larger, laps(1, 2, 4), RATES)
    assert row["seconds_per_epoch"] == {"median": 0.004, "low": 0.002, "high": 0.008}
    assert row["pictures_per_second"] == 25_000
    assert row["fraction_of_floor"] == fractions(
        larger, [0.002], RATES[0], "auto")["fraction_of_floor"]  # fmt: skip
    assert figures.work_of(larger).operations == pytest.approx(
        50 / 32 * work_of(small_setup).operations
    )
