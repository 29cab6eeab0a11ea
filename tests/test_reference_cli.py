import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aae.config import Config
from aae.data import Dataset
from aae.run import Run
from aae.training.trainer import Observer

FOLDER = Path(__file__).parents[1] / "experiment"


@pytest.fixture(scope="module", autouse=True)
def _on_the_path():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def script(_on_the_path):
    return importlib.import_module("aae_mnist")


@pytest.fixture(scope="module")
def files(_on_the_path):
    return importlib.import_module("reference_files")


@pytest.fixture(scope="module")
def small(digits):
    """Stands for MNIST: 480 pictures of 8×8 to train on."""
    return Dataset(
        "mnist", digits.classes, digits.train_images[:480], digits.train_labels[:480],
        digits.test_images[:50], digits.test_labels[:50], origin="mnist",
    )  # fmt: skip


@pytest.fixture(scope="module")
def call(script, small):
    """Runs the script on the small data set, without the pictures of the run folder."""

    def call(command, folder, dataset=small):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("aae.fit.Painter", lambda *args: Observer())
            patch.setattr("aae.splits.load", lambda name, data_dir=None, **_: dataset)
            return script.main([*command.split(), "--save_path", str(folder)], dataset)

    return call


@pytest.fixture(scope="module")
def trained(call, tmp_path_factory):
    """Folders of finished trainings, by their flags; each is trained once."""
    folders = {}

    def trained(command):
        if command not in folders:
            folders[command] = tmp_path_factory.mktemp("out")
            assert call(f"{command} --bsize 160", folders[command]) == 0
        return folders[command]

    return trained


BASIC = "--train --maxepoch 12"
LABEL = "--train --label --dist_type gmm --nlabel 100 --maxepoch 1"
STYLE = "--train_supervised --ncode 4 --maxepoch 1"
SEMI = "--train_semisupervised --nlabel 50 --maxepoch 4"


def config(script, command):
    return script.config_of(script.parser().parse_args(command.split()))


def names(folder, pattern="*"):
    return {path.name for path in folder.glob(pattern)}


