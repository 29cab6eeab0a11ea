"""Pixels in data sets, in models and in pictures."""

import torch

from aae.pixels import to_model, to_unit


def test_bytes_to_the_models_range_and_to_the_eyes():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(to_model(images), torch.tensor([-1.0, -0.6, 1.0]))
    assert images.tolist() == [0, 51, 255]
    torch.testing.assert_close(to_unit(to_model(images)), torch.tensor([0.0, 0.2, 1.0]))
    torch.testing.assert_close(to_unit(torch.tensor([-3.0, 3.0])), torch.tensor([0.0, 1.0]))
    assert to_unit(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
