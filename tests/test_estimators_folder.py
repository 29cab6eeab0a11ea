"""Estimators in run folders: what is damaged or half written, and runs of the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import aae
from aae import recipes
from aae.data import IN_MEMORY, TableReading, load
from aae.data.tables import from_table
from aae.estimators import AdversarialAutoencoder, AdversarialClassifier, folder
from aae.fit import make_trainer
from aae.run import Run
from aae.splits import Splits
from aae.training import checkpoint

SMALL = {"hidden": 16, "layers": 1, "n_epochs": 1, "batch_size": 32, "random_state": 0}


def trained(place, config, dataset):
    """The folder of a run, trained without pictures of it."""
    config = replace(
        config, hidden=16, epochs=1, warmup=0, device="cpu", precision="float32", log_every=5
    )
    run = Run.create(place, config, dataset)
    trainer = make_trainer(run, Splits.to_train(config, dataset))
    trainer.run()
    checkpoint.write(run.checkpoints, trainer.model, trainer.state())
    return run


@pytest.fixture(scope="module")
def rows():
    """Some rows [60, 3], and labels in words."""
    rng = np.random.default_rng(0)
    return rng.normal(5, 2, size=(60, 3)), np.array(["a", "b"])[np.arange(60) % 2]


@pytest.fixture
def saved(rows, tmp_path):
    return AdversarialClassifier(**SMALL).fit(*rows).save(tmp_path / "run")


def test_a_seed_that_is_numpys_is_kept(rows, tmp_path):
    model = AdversarialAutoencoder(2, **SMALL | {"random_state": np.int64(7)}).fit(rows[0])
    again = aae.load(model.save(tmp_path / "run"))
    assert again.random_state == 7
    assert np.array_equal(again.sample(3), model.sample(3))


# --- what is damaged


def test_what_cannot_be_written_is_refused_before_there_is_a_folder(rows, tmp_path):
    model = AdversarialAutoencoder(2, **SMALL).fit(rows[0]).set_params(verbose=object())
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        model.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_save_does_not_open(saved, rows, tmp_path, monkeypatch):
    (saved / "estimator.json").unlink()
    with pytest.raises(ValueError, match=r"was not wholly written: it lacks estimator\.json"):
        aae.load(saved)

    def full(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(folder.checkpoint, "write", full)
    with pytest.raises(OSError, match="full"):
        AdversarialAutoencoder(2, **SMALL).fit(rows[0]).save(tmp_path / "full")
    assert (tmp_path / "full" / "estimator.json").exists()
    with pytest.raises(ValueError, match="no checkpoint yet"):
        aae.load(tmp_path / "full")


@pytest.mark.parametrize(
    ("hidden", "told"), [(90_000, "is of a model of .* bytes"), (8, "not those of this model")]
)
def test_a_folder_of_a_model_of_another_size_is_refused(saved, hidden, told):
    place = saved / "config.json"
    about = json.loads(place.read_text())
    about["config"]["hidden"] = hidden
    place.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=told):
        aae.load(saved)


def change(*path, to):
    def changed(about):
        *there, last = path
        inner = about
        for key in there:
            inner = inner[key]
        inner[last] = to
        return about

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda about: {},
        lambda about: [],
        change("parameters", to=[]),
        change("parameters", "colour", to="red"),
        change("scaling", to=None),
        change("scaling", "kind", to="sounds"),
        change("scaling", to={"kind": "rows", "centre": [0.0], "unit": [1.0]}),
        change("scaling", to={"kind": "pictures", "shape": [3]}),
        change("scaling", "unit", to=[1.0, 0.0, 1.0]),
        change("scaling", "constant", to=[False, 0, False]),
        change("scaling", "constant", to=[False]),
        change("scaling", "unit", to=[1.0, 1.0]),
        change("scaling", "centre", to=["x", "y", "z"]),
        change("scaling", to={"kind": "table", "columns": {"missing": "refuse", "blocks": []}}),
        change("features", to=4),
        change("arrays", to={}),
        change("arrays", "classes_", "values", to=["a"]),
        change("arrays", "classes_", "values", to=[["a", "b"]]),
        change("arrays", "classes_", "type", to="<U2000000000"),
        change("arrays", "classes_", "type", to="colour"),
        change("arrays", "classes_", to=["a", "b"]),
        change("arrays", "feature_names_in_", to={"type": "|O", "values": ["x"]}),
    ],
)
def test_a_damaged_file_is_named(damage, saved):
    file = saved / "estimator.json"
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    with pytest.raises(ValueError, match=r"estimator\.json is none that aae wrote for this run: "):
        aae.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", "nonsense"])
def test_a_file_that_is_not_json_is_named(text, saved):
    (saved / "estimator.json").write_text(text)
    with pytest.raises(ValueError, match=r"estimator\.json is not JSON"):
        aae.load(saved)


# --- runs of the command line


@pytest.mark.parametrize(
    "config",
    [
        recipes.gaussian(),
        recipes.vae(),
        recipes.cluster(),
        replace(recipes.embed(), labels=0),
        replace(recipes.labels(), labels="all"),
    ],
    ids=lambda config: f"{config.model}-{config.labels}",
)
def test_a_run_goes_on_after_load(config, digits, tmp_path):
    run = trained(tmp_path / "run", replace(config, data="digits"), digits)
    model = aae.load(run.folder)
    x, labels = digits.train_images[:100], np.array(digits.classes)[digits.train_labels[:100]]
    before = {name: value.clone() for name, value in model.model_.state_dict().items()}
    model.partial_fit(x, labels if config.needs_labels else None)
    assert model.n_iter_ == 2
    after = model.model_.state_dict()
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    # All that its run set still holds, but for what is of an epoch in memory.
    changed = {
        name
        for name, value in model.config_.to_json().items()
        if value != run.config.to_json()[name]
    }
    assert changed <= {"data", "seed", "epochs", "lr_steps"}
    # It has seen other data now than those that its run names.
    assert model.config_.data == IN_MEMORY
    assert aae.load(model.save(tmp_path / "more")).n_iter_ == 2


def people(count):
    """Two trades, and what they earn and wear."""
    rng = np.random.default_rng(0)
    trade = rng.integers(2, size=count)
    return {
        "pay": np.rint(2000 + 1000 * trade + 100 * rng.standard_normal(count)),
        "colour": np.array(["red", "green"], object)[trade],
        "height": 170 + 8 * trade + rng.standard_normal(count),
        "trade": np.array(["cook", "smith"], object)[trade],
    }


def run_of_people(place, config):
    dataset = from_table(people(200), "people.csv", TableReading(label_column="trade"))
    return trained(place, replace(config, data="people.csv", label_column="trade"), dataset)


@pytest.fixture(scope="module")
def cooks(tmp_path_factory):
    """A classifier of a table's rows; only for reading."""
    config = replace(recipes.semi(), labels="all", validation=0.1)
    return run_of_people(tmp_path_factory.mktemp("cooks") / "run", config)


