"""Every dependency has its licence on the page; a report of vulnerabilities is read rightly."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import dependencies


def test_the_page_has_every_dependency():
    rows = dict(dependencies._rows(dependencies.PAGE.read_text()))
    assert list(rows) == list(dependencies.named()), "python benchmarks/dependencies.py licences"
    assert {"torch", "numpy", "filelock", "hypothesis"} <= rows.keys()
    assert not [row for row in rows.values() if "not stated" in row]


def test_licences_come_from_the_packages():
    assert "BSD" in dependencies.licence("torch")
    assert dependencies.licence("no-such-package") is None


@pytest.mark.parametrize("holes", [0, 1])
def test_a_report(holes):
    hole = {"id": "PYSEC-1", "fix_versions": ["2"]}
    report = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": [hole][:holes]},
            {"name": "b", "version": "1", "vulns": []},
            {"name": "c", "skip_reason": "not found"},
        ]
    }  # fmt: skip
    assert dependencies.weak(report) == {
        "audited": 2, "vulnerable": ["a 1: PYSEC-1, mended in 2"][:holes], "unknown": ["c"],
    }  # fmt: skip
