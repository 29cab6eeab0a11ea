"""The figures of a run: each where it applies, and right on cases worked by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from aae import evaluate as measuring
from aae import legibility, uncertainty
from aae.data import GIVEN, IN_MEMORY, Stored, spread
from aae.evaluate import evaluate, with_errors
from aae.fit import fit
from aae.own_networks import OURS, Networks
from aae.run import Run
from aae.run_report import write_report
from aae.splits import Splits

ALWAYS = {"examples",
    "recipe", "data", "epochs", "seed", "split", "reconstruction_error",
    "reconstruction_error_of_mean", "prior_distance", "prior_distance_error", "health",
    "health_checks", "standard_errors",
}  # fmt: skip

READ = {"readable", "smallest_class", "classes_drawn"}


@pytest.fixture
def trained(tiny, digits, tmp_path, no_pictures):
    """Makes a run folder of a config, trained for one epoch, without pictures."""

    def make(**changes):
        config = tiny(**{"recipe": "gaussian", "epochs": 1, **changes})
        return fit(config, tmp_path / "run", dataset=digits)

    return make


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, set()),
        ({"model": "vae"}, set()),
        ({"model": "labels", "prior": "mixture"}, {"component_accuracy"}),
        ({"model": "labels", "prior": "gaussian"}, set()),
        ({"model": "semi", "labels": 100}, {"error"}),
        ({"model": "cluster", "clusters": 12}, {"cluster_error", "cluster_error_majority"}),
        ({"model": "embed", "labels": 100}, {"error"}),
        ({"model": "embed", "labels": 0}, {"cluster_error", "cluster_error_majority"}),
    ],
)
def test_figures_are_there_where_they_apply(trained, digits, changes, more):
    figures = evaluate(trained(**changes), dataset=digits, judge=False)
    assert set(figures) == ALWAYS | more
    numbers = {name for name, value in figures.items() if isinstance(value, float)}
    assert set(figures["standard_errors"]) == numbers - {"prior_distance_error"}
    assert all(error > 0 for error in figures["standard_errors"].values())
    assert figures["split"] == "test"
    assert figures["epochs"] == 1
    json.dumps(figures, allow_nan=False)


def test_generated_classes_are_judged_where_the_decoder_is_told_them(trained, digits, monkeypatch):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    figures = evaluate(trained(model="supervised"), dataset=digits)
    assert figures["judge_accuracy"] > 0.97
    # An untrained decoder is not read as asked, and its classes hardly vary.
    assert figures["style_accuracy"] < 0.5
    assert 0 <= figures["style_variety"] < 0.5
    assert 0 <= figures["smallest_class"] <= figures["readable"] <= 1
    errors, accuracy = figures["standard_errors"], figures["judge_accuracy"]
    assert errors["judge_accuracy"] == uncertainty.of_share(accuracy, 360)
    asked = figures["style_accuracy"]
    assert errors["style_accuracy"] == uncertainty.of_share(asked, 200)
    assert 0 < errors["style_variety"] < 0.2
    shown = with_errors(figures)
    assert set(shown) == {*errors, "classes_drawn"}
    assert shown["classes_drawn"] == str(figures["classes_drawn"])


def test_clusters_are_named_on_the_validation_set(trained, digits, monkeypatch):
    run = trained(model="cluster", clusters=3)
    splits, seen = Splits.of(run.config, digits), []
    real = measuring.metrics.cluster_names

    def spy(assignments, labels, n_clusters, **options):
        seen.append((options["naming"], labels.tolist(), n_clusters))
        return real(assignments, labels, n_clusters, **options)

    monkeypatch.setattr(measuring.metrics, "cluster_names", spy)
    figures = evaluate(run, dataset=digits, judge=False)
    shown = splits.validation.labels.tolist()
    assert seen == [("confident", shown, 3), ("majority", shown, 3)]
    assert figures["cluster_error"] >= 1 - 3 * 0.14  # three names for ten digits


def test_generated_clusters_are_read_by_their_names(trained, digits, monkeypatch):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    asked, named, judged, names = [], [], legibility.judged, measuring.metrics.cluster_names

    def name(*args, **options):
        found = names(*args, **options)
        named.append((options["naming"], found))
        return found

    monkeypatch.setattr(measuring.metrics, "cluster_names", name)
    monkeypatch.setattr(
        legibility, "judged", lambda *args, **how: asked.append(args) or judged(*args, **how)
    )
    figures = evaluate(trained(model="cluster", clusters=20), dataset=digits)
    assert 0 <= figures["style_accuracy"] < 0.6
    assert any(arg is dict(named)["confident"] for arg in asked[0])


def test_figures_need_no_labels(tiny, digits, tmp_path, no_pictures):
    hidden = np.full_like(digits.test_labels, -1)
    for model, data in {
        "basic": replace(
            digits, classes=(), train_labels=np.full_like(digits.train_labels, -1),
            test_labels=hidden,
        ),
        "semi": replace(digits, test_labels=hidden),
        "supervised": replace(digits, test_labels=hidden),
    }.items():  # fmt: skip
        run = fit(tiny(model=model, labels="all", epochs=1), tmp_path / model, dataset=data)
        figures = evaluate(run, dataset=data)
        assert set(figures) == ALWAYS
        json.dumps(figures, allow_nan=False)


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({"train_labels": -1}, set()),  # the judge has nothing to learn from
        ({"test_labels": -1}, set()),
        ({"rare": 3}, {"judge_accuracy", "style_accuracy", *READ}),  # of one picture no variance
        ({"alike": True}, {"judge_accuracy", "style_accuracy", *READ}),  # nor of equal pictures
        ({"side": 7}, set()),  # too small to be read
    ],
)
def test_what_the_judge_cannot_tell_is_left_out(
    tiny, digits, tmp_path, no_pictures, monkeypatch, changed, left
):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    data, side = digits, changed.get("side", 8)
    data = replace(
        data, train_images=data.train_images[..., :side, :side],
        test_images=data.test_images[..., :side, :side],
    )  # fmt: skip
    if rare := changed.get("rare"):
        few = (digits.test_labels != rare) | (np.cumsum(digits.test_labels == rare) == 1)
        data = replace(data, test_images=data.test_images[few], test_labels=data.test_labels[few])
    if "alike" in changed:
        bright = np.where(np.arange(8 * 8) < 32, 255, 0).astype(np.uint8).reshape(1, 8, 8)
        data = replace(data, test_images=np.broadcast_to(bright, data.test_images.shape).copy())
    run = fit(tiny(model="supervised", epochs=1), tmp_path / "run", dataset=data)
    for name in ("train_labels", "test_labels"):
        if name in changed:
            data = replace(data, **{name: np.full_like(getattr(data, name), -1)})
    figures = evaluate(run, dataset=data)
    assert set(figures) == ALWAYS | left


def test_clusters_without_a_name_are_not_asked_for(
    tiny, digits, tmp_path, no_pictures, monkeypatch
):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    config = tiny(model="cluster", clusters=12, epochs=1)
    few = np.full_like(digits.train_labels, -1)
    few[:2] = digits.train_labels[:2]
    data = replace(digits, train_labels=few)
    assert (Splits.of(config, data).validation.labels == -1).all()
    run = fit(config, tmp_path / "run", dataset=data)
    assert set(evaluate(run, dataset=data)) == ALWAYS | {"judge_accuracy", *READ}


def test_clusters_of_a_test_set_without_labels_have_no_error(
    tiny, digits, tmp_path, no_pictures, monkeypatch
):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    run = fit(tiny(model="cluster", clusters=12, epochs=1), tmp_path / "run", dataset=digits)
    errors = {"cluster_error", "cluster_error_majority"}
    assert errors <= set(evaluate(run, dataset=digits))
    data = replace(digits, test_labels=np.full_like(digits.test_labels, -1))
    assert not errors & set(evaluate(run, dataset=data))


def test_the_figures_of_a_noisy_encoder_are_those_of_its_means(trained, digits):
    run = trained(model="semi", labels=100, posterior="universal")
    figures = evaluate(run, split="validation", dataset=digits, judge=False)
    (told,) = [record for record in run.records() if record["split"] == "validation"]
    assert figures["error"] == pytest.approx(told["error"], abs=1e-6)
    assert figures["reconstruction_error"] == pytest.approx(told["reconstruction"], rel=1e-4)


def test_a_judge_that_nothing_can_be_tried_on_is_refused(trained, digits):
    data = replace(digits, test_labels=np.full_like(digits.test_labels, -1))
    with pytest.raises(ValueError, match="no test picture of digits has a label to try the judge"):
        evaluate(trained(), dataset=data, judge=True)


def test_of_one_example_nothing_is_measured(trained, digits):
    one = replace(digits, test_images=digits.test_images[:1], test_labels=digits.test_labels[:1])
    with pytest.raises(ValueError, match=r"the test set has 1 examples; .* on 2 or more"):
        evaluate(trained(), dataset=one)


def test_pictures_without_a_label_do_not_count(trained, digits):
    run = trained(model="semi", labels=100)
    known = np.arange(360) < 200
    half = replace(digits, test_labels=np.where(known, digits.test_labels, -1))
    few = replace(
        digits, test_images=digits.test_images[known], test_labels=digits.test_labels[known]
    )
    figures, expected = (evaluate(run, dataset=data, judge=False) for data in (half, few))
    assert figures["error"] == expected["error"]
    assert figures["standard_errors"]["error"] == expected["standard_errors"]["error"]


def test_pictures_in_files_give_the_same_figures(trained, digits, monkeypatch):
    monkeypatch.setattr(legibility, "GENERATED", 200)
    run = trained(model="supervised")
    stored = replace(
        digits, train_images=Stored([digits.train_images]), test_images=Stored([digits.test_images])
    )
    assert evaluate(run, dataset=stored) == evaluate(run, dataset=digits)


def test_of_many_pictures_some_are_measured(trained, digits, monkeypatch):
    run = trained()
    every = evaluate(run, dataset=digits, judge=False)
    monkeypatch.setattr(measuring, "MEASURED", 120)
    some = evaluate(run, dataset=digits, judge=False)
    third = replace(
        digits, test_images=digits.test_images[spread(360, 120)],
        test_labels=digits.test_labels[spread(360, 120)],
    )  # fmt: skip
    assert some == evaluate(run, dataset=third, judge=False)
    assert some["reconstruction_error"] == pytest.approx(every["reconstruction_error"], rel=0.1)
    assert some["reconstruction_error"] != every["reconstruction_error"]


@pytest.mark.parametrize("model", ["basic", "semi"])
def test_figures_in_low_precision_are_within_their_errors(trained, digits, model):
    run = trained(model=model, labels="all", epochs=20, lr=1e-3, latent_dim=2)
    full = evaluate(run, dataset=digits, judge=False)
    run.config = replace(run.config, precision="bf16")
    low = evaluate(run, dataset=digits, judge=False)
    assert low["reconstruction_error"] != full["reconstruction_error"]
    assert low["reconstruction_error"] == pytest.approx(full["reconstruction_error"], rel=2e-3)
    distance, error = full["prior_distance"], full["prior_distance_error"]
    assert low["prior_distance"] == pytest.approx(distance, abs=error)
    assert abs(low.get("error", 0) - full.get("error", 0)) <= 3 / 360


def test_errors_are_those_of_the_split_that_was_asked_for(trained, digits):
    run = trained(model="semi", labels=100)
    splits = Splits.of(run.config, digits)
    model = run.model()
    for split, part in (("test", splits.test), ("validation", splits.validation)):
        figures = evaluate(run, split=split, dataset=digits, judge=False)
        x = torch.from_numpy(part.images).float() / 127.5 - 1
        labels = torch.from_numpy(part.labels)
        with torch.no_grad():
            wrong = (model.encode(x).y.argmax(1) != labels).float().mean().item()
            each = 0.5 * (model.reconstruct(x, labels) - x).square().sum((1, 2, 3))
            error, off = each.mean().item(), each.std().item() / len(each) ** 0.5
        assert figures["error"] == pytest.approx(wrong)
        assert figures["reconstruction_error"] == pytest.approx(error, rel=1e-4)
        assert figures["standard_errors"]["reconstruction_error"] == pytest.approx(off, rel=1e-4)
        off = uncertainty.of_share(wrong, len(labels))
        assert figures["standard_errors"]["error"] == pytest.approx(off)
        mean = splits.train.images.astype(np.float64).mean(0) / 127.5 - 1
        of_mean = 0.5 * np.square(x.numpy() - mean).sum((1, 2, 3)).mean()
        assert figures["reconstruction_error_of_mean"] == pytest.approx(of_mean, rel=1e-4)


def test_codes_far_from_the_prior_are_called_collapsed(trained, digits, monkeypatch):
    run = trained()
    model = run.model()
    with torch.no_grad():
        model.encoder.posterior.mean.bias += 50
    monkeypatch.setattr(Run, "model", lambda self: model)
    figures = evaluate(run, dataset=digits, judge=False)
    assert figures["prior_distance"] > 50
    assert figures["health"] == "collapsed"
    assert any("off the prior's centre" in check["verdict"] for check in figures["health_checks"])


def test_the_discriminators_accuracy_has_an_error(trained, digits, monkeypatch):
    examined = []
    monkeypatch.setattr(measuring.health, "examine", lambda given: examined.append(given) or [])
    evaluate(trained(), dataset=digits, judge=False)
    [given] = examined
    # 360 codes, and as many samples of the prior
    expected = uncertainty.of_share(given.discriminator_accuracy, 720)
    assert given.discriminator_error == expected


@pytest.mark.parametrize(
    ("changes", "classes", "words"),
    [
        ({}, "0123456789", "labels not used"),
        ({}, "", "no labels"),
        ({"model": "semi", "labels": 100}, "0123456789", "100 labels"),
    ],
)
def test_the_report_says_no_more_of_the_data_than_their_name(
    trained, digits, changes, classes, words
):
    run = trained(**changes)
    figures = evaluate(run, dataset=digits, judge=False)
    run.config = replace(run.config, data="/home/me/my photos")
    run.classes = tuple(classes)
    page = write_report(run, figures).read_text()
    assert page.count("<title>gaussian on my photos</title>") == 1
    assert f"my photos: {run.count} training examples, 1×8×8, {words}</dd>" in page


def test_the_report_shows_figures_verdict_and_command(trained, digits):
    run = trained()
    figures = evaluate(run, split="validation", dataset=digits, judge=False)
    page = write_report(run, figures).read_text()
    assert "reconstruction error" in page
    assert "offset from centre" in page
    assert f"the validation set, {figures['examples']} examples" in page
    for name, error in figures["standard_errors"].items():
        assert f"{figures[name]:.4g} ± {error:.2g}" in page
    assert f"trained with torch</th>\n<td>{torch.__version__}</td>" in page
    assert "aae train" in page


OWN = Networks(encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()))


@pytest.mark.parametrize(
    ("networks", "origin", "words"),
    [
        (OWN, "digits", "its own encoder: aae.fit.fit(…, networks=…) in Python"),
        (OURS, GIVEN, "data given in Python: aae.fit.fit(…, dataset=…) in Python"),
        (OWN, GIVEN, "its own encoder and data given in Python: aae.fit.fit(…, networks=…, data"),
        (OURS, IN_MEMORY, "data given in Python: the fit of such an estimator repeats it."),
    ],
)
def test_the_report_has_no_command_that_would_train_something_else(
    tiny, digits, tmp_path, no_pictures, networks, origin, words
):
    config, data = tiny(recipe="gaussian", epochs=1), replace(digits, origin=origin)
    run = fit(config, tmp_path / "run", dataset=data, networks=networks)
    page = write_report(run, evaluate(run, dataset=data, judge=False)).read_text()
    assert f"<p>Trained with {words}" in page
    assert "aae train" not in page
    assert ("<dt>networks</dt>\n<dd>its own encoder</dd>" in page) == (networks is OWN)