def as_given(table, how):
    if how == "array":
        return np.array(list(zip(*(table[k] for k in table if k != "trade"), strict=True)), object)
    if how == "dict":
        return table
    return pytest.importorskip(how).DataFrame(table)


@pytest.mark.parametrize("how", ["dict", "array", "pandas", "polars"])
def test_a_run_on_a_table_takes_tables(how, cooks):
    model, table = aae.load(cooks.folder), people(50)
    assert model.feature_names_in_.tolist() == ["pay", "colour", "height"]
    assert model.n_features_in_ == 3
    x = torch.from_numpy(cooks.columns.encode(table))
    with torch.no_grad():
        expected = cooks.model().encode(x)
    probabilities = model.predict_proba(as_given(table, how))
    assert np.allclose(probabilities, expected.y.numpy(), atol=1e-6)
    assert np.allclose(model.transform(as_given(table, how)), expected.mean.numpy(), atol=1e-6)


def test_a_table_that_does_not_fit_is_refused(cooks):
    model = aae.load(cooks.folder)
    with pytest.raises(ValueError, match="no column 'colour'"):
        model.predict({"pay": [1.0], "height": [2.0]})
    with pytest.raises(ValueError, match="2 columns without names; the model learned 3: pay"):
        model.predict(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="holds 'blue' in row 0"):
        model.predict({"pay": [1.0], "colour": ["blue"], "height": [2.0]})
    with pytest.raises(ValueError, match="learned a table, and an estimator learns arrays"):
        model.partial_fit(people(50), people(50)["trade"])
    with pytest.raises(ValueError, match="learned a table, and an estimator learns arrays"):
        model.set_params(warm_start=True).fit(people(50), people(50)["trade"])


