"""What augmentation costs: each operation here against kornia's containers, and its share of a training step.

    python benchmarks/augmentation.py

One thread, 64 px, fp32; median milliseconds of a draw and its application, then of the same with the gradient of the
pictures. A step augments three times: real and made pictures for the critic, made ones with gradient for the generator.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import kornia.augmentation as K
import torch
from torch import Tensor

from artgen_augment import DiffAugmentOptions, Word
from artgen_augment.policies import DiffAugment

STEP_MS = 54.0
"""A DCGAN-64 step at batch 16 on one core of the machine the small recipes were tuned on."""

Transform = Callable[[Tensor], Tensor]


def milliseconds(work: Callable[[], object], repeats: int = 41) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def with_gradient(transform: Transform, pictures: Tensor) -> Callable[[], object]:
    """One application and the gradient of its sum."""
    pictures = pictures.clone().requires_grad_()
    return lambda: torch.autograd.grad(transform(pictures).sum(), pictures)


def kornia_forms() -> dict[Word, list[Any]]:
    """The nearest augmentations of kornia's own containers."""
    still = {"degrees": 0.0, "padding_mode": "zeros", "p": 1.0}
    return {
        "flip": [K.RandomHorizontalFlip(p=0.5)],
        "color": [K.ColorJiggle(brightness=0.2, contrast=0.5, saturation=1.0, p=1.0)],
        "translation": [K.RandomAffine(translate=(0.125, 0.125), **still)],
        "cutout": [K.RandomErasing(scale=(0.25, 0.25), ratio=(1.0, 1.0), p=1.0)],
        "affine": [K.RandomAffine(degrees=10.0, scale=(0.9, 1.1), p=1.0)],
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kornia = kornia_forms()
    policies: list[list[Word]] = [[word] for word in kornia]
    policies += [
        ["color", "translation"],
        ["color", "translation", "cutout"],
        ["flip", "translation", "affine", "color"],
    ]
    print(f"{'policy':<34}{'batch':>6}{'kornia':>17}{'artgen':>17}{'of a step':>11}")
    for policy in policies:
        container = K.AugmentationSequential(*(layer for word in policy for layer in kornia[word]), data_keys=["input"])
        ours = DiffAugment(DiffAugmentOptions(policy=policy))
        for batch in (16, 64):
            pictures = torch.rand(batch, 3, 64, 64)
            cells, costs = "", (0.0, 0.0)
            for transform in (container, ours):
                costs = milliseconds(partial(transform, pictures)), milliseconds(with_gradient(transform, pictures))
                cells += f"{costs[0]:>8.2f}{costs[1]:>9.2f}"
            share = f"{(2 * costs[0] + costs[1]) / STEP_MS:>11.1%}" if batch == 16 else ""
            print(f"{'+'.join(policy):<34}{batch:>6}{cells}{share}")


if __name__ == "__main__":
    main()
