"""The paper's experiments: how they are measured, and what is done only once."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from aae.cli import main
from aae.fit import Interrupted, resume
from aae.replicas import training
from aae.reproduce import catalog, curves, measures, page, work
from aae.reproduce.catalog import Setting, Target, quickly, settings
from aae.reproduce.page import over_seeds
from aae.reproduce.summary import summarise


@pytest.fixture
def small(tiny, monkeypatch):
    """One experiment of two settings that train in a blink."""
    config = tiny(recipe="semi", model="semi", labels=100, epochs=1)
    targets = (Target("error", 0.5), Target("probe_accuracy"))
    chosen = [
        Setting("table", "one", "tuned", config, targets),
        Setting("table", "same", "tuned", config, (Target("reconstruction_error"),)),
    ]
    monkeypatch.setattr(catalog, "EXPERIMENTS", {"table": lambda: chosen})
    return chosen


@pytest.fixture
def trainings(monkeypatch, no_pictures):
    """The runs that were trained, in this process and one after the other, by folder and seed."""
    seen = []

    def one_by_one(folder, runs, dataset, asked, tell, say):
        for name in runs:
            resume(folder / name, dataset=dataset)
            seen.append((folder.name, name))
        return {}

    monkeypatch.setattr(training, "in_processes", one_by_one)
    return seen


def go(chosen, tmp_path, **options):
    given = {"out": tmp_path / "out", "runs": tmp_path / "runs", "seeds": 2, **options}
    return list(work.reproduce(chosen, **given))


# --- the work


def test_each_seed_is_trained_once_and_figures_are_kept(small, trainings, tmp_path):
    first = go(small, tmp_path)
    # The second setting wants the same training.
    assert [name for _, name in trainings] == ["seed-0", "seed-1"]
    assert [(s.name, seed) for s, seed, _ in first] == [
        ("one", 0), ("one", 1), ("same", 0), ("same", 1),
    ]  # fmt: skip
    assert first[0][2]["error"] != first[1][2]["error"]
    assert {"probe_accuracy", "seconds", "versions", "config"} <= first[0][2].keys()
    [last] = first[0][2]["curve"]  # of one epoch
    assert last.keys() == {"epoch", "reconstruction", "classification", "error"}
    assert last["epoch"] == 1
    assert go(small, tmp_path) == first
    assert len(trainings) == 2
    assert list(work.found(tmp_path / "out")) == first
    go(small, tmp_path, seeds=3)
    assert [name for _, name in trainings] == ["seed-0", "seed-1", "seed-2"]


def test_figures_of_another_config_are_measured_again(small, trainings, tmp_path):
    go(small[:1], tmp_path, seeds=1)
    changed = replace(small[0], config=replace(small[0].config, lr=0.01))
    [(_, _, figures)] = go([changed], tmp_path, seeds=1)
    assert len(trainings) == 2
    assert figures["config"]["lr"] == 0.01


def test_figures_to_which_one_has_come_are_measured_again_and_nothing_is_trained(
    small, trainings, tmp_path
):
    go(small[1:], tmp_path, seeds=1)
    more = replace(small[1], targets=(*small[1].targets, Target("code_area")))
    [place] = (tmp_path / "out").rglob("*-seed0.json")
    with pytest.raises(KeyError, match="code_area"):  # which nobody can measure
        go([more], tmp_path, seeds=1)
    place.write_text(json.dumps(json.loads(place.read_text()) | {"code_area": 1.0}))
    [(_, _, figures)] = go([more], tmp_path, seeds=1)
    assert figures["code_area"] == 1.0
    assert len(trainings) == 1


def test_figures_of_a_config_with_other_fields_are_measured_again(small, trainings, tmp_path):
    [(_, _, first)] = go(small[1:], tmp_path, seeds=1)
    [place] = (tmp_path / "out").rglob("*-seed0.json")
    figures = json.loads(place.read_text())
    figures["config"]["no_longer"] = 1
    place.write_text(json.dumps(figures))
    [(_, _, again)] = go(small[1:], tmp_path, seeds=1)
    assert again["config"] == first["config"]


def test_the_time_of_a_training_that_was_stopped_counts(small, trainings, tmp_path, monkeypatch):
    whole = training.in_processes

    def stopped(*_):
        raise Interrupted(tmp_path)

    monkeypatch.setattr(training, "in_processes", stopped)
    with pytest.raises(Interrupted):
        go(small[:1], tmp_path, seeds=1)
    [clock] = (tmp_path / "runs").rglob("seconds.json")
    assert float(clock.read_text()) > 0
    clock.write_text("400.0")
    monkeypatch.setattr(training, "in_processes", whole)
    [(_, _, figures)] = go(small[:1], tmp_path, seeds=1)
    assert 400 <= figures["seconds"] < 500


def test_only_the_seeds_asked_for_are_trained(small, trainings, tmp_path, monkeypatch):
    whole = training.in_processes
    monkeypatch.setattr(training, "in_processes", lambda folder, runs, *_: dict.fromkeys(runs, ""))
    assert go(small[:1], tmp_path, seeds=3) == []  # all three have begun, and failed
    monkeypatch.setattr(training, "in_processes", whole)
    assert len(go(small[:1], tmp_path, seeds=1)) == 1
    assert [name for _, name in trainings] == ["seed-0"]


def test_a_damaged_seed_does_not_keep_the_others_from_being_measured(small, trainings, tmp_path):
    go(small[:1], tmp_path, seeds=1)
    [config] = (tmp_path / "runs").rglob("seed-0/config.json")
    config.write_text("{")
    for figures in (tmp_path / "out").rglob("*.json"):
        figures.unlink()
    said = []
    assert [seed for _, seed, _ in go(small[:1], tmp_path, seeds=2, say=said.append)] == [1]
    assert any(str(config.parent) in words for words in said)


def test_figures_do_not_say_where_the_data_lay(small, trainings, tmp_path):
    [(_, _, figures)] = go(small[:1], tmp_path, seeds=1, data_dir=str(tmp_path / "here"))
    assert figures["config"]["data_dir"] is None
    [kept] = (tmp_path / "out").rglob("*-seed0.json")
    assert str(tmp_path) not in kept.read_text()


def test_a_run_that_was_stopped_goes_on(small, trainings, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no space left")

    monkeypatch.setattr(work, "measure", fails)
    with pytest.raises(OSError, match="no space left"):
        go(small[:1], tmp_path, seeds=1)
    monkeypatch.setattr(work, "measure", measures.measure)
    [(_, _, figures)] = go(small[:1], tmp_path, seeds=1)
    assert figures["epochs"] == 1
    assert len(trainings) == 1


def test_figures_of_a_config_that_has_changed_since_are_found_no_more(
    small, trainings, tmp_path, monkeypatch
):
    go(small, tmp_path, seeds=1)
    changed = [replace(small[0], config=replace(small[0].config, vat_weight=1.0)), small[1]]
    monkeypatch.setattr(catalog, "EXPERIMENTS", {"table": lambda: changed})
    assert [setting.name for setting, _, _ in work.found(tmp_path / "out")] == ["same"]


@pytest.mark.parametrize(("epochs", "quick"), [(1, 1), (20, 1), (40, 1), (50, 2), (100, 2)])
def test_quick_lies_apart_and_has_one_epoch_or_two(small, trainings, tmp_path, epochs, quick):
    long = replace(small[0], config=replace(small[0].config, epochs=epochs))
    [(_, _, figures)] = go([long], tmp_path, seeds=1, quick=True)
    assert figures["epochs"] == quick
    assert list(work.found(tmp_path / "out")) == []


def test_quick_leaves_out_what_takes_long_to_measure():
    (style, _) = settings(["fig6/code-10"])
    assert [t.metric for t in quickly(style).targets] == ["style_accuracy", "style_variety"]
    (tuned, _) = settings(["table1"])
    assert [t.metric for t in quickly(tuned).targets] == ["parzen_10k"]
    assert quickly(tuned).config == replace(tuned.config, epochs=2)


def test_as_many_seeds_as_are_asked_for(small, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(work, "_work", lambda config, places, *_: asked.extend(places))
    go(small[:1], tmp_path, seeds=12)
    assert [seed for _, seed in asked] == list(range(12))


def test_a_training_that_fails_is_said_and_the_others_are_measured(
    small, trainings, tmp_path, monkeypatch
):
    def one_fails(folder, runs, dataset, asked, tell, say):
        resume(folder / "seed-1", dataset=dataset)
        return {"seed-0": "the loss is not finite"}

    monkeypatch.setattr(training, "in_processes", one_fails)
    said = []
    done = go(small[:1], tmp_path, say=said.append)
    assert [seed for _, seed, _ in done] == [1]
    assert said[-1].endswith("seed-0: the loss is not finite")


def test_data_that_are_not_at_hand_are_said_and_the_rest_is_measured(small, trainings, tmp_path):
    absent = replace(small[0], name="absent", config=replace(small[0].config, data="svhn"))
    said = []
    done = go(
        [absent, small[0]], tmp_path, seeds=1, data_dir=str(tmp_path), say=said.append
    )  # fmt: skip
    assert [setting.name for setting, _, _ in done] == ["one"]
    [words] = said
    assert words.startswith("table/absent-tuned: not measured: svhn not found: no train_")


def test_pictures_of_the_first_seed_lie_beside_the_figures(small, tmp_path):  # in processes
    shown = replace(small[0], pictures=("latent", "manifold"))
    go([shown], tmp_path, seeds=2)
    names = {path.name for path in (tmp_path / "out" / "table").glob("*.png")}
    assert names == {"one-tuned-latent.png"}  # ten dimensions have no manifold


# --- the page


def test_the_page_shows_what_was_measured_and_what_was_not(small, no_pictures, tmp_path):
    measured = summarise(go(small[:1], tmp_path, seeds=2))
    (tmp_path / "out" / "table").mkdir(exist_ok=True)
    shown = replace(small[0], pictures=("latent",))
    catalog.EXPERIMENTS["table"] = lambda: [shown, small[1]]
    (tmp_path / "out" / "table" / "one-tuned-latent.png").touch()
    place = tmp_path / "docs" / "page.md"
    place.parent.mkdir()
    old = f"Before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    place.write_text(old)
    before = place.open()
    page.update(place, measured, tmp_path / "out")
    text = place.read_text(encoding="utf-8")
    assert before.read() == old  # a page is replaced whole, not written over
    before.close()
    assert text.startswith("Before\n") and text.endswith("\nafter\n") and "old" not in text  # noqa: PT018
    assert "| one | tuned | error | 50.00 % |" in text
    assert "\nNot measured yet: same (tuned).\n" in text
    assert "](../out/table/one-tuned-latent.png)" in text
    page.update(place, measured, tmp_path / "out")
    assert place.read_text() == text


def test_a_page_without_room_gets_one_table_of_what_was_asked(small, no_pictures, tmp_path):
    free = replace(small[1], targets=(catalog.Target("reconstruction_error"),))
    measured = summarise(go([small[0], free], tmp_path, seeds=1))
    place = tmp_path / "page.md"
    place.write_text(f"Before\n{page.BRIEFLY}\n{page.END}\nafter\n")
    page.update(place, measured, tmp_path / "out")
    first, *lines = place.read_text().splitlines()
    assert lines[3].startswith("| `table/one` | error | 50.00 % | ")
    assert lines[4:] == [page.END, "after"]
    assert first == "Before"


def test_the_errors_by_epoch_are_drawn_and_shown(small, tmp_path):
    def measured(*errors):
        return {"curve": [{"epoch": k + 1.0, "error": e} for k, e in enumerate(errors)]}

    hard = replace(small[0], name="hard", recipe="paper", targets=(Target("error", 0.1),))
    results = [
        (small[0], 0, measured(0.5, 0.25)), (small[0], 1, measured(0.3, 0.2)),
        (hard, 0, measured(0.4, 0.2)),
        (small[0], 2, {}),  # measured before curves were kept
        (small[1], 0, measured(0.5)),  # whose errors nothing is asked of
    ]  # fmt: skip
    out = tmp_path / "out"
    curves.draw(results, out)
    assert (out / "table" / "errors.png").exists()
    assert "![errors on the validation set, by epoch](out/table/errors.png)" in page.tables(
        [], out, tmp_path
    )
    curves.draw(results[3:], out / "none")
    assert not (out / "none").exists()


@pytest.mark.parametrize("text", ["nothing", page.BEGIN, page.BRIEFLY, page.END])
def test_a_page_without_a_place_for_tables_is_left_alone(text, tmp_path):
    place = tmp_path / "page.md"
    place.write_text(text)
    with pytest.raises(ValueError, match="has no place for tables: add a line"):
        page.update(place, [], tmp_path)
    assert place.read_text() == text


def test_the_command(small, no_pictures, tmp_path, capsys):
    args = ["reproduce", "table", "--seeds", "1", "--out", str(tmp_path / "out"),
            "--runs", str(tmp_path / "runs")]  # fmt: skip
    assert main(args) == 0
    said = capsys.readouterr().out
    assert "table/one-tuned, seed 0: error 0." in said
    assert "The paper's figures, and ours" in said
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["metric"] for row in rows] == ["error", "probe_accuracy", "reconstruction_error"]
    assert main([*args, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert main(["reproduce"]) == 2
    assert "name experiments to reproduce" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "seeds"), [([], 10), (["--quick"], 1), (["--quick", "--seeds", "3"], 3)]
)
def test_seeds_unless_said_otherwise(small, tmp_path, monkeypatch, flags, seeds):
    asked = []
    monkeypatch.setattr(work, "reproduce", lambda *_, **how: asked.append(how["seeds"]) or [])
    out = tmp_path / "out"
    (out / "quick").mkdir(parents=True)
    assert main(["reproduce", "table", "--out", str(out), *flags]) == 0
    assert asked == [seeds]


def test_a_page_without_a_place_is_refused_before_any_work(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work, "reproduce", lambda *_, **how: pytest.fail("it worked"))
    (tmp_path / "page.md").write_text("nothing")
    assert main(["reproduce", "table", "--page", str(tmp_path / "page.md")]) == 2
    assert "has no place for tables" in capsys.readouterr().err


# --- the figures


def test_a_command_that_is_stopped_says_how_to_go_on(monkeypatch, tmp_path, capsys):
    def stopped(*args, **kwargs):
        raise Interrupted(tmp_path / "runs")

    monkeypatch.setattr("aae.reproduce.work.reproduce", stopped)
    assert main(["reproduce", "fig2", "--out", str(tmp_path)]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_the_summary_by_hand():
    config = settings(["table2"])[0].config
    setting = Setting("t", "s", "tuned", config, (Target("error", 0.02), Target("style_variety")))
    about = {"epochs": 5, "versions": {"machine": "m"}}
    runs = [
        (setting, 0, {"error": 0.01, "style_variety": 0.5, "seconds": 10, **about}),
        (setting, 1, {"error": 0.02, "style_variety": 0.7, "seconds": 30, **about}),
    ]
    first, second = summarise(runs)
    assert first == {
        "experiment": "t", "setting": "s", "recipe": "tuned", "metric": "error", "target": 0.02,
        "public": "", "mean": 0.015, "std": pytest.approx(0.00707, abs=1e-5), "n_seeds": 2,
        "epochs": 5, "seconds": 20, "machine": "m", "reached": True,
    }  # fmt: skip
    assert (second["reached"], second["mean"]) == (None, 0.6)
    [one, _] = summarise(runs[1:])
    assert (one["std"], one["reached"]) == (None, True)
    lost = runs[1][2] | {"error": math.nan}
    [unknown, _] = summarise([runs[0], (setting, 1, lost)])
    assert math.isnan(unknown["mean"])
    assert math.isnan(unknown["std"])
    assert over_seeds("error", unknown["mean"], unknown["std"]) == "nan % ± nan %"
    assert over_seeds("style_variety", math.nan, math.nan) == "nan ± nan"
    high = Setting("t", "s", "tuned", config, (Target("style_variety", 0.6),))
    assert summarise([(high, 0, runs[0][2])])[0]["reached"] is False


def test_the_published_page_shows_the_published_figures():
    root = Path(__file__).parents[1]
    figures = root / "benchmarks" / "fidelity"
    told = (root / "docs" / "reproduction.md").read_text()
    shown = page.tables(json.loads((figures / "summary.json").read_text()), figures, root / "docs")
    assert told.split(page.BEGIN)[1].split(page.END)[0] == "\n" + shown


def test_the_brief_table_by_hand():
    shared = {"experiment": "t", "setting": "s", "metric": "error", "std": None, "n_seeds": 1}
    missed = shared | {"setting": "u"}
    rows = [
        shared | {"recipe": "paper", "target": 0.02, "mean": 0.03, "reached": False},
        shared | {"recipe": "tuned", "target": 0.01, "mean": 0.01, "reached": True},
        missed | {"recipe": "tuned", "target": 0.01, "mean": 0.02, "reached": False},
        missed | {"recipe": "paper", "target": None, "mean": 0.02, "reached": None},
    ]
    assert page.brief(rows).splitlines()[2:] == [
        "| `t/s` | error | 1.00 % / 2.00 % | **1.00 %** (1) | 3.00 % (1) |",
        "| `t/u` | error | 1.00 % | 2.00 % (1) |  |",
    ]


def test_the_readme_has_the_published_figures():
    root = Path(__file__).parents[1]
    summary = json.loads((root / "benchmarks" / "fidelity" / "summary.json").read_text())
    told = (root / "README.md").read_text()
    assert told.split(page.BRIEFLY)[1].split(page.END)[0] == "\n" + page.brief(summary)
