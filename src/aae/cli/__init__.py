"""The command line, ``aae``. Slow imports are left to the commands that need them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import aae
from aae.cli import catalog, share, use
from aae.cli.bench import bench
from aae.cli.completion import completion
from aae.cli.failures import USAGE, guarded, unknown
from aae.cli.reproduce import reproduce
from aae.cli.score import score
from aae.cli.training import merge, summary, train

COMMANDS: dict[str, Callable[..., int]] = {
    "train": train,
    "evaluate": use.evaluate,
    "compare": use.compare,
    "merge": merge,
    "sample": use.sample,
    "plot": use.plot,
    "encode": use.encode,
    "predict": use.predict,
    "score": score,
    "export": share.export,
    "explore": share.explore,
    "push": share.push,
    "reproduce": reproduce,
    "list": catalog.list_all,
    "bench": bench,
    "completion": completion,
}

_HELP = """\
usage: aae COMMAND …

Adversarial autoencoders: train, sample, look, classify with few labels.

Commands:
{commands}

'aae COMMAND --help' says more. Try:

  aae train gaussian --data digits --hidden 400 --epochs 250 --generator-weight 6
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; by default the process's own.

    Returns:
        The exit code: 0, 1 for a failure, 2 for wrong use, 130 for Ctrl-C.
    """
    args = sys.argv[1:] if argv is None else list(argv)
    return guarded("aae", lambda: _run(args), last=argv is None)


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        lines = (f"  {name:<12}{summary(command)}" for name, command in COMMANDS.items())
        print(_HELP.format(commands="\n".join(lines)), end="")
        return 0 if args else USAGE
    name, rest = args[0], args[1:]
    if name == "--version":
        print(f"aae {aae.__version__}")
        return 0
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, "see 'aae --help'")
    if name == "train":
        return train(rest)
    from aae.cli.flags import call

    return call(COMMANDS[name], f"aae {name}", rest)
