"""Recipes: what each experiment is."""

from dataclasses import replace

import pytest

from aae.recipes import RECIPES, command, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_knows_its_name_and_says_what_it_is(name):
    assert recipe(name).recipe == name
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", RECIPES)
def test_networks_and_prior_are_the_reference_programs(name):
    own = {"semi-deep": {"hidden": 500, "layers": 5, "batch_size": 100}}
    expected = {
        "hidden": 1000, "layers": 2, "output": "tanh", "batch_size": 128, "optimizer": "adam",
        "beta1": 0.5, "prior_std": 1.0, "components": 10, "radius": 1.4, "radial_std": 0.5,
        "tangential_std": 0.1, **own.get(name, {}),
    }  # fmt: skip
    config = recipe(name)
    assert {field: getattr(config, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("name", "model", "prior", "labels"),
    [
        ("gaussian", "basic", "gaussian", "all"),
        ("mixture", "basic", "mixture", "all"),
        ("swiss-roll", "labels", "swiss-roll", 10_000),
        ("labels", "labels", "mixture", 10_000),
        ("style", "supervised", "gaussian", "all"),
        ("semi", "semi", "gaussian", 1280),
        ("semi-deep", "semi", "gaussian", 1280),
        ("cluster", "cluster", "gaussian", 0),
        ("embed", "embed", "gaussian", 1000),
        ("vae", "vae", "gaussian", "all"),
    ],
)
def test_what_makes_each_experiment(name, model, prior, labels):
    config = recipe(name)
    assert (config.model, config.prior, config.labels) == (model, prior, labels)


def test_an_unknown_recipe_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"'gausian'; did you mean 'gaussian'\? there are gaussia"):
        recipe("gausian")


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_says_what_differs_from_the_recipe(name):
    assert command(recipe(name)) == f"aae train {name}"
    changed = replace(recipe(name), epochs=7, lr_steps=(3, 5), batch_norm=True, data_dir="a b")
    norm = "" if recipe(name).batch_norm else " --batch-norm"
    assert command(changed) == (
        f"aae train {name} --data-dir 'a b'{norm} --epochs 7 --lr-steps 3 5"
    )


def test_the_command_turns_off_what_the_recipe_turns_on():
    changed = replace(recipe("semi-deep"), batch_norm=False, denoising_weight=0.0)
    assert command(changed) == "aae train semi-deep --no-batch-norm --denoising-weight 0.0"


def test_a_value_that_looks_like_a_flag_follows_an_equals_sign():
    changed = replace(recipe("gaussian"), label_column="-the age", ignore_columns=("-x",))
    assert command(changed) == ("aae train gaussian '--label-column=-the age' --ignore-columns=-x")


def test_a_config_of_ones_own_has_no_command(tiny):
    assert command(tiny()) == ""
