"""How different made pictures are from each other: MS-SSIM of random pairs (Wang et al. 2003; Odena et al. 2016).

MS-SSIM is 1 for equal pictures and near 0 for unrelated ones. A generator that repeats itself has a higher mean over
pairs than its data.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from artgen import DataError
from artgen.data.pixels import to_float
from artgen.metrics import Measured
from artgen.training import Features
from artgen_metrics import DiversityOptions

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first (Wang et al. 2003, section 3.2)."""
WINDOW_PX = 11
DEVIATION_PX = 1.5
PAIRS = 128
"""Compared at once."""


class Diversity:
    """Variety. Values: `ms_ssim_fake`, `ms_ssim_real`, and `diversity`, (1 - fake) / (1 - real): 1 for the data."""

    def __init__(self, options: DiversityOptions) -> None:
        self.options = options

    @torch.no_grad()
    def measure(self, fake: Tensor, real: Tensor, features: Features | None) -> Measured:
        """Compare made pictures with each other and real ones with each other.

        Raises:
            DataError: There are fewer than two pictures on a side, pictures are smaller than the window of SSIM, or all
                real pictures are the same.
        """
        if min(fake.shape[2:]) < WINDOW_PX:
            raise _unusable(f"pictures of {fake.shape[3]}x{fake.shape[2]} px", f"It needs {WINDOW_PX} px a side.")
        made, data = (self._mean_of_pairs(pictures).item() for pictures in (fake, real))
        if data >= 1:
            raise _unusable("all real pictures are the same", "Variety is measured against theirs.")
        return Measured({"ms_ssim_fake": made, "ms_ssim_real": data, "diversity": (1 - made) / (1 - data)})

    def _mean_of_pairs(self, pictures: Tensor) -> Tensor:
        """Mean MS-SSIM of random pairs of different pictures (N, 3, H, W) uint8."""
        count = len(pictures)
        if count < 2:
            raise _unusable(f"{count} picture(s) to measure", "Give at least 2 on each side.")
        first = torch.randint(count, (self.options.pairs,))  # drawn on the CPU: the same on every device
        second = (first + torch.randint(1, count, (self.options.pairs,))) % count
        x, y = (torch.split(index.to(pictures.device), PAIRS) for index in (first, second))
        return torch.cat(
            [ms_ssim(to_float(pictures[i]), to_float(pictures[j])) for i, j in zip(x, y, strict=True)]
        ).mean()


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM of pictures (N, C, H, W) in [-1, 1] with their partners, (N,), at most 1.

    At each scale contrast and structure are compared, and brightness at the last one (equation 7). Differs from the
    paper where pictures are smaller than 176 px: only scales that are as large as the window are used (three at 64 px),
    and their weights are scaled to sum to 1. A negative mean, of pictures opposite to each other, counts as 0.
    """
    sides = [min(x.shape[2:]) >> scale for scale in range(len(WEIGHTS))]
    weights = x.new_tensor([weight for weight, side in zip(WEIGHTS, sides, strict=True) if side >= WINDOW_PX])
    weights /= weights.sum()
    product = torch.ones_like(x[:, 0, 0, 0])
    for scale, weight in enumerate(weights):
        if scale:
            x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
        likeness = _ssim(x, y, brightness=scale == len(weights) - 1)
        product *= likeness.mean(dim=(1, 2, 3)).clamp_min(0) ** weight
    return product


def _ssim(x: Tensor, y: Tensor, *, brightness: bool) -> Tensor:
    """The map of SSIM (Wang et al. 2004, equation 13), valid windows only; without `brightness` its second factor.

    kornia's SSIM gives only the product of the two.
    """
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # 2 is the range of pixels
    mu_x, mu_y = _window_mean(x), _window_mean(y)
    var_x, var_y = _window_mean(x * x) - mu_x**2, _window_mean(y * y) - mu_y**2
    covariance = _window_mean(x * y) - mu_x * mu_y
    contrast = (2 * covariance + c2) / (var_x + var_y + c2)
    # Brightness is that of [0, 2]: the formula wants values from 0 up.
    mu_x, mu_y = mu_x + 1, mu_y + 1
    return contrast * (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1) if brightness else contrast


def _window_mean(x: Tensor) -> Tensor:
    """Mean under a Gaussian window of 11 px, (N, C, H, W) -> (N, C, H - 10, W - 10)."""
    at = torch.arange(WINDOW_PX, dtype=x.dtype, device=x.device) - WINDOW_PX // 2
    line = torch.softmax(-(at**2) / (2 * DEVIATION_PX**2), dim=0).expand(x.shape[1], 1, -1)
    across = conv2d(x, line.unsqueeze(2), groups=x.shape[1])
    return conv2d(across, line.unsqueeze(3), groups=x.shape[1])


def _unusable(cause: str, remedy: str) -> DataError:
    return DataError(cause, place="metrics.diversity", remedy=remedy)
