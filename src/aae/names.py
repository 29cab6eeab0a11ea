"""Names that a user may have misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(given: str, possible: Iterable[str]) -> str:
    """The nearest possible name, as a question for an error; empty if none is near.

    >>> nearest("guassian", ["gaussian", "mixture"]), nearest("x", ["gaussian"])
    ("did you mean 'gaussian'? ", '')
    """
    near = difflib.get_close_matches(given, list(possible), n=1)
    return f"did you mean {near[0]!r}? " if near else ""
