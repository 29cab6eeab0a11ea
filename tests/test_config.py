"""The config: what it refuses, and its way through JSON."""

import ast
import dataclasses
import inspect
import itertools
import json
import math

import pytest

from aae import config as module
from aae.config import Config
from aae.hints import flag
from aae.recipes import RECIPES


def config(**changes):
    return Config(**{"recipe": "test", "model": "basic", **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_dim": 0}, "--latent-dim must be at least 1, not 0"),
        ({"hidden": 0}, "--hidden must be at least 1, not 0"),
        ({"layers": 0}, "--layers must be at least 1, not 0"),
        ({"components": 0}, "--components must be at least 1, not 0"),
        ({"epochs": 0}, "--epochs must be at least 1, not 0"),
        ({"batch_size": 1}, "--batch-size must be at least 2, not 1"),
        ({"classification_every": 0}, "--classification-every must be at least 1, not 0"),
        ({"log_every": 0}, "--log-every must be at least 1, not 0"),
        ({"sample_every": 0}, "--sample-every must be at least 1, not 0"),
        ({"keep": 0}, "--keep must be at least 1, not 0"),
        ({"warmup": -1}, "--warmup must be at least 0, not -1"),
        ({"seed": -1}, "--seed must be at least 0, not -1"),
        ({"split_seed": -1}, "--split-seed must be at least 0, not -1"),
        ({"merged_from": -1}, "--merged-from must be at least 0, not -1"),
        (
            {"model": "cluster", "labels": 0, "clusters": 9, "merged_from": 9},
            "--merged-from 9 must be more than --clusters 9",
        ),
        ({"prior_std": 0.0}, "--prior-std must be above 0, not 0.0"),
        ({"radial_std": -1.0}, "--radial-std must be above 0, not -1.0"),
        ({"tangential_std": 0.0}, "--tangential-std must be above 0, not 0.0"),
        ({"vat_radius": 0.0}, "--vat-radius must be above 0, not 0.0"),
        ({"tangent_radius": 0.0}, "--tangent-radius must be above 0, not 0.0"),
        ({"vat_weight": -1.0}, "--vat-weight must be 0 or more, not -1.0"),
        ({"lr": 0.0}, "--lr must be above 0, not 0.0"),
        ({"lr": float("nan")}, "--lr must be above 0, not nan"),
        ({"lr": float("inf")}, "--lr must be above 0, not inf"),
        ({"lr_factor": 0.0}, "--lr-factor must be above 0, not 0.0"),
        ({"reconstruction_weight": -1.0}, "--reconstruction-weight must be 0 or more, not -1.0"),
        ({"generator_weight": -1.0}, "--generator-weight must be 0 or more, not -1.0"),
        ({"discriminator_weight": -1.0}, "--discriminator-weight must be 0 or more, not -1.0"),
        ({"classification_weight": -1.0}, "--classification-weight must be 0 or more, not -1.0"),
        ({"y_generator_weight": -1.0}, "--y-generator-weight must be 0 or more, not -1.0"),
        ({"y_discriminator_weight": -1.0}, "--y-discriminator-weight must be 0 or more, not -1.0"),
        ({"noise_std": -0.1}, "--noise-std must be 0 or more, not -0.1"),
        ({"radius": -1.0}, "--radius must be 0 or more, not -1.0"),
        ({"input_dropout": 1.0}, r"--input-dropout must lie in \[0, 1\), not 1.0"),
        ({"dropout": 1.0}, r"--dropout must lie in \[0, 1\), not 1.0"),
        ({"beta1": 1.0}, r"--beta1 must lie in \[0, 1\), not 1.0"),
        ({"lr_steps": (1, 2.5)}, r"--lr-steps must be whole epochs, or shares .*, not 1 2.5"),
        ({"seed": 2**63}, r"--seed must be below 2\^63, not 9223372036854775808"),
        ({"lr_steps": (math.nan,)}, r"--lr-steps must be whole epochs, or shares .*, not nan"),
        ({"lr_steps": (-0.5,)}, r"--lr-steps must be whole epochs, or shares .*, not -0.5"),
        ({"momentum": -0.1}, r"--momentum must lie in \[0, 1\), not -0.1"),
        ({"adversarial_momentum": 1.5}, r"--adversarial-momentum must lie in \[0, 1\), not 1.5"),
        ({"validation": 0.0}, "--validation must lie between 0 and 1, not 0.0"),
        ({"validation": 1.0}, "--validation must lie between 0 and 1, not 1.0"),
        ({"adversarial_lr": 0.0}, "--adversarial-lr must be above 0, not 0.0"),
        ({"adversarial_lr": float("inf")}, "--adversarial-lr must be above 0, not inf"),
        ({"labels": -1}, "--labels must be 'all' or a number of 0 or more, not -1"),
        ({"model": "semi", "labels": 0}, "semi-supervised training needs labels"),
        ({"model": "semi", "vat_weight": 1.0, "posterior": "universal"}, "take 0 for --vat-weight"),
        (
            {"model": "cluster", "labels": 0, "tangent_weight": 1.0, "posterior": "universal"},
            "--tangent-weight and --warp-weight, or another --posterior",
        ),
        (
            {"model": "cluster", "labels": 0, "warp_weight": 1.0, "posterior": "universal"},
            "--tangent-weight and --warp-weight, or another --posterior",
        ),
        ({"denoising_std": 0.0}, "--denoising-std must be above 0, not 0.0"),
        ({"warp_size": 0.0}, "--warp-size must be above 0, not 0.0"),
        ({"heads_apart": 0.0}, "--heads-apart must be above 0, not 0.0"),
        ({"balance_slack": -0.1}, "--balance-slack must be 0 or more, not -0.1"),
        ({"clusters": 0}, "--clusters must be at least 1, not 0"),
        ({"model": "semi", "denoising_weight": 1.0}, "hidden units needs them normalised"),
        (
            {"model": "cluster", "labels": 0, "batch_norm": True, "denoising_weight": 1.0},
            "--denoising-weight is of models that classify",
        ),
        (
            {
                "model": "semi",
                "batch_norm": True,
                "denoising_weight": 1.0,
                "posterior": "universal",
            },
            "take gaussian or deterministic",
        ),
        ({"prior": "mixture", "latent_dim": 3}, "--latent-dim must be even, not 3"),
        ({"prior": "swiss-roll", "latent_dim": 4}, "--latent-dim must be 2, not 4"),
        ({"kl_weight": -1.0}, "--kl-weight must be 0 or more, not -1.0"),
        ({"kl_weight": 1.0, "prior": "uniform"}, "--kl-weight cannot have the uniform prior"),
        ({"kl_weight": 1.0, "posterior": "deterministic"}, "--kl-weight needs the density of its"),
        ({"model": "vae", "kl_weight": 0.0}, "a VAE has nothing else to hold its codes"),
        ({"model": "vae", "prior": "uniform"}, "a VAE cannot have the uniform prior"),
        ({"model": "vae", "posterior": "universal"}, "take --posterior gaussian, not universal"),
        ({"model": "vae", "step": "alternating"}, "take --step joint"),
        ({"model": "vae", "step": "alternating-plain"}, "take --step joint"),
        ({"model": "labels", "labels": 0}, "'labels' is shown labels: --labels must be above 0"),
        ({"model": "supervised", "labels": 0}, "--labels must be above 0; without any, take"),
        ({"vat_weight": 1.0}, "--vat-weight is of models that tell classes .*, and basic does not"),
        ({"model": "labels", "tangent_weight": 1.0}, "--tangent-weight is of models that tell"),
        ({"model": "supervised", "warp_weight": 1.0}, "--warp-weight is of models that tell"),
        ({"model": "vae", "balance_weight": 1.0}, "--balance-weight is of models that tell"),
        ({"model": "semi", "merged_from": 20}, "--merged-from is of models that find clusters"),
        ({"merged_from": 20}, "--merged-from is of models that find clusters"),
        ({"sharpen_from": 1.0}, "--sharpen-from must be a share of the epochs, .* not 1.0"),
        (
            {"sharpen_from": 0.5, "reconstruction": "absolute"},
            "leave out --reconstruction absolute",
        ),
        ({"sharpen_from": 0.5, "keep_best": "reconstruction"}, "changes the reconstruction loss"),
        ({"keep_best": "error"}, "--keep-best error is of models that classify"),
        ({"keep_best": "classification"}, "--keep-best classification is of models that classify"),
        ({"reconstruction": "bernoulli", "output": "linear"}, "take --output tanh, not linear"),
        ({"model": "embed", "prior": "mixture"}, "take --prior gaussian or uniform, not mixture"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"latent_dim": 1}, {"seed": 0}, {"batch_size": 2}, {"dropout": 0.0}, {"radius": 0.0},
        {"generator_weight": 0.0}, {"labels": 0}, {"prior": "mixture", "latent_dim": 4},
        {"prior": "swiss-roll"}, {"model": "vae", "prior": "mixture"}, {"lr": 1}, {"lr_steps": ()},
        {"reconstruction": "bernoulli"}, {"keep_best": "reconstruction"},
        {"model": "semi", "keep_best": "error"}, {"model": "semi", "keep_best": "classification"},
        {"model": "embed", "prior": "uniform"},
    ],
)  # fmt: skip
def test_what_makes_sense_is_not(changes):
    made = config(**changes)
    assert all(getattr(made, name) == value for name, value in changes.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "basics"}, "--model cannot be 'basics'; it is one of basic, labels, supervised"),
        (
            {"prior": "gaussion"},
            r"prior cannot be 'gaussion'; did you mean 'gaussian'\? it is one of gaussian, mixture",
        ),
        ({"latent_dim": "2"}, "--latent-dim cannot be '2'"),
        ({"latent_dim": 2.0}, "--latent-dim cannot be 2.0"),
        ({"latent_dim": True}, "--latent-dim cannot be True"),
        ({"lr": "fast"}, "--lr cannot be 'fast'"),
        ({"lr": False}, "--lr cannot be False"),
        ({"batch_norm": 1}, "--batch-norm cannot be 1"),
        ({"labels": "some"}, "--labels cannot be 'some'"),
        ({"labels": None}, "--labels cannot be None"),
        ({"lr_steps": (1, "2")}, r"--lr-steps cannot be \(1, '2'\)"),
        ({"data_dir": 3}, "--data-dir cannot be 3"),
        ({"adversarial_lr": "0.1"}, "--adversarial-lr cannot be '0.1'"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
    with pytest.raises(ValueError, match=message):
        Config.from_json({**config().to_json(), **changes})


@pytest.mark.parametrize("name", RECIPES)
def test_json_and_back(name):
    before = RECIPES[name]()
    text = json.dumps(before.to_json())
    assert Config.from_json(json.loads(text)) == before


def test_json_and_back_with_every_field_changed():
    before = config(
        model="cluster", data="svhn", data_dir="/data", image_size=(8, 9), channels=1,
        unreadable="skip",
        label_column="class", missing="impute", categorical_columns=("a", "b"),
        ignore_columns=("c",),
        network="conv", width=16, validation=0.2, labels=0, latent_dim=4, hidden=7, layers=3,
        posterior="deterministic", style_critic="plain", batch_norm=True, output="linear",
        reconstruction="absolute", init="normal", prior="mixture", prior_std=2.0, components=3,
        radius=2.0, radial_std=0.3, tangential_std=0.2, epochs=5, batch_size=9, step="alternating",
        optimizer="sgd", lr=0.1, adversarial_lr=0.2, warmup=3, lr_steps=(1, 2), lr_factor=0.5,
        beta1=0.1, beta2=0.9, momentum=0.2, adversarial_momentum=0.3, noise_std=0.4, dropout=0.5,
        input_dropout=0.25,
        reconstruction_weight=2.0, generator_weight=3.0, discriminator_weight=4.0,
        classification_weight=5.0, y_generator_weight=6.5, y_discriminator_weight=7.0,
        vat_weight=8.0, vat_radius=9.0, tangent_weight=1.5, tangent_radius=2.5,
        warp_weight=3.5, warp_size=4.5, balance_slack=5.5, denoising_std=6.5,
        kl_weight=0.0, classification_every=8, clusters=3, heads_apart=2.0, heads_weight=3.0,
        balance_weight=4.0, merged_from=9,
        seed=9, split_seed=3, device="cpu", precision="bf16", log_every=11, sample_every=12,
        keep=13, on_nonfinite="skip", checkpoint_every="7m", keep_best="reconstruction",
    )  # fmt: skip
    for field in dataclasses.fields(Config):
        # Which the others exclude.
        if field.name not in (
            "recipe", "model", "sharpen_from", "reading_weight", "denoising_weight",
        ):  # fmt: skip
            assert getattr(before, field.name) != field.default, field.name
    for whole in (before, config(sharpen_from=0.4)):
        assert Config.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_an_unknown_field_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"no field 'latent_dims'; did you mean 'latent_dim'\?"):
        Config.from_json({**config().to_json(), "latent_dims": 2})
    with pytest.raises(ValueError, match=r"no field 'qqq'; see aae.config.Config$"):
        Config.from_json({**config().to_json(), "qqq": 2})


