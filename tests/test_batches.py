"""Batches: what an epoch holds, and in which order."""

import numpy as np
import pytest
import torch

from aae.training.batches import Batches


def batches(n, batch_size, seed=0, labels=None):
    """Pictures of one pixel whose value is their number, and whose label is its negative."""
    images = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    labels = -np.arange(n) if labels is None else labels
    return Batches(images, labels, batch_size=batch_size, device=torch.device("cpu"), seed=seed)


def numbers(batch):
    return ((batch.x + 1) * 127.5).round().long().flatten().tolist()


def order(data, epoch, start=0):
    return [i for batch in data.epoch(epoch, start) for i in numbers(batch)]


@pytest.mark.parametrize(("n", "batch_size"), [(20, 5), (22, 5), (21, 5), (4, 9), (3, 2), (200, 7)])
def test_an_epoch_covers_every_picture_once(n, batch_size):
    data = batches(n, batch_size)
    for epoch in range(3):
        parts = [numbers(batch) for batch in data.epoch(epoch)]
        assert len(parts) == len(data)
        assert sorted(i for part in parts for i in part) == list(range(n))
        assert all(len(part) == min(batch_size, n) for part in parts[:-1])
        assert 1 < len(parts[-1]) <= batch_size + 1  # the rest; one alone joins the batch before


@pytest.mark.parametrize(
    ("n", "sizes"), [(20, [5] * 4), (22, [5, 5, 5, 5, 2]), (21, [5, 5, 5, 6]), (3, [3])]
)
def test_the_last_batch_holds_the_rest(n, sizes):
    assert [len(batch.x) for batch in batches(n, 5).epoch(0)] == sizes


def test_pictures_keep_their_labels():
    for batch in batches(50, 8).epoch(3):
        assert numbers(batch) == (-batch.labels).tolist()


def test_the_order_depends_on_seed_and_epoch_alone():
    data = batches(50, 8, seed=1)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = order(data, 0)
    assert torch.equal(state, torch.get_rng_state())
    order(data, 1)
    torch.manual_seed(6)
    assert (
        order(data, 0) == first == order(batches(50, 8, seed=1), 0) == order(batches(50, 5, 1), 0)
    )
    others = [order(data, 1), order(batches(50, 8, seed=2), 0), order(batches(50, 8, seed=0), 1)]
    assert first not in others
    assert len({tuple(other) for other in others}) == 3
    assert first != sorted(first)


@pytest.mark.parametrize("start", [0, 1, 6])
def test_an_epoch_from_the_middle(start):
    data = batches(50, 8)
    whole = [numbers(batch) for batch in data.epoch(2)]
    assert [numbers(batch) for batch in data.epoch(2, start)] == whole[start:]


def test_an_endless_stream_is_one_epoch_after_the_other():
    data = batches(22, 5)
    stream = [numbers(data.at(count)) for count in range(2 * len(data))]
    assert stream == [numbers(batch) for epoch in (0, 1) for batch in data.epoch(epoch)]
