"""Parquet files, each read by a process of its own.

polars takes its process down if a damaged file claims to need more than there is memory, and a
small file can unpack to any size. So it runs in another process, which may take `MOST` bytes and
may die. What comes back is Arrow, written by that process and not by a stranger.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST = 16 * 2**30
"""Most bytes of memory that reading a file may take, where the system can limit a process."""
_READER = """
import sys
try:
    import resource
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
except ImportError:  # no Unix
    pass
import polars
try:
    polars.read_parquet(sys.argv[1], glob=False).write_ipc_stream(sys.stdout.buffer)
except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
    sys.exit(str(error).splitlines()[0])
"""


def read_parquet(place: Path) -> Any:
    """The polars frame in a file.

    Raises:
        ValueError: it cannot be read; says why.
    """
    import polars

    # -P: a polars.py in the current folder is not what is meant.
    command = [sys.executable, "-P", "-c", _READER, str(place), str(MOST)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "RUST_BACKTRACE": "0"})
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        words = [line for line in said if line.strip() and not line.startswith("note: ")]
        why = words[-1] if words else "no reason is given"
        died = "its reader died of it: " if done.returncode < 0 else ""
        raise ValueError(f"{place} cannot be read: {died}{why}")
    return polars.read_ipc_stream(io.BytesIO(done.stdout))
