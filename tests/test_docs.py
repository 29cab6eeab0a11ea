"""What the pages link to is there, and the commands that they name exist."""

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aae
from aae.cli import COMMANDS
from aae.recipes import RECIPES

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    assert "@@" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    for command, word in re.findall(r"(?<![\w/-])aae ([a-z]+) ?([a-z-]*)", page.read_text()):
        assert command in {*COMMANDS, "import"}, command
        assert command != "train" or not word or word.startswith("--") or word in RECIPES, word


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as it is put on a host; a warning of MkDocs or griffe ends the build.

    Not quietly: what is not said is not counted.
    """
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_has_every_public_module_and_loads_nothing(site):
    reference = "".join(page.read_text() for page in site.glob("reference/*.html"))
    missing = [
        name
        for _, name, _ in pkgutil.walk_packages(aae.__path__, "aae.")
        if name != "aae.__main__"
        and not (ROOT / "src" / name.replace(".", "/")).is_dir()  # whose modules are there
        and f'id="{name}"' not in reference
    ]
    assert not missing, "name them on a page of docs/reference"
    for name in aae.__all__:
        assert f'.{name}"' in reference, name
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 25
    loaded = (
        r"""<(script|img|iframe)[^>]*src="?(https?:)?//|<link [^>]*stylesheet[^>]*//"""
        r"""|url\(["']?http"""
    )
    for page in pages:
        assert not re.search(loaded, page.read_text()), page


def test_formulas_are_drawn_by_the_browser(site):
    page = (site / "mathematics.html").read_text()
    assert page.count("<math ") > 30
    assert "arithmatex" not in page
    assert r"\frac" not in page


@pytest.mark.parametrize("page", ["index", "tutorial", "healthy"])
def test_pages_do_what_they_say(page, run, tmp_path, monkeypatch, capsys):
    """Commands and Python, in the order of the page, with trainings cut short."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{page}.md").read_text()
    names = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "python":
            short = re.sub(r"(n_epochs=30, )?(?=scale=)", "n_epochs=2, ", block, count=1)
            exec(compile(short, page, "exec"), names)
        elif not language and page == "tutorial":
            for line in block.splitlines():
                if line.startswith("aae "):
                    words = line.replace(
                        "--hidden 400 --epochs 250", "--hidden 32 --epochs 2"
                    ).split()[1:]
                    assert run(*words)[0] == 0, line
    if page == "tutorial":
        assert (tmp_path / "samples.png").stat().st_size > 1000
        assert names["classifier"].score(names["X_test"], names["y_test"]) > 0.5
