"""Data files on disk: found, unpacked within bounds, and checked."""

import gzip
import hashlib
import zlib
from pathlib import Path

from aae.data.catalog import CATALOG, Source, SourceFile

_GZIP_MAGIC = b"\x1f\x8b"


def read_unpacked(path: Path, limit: int) -> bytes:
    """Read a file, plain or gzip (told by its first bytes, not its name).

    Args:
        path: of the file.
        limit: the most bytes that the content may have; reading stops there, so that a small
            file which unpacks to a huge one cannot fill the memory.

    Raises:
        ValueError: the gzip file is damaged, or the content is longer than `limit`.
    """
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if is_gzip:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    content = unpacked.read(limit + 1)
            else:
                content = raw.read(limit + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"damaged gzip file ({error})") from error
    if len(content) > limit:
        raise ValueError(f"longer than the {limit} bytes expected")
    return content


def read_verified(path: Path, file: SourceFile) -> bytes:
    """Read and decompress a downloaded file, and check it against the catalog's checksum.

    Raises:
        ValueError: the file is damaged or is not the published one.
    """
    content = read_unpacked(path, file.size)
    if file.content_sha256 is not None:
        expected, found = file.content_sha256, hashlib.sha256(content).hexdigest()
    else:
        assert file.served_sha256 is not None, f"{file.name} has no checksum in the catalog"
        expected, found = file.served_sha256, _sha256_of_file(path)
    if found != expected:
        raise ValueError(
            f"not the published {file.name} (sha256 {found[:12]}…, expected {expected[:12]}…)"
        )
    return content


def read_local(path: Path, source: Source, file: SourceFile) -> bytes:
    """Read the user's own copy of a file, packed or not.

    Where only the checksum of the packed file was published, an unpacked copy cannot be checked
    against it: its size must match, and it must not be a file of another data set in the catalog.

    Raises:
        ValueError: the file is damaged, or is not the file of this data set.
    """
    try:
        if file.content_sha256 is not None or _sha256_of_file(path) == file.served_sha256:
            return read_verified(path, file)
        return _read_unverified(path, source, file)
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; put the published file there, "
            "or leave --data-dir (or AAE_DATA_DIR) out to download it"
        ) from error


def _read_unverified(path: Path, source: Source, file: SourceFile) -> bytes:
    content = read_unpacked(path, file.size)
    if len(content) != file.size:
        raise ValueError(f"{len(content)} bytes once unpacked, expected {file.size}")
    digest = hashlib.sha256(content).hexdigest()
    for other in CATALOG.values():
        if digest in (known.content_sha256 for known in other.files):
            raise ValueError(f"a file of {other.name}, not of {source.name}")
    return content


def find_local(source: Source, folder: Path) -> dict[SourceFile, Path]:
    """Find a data set's files in `folder/NAME/` or `folder/`, with or without `.gz`.

    Returns:
        The path of each file that is there.
    """
    found = {}
    for file in source.files:
        plain = file.name.removesuffix(".gz")
        candidates = [
            place / name
            for place in (folder / source.name, folder)
            for name in (f"{plain}.gz", plain)
        ]
        path = next(filter(Path.is_file, candidates), None)
        if path is not None:
            found[file] = path
    return found


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()
