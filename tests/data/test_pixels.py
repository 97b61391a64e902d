"""uint8 <-> float in [-1, 1], and sheets."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from artgen.data.images import encode_png
from artgen.data.pixels import MARGIN_PX, enlarged, grid, to_float, to_uint8
from artgen.training import Size


def test_all_256_values_survive_the_round_trip():
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values)
    assert floats.dtype == torch.float32
    assert floats[0] == -1
    assert floats[255] == 1
    assert torch.equal(to_uint8(floats), values)
    assert torch.equal(to_uint8(floats.double()), values)


def test_to_uint8_rounds_to_the_nearest_and_clamps():
    levels = torch.tensor([-0.4, 0.49, 0.51, 99.6, 254.6, 300.0, -50.0])
    assert to_uint8(levels / 127.5 - 1).tolist() == [0, 0, 1, 100, 255, 255, 0]
    assert to_uint8(torch.tensor([float("inf"), -float("inf")])).tolist() == [255, 0]


def test_conversions_leave_their_input_and_its_layout_alone():
    pictures = torch.randint(0, 256, (2, 3, 8, 6), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    floats = to_float(pictures)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    before = floats.clone()
    assert to_uint8(floats).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(floats, before)


def test_to_uint8_takes_pictures_with_a_graph():
    assert not to_uint8(torch.zeros(1, requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(5, 2, (3, 2)), (5, None, (2, 3)), (3, 8, (1, 3)), (2, 1, (2, 1))]
)
def test_grid_shows_each_picture_in_its_place(count, columns, shape):
    pictures = torch.randint(0, 255, (count, 3, 4, 6), dtype=torch.uint8)
    sheet = grid(pictures, columns)
    rows, across = shape
    assert sheet.shape == (rows * (4 + MARGIN_PX) + MARGIN_PX, across * (6 + MARGIN_PX) + MARGIN_PX, 3)
    for index, picture in enumerate(pictures):
        top, left = MARGIN_PX + index // across * (4 + MARGIN_PX), MARGIN_PX + index % across * (6 + MARGIN_PX)
        assert np.array_equal(sheet[top : top + 4, left : left + 6], picture.permute(1, 2, 0))
        sheet[top : top + 4, left : left + 6] = 255
    assert (sheet == 255).all()


def test_a_sheet_of_one_picture_is_the_picture():
    picture = torch.randint(0, 255, (1, 3, 4, 6), dtype=torch.uint8)
    assert np.array_equal(grid(picture), picture[0].permute(1, 2, 0))


def test_pictures_are_enlarged_by_repeating_pixels():
    pictures = torch.randint(0, 256, (2, 3, 3, 4), dtype=torch.uint8)
    large = enlarged(pictures, Size(12, 16))
    assert torch.equal(large, pictures.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))
    assert enlarged(pictures, Size(3, 4)) is pictures
    uneven = enlarged(pictures, Size(5, 7))
    assert uneven.shape == (2, 3, 5, 7)
    assert set(uneven.flatten().tolist()) <= set(pictures.flatten().tolist())


def test_png_of_a_tensor():
    picture = torch.randint(0, 256, (5, 7, 3), dtype=torch.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture.numpy())))), picture)
