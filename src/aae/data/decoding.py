"""One picture, from the bytes of its file to pixels of a wanted shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are read, whatever the file's name: those that Pillow decodes by itself."""
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Extensions of picture files, in lower case."""
MOST_PIXELS = 2**26
"""Most pixels of a file: a small file can unpack to any number of them."""
LONGEST = 4096
"""Most pixels of a side to which pictures can be brought."""
_TRANSPOSED = {5, 6, 7, 8}  # values of EXIF's orientation
_ORIENTATION = 0x0112
_GREY = {"1", "L", "LA", "La"}  # Pillow's modes, besides those of 16 and 32 bits, "I…"


class UnreadableError(Exception):
    """A file holds no picture that can be used; says why."""


@dataclass(frozen=True)
class Reading:
    """How pictures in files are read.

    Attributes:
        image_size: the side in pixels, or height and width, to which each picture is brought: it is
            scaled until it covers them, and cropped around its centre. Empty: pictures keep their
            size, which must be the same for all.
        channels: 1 for grey, 3 for colour; None: colour if any picture has colour.
        unreadable: whether files that cannot be read are refused or left out.

    Raises:
        ValueError: there is no such size or number of channels.
    """

    image_size: tuple[int, ...] = ()
    channels: int | None = None
    unreadable: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        if len(self.image_size) > 2 or not all(1 <= side <= LONGEST for side in self.image_size):
            raise ValueError(
                f"--image-size {' '.join(map(str, self.image_size))} is no size: give one side, or "
                f"height and width, of 1 to {LONGEST} pixels"
            )
        if self.channels not in (None, 1, 3):
            raise ValueError(f"--channels must be 1 (grey) or 3 (colour), not {self.channels}")

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) to which pictures are brought, if to any."""
        return (self.image_size[0], self.image_size[-1]) if self.image_size else None


AS_THEY_ARE = Reading()


@dataclass(frozen=True)
class Look:
    """What a picture is, before it is brought to a shape.

    Attributes:
        size: (height, width), as the picture is displayed.
        grey: whether it has no colour.
    """

    size: tuple[int, int]
    grey: bool


def look(file: BinaryIO) -> Look:
    """Read the header of a picture's file, and its pixels only if the header does not tell.

    Raises:
        UnreadableError: see there.
    """
    from PIL import ImageOps

    with _opened(file) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _TRANSPOSED:
            width, height = height, width
            if image.format == "TIFF":  # whose size recent versions of Pillow have turned already
                width, height = ImageOps.exif_transpose(image).size
        return Look((height, width), is_grey(image))


def decode(file: BinaryIO, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Read a picture: turned as its EXIF says, on white where transparent, scaled and cropped.

    The first picture of an animation is taken; colour profiles are not applied.

    Args:
        file: the file.
        size: (height, width) to bring it to.
        channels: 1 or 3.

    Returns:
        uint8 [channels, height, width].

    Raises:
        UnreadableError: see there.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    height, width = size
    with _opened(file) as image:
        if min(image.size) > 2 * max(size):
            # A JPEG can be decoded at an eighth of its size; twice as large as wanted is enough.
            image.draft(None, (2 * max(size), 2 * max(size)))
        fitted = ImageOps.fit(_upright(image, channels), (width, height), method=Resampling.LANCZOS)
        return np.asarray(fitted).reshape(height, width, channels).transpose(2, 0, 1)


def pixels_of(image: Image, channels: int) -> NDArray[np.uint8]:
    """The pixels of one of Pillow's pictures, read as `decode` reads a file's, in its own size.

    Args:
        image: the picture.
        channels: 1 or 3.

    Returns:
        uint8 [channels, height, width].

    Raises:
        UnreadableError: its values are neither bytes nor of 16 bits.
    """
    upright = _upright(image, channels)
    return np.asarray(upright).reshape(upright.height, upright.width, channels).transpose(2, 0, 1)


def is_grey(image: Image) -> bool:
    """Whether one of Pillow's pictures has no colour; if it has a palette, its pixels tell."""
    if image.mode in ("P", "PA"):
        colours = np.asarray(_plain(image).convert("RGB"))
        return bool((colours == colours[..., :1]).all())
    return image.mode in _GREY or image.mode.startswith("I")


def _upright(image: Image, channels: int) -> Image:
    """The picture turned as its EXIF says, in bytes of grey or of three colours."""
    from PIL import ImageOps

    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # in which it means 16 bits
        raise UnreadableError("its values have 32 bits: write it with 8 or 16")
    return _plain(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")


def _plain(image: Image) -> Image:
    """The picture with 8 bits per value and nothing transparent."""
    from PIL import Image as Images

    if image.mode.startswith("I"):  # 16 bits, which a conversion would cut off at 255
        return Images.fromarray((np.asarray(image).clip(0, 2**16 - 1) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise UnreadableError("its values are no bytes")
    if image.has_transparency_data:
        white = Images.new("RGBA", image.size, "white")
        return Images.alpha_composite(white, image.convert("RGBA"))
    return image


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Image]:
    """The picture in a file, its header read; whatever is wrong raises `UnreadableError`."""
    from PIL import Image as Images
    from PIL import UnidentifiedImageError

    try:
        with Images.open(file, formats=FORMATS) as image:
            if math.prod(image.size) > MOST_PIXELS:
                raise UnreadableError(f"it has more than {MOST_PIXELS:,} pixels")
            yield image
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(f"it is no {', '.join(FORMATS)}") from None
    except Exception as error:  # decoders raise any kind of error on damaged files
        raise UnreadableError(str(error) or type(error).__name__) from None
