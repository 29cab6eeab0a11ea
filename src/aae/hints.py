"""Whether a value is what an annotation says, for values that come from files and flags."""

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
