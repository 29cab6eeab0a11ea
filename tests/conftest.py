"""Small configs, data, trainers and one trained run, shared by the tests."""

import itertools

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image

from aae.autoencoder import Batch
from aae.bench.contender import Setup
from aae.build import build
from aae.cli import main
from aae.config import Config
from aae.data import Dataset, load
from aae.explorer import site
from aae.fit import fit
from aae.splits import Part
from aae.training.batches import Batches
from aae.training.trainer import Observer, Trainer
from double import in_double

RED, BLUE = (200, 30, 40), (20, 60, 220)
SMOOTH = {"vat_weight": 1.0, "tangent_weight": 1.0, "warp_weight": 1.0, "balance_weight": 1.0}

hypothesis.settings.register_profile("no clock", deadline=None)  # a busy machine is no bug
hypothesis.settings.load_profile("no clock")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Sums in one order on every machine, and no fight for cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _small_numbers():
    """A training has the process take numbers below 1e-38 for 0: the next test's are its own."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What tests download or train is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AAE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny():
    """Makes configs that train in a blink; "vat" is semi-supervised with smooth classes, "kl" is
    supervised with posteriors drawn to the prior, "read" with a reader of what is drawn,
    "merged" twelve clusters of fifteen, "denoised" semi-supervised with noise taken off layers."""

    def make(**changes):
        if changes.get("model") == "vat":
            changes = {**SMOOTH, **changes, "model": "semi"}
        if changes.get("model") == "kl":
            changes = {"kl_weight": 1.0, **changes, "model": "supervised"}
        if changes.get("model") == "read":
            changes = {"reading_weight": 1.0, **changes, "model": "supervised"}
        if changes.get("model") == "denoised":
            denoised = {"denoising_weight": 1.0, "batch_norm": True}
            changes = {**denoised, **changes, "model": "semi"}
        if changes.get("model") == "merged":
            changes = {"clusters": 12, "merged_from": 15, **changes, "model": "cluster"}
        if changes.get("model") == "cluster":
            changes = {"labels": 0, **changes}
        small = {
            "recipe": "tiny", "model": "basic", "data": "digits", "hidden": 32, "epochs": 2,
            "lr": 2e-4, "warmup": 0, "lr_steps": (), "classification_every": 10,
            "device": "cpu", "precision": "float32", "log_every": 5, "sample_every": 1,
        }  # fmt: skip
        return Config(**{**small, **changes})

    return make


@pytest.fixture(scope="session")
def idle():
    """Whether batch normalisation takes a bias away again: its gradient is rounding alone."""

    def idle(model, name):
        normalised = isinstance(model.encoder.trunk.norms[0], torch.nn.BatchNorm1d)
        return normalised and name.startswith("encoder.trunk.linears") and name.endswith("bias")

    return idle


@pytest.fixture(scope="session")
def digits():
    """The embedded data set: 1,437 pictures for training, 8×8."""
    return load("digits")


@pytest.fixture(scope="session")
def numbered():
    """A data set whose pictures are all different, in four classes."""
    images = np.arange(240, dtype=np.uint8).repeat(4).reshape(240, 1, 2, 2)
    labels = np.arange(240) % 4
    return Dataset("numbered", ("a", "b", "c", "d"), images[:200], labels[:200], images[200:],
                   labels[200:])  # fmt: skip


@pytest.fixture(scope="session")
def part(digits):
    """A hundred digits."""
    return Part(digits.train_images[:100], digits.train_labels[:100])


@pytest.fixture(scope="session")
def new_model():
    """Makes the model of a config, for pictures of 8×8 in ten classes."""

    def make(config):
        return build(config, (1, 8, 8), 10, torch.Generator().manual_seed(config.seed))

    return make


@pytest.fixture(scope="session")
def new_trainer(new_model, part):
    """Makes trainers on a hundred digits, all labelled, without a run folder."""

    def make(config, observers=()):
        def batches(seed):
            return Batches(
                part.images, part.labels, batch_size=32, device=torch.device("cpu"), seed=seed
            )

        model = new_model(config)
        return Trainer(model, config, batches(config.seed), batches(config.seed + 1), observers)

    return make


@pytest.fixture(scope="session")
def tiny_run(tiny, tmp_path_factory):
    """A finished run of the semi-supervised model, with all its pictures; only for reading."""
    config = tiny(model="semi", labels=100, epochs=3, sample_every=2, noise_std=0.3)
    return fit(config, tmp_path_factory.mktemp("runs") / "semi")


@pytest.fixture(scope="session")
def basic_run(tiny, tmp_path_factory):
    """A run of a model without classes, and without pictures; only for reading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aae.fit.Painter", lambda *args: Observer())
        return fit(tiny(recipe="gaussian", epochs=1), tmp_path_factory.mktemp("runs") / "basic")


