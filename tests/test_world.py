"""Several processes that train one model, held to one process that trains it alone."""

import copy
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from aae.build import build
from aae.cli import main
from aae.config import Config
from aae.data import Stored, load
from aae.fit import new_trainer
from aae.run import Run
from aae.splits import Part
from aae.training import checkpoint
from aae.training.batches import Batches
from aae.training.streams import Stream
from aae.training.trainer import make_step
from aae.training.world import ALONE, Workers, _share_statistics
from double import in_double

CPU = torch.device("cpu")
MODELS = ("basic", "labels", "supervised", "semi", "cluster", "embed", "vae")
CASES = [
    (model, step, batch_norm)
    for model in MODELS
    for step in ("joint", "alternating")
    for batch_norm in (False, True)
    if (model, step) != ("vae", "alternating")
]
HARD = {"noise_std": 0.3, "input_dropout": 0.1, "dropout": 0.2}


@in_double()
def trained(case, world, count):
    """The weights of a model after epochs of two batches, the second one small."""
    model, step, batch_norm = case
    classes = {"vat_weight": 5.0, "tangent_weight": 5.0, "warp_weight": 5.0, "balance_weight": 5.0}
    sharpened = model in ("basic", "labels")
    config = Config(
        recipe="test", data="digits", model=model, step=step, batch_norm=batch_norm, hidden=12,
        prior="mixture" if model == "labels" else "gaussian", batch_size=32, warmup=0,
        epochs=2 if sharpened else 1, sharpen_from=0.5 if sharpened else None,
        # Where a gradient is 0 but for rounding, Adam makes a whole step of that.
        optimizer="sgd", lr=0.003, labels=0 if model == "cluster" else "all",
        precision="float32", **HARD, **(classes if model in MODELS[3:6] else {}),
        reading_weight=5.0 if model == "supervised" else 0.0,
        denoising_weight=1.0 if batch_norm and model in ("semi", "embed") else 0.0,
    )  # fmt: skip
    data = load("digits")
    part = Part(data.train_images[:count], data.train_labels[:count])
    model = build(config, (1, 8, 8), 10, torch.Generator().manual_seed(1))
    trainer = new_trainer(model, config, part, step=partial(make_step, world=world), world=world)
    trainer.run()
    state = trainer.model.state_dict()
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float64}
    return state


def work(rank, size, cases, count, folder):
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    world = Workers(rank, size)
    made = {case: trained(case, world, count) for case in cases}
    torch.save(made, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("size", "cases", "count"),
    [
        (2, CASES, 43),  # the second batch has five and six rows
        # It has two rows for three processes: one has none.
        (3, [c for c in CASES if c[0] == "labels" or (c[0] == "semi" and not c[2])], 34),
    ],
)
def test_several_processes_make_the_same_weights_as_one(size, cases, count, tmp_path):
    torch.multiprocessing.spawn(work, (size, cases, count, tmp_path), nprocs=size)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(size)]
    for case in cases:
        alone = trained(case, ALONE, count)
        for name, weights in alone.items():
            first, *others = [part[case][name] for part in parts]
            assert all(torch.equal(first, other) for other in others), (case, name)
            assert torch.allclose(first, weights, rtol=0, atol=1e-9), (case, name)


