"""Latents as what their prior makes of Gaussian ones, so that paths combine them and stay where latents live.

Latents of a prior live on a shell, and a generator has seen nothing else: halfway between two draws from N(0, I) in 512
dimensions, their mean is 9 deviations nearer to the origin than any draw. What is combined here is Gaussian: latents of
a sphere are, up to their norm; uniform ones are mapped to it and back, coordinate by coordinate (a Gaussian copula). A
combination of independent draws with weights a_i has unit variance when it is divided by sqrt(sum a_i^2) (Agustsson et
al. 2019, arXiv 1711.01970; Bodin et al. 2024, arXiv 2408.08558).

Latents of a learned prior (W of StyleGAN) have no shell: there straight lines are right (Karras et al. 2019, arXiv
1812.04948, section 4.1), and weights only have to add up to 1.

K: keyframes; N: positions; d: dimensions. All is computed in float64 on the CPU, each position by itself and by
operations on single numbers, so that a latent does not depend on which others are asked for, nor on threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from artgen.errors import RecipeError
from artgen.training import LatentSpace

_MOST_UNIFORM = 1 - 2**-25
"""Uniform latents end here: at 1 their Gaussian would be infinite."""


def to_normal(space: LatentSpace, latents: Tensor) -> Tensor:
    """Latents (N, *space.shape) as (N, d), Gaussian in each coordinate; those of a learned prior as they are."""
    flat = latents.flatten(1).double()
    if space.prior != "uniform":
        return flat
    normal: Tensor = torch.special.ndtri((flat.clamp(-_MOST_UNIFORM, _MOST_UNIFORM) + 1) / 2)
    return normal


def from_normal(space: LatentSpace, normal: Tensor, like: Tensor) -> Tensor:
    """Back from (N, d) to latents of the prior, (N, *space.shape), of the type of `like`."""
    if space.prior == "uniform":
        normal = 2 * torch.special.ndtr(normal) - 1
    elif space.prior == "sphere":
        normal = normal * (normal.shape[1] ** 0.5 / norms(normal))
    return normal.view(-1, *space.shape).to(like)


def combine(space: LatentSpace, keyframes: Tensor, weights: Tensor) -> Tensor:
    """Latents that are combined of keyframes, distributed as the prior is where the keyframes are drawn from it.

    Args:
        space: Their space.
        keyframes: (K, *space.shape), independent draws; one that is there twice counts as one draw.
        weights: (N, K); for a learned prior those of each position add up to 1.

    Returns:
        (N, *space.shape), of the keyframes' type.
    """
    normal, weights = to_normal(space, keyframes), weights.double()
    different, which = torch.unique(normal, dim=0, return_inverse=True)
    shares = torch.zeros(len(weights), len(different), dtype=torch.float64)
    for column, index in enumerate(which.tolist()):
        shares[:, index] += weights[:, column]
    if space.prior != "learned":
        shares = shares / norms(shares)
    # Not as a product of matrices: that rounds otherwise for other numbers of positions.
    total = torch.zeros(len(weights), normal.shape[1], dtype=torch.float64)
    for share, latent in zip(shares.T, different, strict=True):
        if share.any():  # of thousands of keyframes only those near by count
            total += share[:, None] * latent
    return from_normal(space, total, keyframes)


def norms(rows: Tensor) -> Tensor:
    """Norms (N, 1) of rows (N, d)."""
    return sums(rows.square()).sqrt()


def sums(rows: Tensor) -> Tensor:
    """Sums (N, 1) over rows (N, d), by folding them in half again and again.

    torch's own sum adds in another order where there is a single row, or more threads; the last bit then differs.
    """
    while (width := rows.shape[1]) > 1:
        half = width // 2
        folded = rows[:, :half] + rows[:, half : 2 * half]
        rows = torch.cat([folded, rows[:, 2 * half :]], dim=1)  # of an odd number one is left over
    return rows


def require_round(space: LatentSpace, path: str) -> None:
    """Refuse a path that goes in circles about the origin where latents are flat.

    Raises:
        RecipeError: The prior is learned.
    """
    if space.prior == "learned":
        raise RecipeError(
            f"{path} turns latents about the origin, and those of this generator, which a mapping has learnt, do not "
            "lie around it",
            place="path",
            remedy='Choose path = "straight", "spline", "noise-loop" or "orbit".',
        )
