"""What this program depends on: each package's licence, and its known vulnerabilities.

``python benchmarks/dependencies.py licences`` writes docs/dependencies.md from what is installed.
``python benchmarks/dependencies.py audit`` runs pip-audit (``pip install pip-audit``), and fails if
a vulnerability is known. Packages that the index does not know, or all of them without a network,
are listed as not audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path
from typing import Any

from aae.storage import written

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dependencies.md"
_HEAD = """\
# Dependencies and their licences

The licence of each package that `pyproject.toml` names, as stated in its own metadata; this table
is written by `python benchmarks/dependencies.py licences`. [CONTRIBUTING.md](../CONTRIBUTING.md)
says why each package is there. `python benchmarks/dependencies.py audit` looks for known
vulnerabilities.

| package | needed for | licence |
|---|---|---|
"""


def named() -> dict[str, str]:
    """What each package named in pyproject.toml is needed for: "all", or an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"all": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, str] = {}
    for group, packages in groups.items():
        for package in packages:
            name = package.split("[")[0].split(">")[0].strip()
            if name != project["name"]:
                found.setdefault(name, group)
    return dict(sorted(found.items()))


def licence(package: str) -> str | None:
    """A package's licence in a few words; None if it is not installed."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    kinds = [
        line.split("::")[-1].strip()
        for line in about.get_all("Classifier", [])
        if line.startswith("License ::") and not line.endswith(":: OSI Approved")  # alone: none
    ]
    stated = about.get("License-Expression") or ", ".join(kinds) or about.get("License") or ""
    for file in distribution(package).files or [] if not stated else []:
        if file.name.startswith("LICENSE"):  # its first lines have the name
            stated = " ".join(file.read_text().split()[:4]).strip(",")
    return stated.strip().splitlines()[0][:99] if stated.strip() else "not stated"


def page() -> str:
    """The page of licences; packages that are not installed keep their rows."""
    rows = dict(_rows(PAGE.read_text())) if PAGE.exists() else {}
    for name, group in named().items():
        stated = licence(name)
        if stated or name not in rows:
            rows[name] = f"| {name} | {group} | {stated or 'not installed here'} |"
    return _HEAD + "\n".join(rows[name] for name in named()) + "\n"


def _rows(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [(line.split("|")[1].strip(), line) for line in lines]


def audit() -> int:
    """Run pip-audit on all that is installed; see the module."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        seen = weak(json.loads(done.stdout))
    except ValueError:
        print(
            f"not audited: {(done.stderr.strip().splitlines() or ['pip-audit said nothing'])[-1]}"
        )
        return 0
    for line in seen["vulnerable"]:
        print(line)
    print(f"{seen['audited']} packages audited, {len(seen['vulnerable'])} vulnerabilities known; "
          f"{len(seen['unknown'])} not audited: {', '.join(seen['unknown'])}")  # fmt: skip
    return 1 if seen["vulnerable"] else 0


def weak(report: dict[str, Any]) -> dict[str, Any]:
    """Summarise a report of pip-audit: how many were audited, which are vulnerable or unknown."""
    packages = report["dependencies"]
    return {
        "audited": sum("skip_reason" not in each for each in packages),
        "vulnerable": [
            f"{each['name']} {each['version']}: {hole['id']}, mended in "
            f"{', '.join(hole['fix_versions']) or 'no version yet'}"
            for each in packages
            for hole in each.get("vulns", [])
        ],
        "unknown": [each["name"] for each in packages if "skip_reason" in each],
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["audit"]:
        sys.exit(audit())
    if sys.argv[1:] != ["licences"]:
        sys.exit("usage: python benchmarks/dependencies.py licences|audit")
    with written(PAGE) as path:
        path.write_text(page())
    print(PAGE.read_text())
