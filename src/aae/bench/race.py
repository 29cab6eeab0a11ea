"""Several things measured in turn, each in a process of its own.

A single timing says little: machines are shared, warm and cold. So everything that is compared runs
in the same minutes, a little in every round, and is compared within a round. Separate processes
keep one from helping or hindering another: ours has the processor treat small numbers as 0, threads
wait for more work, and used memory is used again, all within a process.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

T = TypeVar("T")
LEAST_ROUNDS = 3


def race(
    makers: Mapping[str, Callable[[], Callable[[], Any]]],
    *,
    rounds: int,
    until: float = math.inf,
    tell: Callable[[str], object] = lambda words: None,
) -> dict[str, list[Any]]:
    """Measure several things in turn; while one is measured, the others sleep.

    Args:
        makers: what makes each, see `Worker`, by name.
        rounds: how often each is measured.
        until: the time after which no further round begins, by `time.monotonic`; three rounds are
            made in any case, if as many are requested.
        tell: is told in words what happens.

    Returns:
        The measurements of each, one for each round.

    Raises:
        RuntimeError: a process died.
    """
    workers = {name: Worker(make) for name, make in makers.items()}
    measured: dict[str, list[Any]] = {name: [] for name in workers}
    try:
        for name, worker in workers.items():
            tell(f"warming up: {name}")
            worker.prepare()
        for k in range(rounds):
            if k >= LEAST_ROUNDS and time.monotonic() > until:
                break
            tell(f"round {k + 1} of {rounds}")
            for name, worker in workers.items():
                measured[name].append(worker.measure())
    finally:
        for worker in workers.values():
            worker.dismiss()
        for worker in workers.values():
            worker.join()
    return measured


class Worker(Generic[T]):
    """A process that makes something and then measures it each time it is asked to.

    Args:
        make: makes it, in the process, and returns a function that measures it once. It must be a
            module's function, or a `functools.partial` of one.
    """

    def __init__(self, make: Callable[[], Callable[[], T]]):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self) -> None:
        """Have it made; until then, the process only imports what it needs."""
        self._ask()

    def measure(self) -> T:
        """Measure once."""
        return self._ask()

    def _ask(self) -> T:
        """Have the process do the next thing.

        Raises:
            RuntimeError: the process died.
            Exception: whatever went wrong in it.
        """
        try:
            self._pipe.send(None)
            reply = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RuntimeError(
                f"a process that was measured died, with exit code {self._process.exitcode}; "
                "there may not be enough memory"
            ) from None
        if isinstance(reply, Exception):
            raise reply
        return reply  # type: ignore[no-any-return]

    def dismiss(self) -> None:
        """Ask for nothing more: the process ends when it has finished its current work."""
        self._pipe.close()

    def join(self) -> None:
        """Wait for the process to end, but not for long."""
        self._process.join(timeout=5)
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, make: Callable[[], Callable[[], object]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    try:
        pipe.recv()
        measure = make()
        pipe.send(None)
        while True:
            pipe.recv()
            pipe.send(measure())
    except (EOFError, BrokenPipeError, ConnectionResetError):  # nobody asks any more
        return
    except Exception as error:
        error.add_note(traceback.format_exc())
        pipe.send(error)