@pytest.fixture(scope="session")
def tiny_site(tiny_run, tmp_path_factory):
    """The explorer of that run, as a folder; only for reading."""
    return site.write(tiny_run, tmp_path_factory.mktemp("explorer") / "site")


@pytest.fixture
def small_setup(part, tmp_path):
    """What the benchmark's contenders are given, small: a hundred digits."""
    np.save(tmp_path / "pictures.npy", part.images)
    return Setup(
        images=tmp_path / "pictures.npy", pictures=100, threads=1, device="cpu",
        hidden=16, latent_dim=3, batch_size=32,
    )  # fmt: skip


@pytest.fixture
def no_pictures(monkeypatch):
    """Trainings in this test draw nothing, which takes most of their time."""
    monkeypatch.setattr("aae.fit.Painter", lambda *args: Observer())


@pytest.fixture(scope="session")
def same_state():
    """Whether two modules, or nested states, are equal to the bit."""

    def compare(a, b):
        if isinstance(a, torch.nn.Module):
            return compare(a.state_dict(), b.state_dict())
        if isinstance(a, torch.Tensor):
            return a.dtype == b.dtype and torch.equal(a, b)
        if isinstance(a, np.ndarray):
            return np.array_equal(a, b)
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(compare(a[k], b[k]) for k in a)
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(compare(x, y) for x, y in zip(a, b, strict=True))
        return a == b

    return compare


@pytest.fixture
def double():
    """Has the test, and the fixtures after it, compute in float64."""
    with in_double():
        yield


@pytest.fixture
def batches(part):
    """A batch of pictures, and one for phases on labelled pictures."""
    x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
    return Batch(x[:30], labels[:30]), Batch(x[30:60], labels[30:60])


@pytest.fixture
def run(capsys):
    """Runs the command line; gives its exit code, output and errors."""

    def run(*args):
        code = main([str(arg) for arg in args])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def spoil():
    """Makes the pictures of some steps of a trainer (the first is 1) not finite."""

    def make(trainer, *counts):
        batches, number = trainer.batches.epoch, itertools.count(1)

        def epoch(*args):
            for batch in batches(*args):
                bad = next(number) in counts
                yield Batch(torch.full_like(batch.x, torch.nan), batch.labels) if bad else batch

        trainer.batches.epoch = epoch
        return trainer

    return make


class Settling(Observer):
    """Notes which clusters are merged as an epoch ends, and after the first step of the next."""

    def __init__(self):
        self.seen = []

    def on_epoch(self, trainer):
        self.seen.append(trainer.model.clusters.cluster_of.clone())

    def on_step(self, trainer):
        if self.seen and trainer.progress.batch == 1:
            self.seen.append(trainer.model.clusters.cluster_of.clone())


@pytest.fixture
def settling():
    """An observer that notes which clusters are merged."""
    return Settling()


@pytest.fixture
def make(tiny, new_model):
    """A model by name, in training."""

    def make(variant, posterior="gaussian", prior="gaussian", **changes):
        return new_model(tiny(model=variant, posterior=posterior, prior=prior, **changes)).train()

    return make


@pytest.fixture
def batch(part):
    images = torch.from_numpy(part.images[:20]).float() / 127.5 - 1
    return Batch(images, torch.from_numpy(part.labels[:20]))


@pytest.fixture
def pets(tmp_path):
    """A folder of fourteen red cats and seven blue dogs, 10 pixels high and 8 wide."""
    for name, colour, count in (("cat/{:02}.png", RED, 14), ("dog/large/{}.PNG", BLUE, 7)):
        for k in range(count):
            place = tmp_path / "pets" / name.format(k)
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 10), colour).save(place)
    return tmp_path / "pets"
