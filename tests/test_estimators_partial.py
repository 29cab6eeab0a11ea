"""What `partial_fit` makes of parameters that changed since the training began."""

import numpy as np
import pytest

import aae
from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    AdversarialEmbedding,
    SupervisedAdversarialAutoencoder,
)

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 2, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    """Some rows [100, 4]."""
    return np.random.default_rng(0).normal(5, 2, size=(100, 4))


@pytest.fixture(params=["fit", "partial_fit", "load"])
def trained(request, rows, tmp_path):
    """A model that was trained, one way or another."""
    model = AdversarialAutoencoder(2, **SMALL)
    if request.param == "partial_fit":
        return model.partial_fit(rows)
    model.fit(rows)
    return aae.load(model.save(tmp_path / "run")) if request.param == "load" else model


def test_it_goes_on_with_the_parameters_as_they_are_now(trained, rows):
    before = {name: weight.clone() for name, weight in trained.model_.state_dict().items()}
    done, options = trained.n_iter_, {"dropout": 0.5, "generator_weight": 3.0}
    trained.set_params(learning_rate=1e-9, batch_size=50, random_state=1, options=options)
    trained.partial_fit(rows)
    config, steps = trained.config_, trained._state["progress"]["count"]
    assert (config.lr, config.batch_size) == (1e-9, 50)
    assert (config.dropout, config.generator_weight) == (0.5, 3)
    assert steps == 4 * done + 2
    for name, weight in trained.model_.state_dict().items():
        assert np.allclose(weight, before[name], atol=1e-7), name
    trained.set_params(learning_rate=0.1).partial_fit(rows)
    assert not np.allclose(trained.model_.state_dict()[name], before[name], atol=1e-3)


def test_what_follows_from_the_first_data_stays(rows):
    model = AdversarialAutoencoder(2, **SMALL).partial_fit(rows)
    before = model.config_
    model.partial_fit(np.repeat(rows * [1, 10, 0, 1], 30, axis=0))
    for name in ("reconstruction_weight", "vat_radius", "warmup"):
        assert getattr(model.config_, name) == getattr(before, name)
    model.set_params(options={"reconstruction_weight": 3.0}).partial_fit(rows)
    assert model.config_.reconstruction_weight == 3


def test_chunks_of_any_size_have_a_record_each(rows):
    model = AdversarialAutoencoder(2, **SMALL)
    for chunk in (rows[:40], rows, rows[:33], np.repeat(rows, 3, axis=0)):
        model.partial_fit(chunk)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"hidden": np.int64(8)}, r"hidden=8 \(was 16\): set it back, or make a new estimator"),
        ({"latent_dim": 4, "layers": 2}, r"layers=2 \(was 1\), latent_dim=4 \(was 2\)"),
        ({"scale": np.str_("range")}, r"scale='range' \(was 'standard'\)"),
        ({"options": {"batch_norm": True}}, r'options\["batch_norm"\]=True \(was False\)'),
        ({"options": {"posterior": "universal"}}, r"=\'universal\' \(was \'gaussian\'\)"),
        ({"options": {"optimizer": "sgd"}}, r'options\["optimizer"\]=\'sgd\' \(was \'adam\'\)'),
        ({"options": {"step": "alternating"}}, r"=\'alternating\' \(was \'joint\'\)"),
        ({"options": {"model": "vae"}}, r"=\'vae\' \(was \'basic\'\)"),
    ],
)
def test_what_cannot_change_is_refused(trained, rows, parameters, words):
    before, params = trained.transform(rows), trained.get_params()
    with pytest.raises(ValueError, match=f"^cannot go on with .*{words}"):
        trained.set_params(**parameters).partial_fit(rows)
    assert np.array_equal(trained.transform(rows), before)
    trained.set_params(**params).partial_fit(rows)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_chunk_may_have_a_single_label(rows, known):
    y = np.where(np.arange(100) < 2, np.arange(100) % 2, -1)
    model = AdversarialClassifier(2, options={"batch_norm": True}, **SMALL)
    model.partial_fit(rows, y, classes=[0, 1])
    model.partial_fit(rows, np.where(np.arange(100) < known, y, -1))
    assert np.isfinite(model.transform(rows)).all()


def test_classes_cannot_change(rows):
    y = np.arange(100) % 2
    model = AdversarialClassifier(2, **SMALL).partial_fit(rows, y, classes=[1, 0])
    model.partial_fit(rows, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes are \[0, 1, 2\], and were \[0, 1\] before"):
        model.partial_fit(rows, y, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("kind", "options", "more"),
    [
        (SupervisedAdversarialAutoencoder, {}, "reading_weight"),
        (AdversarialEmbedding, {"batch_norm": True}, "denoising_weight"),
        (AdversarialAutoencoder, {"step": "alternating"}, "kl_weight"),
        (AdversarialClustering, {"step": "alternating-plain"}, "tangent_weight"),
    ],
)
def test_a_term_that_brings_weights_or_an_optimiser_is_refused(kind, options, more, rows):
    y = np.arange(100) % 2
    model = kind(options=options, **SMALL).partial_fit(rows, y)
    model.set_params(options={**options, more: 1.0})
    with pytest.raises(ValueError, match=more + r'"\]=1.0 \(was'):
        model.partial_fit(rows, y)


def test_other_terms_come_and_go(rows):
    model = AdversarialClustering(2, **SMALL).partial_fit(rows)
    model.set_params(options={"tangent_weight": 1.0, "kl_weight": 0.1}).partial_fit(rows)
    assert {"tangent", "kl"} <= model.history_[-1].keys()
    assert "tangent" not in model.set_params(options=None).partial_fit(rows).history_[-1]


def test_a_warm_start_has_optimisers_of_its_own(rows):
    model = AdversarialAutoencoder(2, warm_start=True, **SMALL).fit(rows)
    options = {"optimizer": "sgd", "step": "alternating"}
    assert model.set_params(options=options, learning_rate=1e-5).fit(rows).n_iter_ == 2
    with pytest.raises(ValueError, match="cannot go on with scale='none'"):
        model.set_params(scale="none").fit(rows)


def test_nothing_is_packed_to_look_at_parameters(rows, monkeypatch):
    model = AdversarialAutoencoder(2, **SMALL).partial_fit(rows)
    monkeypatch.setattr(AdversarialAutoencoder, "__getstate__", lambda self: pytest.fail("packed"))
    assert model.partial_fit(rows).n_iter_ == 2
