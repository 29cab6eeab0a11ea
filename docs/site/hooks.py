"""What MkDocs is told beyond ``mkdocs.yml``: files from outside, modules, formulas as MathML.

Pages are written for a reader of the repository: their links lead to files where they lie in it.
In the site, the repository's root lies over ``docs``, and a linked file from outside is copied.
"""

from __future__ import annotations

import posixpath
import re
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")
"""Pages of the site that lie at the repository's root."""
HOME = {"README.md": "index.md"}
"""What the site has instead of a file of the repository."""
WORDED = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\)")
"""A link, with its words."""
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=[)#\s])")
MODULES = re.compile(r"^::: ([\w.]+)\.\*$", re.MULTILINE)
"""Stands for all modules of a package: what it imports of them is not shown twice."""
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages at the root, and what pages link to outside of ``docs``."""
    for name in PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for file in list(files.documentation_pages()):
        for target in LINK.findall(file.content_string):
            place = _place(file, target)
            source = ROOT / place
            if "://" not in target and source.is_file() and not place.startswith("docs/"):
                name = _in_site(place)
                if files.get_file_from_path(name) is None:
                    files.append(File.generated(config, name, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead to where their targets are in the site, which has no folders."""

    def moved(link: re.Match[str]) -> str:
        target = link[0]
        if "://" in target:
            return target
        place = _in_site(_place(page.file, target))
        return posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")

    def folders_left_out(link: re.Match[str]) -> str:
        words, target = link.groups()
        here = "://" in target or not (ROOT / _place(page.file, target)).is_dir()
        return link[0] if here else words

    return MODULES.sub(_modules, LINK.sub(moved, WORDED.sub(folders_left_out, markdown)))


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, which browsers draw by themselves."""

    def drawn(formula: re.Match[str]) -> str:
        tag, bracket, tex = formula.groups()
        display = "block" if bracket == "[" else "inline"
        return f'<{tag} class="formula">{convert(unescape(tex).strip(), display=display)}</{tag}>'

    return FORMULA.sub(drawn, html)


def _modules(package: re.Match[str]) -> str:
    folder = ROOT / "src" / package[1].replace(".", "/")
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    return "\n\n".join(f"::: {package[1]}.{name}" for name in names)


def _place(file: File, target: str) -> str:
    """Where in the repository a page's link leads to."""
    home = "" if file.src_uri in PAGES else "docs"
    return posixpath.normpath(posixpath.join(home, posixpath.dirname(file.src_uri), target))


def _in_site(place: str) -> str:
    """Where in the site a file of the repository is."""
    return HOME.get(place, place.removeprefix("docs/"))
