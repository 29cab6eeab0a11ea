"""Several things are measured in turn, each in a process of its own."""

import multiprocessing
import os
import time
from functools import partial

import pytest

from aae.bench.race import race


def noting(path, name):
    """Writes down each measurement; measures the process that it is in."""

    def measure():
        with path.open("a") as file:
            file.write(f"{name} ")
        return os.getpid()

    with path.open("a") as file:
        file.write(f"+{name} ")
    return measure


def failing(*, at_once):
    def measure():
        raise ValueError("no such thing")

    if at_once:
        measure()
    return measure


def dying():
    return partial(os._exit, 7)


def makers(path):
    return {name: partial(noting, path, name) for name in ("a", "b", "c")}


def test_each_is_made_once_and_then_measured_in_every_round(tmp_path):
    told = []
    measured = race(makers(tmp_path / "log"), rounds=2, tell=told.append)
    assert (tmp_path / "log").read_text().split() == ["+a", "+b", "+c", *"abcabc"]
    assert told[0] == "warming up: a"
    assert told[-1] == "round 2 of 2"
    assert list(measured) == ["a", "b", "c"]
    processes = [set(each) for each in measured.values()]
    assert all(len(own) == 1 for own in processes)
    assert len(set.union(*processes, {os.getpid()})) == 4
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("rounds", "made"), [(9, 3), (2, 2)])
def test_where_time_is_up_three_rounds_are_made(tmp_path, rounds, made):
    late = time.monotonic() - 1
    measured = race({"a": partial(noting, tmp_path / "log", "a")}, rounds=rounds, until=late)
    assert len(measured["a"]) == made


@pytest.mark.parametrize("at_once", [True, False])
def test_what_goes_wrong_in_a_process_is_raised_here(tmp_path, at_once):
    wrong = {**makers(tmp_path / "log"), "wrong": partial(failing, at_once=at_once)}
    with pytest.raises(ValueError, match="no such thing") as caught:
        race(wrong, rounds=1)
    assert __file__ in caught.value.__notes__[0]  # where it happened
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_said_to_have_died():
    with pytest.raises(RuntimeError, match="died, with exit code 7"):
        race({"dying": dying}, rounds=1)
