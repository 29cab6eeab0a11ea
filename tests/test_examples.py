"""The examples, in short: they run, and say what they are to say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import clusters
import embedding
import few_labels
import measuring
import outliers
import thresholds


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Where results are written, instead of where the true ones lie."""
    monkeypatch.setattr(measuring, "RESULTS", tmp_path)
    return tmp_path


def test_digits_are_split_once_and_for_all():
    X, X_test, *_ = measuring.digits()
    inside, validation, *_ = measuring.digits("validation")
    assert (len(X), len(X_test)) == (1437, 360)
    assert (len(inside), len(validation)) == (1077, 360)
    tested = {row.tobytes() for row in X_test}
    learned = {row.tobytes() for row in np.concatenate([inside, validation])}
    assert not tested & learned


def test_few_labels_are_balanced():
    _, _, y, _ = measuring.digits()
    shown = measuring.few_of(y, 5, seed=3)
    assert np.bincount(shown[shown >= 0]).tolist() == [5] * 10
    assert (shown == y)[shown >= 0].all()


def test_a_classifier_learns_from_few_labels(monkeypatch):
    monkeypatch.setattr(few_labels, "PLACES", few_labels.PLACES[:1])  # none moved
    figures = few_labels.compare(seeds=[0], held_out="validation", n_epochs=12)
    accuracy = {name: found["accuracy"][0] for name, found in figures.items()}
    assert accuracy["AdversarialClassifier"] > 0.7
    assert accuracy["LabelSpreading"] == accuracy["LabelSpreading, no moved digits"] > 0.8


def test_digits_are_moved_by_a_pixel_each_way():
    X = np.arange(64.0).reshape(1, 64)
    same, down, *_ = few_labels.moves(X).reshape(-1, 8, 8)
    assert np.array_equal(same.ravel(), X[0])
    assert np.array_equal(down[1:], same[:-1])
    assert not down[0].any()


def test_outliers_are_seen():
    figures = outliers.compare(seeds=[0], held_out="validation", n_epochs=12)
    for data, least in (("one digit left out", 0.7), ("malignant tumours", 0.8)):
        assert np.mean(figures["AdversarialAutoencoder"][data]) > least


def test_clusters_are_digits():
    figures = clusters.compare(seeds=[0], held_out="validation", n_epochs=12)
    assert figures["AdversarialClustering"]["accuracy"][0] > 0.3
    assert figures["KMeans"]["accuracy"][0] > 0.7
    warped = figures["AdversarialClustering, warped"]["accuracy"][0]
    assert warped > figures["AdversarialClustering"]["accuracy"][0]
    assert warped > 0.7


def test_a_plane_has_places_for_new_digits(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)  # it takes long to be compiled
    figures = embedding.compare(seeds=[0], held_out="validation", n_epochs=12)
    assert list(figures) == [
        "AdversarialEmbedding", "AdversarialEmbedding, 50 labels", "PCA", "t-SNE",
    ]  # fmt: skip
    assert figures["PCA"]["nearest neighbour, new"][0] > 0.4
    assert figures["AdversarialEmbedding, 50 labels"]["nearest neighbour, new"][0] > 0.3
    assert list(figures["t-SNE"]) == ["trustworthiness, learned"]


def test_results_say_what_they_were_made_with(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", "--seeds", "3"])
    measuring.run(
        "some", lambda *, seeds, held_out: {"ours": {"figure": [float(k) for k in seeds]}}
    )
    assert "| ours | 1.000 ± 1.000 |" in capsys.readouterr().out
    about = json.loads((results / "some.json").read_text())
    assert about["figures"] == {"ours": {"figure": [0, 1, 2]}}
    assert "scikit-learn" in about["versions"]


def test_the_pages_have_the_figures_that_were_measured():
    root = Path(__file__).parents[1]
    pages = "".join(page.read_text() for page in (root / "docs" / "examples").glob("*.md"))
    for result in (root / "examples" / "results").glob("*.json"):
        assert measuring.table(json.loads(result.read_text())["figures"]) in pages, result.name


def test_thresholds_call_some_of_the_new_outliers():
    figures = thresholds.compare(seeds=[0], n_epochs=2)
    assert figures.keys() == {
        "AdversarialAutoencoder", "AdversarialAutoencoder, early_stopping=True", "IsolationForest",
    }  # fmt: skip
    for shares in figures.values():
        assert all(0 < share < 0.6 for [share] in shares.values())
