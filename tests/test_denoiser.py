"""Noise on an encoder's layers, and what takes it off."""

import pytest
import torch

from aae.denoiser import Combination, Denoiser
from aae.nn import Encoder


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(16, 2, n_classes=3, hidden=8, layers=2, batch_norm=True).train()


def pictures(n=40):
    return torch.rand(n, 1, 4, 4, generator=seeded()) * 2 - 1


def test_a_combination_by_hand():
    made = Combination(1)
    with torch.no_grad():  # mean 2σ(u) + 1, share 0.25
        made.lines[:, 0] = torch.tensor([2.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.25])
    # u = 0: a mean of 2; (6 - 2) / 4 + 2 = 3
    assert made(torch.tensor([[6.0]]), torch.tensor([[0.0]])).item() == pytest.approx(3.0)


def test_the_best_guess_of_a_gaussian_is_learned():
    # z = x + noise, x from N(u, 1), noise of variance 0.25: the best guess is u + (z - u) / 1.25.
    made, generator = Combination(1), seeded()
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(600):
        u, own, noise = torch.randn(3, 512, 1, generator=generator)
        loss = (made(u + own + noise / 2, u) - u - own).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    guess = made(torch.tensor([[1.0]]), torch.tensor([[0.5]])).item()
    assert guess == pytest.approx(0.5 + 0.5 / 1.25, abs=0.05)


def test_without_noise_the_encoder_s_way_is_its_own(encoder):
    levels, logits = Denoiser(16, [8, 8], 3, 0.0).disturb(encoder, pictures(), seeded())
    assert [level.shape for level in levels] == [(40, 16), (40, 8), (40, 8)]
    assert torch.equal(levels[0], pictures().flatten(1))
    torch.testing.assert_close(logits, encoder.class_logits(pictures()), rtol=1e-4, atol=1e-4)


def test_without_noise_scales_and_shifts_of_layers_are_the_encoder_s(encoder):
    for norm in encoder.trunk.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
        torch.nn.init.uniform_(norm.bias, -1.0, 1.0)
    _, logits = Denoiser(16, [8, 8], 3, 0.0).disturb(encoder, pictures(), seeded())
    torch.testing.assert_close(logits, encoder.class_logits(pictures()), rtol=1e-4, atol=1e-4)


def test_noise_has_the_size_that_is_said(encoder):
    x = pictures(4000)
    clean, _ = Denoiser(16, [8, 8], 3, 0.0).disturb(encoder, x, seeded())
    noisy, _ = Denoiser(16, [8, 8], 3, 0.3).disturb(encoder, x, seeded())
    assert (noisy[0] - clean[0]).std().item() == pytest.approx(0.6, rel=0.02)
    # A unit: what noise below has left of its variance of 1, and its own.
    assert noisy[1].std(0).square().mean().item() == pytest.approx(1 + 0.3**2, rel=0.02)


def test_the_encoder_s_statistics_do_not_get_to_know_of_it(encoder, same_state):
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    assert before
    Denoiser(16, [8, 8], 3, 0.3).disturb(encoder, pictures(), seeded())
    assert same_state(before, dict(encoder.named_buffers()))


def test_the_class_helps_where_noise_has_taken_it():
    # Three pictures, and noise that hides which: what tells them apart must come from y.
    torch.manual_seed(0)
    kinds = torch.eye(3).repeat_interleave(4, 1)
    denoiser = Denoiser(12, [], 3, 2.0)
    optimizer = torch.optim.Adam(denoiser.parameters(), 0.02)
    generator = seeded()

    def error(y_of):
        labels = torch.randint(3, (300,), generator=generator)
        x = kinds[labels]
        noisy = x + 4.0 * torch.randn(x.shape, generator=generator)
        y = torch.nn.functional.one_hot(y_of(labels), 3).float()
        return (denoiser([noisy], y) - x).square().mean()

    for _ in range(400):
        loss = error(lambda labels: labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    told, misled = (error(way).item() for way in (lambda y: y, lambda y: (y + 1) % 3))
    assert told < 0.05 < 2 / 9 < misled  # 2/9 is the variance of a pixel
