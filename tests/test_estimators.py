"""The five estimators: what scikit-learn's own checks do not ask."""

import pickle
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import aae
from aae import inference, plots
from aae.build import ERROR_OF_MEAN
from aae.estimators import (
    AdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    AdversarialEmbedding,
    SupervisedAdversarialAutoencoder,
)

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 3, "batch_size": 32, "random_state": 0}
KINDS = [
    AdversarialAutoencoder,
    SupervisedAdversarialAutoencoder,
    AdversarialClassifier,
    AdversarialClustering,
    AdversarialEmbedding,
]
NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.fixture(scope="module")
def iris():
    """150 flowers, [150, 4], and the names of their kinds."""
    X, y = load_iris(return_X_y=True)
    return X, NAMES[y]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def said_of(model, X):
    """All that an estimator says of examples, side by side."""
    said = [
        np.asarray(getattr(model, name)(X), dtype=float).reshape(len(X), -1)
        for name in ("transform", "predict_proba", "reconstruct")
        if hasattr(model, name)
    ]
    return np.concatenate(said, axis=1)


def test_the_seed_decides(kind, iris):
    a, b = kind(**SMALL).fit(*iris), kind(**SMALL).fit(*iris)
    assert np.array_equal(said_of(a, iris[0]), said_of(b, iris[0]))
    other = kind(**SMALL | {"random_state": 1}).fit(*iris)
    assert not np.array_equal(said_of(a, iris[0]), said_of(other, iris[0]))


def test_history_has_a_record_for_each_epoch(kind, iris):
    model = kind(**SMALL).fit(*iris)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3]
    assert model.n_iter_ == 3
    titles = [axes.get_title(loc="left") for axes in plots.learning_curves(model.history_).axes]
    assert "reconstruction" in titles


