"""From sizes to starting grids, and what is said of sizes that none leads to."""

from __future__ import annotations

import re

import pytest

from artgen import RecipeError
from artgen.nn.grid import level_of, starting_grid
from artgen.training import Size


@pytest.mark.parametrize(
    ("size", "grid", "level"),
    [
        ((4, 4), (4, 4), 0),
        ((8, 8), (4, 4), 1),
        ((64, 64), (4, 4), 4),
        ((1024, 1024), (4, 4), 8),
        ((48, 64), (3, 4), 4),
        ((128, 96), (4, 3), 5),
        ((80, 112), (5, 7), 4),
        ((32, 64), (4, 8), 3),
        ((28, 28), (7, 7), 2),
        ((64, 256), (4, 16), 4),
    ],
)
def test_sizes_halve_to_a_grid(size, grid, level):
    assert starting_grid(Size(*size)) == grid
    assert level_of(Size(*size), Size(*grid)) == level


@pytest.mark.parametrize(
    ("asked", "grid"), [(8, (8, 8)), ((3, 4), (4, 3)), ((6, 8), (8, 6)), (16, (16, 16)), ((2, 2), (2, 2))]
)
def test_an_option_chooses_the_grid_as_width_and_height(asked, grid):
    size = Size(grid[0] * 8, grid[1] * 8)
    assert starting_grid(size, asked) == grid
    assert level_of(size, Size(*grid)) == 3


@pytest.mark.parametrize("size", [(50, 50), (100, 100), (60, 60), (63, 64), (1000, 1000), (38, 54), (600, 800)])
def test_a_size_that_no_grid_leads_to_is_refused_with_one_that_goes(size):
    with pytest.raises(RecipeError, match=f"{size[1]}x{size[0]} px") as refused:
        starting_grid(Size(*size))
    width, height = map(int, re.search(r"Near to it would be (\d+)x(\d+) px", refused.value.remedy).groups())
    starting_grid(Size(height, width))
    assert max(abs(width / size[1] - 1), abs(height / size[0] - 1)) < 0.15


@pytest.mark.parametrize(("size", "grid"), [((64, 64), (3, 4)), ((12, 12), (4, 4)), ((2, 2), (4, 4)), ((8, 4), (4, 4))])
def test_a_size_that_the_grid_does_not_lead_to_is_refused_with_those_that_it_does(size, grid):
    with pytest.raises(RecipeError, match=f"{size[1]}x{size[0]} px(.|\n)*{grid[1]}x{grid[0]} cells") as refused:
        level_of(Size(*size), Size(*grid))
    named = re.findall(r"(\d+)x(\d+)", refused.value.remedy)
    levels = [level_of(Size(int(height), int(width)), Size(*grid)) for width, height in named]
    assert levels == list(range(1, 9))


def test_a_grid_that_was_asked_for_must_lead_to_the_size():
    with pytest.raises(RecipeError, match="do not come of doubling a grid of 3x4 cells"):
        starting_grid(Size(64, 64), (3, 4))
