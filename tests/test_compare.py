"""Runs side by side."""

import json
import shutil

import pytest
from PIL import Image

from aae.compare import compare, figures, write_page
from aae.fit import fit
from aae.run import Run
from aae.training.trainer import Observer
from test_report import Page


@pytest.fixture(scope="module")
def other(tiny, tmp_path_factory):
    """A run of another model, without pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aae.fit.Painter", lambda *args: Observer())
        return fit(tiny(latent_dim=3, epochs=1), tmp_path_factory.mktemp("runs") / "other")


@pytest.fixture(scope="module")
def compared(tiny_run, other):
    return compare([tiny_run, other])


def test_what_differs_is_told(tiny_run, other, compared):
    assert compared["settings"]["--model"] == ["semi", "basic"]
    assert compared["settings"]["--latent-dim"] == [2, 3]
    assert "--lr" not in compared["settings"]
    assert list(compared["runs"]) == ["semi", "other"]


def test_figures_stand_in_one_order(compared):
    rows, runs = figures(compared), compared["runs"]
    assert rows["epochs"] == [3, 1]
    assert rows["health"] == [runs["semi"]["health"], runs["other"]["health"]]
    error, off = runs["semi"]["error"], runs["semi"]["standard_errors"]["error"]
    assert rows["error"] == [f"{error:.4g} ± {off:.2g}", None]
    assert [words.partition(" ")[0] for words in rows["prior_distance"]] == [
        f"{run['prior_distance']:.4g}" for run in runs.values()
    ]
    assert "prior_distance_error" not in rows


def test_runs_of_one_name_are_told_by_their_places(tiny_run, tmp_path):
    copy = shutil.copytree(tiny_run.folder, tmp_path / tiny_run.folder.name)
    names = list(compare([tiny_run, Run(copy)])["runs"])
    assert names == [str(tiny_run.folder.resolve()), str(copy.resolve())]


@pytest.mark.parametrize("count", [0, 1])
def test_one_run_is_not_compared(tiny_run, count):
    with pytest.raises(ValueError, match=f"two or more runs to compare, not {count}"):
        compare([tiny_run] * count)
    with pytest.raises(ValueError, match=f"{tiny_run.folder.name} is given twice"):
        compare([tiny_run] * 2)


def test_of_several_pictures_with_one_caption_the_first_is_shown(other, tmp_path):
    folder = shutil.copytree(other.folder, tmp_path / "mixture")
    (folder / "figures").mkdir()
    for k in (0, 1, 10):
        Image.new("L", (k + 1, 1)).save(folder / "figures" / f"manifold-{k}.png")
    measured = {"health": "fine", "epochs": 1, "standard_errors": {}}
    compared = {"split": "validation", "settings": {}, "runs": {"mixture": measured}}
    page = Page(write_page(tmp_path / "page.html", [Run(folder)], compared))
    assert [image["width"] for image in page.all("img")] == ["1"]


class TestCommand:
    def test_prints_tables_and_writes_a_page(
        self, run, tiny_run, other, compared, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("COLUMNS", "200")
        out = tmp_path / "page.html"
        code, printed, err = run("compare", tiny_run.folder, other.folder, "--out", out)
        assert (code, err) == (0, "")
        for words in ("--latent-dim", "prior distance", "validation set", str(out)):
            assert words in printed
        page = Page(out)
        assert page.texts("h1") == ["semi · other"]
        assert "--latent-dim" in page.texts("th")
        cells = page.texts("td")
        assert cells.count("–") == 1  # the second has no classes to be wrong about
        assert len(cells) == 2 * (len(compared["settings"]) + len(figures(compared)))
        images = page.all("img")
        assert len(images) == len({p.name.split("-")[0] for p in tiny_run.figures.glob("*.png")})
        assert all(image["src"].startswith("data:image/png") for image in images)

    def test_values_are_broken_before_names(
        self, run, tiny_run, other, compared, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("COLUMNS", "80")
        copy = shutil.copytree(other.folder, tmp_path / "third-with-a-name-that-takes-room")
        code, printed, _ = run("compare", tiny_run.folder, other.folder, copy)
        assert code == 0
        assert "…" not in printed
        for name in [*compared["settings"], *figures(compared)]:
            assert f" {name.replace('_', ' ')} " in printed

    def test_as_json(self, run, tiny_run, other, compared):
        code, printed, _ = run("compare", tiny_run.folder, other.folder, "--json")
        assert code == 0
        assert json.loads(printed) == json.loads(json.dumps(compared))