@pytest.mark.parametrize("way", ["pickle", "joblib", "folder"])
def test_what_is_kept_answers_and_goes_on_alike(way, kind, iris, tmp_path):
    model = kind(**SMALL).fit(*iris)
    if way == "pickle":
        again = pickle.loads(pickle.dumps(model))
    elif way == "joblib":
        joblib.dump(model, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib")
    else:
        again = aae.load(model.save(tmp_path / "run"))
    assert type(again) is kind
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_
    assert np.array_equal(said_of(again, iris[0]), said_of(model, iris[0]))
    for each in (model, again):
        each.partial_fit(*iris)
    assert np.array_equal(said_of(again, iris[0]), said_of(model, iris[0]))
    assert again.n_iter_ == 4


def test_one_trained_on_a_gpu_opens_where_there_is_none(iris, tmp_path):
    model = AdversarialAutoencoder(2, **SMALL).fit(iris[0])
    expected = model.transform(iris[0])
    model.config_ = replace(model.config_, device="cuda:7")
    for again in (pickle.loads(pickle.dumps(model)), aae.load(model.save(tmp_path / "run"))):
        assert again.config_.device == "cuda:7"
        assert np.array_equal(again.transform(iris[0]), expected)


def test_a_saved_estimator_is_a_run_folder(kind, iris, tmp_path, run):
    from aae.run import Run

    model = kind(**SMALL).fit(*iris)
    place = Run(model.save(tmp_path / "run"))
    assert not list(place.folder.rglob("*.pkl"))
    assert place.config == model.config_
    x = torch.from_numpy(model._scaling.forward(iris[0]))
    with torch.no_grad():
        assert torch.equal(place.model().encode(x).mean, model.model_.encode(x).mean)
    code, _, _ = run("sample", place.folder, "--count", 5, "--out", tmp_path / "s.npy")
    assert code == 0
    with pytest.raises(ValueError, match="trained on data given in Python"):
        place.dataset()
    with pytest.raises(ValueError, match="exists already"):
        model.save(tmp_path / "run")


@pytest.mark.parametrize(
    "classes",
    [np.array([3, 5, 9]), NAMES, NAMES.astype(object), np.array([0.5, 1, 2]) * 2],
    ids=["integers", "strings", "objects", "floats"],
)
def test_classes_of_any_type_are_kept(classes, iris, tmp_path):
    y = classes[load_iris().target]
    model = AdversarialClassifier(**SMALL).fit(iris[0], y)
    assert model.classes_.tolist() == classes.tolist()
    again = AdversarialClassifier.load(model.save(tmp_path / "run"))
    predicted = again.predict(iris[0])
    assert predicted.dtype == model.predict(iris[0]).dtype
    assert set(predicted) <= set(classes)


def test_a_folder_of_another_estimator_is_refused(iris, tmp_path):
    folder = AdversarialAutoencoder(2, **SMALL).fit(iris[0]).save(tmp_path / "run")
    with pytest.raises(ValueError, match="a model for AdversarialAutoencoder, not AdversarialClas"):
        AdversarialClassifier.load(folder)
    with pytest.raises(ValueError, match="not a run folder"):
        aae.load(tmp_path)


def test_a_run_of_the_command_line_opens(tiny_run, digits):
    model = aae.load(tiny_run.folder)
    assert isinstance(model, AdversarialClassifier)
    pictures = digits.test_images[:20]
    expected = inference.encode(tiny_run.model(), pictures).y
    assert np.array_equal(model.predict_proba(pictures), expected.numpy())
    assert model.predict(pictures)[0] == digits.classes[expected[0].argmax()]
    assert model.n_iter_ == 3
    again = clone(model).set_params(n_epochs=1)
    again.fit(digits.train_images[:100], digits.train_labels[:100])
    assert again.config_.noise_std == tiny_run.config.noise_std


# --- training


@pytest.mark.parametrize("scale", ["standard", "range", "none"])
def test_the_mean_weighs_alike_in_any_scale(scale, iris):
    model = AdversarialAutoencoder(2, scale=scale, **SMALL).fit(iris[0])
    x = model._scaling.forward(iris[0])
    error_of_mean = np.square(x - x.mean(0)).sum(1).mean() / 2
    weight = model.config_.reconstruction_weight * model.model_.reconstruction_share
    assert weight * error_of_mean == pytest.approx(ERROR_OF_MEAN)


def test_partial_fit_makes_an_epoch_each(kind, iris):
    model = kind(**SMALL)
    for k in range(1, 4):
        model.partial_fit(*iris)
        assert model.n_iter_ == k
        assert model.config_.lr_steps == ()
    assert len({record["reconstruction"] for record in model.history_}) == 3


def test_partial_fit_takes_all_classes_at_first(iris):
    model = AdversarialClassifier(**SMALL)
    model.partial_fit(iris[0][:60], iris[1][:60], classes=NAMES)
    assert model.predict_proba(iris[0]).shape == (150, 3)
    model.partial_fit(iris[0][90:], iris[1][90:])
    with pytest.raises(ValueError, match="label 'tulip', which is none of"):
        model.partial_fit(iris[0], np.repeat("tulip", 150))


def test_warm_start_starts_at_the_last_weights(iris):
    cold = AdversarialAutoencoder(2, **SMALL | {"n_epochs": 30}).fit(iris[0])
    first = cold.history_[0]["reconstruction"], cold.history_[-1]["reconstruction"]
    cold.set_params(warm_start=True, n_epochs=2).fit(iris[0])
    assert cold.history_[0]["reconstruction"] < sum(first) / 2
    assert cold.n_iter_ == 2
    with pytest.raises(ValueError, match=r"go on with hidden=8 \(was 16\): set it back"):
        cold.set_params(hidden=8).fit(iris[0])


def test_warm_start_needs_the_classes_of_before(iris):
    model = AdversarialClassifier(warm_start=True, **SMALL).fit(*iris)
    with pytest.raises(ValueError, match="warm_start goes on with what there is"):
        model.fit(iris[0][:100], iris[1][:100])
    with pytest.raises(ValueError, match=r"examples of \[3\], and had \[4\] before"):
        model.fit(iris[0][:, :3], iris[1])


def test_verbose_shows_epochs(iris, capsys):
    AdversarialAutoencoder(2, **SMALL).fit(iris[0])
    assert capsys.readouterr().out == ""
    AdversarialAutoencoder(2, verbose=1, **SMALL).fit(iris[0])
    assert "epoch 3/3; reconstruction" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"options": {"droput": 0.1}}, "did you mean 'dropout'"),
        ({"scale": "log"}, "scale='log' is none of"),
        ({"device": "cuda:77"}, "cannot be used here"),
        ({"n_epochs": 0}, "n_epochs must be at least 1"),
        ({"latent_dim": 3}, "take an even latent_dim, or use_labels=False"),
    ],
)
def test_what_is_not_possible_is_refused_in_fit(parameters, message, iris):
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder(**SMALL | parameters).fit(*iris)


