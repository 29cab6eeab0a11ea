"""A data set as a run sees it: what to train on, what to choose by, and what to be judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aae.config import Config
from aae.data import (
    Dataset,
    Examples,
    Reading,
    TableReading,
    advised_share,
    choose_labels,
    load,
    refuse_untrainable,
    split_validation,
    spread,
)


@dataclass(frozen=True)
class Part:
    """Examples, as in a `Dataset`, with their labels [n]."""

    images: Examples
    labels: np.ndarray

    def some(self, most: int) -> Part:
        """At most ``most`` of its examples, evenly spaced."""
        chosen = spread(len(self.labels), most)
        return Part(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Splits:
    """A data set as a run sees it; every choice follows from the config's seed."""

    train: Part
    """For training; labels that must not be used are -1."""
    validation: Part
    """Held out of the training set, for choices."""
    test: Part
    """For the final figure alone."""

    @classmethod
    def of(cls, config: Config, dataset: Dataset) -> Splits:
        """Split a data set as a config says.

        Raises:
            ValueError: more labels are asked for than there are, or a part has no pictures.
        """
        if not dataset.classes and (config.needs_labels or config.labels not in ("all", 0)):
            raise ValueError(
                f"the recipe {config.recipe!r} with --labels {config.labels} uses labels, and "
                f"{dataset.name} has none: put those of X.npy beside it as X.labels.npy, pictures "
                "into a folder for each class, name a table's --label-column, or take a recipe "
                "without, such as gaussian, and no --labels"
            )
        count = len(dataset.train_labels)
        inside, outside = split_validation(dataset.train_labels, config.validation, config.drawn_by)
        if min(len(outside), len(inside)) < 2:
            raise ValueError(
                f"--validation {config.validation:.4g} of {count} examples keeps {len(outside)}: 2 "
                "or more are needed for validation, and for training; "
                + advised_share(count, len(outside))
            )
        classes, seen = dataset.classes, dataset.train_labels[inside]
        labels = choose_labels(seen, config.labels, config.drawn_by, len(classes), classes)
        return cls(
            train=Part(dataset.train_images[inside], labels),
            validation=Part(dataset.train_images[outside], dataset.train_labels[outside]),
            test=Part(dataset.test_images, dataset.test_labels),
        )

    @classmethod
    def to_train(cls, config: Config, dataset: Dataset) -> Splits:
        """As `of`, for a new training.

        Raises:
            ValueError: see `of`; or there is nothing to learn from the examples.
        """
        labels = dataset.train_labels if config.needs_labels else None
        refuse_untrainable(dataset.name, dataset.train_images, labels, dataset.classes)
        return cls.of(config, dataset)


def data_of(config: Config, data_dir: str | None = None) -> Dataset:
    """The data set that a config names, read as it says.

    Args:
        config: the config.
        data_dir: where the data lie, if elsewhere than the config says.

    Raises:
        ValueError: see `aae.data.load`.
    """
    reading = Reading(config.image_size, config.channels, config.unreadable)
    table = TableReading(
        config.label_column, config.missing, config.categorical_columns, config.ignore_columns
    )
    return load(config.data, data_dir or config.data_dir, reading=reading, table=table)
