import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

import aae
from aae.cli import COMMANDS, main
from aae.cli.failures import guarded
from aae.cli.flags import TrainFlags, parse
from aae.cli.training import free
from aae.config import Config
from aae.data import CATALOG, DownloadError
from aae.hints import flag
from aae.recipes import RECIPES, recipe
from aae.run import Run
from aae.training import checkpoint
from aae.training.trainer import Observer

SMALL = ["--data", "digits", "--hidden", "16", "--epochs", "2", "--device", "cpu"]


def parsed(name, *args):
    default = TrainFlags.of(recipe(name))
    return parse(TrainFlags, f"aae train {name}", args, default=default)


class TestHelp:
    def test_names_every_command(self, run):
        code, out, _ = run("--help")
        assert code == 0
        assert all(f"  {name} " in out for name in COMMANDS)

    def test_nothing_asked_for_is_wrong_use(self, run):
        assert run()[0] == 2
        assert run("train")[0] == 2

    def test_train_names_every_recipe_and_resume(self, run):
        code, out, _ = run("train", "--help")
        assert code == 0
        assert all(name in out for name in [*RECIPES, "--resume"])

    @pytest.mark.parametrize("ask", ["-h", "--help"])
    def test_going_on_explains_itself_before_a_run_is_named(self, run, ask):
        code, out, err = run("train", "--resume", ask)
        assert (code, err) == (0, "")
        assert "Resume a run from its newest checkpoint" in out
        assert "--device" in out

    @pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
    def test_every_command_explains_itself(self, run, name):
        code, out, err = run(name, "--help")
        assert (code, err) == (0, "")
        assert COMMANDS[name].__doc__.splitlines()[0] in out
        assert "MISSING" not in out

    def test_version(self, run):
        assert run("--version") == (0, f"aae {aae.__version__}\n", "")

    @pytest.mark.parametrize("name", RECIPES)
    def test_every_field_of_the_config_is_a_flag_with_the_recipes_default(
        self, run, monkeypatch, name
    ):
        monkeypatch.setenv("COLUMNS", "10000")
        code, out, _ = run("train", name, "--help")
        assert code == 0
        for field in dataclasses.fields(Config):
            at = re.search(f" {flag(field.name)}[ ,]", out)
            if field.name in ("recipe", "model"):
                assert at is None
                continue
            assert at
            default = getattr(recipe(name), field.name)
            shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
            own = out[at.start() :].partition("(default: ")[2]
            assert own.startswith(f"{shown})")
        assert "Passes over the training set." in out

    def test_no_colour_where_it_is_not_wanted(self, monkeypatch, capsys):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert main(["sample", "--help"]) == 0
        assert "\x1b[" in capsys.readouterr().out
        monkeypatch.setenv("NO_COLOR", "1")
        assert main(["sample", "--help"]) == 0
        assert "\x1b[" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("commands", "more"),
    [
        ([["--help"], ["--version"], ["x"]], {"numpy", "tyro"}),
        ([["list"], ["train", "gaussian", "--help"], ["train", "x"]], set()),
    ],
)
def test_help_and_list_do_not_wait_for_what_they_do_not_need(commands, more):
    program = (
        "import sys; from aae.cli import main\n"
        f"[main(args) for args in {commands}]\n"
        "slow = {'torch', 'matplotlib', 'sklearn', 'scipy', 'tensorboard'}\n"
        f"slow = (slow | {more}) & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_runs_as_a_module():
    command = [sys.executable, "-m", "aae", "trian"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("aae: there is no command 'trian'; did you mean 'train'?")


class TestWrongUse:
    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("trian", "did you mean 'train'?"),
            ("evalute runs/x", "did you mean 'evaluate'?"),
            ("train gausian", "did you mean 'gaussian'? there are gaussian, mixture"),
            ("train --epochs 3", "the recipe comes first"),
            ("train gaussian --epoch 3", "did you mean '--epochs'?"),
            ("train gaussian --zzz 3", "there is no flag '--zzz'; see 'aae train gaussian --help'"),
            ("train gaussian --epochs many", "--epochs: invalid literal for int()"),
            ("train gaussian --epochs", "--epochs"),
            ("train gaussian --epochs 0", "--epochs must be at least 1, not 0"),
            ("train gaussian --data mnits", "did you mean 'mnist'? choose from digits, mnist,"),
            ("train gaussian --labels some", "--labels"),
            ("train gaussian mixture", "'mixture' is one argument too many"),
            ("train mixture --latent-dim 3", "--latent-dim must be even, not 3"),
            ("train gaussian --model vae", "there is no flag '--model'"),
            ("train gaussian --data digits --device gpu", "--device gpu cannot be used here"),
            ("train semi --data digits --labels 3", "choose 0, or at least 10"),
            ("train gaussian --data digits --seeds 0", "--seeds must be at least 1, not 0"),
            ("train --resume nowhere", "nowhere is not a run folder"),
            ("train --resume nowhere --zzz 3", "no flag '--zzz'; there are --resume"),
            ("train --resume nowhere --epochs 3", "'--epochs' beside --resume: a run's settings"),
            ("train --resume=x --batch_size=3", "fixed when it is made, and others need a new run"),
            ("train --resume x --no-batch-norm", "no flag '--no-batch-norm' beside --resume"),
            ("evaluate", "missing RUN; see 'aae evaluate --help'"),
            ("evaluate nowhere", "nowhere is not a run folder"),
            ("evaluate nowhere --jsn", "did you mean '--json'?"),
            ("evaluate nowhere --split train", "Expected one of ('test', 'validation')"),
            ("encode x", "missing DATA, --out"),
            ("sample x --out y.png --count 0", "--count must be at least 1, not 0"),
            (
                f"sample x --out y.png --count {10**19}",
                "--count must be at most 1,000,000,000, not",
            ),
            ("sample x --out y.jpg", "--out y.jpg must end in .png or .npy"),
            ("list all", "'all' is one argument too many"),
        ],
    )
    def test_is_told_in_one_line(self, run, tmp_path, monkeypatch, command, words):
        monkeypatch.chdir(tmp_path)
        code, out, err = run(*command.split())
        assert (code, out) == (2, "")
        assert err.startswith("aae: ")
        assert err.count("\n") == 1
        assert words in err


