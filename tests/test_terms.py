"""What is asked of y beside the paper's terms: which pictures each sees, and how far it looks."""

import math
from types import SimpleNamespace

import pytest
import torch

from aae import losses
from aae.autoencoder import Batch, Corruption, Pass
from aae.codes import Codes
from aae.terms import Balanced, Denoised, Disturbed, TangentAdversarial, VirtualAdversarial, Warped


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def noisy(make, batch):
    """A pass whose encoder sees pictures with noise on them, and tells classes apart."""
    model = make("semi", posterior="deterministic", init="he")
    return Pass(model, batch, seeded(), Corruption(noise_std=0.5))


@pytest.mark.parametrize(
    ("kind", "near", "far"),
    [(VirtualAdversarial, 1e-4, 3.0), (TangentAdversarial, 1e-4, 3.0), (Warped, 0.0, 1.0)],
)
def test_a_neighbour_is_as_near_as_asked_to_what_the_encoder_saw(noisy, kind, near, far):
    """Where it is the same picture, y is the same: with other noise, or none, it would not be."""
    assert abs(kind(near)(noisy).item()) < 1e-5
    assert kind(far)(noisy).item() > 0.01


@pytest.mark.parametrize("kind", [VirtualAdversarial, TangentAdversarial, Warped])
def test_no_units_are_dropped_from_what_neighbours_are_compared_with(noisy, kind):
    dropped = Pass(noisy.model, noisy.batch, seeded(), Corruption(noise_std=0.5, dropout=0.5))
    assert abs(kind(0.0)(dropped).item()) < 1e-5
    logits_of, with_fewer = noisy.model.encoder.class_logits, dropped.codes.y_logits
    assert abs(losses.inconsistency(logits_of, dropped.x, with_fewer).item()) > 0.01


def test_pictures_are_warped_by_the_size_asked_for(noisy):
    little, more, much = (Warped(size)(noisy).item() for size in (0.03, 0.3, 3.0))
    assert little < more < much


def passed(logits, x=None, labels=None):
    """A pass that has come to some logits of classes."""
    return SimpleNamespace(
        codes=Codes(torch.zeros(2, 1), torch.zeros(2, 1), None, torch.as_tensor(logits)),
        model=SimpleNamespace(batch_mean=losses.batch_mean, encoder=None),
        batch=Batch(x, labels), x=None if x is None else x + 100, generator=None,
    )  # fmt: skip


def test_balance_by_hand():
    of = passed(torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log())
    uneven = math.log(2) + 0.7 * math.log(0.7) + 0.3 * math.log(0.3)
    assert Balanced(0.0)(of).item() == pytest.approx(uneven, rel=1e-5)
    assert Balanced(0.05)(of).item() == pytest.approx(uneven - 0.05, rel=1e-4)
    assert Balanced(0.1)(of).item() == 0


class Known:
    """A denoiser whose noisy layers, logits and guess are known; notes what it is given."""

    def __init__(self, logits, guess):
        self.logits, self.guess, self.seen = logits, guess, []

    def disturb(self, encoder, x, generator):
        self.seen.append(x)
        return [x.flatten(1) + 7], self.logits

    def __call__(self, levels, y):
        self.seen.append(y)
        return self.guess


def test_taking_noise_off_by_hand():
    x = torch.tensor([[[[1.0, -1.0]]], [[[0.0, 0.5]]]])
    y = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    known = Known(y.log(), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    loss = Denoised(known)(passed([[0.0, 9.0], [9.0, 0.0]], x))
    assert loss.item() == 0.5 * (2**2 + 0.5**2) / 2  # against the picture without any noise
    seen, told = known.seen
    assert torch.equal(seen, x)
    torch.testing.assert_close(told, y)  # the noisy encoder's classes


def test_classes_under_noise_by_hand():
    x, y = torch.zeros(2, 1, 1, 2), torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    known = Known(y.log(), None)
    loss = Disturbed(known)(passed([[0.0, 9.0], [9.0, 0.0]], x, torch.tensor([0, 1])))
    assert loss.item() == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2, rel=1e-5)
    assert torch.equal(known.seen[0], x)
