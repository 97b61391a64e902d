"""What made pictures get back from their contents: colours and transparency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.data import Pictures
from artgen.data.pixels import to_float
from artgen_pictures.colours import LUMA


@dataclass(frozen=True, eq=False)
class Finish:
    """Called with made pictures and the place of the first of them, as `Repainting.finish` is.

    Args:
        colours: (N, H, W, 3), whose chroma the made pictures get: I and Q of YIQ. None: they keep their own.
        alpha: (N, H, W), how opaque they are. None: they are.
    """

    colours: Pictures | None
    alpha: NDArray[np.uint8] | None

    def __call__(self, made: Tensor, first: int) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] -> (N, 3 or 4, H, W) in [-1, 1], alpha last."""
        here = slice(first, first + len(made))
        if self.colours is not None:
            content = _fitted(self.colours[here].transpose(0, 3, 1, 2), made)
            made = (_luma(made) + content - _luma(content)).clamp(-1, 1)
        if self.alpha is not None:
            made = torch.cat([made, _fitted(self.alpha[here, None], made)], dim=1)
        return made


def _fitted(pictures: NDArray[np.uint8], made: Tensor) -> Tensor:
    """Bytes (N, C, H, W) as floats in [-1, 1], of the size of what was made and where that is."""
    floats = to_float(torch.from_numpy(np.ascontiguousarray(pictures)).to(made.device))
    return interpolate(floats, size=tuple(made.shape[2:]), mode="area").to(made.dtype)


def _luma(pictures: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, dtype=pictures.dtype, device=pictures.device)
    return (pictures * weights[:, None, None]).sum(dim=1, keepdim=True)
