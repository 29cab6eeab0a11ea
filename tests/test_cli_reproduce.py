"""``aae reproduce``: which settings are worked on, and where their figures are put."""

import json

import pytest
from rich.console import Console

from aae.cli.reproduce import _table
from aae.reproduce import catalog, work
from aae.reproduce.catalog import Setting, Target


@pytest.fixture
def figures(tiny, monkeypatch):
    """An experiment of two settings, and what is found of them without any work."""
    both = [
        Setting("table", "one", recipe, tiny(recipe=recipe), (Target("error", 0.5),))
        for recipe in ("tuned", "paper")
    ]
    found = {"error": 0.25, "epochs": 1, "seconds": 2.0, "versions": {"machine": "m"}}
    monkeypatch.setattr(catalog, "EXPERIMENTS", {"table": lambda: both})
    monkeypatch.setattr(work, "reproduce", lambda given, **how: [(s, 0, found) for s in given])
    monkeypatch.setattr(
        work, "found", lambda out, quick: [(s, 0, {**found, "error": 0.75}) for s in both]
    )
    return found


@pytest.mark.parametrize(
    ("flags", "recipes"),
    [
        ([], ["tuned"]),
        (["--recipe", "paper"], ["paper"]),
        (["--recipe", "both"], ["tuned", "paper"]),
    ],
)
def test_the_recipes_that_are_asked_for(run, figures, tmp_path, flags, recipes):
    code, out, _ = run("reproduce", "table", "--out", tmp_path, "--json", *flags)
    assert (code, [row["recipe"] for row in json.loads(out)]) == (0, recipes)


def test_a_quick_look_leaves_the_record_alone(run, figures, tmp_path):
    for flags in ([], ["--quick"]):
        assert run("reproduce", "table", "--out", tmp_path, *flags)[0] == 0
        for place in (tmp_path / "summary.json", tmp_path / "quick" / "summary.json"):
            assert place.exists() == (bool(flags) or place.parent == tmp_path)
        record = tmp_path / "summary.json"
        if not flags:
            record.write_text("the record")
    assert record.read_text() == "the record"


def test_signs_say_what_was_reached(capsys):
    shared = {"experiment": "t", "recipe": "tuned", "metric": "error", "public": "", "std": None,
              "n_seeds": 1, "epochs": 2, "seconds": 3.0, "machine": "m"}  # fmt: skip
    rows = [
        shared | {"setting": "near", "target": 0.5, "mean": 0.25, "reached": True},
        shared | {"setting": "far", "target": 0.5, "mean": 0.75, "reached": False},
        shared | {"setting": "free", "target": None, "mean": 0.5, "reached": None},
    ]
    Console(width=200).print(_table(rows))
    out = capsys.readouterr().out
    shown = {line.split()[0]: line.split()[2:] for line in out.splitlines() if "t/" in line}
    assert shown == {
        "t/near-tuned": ["0.5", "0.25", "✓", "1", "2", "3"],
        "t/far-tuned": ["0.5", "0.75", "✗", "1", "2", "3"],
        "t/free-tuned": ["0.5", "1", "2", "3"],
    }