def test_options_reach_the_config(iris):
    model = AdversarialAutoencoder(2, options={"dropout": 0.25, "prior": "uniform"}, **SMALL)
    assert model.fit(iris[0]).config_.dropout == 0.25
    assert model.model_.prior.sample(50).abs().max() <= 1


# --- among scikit-learn's own


def test_in_a_pipeline_and_a_grid_search(iris):
    pipeline = make_pipeline(AdversarialAutoencoder(2, **SMALL), LogisticRegression())
    search = GridSearchCV(
        pipeline, {"adversarialautoencoder__n_epochs": np.array([1, 2])}, cv=2
    ).fit(*iris)
    assert search.best_estimator_.predict(iris[0]).shape == (150,)
    search = GridSearchCV(
        AdversarialClassifier(**SMALL), {"learning_rate": [1e-5, 1e-2]}, cv=2
    ).fit(*iris)
    assert search.best_params_ == {"learning_rate": 1e-2}


def test_frames_in_and_out(iris, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(iris[0], columns=load_iris().feature_names)
    model = AdversarialAutoencoder(2, **SMALL).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame)
    assert codes.columns.tolist() == ["adversarialautoencoder0", "adversarialautoencoder1"]
    model = aae.load(model.save(tmp_path / "run"))
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[frame.columns[::-1]])


# --- what each is for


def test_labels_name_parts_of_the_code_space():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 150)
    X = rng.normal(size=(300, 6)) + 4 * (y == "b")[:, None]
    settings = SMALL | {"n_epochs": 40, "learning_rate": 5e-3}
    model = AdversarialAutoencoder(2, **settings).fit(X, y)
    for name, low, high in (("a", -2, 2), ("b", 2, 6)):
        assert low < model.sample(200, name).mean() < high
    with pytest.raises(ValueError, match="label 'c', which is none of"):
        model.sample(1, "c")


def test_outliers_are_few_and_far(iris):
    model = AdversarialAutoencoder(2, **SMALL | {"n_epochs": 40}).fit(iris[0])
    called = model.predict_outlier(iris[0], contamination=0.1)
    assert set(called) == {-1, 1}
    assert (called == -1).sum() == 15
    assert model.score_samples(iris[0]).min() > model.score_samples([[20.0, 20, -20, 0]])
    assert model.predict_outlier([[20.0, 20, -20, 0]]) == [-1]
    with pytest.raises(ValueError, match="contamination="):
        model.predict_outlier(iris[0], contamination=0.7)


def test_a_score_is_minus_half_the_squared_error(iris):
    model = AdversarialAutoencoder(2, scale="none", **SMALL).fit(iris[0])
    errors = np.square(model.reconstruct(iris[0]) - iris[0]).sum(1) / 2
    assert np.allclose(model.score_samples(iris[0]), -errors, rtol=1e-4)


def test_interpolation_goes_from_one_to_the_other(iris):
    model = AdversarialAutoencoder(2, **SMALL).fit(iris[0])
    a, b = iris[0][0], iris[0][-1]
    between = model.interpolate(a, b, steps=5)
    assert between.shape == (5, 4)
    assert np.allclose(between[[0, -1]], model.reconstruct([a, b]), atol=1e-4)
    codes = model.transform([a, b])
    assert np.allclose(between[2], model.inverse_transform(codes.mean(0)[None]), atol=1e-4)


def test_rows_of_frames_are_interpolated_by_name(iris):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(iris[0], columns=load_iris().feature_names)
    model = AdversarialAutoencoder(2, **SMALL).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that names are missing
        between = model.interpolate(frame[:1], frame[-1:], steps=2)
    assert np.allclose(between, model.reconstruct(frame.iloc[[0, -1]]), atol=1e-4)
    with pytest.raises(ValueError, match="same order"):
        model.interpolate(frame[frame.columns[::-1]][:1], frame[-1:])
    with pytest.raises(ValueError, match="one example each"):
        model.interpolate(frame[:2], frame[-1:])


