"""The IDX format of MNIST: a magic number, the dimensions, then the bytes."""

import math
import struct

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 4


def parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Parse an IDX file of unsigned bytes.

    The header is checked against the length of the file before anything is allocated, so that a
    damaged or hostile file costs nothing.

    Args:
        content: the whole file, decompressed.
        name: of the file, for messages.

    Returns:
        A writable uint8 array of the shape that the header gives.

    Raises:
        ValueError: this is not such a file, or it is cut short or too long.

    Examples:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 8, 9]), "labels").tolist()
        [7, 8, 9]
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(
            f"{name}: not an IDX file (it begins with {content[:4].hex() or 'nothing'})"
        )
    kind, n_dimensions = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise ValueError(f"{name}: IDX type is {kind:#04x}; only unsigned bytes (0x08) are read")
    if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{name}: IDX has {n_dimensions} dimensions; 1 to {_MAX_DIMENSIONS} are read"
        )
    start = 4 + 4 * n_dimensions
    if len(content) < start:
        raise ValueError(f"{name}: cut short inside the IDX header, at {len(content)} bytes")
    shape = struct.unpack_from(f">{n_dimensions}I", content, 4)
    if math.prod(shape) != len(content) - start or 0 in shape:
        raise ValueError(
            f"{name}: the IDX header says {' × '.join(map(str, shape))} bytes, "
            f"the file holds {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
