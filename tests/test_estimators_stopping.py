"""Early stopping: what is held out, and that the best epoch is kept whatever came after."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris

from aae.estimators import AdversarialAutoencoder, AdversarialClassifier
from aae.estimators.training import train
from aae.splits import Part
from aae.training.trainer import DivergedError


@pytest.mark.parametrize(
    ("model", "watched"), [("basic", "reconstruction"), ("semi", "classification")]
)
def test_it_is_as_if_no_more_than_the_best_epochs_were_asked_for(
    tiny, new_model, part, same_state, model, watched
):
    config = tiny(model=model, epochs=60, lr=0.03, hidden=16, batch_size=40, classification_every=1)
    inside, outside = (Part(part.images[of], part.labels[of]) for of in (slice(80), slice(80, 100)))
    how = {"state": None, "patience": 4, "verbose": 0}
    stopped, short = new_model(config), new_model(config)
    state, records = train(stopped, config, inside, outside, **how)
    held_out = [record[watched] for record in records if record["split"] == "validation"]
    best = held_out.index(min(held_out)) + 1
    assert 1 < best == len(held_out) - 4
    expected, _ = train(short, replace(config, epochs=best), inside, None, **how)
    assert same_state(stopped, short)
    assert same_state(state, expected)


def test_errors_that_are_no_numbers_are_told_of(tiny, new_model, part, monkeypatch):
    monkeypatch.setattr(
        "aae.fit.validation_figures",
        lambda model, held_out: {"reconstruction": float("nan")},
    )
    config = tiny(epochs=3)
    with pytest.raises(DivergedError, match="held-out examples was never a finite number"):
        train(new_model(config), config, part, part, state=None, patience=9, verbose=0)


def test_the_same_share_of_each_class_is_held_out():
    part = Part(np.zeros((50, 2), np.float32), np.repeat([0, 1], [40, 10]))
    for seed in range(5):
        model = AdversarialClassifier(validation_fraction=0.2, random_state=seed)
        counts = [np.bincount(each.labels).tolist() for each in model._split(part)]
        assert counts == [[32, 8], [8, 2]]


@pytest.mark.parametrize("kind", [AdversarialAutoencoder, AdversarialClassifier])
def test_early_stopping_keeps_the_best_epoch(kind):
    settings = {"hidden": 16, "n_epochs": 200, "learning_rate": 0.03, "n_iter_no_change": 3}
    settings |= {"early_stopping": True, "validation_fraction": 0.2, "random_state": 0}
    model = kind(**settings).fit(*load_iris(return_X_y=True))
    watched = "reconstruction" if kind is AdversarialAutoencoder else "classification"
    held_out = [r[watched] for r in model.history_ if r["split"] == "validation"]
    assert len(held_out) < 200
    assert len(held_out) - (np.argmin(held_out) + 1) == 3
    assert model.n_iter_ == np.argmin(held_out) + 1


def test_what_early_stopping_took_back_is_no_part_of_the_history():
    X, y = load_iris(return_X_y=True)
    settings = {"hidden": 16, "n_epochs": 200, "learning_rate": 0.03, "n_iter_no_change": 3}
    model = AdversarialClassifier(early_stopping=True, random_state=0, **settings).fit(X, y)
    assert model.history_[-1]["epoch"] == model.n_iter_ + 3
    model.partial_fit(X, y)
    trained = [r["epoch"] for r in model.history_ if r["split"] == "train"]
    assert trained == [*range(1, model.n_iter_ + 1)]


def test_outliers_are_compared_with_what_was_held_out():
    X, _ = load_iris(return_X_y=True)
    settings = {"hidden": 16, "n_epochs": 3, "random_state": 0, "validation_fraction": 0.2}
    model = AdversarialAutoencoder(early_stopping=True, **settings).fit(X)
    part = Part(model._examples(X), np.full(len(X), -1))
    held_out = model._split(part)[1].images
    rows = [k for k, row in enumerate(part.images) if (row == held_out).all(1).any()]
    assert 30 <= len(rows) < 40  # some rows of these data are alike
    low, high = model.score_quantiles_[[0, -1]]
    scores = model.score_samples(X)
    assert low == pytest.approx(scores[rows].min(), rel=1e-5)
    assert high == pytest.approx(scores[rows].max(), rel=1e-5)
    all_rows = AdversarialAutoencoder(**settings).fit(X)
    assert all_rows.score_quantiles_[0] == pytest.approx(all_rows.score_samples(X).min(), rel=1e-5)


def test_a_share_to_hold_out_must_leave_something():
    X, _ = load_iris(return_X_y=True)
    for share, message in ((0, "between 0 and 1"), (0.001, "holds out 0: at least 1")):
        with pytest.raises(ValueError, match=message):
            AdversarialAutoencoder(early_stopping=True, validation_fraction=share).fit(X)
