"""Several things measured in turn, each in a process of its own.

A timing by itself says little: machines are shared, warm and cold. So all that are compared run in
the same minutes, a little in every round, and are compared within a round. And none is helped or
hindered by another: ours has the processor take small numbers for 0, threads wait for more work,
and memory that was used once is used again, all of which belongs to a process.
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
        makers: what makes them, see `Worker`, by their names.
        rounds: how often each is measured.
        until: when no further round is begun, by `time.monotonic`; there are three in any case,
            where three are asked for.
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
    """A process that makes something and then, each time that it is asked, measures it.

    Args:
        make: makes it, in the process, and gives what measures it once. It must be a function of a
            module, or a `functools.partial` of one.
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
            RuntimeError: it died.
            Exception: what went wrong in it.
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
        """Ask for nothing more: the process ends when it has done what it is at."""
        self._pipe.close()

    def join(self) -> None:
        """Wait for the process's end, not for long."""
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
    except EOFError:
        return
    except Exception as error:
        error.add_note(traceback.format_exc())
        pipe.send(error)
