"""Cropping: the right part, the right size, nothing distorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artgen.data.crop import frame

CROPS = ["center", "top", "smart", "pad"]
side = st.integers(1, 90)


def bands(height: int, width: int) -> np.ndarray:
    """Thirds along the longer side: red, green, blue."""
    picture = np.zeros((max(height, width), min(height, width), 3), np.uint8)
    for third, rows in enumerate(np.array_split(np.arange(len(picture)), 3)):
        picture[rows, :, third] = 255
    return picture if height >= width else picture.transpose(1, 0, 2)


@settings(max_examples=60, deadline=None)
@given(side, side, st.tuples(side, side), st.sampled_from(CROPS))
def test_any_shape_becomes_any_size_and_flat_stays_flat(height, width, size, crop):
    framed = frame(np.full((height, width, 3), 77, np.uint8), size, crop)
    assert framed.shape == (*size, 3)
    assert framed.dtype == np.uint8
    assert (framed == 77).all()


@pytest.mark.parametrize("crop", CROPS)
def test_the_wanted_size_is_left_untouched(crop):
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert np.array_equal(frame(picture, (16, 24), crop), picture)


@pytest.mark.parametrize(
    ("crop", "height", "width", "colour"),
    [("center", 90, 30, 1), ("center", 30, 90, 1), ("top", 90, 30, 0), ("top", 30, 90, 1)],
)
def test_what_is_kept(crop, height, width, colour):
    framed = frame(bands(height, width), (30, 30), crop)
    assert (framed[..., colour] == 255).all()


@pytest.mark.parametrize("place", [0, 60])
@pytest.mark.parametrize("wide", [False, True])
def test_smart_keeps_the_part_with_edges(place, wide):
    picture = np.full((90, 30, 3), 40, np.uint8)
    picture[place : place + 30] = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    motif = picture[place : place + 30]
    if wide:
        picture, motif = picture.transpose(1, 0, 2), motif.transpose(1, 0, 2)
    assert np.array_equal(frame(picture, (30, 30), "smart"), motif)


def test_smart_cuts_in_the_middle_where_all_parts_are_alike():
    slope = np.repeat(np.arange(90, dtype=np.uint8)[:, None, None], 30, 1).repeat(3, 2)
    assert abs(int(frame(slope, (30, 30), "smart")[0, 0, 0]) - 30) <= 1


def test_pad_keeps_all_and_repeats_the_border():
    framed = frame(bands(30, 90), (90, 90), "pad")
    assert np.array_equal(framed[30:60], bands(30, 90))
    assert np.array_equal(framed[0], framed[30])
    assert np.array_equal(framed[-1], framed[59])


def test_a_crop_is_not_distorted():
    y, x = np.mgrid[:200, :300]
    disc = np.hypot(y - 100, x - 150) < 60
    framed = frame(np.repeat(disc[..., None] * np.uint8(255), 3, 2), (50, 50), "center")[..., 0] > 127
    assert framed.any(0).sum() == framed.any(1).sum() == 30


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.tuples(side, side), st.sampled_from(CROPS))
def test_a_partner_is_framed_like_its_picture(height, width, size, crop):
    picture = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    partner = 255 - picture
    framed = frame(partner, size, crop, like=picture)
    assert np.array_equal(framed, frame(partner, size, crop)) or crop == "smart"
    assert np.abs(framed.astype(int) - (255 - frame(picture, size, crop).astype(int))).max() <= 1  # rounding of a mean


@pytest.mark.parametrize("crop", CROPS)
def test_a_partner_of_another_size_shows_the_same_part(crop):
    picture = np.full((90, 30, 3), 40, np.uint8)
    picture[55:85] = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    numbers = np.arange(180)[:, None, None].repeat(60, 1).repeat(3, 2).astype(np.uint8)
    rows = frame(numbers, (30, 30), crop, like=picture, labels=True)[:, 15, 0].astype(int)
    first = {"center": 60, "top": 0, "smart": 110, "pad": 3}[crop]
    step = 6 if crop == "pad" else 2  # 180 rows in 30, or 60 of them
    assert np.abs(rows - (first + step * np.arange(30))).max() <= 2


@pytest.mark.parametrize("crop", CROPS)
def test_framing_labels_invents_no_colour(crop):
    labels = np.random.default_rng(0).choice(np.array([0, 100, 255], np.uint8), (70, 45, 1)).repeat(3, 2)
    assert set(np.unique(frame(labels, (16, 16), crop, labels=True))) <= {0, 100, 255}
