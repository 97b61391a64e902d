"""From the size of a picture to the small grid that its generator starts on."""

from __future__ import annotations

from artgen import RecipeError
from artgen.training import Size


def starting_grid(size: Size) -> tuple[Size, int]:
    """The grid (3 to 7 cells a side where that goes) and how many doublings lead from it to `size`.

    64x64 is 4x4 doubled four times, 48x64 is 3x4 doubled four times.

    Raises:
        RecipeError: No number of doublings gives this size.
    """
    doublings = 0
    height, width = size
    while height % 2 == width % 2 == 0 and min(height, width) >= 6:
        height, width, doublings = height // 2, width // 2, doublings + 1
    if not 2 <= doublings <= 6 or max(height, width) > 8:
        raise RecipeError(
            f"DCGAN cannot make pictures of {size} px",
            remedy="Both sides must be 3 to 8 cells doubled two to six times: 32, 64, 128, or [48, 64], [96, 128].",
        )
    return Size(height, width), doublings
