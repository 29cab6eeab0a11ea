"""What a run's page says: its settings, verdict, figures and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aae import report
from aae.captions import captioned
from aae.data import IN_MEMORY, NOWHERE
from aae.evaluate import with_errors
from aae.recipes import command
from aae.run import Run
from aae.words import by


def write_report(run: Run, figures: dict[str, Any]) -> Path:
    """Write ``report.html`` in a run folder, from what `evaluate` gave and its pictures.

    Returns:
        The page's path.
    """
    config = run.config
    settings = config.to_json() | {"trained with " + k: v for k, v in run.versions.items()}
    shape = by(run.shape)
    labels = "labels not used" if run.classes else "no labels"
    if config.needs_labels:
        labels = f"{config.labels} labels"
    own, by_hand = _own(run), _by_hand(run)
    prior = run.networks.prior_in_use(config)
    return report.write(
        run.folder / "report.html",
        title=f"{config.recipe} on {config.data_name}",
        summary=[
            (
                "data",
                f"{config.data_name}: {run.count or '?'} training examples, {shape}, {labels}",
            ),
            ("code", f"{config.latent_dim}-D, {prior} prior, {config.posterior} posterior"),
            *([("networks", own)] if own else []),
            ("epochs", run.epochs_in_use),
            ("seed", config.seed),
            ("figures of", f"the {figures['split']} set, {figures['examples']} examples"),
        ],
        health=[
            (c["name"], c["value"], c["verdict"], c["advice"]) for c in figures["health_checks"]
        ],
        metrics=[(name.replace("_", " "), words) for name, words in with_errors(figures).items()],
        figures=list(captioned(run)),
        command="" if by_hand else command(config),
        by_hand=by_hand,
        settings=[(name, str(value)) for name, value in settings.items()],
    )


def _own(run: Run) -> str:
    """The user's own networks in words; empty if all are ours."""
    given = [name for name in run.networks.names if name != "prior"]
    if run.networks.prior_in_use(run.config) == "own":  # of samples, too, which the run keeps
        given.append("prior")
    return f"its own {' and '.join(given)}" if given else ""


def _by_hand(run: Run) -> str:
    """How to repeat a run that no command repeats, as it was given more than a config."""
    given = {
        "networks": _own(run),
        "dataset": "data given in Python" if run.config.data in NOWHERE else "",
    }
    if not any(given.values()):
        return ""
    what = " and ".join(filter(None, given.values()))
    if run.config.data == IN_MEMORY:
        return f"Trained with {what}: the fit of such an estimator repeats it."
    takes = ", ".join(f"{name}=…" for name, words in given.items() if words)
    return f"Trained with {what}: aae.fit.fit(…, {takes}) in Python repeats it."
