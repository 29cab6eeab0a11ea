"""The house as it was designed: which way imports run, what stays light, how long a file may be."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import aae
from aae.estimators import AdversarialClassifier

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("src", "experiment", "benchmarks")
                 for path in (ROOT / folder).rglob("*.py"))  # fmt: skip


def test_imports_run_one_way(capsys, monkeypatch):
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)  # it silences all others
    # The contracts are in pyproject.toml; a new module must be given its place there.
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def imported(path):
    """The full names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_but_programs_imports_the_command_line():
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(f"{name}.".startswith("aae.cli.") for name in imported(path))
    }
    assert "src/aae/__main__.py" in importers
    programs = (
        "src/aae/__main__.py", "src/aae/cli/", "experiment/", "benchmarks/throughput.py",
    )  # fmt: skip
    assert [name for name in importers if not name.startswith(programs)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.name)
def test_what_a_benchmark_imports_is_there(path):
    assert runpy.run_path(str(path), run_name="looked at")["__doc__"]


@pytest.mark.parametrize("module", ["aae", "aae.config", "aae.recipes", "aae.data"])
def test_what_the_help_needs_is_quick_to_import(module):
    script = f"import sys, {module}; print(sorted({{'torch', 'matplotlib'}} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_the_package_offers_estimators_lazily():
    assert aae.AdversarialClassifier is AdversarialClassifier
    assert set(aae.__all__) <= set(dir(aae))
    with pytest.raises(AttributeError, match="no attribute 'Adverserial'"):
        aae.Adverserial  # noqa: B018
