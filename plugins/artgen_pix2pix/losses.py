"""How far a made picture is from the true one: pure functions of `Outputs`, for the generator only."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen import LossOptions
from artgen.training import Outputs


class L1:
    """The mean absolute difference of values (Isola et al. 2017, eq. 3)."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.made is not None  # the core compared `needs` with `gives` when the run was built
        assert outputs.target is not None
        return _difference(outputs.made, outputs.target)


class Perceptual:
    """The mean absolute difference of activations in a frozen network, added up over its layers.

    After Johnson et al. 2016 (section 3.2). Differs from the paper: absolute differences, which blur less than squares
    for the reason that L1 does, and all layers of the feature network, each by its mean, so none counts more for being
    large.
    """

    def __init__(self, options: LossOptions) -> None:
        pass

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.made is not None
        assert outputs.target is not None
        assert outputs.features is not None
        with torch.no_grad():
            wanted = outputs.features(outputs.target)
        layers = zip(outputs.features(outputs.made), wanted, strict=True)
        return torch.stack([_difference(made, target) for made, target in layers]).sum()


def _difference(made: Tensor, target: Tensor) -> Tensor:
    """In fp32 at least: under autocast both may come in bf16."""
    dtype = torch.promote_types(made.dtype, torch.float32)
    return (made.to(dtype) - target.to(dtype)).abs().mean()