def test_a_run_on_a_table_is_saved_again(cooks, tmp_path):
    model = aae.load(cooks.folder)
    place = model.save(tmp_path / "again")
    assert (Run(place).columns, Run(place).count) == (cooks.columns, cooks.count)
    again, table = aae.load(place), people(50)
    assert np.array_equal(again.predict_proba(table), model.predict_proba(table))
    assert again.feature_names_in_.tolist() == model.feature_names_in_.tolist()


def test_a_run_on_a_table_gives_tables(tmp_path, monkeypatch):
    run = run_of_people(tmp_path / "run", recipes.gaussian())
    model, table = aae.load(run.folder), people(50)
    drawn = model.sample(300)
    assert list(drawn) == ["pay", "colour", "height"]
    assert drawn["pay"].mean() > 1000  # in its own unit
    assert set(drawn["colour"]) == {"red", "green"}
    assert all(np.array_equal(model.sample(300)[name], drawn[name]) for name in drawn)
    again = model.reconstruct(table)
    assert {name: len(values) for name, values in again.items()} == dict.fromkeys(drawn, 50)
    first = {name: values[:1] for name, values in table.items()}
    last = {name: values[-1] for name, values in table.items()}
    between = model.interpolate(first, last, steps=3)
    assert np.allclose(between["pay"][[0, -1]], again["pay"][[0, -1]])
    with pytest.raises(ValueError, match="one example each"):
        model.interpolate(table, last)
    alike = torch.full((300, run.columns.width), 0.5)
    monkeypatch.setattr("aae.inference.sample", lambda *_: alike)
    assert set(model.sample(300)["colour"]) == {"red", "green"}  # drawn, as none is more probable


def test_a_score_of_a_row_is_its_error(tmp_path):
    run = run_of_people(tmp_path / "run", recipes.gaussian())
    table = people(50)
    x = torch.from_numpy(run.columns.encode(table))
    with torch.no_grad():
        model = run.model()
        error = model.reconstruction_loss(model.reconstruct(x, torch.full((50,), -1)), x)
    scores = aae.load(run.folder).score_samples(table)
    assert scores.shape == (50,)
    assert -scores.mean() == pytest.approx(float(error), rel=1e-5)


def test_the_file_of_a_table_opens(tmp_path):
    polars = pytest.importorskip("polars")
    polars.DataFrame(people(200)).write_csv(tmp_path / "people.csv")
    reading = TableReading(label_column="trade")
    dataset = load(str(tmp_path / "people.csv"), table=reading)
    config = replace(
        recipes.cluster(), data=str(tmp_path / "people.csv"), label_column="trade", clusters=2
    )
    model = aae.load(trained(tmp_path / "run", config, dataset).folder)
    assert model.predict(polars.read_csv(tmp_path / "people.csv")).shape == (200,)
    assert set(model.sample(3, label=1)) == {"pay", "colour", "height"}
