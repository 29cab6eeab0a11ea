"""Commands that share or show a run: ``aae export``, ``explore``, ``push``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal


def export(
    run: Path,
    /,
    *,
    format: Literal["onnx", "torch-export", "safetensors"] = "onnx",
    out: Path | None = None,
) -> int:
    """Write a run's encoder, decoder and classifier for other programs.

    Args:
        run: The run folder.
        format: ONNX; a program for torch.export.load; or only the weights, with the config.
        out: Folder to write to; without it, RUN/export.
    """
    from aae import export as exporting
    from aae.run import Run

    for path in exporting.export(Run(run), out or run / "export", format):
        print(path)
    return 0


def explore(
    run: Path,
    /,
    *,
    export: Path | None = None,
    count: int = 10_000,
    port: int = 0,
    open: bool = True,
    data_dir: str | None = None,
) -> int:
    """Walk through a run's code space in the browser.

    Args:
        run: The run folder.
        export: Instead of showing the page, write it into this folder, for any web host.
        count: Maximum number of test pictures to show.
        port: Port on 127.0.0.1; 0 takes any free one.
        open: Open the browser.
        data_dir: Folder that holds the data set's files, if they have moved since the run began.
    """
    if count < 1:
        raise ValueError(f"--count must be at least 1, not {count}")
    if not 0 <= port < 2**16:
        raise ValueError(f"--port must lie in 0..65535, not {port}")
    from aae.explorer import server, site
    from aae.run import Run

    place = Run(run)
    if export is not None:
        with _ended_by_signals():
            print(site.write(place, export, count=count, data_dir=data_dir) / "index.html")
        return 0
    import tempfile
    import webbrowser

    with (
        _ended_by_signals(),
        tempfile.TemporaryDirectory(prefix="aae-explore-") as folder,
        server.serve(Path(folder), port) as served,  # a port in use is reported before the work
    ):
        site.write(place, folder, count=count, data_dir=data_dir)
        url = f"http://{server.HOST}:{served.server_port}/"
        print(f"{url} (Ctrl-C ends it)", flush=True)
        if open:
            # Browsers in a terminal return when they are left, and have to be answered before.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP (the terminal was closed) leave no temporary files behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # whoever owns the main thread handles signals
        return
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Ignored signals stay ignored, as nohup requires; None is a handler not set from Python.
    left = (signal.SIG_IGN, None)
    before = {n: h for n in numbers if (h := signal.getsignal(n)) not in left}

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:  # a second signal must not interrupt the cleanup
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)  # as shells count

    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def push(run: Path, name: str, /, *, private: bool = False, license: str | None = None) -> int:
    """Share a run on the Hugging Face Hub, with a model card.

    Args:
        run: The run folder.
        name: USER/NAME on the Hub; it is created if it does not exist.
        private: If it is created, make it private.
        license: Licence of the weights, as the Hub abbreviates it: mit, cc-by-4.0, …
    """
    from aae import hub
    from aae.run import Run

    print(hub.push(Run(run), name, private=private or None, license=license))
    return 0
