"""What a run is handed on as, and shown by: ``aae export``, ``explore``, ``push``."""

from __future__ import annotations

from pathlib import Path
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
        format: ONNX; a program for torch.export.load; or weights alone, with the config.
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
        count: Pictures of the test set to show, at most.
        port: Port on 127.0.0.1; 0 takes one that is free.
        open: Open the browser.
        data_dir: Folder that holds the data set's files, if elsewhere than when the run began.
    """
    if count < 1:
        raise ValueError(f"--count must be at least 1, not {count}")
    if not 0 <= port < 2**16:
        raise ValueError(f"--port must lie in 0..65535, not {port}")
    from aae.explorer import server, site
    from aae.run import Run

    place = Run(run)
    if export is not None:
        print(site.write(place, export, count=count, data_dir=data_dir) / "index.html")
        return 0
    import tempfile
    import webbrowser

    with tempfile.TemporaryDirectory(prefix="aae-explore-") as folder:
        site.write(place, folder, count=count, data_dir=data_dir)
        with server.serve(Path(folder), port) as served:
            url = f"http://{server.HOST}:{served.server_port}/"
            print(f"{url} (Ctrl-C ends it)", flush=True)
            if open:
                webbrowser.open(url)
            try:
                served.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0


def push(run: Path, name: str, /, *, private: bool = False, license: str | None = None) -> int:
    """Share a run on the Hugging Face Hub, with a model card.

    Args:
        run: The run folder.
        name: USER/NAME there; it is made if there is none.
        private: Whether a new one is private.
        license: Of the weights, as the Hub abbreviates it: mit, cc-by-4.0, …
    """
    from aae import hub
    from aae.run import Run

    print(hub.push(Run(run), name, private=private or None, license=license))
    return 0
