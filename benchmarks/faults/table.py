"""The table in docs/reliability.md, from the figures that the other scripts saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import RESULTS

from aae.storage import written

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_WRITE, _REMOVAL = "in a checkpoint's write", "in the removal of an old one"
_START, _END = "<!-- table.py writes from here -->\n", "<!-- to here -->"


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Fault, how often, and what came of it, for each script with figures."""
    made = []
    if seen := figures.get("kills"):
        made.append((
            "SIGKILL at a random moment, then `--resume`",
            f"{seen['kills']} kills of {seen['trainings']} trainings; {seen[_WRITE]} "
            f"within a checkpoint's write, {seen['before the first checkpoint']} before the first",
            f"{len(seen['lost'])} lost anything; the others ended as if nothing had happened",
        ))  # fmt: skip
    if seen := figures.get("kills_in_writes"):
        made.append((
            f"SIGKILL as a checkpoint is written (for {seen['a write takes, ms']} ms), then "
            "`--resume`",
            f"{seen['kills']} kills of {seen['trainings']} trainings; {seen[_WRITE]} within a "
            f"checkpoint's write, {seen[_REMOVAL]} as an old one was removed",
            f"{len(seen['lost'])} lost anything; the others ended as if nothing had happened",
        ))  # fmt: skip
    if seen := figures.get("corruption"):
        made.append((
            "the newest checkpoint cut short, emptied, one bit flipped, or a file of it removed",
            f"{seen['corrupted']} checkpoints",
            f"{seen['noticed']} noticed, {seen['named']} with the file's name; "
            f"{seen['survived']} ended as if nothing had happened",
        ))  # fmt: skip
    if seen := figures.get("full_disk"):
        made.append((
            f"a disk that fills ({seen['disk']}), then has room again",
            f"{seen['events']} events, {seen['without a checkpoint yet']} before the first "
            "checkpoint",
            f"{seen['clear']} with a clear error, {seen['kept']} kept what was whole, "
            f"{seen['went on']} ended as if nothing had happened",
        ))  # fmt: skip
    if seen := figures.get("soak"):
        memory, files = seen["memory"], seen["file descriptors"]
        made.append((
            "trainings one after the other in one process, with pictures and reports",
            f"{seen['trainings']} in {seen['minutes']} minutes",
            f"resident memory {memory['after warming up, MiB']} MiB after warming up, "
            f"{memory['at the end, MiB']} at the end "
            f"({memory['slope, MiB an hour']:+} MiB an hour); {files['growth']:+} file descriptors",
        ))  # fmt: skip
    for name, seen in figures.get("fuzz", {}).items():
        if name != "versions":
            made.append((
                f"damaged files: {name}",
                f"{seen['inputs']:,}, of which {seen['taken']:,} were taken",
                f"{len(seen['failures'])} failures; at most {seen['slowest, s']} s, "
                f"{seen['memory grew by, MiB']} MiB",
            ))  # fmt: skip
    if guided := {k: v for k, v in figures.get("guided", {}).items() if k != "versions"}:
        inputs = [seen["inputs"] for seen in guided.values()]
        first, last = (
            sum(seen[f"branches at {when}"] for seen in guided.values())
            for when in ("first", "last")
        )
        made.append((
            f"damaged files, guided by coverage: {len(guided)} parsers",
            f"{sum(inputs):,}, at least {min(inputs):,} for each; they reached {last:,} branches, "
            f"sound files {first:,}",
            f"{sum(len(seen['failures']) for seen in guided.values())} failures; each took less "
            f"than {max(seen['slowest, s'] for seen in guided.values()) + 1} s",
        ))  # fmt: skip
    return made


def main() -> None:
    figures = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    lines = ["| fault | how often | what came of it |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(figures)]
    before, _, rest = PAGE.read_text().partition(_START)
    _, _, after = rest.partition(_END)
    with written(PAGE) as path:
        path.write_text(before + _START + "\n".join(lines) + "\n" + _END + after)


if __name__ == "__main__":
    main()
