"""From pictures to the integers that encoders take, by NumPy and by torch."""

from __future__ import annotations

from typing import get_args

import av
import numpy as np
import pytest
import torch
from cards import as_pictures

from artgen.film.colour import PixelForm, as_frames, frame_dtype, frame_shape

FORMS = get_args(PixelForm)


def noise(count, height, width, seed=0):
    return np.random.default_rng(seed).uniform(-1.2, 1.2, (count, 3, height, width)).astype(np.float32)


def exact_planes(picture, bits):
    """Recommendation ITU-R BT.709-6, items 3.2 to 3.5, of a picture (3, H, W) with even sides, not yet rounded."""
    red, green, blue = (picture.astype(np.float64).clip(-1, 1) + 1) / 2
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    scale = 2 ** (bits - 8)
    levels = (219 * luma + 16, 224 * (blue - luma) / 1.8556 + 128, 224 * (red - luma) / 1.5748 + 128)
    return [plane * scale for plane in levels]


@pytest.mark.parametrize("size", [(6, 8), (1, 1), (5, 8), (6, 7), (13, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_torch_and_numpy_give_the_same_bits(form, size):
    pictures = noise(3, *size)
    frames = as_frames(pictures, form)
    assert frames.shape == (3, *frame_shape(form, size))
    assert frames.dtype == frame_dtype(form)
    assert frames.flags.c_contiguous
    made = as_frames(torch.from_numpy(pictures), form)
    assert made.is_contiguous()
    assert made.numpy().dtype == frames.dtype
    assert np.array_equal(made.numpy(), frames)
    for each, picture in enumerate(pictures):  # whatever the batch
        assert np.array_equal(as_frames(picture[None], form)[0], frames[each])


@pytest.mark.parametrize("form", FORMS)
def test_what_the_pictures_are_kept_in_makes_no_difference(form):
    pictures = torch.from_numpy(noise(2, 6, 8)).to(torch.bfloat16)
    wanted = as_frames(pictures.float(), form)
    assert torch.equal(as_frames(pictures, form).int(), wanted.int())
    assert np.array_equal(as_frames(pictures.double().numpy(), form), wanted.numpy())
    turned = pictures.to(memory_format=torch.channels_last)
    assert as_frames(turned, form).is_contiguous()
    assert torch.equal(as_frames(turned, form).int(), wanted.int())


@pytest.mark.parametrize(("form", "bits"), [("yuv420-8", 8), ("yuv420-10", 10)])
def test_yuv420_is_that_of_the_recommendation(form, bits):
    picture = noise(1, 12, 16)[0]
    found = as_frames(picture[None], form)[0]
    luma, *differences = exact_planes(picture, bits)
    assert np.abs(found[:12] - luma).max() <= 0.501
    for plane, exact in zip(found[12:].reshape(2, 6, 8), differences, strict=True):
        assert np.abs(plane - exact.reshape(6, 2, 8, 2).mean((1, 3))).max() <= 0.501


def test_yuv422_has_its_colours_at_the_left_of_two_pixels():
    picture = noise(1, 6, 16)[0]
    found = as_frames(picture[None], "yuv422-10")[0]
    luma, *differences = exact_planes(picture, 10)
    assert np.abs(found[:6] - luma).max() <= 0.501
    for plane, exact in zip(found[6:].reshape(2, 6, 8), differences, strict=True):
        padded = np.pad(exact, ((0, 0), (1, 0)), mode="edge")
        wanted = (padded[:, :-1:2] + 2 * padded[:, 1::2] + np.pad(padded, ((0, 0), (0, 1)))[:, 2::2]) / 4
        assert np.abs(plane - wanted).max() <= 0.501
    ramp = np.broadcast_to(np.linspace(-1, 1, 16, dtype=np.float32), (3, 2, 16)).copy()
    ramp[:2] = 0
    blue = as_frames(ramp[None], "yuv422-10")[0][2:3].ravel()  # of a ramp each colour is that of its own pixel
    assert np.abs(blue[1:8] - exact_planes(ramp, 10)[1][0, 2::2]).max() <= 0.501


@pytest.mark.parametrize(
    ("form", "name"), [("yuv420-8", "yuv420p"), ("yuv420-10", "yuv420p10le"), ("yuv422-10", "yuv422p10le")]
)
def test_ffmpeg_gives_the_same_levels_where_colours_are_flat(form, name):
    colours = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    picture = colours.repeat(16, 0).repeat(16, 1)
    coded = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=name, dst_colorspace=1, dst_color_range=1)
    kind, found = np.uint8 if name == "yuv420p" else np.uint16, as_frames(as_pictures([picture]), form)[0].ravel()
    for plane in coded.planes:
        lines = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].astype(int)
        mine = found[: lines.size].reshape(lines.shape)
        found = found[lines.size :]
        high, wide = plane.height // 6, plane.width // 8
        inner = (slice(None), slice(high // 4, -high // 4), slice(None), slice(wide // 4, -wide // 4))
        assert np.abs(lines - mine).reshape(6, high, 8, wide)[inner].max() <= 1
    assert not found.size


def test_rgb_gives_back_every_level():
    for form, white in (("rgb-8", 255), ("rgb-16", 65535)):
        levels = np.arange(white + 1).reshape(1, 1, -1, 256).repeat(3, 1)
        found = as_frames((levels / (white / 2) - 1).astype(np.float32), form)
        assert np.array_equal(found, levels.transpose(0, 2, 3, 1))


def test_an_odd_side_repeats_its_last_pixels():
    pictures = noise(2, 5, 7)
    padded = np.pad(pictures, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")
    for form in ("yuv420-8", "yuv420-10", "yuv422-10"):
        assert np.array_equal(as_frames(pictures, form), as_frames(padded, form))


def test_black_and_white_are_at_the_ends_of_the_range():
    pictures = np.array([-7, -1, 1, 7], np.float32)[:, None, None, None] * np.ones((1, 3, 2, 2), np.float32)
    for form, ends in (("yuv420-8", (16, 235)), ("yuv420-10", (64, 940)), ("yuv422-10", (64, 940))):
        luma = as_frames(pictures, form)[:, :2]
        assert [sorted({*map(int, frame.ravel())}) for frame in luma] == [[ends[0]]] * 2 + [[ends[1]]] * 2
