"""What a walk through a latent space promises (`artgen.walk.Path`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, get_args

import torch
from scipy.stats import kstest
from torch import Tensor

from artgen.components import Kind
from artgen.errors import RecipeError
from artgen.rng import drawing
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, require, require_finite, same
from artgen.training import LatentSpace, Prior
from artgen.walk.path import Path

_DIMENSIONS, _WALKS = 64, 40
_LEAST_CHANCE = 1e-4
"""Of a walk that keeps to the prior, to look as far from it as this one does."""


class PathContract(ComponentContract):
    """What a path promises. A latent space that it has no meaning in it refuses by a `RecipeError` with a remedy."""

    kind: ClassVar[Kind] = "path"
    keyframes: int = 5
    """How many it is shown."""

    def path(self) -> Path:
        """The path, made from its options."""
        made: Path = self.make()
        return made

    def spaces(self, *shape: int) -> Iterator[LatentSpace]:
        """A latent space of each prior that the path does not refuse."""
        refusals, found = [], 0
        for prior in get_args(Prior):
            learned = prior == "learned"
            space = LatentSpace(shape, prior, torch.nn.Identity() if learned else None, shape if learned else ())
            try:
                self.path()(space, self.drawn(space), torch.zeros(1, dtype=torch.float64))
            except RecipeError as error:
                require(error.remedy, f"It refuses the prior {prior} without saying what to do: give it a `remedy`.")
                refusals.append(f"{prior}: {error}")
            else:
                found += 1
                yield space
        told = "\n".join(refusals)
        require(found, f"It refuses every latent space:\n{told}")

    def drawn(self, space: LatentSpace, seed: int = 0) -> Tensor:
        """Keyframes, the same each time."""
        with drawing(seed, "keyframes"):
            return space.draw(max(self.keyframes, self.path().fewest)).double()

    def test_it_says_how_it_goes(self) -> None:
        """`loops`, `fewest` and `knots` say what a film is to know of it: positions that rise from 0 to 1 at most."""
        path = self.path()
        require(path.loops in (True, False), f"`loops` is {path.loops!r}: say True or False.")
        require(path.fewest >= 1, f"`fewest` is {path.fewest!r}: say how many keyframes, one at least.")
        for count in {path.fewest, path.fewest + 1, 7}:
            knots = path.knots(count)
            require(
                knots.shape in ((count,), (1,)),
                f"{count} keyframes have knots {tuple(knots.shape)}: give a position for each, or the first alone.",
            )
            rising = knots[0] == 0 and bool((knots.diff() > 0).all()) and knots[-1] <= 1
            require(
                rising and not (path.loops and knots[-1] == 1),
                f"Knots of {count} keyframes are {knots.tolist()}: let them rise from 0, to 1 at most; of a loop "
                "1 is 0 again.",
            )

    def test_latents_have_the_form_of_keyframes(self) -> None:
        """Every position gives finite latents of the space's shape and the keyframes' type, and keyframes stay."""
        positions = torch.tensor([0.0, 1e-12, 0.2, 1 / 3, 0.5, 0.999999, 1.0], dtype=torch.float64)
        for space in self.spaces(3, 4):
            for dtype in (torch.float64, torch.float32):
                keyframes = self.drawn(space).to(dtype)
                for at in (positions, positions[:0]):
                    made = self.path()(space, keyframes, at)
                    require(
                        made.shape == (len(at), 3, 4) and made.dtype == dtype,
                        f"Keyframes {tuple(keyframes.shape)} {dtype} give {tuple(made.shape)} {made.dtype} at "
                        f"{len(at)} positions: keep shape and type, as `artgen.walk.prior.from_normal` does.",
                    )
                    require_finite("A latent", made)
                require(
                    torch.equal(keyframes, self.drawn(space).to(dtype)),
                    "It changes the keyframes that it is given: no operation in place.",
                )

    def test_it_draws_nothing(self) -> None:
        """Keyframes and positions are one walk, whatever the seed and however often; other keyframes another."""
        positions = torch.arange(6, dtype=torch.float64) / 6
        path = self.path()
        for space in self.spaces(8):
            torch.manual_seed(1)
            first = path(space, self.drawn(space), positions)
            torch.manual_seed(2)
            require(
                same(first, path(space, self.drawn(space), positions)),
                "One walk has two courses: it must draw nothing, and keep nothing between two calls.",
            )
            require(
                not close(first, path(space, self.drawn(space, seed=1), positions)),
                "Other keyframes give the same walk: it must go by them.",
            )

    def test_a_latent_depends_on_its_own_position_only(self) -> None:
        """To the bit: films are made in pieces, on several machines."""
        positions = torch.arange(37, dtype=torch.float64) / 37
        for space in self.spaces(5, 3):
            keyframes = self.drawn(space)
            together = self.path()(space, keyframes, positions)
            parts = [self.path()(space, keyframes, part) for part in torch.tensor_split(positions, (1, 2, 10))]
            require(
                torch.equal(together, torch.cat(parts)),
                "A latent depends on which others are asked for. Statistics over positions are forbidden, and products "
                "of matrices and sums round otherwise for other numbers of them: combine keyframes by "
                "`artgen.walk.prior.combine`, sum by `artgen.walk.prior.sums`.",
            )

    def test_it_keeps_to_the_prior(self) -> None:
        """At any moment, over many walks, latents are distributed as the generator was trained on."""
        moments = torch.tensor([0.0, 0.1, 0.37, 0.63], dtype=torch.float64)
        advice = "combine keyframes by `artgen.walk.prior.combine`, which mends the variance."
        for space in self.spaces(_DIMENSIONS):
            if space.prior == "learned":
                continue
            walks = torch.stack([self.path()(space, self.drawn(space, seed), moments) for seed in range(_WALKS)])
            norms = walks.norm(dim=2)
            require(
                space.prior != "sphere" or close(norms, torch.full_like(norms, _DIMENSIONS**0.5)),
                f"Latents of a sphere have norms {norms.min():.4g} to {norms.max():.4g}, not {_DIMENSIONS**0.5:.4g}: "
                "bring them back by `artgen.walk.prior.from_normal`.",
            )
            require(
                space.prior != "uniform" or walks.abs().max() <= 1,
                f"Uniform latents go up to {walks.abs().max():.4g}: {advice}",
            )
            wanted = ("uniform", (-1, 2)) if space.prior == "uniform" else ("norm", (0, 1))
            for moment, latents in zip(moments.tolist(), walks.unbind(1), strict=True):
                chance = kstest(latents.flatten().numpy(), *wanted).pvalue
                require(
                    chance > _LEAST_CHANCE,
                    f"At position {moment:g} latents of a {space.prior} prior, which have a deviation of "
                    f"{latents.std():.4g}, are not distributed as those drawn from it: {advice}",
                )

    def test_a_learned_prior_has_no_origin(self) -> None:
        """Where a mapping has learnt the latents, keyframes that are moved together move the walk along."""
        positions = torch.arange(12, dtype=torch.float64) / 12
        for space in self.spaces(8):
            if space.prior == "learned":
                keyframes = self.drawn(space)
                moved = self.path()(space, keyframes + 10, positions)
                require(
                    close(moved, self.path()(space, keyframes, positions) + 10),
                    "Moved keyframes give another walk than the moved one: there weights must add up to 1, and nothing "
                    "may be normalised. Where that has no meaning, call `artgen.walk.prior.require_round`.",
                )

    def test_a_loop_closes(self) -> None:
        """The last position of a loop is the first, and the step over its seam is like those around it."""
        path, frames = self.path(), 960
        if not path.loops:
            return
        for space in self.spaces(16):
            keyframes = self.drawn(space)
            ends = path(space, keyframes, torch.tensor([0.0, 1.0], dtype=torch.float64))
            require(
                close(ends[:1], ends[1:], 1e-9),
                "Position 1 is not where 0 is: close the loop, or say `loops = False`.",
            )
            latents = path(space, keyframes, torch.arange(frames, dtype=torch.float64) / frames)
            steps = latents.roll(-1, 0) - latents  # the last goes over the seam
            turns = (steps - steps.roll(1, 0)).norm(dim=1)  # of velocity, at each frame
            require(
                max(turns[0], turns[-1]) <= 2 * turns[1:-1].max(),
                f"At the seam velocity jumps by {max(turns[0], turns[-1]) / turns[1:-1].max():.3g} times its largest "
                "change elsewhere: a curve that closes needs conditions that are periodic, not those of open ends.",
            )

    def test_it_goes_without_a_leap(self) -> None:
        """Twice as many frames take smaller steps; and it does not stand still."""
        for space in self.spaces(16):
            keyframes = self.drawn(space)

            def largest(frames: int, space: LatentSpace = space, keyframes: Tensor = keyframes) -> float:
                latents = self.path()(space, keyframes, torch.arange(frames, dtype=torch.float64) / frames)
                return float(latents.diff(dim=0).norm(dim=1).max())

            coarse, fine = largest(600), largest(2400)
            require(coarse > 0, "All latents of the walk are one: it must go somewhere.")
            require(
                fine < coarse / 2,
                f"Steps of a 600th are {coarse:.3g} at most, and of a 2400th {fine:.3g}: somewhere it leaps.",
            )