@pytest.mark.parametrize("size", [2, 3])
def test_each_process_has_its_rows_of_every_batch(size):
    images = np.arange(70, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    make = {"images": images, "labels": np.arange(70), "batch_size": 32, "device": CPU, "seed": 3}
    alone = list(Batches(**make).epoch(1))
    shared = [list(Batches(**make, world=Workers(rank, size)).epoch(1)) for rank in range(size)]
    for whole, *parts in zip(alone, *shared, strict=True):
        assert torch.equal(torch.cat([p.x for p in parts]), whole.x)
        assert torch.equal(torch.cat([p.labels for p in parts]), whole.labels)
        assert {p.rows.total for p in parts} == {len(whole.x)}
        assert max(len(p.x) for p in parts) - min(len(p.x) for p in parts) <= 1


def test_each_process_reads_its_rows_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("aae.training.streams.BLOCK", 16)
    monkeypatch.setattr("aae.training.streams.WINDOW", 160)
    images = np.random.default_rng(0).integers(0, 256, (103, 1, 2, 2), np.uint8)
    np.save(tmp_path / "x.npy", images)
    read = []
    monkeypatch.setattr(
        Stored,
        "read",
        lambda self, out, real=Stored.read: (read.append(len(self)), real(self, out)),
    )

    def epochs(world):
        make = {"labels": np.arange(103), "batch_size": 10, "device": CPU, "seed": 1}
        stored = Stored([np.load(tmp_path / "x.npy", mmap_mode="r")])
        stream = Stream(stored, world=world, **make)
        return [batch for number in (0, 1) for batch in stream.epoch(number)]

    parts = [epochs(Workers(rank, 2)) for rank in range(2)]
    assert max(read) <= 20  # of windows of forty
    alone = epochs(ALONE)
    for whole, *own in zip(alone, *parts, strict=True):
        assert torch.equal(torch.cat([p.x for p in own]), whole.x)
        assert torch.equal(torch.cat([p.labels for p in own]), whole.labels)


def test_in_use_a_process_asks_no_other(new_model, tiny):
    # The first process validates while the others train on: no sum may be waited for.
    model = new_model(tiny(batch_norm=True))
    model.encoder.trunk.norms[0] = torch.nn.BatchNorm1d(32, track_running_stats=False)
    x = torch.randn(5, 1, 8, 8)
    expected = model.eval().encode(x).z
    Workers(0, 2).prepare(model)
    assert torch.equal(model.eval().encode(x).z, expected)
    sharpened = new_model(tiny(sharpen_from=0.5))
    Workers(0, 2).prepare(sharpened)
    assert torch.isfinite(sharpened.eval().reconstruction_loss(x.tanh(), x))


@pytest.mark.parametrize("momentum", [0.2, None])
@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 5), (6, 3, 4, 5)])
def test_shared_statistics_of_the_only_process_are_torch_s_own(monkeypatch, shape, momentum):
    world = Workers(0, 1)
    monkeypatch.setattr(world, "sum", lambda values: values)
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[len(shape)]
    own = kind(3, momentum=momentum)
    torch.nn.init.uniform_(own.weight, 0.5, 2.0)
    shared = torch.nn.Sequential(copy.deepcopy(own))
    _share_statistics(shared, world)
    assert type(shared[0]) is not kind
    for seed in range(3):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 5
        x, y = x.requires_grad_(), x.clone().requires_grad_()
        torch.testing.assert_close(shared(x), own(y), rtol=1e-4, atol=1e-5)
        of_x, of_y = (
            torch.autograd.grad(f.square().sum(), v) for f, v in ((shared(x), x), (own(y), y))
        )
        torch.testing.assert_close(of_x, of_y, rtol=1e-3, atol=1e-3)
    for found, expected in zip(shared[0].buffers(), own.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_phase_that_changes_no_weight_has_its_loss_summed(monkeypatch):
    world = Workers(0, 2)
    monkeypatch.setattr(world, "sum", lambda flat: flat * 2)
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    assert world.total({"discriminator_z": torch.tensor(1.5)}, [*frozen.parameters()]) == {
        "discriminator_z": 3.0
    }


def test_gradients_keep_the_type_of_their_weights(monkeypatch):
    world = Workers(0, 2)
    monkeypatch.setattr(world, "sum", lambda flat: flat * 2)
    weights = [torch.nn.Parameter(torch.ones(2, dtype=kind))
               for kind in (torch.float64, torch.bfloat16, torch.float32)]  # fmt: skip
    for weight in weights:
        weight.grad = weight.detach() + 0.5
    world.total({"discriminator_z": torch.tensor(1.5)}, weights)
    for weight in weights:
        assert weight.grad.dtype == weight.dtype
        assert weight.grad.tolist() == [3, 3]


def test_a_batch_has_a_picture_for_each_process(new_model, tiny, part):
    config = tiny(batch_size=4)
    with pytest.raises(ValueError, match="--batch-size 4 is for all of 5 processes"):
        new_trainer(new_model(config), config, part, world=Workers(0, 5))


FLAGS = [
    "gaussian", "--data", "digits", "--hidden", "64", "--epochs", "20", "--batch-size", "64",
    "--optimizer", "sgd", "--lr", "0.0005", "--generator-weight", "6", "--precision", "float32",
    "--log-every", "1", "--sample-every", "100",
]  # fmt: skip


def launch(count, *args, more=(), wrap=(), env=None):
    """Start processes that train together; a folder for their words, and who started them."""
    command = [*wrap, sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}"]
    return subprocess.Popen(
        [*command, *more, "-m", "aae", "train", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
    )  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"--master-port={probe.getsockname()[1]}"


def wait_for_epochs(run, count):
    """Until a training has been through some epochs."""
    for _ in range(1200):
        if run.exists() and run.read_text().count('"validation"') >= count:
            return
        time.sleep(0.05)
    raise AssertionError("it does not get anywhere")


def processes_of(launcher):
    """The processes that torchrun started, by their ranks."""
    children = f"/proc/{launcher.pid}/task/{launcher.pid}/children"
    found = {}
    for pid in map(int, Path(children).read_text().split()):
        told = dict(
            line.split("=", 1)
            for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
            if "=" in line
        )
        found[int(told["RANK"])] = pid
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """One process's run, never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    assert main(["train", *FLAGS, "--out", str(folder)]) == 0
    return Run(folder)


def assert_same(folder, run):
    """A run made together has the records and weights of one made alone."""
    ours, theirs = Run(folder), run
    records, expected = ours.records(), theirs.records()
    assert [(r["step"], r["split"]) for r in records] == [(r["step"], r["split"]) for r in expected]
    for record, other in zip(records, expected, strict=True):
        assert record["reconstruction"] == pytest.approx(other["reconstruction"], rel=1e-3)
    weights, others = ours.model().state_dict(), theirs.model().state_dict()
    for name, value in weights.items():
        assert torch.allclose(value, others[name], rtol=0, atol=1e-3), name
    assert ours.config == theirs.config
    assert len(checkpoint.found(ours.checkpoints)) >= 1


LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")


@LINUX
def test_a_lost_process_is_replaced_and_the_training_goes_on(undisturbed, tmp_path):
    folder = tmp_path / "run"
    launcher = launch(2, *FLAGS, "--out", folder, more=[free_port(), "--max-restarts=1"])
    wait_for_epochs(folder / "metrics.jsonl", 2)
    os.kill(processes_of(launcher)[1], signal.SIGKILL)
    said, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, said
    assert re.search(r"another process .* is gone.*; saved .*, go on with --resume", said)
    told = re.findall(r"^epoch (\d+)/20; ", said, re.M)
    assert [int(n) for n in told] == list(range(1, 21))  # by the first one alone, each once
    assert_same(folder, undisturbed)


@LINUX
def test_a_stopped_training_goes_on_with_another_number_of_processes(undisturbed, tmp_path):
    folder = tmp_path / "run"
    launcher = launch(2, *FLAGS, "--out", folder, more=[free_port()])
    wait_for_epochs(folder / "metrics.jsonl", 2)
    launcher.send_signal(signal.SIGTERM)
    said, _ = launcher.communicate(timeout=120)
    assert launcher.returncode, said
    assert said.count("is saved, go on with: aae train --resume") == 1
    (place,) = checkpoint.found(Run(folder).checkpoints)
    assert 2 <= checkpoint.epoch_of(place) < 20
    again = launch(3, "--resume", folder, more=[free_port()])
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert_same(folder, undisturbed)


def test_what_is_wrong_for_all_is_said_once(tmp_path):
    launcher = launch(2, "gaussian", "--data", tmp_path / "nowhere", more=[free_port()])
    said, _ = launcher.communicate(timeout=120)
    assert launcher.returncode
    assert said.count("nowhere") == 1, said
    launcher = launch(2, "gaussian", "--data", "digits", "--seeds", 2, more=[free_port()])
    said, _ = launcher.communicate(timeout=120)
    assert said.count("start it without torchrun") == 1, said


def spaces():
    """Two network namespaces that a cable joins; None where they cannot be made."""
    ip = shutil.which("ip")
    if ip is None or os.getuid():
        return None
    names = [f"aae{os.getpid()}{end}" for end in "ab"]
    made = []
    commands = [
        *(f"netns add {name}" for name in names),
        f"link add {names[0]} netns {names[0]} type veth peer name {names[1]} netns {names[1]}",
    ]
    for number, name in enumerate(names, 1):
        commands += [
            f"-n {name} addr add 10.77.0.{number}/24 dev {name}",
            f"-n {name} link set {name} up", f"-n {name} link set lo up",
        ]  # fmt: skip
    for command in commands:
        if subprocess.run([ip, *command.split()], capture_output=True).returncode:
            for name in names:
                subprocess.run([ip, "netns", "del", name], capture_output=True)
            return None
        made.append(command)
    return names


@LINUX
def test_two_hosts_train_together(undisturbed, tmp_path):
    if (names := spaces()) is None:
        pytest.skip("no network namespaces can be made here: that takes root, and `ip`")
    folder, launchers = tmp_path / "run", []
    try:
        for number, name in enumerate(names):
            launchers.append(launch(
                1, *FLAGS, "--out", folder if number == 0 else tmp_path / "none",
                wrap=["ip", "netns", "exec", name], env={"GLOO_SOCKET_IFNAME": name},
                more=["--nnodes=2", f"--node-rank={number}", "--master-addr=10.77.0.1",
                      "--master-port=29500"],
            ))  # fmt: skip
        said = [launcher.communicate(timeout=120)[0] for launcher in launchers]
        assert [launcher.returncode for launcher in launchers] == [0, 0], said
    finally:
        for launcher in launchers:
            launcher.kill()
        for name in names:
            subprocess.run(["ip", "netns", "del", name])
    assert "epoch 20/20" in said[0]
    assert "epoch" not in said[1]
    assert not (tmp_path / "none").exists()  # the second host keeps nothing
    assert_same(folder, undisturbed)
