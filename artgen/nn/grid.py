"""From the size of pictures to the small grid of cells that doubling leads up from."""

from __future__ import annotations

from artgen.errors import RecipeError
from artgen.training import Size

_MOST_CELLS = 64
_EXAMPLES = "32, 64, 128, 256, 512, 1024, or [48, 64], [96, 128], [192, 256]"


def starting_grid(size: Size, asked: int | tuple[int, int] | None = None) -> Size:
    """The grid that pictures of `size` grow from.

    Args:
        size: Of the largest pictures.
        asked: The grid as an option tells it: side, or (width, height). By default `size` is halved while both sides
            stay whole and 3 cells long: 64x64 px start on 4x4 cells, 48x64 px on 3x4.

    Raises:
        RecipeError: No number of doublings leads from that grid, or from any of at most 64 cells, to `size`.
    """
    if asked is not None:
        width, height = (asked, asked) if isinstance(asked, int) else asked
        grid = Size(height, width)
        level_of(size, grid)
        return grid
    height, width = size
    while height % 2 == width % 2 == 0 and min(height, width) >= 6:
        height, width = height // 2, width // 2
    if height * width > _MOST_CELLS:
        raise RecipeError(
            f"no grid of at most {_MOST_CELLS} cells, doubled, gives pictures of {size} px",
            place="resolution",
            remedy=f"Near to it would be {_near(size)} px. Sides that go: {_EXAMPLES}.",
        )
    return Size(height, width)


def level_of(size: Size, grid: Size) -> int:
    """How many doublings lead from `grid` to `size`.

    Raises:
        RecipeError: No number of them does.
    """
    level = (size.height // grid.height).bit_length() - 1
    if level < 0 or size != (grid.height << level, grid.width << level):
        sizes = ", ".join(str(Size(grid.height << level, grid.width << level)) for level in range(1, 9))
        raise RecipeError(
            f"pictures of {size} px do not come of doubling a grid of {grid} cells",
            place="resolution",
            remedy=f"Sizes that do: {sizes}. Or choose another `grid`.",
        )
    return level


def _near(size: Size) -> Size:
    """The nearest size that 4 to 7 cells along the shorter side lead to, and as many as it takes along the other."""
    cell_px = 1 << max(0, (min(size) // 4).bit_length() - 1)
    return Size(*(max(1, round(side / cell_px)) * cell_px for side in size))
