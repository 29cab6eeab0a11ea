"""The report: its words, its pictures, and that it loads nothing."""

import base64
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser

import pytest

from aae import report


def png(width: int, height: int) -> bytes:
    """A black picture, made by hand: a report needs no drawing library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (width + 1) * height)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


class Page(HTMLParser):
    """What a browser would see: elements with attributes, words, and whether all tags close."""

    VOID = ("meta", "img")

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements, self.words, self.open = [], [], []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style" and data.strip():
            self.words.append((self.open[-1], data.strip()))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def texts(self, tag):
        return [words for name, words in self.words if name == tag]


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "a.png").write_bytes(png(40, 40))
    (tmp_path / "b.png").write_bytes(png(90, 30))
    return {
        "title": "labels on mnist",
        "summary": [("recipe", "labels"), ("epochs", 50)],
        "health": [
            ("accuracy", 0.5312345, "fine", ""),
            ("balance", 0.3, "two classes are empty", "Raise --weight."),
        ],
        "metrics": [("reconstruction_error", 34.234567), ("split", "test"), ("n", 10000)],
        "figures": [("Codes", tmp_path / "a.png"), ("Curves", str(tmp_path / "b.png"))],
        "command": "aae train labels --seed 0",
        "settings": [("lr", 0.001)],
    }


@pytest.fixture
def page(arguments, tmp_path):
    return Page(report.write(tmp_path / "run" / "report.html", **arguments))


def test_neither_torch_nor_matplotlib_is_imported():
    check = "import sys, aae.report; print({'torch', 'matplotlib', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_page_says_what_it_was_given(page):
    assert page.texts("title") == page.texts("h1") == ["labels on mnist"]
    assert page.texts("dt") == ["health", "recipe", "epochs"]
    assert page.texts("dd") == ["labels", "50"]
    assert page.texts("th") == [
        *("Check", "Value", "Verdict", "accuracy", "balance"),
        *("Metric", "Value ± standard error", "reconstruction_error", "split", "n"),
        *("Setting", "Value", "lr"),
    ]
    assert page.texts("td") == ["0.5312", "0.3", "34.23", "test", "10000", "0.001"]
    assert page.texts("p") == ["Raise --weight."]
    assert page.texts("figcaption") == ["Codes", "Curves"]
    assert page.texts("pre") == ["aae train labels --seed 0"]
    assert page.texts("summary") == ["All settings"]
    assert page.texts("h2") == ["Training health", "Metrics", "Figures", "Run it again"]


def test_what_no_command_repeats_is_said_in_words(arguments, tmp_path):
    arguments |= {"command": "", "by_hand": "Call fit."}
    page = Page(report.write(tmp_path / "report.html", **arguments))
    assert page.texts("pre") == []
    assert page.texts("p") == ["Raise --weight.", "Call fit."]
    assert page.texts("h2")[-1] == "Run it again"


def test_verdicts_are_marked_by_sign_and_word(page):
    badges = [element["class"] for element in page.all("span") if "class" in element]
    assert badges == ["badge warn", "badge fine", "badge warn"]
    assert page.texts("span") == [
        *("!", "1 of 2 checks failed", "✓", "fine", "!", "two classes are empty"),
    ]


def test_all_fine_is_said_so(arguments, tmp_path):
    arguments["health"] = [("accuracy", 0.5, report.FINE, "")]
    page = Page(report.write(tmp_path / "report.html", **arguments))
    assert page.texts("span") == ["✓", "all checks fine", "✓", "fine"]


def test_figures_are_embedded_with_size_and_alternative(page, arguments):
    for image, (caption, path) in zip(page.all("img"), arguments["figures"], strict=True):
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        with open(path, "rb") as file:  # noqa: PTH123
            assert base64.b64decode(data) == file.read()
        assert image["alt"] == caption
    assert [(image["width"], image["height"]) for image in page.all("img")] == [
        ("40", "40"),
        ("90", "30"),
    ]
    assert [figure.get("class") for figure in page.all("figure")] == [None, "wide"]


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]+", "", page.source)
    )
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_page_suits_phones_readers_and_dark_rooms(page):
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert "prefers-color-scheme: dark" in page.source
    assert {head.get("scope") for head in page.all("th")} == {"row", "col"}


def test_every_word_is_escaped(arguments, tmp_path):
    evil = "<script>alert('$title')</script>&\"><img src=x onerror=y>"
    figure = arguments["figures"][0][1]
    path = report.write(
        tmp_path / "report.html",
        title=evil,
        summary=[(evil, evil)],
        health=[(evil, evil, evil, evil)],
        metrics=[(evil, evil)],
        figures=[(evil, figure)],
        command=evil,
        by_hand=evil,
    )
    page = Page(path)
    assert page.all("script") == []
    assert len(page.all("img")) == 1
    assert page.all("img")[0]["alt"] == evil
    assert [words for _, words in page.words].count(evil) == 13


def test_what_is_empty_is_left_out(tmp_path):
    page = Page(report.write(tmp_path / "report.html", title="Empty"))
    assert page.texts("h1") == ["Empty"]
    assert not {"h2", "section", "table", "figure", "dl", "pre"} & {tag for tag, _ in page.elements}


def test_the_same_run_gives_the_same_bytes_and_no_other_file(arguments, tmp_path):
    first = report.write(tmp_path / "one" / "report.html", **arguments).read_bytes()
    assert report.write(tmp_path / "one" / "report.html", **arguments).read_bytes() == first
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["report.html"]


def test_a_picture_that_is_no_png_is_refused_and_the_old_page_kept(arguments, tmp_path):
    path = report.write(tmp_path / "report.html", **arguments)
    before = path.read_bytes()
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"a\.png is none"):
        report.write(path, **arguments)
    assert path.read_bytes() == before
    arguments["figures"] = [("Gone", tmp_path / "gone.png")]
    with pytest.raises(FileNotFoundError, match="gone"):
        report.write(path, **arguments)
