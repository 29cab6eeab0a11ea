"""Runs on the Hugging Face Hub: what is shared of a run folder, its model card, and the way back.

JSON, safetensors and pictures go there, and JSON and safetensors are taken from there: nothing is
pickled, and nothing that came from there is run.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from aae.captions import captioned
from aae.data import CATALOG
from aae.own_networks import SAMPLES
from aae.recipes import command
from aae.run import Run
from aae.storage import read_json, write_json
from aae.training.trainer import figures_in

try:
    from huggingface_hub import (
        DryRunFileInfo,
        ModelCard,
        ModelCardData,
        ModelHubMixin,
        snapshot_download,
    )
    from huggingface_hub.errors import (
        DryRunError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
except ImportError:
    raise ValueError(
        "the Hub needs the package huggingface_hub, of version 2.4 or later: "
        "pip install 'huggingface_hub>=2.4'"
    ) from None

SCHEME = "hf:"
"""Prefix of a name on the Hub, where a folder could stand instead."""
FILES = ("config.json", SAMPLES, "estimator.json", "metrics.jsonl")
"""Files of a run folder that are shared, beside the checkpoint in use and the pictures."""
TAKEN = (*FILES, "checkpoints/*/*.json", "checkpoints/*/*.safetensors")
"""Patterns of the files that are downloaded; all others are left there."""
MOST_BYTES, MOST_FILES = 4 * 2**30, 1000
"""Most that is downloaded of one run. A training of 100 million weights leaves 1.2 GB."""
MOST_CLASSES = 20
"""Most classes that a model card names."""
PAPER = "https://arxiv.org/abs/1511.05644"
_NETWORK: tuple[type[Exception], ...] = HfHubHTTPError.__bases__
"""Errors of the network, including those of the HTTP library that the Hub's client uses."""
_UNREACHED = (ConnectionError, TimeoutError)
"""Those of the system's own errors that are the network's."""
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class Shared(ModelHubMixin):
    """A run in the form in which huggingface_hub shares models.

    Args:
        run: the run.
        license: of the weights, as the Hub abbreviates it (``mit``, ``cc-by-4.0``); None says
            nothing about it.
        name: USER/NAME, for the card.

    Raises:
        ValueError: the run has no checkpoint, or has the user's own networks, whose code it does
            not hold.
    """

    def __init__(self, run: Run, license: str | None = None, name: str = "USER/NAME"):
        if run.networks.names:
            raise ValueError(
                f"{run.folder} has networks of your own ({', '.join(run.networks.names)}), and a "
                "run folder does not hold their code: others could not open it"
            )
        run.refuse_other_networks()
        if run.in_use is None:
            raise ValueError(f"{run.folder} holds no checkpoint yet")
        self.run, self.license, self.name = run, license, name
        self._hub_mixin_config = None  # the folder has a config.json of its own

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write what is shared; see `huggingface_hub.ModelHubMixin`."""
        run, place = self.run, self.run.in_use
        assert place is not None
        for name in FILES[1:]:
            if (run.folder / name).exists():
                shutil.copyfile(run.folder / name, save_directory / name)
        about = read_json(run.folder / "config.json")
        about["config"] = run.config.for_strangers()
        write_json(save_directory / "config.json", about)
        shutil.copytree(place, save_directory / "checkpoints" / place.name)
        (save_directory / "figures").mkdir()
        for _, picture in captioned(run):
            shutil.copyfile(picture, save_directory / "figures" / picture.name)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The card of the run; see `huggingface_hub.ModelHubMixin`."""
        about = ModelCardData(
            license=self.license,
            library_name="adversarial-autoencoders",
            pipeline_tag=self._task(),
            tags=["adversarial-autoencoder", self.run.config.recipe, "arxiv:1511.05644"],
        )
        parts = [
            f"---\n{about.to_yaml()}\n---",
            f"# {self.name.rpartition('/')[2]}",
            *self._words(),
        ]
        return ModelCard("\n\n".join(parts) + "\n")

    def _task(self) -> str | None:
        if len(self.run.shape) == 1:
            return None
        classifies = self.run.config.classifies
        return "image-classification" if classifies else "unconditional-image-generation"

    def _words(self) -> Iterator[str]:
        """The card below its title, paragraph by paragraph."""
        run, config = self.run, self.run.config
        known, prior = CATALOG.get(config.data), run.networks.prior_in_use(config)
        shape = " × ".join(map(str, run.shape))
        each = f"{len(run.columns.blocks)} columns" if run.columns else shape
        labels = f"{config.labels} labels" if config.needs_labels else "no labels"
        yield (
            f"An [adversarial autoencoder]({PAPER}) of the recipe `{config.recipe}`, trained on "
            f"{_plain(config.data_name)}{f' ({known.description})' if known else ''} with {labels}."
        )
        yield _table(
            ("examples", f"{run.count or 'unknown'} for training, each {each}"),
            ("classes", _some(run.classes) or "none"),
            ("code", f"{config.latent_dim}-D, {prior} prior, {config.posterior} posterior"),
            ("epochs", run.epochs_in_use),
            ("seed", config.seed),
        )
        if figures := self._figures():
            yield "Of held-out training examples, the validation set, after these epochs:"
            yield _table(*((name, f"{value:.4g}") for name, value in figures.items()))
        for caption, picture in captioned(run):
            yield f"![{caption}](figures/{picture.name})"
        yield "## Use"
        use = ["import aae", "", f'model = aae.load("{SCHEME}{self.name}")']
        if config.model == "cluster":
            use += ["clusters = model.predict(X)", "examples = model.sample(10)"]
        else:
            use += ["codes = model.transform(X)"]
        use += ["labels = model.predict(X)"] if config.model == "semi" else []
        if run.columns:
            names = ", ".join(_code(block.name) for block in run.columns.blocks)
            takes = f"a table (a frame, or a dict of columns) with {names}"
        elif len(run.shape) == 1:
            takes = "rows [n, features]"
        else:
            takes = f"pictures, uint8 [n, {shape}]".replace(" ×", ",")
        yield f"`pip install 'adversarial-autoencoders[hub]'`; X are {takes}."
        yield "```python\n" + "\n".join(use) + "\n```"
        yield (
            "The weights are safetensors, and all else is JSON: opening it runs nothing that came "
            "with it."
        )
        if (words := command(replace(config, data_dir=None))) and known:
            yield f"Trained by `{words}`; data and their terms: see the data set's own page."
        if self.license is None:
            yield "No licence has been stated for these weights."

    def _figures(self) -> dict[str, float]:
        """The figures last measured on the validation set, up to the epoch in use."""
        until = self.run.epochs_in_use
        found = [
            r for r in self.run.records() if r["split"] == "validation" and r["epoch"] <= until
        ]
        return figures_in(found[-1]) if found else {}


