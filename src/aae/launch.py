"""What a launcher of several processes, such as torchrun, tells each of them."""

from __future__ import annotations

import os
from datetime import timedelta


def rank() -> int:
    """This process's number, from 0; 0 without a launcher."""
    return int(os.environ["RANK"]) if several() else 0


def rank_here() -> int:
    """This process's number on its host, from 0; 0 without a launcher."""
    return int(os.environ.get("LOCAL_RANK", 0)) if several() else 0


def several() -> bool:
    """Whether several processes were started together, this one among them."""
    return "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def restarts() -> int:
    """How often the processes were started again because one of them was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) if several() else 0


def fails_first() -> bool:
    """Whether this is the first of several processes to say that it fails, or cannot know that.

    If a flag is wrong all of them fail, and one line is enough.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=5))
        first: bool = store.add(f"aae/failed/{restarts()}", 1) == 1
        return first
    except (KeyError, ValueError, RuntimeError):
        return True