class TestFlags:
    def test_defaults_are_the_reference_programs(self, script, monkeypatch):
        monkeypatch.delenv("AAE_DATA_DIR", raising=False)
        flags = vars(script.parser().parse_args(["--train"]))
        reference = {
            "train": True, "train_supervised": False, "train_semisupervised": False,
            "generate": False, "viz": False, "label": False, "supervise": False, "load": 99,
            "ncode": 2, "dist_type": "gaussian", "noise": False, "lr": 2e-4, "dropout": 1.0,
            "bsize": 128, "maxepoch": 100, "encw": 1, "genw": 6, "disw": 6, "clsw": 1, "ygenw": 6,
            "ydisw": 6,
        }  # fmt: skip
        assert {name: flags.pop(name) for name in reference} == reference
        assert flags.pop("save_path") == Path("aae_mnist")
        assert flags == {"data_path": None, "nlabel": None, "seed": 0}

    def test_the_literal_recipe(self, script, monkeypatch):
        monkeypatch.delenv("AAE_DATA_DIR", raising=False)
        literal = {
            "recipe": "gaussian", "model": "basic", "data": "mnist", "data_dir": None,
            "validation": 1 / 60, "labels": "all", "latent_dim": 2, "posterior": "gaussian",
            "hidden": 1000, "layers": 2, "style_critic": "plain", "batch_norm": False,
            "output": "tanh", "init": "he",
            "prior": "gaussian", "prior_std": 1.0, "components": 10, "radius": 1.4,
            "radial_std": 0.5, "tangential_std": 0.1, "epochs": 100, "batch_size": 128,
            "reconstruction": "squared", "step": "alternating", "optimizer": "adam", "lr": 2e-4,
            "adversarial_lr": None,
            "warmup": 0, "lr_steps": (100, 300), "lr_factor": 0.1, "beta1": 0.5, "beta2": 0.999,
            "noise_std": 0.0, "input_dropout": 0.0,
            "dropout": 0.0, "reconstruction_weight": 1.0, "generator_weight": 6.0,
            "discriminator_weight": 6.0, "classification_weight": 1.0, "y_generator_weight": 6.0,
            "y_discriminator_weight": 6.0, "vat_weight": 0.0, "tangent_weight": 0.0,
            "warp_weight": 0.0, "kl_weight": None, "balance_weight": 0.0,
            "reading_weight": 0.0, "denoising_weight": 0.0, "classification_every": 10,
            "seed": 0, "precision": "float32", "sharpen_from": None,
        }  # fmt: skip
        of_no_account = {
            "momentum", "adversarial_momentum", "vat_radius", "tangent_radius", "warp_size",
            "balance_slack", "denoising_std", "device",
            "log_every", "sample_every", "keep", "clusters", "heads_apart", "heads_weight",
            "image_size", "channels", "unreadable", "checkpoint_every", "keep_best", "network",
            "width", "label_column", "missing", "categorical_columns", "ignore_columns",
            "on_nonfinite", "split_seed", "merged_from",
        }  # fmt: skip
        given = config(script, "--train").to_json()
        assert {name: given.pop(name) for name in literal} == literal
        assert set(given) == of_no_account, "is a new field as in the reference program?"

    @pytest.mark.parametrize(
        ("flags", "changes"),
        [
            ("--ncode 10", {"latent_dim": 10}),
            ("--dist_type gmm", {"prior": "mixture", "recipe": "mixture"}),
            ("--noise", {"noise_std": 0.6}),
            ("--lr 0.001", {"lr": 0.001}),
            ("--dropout 0.75", {"dropout": 0.25}),
            ("--bsize 64", {"batch_size": 64}),
            ("--maxepoch 7", {"epochs": 7}),
            ("--encw 2", {"reconstruction_weight": 2.0}),
            ("--genw 3", {"generator_weight": 3.0}),
            ("--disw 4", {"discriminator_weight": 4.0}),
            ("--clsw 5", {"classification_weight": 5.0}),
            ("--ygenw 7", {"y_generator_weight": 7.0}),
            ("--ydisw 8", {"y_discriminator_weight": 8.0}),
            ("--seed 5", {"seed": 5}),
            ("--data_path here", {"data_dir": "here"}),
            ("--label", {"model": "labels", "recipe": "labels", "labels": 10_000}),
            ("--label --nlabel all", {"model": "labels", "recipe": "labels", "labels": "all"}),
            ("--label --nlabel 50", {"model": "labels", "recipe": "labels", "labels": 50}),
        ],
    )
    def test_a_flag_changes_what_it_names(self, script, flags, changes):
        expected = dataclasses.replace(config(script, "--train"), **changes)
        assert config(script, f"--train {flags}") == expected

    def test_supervised(self, script):
        expected = dataclasses.replace(
            config(script, "--train"), model="supervised", recipe="style", labels="all"
        )
        assert config(script, "--train_supervised") == expected

    def test_semi_supervised_has_its_own_schedule(self, script):
        expected = dataclasses.replace(
            config(script, "--train"), model="semi", recipe="semi", labels=1280, lr_steps=(150, 200)
        )
        assert config(script, "--train_semisupervised") == expected

    def test_the_environment_names_the_data(self, script, monkeypatch):
        monkeypatch.setenv("AAE_DATA_DIR", "/my/data")
        assert config(script, "--train").data_dir == "/my/data"

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("", "one of the arguments --train --train_supervised"),
            ("--train --viz", "not allowed with argument --train"),
            ("--train --maxepochs 3", "unrecognized arguments: --maxepochs 3"),
            ("--train --dropout 0", "--dropout is the share of units kept, in (0, 1], not 0.0"),
            ("--train --ncode 3 --dist_type gmm", "--ncode must be even, not 3"),
            ("--train --bsize 1", "--bsize must be at least 2, not 1"),
            ("--train --genw -1", "--genw must be 0 or more, not -1.0"),
            ("--train --label --nlabel few", "must be a number or all, not 'few'"),
            ("--train --label --nlabel 5", "choose 0, or at least 10"),
            ("--generate", "holds no checkpoint of epoch 99; train first"),
            ("--viz --load 3", "holds no checkpoint of epoch 3; train first"),
        ],
    )
    def test_wrong_use_is_told_in_one_line(self, call, capsys, tmp_path, command, words):
        assert call(command, tmp_path) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("aae_mnist: ")
        assert words in err
        assert not names(tmp_path)


