"""What a run folder says about itself: its format; earlier formats are brought to today's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FORMAT = 2
"""Version of the run folder's layout: 1 kept a training's state in a torch file (`STATE` in
`aae.training.old_formats`), 2 keeps it as safetensors."""
KINDS = ["mlp", "conv"]
"""Kinds of network that a run folder may name."""


def of_today(about: Any, folder: Path) -> dict[str, Any]:
    """What a run folder says about itself, brought to today's format.

    Raises:
        ValueError: it is of a later format, or of none.
    """
    version = about.get("format") if isinstance(about, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(f"{folder} has the format {version!r}; aae reads 1 to {FORMAT}")
    if version > FORMAT:
        raise ValueError(
            f"{folder} has the format {version}, of a later version of aae; this one reads "
            f"1 to {FORMAT}: install the newest"
        )
    data = about.get("data")
    if (
        not isinstance(about.get("config"), dict)
        or not isinstance(data, dict)
        or not are(int, data.get("shape")) or not data["shape"] or min(data["shape"]) < 1
        or not are(str, data.get("classes"))
        or not are(int, [data.get("train") or 0])
    ):  # fmt: skip
        raise none_of_ours(folder, "no config, or no data")
    if not are(str, about.get("networks", [])) or about.get("network", "mlp") not in KINDS:
        raise none_of_ours(folder, "its networks are none")
    if not isinstance(about.get("versions", {}), dict):
        raise none_of_ours(folder, "its versions are none")
    # 1 and 2 differ in what a checkpoint holds, which is handled there.
    return {**about, "format": FORMAT}


def none_of_ours(folder: Path, why: str) -> ValueError:
    """The error for a config that this program did not write."""
    return ValueError(f"{folder / 'config.json'} is none that aae wrote: {why}")


def are(kind: type, values: object) -> bool:
    """Whether a JSON value is a list whose values are all of one type."""
    return isinstance(values, list) and all(type(value) is kind for value in values)