def push(run: Run, name: str, *, private: bool | None = None, license: str | None = None) -> str:
    """Share a run on the Hub, in place of one that is there; a repository is made if there is none.

    Args:
        run: the run.
        name: USER/NAME.
        private: whether a new repository is private; None leaves it to the account.
        license: see `Shared`.

    Returns:
        The address of the commit.

    Raises:
        ValueError: see `Shared`; or the name is not valid, or may not be written to.
        OSError: the Hub cannot be reached, or a file cannot be written.
    """
    _refuse_no_name(name)
    shared = Shared(run, license, name)
    with _told(name):
        return str(
            shared.push_to_hub(
                name,
                private=private,
                commit_message=f"aae push: {run.config.recipe}",
                # A checkpoint of a run that was there before could be taken for this one's.
                delete_patterns=[*TAKEN, "figures/*.png"],
            )
        )


def fetch(name: str) -> Path:
    """A run folder from the Hub, in the Hub's cache.

    Args:
        name: ``hf:USER/NAME``, or ``hf:USER/NAME@REVISION`` for a branch, tag or commit of it.

    Returns:
        The folder; the one in the cache if the Hub cannot be reached.

    Raises:
        ValueError: the name is not valid, or there is nothing of that name; or, as the Hub says
            before anything is downloaded, it is larger than `MOST_BYTES` or `MOST_FILES`.
        OSError: the Hub cannot be reached, and it is not in the cache; or that cannot be written.
    """
    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    _refuse_no_name(repository)
    taken, wanted = list(TAKEN), revision or None
    with _told(repository):
        try:
            found = snapshot_download(
                repository, revision=wanted, allow_patterns=taken, dry_run=True
            )
        except DryRunError as error:  # the Hub cannot be asked
            try:
                folder = snapshot_download(
                    repository, revision=wanted, allow_patterns=taken, local_files_only=True
                )
                return Path(folder)
            except LocalEntryNotFoundError:
                raise error.__cause__ or error from None
        _refuse_large(repository, found)
        # Take the commit that was looked at, whatever the revision has become since.
        commit = found[0].commit_hash
        return Path(snapshot_download(repository, revision=commit, allow_patterns=taken))


