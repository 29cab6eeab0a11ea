"""Data sets: the catalog, the user's own data, loading and downloading, and splits.

Nothing here needs torch, and heavy libraries are imported by the functions that use them.
"""

from aae.data.arrays import open_pictures
from aae.data.cache import CacheError
from aae.data.catalog import CATALOG, Source, SourceFile
from aae.data.checks import refuse_untrainable
from aae.data.columns import Columns
from aae.data.dataset import GIVEN, IN_MEMORY, NOWHERE, Dataset
from aae.data.decoding import Reading
from aae.data.distances import column_distances
from aae.data.download import DownloadError
from aae.data.folders import holds_files, names_in, open_folder
from aae.data.given import as_array, dataset_of, open_packed, open_rows
from aae.data.loading import NotThereError, holds_table, load, load_source
from aae.data.npy import labels_beside, map_array
from aae.data.splits import advised_share, choose_labels, split_validation
from aae.data.stored import Examples, Stored, at_hand, spread
from aae.data.tables import TableReading

__all__ = [
    "CATALOG",
    "GIVEN",
    "IN_MEMORY",
    "NOWHERE",
    "CacheError",
    "Columns",
    "Dataset",
    "DownloadError",
    "Examples",
    "NotThereError",
    "Reading",
    "Source",
    "SourceFile",
    "Stored",
    "TableReading",
    "advised_share",
    "as_array",
    "at_hand",
    "choose_labels",
    "column_distances",
    "dataset_of",
    "holds_files",
    "holds_table",
    "labels_beside",
    "load",
    "load_source",
    "map_array",
    "names_in",
    "open_folder",
    "open_packed",
    "open_pictures",
    "open_rows",
    "refuse_untrainable",
    "split_validation",
    "spread",
]
