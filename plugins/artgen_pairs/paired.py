"""How near made pictures are to those that they should be, and how near their sources were already."""

from __future__ import annotations

import torch
from kornia.metrics import ssim
from torch import Tensor

from artgen import DataError
from artgen.data.pixels import grid
from artgen.metrics import Measured
from artgen.training import Features
from artgen_pairs import PairedOptions

WINDOW_PX = 11
"""Side of the window of SSIM (Wang et al. 2004, section III.C)."""
EXACT = 0.5 / 255
"""An error that rounding hides: the root of the mean square of equal pictures counts as this, so PSNR ends at 54 dB."""
PICTURES = 64
"""Compared at once."""


class Paired:
    """Likeness one by one: `l1`, `psnr` and `ssim`; the same of the sources: `source_l1`, `source_psnr`, `source_ssim`.

    Sheet `paired`: source | made | real.
    """

    def __init__(self, options: PairedOptions) -> None:
        self.options = options

    @torch.no_grad()
    def measure(self, fake: Tensor, real: Tensor, features: Features | None, source: Tensor) -> Measured:
        """Compare each made picture, and each source, with the real picture of its number.

        Raises:
            DataError: There is no picture, or pictures are smaller than the window of SSIM.
        """
        if not len(fake) or min(fake.shape[2:]) < WINDOW_PX:
            raise DataError(
                f"{len(fake)} picture(s) of {fake.shape[3]}x{fake.shape[2]} px to measure",
                place="metrics.paired",
                remedy=f"Give at least one, of {WINDOW_PX} px a side or more.",
            )
        untouched = {f"source_{name}": value for name, value in likeness(source, real).items()}
        first = torch.stack([source, fake, real], dim=1)[: self.options.shown]  # (shown, 3, 3, H, W)
        sheet = torch.from_numpy(grid(first.flatten(0, 1), columns=6))
        return Measured(likeness(fake, real) | untouched, {"paired": sheet})


def likeness(pictures: Tensor, real: Tensor) -> dict[str, float]:
    """Means over pictures (N, 3, H, W) uint8 and as many real ones.

    Returns:
        `l1`: mean absolute difference, from 0 to 1, white being 1 away from black. `psnr`: peak signal-to-noise ratio
        in dB. `ssim`: structural similarity, 1 for equal pictures.
    """
    chunks = zip(torch.split(pictures, PICTURES), torch.split(real, PICTURES), strict=True)
    figures = [torch.stack(_each(x.float() / 255, y.float() / 255)) for x, y in chunks]  # (3, n)
    l1, psnr, structural = torch.cat(figures, dim=1).cpu().double().mean(dim=1).tolist()
    return {"l1": l1, "psnr": psnr, "ssim": structural}


def _each(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L1, PSNR and SSIM of pictures (n, 3, H, W) in [0, 1] with their partners, (n,) each."""
    square = (x - y).square().mean(dim=(1, 2, 3)).clamp_min(EXACT**2)
    structural = ssim(x, y, WINDOW_PX, padding="valid").mean(dim=(1, 2, 3))
    return (x - y).abs().mean(dim=(1, 2, 3)), -10 * square.log10(), structural
