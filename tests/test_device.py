"""The choice of device and number format."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from aae.training import device
from aae.training.device import choose_device, choose_precision, machine

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("there_is_one", "name"), [(False, "cpu"), (True, "cuda")])
def test_auto_takes_the_gpu_where_there_is_one(monkeypatch, there_is_one, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is_one)
    assert choose_device("auto").type == name


def test_a_device_by_name():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=f"--device {name} cannot be used here .*; take cpu"):
        choose_device(name)


@pytest.mark.parametrize(("name", "rank", "fine"), [
    ("auto", 1, True), ("auto", 2, False), ("cuda", 2, False), ("cpu", 2, True),
])  # fmt: skip
def test_no_more_processes_than_gpus(monkeypatch, name, rank, fine):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for variable, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 3}.items():
        monkeypatch.setenv(variable, str(value))
    if fine:
        assert choose_device(name).type == {"auto": "cuda"}.get(name, name)
    else:
        with pytest.raises(ValueError, match=r"3 processes or more .* there are 2 GPUs"):
            choose_device(name)


def test_a_machine_is_named_by_any_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Quick")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    for variable, value in {"RANK": 2, "LOCAL_RANK": 2, "WORLD_SIZE": 3}.items():
        monkeypatch.setenv(variable, str(value))
    assert machine().startswith("Quick, ")


def test_processes_on_other_hosts_need_no_gpu_here(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for variable, value in {"RANK": 2, "LOCAL_RANK": 0, "WORLD_SIZE": 4}.items():
        monkeypatch.setenv(variable, str(value))
    assert choose_device("auto").type == "cuda"


def test_a_gpu_convolves_in_float32_where_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    choose_precision("float32", CPU)
    assert torch.backends.cudnn.allow_tf32
    choose_precision("float32", GPU)
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("units", "chosen"),
    [
        ({}, torch.float32),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_precision_on_a_cpu(monkeypatch, units, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    assert choose_precision("auto", CPU) == chosen


@pytest.mark.parametrize(
    ("capability", "chosen"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_auto_precision_on_a_gpu(monkeypatch, capability, chosen):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda where: capability)
    assert choose_precision("auto", GPU) == chosen


def test_precision_by_name(monkeypatch):
    for has_units in (False, True):
        monkeypatch.setattr(device, "_has_bf16_units", lambda where, has=has_units: has)
        assert choose_precision("float32", CPU) == torch.float32
        assert choose_precision("bf16", CPU) == torch.bfloat16


def test_numbers_too_small_to_matter_are_zero():
    choose_device("cpu")
    tiny = torch.full((3,), 1e-30)
    assert torch.equal(tiny * 1e-10, torch.zeros(3))


def test_the_machine_in_words(monkeypatch):
    monkeypatch.setattr(device, "_has_bf16_units", lambda where: True)
    monkeypatch.setattr(device, "processor", lambda: "A Fast One")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert machine() == "A Fast One, 3 threads, bfloat16"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
@pytest.mark.parametrize("units", [500, 5000, 10_000])
@pytest.mark.parametrize(
    ("variables", "kept"), [({}, True), ({"MALLOC_MMAP_THRESHOLD_": "131072"}, False)]
)
def test_freed_memory_is_kept_for_the_next_step(variables, kept, units):
    script = (
        "import resource, torch\n"
        "from aae.training.device import keep_freed_memory\n"
        f"keep_freed_memory({units} * 4000)\n"
        "def faults():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def step():\n"
        f"    return [torch.ones({units}, 1000) for _ in range(3)]\n"
        "for _ in range(5): step()\n"
        "before = faults()\n"
        "for _ in range(5): step()\n"
        "print(faults() - before)"
    )
    others = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script], env=others | variables,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (int(done.stdout) < units * 2) == kept  # of some 15 pages a unit
