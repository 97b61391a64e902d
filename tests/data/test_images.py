"""Picture files of every kind come in as upright uint8 RGB, and what is no picture is refused with a reason."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from artgen.data import images
from artgen.data.images import (
    LABEL_COLOURS,
    decode,
    encode,
    encode_png,
    note_in,
    read,
    read_with_alpha,
    resize,
    shown,
    with_alpha,
    write_png,
)
from artgen.errors import DataError
from artgen.files import TEMPORARY

FORMATS = [
    ("JPEG", {"quality": 95}),
    ("JPEG", {"quality": 95, "progressive": True}),
    ("PNG", {}),
    ("WEBP", {"quality": 95}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_deflate"}),
]
side = st.integers(1, 40)
LOSSLESS = [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]


def noise(height: int = 60, width: int = 48, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int = 60, width: int = 48) -> np.ndarray:
    """Colours that differ in each corner and survive JPEG."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([y, x, 1 - (x + y) / 2], axis=2).dot(np.eye(3) * 255).round().astype(np.uint8)


def encoded(picture: np.ndarray | Image.Image, form: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def stored(folder: Path, content: bytes, name: str = "picture") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.place == shown(path)
    return caught.value.cause


@pytest.mark.parametrize(("form", "options"), LOSSLESS)
def test_lossless_formats_keep_every_pixel(tmp_path, form, options):
    picture = noise()
    decoded, header = decode(stored(tmp_path, encoded(picture, form, **options)))
    assert np.array_equal(decoded, picture)
    assert decoded.dtype == np.uint8
    assert (header.format, header.height, header.width, header.turned) == (form, 60, 48, False)


@pytest.mark.parametrize(("form", "options"), FORMATS)
def test_the_content_decides_not_the_name(tmp_path, form, options):
    picture = smooth()
    decoded = read(stored(tmp_path, encoded(picture, form, **options), "wrong.txt"))
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).mean() < (12 if form == "GIF" else 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(tmp_path, form, orientation):
    upright = smooth(64, 32)
    # How a camera stores it so that the orientation turns it upright again (Exif 2.3: where row 0 and column 0 are).
    lying = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = stored(tmp_path, encoded(np.ascontiguousarray(lying), form, exif=exif))
    for at_least in (None, (16, 8)):
        decoded, header = decode(path, at_least)
        assert (header.height, header.width, header.turned) == (64, 32, orientation != 1)
        height, width = decoded.shape[:2]
        assert height == 2 * width
        assert np.abs(decoded.astype(int) - resize(upright, (height, width))).mean() < 4


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, which `folder.frame_all` silences
def test_damaged_exif_costs_no_picture(tmp_path):
    content = encoded(smooth(), "JPEG", exif=b"Exif\0\0" + b"II*\0\xff\xff\xff\xff" + b"\xff" * 20)
    assert read(stored(tmp_path, content)).shape == (60, 48, 3)


def test_grey_is_repeated(tmp_path):
    grey = noise(channels=1)
    assert np.array_equal(read(stored(tmp_path, encoded(grey, "PNG"))), np.stack([grey] * 3, axis=2))


def test_palette_is_looked_up(tmp_path):
    image = Image.fromarray(noise()).quantize(16)
    assert np.array_equal(read(stored(tmp_path, encoded(image, "PNG"))), np.asarray(image.convert("RGB")))


def test_one_bit_is_black_and_white(tmp_path):
    image = Image.fromarray(noise(channels=1)).convert("1")
    decoded = read(stored(tmp_path, encoded(image, "PNG")))
    assert np.array_equal(decoded[..., 1] == 255, np.asarray(image))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(tmp_path, form):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 0], rgba[:, :2, 3], rgba[:, 2:4, 3] = 200, 255, 128
    decoded = read(
        stored(tmp_path, encoded(rgba, form, **({"lossless": True, "exact": True} if form == "WEBP" else {})))
    )
    assert np.array_equal(decoded[0, 0], [200, 0, 0])
    assert np.abs(decoded[0, 2].astype(int) - [227, 127, 127]).max() <= 1  # 128/255 of the colour, the rest white
    assert np.array_equal(decoded[0, 5], [255, 255, 255])


