"""What a field of the config is: whether a value fits its annotation, and its flag."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the annotated type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in args
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, option) for option in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(v, args[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def flag(field: str) -> str:
    """The command line's flag for a field of the config.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + field.replace("_", "-")
