"""Colours where they are wanted alone: on a real terminal, and where output goes to a file."""

import json
import math
import os
import pty
import re
import sys
import threading

import pytest

from aae.cli import main
from aae.cli.tables import table
from aae.replicas.together import in_step
from aae.terminal import console, show_json

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
MOVE = re.compile(r"\x1b\[\??[0-9;]*[A-HJKhl]")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def on_terminal(monkeypatch):
    """Runs the command line on a terminal; gives its exit code and what the terminal was sent."""

    def run(*args):
        near, far = pty.openpty()
        seen = []

        def read():
            with open(near, "rb") as file:  # noqa: PTH123
                try:
                    while piece := file.read1():
                        seen.append(piece)
                except OSError:  # how Linux says that the other end is closed
                    pass

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        with monkeypatch.context() as patch, os.fdopen(far, "w") as file:
            assert file.isatty()
            patch.setattr(sys, "stdout", file)
            patch.setattr(sys, "stderr", file)
            code = main([str(arg) for arg in args])
        reading.join(60)
        assert not reading.is_alive()
        return code, b"".join(seen).decode()

    return run


@pytest.fixture(params=["tables", "verdict", "help", "bar", "lines"])
def command(request, tiny_run, tmp_path, no_pictures, monkeypatch):
    """The kinds of output that there are."""
    monkeypatch.setattr("aae.replicas.training.in_processes", in_step)  # they would keep it open
    small = ["--data", "digits", "--hidden", "16", "--epochs", "1", "--device", "cpu"]
    return {
        "tables": ["list"],
        "verdict": ["evaluate", tiny_run.folder, "--judge", "no"],
        "help": ["train", "gaussian", "--help"],
        "bar": ["train", "gaussian", *small, "--out", tmp_path / "a"],
        "lines": ["train", "gaussian", *small, "--seeds", 1, "--out", tmp_path / "b"],
    }[request.param]


class TestTerminal:
    def test_is_in_colour(self, on_terminal, command):
        code, said = on_terminal(*command)
        assert code == 0
        assert COLOUR.search(said)

    def test_has_none_with_no_color(self, on_terminal, command, monkeypatch):
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("FORCE_COLOR", "1")
        code, said = on_terminal(*command)
        assert code == 0
        assert said
        assert not COLOUR.search(said)
        assert bool(MOVE.search(said)) == ("--epochs" in command)  # the bar moves all the same

    def test_a_dumb_one_has_nothing_but_words(self, on_terminal, command, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        assert "\x1b" not in on_terminal(*command)[1]

    def test_errors_are_plain(self, on_terminal):
        code, said = on_terminal("train", "gausian")
        assert code == 2
        assert said.startswith("aae: no recipe is called 'gausian'; did you mean")
        assert "\x1b" not in said


class TestFile:
    def test_has_no_colour(self, run, command):
        code, out, err = run(*command)
        assert code == 0
        assert "\x1b" not in out + err

    def test_has_them_where_they_are_forced_and_nothing_moves(self, run, command, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        code, out, err = run(*command)
        assert code == 0
        assert COLOUR.search(out)
        assert not MOVE.search(out + err)


def test_json_has_no_colour_whatever_is_forced(run, tiny_run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, _ = run("evaluate", tiny_run.folder, "--judge", "no", "--json")
    assert code == 0
    assert json.loads(out)["recipe"] == "tiny"


def test_json_has_no_number_that_is_none(capsys):
    show_json({"a": [math.nan, 1.5], "b": (math.inf, {"c": -math.inf}), "d": "NaN", "e": None})
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert said == {"a": [None, 1.5], "b": [None, {"c": None}], "d": "NaN", "e": None}


def test_a_table_is_as_wide_as_it_needs_in_a_file_and_loses_nothing_on_a_narrow_terminal(
    capsys, monkeypatch
):
    def shown():
        made = table("Title", *heads, numbers=heads[1:])
        made.add_row("a name that is rather long", *["0.12345 ± 0.00678"] * 3)
        console().print(made)
        return capsys.readouterr().out

    heads = ["name", "first", "second", "third"]
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "a name that is rather long   " + "   ".join(["0.12345 ± 0.00678"] * 3) in shown()
    monkeypatch.setenv("COLUMNS", "75")
    narrow = shown()
    assert "…" not in narrow
    assert narrow.count("0.12345 ± 0.00678") == 3
    assert max(map(len, narrow.splitlines())) <= 75
    monkeypatch.setenv("COLUMNS", "40")
    assert "0.12345 ± 0.00678" not in (narrow := shown())
    assert "…" in narrow  # a number is never cut off without a sign
