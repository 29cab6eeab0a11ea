"""How several trainings ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aae.fit import Interrupted
from aae.run import Run


@dataclass(frozen=True)
class Outcome:
    """How several trainings ended by themselves."""

    finished: dict[str, Run]
    """The runs that finished, by name."""
    failed: dict[str, str]
    """What went wrong with the others, by name."""


class Stopped(Interrupted):
    """Several trainings were asked to stop; those that ran saved a checkpoint first."""

    def __init__(self, folder: Path, failed: dict[str, str]):
        super().__init__(folder)
        self.failed = failed
        """What had gone wrong with some of them before, by name."""

    def __str__(self) -> str:
        words = (f"; {name} failed: {why}" for name, why in self.failed.items())
        return f"stopped; those that ran are saved in {self.place}{''.join(words)}"
