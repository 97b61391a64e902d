"""The critic (discriminator) of pix2pix: a score for every patch (Isola et al. 2017, sections 3.2.2 and 6.1.2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from artgen import RecipeError
from artgen.training import Critic, Size
from artgen_pix2pix import CriticOptions


class PatchGAN(Critic):
    """A picture behind its source (N, 6, H, W), or alone (N, 3, H, W) -> logits (N, 1, h, w), one for each patch."""

    def __init__(self, options: CriticOptions, size: Size) -> None:
        super().__init__()
        self.judges = "pair" if options.conditional else "picture"
        self.channels = 6 if options.conditional else 3
        halvings = _halvings(options, size)
        kernel = 4 if halvings else 1
        # C64-C128-C256-C512: all levels halve but the last; patches of single pixels have two levels and no halving.
        widths = [min(options.width * 2**i, options.widest) for i in range(max(halvings, 1) + 1)]
        levels: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([self.channels, *widths])):
            stride, padding = (2 if i < halvings else 1), (1 if halvings else 0)
            norm = _norm(after, options) if i > 0 else []
            bias = not norm
            levels += [nn.Conv2d(before, after, kernel, stride, padding, bias=bias), *norm, nn.LeakyReLU(0.2)]
        levels.append(nn.Conv2d(widths[-1], 1, kernel, padding=1 if halvings else 0))
        self.levels = nn.Sequential(*levels)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Score.

        Raises:
            RecipeError: It judges pairs and is shown pictures, or the other way round.
        """
        if x.shape[1] != self.channels:
            raise RecipeError(
                f"this critic scores {self.channels} channels and was shown {x.shape[1]}",
                place="critic.patchgan",
                remedy="With `conditional = false` it scores pictures alone, otherwise pairs, for a trainer of pairs.",
            )
        logits: Tensor = self.levels(x)
        return logits


def _halvings(options: CriticOptions, size: Size) -> int:
    """How many levels halve: after n, a patch has 9 * 2^n - 2 pixels a side.

    Raises:
        RecipeError: No patch is left of a picture of this size.
    """
    if options.receptive_field_px == 1:
        return 0
    wanted = max(size) if options.receptive_field_px == "whole" else options.receptive_field_px
    halvings = 1
    while 9 * 2**halvings - 2 < wanted:
        halvings += 1
    if min(size) < 3 * 2**halvings:  # the two last levels take a pixel each
        raise RecipeError(
            f"patches of {9 * 2**halvings - 2} px cannot be laid on pictures of {size} px",
            place="critic.patchgan.receptive_field_px",
            remedy=f"Both sides must be {3 * 2**halvings} px or more; or choose a smaller field.",
        )
    return halvings


def _norm(channels: int, options: CriticOptions) -> list[nn.Module]:
    match options.norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "instance":
            return [nn.InstanceNorm2d(channels, affine=True)]
    return []


def _initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02), those of a norm from N(1, 0.02) (section 6.2, and the authors' code)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