def test_grey_with_alpha_is_laid_over_white(tmp_path):
    image = Image.fromarray(np.dstack([np.zeros((4, 4)), np.full((4, 4), 0)]).astype(np.uint8), "LA")
    assert (read(stored(tmp_path, encoded(image, "PNG"))) == 255).all()


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((3, 3), 1)
    decoded = read(stored(tmp_path, encoded(image, "PNG", transparency=0)))
    assert np.array_equal(decoded[0, 0], [255, 255, 255])
    assert np.array_equal(decoded[3, 3], [40, 50, 60])


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_alpha_comes_beside_the_picture_and_turns_with_it(tmp_path, orientation):
    alpha = noise(5, 7, channels=1)
    lying = Image.Exif()
    lying[0x0112] = orientation
    path = stored(tmp_path, encoded(np.dstack([noise(5, 7), alpha]), "PNG", exif=lying))
    picture, found = read_with_alpha(path)
    assert np.array_equal(picture, read(path))
    assert np.array_equal(found, {1: alpha, 3: alpha[::-1, ::-1], 6: np.rot90(alpha, -1)}[orientation])


@pytest.mark.parametrize(
    ("image", "alpha"),
    [
        (Image.fromarray(noise()), None),
        (Image.fromarray(np.dstack([noise(4, 4, 1), np.full((4, 4), 9, np.uint8)]), "LA"), 9),
        (Image.fromarray(np.full((4, 4, 4), 255, np.uint8)), 255),
    ],
)
def test_alpha_is_told_where_a_file_has_any(tmp_path, image, alpha):
    _, found = read_with_alpha(stored(tmp_path, encoded(image, "PNG")))
    assert found is None if alpha is None else (found == alpha).all()


def test_a_note_beside_the_pixels_comes_back(tmp_path):
    picture = noise()
    path = stored(tmp_path, encode_png(picture, "made by hand"))
    assert note_in(path) == "made by hand"
    assert np.array_equal(read(path), picture)
    assert note_in(stored(tmp_path, encode_png(picture), "other")) == ""
    assert note_in(stored(tmp_path, b"just text", "text")) == ""


FORMS = sorted(images.ENDINGS)
DEEP = ["png-16", "tiff-16"]


