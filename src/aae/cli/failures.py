"""What goes wrong, said in one line."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Collection

from aae import launch

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def guarded(program: str, run: Callable[[], int]) -> int:
    """Run a program; an error becomes one line on the standard error, and an exit code.

    Args:
        program: its name, said before the error.
        run: the program; returns its exit code.

    Returns:
        What ``run`` returned; 2 for wrong use, 1 for a failure, 130 for Ctrl-C. Where the variable
        ``AAE_DEBUG`` of the environment is set, errors are raised instead.
    """
    try:
        code = run()
        sys.stdout.flush()  # a closed pipe shall show here, not as the interpreter ends
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILURE if stop.code else 0
    except KeyboardInterrupt:
        code, words = INTERRUPTED, "interrupted"
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("AAE_DEBUG"):
            raise
        code = USAGE if isinstance(error, ValueError) else FAILURE
        words = _in_one_line(error)
        if launch.several() and not _is_heard(error):
            return code
    who = f"{program}, process {launch.rank()}" if launch.rank() else program
    print(f"{who}: {words}", file=sys.stderr)
    return code


def _is_heard(error: Exception) -> bool:
    """Whether an error of one process of several shall be said, for some may have the same."""
    from aae.training.world import LostError

    if isinstance(error, LostError):  # the first one knows what is saved
        return launch.rank() == 0
    return launch.fails_first()


def unknown(what: str, given: str, possible: Collection[str], see: str) -> ValueError:
    """The error for a name that does not exist: the nearest that does, or all where they are few.

    >>> unknown("flag", "--epoch", ["--epochs", "--lr"], "see --help")
    ValueError("there is no flag '--epoch'; did you mean '--epochs'? see --help")
    """
    near = difflib.get_close_matches(given, possible, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if not near and len(possible) <= 10:
        hint = f"there are {', '.join(possible)}; "
    return ValueError(f"there is no {what} {given!r}; {hint}{see}")


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
