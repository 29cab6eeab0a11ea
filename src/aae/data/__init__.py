"""Pictures to learn from: the catalog, loading and downloading, and splits.

Nothing here needs torch, and heavy libraries are imported by the functions that use them.
"""

from aae.data.catalog import CATALOG, Source, SourceFile
from aae.data.dataset import Dataset
from aae.data.download import DownloadError
from aae.data.loading import load, load_source
from aae.data.splits import choose_labels, split_validation

__all__ = [
    "CATALOG",
    "Dataset",
    "DownloadError",
    "Source",
    "SourceFile",
    "choose_labels",
    "load",
    "load_source",
    "split_validation",
]