def deep(height: int = 40, width: int = 300, channels: int = 3) -> np.ndarray:
    """Smooth floats with more levels than 8 bits have, 0 and 1 among them."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([(x + y) / 2, x * y, 1 - x, 0.25 + 0.75 * y][:channels], axis=2)


def levels_in(content: bytes, form: str) -> np.ndarray:
    """What another program reads: OpenCV a PNG, tifffile a TIFF."""
    if form == "tiff-16":
        return tifffile.imread(io.BytesIO(content))
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(bgr, cv2.COLOR_BGRA2RGBA if bgr.shape[2] == 4 else cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_by_others_to_half_a_level(form, channels):
    picture, white = deep(channels=channels), 65535 if form in DEEP else 255
    levels = levels_in(encode(picture, form), form)
    assert levels.dtype == (np.uint16 if form in DEEP else np.uint8)
    assert np.abs(levels.astype(float) - picture * white).max() <= 0.5
    if form in DEEP:
        assert len(np.unique(levels[..., 2])) == 300  # each column has a level of its own: 8 bits have fewer


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_comes_back_through_the_door(tmp_path, form):
    picture = deep(channels=4)
    path = stored(tmp_path, encode(picture, form))
    over_white, alpha = read_with_alpha(path)
    within = 0.51 if form == "png" else 1  # of 16 bits the high byte is read
    assert np.abs(alpha.astype(float) - 255 * picture[..., 3]).max() <= within
    expected = 255 * (picture[..., :3] * picture[..., 3:] + 1 - picture[..., 3:])
    assert np.abs(over_white - expected).max() <= 1 + 2 * within  # laying over white rounds once more
    plain = read(stored(tmp_path, encode(picture[..., :3], form), "plain"))
    assert np.abs(plain - 255 * picture[..., :3]).max() <= within


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_said_to_be_srgb(form):
    with Image.open(io.BytesIO(encode(deep(), form))) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        image.load()
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("form", FORMS)
def test_values_beyond_black_and_white_are_clipped(tmp_path, form):
    picture = np.zeros((4, 4, 3))
    picture[0], picture[1] = -0.3, 1.2
    assert np.array_equal(read(stored(tmp_path, encode(picture, form)))[:3, 0, 0], [0, 255, 0])


@pytest.mark.parametrize("note", ["made by hand", "ü – 画", '{"artgen": "within"}', "two\nlines"])
@pytest.mark.parametrize("form", FORMS)
def test_a_note_comes_back_from_every_format(tmp_path, form, note):
    path = stored(tmp_path, encode(deep(8, 8), form, note))
    assert note_in(path) == note
    assert np.array_equal(read(path), read(stored(tmp_path, encode(deep(8, 8), form), "bare")))
    assert note_in(tmp_path / "bare") == ""


@pytest.mark.parametrize("described", ["a holiday", "[1]", '{"other": 1}', "null"])
def test_what_others_say_of_a_tiff_is_no_note(tmp_path, described):
    assert note_in(stored(tmp_path, encoded(smooth(), "TIFF", description=described))) == ""


@pytest.mark.parametrize("form", FORMS)
def test_a_file_follows_from_its_picture_alone(form, monkeypatch):
    first = encode(deep(8, 8), form, "a note")
    images._srgb.cache_clear()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    later = profile[:24] + bytes([7, 240, 0, 5]) + profile[28:]  # made in May 2032
    monkeypatch.setattr(ImageCms.ImageCmsProfile, "tobytes", lambda self: later)
    assert encode(deep(8, 8), form, "a note") == first
    images._srgb.cache_clear()


@pytest.mark.parametrize("form", DEEP)
def test_colour_profiles_of_16_bit_files_are_heeded(tmp_path, form, monkeypatch):
    monkeypatch.setattr(images, "_srgb", lambda: red_for_blue())
    red = np.zeros((8, 8, 3))
    red[..., 0] = 1
    decoded = read(stored(tmp_path, encode(red, form)))
    assert decoded[..., 2].min() > 240
    assert decoded[..., 0].max() < 30


def png16(width: int, height: int, colour_type: int, pixels: bytes) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    data = zlib.compress(pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3)])
def test_16_bits_are_scaled_not_clipped(tmp_path, colour_type, channels):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16, 1).repeat(channels, 2)
    rows = b"".join(b"\0" + (row * 257).astype(">u2").tobytes() for row in levels)
    decoded = read(stored(tmp_path, png16(16, 16, colour_type, rows)))
    assert np.array_equal(decoded, np.broadcast_to(levels, (16, 16, 3)))


def test_16_bit_grey_tiff_is_scaled(tmp_path):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    decoded = read(stored(tmp_path, encoded(Image.fromarray(values), "TIFF")))
    assert np.array_equal(decoded[..., 0], values >> 8)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_stated_white_are_refused(tmp_path, mode):
    assert "no stated white" in refusal(stored(tmp_path, encoded(Image.new(mode, (4, 4)), "TIFF")))


@pytest.mark.parametrize(("cmyk", "rgb"), [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))])
def test_cmyk_jpeg_is_converted(tmp_path, cmyk, rgb):
    decoded = read(stored(tmp_path, encoded(Image.new("CMYK", (16, 16), cmyk), "JPEG", quality=100)))
    assert np.abs(decoded.astype(int) - rgb).max() <= 4


def profile_of(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def test_srgb_profile_changes_nothing(tmp_path):
    picture = noise()
    content = encoded(picture, "PNG", icc_profile=profile_of("sRGB"))
    assert np.array_equal(read(stored(tmp_path, content)), picture)


def red_for_blue() -> bytes:
    """sRGB with red and blue exchanged, under another name."""
    profile = bytearray(profile_of("sRGB").replace("sRGB".encode("utf-16-be"), "sBGR".encode("utf-16-be")))
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def test_another_colour_profile_is_converted(tmp_path):
    content = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG", icc_profile=red_for_blue())
    decoded = read(stored(tmp_path, content))
    assert decoded[..., 2].min() > 240
    assert decoded[..., 0].max() < 30


def test_unusable_colour_profile_is_ignored(tmp_path):
    picture = noise()
    assert np.array_equal(read(stored(tmp_path, encoded(picture, "PNG", icc_profile=b"rubbish"))), picture)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animation_gives_its_first_frame(tmp_path, form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if form == "WEBP" else {}
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100, **options)
    decoded, header = decode(stored(tmp_path, content))
    assert header.animated
    assert np.array_equal(decoded, np.asarray(frames[0]))


def test_tiff_of_many_pages_gives_the_first(tmp_path):
    pages = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert np.array_equal(read(stored(tmp_path, content)), noise(seed=0))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the metadata of a cut TIFF
@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.99])
@pytest.mark.parametrize(("form", "options"), FORMATS)
def test_a_cut_file_is_never_read(tmp_path, form, options, share):
    content = encoded(noise(200, 150), form, **options)
    path = stored(tmp_path, content[: int(len(content) * share)])
    assert refusal(path)
    with pytest.raises(DataError):
        decode(path, at_least=(16, 16))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"\n <HTML><body>", "an HTML page"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 40, "HEIC or AVIF"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 40, "a film"),
        (b"\x1aE\xdf\xa3" + b"\0" * 40, "a film"),
        (b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 40, "a film"),
        (b"just text", "not JPEG, PNG"),
        (bytes(range(256)) * 10, "not JPEG, PNG"),
        (b"\xff\xd8\xff" + b"\x00" * 100, "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n" + b"\x07" * 100, "cannot be decoded"),
        (b"BM" + b"\x00" * 100, "cannot be decoded"),
        (b"GIF89a" + b"\x01" * 100, "cannot be decoded"),
        (b"II*\x00" + b"\xff" * 100, "cannot be decoded"),
        (b"RIFF\x10\0\0\0WEBP" + b"\x02" * 100, "cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(tmp_path, content, reason):
    cause = refusal(stored(tmp_path, content, "photo.jpg"))
    assert cause
    assert reason in cause


def test_a_bomb_is_refused_by_its_header(tmp_path):
    path = stored(tmp_path, png16(50_000, 50_000, 0, b"\0" * 1000))
    tracemalloc.start()
    try:
        cause = refusal(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "50000x50000" in cause or "2500000000 pixels" in cause  # Pillow's own limit may come first
    assert peak_bytes < 10e6


def test_the_limit_on_pixels_is_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 60 * 48 - 1)
    assert "60x48 px; the limit is" in refusal(stored(tmp_path, encoded(noise(48, 60), "JPEG")))
    monkeypatch.setattr(images, "MAX_PIXELS", 60 * 48)
    assert read(tmp_path / "picture").shape == (48, 60, 3)


def test_the_limit_on_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    assert "the limit is 100" in refusal(stored(tmp_path, encoded(noise(), "PNG")))


def test_pipes_folders_and_missing_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg") == "not a file"
    assert refusal(tmp_path) == "not a file"
    assert refusal(tmp_path / "none.jpg") == "No such file or directory"


@pytest.mark.filterwarnings("ignore")  # Pillow's, about metadata
def test_random_damage_never_raises_anything_else(tmp_path):
    rng = np.random.default_rng(7)
    for form, options in FORMATS:
        content = encoded(noise(40, 30), form, **options)
        for _ in range(15):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(damaged), 400), 4):
                damaged[place] = rng.integers(0, 256)
            path = stored(tmp_path, bytes(damaged))
            with contextlib.suppress(DataError):
                assert read(path).ndim == 3


@pytest.mark.parametrize(("at_least", "factor"), [((100, 100), 4), ((101, 100), 2), ((50, 50), 8), ((201, 1), 1)])
def test_a_jpeg_is_decoded_as_small_as_suffices(tmp_path, at_least, factor):
    picture = smooth(400, 800)
    decoded, header = decode(stored(tmp_path, encoded(picture, "JPEG", quality=95)), at_least)
    assert decoded.shape == (400 // factor, 800 // factor, 3)
    assert (header.height, header.width) == (400, 800)
    assert np.abs(decoded.astype(int) - resize(picture, decoded.shape[:2])).mean() < 2


def test_resize_shrinks_by_area(tmp_path):
    picture = noise(64, 64)
    means = picture.reshape(16, 4, 16, 4, 3).astype(float).mean((1, 3))
    assert np.abs(resize(picture, (16, 16)) - means).max() <= 0.5


NUMBERS = np.arange(60 * 48).reshape(60, 48) % 12
# Classes 0 to 11 of PASCAL VOC, as its devkit prints them.
VOC = [
    (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128),
    (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0),
]  # fmt: skip


def with_palette(colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(NUMBERS.astype(np.uint8)).convert("L")
    image.putpalette([value for colour in colours for value in colour])
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(NUMBERS.astype(np.uint8)),
        Image.fromarray(NUMBERS.astype(np.uint16)),
        with_palette([(value, value, value) for value in range(12)]),
        with_palette([(0, 0, 0)] * 12),
    ],
    ids=["8 bits", "16 bits", "palette of greys", "empty palette"],
)
def test_class_numbers_get_the_colours_of_the_table(tmp_path, image):
    labels, _ = decode(stored(tmp_path, encoded(image, "PNG")), labels=True)
    assert np.array_equal(labels, np.array(VOC, np.uint8)[NUMBERS])


def test_no_two_colours_of_the_table_are_alike():
    assert LABEL_COLOURS.shape == (256, 3)
    assert len(np.unique(LABEL_COLOURS, axis=0)) == 256


@pytest.mark.parametrize(
    ("image", "form"),
    [
        (with_palette([(9 * value, 0, 255 - value) for value in range(12)]), "PNG"),
        (Image.fromarray(noise()), "PNG"),
        (Image.fromarray(noise(channels=4)), "PNG"),
        (Image.fromarray(noise(channels=1)).convert("1"), "PNG"),
        (Image.fromarray(noise(channels=1)), "JPEG"),
    ],
    ids=["palette", "colours", "alpha", "1 bit", "grey JPEG"],
)
def test_labels_in_colours_are_taken_as_they_are_drawn(tmp_path, image, form):
    path = stored(tmp_path, encoded(image, form))
    assert np.array_equal(decode(path, labels=True)[0], read(path))


def test_class_numbers_without_a_colour_are_refused(tmp_path):
    numbers = NUMBERS.astype(np.uint16)
    numbers[3, 4] = 256
    with pytest.raises(DataError, match="class numbers up to 256"):
        decode(stored(tmp_path, encoded(Image.fromarray(numbers), "PNG")), labels=True)


def test_labels_are_never_decoded_smaller(tmp_path):
    path = stored(tmp_path, encoded(smooth(160, 160), "JPEG"))
    assert decode(path, at_least=(20, 20), labels=True)[0].shape == (160, 160, 3)


@settings(max_examples=40, deadline=None)
@given(st.tuples(side, side), st.tuples(side, side))
def test_resizing_labels_invents_no_colour(given_px, wanted_px):
    labels = np.array(VOC, np.uint8)[np.random.default_rng(1).integers(0, 12, given_px)]
    resized = resize(labels, wanted_px, labels=True)
    assert resized.shape == (*wanted_px, 3)
    assert {*map(tuple, resized.reshape(-1, 3).tolist())} <= {*map(tuple, labels.reshape(-1, 3).tolist())}


def test_labels_shrink_to_the_pixels_in_the_middle():
    labels = np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3)
    assert np.array_equal(resize(labels, (3, 3), labels=True), labels[1::3, 1::3])


def test_resize_keeps_flat_colours_and_shapes():
    flat = np.full((10, 7, 3), 93, np.uint8)
    for size in ((3, 2), (40, 33), (40, 3), (10, 7)):
        resized = resize(flat, size)
        assert resized.shape == (*size, 3)
        assert (resized == 93).all()


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("plain ü 画 🎨.jpg", "plain ü 画 🎨.jpg"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\udcff.png", "\\udcff.png"),
        ("right\u202eleft", "right\\u202eleft"),
    ],
)
def test_names_are_escaped_for_messages(name, escaped):
    assert shown(name) == escaped
    shown(name).encode("utf-8")


def test_write_png_is_whole_or_nothing(tmp_path, monkeypatch):
    path, picture = tmp_path / "ü sheet.png", noise()
    write_png(path, picture)
    assert np.array_equal(read(path), picture)

    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_png(path, noise(seed=1))
    assert np.array_equal(read(path), picture)
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))


def test_a_picture_with_alpha_gives_itself_back_over_white():
    """Whatever its alpha: soft edges keep their colours and get no halo."""
    draw = np.random.default_rng(0)
    alpha = draw.integers(0, 256, (24, 24), np.uint8)
    alpha[0], alpha[1] = 0, 255
    straight = draw.integers(0, 256, (24, 24, 3)).astype(np.float64)
    share = alpha[..., None] / 255
    over_white = (straight * share + 255 * (1 - share)).round().astype(np.uint8)
    made = with_alpha(over_white, alpha)
    assert np.array_equal(made[..., 3], alpha)
    again = made[..., :3] * share + 255 * (1 - share)
    assert np.abs(again - over_white).max() <= 0.51
    assert np.array_equal(made[1, :, :3], over_white[1])
    assert (made[0, :, :3] == 255).all()
