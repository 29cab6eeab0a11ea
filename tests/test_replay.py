"""A step replayed from a recording is the step; a recording on the CPU stands for a CUDA graph."""

import copy
import itertools
import logging

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aae.autoencoder import Batch
from aae.training.fast import FastAlternatingStep, FastJointStep
from aae.training.replay import FIRST, Replays
from aae.training.stacked import stack, stacked_step
from aae.training.step import AlternatingStep, JointStep

STEPS = FIRST + 5


class Tape(TorchDispatchMode):
    """Notes all work on tensors, and does it again with the same ones, as a CUDA graph would.

    What a graph cannot hold is refused: to look at a value, to bring one from the host, and shapes
    that depend on values.
    """

    REFUSED = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "unique", "item")

    def __init__(self, device, generators):
        super().__init__()
        self.generators, self.calls = list(generators), []

    def record(self, work):
        """Unlike a graph's capture this does the work: what it changed is put back."""
        drawn = [generator.get_state() for generator in self.generators]
        with self:
            result = work()
        with torch.no_grad():
            for before, tensor in self.before.values():
                tensor.copy_(before)
        for generator, state in zip(self.generators, drawn, strict=True):
            generator.set_state(state)
        return result

    before: dict

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in self.REFUSED:
            raise RuntimeError(f"a graph cannot hold {name}")
        self._keep(func, args, kwargs)
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        return result

    def _keep(self, func, args, kwargs):
        """Keep what the work is about to change, as it was."""
        if not self.calls:
            self.before = {}
        for argument, value in itertools.chain(
            zip(func._schema.arguments, args, strict=False),
            ((a, kwargs[a.name]) for a in func._schema.arguments if a.name in kwargs),
        ):
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written or argument.name.startswith("running_"):  # statistics, told by none
                for tensor in value if isinstance(value, (list, tuple)) else [value]:
                    self.before.setdefault(id(tensor), (tensor.clone(), tensor))

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for new, old in zip(_flat(again), _flat(result), strict=True):
                if new.untyped_storage().data_ptr() != old.untyped_storage().data_ptr():
                    old.copy_(new)


def _flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [x for v in value for x in _flat(v)] if isinstance(value, (list, tuple)) else []


@pytest.fixture(autouse=True)
def _unasked(monkeypatch):
    """One-hot as a GPU has it: a CPU alone looks whether all labels are in range."""

    def one_hot(labels, classes):
        return (labels[..., None] == torch.arange(classes)).long()

    monkeypatch.setattr(torch.nn.functional, "one_hot", one_hot)


@pytest.fixture
def both(tiny, new_model):
    """A step of a new model, and the same of its equal that is recorded and replayed."""

    def make(kind, variant, **changes):
        prior = "gaussian" if variant in ("embed", "vae") else "mixture"
        config = tiny(model=variant, prior=prior, classification_every=2, warmup=20, **changes)
        model = new_model(config).train()
        plain, replayed = kind(model, config), kind(copy.deepcopy(model), config)
        replayed.replays = Replays(replayed.device, Tape)
        return plain, replayed

    return make


