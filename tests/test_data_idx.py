"""The IDX parser."""

import struct

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aae.data.idx import parse_idx


def header(*dimensions, kind=8):
    return struct.pack(f">BBBB{len(dimensions)}I", 0, 0, kind, len(dimensions), *dimensions)


def refusal(content):
    """What the parser has against `content`; any error but ValueError fails the test."""
    try:
        parse_idx(content, "file")
    except ValueError as error:
        return str(error)
    return None


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_dims=4, max_side=5)))
def test_what_was_written_is_read(array):
    read = parse_idx(header(*array.shape) + array.tobytes(), "file")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)
    read[...] = 0  # writable


@given(st.binary(max_size=64))
def test_random_bytes_give_nothing_but_value_error(content):
    message = refusal(content)
    if message is None:
        assert content[:3] == b"\0\0\x08"
    else:
        assert message.startswith("file: ")


@given(
    st.lists(st.integers(0, 2**32 - 1), max_size=6),
    st.integers(0, 255),
    st.binary(max_size=32),
    st.integers(0, 40),
)
def test_random_headers_give_nothing_but_value_error(dimensions, kind, body, cut):
    content = header(*dimensions, kind=kind) + body
    message = refusal(content[: len(content) - cut])
    assert message is None or message.startswith("file: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x1f\x8b\x08\x00", "begins with 1f8b0800"),
        (header(1, kind=0x0D) + b"\0", "type is 0x0d"),
        (header(), "0 dimensions"),
        (header(1, 1, 1, 1, 1) + b"\0", "5 dimensions"),
        (header(2, 3)[:9], "cut short inside the IDX header, at 9 bytes"),
        (header(2, 3) + bytes(5), "says 2 × 3 bytes, the file holds 5"),
        (header(2, 3) + bytes(7), "says 2 × 3 bytes, the file holds 7"),
        (header(0, 3), "says 0 × 3 bytes, the file holds 0"),
        (header(2**32 - 1, 2**32 - 1), "the file holds 0"),
        (header(2**31, 2**31, 4) + bytes(1), "the file holds 1"),
    ],
)
def test_each_fault_is_named(content, message):
    with pytest.raises(ValueError, match=f"^mine: .*{message}"):
        parse_idx(content, "mine")
