"""What the pages link to is there, and the commands that they name exist."""

import re
from pathlib import Path

import pytest

from aae.cli import COMMANDS
from aae.recipes import RECIPES

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    assert "@@" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    for command, word in re.findall(r"(?<![\w/-])aae ([a-z]+) ?([a-z-]*)", page.read_text()):
        if command in COMMANDS:
            assert command != "train" or not word or word.startswith("--") or word in RECIPES, word
