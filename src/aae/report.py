"""A run on one page: a single HTML file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from aae.storage import written

Value = str | int | float

FINE = "fine"
"""The verdict of a check that found nothing wrong."""


def write(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[tuple[str, Value]] = (),
    health: Sequence[tuple[str, Value, str, str]] = (),
    metrics: Sequence[tuple[str, Value]] = (),
    figures: Sequence[tuple[str, str | os.PathLike[str]]] = (),
    command: str = "",
    by_hand: str = "",
    settings: Sequence[tuple[str, Value]] = (),
) -> Path:
    """Write the report of a run, atomically; the same arguments give the same bytes.

    Args:
        path: the HTML file; missing folders are made.
        title: of the page.
        summary: (name, value): what was trained, on what.
        health: (check, value, verdict, advice); a verdict other than "fine" is shown as a warning.
        metrics: (name, value): what was measured.
        figures: (caption, PNG file), embedded in this order.
        command: what repeats the run.
        by_hand: how else to repeat it, in words, where no command can.
        settings: (name, value): the whole config, folded away.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: if a figure does not exist.
        ValueError: if a figure is not a PNG.
    """
    tables = _section("Training health", _health(health)) + _section("Metrics", _metrics(metrics))
    return _page(
        path,
        title,
        _summary(summary, health),
        _tag("div", tables, kind="tables"),
        _section("Figures", _tag("div", *map(_figure, figures), kind="figures")),
        _section("Run it again", _tag("pre", escape(command)) + _tag("p", escape(by_hand))),
        _folded("All settings", settings),
    )


def write_side_by_side(
    path: str | os.PathLike[str],
    *,
    title: str,
    tables: Mapping[str, tuple[Sequence[str], Mapping[str, Sequence[Value | None]]]],
    pictures: Mapping[str, Sequence[tuple[str, str | os.PathLike[str]]]],
) -> Path:
    """Write several runs side by side, each in a column, atomically.

    Args:
        path: the HTML file; missing folders are made.
        title: of the page.
        tables: by heading, the names of the columns (the first is that of the rows' names), and
            each row's values by its name.
        pictures: by heading, (caption, PNG file), embedded in this order.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: if a picture does not exist.
        ValueError: if a picture is not a PNG.
    """
    parts = [
        _section(heading, _table(map(escape, columns), [_row(*row) for row in rows.items()]))
        for heading, (columns, rows) in tables.items()
    ]
    parts += [
        _section(heading, _tag("div", *map(_figure, figures), kind="figures beside"))
        for heading, figures in pictures.items()
    ]
    return _page(path, title, "", *parts)


def _page(path: str | os.PathLike[str], title: str, summary: str, *parts: str) -> Path:
    """Write a page of a title, a summary and parts that are already HTML."""
    head = _tag("header", _tag("h1", escape(title)), summary)
    body = "\n".join(filter(None, (head, *parts)))
    page = _PAGE.substitute(style=_STYLE, title=escape(title), body=body)
    path = Path(path)
    with written(path) as aside:
        aside.write_text(page, encoding="utf-8", newline="\n")
    return path


def _row(name: str, values: Sequence[Value | None]) -> list[str]:
    """A row's name and its values; a dash stands for a value that is not there."""
    return [escape(name.replace("_", " ")), *("–" if v is None else _value(v) for v in values)]


def _tag(name: str, *parts: str, kind: str = "", **attributes: object) -> str:
    """An element around parts that are already HTML; nothing if there are none."""
    if not any(parts):
        return ""
    attributes = ({"class": kind} if kind else {}) | attributes
    opening = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{opening}>" + "\n".join(filter(None, parts)) + f"</{name}>"


def _section(heading: str, body: str) -> str:
    return _tag("section", _tag("h2", heading), body) if body else ""


def _folded(heading: str, rows: Sequence[tuple[str, Value]]) -> str:
    """A table that is folded until it is asked for."""
    table = _table(("Setting", "Value"), [(escape(name), _value(value)) for name, value in rows])
    return _tag("section", _tag("details", _tag("summary", heading), table)) if table else ""


def _summary(
    summary: Sequence[tuple[str, Value]], health: Sequence[tuple[str, Value, str, str]]
) -> str:
    facts = [(name, _value(value)) for name, value in summary]
    if health:
        wrong = sum(verdict != FINE for _, _, verdict, _ in health)
        words = f"{wrong} of {len(health)} checks failed" if wrong else "all checks fine"
        facts.insert(0, ("health", _badge(words, fine=not wrong)))
    return _tag(
        "dl", *(_tag("div", _tag("dt", escape(name)), _tag("dd", value)) for name, value in facts)
    )


def _health(health: Sequence[tuple[str, Value, str, str]]) -> str:
    return _table(
        ("Check", "Value", "Verdict"),
        [
            (
                escape(check),
                _value(value),
                _badge(verdict, fine=verdict == FINE) + _tag("p", escape(advice)),
            )
            for check, value, verdict, advice in health
        ],
    )


def _metrics(metrics: Sequence[tuple[str, Value]]) -> str:
    return _table(
        ("Metric", "Value ± standard error"),
        [(escape(name), _value(value)) for name, value in metrics],
    )


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are already HTML; the first cell of each row heads it."""
    body = [
        _tag("tr", _tag("th", head, scope="row"), *(_tag("td", cell) for cell in cells))
        for head, *cells in rows
    ]
    head = _tag("tr", *(_tag("th", column, scope="col") for column in columns))
    return _tag("table", _tag("thead", head), _tag("tbody", *body)) if body else ""


def _figure(figure: tuple[str, str | os.PathLike[str]]) -> str:
    caption, path = figure[0], Path(figure[1])
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"a report embeds PNG pictures, and {path} is none: convert it")
    width, height = struct.unpack(">II", data[16:24])
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    image = f'<img alt="{escape(caption)}" width="{width}" height="{height}" src="{source}">'
    shape = "wide" if width > 1.3 * height else ""
    return _tag("figure", image, _tag("figcaption", escape(caption)), kind=shape)


def _badge(words: str, *, fine: bool) -> str:
    sign = _tag("span", "✓" if fine else "!", **{"aria-hidden": "true"})
    return _tag("span", sign, escape(words), kind="badge fine" if fine else "badge warn")


def _value(value: Value) -> str:
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


_STYLE = """\
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #20242b; --soft: #5f6670;
  --rule: #e3e6ea; --fine: #17714a; --fine-bg: #e2f4ea; --warn: #8a4b00; --warn-bg: #fdefd8; }
@media (prefers-color-scheme: dark) { :root { --page: #13161b; --card: #1c2027; --ink: #e7e9ed;
  --soft: #a0a7b2; --rule: #2f353e; --fine: #7fd6a8; --fine-bg: #17362a; --warn: #f0be74;
  --warn-bg: #3d2e17; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 76rem; margin: 0 auto;
  padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2.5rem); }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; letter-spacing: -0.015em;
  text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-bottom: 0.75rem; }
