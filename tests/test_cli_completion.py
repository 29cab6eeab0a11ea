"""What a shell completes, asked of bash itself."""

import shutil
import subprocess

import pytest

from aae.cli import COMMANDS
from aae.recipes import RECIPES

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_tyro_aae
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Where the script for bash lies."""
    from contextlib import redirect_stdout

    from aae.cli import main

    path = tmp_path_factory.mktemp("completion") / "aae.bash"
    with path.open("w") as file, redirect_stdout(file):
        assert main(["completion", "bash"]) == 0
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ex"], {"export", "explore"}),
        ([""], set(COMMANDS)),
        (["train", ""], set(RECIPES)),
        (["train", "gaussian", "--latent"], {"--latent-dim"}),
        (["export", "runs/a", "--format", ""], {"onnx", "torch-export", "safetensors"}),
    ],
)
def test_bash_completes(script, words, expected):
    command = ["bash", "-c", ASK, "bash", script, "aae", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"-h", "--help"} == expected


def test_another_shell_is_refused(run):
    code, _, err = run("completion", "cmd")
    assert code == 2
    assert "'bash', 'zsh', 'fish'" in err
