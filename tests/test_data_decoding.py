"""How a picture's file is read, whatever it is."""

import io

import numpy as np
import pytest
from PIL import Image

from aae.data import decoding
from aae.data.decoding import UnreadableError, decode, look

RED, BLUE = (200, 30, 40), (20, 60, 220)


@pytest.mark.parametrize("ending", ["bmp", "gif", "jpeg", "jpg", "png", "ppm", "tif", "webp"])
def test_formats(tmp_path, ending):
    place = tmp_path / f"a.{ending}"
    Image.new("RGB", (8, 10), RED).save(place)
    with place.open("rb") as file:
        assert look(file) == decoding.Look((10, 8), grey=False)
        np.testing.assert_allclose(decode(file, (10, 8), 3)[:, 5, 5], RED, atol=4)


def read(image, channels=3, **how):
    file = io.BytesIO()
    image.save(file, "png", **how)
    return decode(file, image.size[::-1], channels)


def test_a_picture_is_turned_as_its_exif_says(tmp_path):
    image = Image.new("RGB", (8, 4), RED)
    image.paste(BLUE, (0, 0, 4, 4))  # blue to the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: blue comes up
    image.save(tmp_path / "a.png", exif=exif)
    with (tmp_path / "a.png").open("rb") as file:
        assert look(file).size == (8, 4)
        pixels = decode(file, (8, 4), 3)
    assert pixels[:, 0, 0].tolist() == list(BLUE)
    assert pixels[:, 7, 3].tolist() == list(RED)


def test_what_is_transparent_is_white():
    image = Image.new("RGBA", (4, 4), (*RED, 255))
    image.putpixel((0, 0), (*BLUE, 0))
    pixels = read(image)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 1, 1].tolist() == list(RED)


def test_sixteen_bits_are_scaled():
    values = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    pixels = read(Image.fromarray(values), channels=1)
    np.testing.assert_array_equal(pixels[0], values >> 8)


def test_a_large_jpeg_is_close_to_what_it_shows(tmp_path):
    image = Image.new("RGB", (640, 640), RED)
    image.paste(BLUE, (0, 0, 320, 640))
    image.save(tmp_path / "a.jpg", quality=95)
    with (tmp_path / "a.jpg").open("rb") as file:
        pixels = decode(file, (32, 32), 3)
    np.testing.assert_allclose(pixels[:, 16, 4], BLUE, atol=4)
    np.testing.assert_allclose(pixels[:, 16, 28], RED, atol=4)


def test_a_picture_of_32_bits_a_value_is_no_black_one(tmp_path):
    deep = io.BytesIO()
    Image.fromarray(np.full((10, 8), 200, np.int32)).save(deep, "TIFF")
    with pytest.raises(UnreadableError, match="have 32 bits: write it with 8 or 16"):
        decode(deep, (10, 8), 1)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_its_exif_says(tmp_path, orientation, compression):
    image = Image.new("RGB", (8, 4), RED)
    image.putpixel((0, 0), BLUE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.tif", exif=exif, compression=compression)
    image.save(tmp_path / "a.png", exif=exif)
    with (tmp_path / "a.tif").open("rb") as tiff, (tmp_path / "a.png").open("rb") as png:
        assert look(tiff) == look(png)
        size = look(png).size
        assert size == ((8, 4) if orientation > 4 else (4, 8))
        np.testing.assert_array_equal(decode(tiff, size, 3), decode(png, size, 3))


@pytest.mark.parametrize("ending", ["gif", "png", "bmp", "tif"])
def test_a_palette_is_as_grey_as_what_is_taken_of_it(ending):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*BLUE, 90, 90, 90, 7, 7, 7])
    image.putpixel((0, 0), 2)
    for colour in range(3):
        image.putpixel((1, 1), colour)
        image.save(file := io.BytesIO(), {"tif": "tiff"}.get(ending, ending), optimize=False)
        assert look(file).grey == (colour > 0)
    assert {*decode(file, (4, 4), 1).flat} == {7, 90}
