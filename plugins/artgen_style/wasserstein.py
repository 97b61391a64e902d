"""Style as a Gaussian: how much work it is to turn the activations of a picture into those of the style.

After K. Crowson's style-transfer-pytorch (2023). Letters: m means, C covariances; x the made picture, s the style.
"""

from __future__ import annotations

import torch
from torch import Tensor

from artgen_style.activations import Gathered, StyleLoss, over, weighed


class Wasserstein(StyleLoss):
    """The squared Wasserstein-2 distance of two Gaussians, over the number of channels.

    |m_x - m_s|^2 + tr(C_x + C_s - 2 (C_s^1/2 C_x C_s^1/2)^1/2) (Olkin and Pukelsheim 1982).
    """

    tensors = 3

    def gather(self, activations: Tensor, share: Tensor | None, place: tuple[int, int, int, int] | None) -> Gathered:
        f, weighed_f, count = weighed(activations, share)
        with torch.autocast(f.device.type, enabled=False):
            return weighed_f.mT @ f, weighed_f.sum(dim=1), count

    def distance(self, made: Gathered, style: Gathered) -> Tensor:
        products, m_x, m_s = made[0], over(*made[1:]), over(*style[1:])
        c_x, c_s = covariance(*made), covariance(*style)
        moment = over(style[0], style[2]).diagonal(dim1=1, dim2=2).mean(dim=1)
        # Differs from Crowson: 1e-4 of the style's mean square, not 1e-4, so that any network will do.
        epsilon = (1e-4 * moment.double()).clamp(min=1e-12)
        distance = (m_x - m_s).square().sum(dim=1) + bures(c_x, c_s, epsilon).to(products.dtype)
        return torch.where((made[2] > 0) & (style[2] > 0), distance / products.shape[1], 0)


def covariance(products: Tensor, sums: Tensor, count: Tensor) -> Tensor:
    """Covariances (N, C, C) in float64 of sums of f f^T, of f, and of weights."""
    m = over(sums.double(), count.double())
    return over(products.double(), count.double()) - m[:, :, None] * m[:, None, :]


def bures(c_x: Tensor, c_s: Tensor, epsilon: Tensor) -> Tensor:
    """tr(C_x + C_s - 2 (C_s^1/2 C_x C_s^1/2)^1/2) of covariances (N or 1, C, C) plus epsilon (1,) times the identity.

    In float64: the eigenvalues are those of a product of two matrices, and run over twice the orders of magnitude. With
    L L^T = C_s they are those of L^T C_x L, so no root of C_s is needed; and the trace is the sum of their roots, whose
    gradient, unlike that of a root of a matrix, divides by no difference of eigenvalues.
    """
    identity = epsilon[:, None, None] * torch.eye(c_x.shape[1], dtype=c_x.dtype, device=c_x.device)
    c_x, c_s = c_x + identity, c_s + identity
    lower = torch.linalg.cholesky_ex(c_s).L
    eigenvalues = torch.linalg.eigvalsh(lower.mT @ c_x @ lower)  # epsilon^2 at least, but for rounding
    roots = torch.maximum(eigenvalues, (0.5 * epsilon[:, None]).square()).sqrt()
    traces = (c_x + c_s).diagonal(dim1=1, dim2=2).sum(dim=1)
    return traces - 2 * roots.sum(dim=1)