@pytest.mark.parametrize("name", ["recipe", "model"])
def test_a_missing_field_is_refused(name):
    values = config().to_json()
    del values[name]
    with pytest.raises(ValueError, match=f"lacks the field '{name}'"):
        Config.from_json(values)


def test_fields_left_out_take_their_defaults():
    assert Config.from_json({"recipe": "test", "model": "basic"}) == config()


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().lr = 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "digits"}, {"data_dir": "here"}, {"image_size": (8,)}, {"channels": 1},
        {"unreadable": "skip"}, {"label_column": "kind"}, {"missing": "impute"},
        {"categorical_columns": ("zone",)}, {"ignore_columns": ("id",)},
    ],
)  # fmt: skip
def test_other_readings_are_other_data(changes):
    assert config(**changes).source != config().source
    assert config(**changes, seed=1, labels=0, epochs=3).source == config(**changes).source


def test_the_weights_by_phase():
    made = config(
        model="semi",
        reconstruction_weight=1.0, generator_weight=2.0, discriminator_weight=3.0,
        y_generator_weight=4.0, y_discriminator_weight=5.0, classification_weight=6.0,
        vat_weight=7.0, tangent_weight=7.5, warp_weight=7.8, balance_weight=8.0, heads_weight=9.0,
    )  # fmt: skip
    denoised = config(model="semi", batch_norm=True, denoising_weight=8.5)
    assert denoised.weights["denoising"] == 8.5
    assert config(model="supervised", reading_weight=9.5).weights["reading"] == 9.5
    assert made.weights == {
        "reconstruction": 1, "generator_z": 2, "discriminator_z": 3,
        "generator_y": 4, "discriminator_y": 5, "classification": 6, "vat": 7, "tangent": 7.5,
        "warp": 7.8, "balance": 8, "denoising": 0, "disturbed": 6, "heads": 9, "kl": 0,
        "reader": 1, "reading": 0,
    }  # fmt: skip
    assert config(model="vae").weights["kl"] == 1
    assert config(model="vae", kl_weight=4.0).weights["kl"] == 4
    assert config(kl_weight=0.5).weights["kl"] == 0.5


def test_every_field_has_a_docstring():
    # It is the help of the field's flag.
    tree = ast.parse(inspect.getsource(module))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Config").body
    documented = {
        node.target.id
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
    assert documented == {field.name for field in dataclasses.fields(Config)}


def test_flag():
    assert flag("y_generator_weight") == "--y-generator-weight"
