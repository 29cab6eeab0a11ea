"""Tensors and plain values as bytes, which may come from a stranger: safetensors, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from aae.storage import parse_json

_PLAIN = "plain.json"
"""The tensor of bytes that holds everything that is not a tensor."""


def pack(state: dict[Any, Any]) -> bytes:
    """Nested dictionaries of tensors and plain values (numbers, strings, lists of them) as bytes.

    >>> state = unpack(pack({"a": {0: torch.ones(2)}, "b": (1.5, None)}), "a state")
    >>> state["a"], state["b"]
    ({0: tensor([1., 1.])}, [1.5, None])
    """
    tensors: dict[str, Tensor] = {}

    def plain(node: dict[Any, Any], path: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in node.items():
            if isinstance(value, Tensor):
                tensors[f"{path}{key}"] = value
            else:
                kept[str(key)] = plain(value, f"{path}{key}/") if isinstance(value, dict) else value
        return kept

    text = json.dumps(plain(state, "")).encode()
    tensors[_PLAIN] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return pack_tensors(tensors)


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors as a safetensors file, which has no two names for one tensor."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    )


def unpack(content: bytes, name: str) -> dict[Any, Any]:
    """What `pack` was given; keys of digits become numbers again, and tuples become lists.

    Args:
        content: the bytes.
        name: what to call them in messages.

    Raises:
        ValueError: the bytes do not come from `pack`.
    """
    tensors = unpack_tensors(content, name)
    try:
        text = tensors.pop(_PLAIN).numpy().tobytes()
    except KeyError:
        raise ValueError(f"{name} lacks {_PLAIN}: it is no state of a training") from None
    state = _with_numbers(parse_json(text, f"{name}, {_PLAIN}"))
    for path, tensor in tensors.items():
        *folders, leaf = map(_key, path.split("/"))
        node = state
        for folder in folders:
            node = node.setdefault(folder, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ValueError(f"{name} is no state of a training: {path} has no place in it")
        node[leaf] = tensor
    return state  # type: ignore[no-any-return]


def unpack_tensors(content: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file; takes no more memory than the file has bytes.

    Raises:
        ValueError: the content is not such a file.
    """
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is no safetensors file: {error}") from None


def _with_numbers(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {_key(key): _with_numbers(value) for key, value in node.items()}


def _key(name: str) -> str | int:
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else name
