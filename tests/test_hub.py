"""Runs shared on the Hub and fetched from it: against a stand-in for it on 127.0.0.1."""

import json
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from sklearn.datasets import load_digits
from torch import nn

import aae
from aae import hub
from aae.fit import fit
from aae.own_networks import Networks
from aae.run import Run
from hub_stand_in import COMMIT, Hub


def point(monkeypatch, url):
    """Have the Hub's client ask there."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point(monkeypatch, server.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    yield server
    server.shutdown()
    server.server_close()


def test_a_run_goes_there_and_comes_back(server, tiny_run, run, digits):
    code, out, err = run("push", tiny_run.folder, "me/digits", "--license", "mit")
    assert (code, err) == (0, ""), err
    assert COMMIT in out
    files = server.repositories["me/digits"]
    assert {Path(name).suffix for name in files} == {
        ".md",
        ".json",
        ".jsonl",
        ".safetensors",
        ".png",
    }
    assert sum(name.startswith("checkpoints/") for name in files) == 3  # of one checkpoint
    assert "license: mit\n" in (card := files["README.md"].decode())
    assert "No licence has been stated" not in card
    again = aae.load("hf:me/digits")
    here = aae.load(tiny_run.folder)
    pictures = digits.test_images[:20]
    assert np.array_equal(again.predict_proba(pictures), here.predict_proba(pictures))
    # The second time nothing is downloaded.
    server.asked.clear()
    aae.load("hf:me/digits@main")
    assert fetched(server) == []
    # Pictures and card stayed there.
    folder = hub.fetch("hf:me/digits")
    assert not list(folder.glob("figures/*"))
    assert not (folder / "README.md").exists()


def test_another_run_takes_the_place_of_one_that_is_there(server, tiny_run, tiny, tmp_path, digits):
    hub.push(tiny_run, "me/digits")
    server.repositories["me/digits"]["notes.txt"] = b"mine"
    server.repositories["me/digits"]["figures/manifold-7.png"] = b"old"
    shorter = fit(tiny(epochs=1, seed=3), tmp_path / "shorter", dataset=digits)
    hub.push(shorter, "me/digits")
    files = server.repositories["me/digits"]
    assert {Path(name).parts[1] for name in files if name.startswith("checkpoints/")} == {
        "epoch-0001"
    }
    assert files["notes.txt"] == b"mine"
    assert "figures/manifold-7.png" not in files
    there, pictures = aae.load("hf:me/digits"), digits.test_images[:20]
    assert np.array_equal(there.transform(pictures), aae.load(shorter.folder).transform(pictures))


def test_what_is_to_be_private_is(server, tiny_run, run):
    for name, flags in (("me/open", []), ("me/secret", ["--private"])):
        assert run("push", tiny_run.folder, name, *flags)[0] == 0
    assert server.private == {"me/open": False, "me/secret": True}


def test_the_card_says_what_it_is(server, tiny_run):
    hub.push(tiny_run, "me/digits")
    card = server.repositories["me/digits"]["README.md"].decode()
    assert card.startswith("---\nlibrary_name: adversarial-autoencoders\n")
    last = [r for r in tiny_run.records() if r["split"] == "validation"][-1]
    for words in (
        "pipeline_tag: image-classification", "with 100 labels", "8 × 8", "| epochs | 3 |",
        f"| error | {last['error']:.4g} |", 'aae.load("hf:me/digits")', "model.predict(X)",
        "![Random samples](figures/samples.png)", "No licence has been stated",
    ):  # fmt: skip
        assert words in card, words
    for picture in [line for line in card.splitlines() if line.startswith("![")]:
        assert picture.partition("](")[2].rstrip(")") in server.repositories["me/digits"]


@pytest.mark.parametrize(("given", "said"), [("private/faces", "faces"), ("mnist", "mnist")])
def test_places_on_this_machine_stay_here(server, tiny_run, tmp_path, given, said):
    about = json.loads((tiny_run.folder / "config.json").read_text())
    about["config"] |= {
        "recipe": "semi",  # whose command the card names
        "data": given if given == said else str(tmp_path / given),
        "data_dir": str(tmp_path),
    }
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "config.json").write_text(json.dumps(about))
    shutil.copytree(tiny_run.checkpoints, copy / "checkpoints")
    hub.push(Run(copy), "me/faces")
    files = server.repositories["me/faces"]
    assert json.loads(files["config.json"])["config"]["data"] == said
    for name, content in files.items():
        assert str(tmp_path).encode() not in content, name
        assert b"private" not in content, name


def test_only_what_is_ours_is_taken(server, tiny_run):
    hub.push(tiny_run, "me/digits")
    files = server.repositories["me/digits"]
    files |= {"model.pkl": b"no", "checkpoints/epoch-0003/hook.py": b"no", "aae.py": b"no"}
    folder = hub.fetch("hf:me/digits")
    kept = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kept == {".json", ".jsonl", ".safetensors"}
    assert not [path for _, path in server.asked if path.endswith((".pkl", ".py"))]


def test_what_was_changed_on_the_way_is_refused(server, tiny_run):
    hub.push(tiny_run, "me/digits")
    files = server.repositories["me/digits"]
    (name,) = [name for name in files if name.endswith("weights.safetensors")]
    files[name] = files[name][:-1] + b"\1"
    with pytest.raises(ValueError, match="damaged"):
        aae.load("hf:me/digits")


def fetched(server):
    """The files whose content was asked for."""
    return [path for verb, path in server.asked if verb == "GET" and "/resolve/" in path]


@pytest.mark.parametrize("name", ["config.json", "checkpoints/epoch-0003/weights.safetensors"])
def test_a_file_of_terabytes_is_refused_before_anything_is_fetched(server, tiny_run, name):
    hub.push(tiny_run, "me/digits")
    server.promises[name] = 3 * 10**12
    with pytest.raises(ValueError, match=r"me/digits is too large: \d files of 3,000.0 GB, and at"):
        aae.load("hf:me/digits")
    assert fetched(server) == []
    # What is not taken may be as large as it likes.
    server.promises = {"README.md": 10**12}
    assert aae.load("hf:me/digits").n_iter_ == 3
    assert fetched(server)


def test_a_multitude_of_files_is_refused_before_anything_is_fetched(server, tiny_run, monkeypatch):
    hub.push(tiny_run, "me/digits")
    monkeypatch.setattr(hub, "MOST_FILES", 20)
    files = server.repositories["me/digits"]
    files |= {f"checkpoints/epoch-{k:04}/x.json": b"{}" for k in range(20)}
    with pytest.raises(ValueError, match=r"me/digits is too large: 2\d files of 0\.0 GB"):
        aae.load("hf:me/digits")
    assert fetched(server) == []


def test_what_is_no_run_is_told(server, tiny_run):
    server.repositories["me/other"] = {"README.md": b"words", "model.safetensors": b"no"}
    with pytest.raises(ValueError, match=r"me/other on the Hub is no run: it has no config\.json"):
        aae.load("hf:me/other")


def test_what_is_fetched_is_what_was_looked_at(server, tiny_run, monkeypatch):
    hub.push(tiny_run, "me/digits")
    look = hub._refuse_large

    def look_and_change(name, files):
        look(name, files)
        monkeypatch.setattr("hub_stand_in.COMMIT", "d" * 40)

    monkeypatch.setattr(hub, "_refuse_large", look_and_change)
    assert hub.fetch("hf:me/digits").name == "c" * 40


@pytest.mark.parametrize("name", ["hf:digits", "hf:a/b/c", "hf:../x y", "hf:"])
def test_a_name_that_is_none(server, name):
    with pytest.raises(ValueError, match="is no name on the Hub: it is USER/NAME"):
        aae.load(name)
    assert server.asked == []


def test_a_name_that_is_not_there(server):
    with pytest.raises(ValueError, match="the Hub has no me/nothing that you may see"):
        aae.load("hf:me/nothing")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RevisionNotFound", "me/digits on the Hub has no such revision: name a branch"),
        ("GatedRepo", "me/digits on the Hub is open to those who were let in: ask for it"),
    ],
)
def test_what_the_hub_refuses_is_told(server, tiny_run, code, words):
    hub.push(tiny_run, "me/digits")
    server.refuses = code
    with pytest.raises(ValueError, match=words):
        aae.load("hf:me/digits@typo")


def test_who_may_not_write_is_told_how(server, tiny_run, run):
    server.refuses = True
    code, _, err = run("push", tiny_run.folder, "you/digits")
    assert code == 2
    assert "hf auth login" in err


def test_without_a_network_it_says_so(server, tiny_run, run, monkeypatch):
    hub.push(tiny_run, "me/digits")
    aae.load("hf:me/digits")
    point(monkeypatch, "http://127.0.0.1:9")  # where nobody listens
    assert aae.load("hf:me/digits").n_iter_ == 3  # from the cache
    with pytest.raises(OSError, match="the Hub cannot be reached for me/other"):
        aae.load("hf:me/other")
    code, _, err = run("push", tiny_run.folder, "me/digits")
    assert code == 1
    assert "the Hub cannot be reached for me/digits" in err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/hub/me"), "/hub/me: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("offline"), "the Hub cannot be reached for me/digits: look at the network"),
        (ConnectionResetError(104, "reset"), "the Hub cannot be reached for me/digits"),
        (TimeoutError(110, "timed out"), "the Hub cannot be reached for me/digits"),
    ],
    ids=repr,
)
def test_what_fails_on_this_machine_is_not_the_network(tiny_run, run, monkeypatch, error, said):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(hub, "snapshot_download", fail)
    monkeypatch.setattr(hub.Shared, "push_to_hub", fail)
    with pytest.raises(OSError, match=said.rpartition(": ")[2]):
        aae.load("hf:me/digits")
    code, _, err = run("push", tiny_run.folder, "me/digits")
    assert (code, err.startswith(f"aae: {said}")) == (1, True), err


def test_networks_of_ones_own_are_not_shared(tiny, digits, tmp_path):
    networks = Networks(encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()))
    theirs = Run.create(tmp_path / "run", tiny(), digits, networks)
    with pytest.raises(ValueError, match=r"has networks of your own \(encoder\)"):
        hub.Shared(theirs)
    with pytest.raises(ValueError, match="was trained with the user's own encoder"):
        hub.Shared(Run(theirs.folder))


def test_a_run_without_a_checkpoint_is_not_shared(tiny, digits, tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint yet"):
        hub.Shared(Run.create(tmp_path / "run", tiny(), digits))


@pytest.mark.parametrize("variant", ["basic", "merged", "embed", "semi", "supervised"])
def test_what_the_card_says_works(server, tiny, tmp_path, no_pictures, variant):
    hub.push(fit(tiny(model=variant, epochs=1), tmp_path / "run"), "me/model")
    card = server.repositories["me/model"]["README.md"].decode()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names = {"X": load_digits().images[:20].astype(np.uint8)[:, None] * 16}
    exec(code, names)
    assert names.keys() & {"codes", "clusters"}


@pytest.mark.parametrize(("model", "labels", "reads"), [
    ("embed", 0, False), ("embed", 100, True), ("semi", 100, True), ("cluster", 0, False),
])  # fmt: skip
def test_the_card_says_what_it_is_for(server, tiny, tmp_path, no_pictures, model, labels, reads):
    hub.push(fit(tiny(model=model, labels=labels, epochs=1), tmp_path / "run"), "me/model")
    task = "image-classification" if reads else "unconditional-image-generation"
    card = server.repositories["me/model"]["README.md"].decode()
    assert f"pipeline_tag: {task}\n" in card


def test_no_name_breaks_the_card(tiny_run):
    run = Run(tiny_run.folder)
    shared = hub.Shared(run)
    run.config = replace(run.config, data="/mine/<b>.zip")
    run.classes = ("a|b", "<b>&", "c\nd", "e\\|f")
    card = str(shared.generate_model_card())
    assert r"| classes | a\|b, &lt;b&gt;&amp;, c d, e\\\|f |" in card.splitlines()
    assert "trained on &lt;b&gt;.zip with" in card
    run.classes = tuple(map(str, range(25)))
    card = str(shared.generate_model_card())
    assert "18, 19, … and 5 more |" in card
    run.classes = run.classes[:20]
    assert "18, 19 |" in str(shared.generate_model_card())


@pytest.mark.parametrize(("name", "code"), [
    ("age", "`age`"), ("`age`", "`` `age` ``"), ("``a", "``` ``a ```"),
])  # fmt: skip
def test_the_card_of_a_table_names_its_columns(server, tmp_path, tiny, no_pictures, name, code):
    place = tmp_path / "t.csv"
    place.write_text(f"{name},kind\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(60)))
    hub.push(fit(tiny(data=str(place), epochs=1), tmp_path / "run"), "me/table")
    card = server.repositories["me/table"]["README.md"].decode()
    assert "each 2 columns" in card
    assert f"a table (a frame, or a dict of columns) with {code}, `kind`" in card
