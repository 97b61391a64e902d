"""Kernel inception distance (Binkowski et al. 2018, "Demystifying MMD GANs", arXiv 1801.01401)."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen import DataError
from artgen.data.pixels import to_float
from artgen.metrics import Measured
from artgen.training import Features
from artgen_metrics import KidOptions

PICTURES = 64
"""Embedded at once."""
ROWS = 512
"""Of a kernel matrix that exist at once."""


class Kid:
    """KID in the recipe's feature space. Values: `kid`, `kid_low`, `kid_high`, all times 1000."""

    def __init__(self, options: KidOptions) -> None:
        self.options = options

    @torch.no_grad()
    def measure(self, fake: Tensor, real: Tensor, features: Features | None) -> Measured:
        """The distance, and the interval that holds 95 % of its bootstrap.

        Raises:
            DataError: There are fewer than two pictures on a side.
        """
        if features is None:  # the core has seen to it: needs_features
            raise TypeError("kid needs a feature network")
        for name, pictures in (("made", fake), ("real", real)):
            if len(pictures) < 2:
                raise DataError(
                    f"{len(pictures)} {name} picture(s) to measure", place="metrics.kid", remedy="Give at least 2."
                )
        real = real[torch.randperm(len(real))[: self.options.real_pictures].to(real.device)]
        draws = kernel_distance(embed(fake, features), embed(real, features), self.options.resamples) * 1000
        low, high = draws[1:].nanquantile(draws.new_tensor([0.025, 0.975])).tolist()
        return Measured({"kid": draws[0].item(), "kid_low": low, "kid_high": high})


def embed(pictures: Tensor, features: Features) -> Tensor:
    """Vectors (N, d), float64, of pictures (N, 3, H, W) uint8."""
    vectors = torch.cat([features.embed(to_float(chunk)) for chunk in torch.split(pictures, PICTURES)])
    return vectors.to("cpu" if vectors.device.type == "mps" else vectors.device, torch.float64)  # mps has no float64


def kernel_distance(fake: Tensor, real: Tensor, resamples: int = 0) -> Tensor:
    """Unbiased squared MMD between vectors (N, d) and (M, d), with kernel k(x, y) = (x . y / d + 1)^3.

    The estimate is the paper's unbiased one: the mean of k over pairs of different fakes, plus that over pairs of
    different reals, minus twice that over pairs of a fake and a real.

    Differs from the paper, which takes the spread over random subsets: here both sides are drawn anew with replacement,
    and pairs of a picture with itself are left out, as in the estimate. Where the true distance is near 0
    the interval is too wide: 25 for halves of 936 faces, times 1000, which really scatter over 18.

    Args:
        fake: Vectors of made pictures, at least two.
        real: Vectors of real pictures, at least two.
        resamples: How many bootstrap draws follow the estimate. One that holds a single picture, which happens where
            there are very few, gives NaN.

    Returns:
        (1 + resamples,): the estimate first, then the estimate of each draw.
    """
    w_f, w_r = _counts(fake, resamples), _counts(real, resamples)
    return (
        _mean_kernel(fake, w_f, fake, w_f, same=True)
        + _mean_kernel(real, w_r, real, w_r, same=True)
        - 2 * _mean_kernel(fake, w_f, real, w_r, same=False)
    )


def _counts(x: Tensor, resamples: int) -> Tensor:
    """How often each of N vectors occurs, (N, 1 + resamples): once each, then in each draw of N with replacement."""
    drawn = torch.randint(len(x), (resamples, len(x)))  # drawn on the CPU: the same on every device
    counts = torch.zeros(resamples, len(x)).scatter_add_(1, drawn, torch.ones(drawn.shape))
    return torch.cat([torch.ones(1, len(x)), counts]).T.to(x)


def _mean_kernel(x: Tensor, w_x: Tensor, y: Tensor, w_y: Tensor, *, same: bool) -> Tensor:
    """Mean of k over weighted pairs, one for each column of weights; `same` leaves out each vector with itself."""
    total = torch.zeros_like(w_x[0])
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        k = (x[rows] @ y.T / x.shape[1] + 1) ** 3
        if same:
            k.diagonal(start).zero_()
        total += (w_x[rows] * (k @ w_y)).sum(0)
    pairs = w_x.sum(0) * w_y.sum(0)
    return total / (pairs - (w_x * w_y).sum(0) if same else pairs)
