"""The command line of the reference program, on top of the library.

It has every flag of conan7882/adversarial-autoencoders' ``experiment/aae_mnist.py``, with the same
meaning and default, and four more: ``--nlabel``, ``--seed``, ``--data_path`` and ``--save_path``.
Training also leaves a run folder of ours, ``run-1``, ``run-2``, … in ``--save_path``, for
``aae evaluate`` and the other commands.

    python experiment/aae_mnist.py --train --dist_type gmm --label --save_path out
    python experiment/aae_mnist.py --viz --save_path out
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from aae.cli.failures import guarded
from aae.config import Config
from aae.hints import flag

if TYPE_CHECKING:
    from aae.data import Dataset

LABELS = {"labels": 10_000, "semi": 1280}
"""The default number of labels for each model; others get all."""
NOISE_STD = 0.6
LITERAL: dict[str, Any] = {
    "hidden": 1000, "layers": 2, "style_critic": "plain", "batch_norm": False,
    "posterior": "gaussian", "output": "tanh", "reconstruction": "squared", "init": "he",
    "prior_std": 1.0, "components": 10, "radius": 1.4, "radial_std": 0.5, "tangential_std": 0.1,
    "step": "alternating", "optimizer": "adam", "adversarial_lr": None, "beta1": 0.5,
    "beta2": 0.999, "warmup": 0,
    "lr_factor": 0.1, "classification_every": 10, "vat_weight": 0.0, "tangent_weight": 0.0,
    "balance_weight": 0.0, "precision": "float32",
    "validation": 1 / 60,  # for curves and verdict, so that the test set plays no role
}  # fmt: skip
"""What is fixed in the reference program; our own defaults differ."""

FIELDS = {
    "ncode": "latent_dim", "lr": "lr", "bsize": "batch_size", "maxepoch": "epochs",
    "encw": "reconstruction_weight", "genw": "generator_weight", "disw": "discriminator_weight",
    "clsw": "classification_weight", "ygenw": "y_generator_weight",
    "ydisw": "y_discriminator_weight", "data_path": "data_dir", "nlabel": "labels", "seed": "seed",
}  # fmt: skip
"""The fields of our config that are flags here, by the names of the flags."""


def main(argv: Sequence[str] | None = None, dataset: Dataset | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; by default the process's own.
        dataset: used instead of MNIST.

    Returns:
        The exit code: 0, 1 for a failure, 2 for wrong use, 130 for Ctrl-C.
    """
    last = argv is None
    return guarded("aae_mnist", lambda: run(parser().parse_args(argv), dataset), last=last)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report what is wrong in one line, as all our programs do."""
        raise ValueError(f"{message}; see --help")


def parser() -> argparse.ArgumentParser:
    """The reference program's flags."""
    made = _Parser(
        prog="aae_mnist.py", description="Adversarial autoencoders on MNIST.", allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    action = made.add_argument_group("what to do").add_mutually_exclusive_group(required=True)
    for name, words in {
        "train": "train (with --label: the discriminator sees labels, Fig. 3)",
        "train_supervised": "train a decoder that is told the label (Fig. 6)",
        "train_semisupervised": "train a classifier from a few labels (Fig. 8)",
        "generate": "draw random samples: generate_im.png, or sample_style.png with --supervise",
        "viz": "draw 2-D codes and manifold: latent.png, generate_im*.png",
    }.items():
        action.add_argument(f"--{name}", action="store_true", help=words)

    def add(name: str, default: Any, words: str, **kind: Any) -> None:
        kind = kind or {"type": type(default)}
        made.add_argument(f"--{name}", default=default, help=words, **kind)

    add("label", False, "use labels; with --generate, each row one class", action="store_true")
    add("supervise", False, "with --generate: classes by styles", action="store_true")
    add("load", 99, "epoch of the checkpoint that --generate and --viz load")
    add("ncode", 2, "dimensions of the code")
    add("dist_type", "gaussian", "prior of the code", choices=("gaussian", "gmm"))
    add("noise", False, "add noise N(0, 0.6²) to the encoder's input", action="store_true")
    add("lr", 2e-4, "learning rate")
    add("dropout", 1.0, "probability to keep a hidden unit in the reconstruction phase")
    add("bsize", 128, "pictures in a batch")
    add("maxepoch", 100, "epochs")
    add("encw", 1.0, "weight of the reconstruction loss")
    add("genw", 6.0, "weight of the generator loss on z")
    add("disw", 6.0, "weight of the discriminator loss on z")
    add("clsw", 1.0, "weight of the classification loss")
    add("ygenw", 6.0, "weight of the generator loss on y")
    add("ydisw", 6.0, "weight of the discriminator loss on y")
    folder = os.environ.get("AAE_DATA_DIR")
    add("data_path", folder, "folder of MNIST's files; without it, they are downloaded", type=str)
    add("save_path", Path("aae_mnist"), "folder for everything that is written", type=Path)
    words = "labels that are used, or all; without it 10000 by --label, 1280 semi-supervised"
    add("nlabel", None, words, type=_labels, metavar="N|all")
    add("seed", 0, "seed of everything random")
    return made


def run(args: argparse.Namespace, dataset: Dataset | None = None) -> int:
    """Do what the flags ask for; returns the exit code."""
    if args.generate or args.viz:
        return look(args, dataset)
    return train(args, dataset)


def config_of(args: argparse.Namespace) -> Config:
    """The library's config for the reference program's flags.

    Raises:
        ValueError: a value makes no sense.
    """
    if not 0 < args.dropout <= 1:
        raise ValueError(f"--dropout is the share of units kept, in (0, 1], not {args.dropout}")
    model = next(name for name, asked in {
        "semi": args.train_semisupervised, "supervised": args.train_supervised,
        "labels": args.label, "basic": True,
    }.items() if asked)  # fmt: skip
    prior = {"gaussian": "gaussian", "gmm": "mixture"}[args.dist_type]
    values = LITERAL | {field: getattr(args, name) for name, field in FIELDS.items()}
    if args.nlabel is None:
        values["labels"] = LABELS.get(model, "all")
    values |= {
        "recipe": {"basic": prior, "supervised": "style"}.get(model, model),
        "model": model,
        "prior": prior,
        "lr_steps": (150, 200) if model == "semi" else (100, 300),
        "noise_std": NOISE_STD if args.noise else 0.0,
        "dropout": 1 - args.dropout,
    }
    try:
        return Config(**values)
    except ValueError as error:
        words = str(error)
        for name, field in FIELDS.items():
            words = words.replace(flag(field), f"--{name}")
        raise ValueError(words) from None


def train(args: argparse.Namespace, dataset: Dataset | None = None) -> int:
    """Train into the folder that the flags name, and write the reference program's files too."""
    config = config_of(args)
    from aae.cli.training import free, watched
    from aae.data import load
    from aae.fit import fit
    from reference_files import Files

    dataset = dataset or load("mnist", args.data_path)
    folder = free(args.save_path, "run")
    with Files(args.save_path, config, dataset) as files:
        code = watched(
            folder, lambda others: fit(config, folder, [*others, files], dataset=dataset)
        )
    if code == 0:
        print(f"The reference program's files are in {args.save_path}.")
        print(f"Advice names flags of 'aae train {config.recipe}', whose defaults are steadier.")
    return code


def look(args: argparse.Namespace, dataset: Dataset | None = None) -> int:
    """Draw samples, or codes and manifold, of a checkpoint."""
    import torch

    import reference_files
    from aae import plots
    from aae.data import load

    loaded = reference_files.load(args.save_path, args.load)
    generator = torch.Generator().manual_seed(args.seed)
    if args.generate and args.supervise:
        figures = {"sample_style": reference_files.style(loaded, generator)}
    elif args.generate:
        figures = {"generate_im": reference_files.samples(loaded, args.label, generator)}
    else:
        if loaded.model.prior.dim != 2:
            raise ValueError(f"--viz draws codes of 2 dimensions, this model's have "
                             f"{loaded.model.prior.dim}; train with --ncode 2")  # fmt: skip
        dataset = dataset or load("mnist", args.data_path)
        figures = reference_files.codes_and_manifold(loaded, dataset, generator)
    for name, figure in figures.items():
        print(plots.save(figure, args.save_path / f"{name}.png"))
    return 0


def _labels(text: str) -> int | Literal["all"]:
    if text != "all" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a number or all, not {text!r}")
    return "all" if text == "all" else int(text)


if __name__ == "__main__":
    sys.exit(main())
