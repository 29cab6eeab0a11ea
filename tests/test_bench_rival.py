"""pythae, where it is installed, is given the networks and batches that all are given."""

from importlib.metadata import PackageNotFoundError

import pytest

from aae.bench import rival
from aae.bench.plain import PlainLoop


@pytest.mark.filterwarnings("default")  # its own are no business of ours
def test_it_trains_the_same_networks_on_as_many_batches(monkeypatch, small_setup, tmp_path):
    pytest.importorskip("pythae", reason="pythae is not installed: pip install pythae")
    trainer = rival._trainer(small_setup, str(tmp_path))
    own = PlainLoop(64, small_setup.hidden, small_setup.latent_dim, "cpu")
    for name, network in {
        "encoder": own.encoder, "decoder": own.decoder, "discriminator": own.critic
    }.items():  # fmt: skip
        theirs = [tuple(p.shape) for p in getattr(trainer.model, name).parameters()]
        assert theirs == [tuple(p.shape) for p in network.parameters()]
    assert trainer.training_config.amp is False

    sizes = []
    update = type(trainer)._optimizers_step
    monkeypatch.setattr(
        type(trainer), "_optimizers_step",
        lambda self, out: (sizes.append(len(out.z)), update(self, out)),
    )  # fmt: skip
    train = rival.pythae(small_setup)
    train(2)
    train(3)
    assert sizes == [32, 32, 32, 4, 32]


def test_where_it_is_not_installed_it_has_no_version(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(rival, "version", missing)
    assert rival.pythae_version() is None
    monkeypatch.setattr(rival, "version", lambda name: f"{name} 7")
    assert rival.pythae_version() == "pythae 7"
