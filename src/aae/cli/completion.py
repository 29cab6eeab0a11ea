"""``aae completion``."""

from __future__ import annotations

import functools
import operator
from typing import Annotated, Any, Literal


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print a script that makes a shell complete commands, recipes and flags.

    Args:
        shell: The shell. Try: source <(aae completion bash)
    """
    import tyro

    from aae.cli import COMMANDS
    from aae.cli.flags import LOOKS, TrainFlags
    from aae.recipes import RECIPES, recipe

    kinds: list[Any] = [
        Annotated[TrainFlags, tyro.conf.subcommand(name, default=TrainFlags.of(recipe(name)))]
        for name in RECIPES
    ]

    def train(flags: Any) -> int:
        raise AssertionError("a parser was asked for, not a training")

    train.__annotations__["flags"] = Annotated[
        functools.reduce(operator.or_, kinds), tyro.conf.OmitSubcommandPrefixes
    ]
    # Elsewhere the parser is for the one command that is called; here it is for all of them.
    tyro.extras.subcommand_cli_from_dict(
        {**COMMANDS, "train": train}, prog="aae", config=LOOKS,
        args=["--tyro-write-completion", shell, "-"],
    )  # fmt: skip
    raise AssertionError("tyro exits once it has printed")
