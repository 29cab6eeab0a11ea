"""A run of clusters once more, with fewer: what training them would have given."""

import json
import shutil
import signal

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aae.cli import main
from aae.fit import Interrupted, fit, resume
from aae.regroup import regroup
from aae.run import Run
from aae.training.trainer import Observer


@pytest.fixture(scope="module")
def nine(tiny, digits, tmp_path_factory):
    """A run of nine clusters; only for reading."""
    return fit(tiny(model="cluster", clusters=9), tmp_path_factory.mktemp("runs") / "nine")


def test_it_is_as_if_trained_so(nine, tiny, digits, tmp_path, no_pictures):
    fewer = regroup(nine, 4, tmp_path / "fewer")
    config = tiny(model="cluster", clusters=4, merged_from=9)
    assert fewer.config == config
    trained = fit(config, tmp_path / "trained", dataset=digits)
    own, theirs = (run.model().state_dict() for run in (fewer, trained))
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    assert fewer.epochs_done == nine.epochs_done
    assert fewer.records() == nine.records()
    assert resume(fewer.folder, dataset=digits).epochs_done == nine.epochs_done
    # And from there again, though its clusters are merged.
    again = regroup(fewer, 7, tmp_path / "again").config
    assert (again.clusters, again.merged_from) == (7, 9)


def test_its_pictures_are_drawn(nine, tmp_path):
    fewer = regroup(nine, 3, tmp_path / "fewer")
    assert {path.stem for path in fewer.figures.glob("*.png")} == {
        path.stem for path in nine.figures.glob("*.png")
    }
    # Histograms are of the clusters that the discriminator saw, beside what it holds them to.
    found = EventAccumulator(str(fewer.folder), {"histograms": 0}).Reload()
    [codes], [prior] = (found.Histograms(f"codes/{name}") for name in ("y", "y_prior"))
    assert codes.histogram_value.num == prior.histogram_value.num


def test_a_run_of_early_days_is_merged(tiny, tmp_path, no_pictures):
    pixels = np.random.default_rng(0).integers(256, size=(90, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "colour.npy", pixels)
    config = tiny(
        model="cluster", clusters=9, network="mlp", data=str(tmp_path / "colour.npy"), epochs=1
    )
    run = fit(config, tmp_path / "run")
    place = run.folder / "config.json"
    about = json.loads(place.read_text())
    del about["network"], about["config"]["network"]  # there was but one kind
    place.write_text(json.dumps(about))
    run.metrics.unlink()
    fewer = regroup(Run(run.folder), 4, tmp_path / "fewer")
    assert fewer.network == Run(fewer.folder).network == "mlp"
    assert fewer.model().n_classes == 4


class Stopper(Observer):
    """Stops a training within its first epoch."""

    def on_step(self, trainer):
        if trainer.progress.count == 4:
            signal.raise_signal(signal.SIGINT)


def merged(run):
    """Into which cluster each of those that were found went."""
    return run.model().clusters.cluster_of.tolist()


def test_weights_of_an_epoch_that_is_not_the_last_are_merged_too(tiny, tmp_path):
    config = tiny(model="cluster", clusters=9, epochs=4, lr=0.2, keep_best="reconstruction")
    run = fit(config, tmp_path / "run")
    fewer = regroup(run, 4, tmp_path / "fewer")
    assert fewer.epochs_done == run.epochs_in_use < 4  # so high a rate makes it worse again
    assert fewer.config.keep_best is None  # figures were of clusters that are no longer there
    assert merged(fewer) != [0, 1, 2, *[3] * 6], "as it is before anything is merged"
    assert set(merged(fewer)) == {0, 1, 2, 3}
    assert list(fewer.figures.glob("*.png"))


def test_one_trained_on_a_gpu_is_merged_where_there_is_none(nine, tmp_path, no_pictures):
    folder = shutil.copytree(nine.folder, tmp_path / "run")
    about = json.loads((folder / "config.json").read_text())
    about["config"]["device"] = "cuda:7"
    (folder / "config.json").write_text(json.dumps(about))
    merged = regroup(Run(folder), 4, tmp_path / "merged")
    assert merged.config.device == Run(merged.folder).config.device == "cuda:7"
    assert merged.model().n_classes == 4


def test_a_training_that_was_stopped_is_merged_as_it_was(tiny, tmp_path):
    config = tiny(model="cluster", clusters=9)
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "run", [Stopper()])
    fewer = regroup(Run(tmp_path / "run"), 4, tmp_path / "fewer")
    assert merged(fewer) != [0, 1, 2, *[3] * 6]
    assert resume(fewer.folder).epochs_done == config.epochs


@pytest.mark.parametrize("clusters", [0, 9, 20])
def test_as_many_as_were_found_or_more_are_refused(nine, tmp_path, clusters):
    with pytest.raises(ValueError, match=f"found 9 clusters: of these 1 to 8 .* not {clusters}"):
        regroup(nine, clusters, tmp_path / "fewer")
    assert not (tmp_path / "fewer").exists()


def test_classes_are_no_clusters(tiny_run, tmp_path):
    with pytest.raises(ValueError, match="of the recipe tiny, has no clusters"):
        regroup(tiny_run, 4, tmp_path / "fewer")


def test_by_the_command_line(nine, tmp_path, capsys):
    flags = ["--clusters", "4", "--out", str(tmp_path / "fewer")]
    assert main(["merge", str(nine.folder), *flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / "fewer")
    assert 0 <= told["figures"]["cluster_error"] <= 1
    assert main(["merge", str(nine.folder), *flags]) == 2
    assert "exists already" in capsys.readouterr().err