def _refuse_large(name: str, files: Sequence[DryRunFileInfo]) -> None:
    """Refuse, before anything is downloaded, what is too much to download, or nothing."""
    size = sum(math.inf if file.file_size is None else file.file_size for file in files)
    if size > MOST_BYTES or len(files) > MOST_FILES:
        raise ValueError(
            f"{name} is too large: {len(files):,} files of {size / 1e9:,.1f} GB, and at most "
            f"{MOST_FILES:,} of {MOST_BYTES / 1e9:,.1f} GB are downloaded; if you trust it, fetch "
            f"it yourself (hf download {name} --local-dir FOLDER) and open that folder"
        )
    if not files:
        raise ValueError(f"{name} on the Hub is no run: it has no {FILES[0]} and no checkpoint")


def _refuse_no_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name on the Hub: it is USER/NAME")


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say in our words what the Hub said."""
    try:
        yield
    except GatedRepoError:
        raise ValueError(
            f"{name} on the Hub is open to those who were let in: ask for it on its page, and log "
            "in (hf auth login)"
        ) from None
    except RevisionNotFoundError:
        raise ValueError(
            f"{name} on the Hub has no such revision: name a branch, a tag or a commit of it"
        ) from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"the Hub has no {name} that you may see; look at the name, or log in (hf auth login)"
        ) from None
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise ValueError(
                f"the Hub does not let you write or read {name}: log in (hf auth login, or "
                "HF_TOKEN) with a token that may"
            ) from None
        raise OSError(f"the Hub failed on {name}: {error}") from error
    except _NETWORK as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, _UNREACHED):
            raise  # of this machine, such as a full disk: it says itself what and where
        raise OSError(
            f"the Hub cannot be reached for {name}: look at the network ({type(error).__name__})"
        ) from error


def _table(*rows: tuple[str, object]) -> str:
    lines = [f"| {_plain(name)} | {_plain(value)} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *lines])


def _some(classes: Sequence[str]) -> str:
    """The names of classes, or of the first of very many."""
    shown, more = ", ".join(classes[:MOST_CLASSES]), len(classes) - MOST_CLASSES
    return f"{shown}, … and {more} more" if more > 0 else shown


def _plain(value: object) -> str:
    """A value in Markdown, in a table or out of it, where nothing in it is HTML or ends a cell."""
    words = " ".join(str(value).split()).replace("\\", "\\\\")
    return escape(words, quote=False).replace("|", "\\|")


def _code(name: str) -> str:
    """A name as code in Markdown, between more backticks than it has in a row."""
    words = " ".join(name.split())
    longest = max(map(len, re.findall("`+", words)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    return f"{fence}{space}{words}{space}{fence}"