def train(step, part, generator, steps=STEPS):
    """Make steps on other pictures each, by other rates; their losses."""
    x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
    told = []
    for count in range(steps):
        step.prepare(count // 4, count)
        rows = (torch.arange(20) + 7 * count) % len(x)
        batch, only = Batch(x[rows], labels[rows]), Batch(x[rows[:10]], labels[rows[:10]])
        told.append(step(batch, lambda only=only: only, count, generator))
    return told


@pytest.mark.parametrize("kind", [FastJointStep, JointStep, FastAlternatingStep, AlternatingStep])
@pytest.mark.parametrize(
    "variant", ["basic", "labels", "supervised", "semi", "vat", "cluster", "embed", "vae"]
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_replays_are_the_steps_they_stand_for(
    both, part, same_state, kind, variant, optimizer, caplog
):
    plain, replayed = both(
        kind, variant, optimizer=optimizer, noise_std=0.3, input_dropout=0.1, dropout=0.2
    )
    alone = train(plain, part, torch.Generator().manual_seed(3))
    again = train(replayed, part, torch.Generator().manual_seed(3))
    assert not caplog.records  # no warning: all could be recorded
    assert len(replayed.replays._recorded) == 1 + any(phase.labelled for phase in plain.phases)
    assert same_state(plain.model, replayed.model)
    assert same_state(plain.state(), replayed.state())
    assert same_state(alone, again)


def test_a_loss_that_changes_is_replayed(both, part, same_state):
    plain, replayed = both(FastJointStep, "basic", epochs=2, sharpen_from=0.5)
    alone = train(plain, part, torch.Generator().manual_seed(3))
    again = train(replayed, part, torch.Generator().manual_seed(3))
    assert same_state(alone, again)
    assert alone[4]["reconstruction"] > 1.2 * alone[3]["reconstruction"]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_batch_statistics_and_precision_are_replayed(both, part, same_state, precision):
    changes = {"batch_norm": True, "precision": precision}
    plain, replayed = both(FastJointStep, "semi", **changes)
    alone = train(plain, part, torch.Generator().manual_seed(3))
    again = train(replayed, part, torch.Generator().manual_seed(3))
    assert same_state(plain.model, replayed.model)
    assert same_state(alone, again)


def test_stacked_steps_are_replayed(tiny, new_model, part, same_state):
    config = tiny(model="vat", classification_every=2, noise_std=0.3)
    models = [new_model(tiny(**vars(config) | {"seed": seed})).train() for seed in range(2)]
    results = []
    for record in (None, Tape):
        whole = stack(copy.deepcopy(models)).train()
        own = [torch.Generator().manual_seed(seed) for seed in range(2)]
        step = stacked_step(whole, config, own)
        step.replays = record and Replays(step.device, record)
        x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
        told = []
        for count in range(STEPS):
            rows = ((torch.arange(20) + 7 * count) % len(x)).view(2, 10)
            batch = Batch(x[rows], labels[rows])
            told.append(step(batch, lambda batch=batch: batch, count, own[0]))
        results.append([whole.state_dict(), step.state(), told])
    assert step.replays._recorded
    assert same_state(*results)


def test_what_is_not_finite_is_seen_in_a_replay(both, part):
    _, replayed = both(FastJointStep, "basic")
    generator = torch.Generator().manual_seed(3)
    train(replayed, part, generator)
    before = {name: p.clone() for name, p in replayed.model.named_parameters()}
    x = torch.full((20, 1, 8, 8), torch.nan)
    labels = torch.zeros(20, dtype=torch.long)
    for count in (40, 41):
        losses = replayed(Batch(x, labels), lambda: None, count, generator)
    assert all(loss == 0 for loss in losses.values())
    (fault,) = replayed.watch.look().values()
    assert fault.step == 41
    assert fault.missed["reconstruction"] == 2
    assert all(torch.equal(p, before[name]) for name, p in replayed.model.named_parameters())
    assert not replayed.watch.look()


def test_a_loaded_state_is_recorded_anew(both, part, same_state):
    plain, replayed = both(FastJointStep, "basic")
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    for step, generator in zip((plain, replayed), generators, strict=True):
        train(step, part, generator)
        step.load_state(copy.deepcopy(step.state()))
        train(step, part, generator)
    assert same_state(plain.model, replayed.model)
    assert same_state(plain.state(), replayed.state())


def test_steps_that_cannot_be_recorded_are_made_one_by_one(both, part, same_state, caplog):
    class Refusing(Tape):
        def record(self, work):
            super().record(work)
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    plain, replayed = both(FastJointStep, "vae")
    replayed.replays = Replays(replayed.device, Refusing)
    with caplog.at_level(logging.WARNING):
        train(plain, part, torch.Generator().manual_seed(3))
        train(replayed, part, torch.Generator().manual_seed(3))
    assert [record.getMessage() for record in caplog.records] == [
        "steps are made kernel by kernel: they cannot be recorded "
        "(operation not permitted when stream is capturing)"
    ]
    assert same_state(plain.model, replayed.model)


@pytest.mark.parametrize(
    "work", [lambda x: x.item(), lambda x: x.nonzero(), lambda x: x + torch.tensor(1.0)]
)
def test_the_tape_refuses_what_a_graph_cannot_hold(work):
    with pytest.raises(RuntimeError, match="a graph cannot hold"):
        Tape(None, []).record(lambda: work(torch.ones(1)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("variant", ["basic", "vat"])
def test_a_gpu_s_graph_is_the_step_it_stands_for(tiny, new_model, part, variant):
    results = []
    for record in (False, True):
        config = tiny(model=variant, classification_every=2, noise_std=0.3)
        step = FastJointStep(new_model(config).train().to("cuda"), config)
        assert step.replays is not None
        if not record:
            step.replays = None
        x = torch.from_numpy(part.images).cuda() / 127.5 - 1
        labels = torch.from_numpy(part.labels).cuda()
        generator = torch.Generator("cuda").manual_seed(3)
        for count in range(STEPS):
            step.prepare(0, count)
            batch = Batch(x[:20], labels[:20])
            step(batch, lambda batch=batch: batch, count, generator)
        results.append([p.cpu() for p in step.model.parameters()])
    assert step.replays._recorded
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("last", [False, True])
def test_a_gpu_goes_on_where_a_graph_cannot_be_made(tiny, new_model, part, last, caplog):
    device = torch.device("cuda", torch.cuda.device_count() - 1 if last else 0)
    config = tiny(noise_std=0.3)
    step = FastJointStep(new_model(config).train().to(device), config)
    step.model.decoder.register_forward_hook(lambda *given: float(given[-1].sum()) and None)
    batch = Batch(
        torch.from_numpy(part.images[:20]).to(device) / 127.5 - 1,
        torch.from_numpy(part.labels[:20]).to(device),
    )
    generator, stream = torch.Generator(device).manual_seed(3), torch.cuda.current_stream(device)
    for count in range(STEPS):
        step.prepare(0, count)
        before = [p.clone() for p in step.model.parameters()]
        step(batch, lambda: batch, count, generator)
        assert not all(map(torch.equal, before, step.model.parameters()))
    assert "kernel by kernel" in caplog.text
    assert torch.cuda.current_stream(device) == stream
    torch.randn(3, device=device)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_graph_is_of_the_gpu_that_was_asked_for(tiny, new_model, part):
    device, config = torch.device("cuda:1"), tiny(noise_std=0.3)
    step = FastJointStep(new_model(config).train().to(device), config)
    batch = Batch(
        torch.from_numpy(part.images[:20]).to(device) / 127.5 - 1,
        torch.from_numpy(part.labels[:20]).to(device),
    )
    generator = torch.Generator(device).manual_seed(3)
    for count in range(STEPS):
        step.prepare(0, count)
        before = [p.clone() for p in step.model.parameters()]
        step(batch, lambda: batch, count, generator)
        assert not all(map(torch.equal, before, step.model.parameters()))
    assert step.replays._recorded
