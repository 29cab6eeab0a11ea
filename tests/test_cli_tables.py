"""Tables for the terminal: each number in its column, each verdict with its sign."""

import pytest
from rich.console import Console

from aae.cli import tables


@pytest.fixture
def lines(capsys):
    """The words of each line of a table."""

    def lines(made):
        Console(width=200).print(made)
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return lines


def test_losses_stand_below_the_part_they_are_of(lines):
    records = [
        {"split": "train", "step": 5, "epoch": 1, "kl": 9.0},
        {"split": "train", "step": 10, "epoch": 2, "kl": 1.5},
        {"split": "validation", "step": 10, "epoch": 2, "kl": 2.5},
    ]
    shown = lines(tables.losses(tables.last_losses(records)))
    assert ["loss", "training", "validation"] in shown
    assert ["kl", "1.5", "2.5"] in shown


def test_what_is_fine_has_a_tick(lines):
    checks = [
        {"name": "offset", "value": 0.25, "ok": True, "verdict": "fine", "advice": ""},
        {"name": "width", "value": 4.0, "ok": False, "verdict": "wide", "advice": "wait"},
    ]
    shown = lines(tables.health({"health": "odd", "health_checks": checks}))
    assert ["offset", "0.25", "✓", "fine"] in shown
    assert ["width", "4", "!", "wide"] in shown
    assert ["wait"] in shown


def test_data_sets_are_listed_with_their_parts(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    [line] = [line.split() for line in run("list")[1].splitlines() if " mnist " in line]
    assert line[:4] == ["mnist", "1×28×28", "60,000", "10,000"]
