"""Style transfer as a game of one: the pictures themselves go down the gradient of the losses (Gatys et al. 2016).

In every step, of pictures x with contents c and styles s: the activations F(x) are measured, and what is measured is
compared with what was measured in s, once a phase. Coarse pictures come first; the optimizer of the next size goes on
with the moments of the last one, enlarged (as crowsonkb/style-transfer-pytorch does).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from artgen import RecipeError
from artgen.training import Batch, Clock, Film, Motion, Parts, Phase, Size
from artgen_style import CanvasTrainerOptions
from artgen_style.canvas import Canvas, enlarged, greyed, is_grey
from artgen_style.flow import motion_between, warp
from artgen_style.look import Look

_MOST_LOOKS = 25
"""How often a line search takes the losses, at most."""


class CanvasTrainer:
    """Adam with a falling rate, whose pixels stay within [-1, 1]; or L-BFGS, whose pixels are clipped only to be shown,
    for its line search has to find what the gradient promised."""

    batches_per_step = 1
    optimizer: torch.optim.Adam | torch.optim.LBFGS

    def __init__(self, options: CanvasTrainerOptions, parts: Parts) -> None:
        if not isinstance(parts.generator, Canvas):
            raise RecipeError(
                "the trainer 'canvas' moves the pixels of a canvas, and this generator is none",
                place="generator",
                remedy="Choose [generator.canvas].",
            )
        self.options, self.canvas, self.losses, self.update = options, parts.generator, parts.losses, parts.update
        self.look = Look(parts.features, parts.augment, parts.losses)
        self.splits_pictures = self.look.splits
        self.begun: Phase | None = None
        self.seen: Batch | None = None

    def begin(self, phase: Phase) -> None:
        before = None if self.begun is None else self.optimizer
        self.begun, self.seen = phase, None
        self.seed = int(torch.randint(2**62, ()))  # a resumed run, whose first step is another, has the same
        if before is not None and before.param_groups[0]["params"][0] is self.canvas.pixels:
            return
        if self.options.optimizer == "lbfgs":
            self.optimizer = torch.optim.LBFGS(
                [self.canvas.pixels],
                lr=1.0,
                max_iter=1,  # a step of the clock is one iteration,
                max_eval=1 + _MOST_LOOKS,  # whose line search ends where it began if it may not look at several places
                history_size=self.options.history,
                tolerance_grad=0,
                tolerance_change=0,
                line_search_fn="strong_wolfe",
            )
        else:
            rate, betas = self.options.learning_rate, self.options.betas
            self.optimizer = torch.optim.Adam([self.canvas.pixels], lr=rate, betas=betas, fused=True)
            if before is not None and self.options.warm_start:
                _take_over_moments(before, self.optimizer)

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        assert self.begun is not None
        if batch is not self.seen:
            self._meet(batch, self.begun)
        self._set_learning_rate(clock)
        self.look.draw(batch)
        terms: dict[str, Tensor] = {}

        def loss() -> Tensor:
            x = greyed(self.canvas(None)) if self.grey else self.canvas(None)
            judged = replace(self.look.at(x), styles=self.wanted, motion=self._motion(x))
            total, values = self.losses("generator", judged, clock.steps)
            terms.update(terms or values)  # of a line search those that it began with
            return total

        if self.options.optimizer == "lbfgs":
            seed = int(torch.randint(2**62, ()))

            def again() -> Tensor:
                with _drawing(seed, batch.real.device):  # a line search compares values, so all are of one draw
                    return loss()

            norm = self.update(self.optimizer, again)
        else:
            norm = self.update(self.optimizer, loss())
            with torch.no_grad():
                self.canvas.pixels.clamp_(-1, 1)
        return terms | {"generator/gradient_norm": norm}

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def _meet(self, batch: Batch, phase: Phase) -> None:
        """Measure the styles, and follow what moves from frame to frame: once a phase."""
        self.seen, self.grey = batch, is_grey(batch)
        with _drawing(self.seed, batch.real.device):
            self.wanted = self.look.begin(batch, phase.pieces)
        self.flow: tuple[Tensor, Tensor] | None = None
        if batch.film is not None and self.losses.need("generator", "motion"):
            self.flow = motion_between(_frames(batch.real, batch.film, 0), loops=batch.film.loops)

    def _motion(self, x: Tensor) -> Motion:
        """Each made frame where the flow of the contents takes it, beside the frame that follows; none of pictures."""
        if self.flow is None or self.seen is None or self.seen.film is None:
            return Motion(x[:0], x[:0], x[:0, :1])
        grid, trusted = self.flow
        frames = _frames(x, self.seen.film, 1)
        following = frames.roll(-1, dims=0) if self.seen.film.loops else frames[1:]
        return Motion(warp(frames[: len(following)], grid), following, trusted)

    def _set_learning_rate(self, clock: Clock) -> None:
        """Half a cosine from the rate to its last share, within each phase."""
        phase, last = self.begun, self.options.last_rate_share
        assert phase is not None
        share = last + (1 - last) * (1 + math.cos(math.pi * min(1.0, clock.phase_images / phase.images))) / 2
        if self.options.optimizer == "adam":
            for group in self.optimizer.param_groups:
                group["lr"] = self.options.learning_rate * phase.learning_rate_factor * share


@contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from torch's global generators by a seed, then leave them as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _frames(frames: Tensor, film: Film, side: Literal[0, 1]) -> Tensor:
    """Frames (T, 3, H, W), contents (side 0) or made ones (side 1), between their finished neighbours."""
    before, after = ([] if neighbour is None else [neighbour[side]] for neighbour in (film.before, film.after))
    return torch.cat([*before, frames, *after])


def _take_over_moments(before: torch.optim.Optimizer, optimizer: torch.optim.Adam) -> None:
    """Go on with the moments that Adam had at another size; squared ones stay positive."""
    old, new = (each.param_groups[0]["params"][0] for each in (before, optimizer))
    state = before.state.get(old, {})
    if "exp_avg" in state:
        size = Size(*new.shape[2:])
        squared = interpolate(state["exp_avg_sq"], size=tuple(size), mode="bilinear", antialias=True)
        optimizer.state[new] = {  # the fused Adam wants moments that lie in memory as the pixels do
            "step": state["step"].clone(),
            "exp_avg": torch.empty_like(new).copy_(enlarged(state["exp_avg"], size)),
            "exp_avg_sq": torch.empty_like(new).copy_(squared),
        }
