"""What a step needs, counted; what the machine reaches, by a clock that is made up."""

import math
import subprocess
import sys
from itertools import count

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from aae.autoencoder import Batch
from aae.bench import machine
from aae.bench.machine import Rates, Work
from aae.build import build
from aae.training.fast import FastJointStep


def seeded():
    return torch.Generator().manual_seed(0)


def test_the_work_of_a_small_network_is_that_counted_by_hand(tiny):
    model = build(tiny(hidden=5), (1, 2, 3), 10, seeded())
    work = Work.of(model, batch_size=3)
    # Weights of each layer, times rows forward, for the weights' gradient and for the input's.
    encoder = (6 * 5) * (3 + 3 + 0) + (5 * 5 + 2 * 5 * 2) * (3 + 3 + 3)
    decoder = (2 * 5 + 5 * 5 + 5 * 6) * (3 + 3 + 3)
    critic = (2 * 5) * (6 + 6 + 3) + (5 * 5 + 5 * 1) * (6 + 6 + 6)
    assert work.operations == 2 * (encoder + decoder + critic) == 3720
    weights = 6 * 5 + 5 * 5 + 2 * 5 * 2 + 2 * 5 + 5 * 5 + 5 * 6 + 2 * 5 + 5 * 5 + 5 * 1
    biases = 5 + 5 + 2 + 2 + 5 + 5 + 6 + 5 + 5 + 1
    assert work.traffic == 28 * (weights + biases) == 6188


@pytest.mark.parametrize("variant", ["basic", "semi"])
def test_no_step_does_less(tiny, new_model, part, variant):
    config = tiny(model=variant)
    model, n = new_model(config), 20
    step = FastJointStep(model, config)
    labels = torch.from_numpy(part.labels[:n])
    batch = Batch(torch.from_numpy(part.images[:n]) / 127.5 - 1, labels)
    with FlopCounterMode(display=False) as counter:
        step(batch, lambda: batch, 0, seeded())
    # It also takes the gradient in prior samples, beside that in the codes.
    codes = [a.critic.trunk.linears[0].weight.numel() for a in model.adversaries.values()]
    assert counter.get_total_flops() == Work.of(model, n).operations + 2 * n * sum(codes)


def test_the_least_time_is_that_of_arithmetic_and_memory():
    assert Work(operations=6, parameters=2).seconds(rate=3, bandwidth=14) == 6


def test_medians_of_rates():
    measured = [Rates(1, 10, 5), Rates(3, 20, 7), Rates(2, 60, 6)]
    assert Rates.median(measured) == Rates(2, 20, 6)
    assert Rates.median([Rates(1, None, 5), Rates(3, None, 7)]) == Rates(2, None, 6)


@pytest.fixture
def clock(monkeypatch):
    """Makes each look at the clock a quarter of a second later than the last."""
    ticks = count()
    monkeypatch.setattr(machine.time, "perf_counter", lambda: 0.25 * next(ticks))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rates_are_operations_over_time(clock, monkeypatch, dtype):
    monkeypatch.setattr(machine, "choose_precision", lambda precision, device: dtype)
    products, sums = [], []
    monkeypatch.setattr(torch, "mm", lambda a, b, out: products.append(a.dtype))
    monkeypatch.setattr(torch.Tensor, "add_", lambda self, other: sums.append(self.numel()))
    rates = machine.gauge("cpu", threads=1, parameters=1000, seconds=0.7)()
    # Three looks until 0.75 s have passed, with two pieces of work between them.
    assert rates.float32 == pytest.approx(2 * 2048**3 * 2 / 0.75)
    assert rates.bf16 == (None if dtype == torch.float32 else rates.float32)
    assert rates.bandwidth == pytest.approx(12 * 2000 * 2 / 0.75)
    # One more each, to warm up.
    assert products == [torch.float32] * 3 + [torch.bfloat16] * (3 if rates.bf16 else 0)
    assert sums == [2000] * 3


def test_a_piece_of_work_that_takes_longer_is_done_once(clock):
    done = []
    assert machine._repeated(lambda: done.append(1), "cpu", 0.0)() == 1 / 0.5
    assert len(done) == 2


def test_peak_memory_is_the_process_s_own():
    script = (
        "from aae.bench.machine import peak_memory\n"
        "before, on_gpu = peak_memory('cpu')\n"
        "kept = b'x' * (100 << 20)\n"
        "del kept\n"
        "print(before, peak_memory('cpu')[0], on_gpu)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, after, on_gpu = done.stdout.split()
    assert 90 < float(after) - float(before) < 110
    assert 50 < float(before) < 2000
    assert on_gpu == "None"


def test_the_machine_in_words():
    told = machine.describe("cpu")
    assert told["gpu"] is None
    assert told["cores"] >= 1
    assert set(told["units"]) <= set(machine.UNITS)
    assert all(told[name] for name in ("system", "processor"))
    assert not any(isinstance(value, float) and math.isnan(value) for value in told.values())