class TestGuarded:
    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (ValueError("two\n  lines"), 2, "two lines"),
            (RuntimeError("the device is gone"), 1, "the device is gone"),
            (DownloadError("no mirror answers"), 1, "no mirror answers"),
            (PermissionError(13, "Permission denied", "/x/y"), 1, "/x/y: Permission denied"),
            (KeyboardInterrupt(), 130, "interrupted"),
            (RuntimeError(), 1, "RuntimeError"),
        ],
    )
    def test_an_error_is_a_line_and_a_code(self, monkeypatch, capsys, error, code, words):
        monkeypatch.delenv("AAE_DEBUG", raising=False)

        def fail():
            raise error

        assert guarded("aae", fail) == code
        assert capsys.readouterr().err == f"aae: {words}\n"

    def test_a_ctrl_c_as_it_ends_is_not_heard(self):
        # Processes in the background begin with SIGINT ignored.
        program = (
            "import atexit, signal, sys; from aae import cli\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "press = lambda *args: signal.raise_signal(signal.SIGINT)\n"
            "atexit.register(press)\n"
            "cli._run = press\n"
            "sys.exit(cli.main())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (130, "aae: interrupted\n")

    def test_a_ctrl_c_in_a_process_that_goes_on_is_heard_again(self, capsys):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            assert guarded("aae", lambda: signal.raise_signal(signal.SIGINT)) == 130
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        finally:
            signal.signal(signal.SIGINT, before)

    def test_debugging_shows_where(self, monkeypatch):
        monkeypatch.setenv("AAE_DEBUG", "1")
        with pytest.raises(ValueError, match="invalid literal"):
            guarded("aae", lambda: int("x"))

    def test_our_own_mistakes_are_not_hidden(self):
        with pytest.raises(ZeroDivisionError):
            guarded("aae", lambda: 1 // 0)

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_an_output_that_is_closed_is_done_without(self, closed):
        command = f"{sys.executable} -m aae list {closed}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_an_output_of_few_characters_takes_what_it_can(self):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "aae", "train", "gaussian", "--help"]
        done = subprocess.run(command, env=environment, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"--latent-dim" in done.stdout

    def test_a_closed_pipe_is_no_news(self):
        aae = f"PYTHONUNBUFFERED= {sys.executable} -m aae --help"
        command = f"{{ sleep 0.2; {aae}; }} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (1, "")


class TestTrainFlags:
    @pytest.mark.parametrize("name", RECIPES)
    def test_defaults_are_the_recipe(self, name):
        flags = parsed(name)
        assert flags.config == recipe(name)
        assert type(flags.config) is Config
        assert flags.out is None

    def test_help_is_wrapped_once(self, monkeypatch, capsys):
        monkeypatch.setenv("COLUMNS", "80")
        assert main(["train", "gaussian", "--help"]) == 0
        words = capsys.readouterr().out.partition("--data-dir")[0].partition("--data STR")[2]
        lines = [line.strip("│ ") for line in words.splitlines()[:-1]]
        assert len(lines) > 3
        room = max(map(len, lines))
        for line, following in pairwise(lines):
            assert len(f"{line} {following.split()[0]}") > room

    @pytest.mark.parametrize(
        ("args", "field", "value"),
        [
            ("--labels all", "labels", "all"),
            ("--labels 100", "labels", 100),
            ("--lr-steps 3 5", "lr_steps", (3, 5)),
            ("--lr-steps", "lr_steps", ()),
            ("--batch-norm", "batch_norm", True),
            ("--no-batch-norm", "batch_norm", False),
            ("--batch_size 7", "batch_size", 7),
            ("--data-dir here", "data_dir", "here"),
            ("--adversarial-lr 1e-3", "adversarial_lr", 1e-3),
            ("--posterior universal", "posterior", "universal"),
        ],
    )
    def test_a_flag_changes_its_field_alone(self, args, field, value):
        changed = parsed("labels", *args.split()).config
        assert changed == dataclasses.replace(recipe("labels"), **{field: value})


class TestTrain:
    def test_leaves_a_run_and_says_how_it_went(self, run, tmp_path, no_pictures):
        folder = tmp_path / "new" / "run"
        code, out, err = run("train", "mixture", *SMALL, "--seed", 3, "--out", folder)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].startswith("epoch 1/2; reconstruction ")
        assert lines[1].startswith("epoch 2/2; reconstruction ")
        assert "validation: reconstruction" in lines[1]
        assert lines[1].endswith(" images/s")
        assert "mixture on digits, validation set" in out
        assert "Training health: " in out
        assert "discriminator accuracy" in out
        assert str(folder / "report.html") in out
        assert (folder / "report.html").is_file()
        changed = dataclasses.replace(
            recipe("mixture"), data="digits", hidden=16, epochs=2, device="cpu", seed=3
        )
        assert Run(folder).config == changed

    def test_json_is_one_object_and_the_rest_goes_to_the_standard_error(
        self, run, tmp_path, monkeypatch, no_pictures
    ):
        folder = tmp_path / "run"
        code, out, err = run("train", "semi", *SMALL, "--labels", 50, "--out", folder, "--json")
        assert code == 0
        assert [line.partition(";")[0] for line in err.splitlines()] == ["epoch 1/2", "epoch 2/2"]
        told = json.loads(out)
        assert list(told) == ["folder", "report", "seconds", "losses", "figures"]
        assert told["folder"] == str(folder)
        assert told["report"] == str(folder / "report.html")
        assert 0 < told["seconds"] < 600
        records = Run(folder).records()
        for split in ("train", "validation"):
            last = [r for r in records if r["split"] == split][-1]
            assert told["losses"][split]["reconstruction"] == last["reconstruction"]
            assert "step" not in told["losses"][split]
        evaluated = json.loads(run("evaluate", folder, "--split", "validation", "--json",
                                   "--judge", "no")[1])  # fmt: skip
        assert told["figures"] == evaluated
        assert told["figures"]["health"]
        # So does going on with one that is at its end.
        code, out, err = run("train", "--resume", folder, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["figures"] == evaluated

    def test_pictures_of_ones_own(self, run, tmp_path, monkeypatch, no_pictures, digits):
        monkeypatch.chdir(tmp_path)
        np.save("mine.npy", digits.train_images[:, 0])
        small = [*SMALL, "--data", "mine.npy", "--out", "run"]
        assert run("train", "gaussian", *small)[0] == 0
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        folder, out = tmp_path / "run", tmp_path / "codes.npy"
        assert Run(folder).config.data == str(tmp_path / "mine.npy")
        assert Run(folder).classes == ()
        figures = json.loads(run("evaluate", folder, "--json")[1])
        assert figures["reconstruction_error"] > 0
        (tmp_path / "mine.npy").rename("mine.npy")
        code, _, err = run("evaluate", folder)
        assert code == 2
        assert f"{folder} was trained on are no longer there: put back {tmp_path}/mine.npy" in err
        assert "by --data-dir" in err
        assert run("evaluate", folder, "--data-dir", ".")[0] == 0
        assert run("encode", folder, "mine.npy", "--out", out)[0] == 0
        assert np.load(out).shape == (1437, 2)

    def test_a_recipe_with_labels_needs_some(self, run, tmp_path, digits):
        np.save(tmp_path / "mine.npy", digits.train_images)
        code, _, err = run("train", "semi", *SMALL, "--data", tmp_path / "mine.npy")
        assert code == 2
        words = "'semi' with --labels 1280 uses labels, and mine has none: put those of X.npy"
        assert words in err
        code, _, err = run(
            "train", "gaussian", *SMALL, "--labels", 100, "--data", tmp_path / "mine.npy"
        )
        assert code == 2
        assert "'gaussian' with --labels 100 uses labels" in err
        assert err.endswith("such as gaussian, and no --labels\n")

    def test_finds_a_free_folder(self, run, tmp_path, monkeypatch, no_pictures):
        monkeypatch.chdir(tmp_path)
        assert run("train", "gaussian", *SMALL, "--epochs", 1)[0] == 0
        assert (tmp_path / "runs" / "gaussian-1" / "config.json").is_file()
        assert free(tmp_path / "runs", "gaussian").name == "gaussian-2"

    def test_keeps_what_exists(self, run, tmp_path):
        (tmp_path / "precious").write_text("mine")
        code, _, err = run("train", "gaussian", *SMALL, "--out", tmp_path)
        assert code == 2
        assert err == f"aae: {tmp_path} exists already: take another folder\n"
        assert [path.name for path in tmp_path.iterdir()] == ["precious"]

    def test_ctrl_c_saves_says_so_and_can_be_resumed(self, run, tmp_path, monkeypatch, no_pictures):
        class Finger(Observer):
            def on_step(self, trainer):
                if trainer.progress.count == 15:
                    signal.raise_signal(signal.SIGINT)

        @contextmanager
        def shown(console):
            yield Finger()

        folder = tmp_path / "run"
        with monkeypatch.context() as patch:
            patch.setattr("aae.progress.shown", shown)
            code, out, err = run("train", "gaussian", *SMALL, "--out", folder)
        assert (code, err) == (130, "")
        [place] = checkpoint.found(folder / "checkpoints")
        assert out == f"stopped; {place} is saved, go on with: aae train --resume {folder}\n"
        code, out, _ = run("train", "--resume", folder)
        assert code == 0
        assert out.startswith("epoch 2/2; ")
        assert Run(folder).records()[-1]["epoch"] == 2

    def test_ctrl_c_after_the_last_epoch(self, run, tmp_path, monkeypatch, no_pictures):
        def press(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("aae.cli.training._conclude", press)
        folder = tmp_path / "run"
        code, out, _ = run("train", "gaussian", *SMALL, "--out", folder)
        assert code == 130
        assert f"all is trained, make the report by: aae train --resume {folder}\n" in out


class TestList:
    def test_as_json(self, run):
        code, out, _ = run("list", "--json")
        assert code == 0
        found = json.loads(out)
        assert list(found["recipes"]) == list(RECIPES)
        assert list(found["data"]) == list(CATALOG)
        assert found["data"]["mnist"]["train"] == 60_000

    def test_as_tables(self, run):
        code, out, _ = run("list")
        assert code == 0
        assert all(name in out for name in [*RECIPES, *CATALOG, "60,000"])
