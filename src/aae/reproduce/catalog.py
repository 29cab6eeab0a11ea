"""What is reproduced: experiments, their settings, and the figures to reach.

An experiment has several settings. A setting has a recipe of the paper's appendix and one of ours,
and names the figures that are measured on it, each with the paper's value. This module does not
need torch, so that ``aae reproduce --help`` is quick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from aae.config import Config
from aae.recipes import recipe
from aae.words import nearest

EPOCHS = 20
"""Epochs of a tuned run: at the speed of past runs, all finish overnight on two cores."""

CARRIED: dict[str, Any] = {"vat_weight": 100.0, "balance_weight": 100.0}
"""For few labels: they must be carried far, and no class may be given up."""

FOUND = {
    "vat_weight": 200.0, "warp_weight": 200.0, "balance_weight": 200.0, "batch_norm": True,
}  # fmt: skip
"""For clusters: they are found by what a warp leaves unchanged, and where pictures are dense."""

FINER = {"merged_from": 60}
"""If only as many clusters as requested are found, they settle by chance, on two kinds of digits or
on half of one. More are purer, and those that share digits are of one kind."""

UNEVEN = 0.02
"""The entropy of the clusters' shares may fall short of its maximum, log K, by this fraction."""

ROOMY = {"kl_weight": 2.0}
"""Where a code has more dimensions than the styles of one digit, posteriors must fill the rest."""

FAITHFUL = {"generator_weight": 8.0}
"""Codes that keep out of the gaps of a mixture cost reconstruction. Pushed a third as hard, they
are still far nearer to it than those of a VAE, which reconstructs no better then."""

HELD = {"kl_weight": 4.0, "noise_std": 0.3}
"""Where every digit has a label, its posterior is held to that label's part of the prior, and noise
on the pixels keeps digits from outside the training set there."""

GUIDED = {"kl_weight": 1.0, "noise_std": 0.3}
"""Where one digit in six has a label, its posterior is held loosely to that label's part of the
prior. That keeps others of the digit from settling in another part; the posteriors of unlabelled
digits are held to the whole prior."""

SPREAD: dict[str, Any] = {"latent_dim": 6, "kl_weight": 1.0}
"""Ten thousand samples must come near every digit, so codes fill a prior of few dimensions. Twenty
epochs are too few, because the error still falls then."""

LONGER: dict[str, Any] = {"epochs": 40, "tangent_weight": 300.0}
"""With a thousand labels, errors still fall after twenty epochs, and fall further if classes are
held more firmly along the styles. With all labels this was not tried, but taken over."""

NEARLY_ALL: dict[str, Any] = {"validation": 1 / 60}
"""Where all labels are asked for, a thousand digits are held out: they only show how it goes."""

READ = {"reading_weight": 20.0}
"""Pictures from far out in the prior, where few training codes are, must be legible, too."""

LEGIBLE: dict[str, Any] = {"sharpen_from": 0.5, "layers": 3}
"""Where kinds of digits border on one another in the plane, the decoder picks one of them, and a
deeper decoder switches between them over a shorter distance."""

PAPER_RECONSTRUCTION = 0.02
"""Weight of half the squared error, summed over pixels in [-1, 1], in the paper's recipes. The
paper does not give the scale of its error; with a weight of 1, its learning rates diverge."""

SLOW = {"parzen_10m", "probe_accuracy", "probe_accuracy_of_draws"}
"""Figures that take as long to measure as a quick training takes, or longer."""

Recipe = Literal["tuned", "paper"]


@dataclass(frozen=True)
class Target:
    """A figure to reach.

    Attributes:
        metric: its name among the figures of a run (`aae.reproduce.measures`).
        value: the paper's figure, or the one that we ask for; None where there is none to reach.
        public: what the best known public program reports.
    """

    metric: str
    value: float | None = None
    public: str = ""


@dataclass(frozen=True)
class Setting:
    """One row of an experiment: a config, and what is measured on it."""

    experiment: str
    name: str
    recipe: Recipe
    config: Config
    targets: tuple[Target, ...]
    pictures: tuple[str, ...] = ()
    """Which of a run's pictures are shown, by file name without extension."""

    @property
    def place(self) -> str:
        """Where its figures lie, and what messages call it."""
        return f"{self.experiment}/{self.name}-{self.recipe}"


def tuned(name: str, **changes: Any) -> Config:
    """One of our recipes, for `EPOCHS`, with changes."""
    return replace(recipe(name), epochs=EPOCHS, **changes)


def found(name: str, clusters: int, **changes: Any) -> Config:
    """Our recipe for clusters, whose shares may differ: ten digits do not make 16 equal ones.

    The shares of one batch differ by chance, too; that is added to `UNEVEN`.
    """
    config = tuned(name, clusters=clusters, **FOUND, **changes)
    count = config.clusters_found
    chance = (count - 1) / (2 * config.batch_size)
    return replace(config, balance_slack=round(UNEVEN * math.log(count) + chance, 3))


