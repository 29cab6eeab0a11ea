"""The engine for a CPU: replicas in parallel processes, a core for each."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from aae import fit
from aae.config import Config
from aae.data import Dataset
from aae.progress import Herald, News
from aae.replicas.outcome import Stopped
from aae.run import Run
from aae.words import in_one_line


@dataclass(frozen=True)
class _End:
    """The last message of a worker."""

    interrupted: bool = False
    failure: str | None = None


@dataclass
class _Worker:
    """A process that trains one replica, as its parent sees it."""

    name: str
    process: BaseProcess
    end: _End | None = None


def in_processes(
    folder: Path,
    runs: dict[str, Run],
    dataset: Dataset | None,
    asked: Callable[[], bool],
    tell: Callable[[News], None],
    say: Callable[[str], None],
) -> dict[str, str]:
    """Train runs from their newest checkpoints, as many at a time as torch has threads.

    See `aae.replicas.together.in_step` for arguments, result and errors.
    """
    cores = torch.get_num_threads()
    at_once = min(len(runs), cores)
    threads = cores // at_once
    say(
        f"{len(runs)} replica{'s' if len(runs) > 1 else ''} on the CPU, {at_once} at a time, "
        f"each in a process of {threads} thread{'s' if threads > 1 else ''}"
    )
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    waiting, working = deque(runs.items()), dict[Connection, _Worker]()
    ends: dict[str, _End] = {}
    try:
        while working or waiting:
            while waiting and len(working) < at_once and not stop.is_set():
                name, run = waiting.popleft()
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work,
                    args=(name, folder / name, run.config, threads, theirs, stop),
                    name=name,
                    daemon=True,
                )
                with _no_interrupts():  # which the process inherits; `stop` tells it
                    process.start()
                theirs.close()
                working[ours] = _Worker(name, process)
                # Not an argument: if the process dies before it has read its arguments, we wait
                # forever; a pipe breaks instead.
                with suppress(BrokenPipeError, ConnectionResetError):  # which `_hear` reports
                    ours.send(dataset)
            if asked():
                stop.set()
                ends |= {name: _End(interrupted=True) for name, _ in waiting}
                waiting.clear()
            for pipe in wait(list(working), timeout=0.2):
                assert isinstance(pipe, Connection)
                if (end := _hear(pipe, working[pipe], tell)) is not None:
                    ends[working.pop(pipe).name] = end
    finally:
        for worker in working.values():
            worker.process.terminate()
            worker.process.join()
    failed = {name: words for name in runs if (words := ends[name].failure) is not None}
    if any(end.interrupted for end in ends.values()):
        raise Stopped(folder, failed)
    return failed


def _hear(pipe: Connection, worker: _Worker, tell: Callable[[News], None]) -> _End | None:
    """Take one message of a worker; returns its end once its process has ended."""
    try:
        message = pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        pipe.close()
        died = f"its process died (exit code {worker.process.exitcode})"
        return worker.end or _End(failure=died)
    if isinstance(message, _End):
        worker.end = message
    else:
        tell(message)
    return None


def _work(
    name: str,
    folder: Path,
    config: Config,
    threads: int,
    pipe: Connection,
    stop: Event,
) -> None:
    """What a worker's process does; its data set comes through the pipe."""
    torch.set_num_threads(threads)
    try:
        dataset: Dataset | None = pipe.recv()
        fit.resume(
            folder,
            [Herald(name, pipe.send)],
            dataset=dataset,
            data_dir=config.data_dir,
            device=config.device,
            stop=stop.is_set,
        )
    except fit.Interrupted:
        pipe.send(_End(interrupted=True))
    except (ValueError, OSError, RuntimeError) as error:
        pipe.send(_End(failure=in_one_line(error)))
    except Exception as error:
        pipe.send(_End(failure=f"{type(error).__name__}: {error}"))
        raise  # a bug of ours: the traceback is wanted
    else:
        pipe.send(_End())


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C for a moment."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is None:
        yield  # the owner of the main thread handles signals, or the program around Python
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
