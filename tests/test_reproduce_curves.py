"""What is drawn and told of several runs of one setting, on cases worked by hand."""

from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from aae import plots
from aae.replicas.outcome import Outcome
from aae.reproduce import catalog, curves, work
from aae.reproduce.catalog import Setting, Target
from aae.storage import write_json


@pytest.fixture
def setting(tiny, monkeypatch):
    """The one setting of the one experiment."""
    one = Setting("table", "one", "tuned", tiny(recipe="semi"), (Target("error", 0.5),))
    monkeypatch.setattr(catalog, "EXPERIMENTS", {"table": lambda: [one]})
    return one


def test_errors_are_drawn_over_epochs(setting, tmp_path, monkeypatch):
    seen = []

    def draw(rows, labels, *, title):
        seen.extend(rows)
        return Figure()

    monkeypatch.setattr(plots, "error_curves", draw)
    runs = [[(1.0, 0.5), (2.0, 0.25)], [(1.0, 0.375)]]
    results = [
        (setting, seed, {"curve": [{"epoch": epoch, "error": error} for epoch, error in run]})
        for seed, run in enumerate(runs)
    ]
    curves.draw(results, tmp_path)
    assert seen == [plots.Errors("one", "tuned", runs, 0.5)]


def test_seeds_of_several_digits_are_found_in_their_order(setting, tmp_path):
    for seed in (11, 2, 101):
        config = {**setting.config.to_json(), "seed": seed}
        place = tmp_path / "table" / f"one-tuned-seed{seed}.json"
        write_json(place, {"config": config, "error": seed / 1000})
    found = [(seed, figures["error"]) for _, seed, figures in work.found(tmp_path)]
    assert found == [(2, 0.002), (11, 0.011), (101, 0.101)]


def test_trainings_at_once_share_the_time(setting, digits, tmp_path, monkeypatch):
    clock = iter([100.0, 160.0])
    monkeypatch.setattr(work, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(work.training, "resume", lambda *_, **how: Outcome({}, {}))
    work._trained(setting.config, [0, 1, 2], tmp_path, digits, print)
    assert [float(place.read_text()) for place in tmp_path.rglob("seconds.json")] == [20.0] * 3
