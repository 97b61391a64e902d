"""Augmentation of what the critic sees, for small data sets: DiffAugment, and its adaptive sister ADA."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from artgen import Component, Options, hookimpl

ARTGEN_API = 1

Word = Literal["flip", "color", "translation", "cutout", "affine"]


class DiffAugmentOptions(Options):
    """The defaults are DiffAugment's own; every amount is drawn evenly, from minus to plus its half-range.

    A small budget wants less: brightness 0.1, saturation 0.4, contrast 0.2, and no cutout.
    """

    policy: list[Word] = Field(["color", "translation", "cutout"], min_length=1)
    """What is done, in this order. Neighbours among flip, translation and affine are done as one movement."""
    brightness: float = Field(0.5, ge=0, le=2)
    """`color`: half-range of what is added to each pixel, where pictures lie in [-1, 1]."""
    saturation: float = Field(1.0, ge=0, le=1)
    """`color`: half-range of the factor about 1 that scales each pixel's distance from its own grey."""
    contrast: float = Field(0.5, ge=0, le=1)
    """`color`: half-range of the factor about 1 that scales the distance from the picture's mean."""
    translation: float = Field(0.125, ge=0, le=0.5)
    """`translation`: half-range in shares of each side; what is uncovered is 0, the middle grey."""
    cutout: float = Field(0.5, ge=0, le=1)
    """`cutout`: share of each side that the grey patch takes up; it may hang over the edge."""
    rotation_degrees: float = Field(10.0, ge=0, le=180)
    """`affine`: half-range of the angle. On CUDA its grid_sample makes two runs differ in their last bits."""
    scale: float = Field(0.1, ge=0, le=0.9)
    """`affine`: half-range of the size, a factor about 1."""

    @field_validator("policy")
    @classmethod
    def _each_word_once(cls, policy: list[Word]) -> list[Word]:
        if len(set(policy)) < len(policy):
            raise ValueError(f"policy {policy} names an operation twice")
        return policy


class AdaOptions(DiffAugmentOptions):
    """As `diffaugment`, but each operation befalls a picture only with the probability that the critic calls for."""

    policy: list[Word] = Field(["flip", "translation", "affine", "color"], min_length=1)
    """What is done, in this order. Neighbours among flip, translation and affine are done as one movement."""
    target: float = Field(0.6, ge=-1, le=1)
    """Mean sign of the critic's scores of real pictures to which the probability is steered; 1 is full overfitting."""
    adaptation_images: int = Field(500_000, ge=1)
    """Images shown, over all processes, in which the probability can go from 0 to 1. After a transfer: 100_000."""
    interval: int = Field(4, ge=1)
    """Steps between two moves of the probability."""


@hookimpl
def artgen_augmentations() -> list[Component]:
    return [
        Component(
            kind="augment",
            name="diffaugment",
            summary="The same mild changes to all real and made pictures (DiffAugment, Zhao et al. 2020)",
            options=DiffAugmentOptions,
            factory="artgen_augment.policies:DiffAugment",
        ),
        Component(
            kind="augment",
            name="ada",
            summary="Changes as often as the critic overfits (adaptive augmentation, Karras et al. 2020)",
            options=AdaOptions,
            factory="artgen_augment.policies:AdaptiveAugment",
        ),
    ]
