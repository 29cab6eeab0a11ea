"""Words in errors: what a misspelt name may have meant, sizes, and what else went wrong."""

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


def by(shape: Iterable[int]) -> str:
    """A size, as people write it.

    >>> by((28, 28))
    '28×28'
    """
    return "×".join(map(str, shape))


def in_one_line(error: Exception) -> str:
    """What an error says; its type if it says nothing.

    >>> in_one_line(ValueError("no   luck")), in_one_line(KeyError())
    ('no luck', 'KeyError')
    """
    return " ".join(str(error).split()) or type(error).__name__
