"""A trained run of clusters once more, with another number of clusters; nothing new is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile

from aae.build import choose_network
from aae.fit import make_trainer
from aae.observers import Painter, Recorder
from aae.run import Run
from aae.splits import Splits
from aae.storage import locked
from aae.training import checkpoint

_MERGED = "clusters."
"""Prefix of the names of those of a model's tensors that are decided anew."""


def regroup(run: Run, clusters: int, folder: Path | str, *, data_dir: str | None = None) -> Run:
    """Merge the clusters that a run found until ``clusters`` are left; see `aae.merging`.

    The weights are those of the run; its pictures are drawn anew.

    Args:
        run: the run, of the recipe cluster, or embed without labels.
        clusters: how many are to be left.
        folder: where the new run goes; it must not exist yet, or be empty.
        data_dir: where the data set lies now, if elsewhere than the run's config says.

    Raises:
        ValueError: it is no run of clusters, or found no more than that many; it holds no
            checkpoint; or the folder is in use.
    """
    model, found = run.model(), run.config.clusters_found
    if not model.finds_clusters:
        raise ValueError(
            f"{run.folder}, of the recipe {run.config.recipe}, has no clusters: runs of the recipe "
            "cluster do, and of embed with --labels 0"
        )
    if not 1 <= clusters < found:
        raise ValueError(
            f"{run.folder} found {found} clusters: of these 1 to {found - 1} can be left, not "
            f"{clusters}"
        )
    dataset, place = run.dataset(data_dir), run.in_use
    assert place is not None
    config = replace(run.config, clusters=clusters, merged_from=found, keep_best=None)
    if choose_network(config.network, run.shape) != run.network:  # an early version chose another
        config = replace(config, network=run.network)
    merged = Run.create(folder, config, dataset, run.networks)
    merged.config = replace(config, device=str(run.device))  # the run's own may not be here
    weights, state = checkpoint.read(place)
    new = merged.new_model()
    learned = {name: w for name, w in weights.items() if not name.startswith(_MERGED)}
    new.load_state_dict(new.state_dict() | learned)
    if run.metrics.exists():
        copyfile(run.metrics, merged.metrics)
    checkpoint.write(merged.checkpoints, new, state)
    splits = Splits.of(config, dataset)
    with locked(merged.folder):
        trainer = make_trainer(merged, splits)
        trainer.conclude_epoch()
        checkpoint.write(merged.checkpoints, trainer.model, trainer.state())
        with Recorder(merged, trainer.progress) as recorder:
            Painter(merged, splits, recorder).draw(trainer)
    merged.config = config
    return merged
