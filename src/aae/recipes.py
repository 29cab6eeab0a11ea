"""One function for each experiment of the paper and the reference program: it gives a full config.

The config's defaults keep the reference program's networks, batch and losses, and change what
measurement favoured; ``docs/migration.md`` has the list with reasons. The literal recipe is that of
``experiment/aae_mnist.py``. A recipe changes only what makes it that experiment; `semi_deep` has
networks, batch and losses of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from aae.config import Config
from aae.hints import flag
from aae.words import nearest


def gaussian() -> Config:
    """2-D code on a Gaussian (Fig. 1)."""
    return Config(recipe="gaussian", model="basic")


def mixture() -> Config:
    """2-D code on a mixture of ten Gaussians (Fig. 2b)."""
    return Config(recipe="mixture", model="basic", prior="mixture")


def labels() -> Config:
    """2-D code on a mixture, 10,000 labels naming the component (Fig. 3a).

    Codes must follow ten priors instead of one, so the generator's weight is twice the usual.
    """
    return Config(
        recipe="labels", model="labels", prior="mixture", labels=10_000, generator_weight=50.0
    )


def swiss_roll() -> Config:
    """2-D code on a swiss roll, 10,000 labels saying where along it (Fig. 3b)."""
    return replace(labels(), recipe="swiss-roll", prior="swiss-roll")


def style() -> Config:
    """The decoder is told the label, the code keeps the style (Fig. 6).

    The absolute error keeps strokes sharp, so that generated styles vary as real ones do.
    """
    return Config(recipe="style", model="supervised", reconstruction="absolute")


def semi() -> Config:
    """A classifier from 1,280 labels, a style code beside it (Fig. 8).

    It adds virtual adversarial training on y; ``--vat-weight 0`` is the paper's model alone.
    """
    return Config(recipe="semi", model="semi", labels=1280, latent_dim=10, vat_weight=10.0)


def semi_deep() -> Config:
    """As semi with fewer errors on MNIST, in 20 epochs of twice the time each (Table 2).

    The networks are deep and narrow, with noise on each layer that y helps to remove; y must stay
    the same when a digit, or its style, moves; and no class is given up.
    """
    return replace(
        semi(), recipe="semi-deep", epochs=20, layers=5, hidden=500, batch_norm=True,
        denoising_weight=64.0, vat_weight=30.0, tangent_weight=100.0, balance_weight=100.0,
        batch_size=100, lr=2e-3, y_generator_weight=3.0, y_discriminator_weight=3.0,
    )  # fmt: skip


def cluster() -> Config:
    """Clusters found without a label, a style code beside them (Fig. 9).

    It adds virtual adversarial training on y, and a pull to equal shares that holds its ground
    against it; ``--vat-weight 0 --balance-weight 0 --batch-norm`` is the paper's model.
    """
    return Config(
        recipe="cluster", model="cluster", labels=0, latent_dim=5, vat_weight=20.0,
        balance_weight=100.0,
    )  # fmt: skip


def embed() -> Config:
    """A plane where each class has a place of its own, from 1,000 labels (Fig. 10).

    ``--labels 0 --clusters 20`` finds the classes without any labels.
    """
    return Config(recipe="embed", model="embed", labels=1000, vat_weight=10.0)


def vae() -> Config:
    """The baseline: the same networks with a KL divergence instead of a discriminator (Fig. 2)."""
    return Config(recipe="vae", model="vae")


RECIPES: dict[str, Callable[[], Config]] = {
    "gaussian": gaussian,
    "mixture": mixture,
    "swiss-roll": swiss_roll,
    "labels": labels,
    "style": style,
    "semi": semi,
    "semi-deep": semi_deep,
    "cluster": cluster,
    "embed": embed,
    "vae": vae,
}


def recipe(name: str) -> Config:
    """The config of a recipe by its name.

    Raises:
        ValueError: there is no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(
            f"no recipe is called {name!r}; {nearest(name, RECIPES)}there are {', '.join(RECIPES)}"
        )
    return RECIPES[name]()


def command(config: Config) -> str:
    """The command that trains a config again; empty if it came from no recipe.

    >>> command(recipe("style"))
    'aae train style'
    """
    if config.recipe not in RECIPES:
        return ""
    defaults = recipe(config.recipe).to_json()
    words = ["aae", "train", config.recipe]
    for name, value in config.to_json().items():
        if value == defaults[name]:
            continue
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no_{name}"))
        else:
            values = [str(each) for each in (value if isinstance(value, tuple) else (value,))]
            if len(values) == 1 and values[0].startswith("-"):  # a flag, but for the equals sign
                words.append(shlex.quote(f"{flag(name)}={values[0]}"))
            else:
                words += [flag(name), *map(shlex.quote, values)]
    return " ".join(words)