def as_in_paper(config: Config) -> Config:
    """A config with the training of the paper's appendix, and none of our additions.

    SGD with momentum, one phase after the other on batches of 100, learning rates of 0.01 and 0.1
    that fall at epochs 50 and 1,000, weights drawn from N(0, 0.01²). Where labels name parts of the
    prior, and where codes have more than two dimensions and layers are not normalised, as those of
    clusters are, 0.02 replaces 0.1: most of these diverge at 0.1 or learn nothing (docs/trials.md
    says which).
    """
    semi = config.model == "semi"
    gentle = config.model == "labels" or (config.latent_dim > 2 and config.model != "cluster")
    adversarial = 0.02 if gentle else 0.1
    return replace(
        config, epochs=50, step="alternating", optimizer="sgd", momentum=0.9,
        adversarial_momentum=0.1, lr=0.01, adversarial_lr=adversarial,
        lr_steps=(50, 1000), lr_factor=0.1, warmup=0, batch_size=100, init="normal", layers=2,
        hidden=1000, batch_norm=False, posterior="deterministic", reconstruction="squared",
        sharpen_from=None,
        style_critic="plain", reconstruction_weight=PAPER_RECONSTRUCTION, generator_weight=1.0,
        discriminator_weight=1.0, classification_weight=1.0, y_generator_weight=1.0,
        y_discriminator_weight=1.0, vat_weight=0.0, tangent_weight=0.0, warp_weight=0.0,
        denoising_weight=0.0, balance_weight=0.0, balance_slack=0.0, merged_from=0,
        kl_weight=None, reading_weight=0.0, noise_std=0.3 if semi else 0.0,
    )  # fmt: skip


def _both(
    experiment: str,
    name: str,
    ours: Config,
    *targets: Target,
    paper: Config | None = None,
    pictures: tuple[str, ...] = (),
) -> list[Setting]:
    """A setting with both recipes."""
    return [
        Setting(experiment, name, "tuned", ours, targets, pictures),
        Setting(experiment, name, "paper", paper or as_in_paper(ours), targets, pictures),
    ]


MATCH = (Target("prior_distance"), Target("sliced_wasserstein"), Target("reconstruction_error"))
READABLE = (
    Target("manifold_readable", 0.95, "0.90"),
    Target("readable", 0.95),
    Target("smallest_class", 0.03, "0 (no five)"),
)


def _priors() -> list[Setting]:
    """Fig. 2: AAE and VAE on a 2-D Gaussian and a mixture of ten."""
    settings = []
    for prior in ("gaussian", "mixture"):
        ours = tuned(prior, **(FAITHFUL if prior == "mixture" else {}))
        settings += _both("fig2", f"aae-{prior}", ours, *MATCH, pictures=("latent",))
        vae = tuned("vae", prior=prior)
        settings.append(Setting("fig2", f"vae-{prior}", "tuned", vae, MATCH, ("latent",)))
    return settings


def _labels() -> list[Setting]:
    """Fig. 3: labels name parts of the prior; the swiss roll."""
    rows = (
        ("mixture-all", tuned("labels", labels="all", **HELD), 0.97),
        ("mixture-10000", tuned("labels", **GUIDED), 0.90),
        ("swiss-roll-10000", tuned("swiss-roll"), None),
    )
    return [
        setting
        for name, config, own in rows
        for setting in _both(
            "fig3", name, config, Target("component_accuracy", own), pictures=("latent",)
        )
    ]


def _samples() -> list[Setting]:
    """Fig. 5: are samples and manifold readable?"""
    return [
        setting
        for prior in ("gaussian", "mixture")
        for setting in _both(
            "fig5", prior, tuned(prior, **LEGIBLE), *READABLE, pictures=("samples",)
        )
    ]


def _style() -> list[Setting]:
    """Fig. 6: style and content apart, codes of 2, 10 and 15 dimensions."""
    settings = []
    public = {2: "0.95 at 0.59", 10: "0.81 at 0.82"}
    for dim in (2, 10, 15):
        config = tuned("style", latent_dim=dim, **READ, **(ROOMY if dim > 2 else {}))
        drawn = (Target("probe_accuracy_of_draws"),) if dim > 2 else ()
        settings += _both(
            "fig6", f"code-{dim}", config,
            Target("style_accuracy", 0.99, public.get(dim, "")),
            Target("style_variety", 0.6 if dim == 2 else 0.8),
            Target("probe_accuracy"), *drawn, pictures=("style",),
        )  # fmt: skip
    return settings


