"""The terminal, or what stands in its place: whether it takes colours and bars; a line, JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


WIDE = 200
"""Columns of an output that is not a terminal."""


def coloured(file: TextIO) -> bool:
    """Whether to write to a file in colours.

    No if the environment has NO_COLOR (https://no-color.org); otherwise yes if it has FORCE_COLOR
    (https://force-color.org), or the file is a terminal that is not a dumb one.
    """
    if os.environ.get("NO_COLOR"):
        return False
    terminal = file.isatty() and os.environ.get("TERM") != "dumb"
    return bool(os.environ.get("FORCE_COLOR")) or terminal


def console(*, stderr: bool = False) -> Console:
    """A console that is `coloured` or has no styles at all, and moves bars only on a terminal."""
    from rich.console import Console

    file = sys.stderr if stderr else sys.stdout
    # By itself, rich keeps bold and dim when no colours are wanted, and moves bars in a file when
    # colours are forced.
    return Console(
        stderr=stderr,
        # A file has room for a table as wide as it is; rich would take it for 80 columns.
        width=None if file.isatty() or "COLUMNS" in os.environ else WIDE,
        color_system=("auto" if file.isatty() else "standard") if coloured(file) else None,
        force_interactive=None if file.isatty() else False,
    )


def say(console: Console, words: str) -> None:
    """Print words as they are, in one line."""
    console.print(words, highlight=False, markup=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print plain values as one JSON object, with null for NaN and infinities, which JSON lacks."""
    print(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