class TestTrain:
    def test_writes_every_ten_epochs_and_at_the_end(self, trained):
        folder = trained(BASIC)
        assert names(folder, "aae-epoch-*") == {f"aae-epoch-{k}" for k in (0, 10, 11)}
        assert names(folder, "*.png") == {
            f"{name}_{k}.png" for name in ("generate_im", "latent") for k in (0, 10, 11)
        }

    def test_ends_with_the_verdict(self, call, capsys, tmp_path):
        assert call("--train --maxepoch 1", tmp_path) == 0
        out = capsys.readouterr().out
        assert "validation set" in out
        assert "Training health: " in out
        assert f"{tmp_path / 'run-1' / 'report.html'}" in out

    def test_leaves_a_run_of_ours(self, trained, script):
        run = Run(trained(BASIC) / "run-1")
        assert run.config == config(script, f"{BASIC} --bsize 160")
        assert run.records()[-1]["epoch"] == 12

    def test_again_into_the_same_folder(self, call, tmp_path):
        assert call("--train --maxepoch 1", tmp_path) == 0
        assert call("--train --maxepoch 1", tmp_path) == 0
        assert names(tmp_path, "run-*") == {"run-1", "run-2"}

    def test_supervised_draws_styles(self, trained):
        assert names(trained(STYLE), "*.png") == {"generate_im_0.png", "sample_style_0.png"}

    def test_semi_supervised_saves_checkpoints_and_pictures(self, trained):
        folder = trained(SEMI)
        assert names(folder, "aae-epoch-*") == {"aae-epoch-0", "aae-epoch-3"}
        assert "sample_style_3.png" in names(folder)
        assert "latent_3.png" in names(folder)

    def test_the_seed_decides_and_the_test_set_plays_no_role(self, call, tmp_path, small):
        blank = dataclasses.replace(small, test_images=np.zeros_like(small.test_images))
        written = []
        for k, (seed, dataset) in enumerate([(0, small), (0, blank), (1, small)]):
            command = f"--train --maxepoch 1 --seed {seed}"
            assert call(command, tmp_path / str(k), dataset) == 0
            files = ("aae-epoch-0", "latent_0.png", "generate_im_0.png")
            written.append([(tmp_path / str(k) / name).read_bytes() for name in files])
        assert written[0] == written[1]
        assert written[0] != written[2]

    @pytest.mark.parametrize(
        ("command", "tags"),
        [
            (BASIC, {"loss", "d_loss", "g_loss"}),
            (SEMI, {"loss", "z_d_loss", "z_g_loss", "y_d_loss", "y_g_loss", "cls_loss",
                    "cls_accuracy"}),
        ],
    )  # fmt: skip
    def test_tensorboard_has_the_reference_programs_scalars(self, trained, command, tags):
        events = EventAccumulator(str(trained(command)))
        events.Reload()
        expected = {f"{split}/{tag}" for split in ("train", "valid") for tag in tags}
        assert set(events.Tags()["scalars"]) == expected
        epochs = int(command.split()[-1])
        assert [e.step for e in events.Scalars("valid/loss")] == [3 * k + 3 for k in range(epochs)]
        records = Run(trained(command) / "run-1").records()
        trained_on = [r["discriminator_z"] for r in records if r["split"] == "train"]
        tag = "train/d_loss" if "d_loss" in tags else "train/z_d_loss"
        assert [e.value for e in events.Scalars(tag)] == pytest.approx(trained_on)
        if "cls_accuracy" in tags:
            errors = [r["error"] for r in records if r["split"] == "validation"]
            accuracies = [e.value for e in events.Scalars("valid/cls_accuracy")]
            assert accuracies == pytest.approx([1 - error for error in errors])