def _svhn_style() -> list[Setting]:
    """Fig. 7: style and content of street view house numbers (SVHN), a code of 10 dimensions."""
    config = tuned("style", data="svhn", latent_dim=10, **READ, **ROOMY)
    targets = (Target("prior_distance"), Target("reconstruction_error"))
    return _both("fig7", "code-10", config, *targets, pictures=("style",))


def _likelihood() -> list[Setting]:
    """Table 1: the Parzen log-likelihood; the paper's code is 8-D, of standard deviation 5."""
    ours = replace(tuned("gaussian", **SPREAD), epochs=100)
    return _both(
        "table1", "mnist", ours,
        Target("parzen_10k", 340.0, "340.1 ± 2.9, 2,000 epochs"), Target("parzen_10m", 427.0),
        paper=replace(as_in_paper(ours), latent_dim=8, prior_std=5.0),
    )  # fmt: skip


def _semi() -> list[Setting]:
    """Table 2: error with 100, 1,000 and all labels; the Ladder network's for the tuned recipe."""
    settings = []
    rows: list[tuple[int | Literal["all"], dict[str, Any], float, float, str]] = [
        (100, {}, 0.0190, 0.0106, "about 5 %"),
        (1000, LONGER, 0.0160, 0.0084, "2.9 % with 1,280"),
        ("all", LONGER | NEARLY_ALL, 0.0085, 0.0057, ""),
    ]
    for labels, changes, paper, ladder, public in rows:
        ours = replace(tuned("semi-deep", labels=labels), **changes)
        theirs = as_in_paper(tuned("semi", labels=labels))
        asked = {"tuned": Target("error", ladder, public), "paper": Target("error", paper, public)}
        for setting in _both("table2", f"labels-{labels}", ours, paper=theirs):
            settings.append(replace(setting, targets=(asked[setting.recipe],)))
    house_numbers = tuned("semi", labels=1000, data="svhn")
    return settings + _both("table2", "svhn-1000", house_numbers, Target("error", 0.1770))


def _clusters() -> list[Setting]:
    """Table 3 and Fig. 9: clustering error with 16 and 30 clusters."""
    settings = []
    for clusters, error in ((16, 0.0955), (30, 0.0410)):
        config = found("cluster", clusters, **FINER)
        # Twenty epochs, because one takes as long as five to ten of the others.
        paper = replace(
            as_in_paper(config), epochs=20, hidden=3000, batch_norm=True, input_dropout=0.2
        )
        settings += _both(
            "table3", f"clusters-{clusters}", config,
            Target("cluster_error", error), Target("cluster_error_majority", error),
            paper=paper, pictures=("clusters",),
        )  # fmt: skip
    return settings


def _embedding() -> list[Setting]:
    """Fig. 10: an embedding in the plane, without labels and with 1,000 and 100."""
    settings = _both(
        "fig10",
        "clusters-20",
        found("embed", 20, labels=0),
        Target("cluster_error", 0.137),
        pictures=("latent",),
    )
    for labels, error in ((1000, 0.0420), (100, 0.0608)):
        config = tuned("embed", labels=labels, **CARRIED)
        settings += _both(
            "fig10", f"labels-{labels}", config, Target("error", error), pictures=("latent",)
        )
    return settings


EXPERIMENTS: dict[str, Callable[[], list[Setting]]] = {
    "fig2": _priors,
    "fig3": _labels,
    "fig5": _samples,
    "fig6": _style,
    "fig7": _svhn_style,
    "table1": _likelihood,
    "table2": _semi,
    "table3": _clusters,
    "fig10": _embedding,
}


def quickly(setting: Setting) -> Setting:
    """A setting for a quick look: one or two epochs, and no figures that take long."""
    epochs = min(2, max(1, setting.config.epochs // 25))
    targets = tuple(target for target in setting.targets if target.metric not in SLOW)
    return replace(setting, config=replace(setting.config, epochs=epochs), targets=targets)


def settings(names: Iterable[str]) -> list[Setting]:
    """The settings of experiments by name, or single ones, such as table2/labels-100.

    Args:
        names: of experiments or settings; "all" stands for every one.

    Raises:
        ValueError: there is no such experiment or setting.
    """
    chosen: list[Setting] = []
    for name in names:
        if name == "all":
            return [setting for make in EXPERIMENTS.values() for setting in make()]
        experiment, _, one = name.partition("/")
        if experiment not in EXPERIMENTS:
            hint = nearest(experiment, EXPERIMENTS)
            raise ValueError(
                f"no experiment is called {experiment!r}; {hint}"
                f"there are {', '.join(EXPERIMENTS)}, all"
            )
        found = [setting for setting in EXPERIMENTS[experiment]() if one in ("", setting.name)]
        if not found:
            there = dict.fromkeys(setting.name for setting in EXPERIMENTS[experiment]())
            raise ValueError(f"{experiment} has no setting {one!r}; it has {', '.join(there)}")
        chosen += found
    return chosen
