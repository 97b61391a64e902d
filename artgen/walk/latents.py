"""From positions of a walk to latents: keyframes, the path through them, truncation, parts that stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path as FilePath

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from artgen.data.images import shown
from artgen.errors import DataError, RecipeError
from artgen.rng import derived_seed
from artgen.training import LatentSpace
from artgen.videos import KeyframeOptions, VideoOptions
from artgen.walk.curves import Curve
from artgen.walk.path import Path
from artgen.walk.prior import from_normal, to_normal

Draw = Callable[[int, int], Tensor]
"""`draw(count, seed)`: the first `count` latents of `artgen sample --seed`, (count, *shape)."""

_NAME = "latent"
"""Of the tensor of a file that holds several."""


class Walk:
    """A film's way through a latent space: the latents that it shows at each position.

    Args:
        options: The film's table: keyframes, seed, grid, truncation, mix.
        path: How keyframes are connected.
        space: Where they lie.
        draw: Gives latents by seed and number.

    Raises:
        DataError: A file of latents cannot be read, or does not fit the space.
        RecipeError: The path needs more keyframes, or it, the truncation or the mix has no meaning in this space.
    """

    def __init__(self, options: VideoOptions, path: Path, space: LatentSpace, draw: Draw) -> None:
        self.path, self.space = path, space
        self.loops = path.loops
        """After the last frame comes the first."""
        self.keyframes = torch.stack(_keyframes(options, space, draw))  # (cells, K, *shape)
        count = self.keyframes.shape[1]
        if count < path.fewest:
            raise RecipeError(
                f"its path needs {path.fewest} keyframes, found {count}",
                place="keyframes",
                remedy=f"Write keyframes = {path.fewest}, or more.",
            )
        self.knots: NDArray[np.float64] = path.knots(count).double().numpy()
        """Positions where its stretches begin: those of the keyframes, if the path comes by them in turn."""
        self._truncation = _truncation(options, space, path.loops)
        self._middle = None if self._truncation is None else space.middle()
        if unknown := [part for part in options.mix if part not in space.parts]:
            raise RecipeError(
                f"its generator's latents have no part {', '.join(unknown)}" if space.parts else
                "its generator's latents have no parts",
                place="mix",
                remedy=f"Parts are: {', '.join(space.parts)}." if space.parts else "Take mix away.",
            )  # fmt: skip
        self._kept = {part: draw(1, seed)[0].detach().double() for part, seed in options.mix.items()}
        self.latents(torch.zeros(1))  # so that what has no meaning is told before any picture is made

    def latents(self, positions: Tensor) -> Tensor:
        """Latents (N, cells, *shape), row by row of the grid, at positions (N,), in fp32 on the CPU.

        Each depends on its own position only, bit for bit.
        """
        cells = [self.path(self.space, keyframes, positions) for keyframes in self.keyframes]
        latents = torch.stack(cells, dim=1)  # (N, cells, *shape), float64
        if self._middle is not None and self._truncation is not None:
            share = torch.from_numpy(self._truncation(positions.double().numpy()))
            middle = self._middle.double()
            latents = middle + share.view(-1, *[1] * (latents.dim() - 1)) * (latents - middle)
        if self._kept:
            for part, kept in self._kept.items():
                latents[:, :, self.space.parts[part]] = kept[self.space.parts[part]]
            if self.space.prior == "sphere":  # of two norms neither fits any more
                flat = to_normal(self.space, latents.flatten(0, 1))
                latents = from_normal(self.space, flat, latents).view_as(latents)
        return latents.float()


def _keyframes(options: VideoOptions, space: LatentSpace, draw: Draw) -> list[Tensor]:
    """Keyframes (K, *shape) in float64 of each cell of the grid.

    Those of a cell follow from the seed and its number alone, so that a walk stays when the grid grows below it.
    """
    if not isinstance(options.keyframes, int):
        return [torch.stack([_named(keyframe, space, draw) for keyframe in options.keyframes]).double()]
    columns, rows = options.grid
    seeds = [derived_seed(options.seed, "walk", cell) for cell in range(columns * rows)]
    return [draw(options.keyframes, seed).detach().double() for seed in seeds]


def _named(keyframe: KeyframeOptions, space: LatentSpace, draw: Draw) -> Tensor:
    if keyframe.seed is not None:
        return draw(keyframe.index + 1, keyframe.seed)[keyframe.index].detach()
    return read_latent(keyframe.file, keyframe.index, space)


def read_latent(file: str, index: int, space: LatentSpace) -> Tensor:
    """A latent (*shape) of a .safetensors file, which may be anybody's.

    Args:
        file: Holds one tensor, or one of the name `latent`: a latent, or several, (n, *shape).
        index: Which of several.
        space: Where it has to lie; on a sphere it is brought to the norm of the others.

    Raises:
        DataError: It cannot be read, has another shape, or is no latent of this space.
    """
    try:
        if not FilePath(file).is_file():  # a pipe would be waited for
            raise _unusable(file, "there is no such file")
        with safe_open(file, framework="pt") as opened:
            names = list(opened.keys())
            name = names[0] if len(names) == 1 else _NAME
            if name not in names:
                raise _unusable(file, f"it holds {len(names)} tensors, and none of them is called '{_NAME}'")
            tensor = opened.get_slice(name)
            found, wanted = tuple(tensor.get_shape()), tuple(space.shape)
            if found[-len(wanted) :] != wanted or len(found) > len(wanted) + 1:
                raise _unusable(
                    file,
                    f"tensor '{name}' is {list(found)}, and latents of this generator are {list(wanted)}, several of "
                    f"them {['n', *wanted]}".replace("'n'", "n"),
                )
            count = 1 if found == wanted else found[0]
            if index >= count:
                raise _unusable(file, f"it holds {count} latents, counted from 0, and none has the index {index}")
            latent: Tensor = opened.get_tensor(name) if found == wanted else tensor[index : index + 1][0]
    except (OSError, ValueError, SafetensorError) as error:
        raise _unusable(file, f"it cannot be read: {error}") from error
    if not latent.is_floating_point() or not latent.isfinite().all():
        raise _unusable(file, f"tensor '{name}' holds something else than finite floating-point numbers")
    latent = latent.double()
    if space.prior == "uniform" and (most := float(latent.abs().max())) > 1:
        raise _unusable(file, f"its numbers go up to {most:.4g}, and latents of this generator lie in -1 to 1")
    if space.prior == "sphere":
        if not latent.any():
            raise _unusable(file, "its latent is 0, and those of this generator lie on a sphere around it")
        latent = from_normal(space, to_normal(space, latent[None]), latent)[0]
    return latent


def _unusable(file: str, cause: str) -> DataError:
    return DataError(
        f"it is no latent to walk by: {cause}",
        place=shown(file),
        remedy="Save one as the only tensor of a .safetensors file, or name a seed: { seed = 7 }.",
    )


def _truncation(options: VideoOptions, space: LatentSpace, loops: bool) -> Curve | None:
    """Share of the way from the middle of the space at each position; None: all of it everywhere.

    Raises:
        RecipeError: There is no middle, or nothing beyond all of it.
    """
    values: Sequence[float] = options.truncation if isinstance(options.truncation, tuple) else (options.truncation,)
    if all(value == 1 for value in values):
        return None
    if space.prior == "sphere":
        raise RecipeError(
            "the latents of its generator lie on a sphere, which has no middle to draw them to",
            place="truncation",
            remedy="Take truncation away: it is for generators whose prior is gaussian, uniform or learned.",
        )
    if space.prior == "uniform" and max(values) > 1:
        raise RecipeError(
            f"truncation = {max(values):g} leads out of the cube that the latents of its generator fill",
            place="truncation",
            remedy="Keep to 0 to 1.",
        )
    places = np.arange(len(values)) / max(1, len(values) if loops else len(values) - 1)
    return Curve(places, np.array(values, dtype=np.float64), period=1.0 if loops else None)