def test_samples_follow_random_state(iris):
    model = AdversarialAutoencoder(2, **SMALL).fit(iris[0])
    assert np.array_equal(model.sample(3), model.sample(3))
    model.random_state = np.random.RandomState(0)
    assert not np.array_equal(model.sample(3), model.sample(3))


def test_style_and_class_are_put_together_again(iris):
    model = SupervisedAdversarialAutoencoder(2, **SMALL).fit(*iris)
    X, y = iris
    own = model.restyle(X, y)
    assert np.array_equal(own, model.generate(y, model.transform(X)))
    assert not np.allclose(own, model.restyle(X, np.repeat("setosa", 150)))
    assert model.generate(["setosa", "virginica"]).shape == (2, 4)
    with pytest.raises(ValueError, match="label 'tulip'"):
        model.generate(["tulip"])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.generate(["setosa"], np.zeros((2, 2)))


def test_a_few_labels_classify_the_rest():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 100)
    X = rng.normal(size=(300, 5)) + 3 * np.eye(3, 5)[np.repeat([0, 1, 2], 100)]
    shown = np.where(np.arange(300) % 20 == 0, y, "-1")
    model = AdversarialClassifier(**SMALL | {"n_epochs": 40, "learning_rate": 5e-3})
    assert model.fit(X, shown).score(X, y) > 0.9


def test_a_classifier_needs_two_classes(iris):
    with pytest.raises(ValueError, match="y has 1 class, and AdversarialClassifier needs 2"):
        AdversarialClassifier().fit(iris[0], np.where(iris[1] == "setosa", iris[1], "-1"))


def test_clusters_are_found():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 150)
    X = rng.normal(size=(300, 4)) + 8 * y[:, None]
    model = AdversarialClustering(2, **SMALL | {"n_epochs": 40, "learning_rate": 5e-3})
    labels = model.fit_predict(X)
    assert np.array_equal(labels, model.labels_)
    assert max((labels == y).mean(), (labels != y).mean()) > 0.95
    assert model.sample(10, label=1).shape == (10, 4)


@pytest.mark.parametrize(("labelled", "merged_from"), [(True, 0), (False, 0), (False, 9)])
def test_a_point_decodes_to_the_example_it_came_from(labelled, merged_from, iris):
    options = {"n_clusters": 3, "options": {"merged_from": merged_from}}
    model = AdversarialEmbedding(**SMALL, **options).fit(iris[0], iris[1] if labelled else None)
    x = model._scaling.forward(iris[0])
    expected = inference.reconstruct(model.model_, aae.splits.Part(x, np.full(len(x), -1)))
    assert np.allclose(
        model.inverse_transform(model.transform(iris[0])),
        model._scaling.back(expected.numpy()), atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [AdversarialClassifier, AdversarialEmbedding])
@pytest.mark.parametrize("first", [True, False])
def test_a_chunk_may_have_no_label(kind, first, iris):
    X, y = iris
    nothing = [None] * len(X)
    model = kind(**SMALL)
    for labels in (nothing, y) if first else (y, nothing):
        model.partial_fit(X, labels, classes=np.unique(y))
    assert model.n_iter_ == 2
    assert ("classification" in model.history_[-1]) == first
    assert np.isfinite(model.transform(X)).all()


def test_rows_without_a_label_count_as_errors(iris):
    X, y = iris
    model = AdversarialClassifier(**SMALL).fit(X, y)
    some = np.where(np.arange(len(y)) % 3, y.astype(object), None)
    few = AdversarialClassifier(**SMALL).fit(X, some)
    assert model.score(X, y) == np.mean(model.predict(X) == y)
    assert few.score(X, some) == np.mean(few.predict(X) == some)
    weights = (y == y[0]).astype(float)
    assert few.score(X, y, weights) == np.mean(few.predict(X)[y == y[0]] == y[0])
    assert np.isfinite(cross_val_score(AdversarialClassifier(**SMALL), X, some, cv=2)).all()


def test_a_search_without_a_scoring_goes_by_how_normal_examples_are(iris):
    model = AdversarialAutoencoder(2, **SMALL).fit(iris[0])
    assert model.score(iris[0]) == pytest.approx(model.score_samples(iris[0]).mean())
    assert np.isfinite(cross_val_score(AdversarialAutoencoder(2, **SMALL), iris[0], cv=2)).all()