section { margin-top: 2.5rem; min-width: 0; }
dl { display: flex; flex-wrap: wrap; gap: 0.75rem 2rem; margin-top: 1.25rem; }
dt { color: var(--soft); font-size: 0.8rem; }
dd { font-weight: 600; overflow-wrap: anywhere; }
.tables { display: grid; gap: 0 2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
table { width: 100%; border-collapse: collapse; background: var(--card); border-radius: 0.75rem;
  box-shadow: 0 0 0 1px var(--rule); overflow: hidden; font-variant-numeric: tabular-nums; }
th, td { padding: 0.6rem 1rem; text-align: left; vertical-align: top; }
tbody tr { border-top: 1px solid var(--rule); }
thead th { color: var(--soft); font-size: 0.8rem; font-weight: 500; }
tbody th { font-weight: 500; }
.badge { display: inline-block; border-radius: 0.75rem; padding: 0.05rem 0.65rem;
  font-size: 0.875rem; font-weight: 600; }
.badge.fine { color: var(--fine); background: var(--fine-bg); }
.badge.warn { color: var(--warn); background: var(--warn-bg); }
td p { color: var(--soft); font-size: 0.875rem; margin-top: 0.35rem; }
.figures { display: grid; gap: 1.5rem; grid-auto-flow: dense;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
figure { background: #fff; border-radius: 0.75rem; box-shadow: 0 0 0 1px var(--rule);
  overflow: hidden; display: flex; flex-direction: column; }
figure.wide { grid-column: 1 / -1; }
.beside figure.wide { grid-column: auto; }
.beside { align-items: start; }
img { display: block; max-width: 100%; height: auto; margin: auto; }
figcaption { background: var(--card); border-top: 1px solid var(--rule); color: var(--soft);
  font-size: 0.875rem; padding: 0.75rem 1rem; }
summary { cursor: pointer; font-weight: 600; }
details table { margin-top: 0.75rem; table-layout: fixed; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: 0.75rem; box-shadow: 0 0 0 1px var(--rule);
  padding: 0.9rem 1rem; font: 0.875rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-x: auto; }
@media (max-width: 40rem) { table { font-size: 0.9375rem; } th, td { padding: 0.5rem 0.65rem; } }
@media print { body { background: none; } figure, tr { break-inside: avoid; } }
"""

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")
