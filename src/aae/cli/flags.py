"""Flags, which tyro makes from signatures and dataclasses; wrong use is a one-line ValueError."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

import tyro
from tyro.conf import Suppress

from aae.cli.failures import unknown
from aae.config import Config, Model
from aae.hints import flag
from aae.terminal import coloured

LOOKS = (
    tyro.conf.DisallowNone,
    tyro.conf.PositionalMetavarFromFieldName,
)


@dataclass(frozen=True, kw_only=True)
class TrainFlags(Config):
    """The fields of a config as flags, and where the run goes."""

    recipe: Suppress[str]
    model: Suppress[Model]
    json: bool = False
    """Print one JSON object at the end, and everything else to standard error."""
    out: Path | None = None
    """Run folder to create; without it, the first free one of runs/RECIPE-1, runs/RECIPE-2, …"""
    seeds: int | None = None
    """Train this many replicas at once, with seeds from --seed on, each in its own run folder in
    --out (seed-0, seed-1, …). The mean and spread of their figures go to summary.json there."""

    def __post_init__(self) -> None:
        """Check nothing: `config` does, and its errors are meant for the user."""

    @classmethod
    def of(cls, config: Config) -> TrainFlags:
        """The flags with a config's values as defaults."""
        return cls(**config.to_json())

    @property
    def config(self) -> Config:
        """The config that the flags ask for.

        Raises:
            ValueError: see `Config`.
        """
        values = dict(vars(self))
        del values["out"], values["seeds"], values["json"]
        return Config(**values)


def _with_help(kind: Any) -> None:
    """Give a dataclass's fields their docstrings as help; tyro would keep the source's lines."""
    import docstring_parser

    words = {
        each.arg_name: " ".join((each.description or "").split())
        for part in reversed(kind.__mro__)
        if is_dataclass(part)
        for each in docstring_parser.parse_from_object(part).params
    }
    for field in fields(kind):
        field.metadata = MappingProxyType({"help": words[field.name]})


def parse(
    target: Callable[..., Any],
    program: str,
    args: Sequence[str],
    *,
    default: Any = tyro.MISSING_NONPROP,
    description: str | None = None,
) -> Any:
    """Make an object, or call a function, from command-line arguments.

    Args:
        target: a dataclass or function; its fields or parameters become the flags, its docstring
            the help.
        program: the command's name, for help and errors.
        args: the arguments.
        default: an instance of the dataclass whose values are the defaults.
        description: replaces the docstring's.

    Raises:
        ValueError: the arguments are not what the target takes.
        SystemExit: help was asked for, and printed.
    """
    _refuse_unknown(target, program, args)
    if is_dataclass(target) and not {"-h", "--help"}.isdisjoint(args):
        _with_help(target)
    said = io.StringIO()
    shown = _Page(sys.stdout)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(shown):
            made, rest = tyro.cli(
                target, prog=program, args=args, default=default, description=description,
                return_unknown_args=True, config=LOOKS,
            )  # fmt: skip
    except SystemExit as stop:
        shown.seek(0)
        print(shown.read(), end="")
        if not stop.code:
            raise
        raise ValueError(f"{_first_words(said.getvalue())}; see '{program} --help'") from None
    if rest:
        raise ValueError(f"{rest[0]!r} is one argument too many; see '{program} --help'")
    return made


def call(function: Callable[..., int], program: str, args: Sequence[str]) -> int:
    """Call a function with command-line arguments; its own errors pass through."""

    @functools.wraps(function)
    def later(*given: Any, **named: Any) -> Callable[[], int]:
        return functools.partial(function, *given, **named)

    ready: Callable[[], int] = parse(later, program, args)
    return ready()


class _Page(io.TextIOWrapper):
    """Stands in for the file that tyro writes to; tyro only asks whether it is a terminal."""

    def __init__(self, file: TextIO):
        self.coloured = coloured(file)
        super().__init__(io.BytesIO(), file.encoding or "utf-8", file.errors)

    def isatty(self) -> bool:
        return self.coloured


def _refuse_unknown(target: Callable[..., Any], program: str, args: Sequence[str]) -> None:
    """Refuse flags that a target lacks; tyro names them last, after the errors they cause."""
    kinds = inspect.signature(target).parameters.values()
    flags = [
        flag(p.name)
        for p in kinds
        if p.kind is not p.POSITIONAL_ONLY and not str(p.annotation).startswith("Suppress")
    ]
    for token in args:
        name = token.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name.replace("--no-", "--", 1) not in (*flags, "--help", "--"):
            raise unknown("flag", name, flags, f"see '{program} --help'")


def _first_words(box: str) -> str:
    r"""Tyro's message in a box, up to the first rule, as one line; the box may be in ASCII or not.

    >>> _first_words("╭─ Value error ───────╮\n│ Error parsing --lr: │\n│ bad │\n╰───────╯")
    '--lr: bad'
    >>> _first_words(" Required options \n ---- \n  Missing from aae: \n      RUN \n ---- ")
    'missing RUN'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    title, *lines = re.sub("[│╭╮╰╯]", " ", plain).splitlines()
    rules = [k for k, line in enumerate(lines) if set(line.strip()) in ({"─"}, {"-"})]
    if rules and rules[0] == 0:  # below the title, in ASCII
        lines, rules = lines[1:], [k - 1 for k in rules[1:]]
    said = lines[: rules[0]] if rules else lines
    if "Required options" in title:  # one a line, its help indented below it
        return "missing " + ", ".join(line.strip() for line in said if re.match(r" {6}\S", line))
    return " ".join(" ".join(said).split()).removeprefix("Error parsing ").rstrip(".")
