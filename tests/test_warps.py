"""Pictures warped a little: how far they go, each its own way, and nothing from beyond an edge."""

import pytest
import torch

from aae import warps
from aae.build import build
from aae.warps import warp


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def only(monkeypatch):
    """Leaves a map one of its four parts."""

    def leave(part, amount):
        for name in ("TURN", "SLANT", "STRETCH", "SHIFT"):
            monkeypatch.setattr(warps, name, amount if name == part else 0.0)

    return leave


def spots(h, w, *places):
    """A picture of each place's dot alone, wide enough to be found again."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([torch.exp(-((y - i) ** 2 + (x - j) ** 2) / 4) for i, j in places])[:, None]


def centres(x):
    """Where the weight of each picture lies, from its middle, in pixels, [n, (down, right)]."""
    h, w = x.shape[2:]
    down, right = torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2
    weight = x.sum(1)
    places = torch.stack([(weight.sum(2) * down).sum(1), (weight.sum(1) * right).sum(1)], 1)
    return places / weight.sum((1, 2))[:, None]


def test_size_nothing_changes_nothing():
    x = torch.rand(5, 3, 8, 12, generator=seeded())
    torch.testing.assert_close(warp(x, 0.0, seeded()), x)


def test_a_shift_is_of_the_side_and_no_further(only):
    only("SHIFT", 0.25)
    before = spots(40, 80, (19.5, 39.5)).expand(500, 1, 40, 80)
    moved = centres(warp(before, 1.0, seeded())).abs()
    limit = torch.tensor([0.25 * 20, 0.25 * 40])
    assert (moved <= limit + 0.05).all()
    assert (moved.amax(0) > 0.95 * limit).all()
    assert (centres(warp(before, 0.5, seeded())).abs() <= limit / 2 + 0.05).all()


def test_a_turn_keeps_the_distance_from_the_middle_whatever_the_shape(only):
    only("TURN", 0.4)
    before = spots(60, 40, (29.5, 31.5)).expand(200, 1, 60, 40)
    moved = centres(warp(before, 1.0, seeded()))
    torch.testing.assert_close(moved.norm(dim=1), torch.full((200,), 12.0), atol=0.05, rtol=0)
    angle = torch.atan2(moved[:, 0], moved[:, 1]).abs()
    assert 0.38 < angle.max() < 0.41


@pytest.mark.parametrize("width", [60, 40, 90])
def test_a_slant_moves_lines_along_themselves(only, width):
    only("SLANT", 0.5)
    before = spots(60, width, (19.5, (width - 1) / 2)).expand(200, 1, 60, width)
    moved = centres(warp(before, 1.0, seeded()))
    torch.testing.assert_close(moved[:, 0], torch.full((200,), -10.0), atol=0.05, rtol=0)
    assert 4.7 < moved[:, 1].abs().max() < 5.1


def test_a_stretch_is_of_each_side_on_its_own(only):
    only("STRETCH", 0.2)
    moved = centres(warp(spots(60, 60, (19.5, 39.5)).expand(400, 1, 60, 60), 1.0, seeded()))
    factors = moved / torch.tensor([-10.0, 10.0])
    assert 1 / 1.22 < factors.min() < 0.86
    assert 1.2 < factors.max() < 1 / 0.78
    assert torch.corrcoef(factors.T)[0, 1].abs() < 0.2


def test_turned_and_slanted_a_picture_keeps_its_area(monkeypatch):
    for name, amount in {"TURN": 0.6, "SLANT": 0.8, "STRETCH": 0.0, "SHIFT": 0.0}.items():
        monkeypatch.setattr(warps, name, amount)
    before = spots(60, 40, (29.5, 19.5))
    weights = warp(before.expand(200, 1, 60, 40), 1.0, seeded()).sum((1, 2, 3))
    torch.testing.assert_close(weights / before.sum(), torch.ones(200), atol=0.02, rtol=0)


def test_each_picture_has_a_map_of_its_own_and_the_seed_gives_it():
    x = torch.rand(1, 1, 9, 9, generator=seeded()).expand(4, 1, 9, 9)
    once = warp(x, 1.0, seeded(3))
    assert all((once[i] - once[j]).abs().max() > 0.01 for i in range(4) for j in range(i))
    torch.testing.assert_close(once, warp(x, 1.0, seeded(3)))
    assert not torch.equal(once, warp(x, 1.0, seeded(4)))


def test_what_lies_beyond_an_edge_is_as_the_edge():
    white = torch.ones(50, 2, 6, 9)
    torch.testing.assert_close(warp(white, 3.0, seeded()), white)


def test_lower_precision_around_it_leaves_places_as_they_are():
    x = torch.rand(4, 1, 64, 64, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        low = warp(x, 1.0, seeded())
    torch.testing.assert_close(low, warp(x, 1.0, seeded()))


def test_no_gradient_goes_back_into_pictures():
    x = torch.rand(2, 1, 5, 5, generator=seeded()).requires_grad_()
    assert not warp(x, 1.0, seeded()).requires_grad


def test_rows_of_features_are_refused(tiny):
    config = tiny(model="semi", warp_weight=1.0)
    with pytest.raises(ValueError, match="--warp-weight is for pictures"):
        build(config, (7,), 3, seeded())
