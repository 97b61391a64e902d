"""The canvas: a generator whose only parameters are the pictures that it makes (Gatys et al. 2016)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from artgen.training import Batch, Generator, Size
from artgen_style import CanvasOptions


class Canvas(Generator):
    """T pictures, (T, 3, H, W) in [-1, 1]; as many as the data set has contents. A phase resizes them."""

    takes = "nothing"
    grows = True

    def __init__(self, options: CanvasOptions, size: Size) -> None:
        super().__init__()
        self.options = options
        self.pixels = nn.Parameter(torch.zeros(1, 3, *size))

    def start(self, batch: Batch) -> None:
        """Paint the first coat: what the batch begins with, the contents, or noise."""
        contents = batch.real
        if batch.start is not None:
            first = batch.start.expand_as(contents)
        elif self.options.start == "content":
            first = contents.clone()
        elif self.options.start == "style":
            first = _style_noise(batch)
        else:
            first = 0.25 * torch.randn_like(contents[:1]).expand_as(contents)  # Gatys et al. begin with white noise
        if is_grey(batch):
            first = greyed(first)
        self.pixels = nn.Parameter(first.clamp(-1, 1).contiguous())

    def begin(self, size: Size) -> None:
        if self.pixels.shape[2:] != tuple(size):
            self.pixels = nn.Parameter(enlarged(self.pixels.data, size).clamp(-1, 1))

    def forward(self, given: None) -> Tensor:
        return self.pixels

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # Only a checkpoint knows how many pictures there are, and of which shape, to somebody who opens a run.
        saved = state_dict.get(f"{prefix}pixels")
        if isinstance(saved, Tensor) and saved.dim() == 4 and saved.shape != self.pixels.shape:
            self.pixels = nn.Parameter(torch.empty_like(saved, device=self.pixels.device))
        super()._load_from_state_dict(state_dict, prefix, *others)


def enlarged(pictures: Tensor, size: Size) -> Tensor:
    """Pictures (T, 3, h, w) at another size, (T, 3, *size), smooth."""
    return interpolate(pictures, size=tuple(size), mode="bicubic", antialias=True)


def is_grey(batch: Batch) -> bool:
    """Whether contents and styles are grey. Then only lightness is painted: losses compare colours relative to those of
    the style, so that where this has none, nothing else would count.
    """
    pictures = [batch.real, *(style.picture for style in batch.styles)]
    return all(bool((picture - picture[:, :1]).abs().max() < 1 / 255) for picture in pictures)


def greyed(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) whose three colours are their mean."""
    return pictures.mean(dim=1, keepdim=True).expand_as(pictures)


def _style_noise(batch: Batch) -> Tensor:
    """Noise with the mean and the deviations of the styles' colours, one for all frames, (T, 3, H, W)."""
    pixels = torch.cat([style.picture.flatten(2) for style in batch.styles], dim=2)  # (1, 3, positions)
    noise = torch.randn_like(batch.real[:1])
    return (pixels.mean(dim=2)[..., None, None] + noise * pixels.std(dim=2)[..., None, None]).expand_as(batch.real)
