"""Reads what earlier versions of this program wrote as if it had been written today."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import torch

from aae.words import in_one_line

STATE = "training.pt"
"""A checkpoint's training state in format 1."""


def unpack(content: bytes, name: str) -> dict[str, Any]:
    """A training state in format 1: a zip of tensors that torch reads by a restricted pickle.

    Args:
        content: the file.
        name: its name, for messages.

    Raises:
        ValueError: it holds more than tensors and plain values, or claims more bytes than it has.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            promised = sum(each.file_size for each in packed.infolist())
        if promised > len(content):  # torch never compresses: content must not grow when unpacked
            raise ValueError(f"{promised:,} bytes in a file of {len(content):,}")
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
    except Exception as error:  # torch and pickle raise any kind of error on damaged data
        what = in_one_line(error)[:200]
        raise ValueError(
            f"{name} cannot be trusted: it is not a zip of tensors and plain values alone ({what})"
        ) from None
    return state
