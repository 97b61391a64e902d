"""The contract of a path: from keyframes and positions to latents."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen.training import LatentSpace


class Path:
    """A way through a latent space, past keyframes. Pure mathematics: it knows no network, and draws nothing.

    Positions go from 0 to 1. Of a loop, 1 is where 0 is. Latents follow the prior of their space
    (`artgen.walk.prior` has what is needed for that), and each depends on its own position only, bit for bit.
    """

    loops: bool = True
    """After the last position comes the first."""
    fewest: int = 1
    """How many keyframes it needs."""

    def knots(self, count: int) -> Tensor:
        """Where it comes by the first of `count` keyframes, the second, and so on, (count,) in 0..1, rising from 0.

        Between them lie the stretches that are eased and timed. A path that does not come by its keyframes in turn has
        one stretch, and gives (1,).
        """
        return torch.arange(count, dtype=torch.float64) / max(1, count if self.loops else count - 1)

    def __call__(self, space: LatentSpace, keyframes: Tensor, positions: Tensor) -> Tensor:
        """Latents (N, *space.shape), of the keyframes' type, of keyframes (K, *space.shape) at positions (N,).

        Raises:
            RecipeError: It has no meaning in this space, or for these keyframes.
        """
        raise NotImplementedError
