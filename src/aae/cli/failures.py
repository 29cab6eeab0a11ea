"""Errors, reported in one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from aae import launch
from aae.words import in_one_line, nearest

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def guarded(program: str, run: Callable[[], int], *, last: bool = False) -> int:
    """Run a program; an error becomes one line on standard error, and an exit code.

    Args:
        program: its name, printed before the error.
        run: the program; returns its exit code.
        last: whether the process ends with it: then it is interrupted once, and a Ctrl-C after that
            does not disturb its end.

    Returns:
        What ``run`` returned; 2 for wrong use, 1 for a failure, 130 for Ctrl-C. If the environment
        variable ``AAE_DEBUG`` is set, errors are raised instead.
    """
    if last:
        _ready_streams()
    try:
        code = run()
        sys.stdout.flush()  # a closed pipe must show here, not when the interpreter exits
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILURE if stop.code else 0
    except KeyboardInterrupt:
        if last and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        code, words = INTERRUPTED, "interrupted"
    except BrokenPipeError:  # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("AAE_DEBUG"):
            raise
        code = USAGE if isinstance(error, ValueError) else FAILURE
        words = _described(error)
        if launch.several() and not _is_heard(error):
            return code
    who = f"{program}, process {launch.rank()}" if launch.rank() else program
    print(f"{who}: {words}", file=sys.stderr)
    return code


def _ready_streams() -> None:
    """Have the standard streams take any text: a closed one, and one of few characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", errors="replace"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _is_heard(error: Exception) -> bool:
    """Whether this process, one of several, reports an error that others may have too."""
    from aae.training.world import LostError

    if isinstance(error, LostError):  # the first process has said what is saved
        return launch.rank() == 0
    return launch.fails_first()


def unknown(what: str, given: str, possible: Collection[str], see: str) -> ValueError:
    """The error for an unknown name: it suggests the nearest one, or lists all if they are few.

    >>> unknown("flag", "--epoch", ["--epochs", "--lr"], "see --help")
    ValueError("there is no flag '--epoch'; did you mean '--epochs'? see --help")
    """
    hint = nearest(given, possible)
    if not hint and len(possible) <= 10:
        hint = f"there are {', '.join(possible)}; "
    return ValueError(f"there is no {what} {given!r}; {hint}{see}")


def _described(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return in_one_line(error)
