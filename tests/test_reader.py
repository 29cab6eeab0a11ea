"""What is drawn is read as it was asked for."""

import math

import pytest
import torch

from aae import losses
from aae.autoencoder import Corruption, Pass
from aae.build import build
from aae.config import Config
from aae.conv import Convolution
from aae.fit import new_trainer
from aae.reader import Reader


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def reader():
    torch.manual_seed(0)
    return Reader(64, 10, hidden=16, layers=2)


def test_steadily_it_reads_the_same(reader):
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    assert torch.equal(reader(x, seeded(1)), reader.steadily(x, seeded(1)))
    assert not torch.equal(reader(x, seeded(1)), reader(x, seeded(2)))


def test_steadily_gradients_reach_pictures_alone(reader):
    x = torch.rand(5, 1, 8, 8, generator=seeded()).requires_grad_()
    losses.classification(reader.steadily(x, seeded()), torch.arange(5)).backward()
    assert x.grad.any()
    assert all(weight.grad is None for weight in reader.parameters())
    losses.classification(reader(x, seeded()), torch.arange(5)).backward()
    assert all(weight.grad is not None for weight in reader.parameters())


def test_it_learns_from_labelled_pictures_alone(reader):
    x = torch.rand(4, 1, 8, 8, generator=seeded())
    some = torch.tensor([3, -1, 5, -1])
    loss = losses.classification(reader(x, seeded(1)), some)
    logits = reader(x, seeded(1))
    assert loss.item() == pytest.approx(
        -(logits.log_softmax(1)[0, 3] + logits.log_softmax(1)[2, 5]).item() / 4, rel=1e-5
    )
    none = losses.classification(reader(x, seeded(1)), torch.full((4,), -1))
    assert none.item() == 0


def test_the_reader_is_asked_whether_it_reads_what_the_decoder_was_told(make, batch, monkeypatch):
    model = make("read", prior="mixture", radial_std=0.01, tangential_std=0.01)
    told, read = [], []

    def decode(z, labels):
        told.append((z, labels))
        return batch.x

    def read_them(x, generator):
        read.append(x)
        return 9.0 * torch.nn.functional.one_hot(told[0][1], 10)

    monkeypatch.setattr(model, "decode", decode)
    monkeypatch.setattr(model.reader, "steadily", read_them)
    (phase,) = (phase for phase in model.phases() if phase.name == "reading")
    loss = phase.loss(Pass(model, batch, seeded(1)))
    assert loss.item() == pytest.approx(math.log1p(9 * math.exp(-9)), rel=1e-3)
    ((z, labels),) = told
    assert read == [batch.x]
    assert len(labels.unique()) > 5
    parts = model.prior.component_log_prob(z).argmax(1)
    assert (parts == labels).sum() < 10  # a style of any kind beside each class


def test_the_reader_sees_pictures_without_the_encoder_s_noise(make, batch, monkeypatch):
    model, seen = make("read"), []
    monkeypatch.setattr(
        model.reader, "forward", lambda x, _: seen.append(x) or torch.zeros(len(x), 10)
    )
    (phase,) = (phase for phase in model.phases() if phase.name == "reader")
    phase.loss(Pass(model, batch, seeded(), Corruption(noise_std=0.5)))
    assert torch.equal(seen[0], batch.x)


def test_large_pictures_are_read_with_convolutions(tiny, new_model):
    flat = new_model(tiny(model="read"))
    deep = new_model(tiny(model="read", network="conv", width=8))
    assert not any(isinstance(layer, Convolution) for layer in flat.reader.modules())
    assert any(isinstance(layer, Convolution) for layer in deep.reader.modules())


def test_only_a_decoder_that_is_told_the_label_can_be_asked_for_one(tiny):
    with pytest.raises(ValueError, match="is of the recipe style; leave it out"):
        tiny(model="semi", reading_weight=1.0)


def test_the_decoder_draws_what_it_is_asked_for_sooner(tiny, part):
    """Read by a classifier that took no part: the nearest mean of the real digits of a class."""

    def share_read(weight):
        config: Config = tiny(
            model="supervised", reading_weight=weight, epochs=40, lr=1e-3, batch_size=50
        )
        model = new_model_of(config, part)
        asked = torch.arange(10).repeat(50)
        z = model.prior.sample(500, generator=seeded(1))
        with torch.no_grad():
            drawn = model.decode(z, asked).flatten(1)
        x = torch.from_numpy(part.images).float().flatten(1) / 127.5 - 1
        labels = torch.from_numpy(part.labels)
        means = torch.stack([x[labels == k].mean(0) for k in range(10)])
        return float((torch.cdist(drawn, means).argmin(1) == asked).float().mean())

    assert share_read(20.0) > share_read(0.0) + 0.05


def new_model_of(config, part):
    model = build(config, (1, 8, 8), 10, seeded(config.seed))
    trainer = new_trainer(model, config, part)
    trainer.run()
    return trainer.model.eval()
