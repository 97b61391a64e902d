"""Which operations befall which pictures: always (DiffAugment), or as often as the critic overfits (ADA)."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from artgen.distributed import mean_over_ranks_, world_size
from artgen.training import Augmentation
from artgen_augment import AdaOptions, DiffAugmentOptions
from artgen_augment.operations import color, cutout, move

Draw = dict[str, Tensor]
"""Word of the policy -> amounts (N, k); 0 changes nothing."""


class DiffAugment(Augmentation):
    """Differentiable augmentation of all pictures, real and made (Zhao et al. 2020, "Differentiable Augmentation for
    Data-Efficient GAN Training").

    Differs from the paper: a translation is drawn in shares of the side and rounded to whole pixels where it is
    applied, so that one draw serves every level of a pyramid; the two farthest steps then come half as often as others.
    """

    middle: Tensor
    half_range: Tensor

    def __init__(self, options: DiffAugmentOptions) -> None:
        super().__init__()
        o = options
        ranges = {  # word -> for each amount, the middle and half-range it is drawn from
            "flip": [(0.0, 1.0)],
            "color": [(0.0, o.brightness), (0.0, o.saturation), (0.0, o.contrast)],
            "translation": [(0.0, o.translation), (0.0, o.translation)],
            "cutout": [(0.0, 1.0), (0.0, 1.0), (o.cutout, 0.0)],
            "affine": [(0.0, o.rotation_degrees), (0.0, o.scale)],
        }
        self.columns: dict[str, slice] = {}
        rows: list[tuple[float, float]] = []
        for word in o.policy:
            self.columns[word] = slice(len(rows), len(rows) + len(ranges[word]))
            rows += ranges[word]
        table = torch.tensor(rows)
        self.register_buffer("middle", table[:, 0], persistent=False)
        self.register_buffer("half_range", table[:, 1], persistent=False)
        moves = {"flip", "translation", "affine"}
        self.passes = [tuple(words) for _, words in groupby(o.policy, lambda word: "move" if word in moves else word)]

    def draw(self, count: int, device: torch.device) -> Draw:
        """Draw for each picture the amounts of each operation, evenly from their ranges."""
        even = torch.rand(count, len(self.middle), device=device) * 2 - 1
        amounts = self.middle + self.half_range * even
        return {word: amounts[:, columns] for word, columns in self.columns.items()}

    def apply_draw(self, pictures: Tensor, drawn: Draw) -> Tensor:
        """Apply a draw to pictures (N, 3, H, W) of any size and floating dtype."""
        with torch.autocast(pictures.device.type, enabled=False):  # it would turn fp32 pictures into bf16
            for words in self.passes:
                if words == ("color",):
                    pictures = color(pictures, drawn["color"])
                elif words == ("cutout",):
                    pictures = cutout(pictures, drawn["cutout"])
                else:
                    pictures = move(pictures, {word: drawn[word] for word in words})
        return pictures


class AdaptiveAugment(DiffAugment):
    """Adaptive discriminator augmentation (Karras et al. 2020, "Training Generative Adversarial Networks with Limited
    Data", section 3): each operation befalls a picture with probability p, and p follows how much the critic overfits.

    The measure of it is r_t = E[sign(D(real))] (equation 1). Every `interval` steps p moves up where r_t is above the
    target and down where it is below, so fast that it can go from 0 to 1 in `adaptation_images`.

    Differs from the paper: the operations and their ranges are DiffAugment's, a subset of the paper's; and p is bounded
    to 1, which NVlabs' code leaves open.
    """

    probability: Tensor
    signs: Tensor
    images: Tensor
    steps: Tensor
    coin: Tensor

    def __init__(self, options: AdaOptions) -> None:
        super().__init__(options)
        self.target, self.adaptation_images, self.interval = options.target, options.adaptation_images, options.interval
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))  # sum of the signs since p last moved, a process
        self.register_buffer("images", torch.zeros(()))  # and of how many pictures
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        # One coin for each operation of the paper: three in `color`, two in `affine`; of other words the first amount's
        # coin holds for all their amounts.
        coin = torch.arange(len(self.middle))
        for word in self.columns.keys() - {"color", "affine"}:
            coin[self.columns[word]] = self.columns[word].start
        self.register_buffer("coin", coin, persistent=False)

    def draw(self, count: int, device: torch.device) -> Draw:
        """As `DiffAugment.draw`, with each operation left out of a picture with probability 1 - p."""
        drawn = super().draw(count, device)
        happens = torch.rand(count, len(self.coin), device=device)[:, self.coin] < self.probability
        return {word: amounts * happens[:, self.columns[word]] for word, amounts in drawn.items()}

    @torch.no_grad()
    def observe(self, real_logits: Tensor) -> None:
        """Take in the critic's scores (N, ...) of real pictures, as many in each process, and move p when it is due.

        Scores that are not numbers count as 0. Nothing is read on the host, so p is computed at every step and only
        taken over when due.
        """
        count = len(real_logits)
        sign = mean_over_ranks_(real_logits.float().sign().nan_to_num().mean())
        self.signs += sign * count
        self.images += count
        self.steps += 1
        due = self.steps % self.interval == 0
        pace = self.images * world_size() / self.adaptation_images
        moved = self.probability + (self.signs / self.images - self.target).sign() * pace
        self.probability.copy_(torch.where(due, moved.clamp(0, 1), self.probability))
        self.signs *= ~due
        self.images *= ~due