class TestCheckpoint:
    def test_is_one_file_without_pickle(self, trained, script):
        with safe_open(trained(BASIC) / "aae-epoch-11", framework="pt") as file:
            stored = Config.from_json(json.loads(file.metadata()["about"])["config"])
        assert stored == config(script, f"{BASIC} --bsize 160")

    def test_holds_the_weights_of_its_epoch(self, trained, files, same_state):
        folder = trained(BASIC)
        assert same_state(files.load(folder, 11).model, Run(folder / "run-1").model())
        assert not same_state(files.load(folder, 10).model, Run(folder / "run-1").model())

    def test_a_missing_one_names_those_that_exist(self, trained, files):
        with pytest.raises(ValueError, match="no checkpoint of epoch 99; --load one of 0, 10, 11"):
            files.load(trained(BASIC), 99)

    def test_a_damaged_one_is_refused(self, tmp_path, files):
        (tmp_path / "aae-epoch-1").write_bytes(b"damaged")
        with pytest.raises(ValueError, match="no checkpoint of this program, or damaged"):
            files.load(tmp_path, 1)


class TestGenerate:
    @pytest.fixture
    def copy(self, trained, tmp_path):
        """A folder with nothing but one training's checkpoints."""

        def copy(command):
            for path in trained(command).glob("aae-epoch-*"):
                (tmp_path / path.name).write_bytes(path.read_bytes())
            return tmp_path

        return copy

    def test_random_samples_of_the_epoch_asked_for(self, call, copy, capsys):
        folder = copy(BASIC)
        drawn = []
        for epoch in (0, 11, 11):
            assert call(f"--generate --load {epoch}", folder, None) == 0
            drawn.append((folder / "generate_im.png").read_bytes())
        assert capsys.readouterr().out.splitlines() == [str(folder / "generate_im.png")] * 3
        assert drawn[0] != drawn[1]
        assert drawn[1] == drawn[2]

    def test_with_labels_each_row_is_a_class(self, trained, files):
        loaded, generator = files.load(trained(LABEL), 0), torch.Generator()
        rows = {text.get_text() for text in files.samples(loaded, True, generator).texts}
        assert set("0123456789") <= rows
        anything = files.samples(loaded, False, generator)
        assert {text.get_text() for text in anything.texts} == {"Random samples"}

    def test_styles(self, call, copy):
        folder = copy(STYLE)
        assert call("--generate --supervise --load 0", folder, None) == 0
        assert names(folder, "*.png") == {"sample_style.png"}

    def test_styles_are_the_same_in_each_row(self, trained, files, monkeypatch):
        seen, run = [], files.load(trained(STYLE), 0)  # a training decodes, too
        decode = files.inference.decode
        monkeypatch.setattr(
            files.inference, "decode", lambda *args: seen.append(args) or decode(*args)
        )
        files.style(run, torch.Generator())
        [(_, styles, labels)] = seen
        assert styles.shape == (100, 4)
        assert torch.equal(styles[:10], styles[90:])
        assert labels.tolist() == [k // 10 for k in range(100)]

    def test_styles_need_a_decoder_that_is_told_the_class(self, call, copy, capsys):
        assert call("--generate --supervise --load 0", copy(LABEL), None) == 2
        assert "--train_supervised" in capsys.readouterr().err

    def test_codes_and_manifold(self, call, copy):
        folder = copy(BASIC)
        assert call("--viz --load 11", folder) == 0
        assert names(folder, "*.png") == {"latent.png", "generate_im.png"}

    def test_a_manifold_for_each_component(self, call, copy):
        folder = copy(LABEL)
        assert call("--viz --label --load 0", folder) == 0
        components = {f"generate_im_component_{k}.png" for k in range(10)}
        assert names(folder, "*.png") == {"latent.png", *components}

    def test_codes_are_those_of_the_test_pictures_in_the_usual_frame(self, trained, files, small):
        loaded = files.load(trained(BASIC), 11)
        figure = files.codes_and_manifold(loaded, small, torch.Generator())["latent"]
        assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim() == (-3.5, 3.5)
        assert len(figure.axes[0].collections[-1].get_offsets()) == len(small.test_images)

    def test_codes_of_more_dimensions_are_not_drawn(self, call, copy, capsys):
        assert call("--viz --load 0", copy(STYLE)) == 2
        assert "have 4; train with --ncode 2" in capsys.readouterr().err
