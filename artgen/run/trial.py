"""A trial step of every phase, before a run starts: what it needs, and whether it fits.

The trial has a job of its own, which is thrown away; the run neither sees nor repeats what happens in it. A batch that
does not fit is taken in pieces (`artgen.run.pieces`), as few as will do.
"""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch

from artgen import distributed
from artgen.data.dataset import Dataset
from artgen.device import Precision, exhaustion
from artgen.errors import ArtgenError, ResourceError, StoppedError
from artgen.isolation import restored
from artgen.recipe import Recipe
from artgen.run.build import Job, build, largest, schedule
from artgen.run.compiling import tell_failure, warm_up
from artgen.run.loop import take_step
from artgen.run.memory import forget_peak, gigabytes, least_bytes, peak_bytes, require, there_bytes
from artgen.run.need import Needs, PhaseNeed
from artgen.run.update import UnsplittableError
from artgen.training import Clock, Phase, Size

log = logging.getLogger(__name__)

_BRIEF_SECONDS = 10.0
"""A phase that is over so soon by its first step is not timed more closely."""
_SLOW_SECONDS = 10.0
"""A step that takes so long is not repeated."""
_TIMED_SECONDS, _TIMED_STEPS = 0.5, 8
_LARGE_BYTES = 1 << 26
"""Below so much nobody's memory is in danger, on a CPU."""
_SHARE_IN_DANGER = 1 / 16  # a step takes up to a dozen times the lower bound of `least_bytes`
_TILE_PX = 64
"""Where a trainer cuts pictures, its tiles are no smaller."""
_SMALL_PIXELS = 1 << 18
"""So many pixels are no danger to a CPU's memory, whatever looks at them."""
_SMALL_TILES = 16
_SMALLEST_PX = 32
"""Features want so many pixels a side."""
_CANVAS_BYTES = 60  # of a pixel of three channels: the picture, its gradient, two moments and the average
_SHARE_USED = 0.8  # of a CPU's memory: the rest is for other programs, and for what the estimate misses


def measure(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    precision: Precision,
    clock: Clock | None = None,
    pieces: Sequence[int] = (),
) -> Needs:
    """Take a trial step of every phase that is not over, and split the batches that do not fit.

    Where several processes train together, only one measures, for its share of the batch: nobody waits for anybody.

    Args:
        recipe: Checked and complete.
        dataset: Its pictures.
        device: Where it trains.
        precision: What it computes in.
        clock: Where a run that goes on stands.
        pieces: In how many pieces its batches were taken before; they are never fewer than that.

    Raises:
        ResourceError: A phase does not fit with one picture at a time, or cannot be split; with the figures.
    """
    clock = clock or Clock()
    processes = distributed.world_size()
    phases = [
        replace(phase, batch=max(1, phase.batch // processes), pieces=count)
        for phase, count in zip(schedule(recipe), pieces or [1] * len(recipe.phases), strict=True)
    ]
    needs: list[PhaseNeed] = []
    if recipe.run.compile:
        warm_up(device)
    # Whatever a step draws or sets, the run finds everything as it was.
    with restored(), restored(draws=False) as changed, distributed.alone():
        trial = _Trial(recipe, dataset, device, precision)
        for phase in phases:
            left = phase.images - (clock.phase_images if phase.index == clock.phase else 0)
            if phase.index >= clock.phase and left > 0:
                cut = phase.pieces > phase.batch  # by a trainer that can
                need = trial.need(phase if cut else replace(phase, pieces=_divisor(phase.batch, phase.pieces)), left)
                if need.phase.pieces > phase.pieces:
                    _tell_split(need.phase, there_bytes(device), trial.splits)
                phases[phase.index] = need.phase
                told = replace(need.phase, batch=recipe.phases[phase.index].batch)
                needs.append(replace(need, phase=told, step_images=need.step_images * processes))
        compiled = trial.compiled and not (trial.job and trial.job.compilation and trial.job.compilation.failed)
        trial.forget()
    if changed and not recipe.run.compile:  # torch's compiler changes some by itself
        plugins = dict.fromkeys(one.component.plugin for several in recipe.chosen().values() for one in several)
        log.warning(
            "a step of this recipe changes %s for the whole process; the plugin that does is one of %s",
            *(", ".join(changed), ", ".join(plugins)),
        )
    pieces = tuple(phase.pieces for phase in phases)
    return Needs(device.type, there_bytes(device), pieces, tuple(needs), compiled)


class _Trial:
    """A job that nobody will miss."""

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device, precision: Precision) -> None:
        self.recipe, self.dataset, self.device, self.precision = recipe, dataset, device, precision
        self.largest, self.repaints = largest(schedule(recipe)), dataset.repainting is not None
        self.period = max((loss.options.every for loss in recipe.losses if loss.options.weight), default=1)
        self.compiled = recipe.run.compile
        self.job: Job | None = None
        self.splits = False
        """Whether the trainer takes pieces by itself, as soon as there is one."""
        self._held: dict[Phase, tuple[int, int, int]] = {}

    def forget(self) -> None:
        """Give the memory back."""
        self.job = None
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()

    def need(self, phase: Phase, images: int) -> PhaseNeed:
        """Measure a phase of which so many images are left, with as few pieces as fit, at least `phase.pieces`."""
        said = ""
        while True:
            try:
                with exhaustion("", ""):
                    return self._tried(phase, images)
            except UnsplittableError as error:
                cause = f"a batch of {phase.batch} cannot be taken in pieces: {error.cause}"
                raise self._refusal(phase, f"{said}; {cause}" if said else cause) from None
            except ResourceError as error:
                said = error.cause
            except StoppedError:
                raise
            except Exception as error:
                if self.compiled and not isinstance(error, ArtgenError):
                    # A network that cannot be compiled is eager by now: this came from its backward pass.
                    tell_failure("the run goes on", error)
                    self.compiled = False
                    self.forget()
                    continue
                if not said or self.splits:
                    raise
                # Batch norm, say, has no use for a piece of one picture.
                few = f"pieces of {phase.batch // phase.pieces} are too small for this recipe: {error}"
                raise self._refusal(phase, f"{said}; {few}") from error
            # Only here, after the error and its frames are gone, nobody holds the tensors any more.
            self.forget()
            gc.collect()
            if phase.pieces >= self._most_pieces(phase):
                at_a_time = "the smallest tiles" if self.splits else "all pictures" if self.repaints else "one picture"
                raise self._refusal(phase, f"{said}, with {at_a_time} at a time")
            phase = replace(phase, pieces=self._more_pieces(phase))

    def _most_pieces(self, phase: Phase) -> int:
        """One picture each; or, where pictures are cut, tiles that are not worth it if they are smaller."""
        if self.splits:
            return phase.batch * max(1, max(phase.size) // _TILE_PX) ** 2
        return 1 if self.repaints else phase.batch  # what is repainted comes whole

    def _more_pieces(self, phase: Phase) -> int:
        """The next number of pieces to try; beyond one for each picture, twice as many tiles along each side."""
        if not self.splits or phase.pieces < phase.batch:
            return _divisor(phase.batch, 2 * phase.pieces)
        return 4 * phase.pieces

    def _refusal(self, phase: Phase, said: str) -> ResourceError:
        there = there_bytes(self.device)
        figures = "" if " GB" in said or there is None else f" (there are {gigabytes(there)} GB of memory)"
        remedy = "Make the networks narrower (width), the pictures smaller (resolution), or the batch smaller."
        if self.repaints:
            remedy = "Make the pictures smaller (resolution)."
            if not self.splits:
                remedy += " Or choose [features] that tell the strides of their layers: these see pictures in tiles."
        return ResourceError(
            f"phase {phase.index + 1} at {phase.size} px does not fit: {said}{figures}",
            place=self.recipe.name,
            remedy=remedy,
        )

    def _tried(self, phase: Phase, images: int) -> PhaseNeed:
        batch, there = max(1, phase.batch // phase.pieces), there_bytes(self.device)
        least = least_bytes(self.recipe, phase, self.largest, batch)
        require(least, there, self.recipe.name)  # before anything is allocated
        if self.job is None:
            self.job = build(self.recipe, self.dataset, self.device, self.precision, compiled=self.compiled)
        self.splits = self.job.splits_pictures
        if self.splits:
            return self._tried_in_tiles(phase, images)
        in_danger = there is not None and least > max(_LARGE_BYTES, _SHARE_IN_DANGER * there)
        if in_danger and self.device.type == "cpu" and batch >= 4 and peak_bytes(self.device) is not None:
            assert there is not None
            least_of_two = least_bytes(self.recipe, phase, self.largest, 2)
            return self._scaled(phase, images, there, (least - least_of_two) / (batch - 2))
        turns = min(phase.pieces, 2)  # all further pieces are like the second
        step_images, seconds = self._steps(replace(phase, batch=batch * turns, pieces=turns), images)
        share = phase.pieces / turns
        return PhaseNeed(phase, images, int(step_images * share), seconds * share, peak_bytes(self.device))

    def _tried_in_tiles(self, phase: Phase, images: int) -> PhaseNeed:
        """Measure a phase of a trainer that cuts pictures; on a CPU only if a small one says that it will fit."""
        there = there_bytes(self.device)
        pixels = phase.batch * phase.size.height * phase.size.width
        if self.device.type == "cpu" and there is not None and pixels > _SMALL_PIXELS:
            require(int(self._estimate(phase) / _SHARE_USED), there, self.recipe.name)
        step_images, seconds = self._steps(phase, images)
        return PhaseNeed(phase, images, step_images, seconds, peak_bytes(self.device))

    def _estimate(self, phase: Phase) -> float:
        """How many bytes a step in so many pieces will hold, by what steps on small pictures held.

        Features look at one piece at a time, but losses on pixels at the whole: so small pictures are taken at once and
        in small tiles.
        """
        pixels = phase.batch * phase.size.height * phase.size.width
        sides = (min(side, max(_SMALLEST_PX, round(side * (_SMALL_PIXELS / pixels) ** 0.5))) for side in phase.size)
        small = replace(phase, size=Size(*sides), pieces=1)
        before, held, seen = self._small(small)
        a_pixel, a_seen_pixel = held / seen, 0.0
        if phase.pieces > 1:
            _, held_in_tiles, seen_in_tiles = self._small(replace(small, pieces=_SMALL_TILES * phase.batch))
            if seen_in_tiles < seen:
                a_seen_pixel = min(a_pixel, max(0.0, (held - held_in_tiles) / (seen - seen_in_tiles)))
                a_pixel -= a_seen_pixel
        return before + a_seen_pixel * self._seen_pixels(phase) + max(a_pixel, _CANVAS_BYTES) * pixels

    def _small(self, small: Phase) -> tuple[int, int, int]:
        """Bytes that are held before a step on small pictures, and in it beside these; pixels that it sees at once."""
        if small not in self._held:
            forget_peak(self.device)
            before = peak_bytes(self.device) or 0
            self._steps(small, 0)
            self._held[small] = before, (peak_bytes(self.device) or 0) - before, self._seen_pixels(small)
        return self._held[small]

    def _seen_pixels(self, phase: Phase) -> int:
        """How many pixels features look at in one piece: a tile, with as much around it as they reach."""
        assert self.job is not None  # built by `_tried`
        (height, width), features = phase.size, self.job.features
        if phase.pieces <= phase.batch or features is None:
            return math.ceil(phase.batch / phase.pieces) * height * width
        cuts = math.ceil((phase.pieces / phase.batch) ** 0.5)
        side_px: int = math.ceil(max(phase.size) / cuts) + 2 * features.reach_px
        return min(height, side_px) * min(width, side_px)

    def _scaled(self, phase: Phase, images: int, there: int, least_a_picture: float) -> PhaseNeed:
        """Measure a small batch and scale up: a process that uses up a CPU's memory is killed before it can tell."""
        small = max(2, min(phase.batch // phase.pieces // 2, int(_LARGE_BYTES / least_a_picture)))
        held: list[int] = []
        for batch in (small, 2 * small):
            self._steps(replace(phase, batch=batch, pieces=1), 0)
            held.append(peak_bytes(self.device) or 0)
        a_picture = max((held[1] - held[0]) / small, least_a_picture)
        pieces = phase.pieces
        while (needed := held[1] + a_picture * (phase.batch / pieces - 2 * small)) > _SHARE_USED * there:
            if pieces == phase.batch:
                require(int(needed / _SHARE_USED), there, self.recipe.name)
            pieces = _divisor(phase.batch, pieces + 1)
        step_images, seconds = self._steps(replace(phase, batch=2 * small, pieces=min(pieces, 2)), images)
        share = phase.batch / (2 * small)
        phase = replace(phase, pieces=pieces)
        return PhaseNeed(phase, images, round(step_images * share), seconds * share, int(max(needed, held[1])))

    def _steps(self, phase: Phase, images: int) -> tuple[int, float]:
        """Begin a phase and take a few steps: how many images one shows, and how long one takes on the average.

        The first step is in the middle of the fade and has every term of the losses, so it needs most memory. The run's
        own clock stands near its end: a trainer may begin with less than it does later.
        """
        job = self.job
        assert job is not None  # built by `_tried`
        step_images = phase.batch * job.trainer.batches_per_step
        forget_peak(self.device)
        job.begin(phase)

        def seconds(step: int, phase_images: int) -> float:
            clock = Clock(job.total_images - 1, step, phase.index, phase_images, job.total_images)
            begun = time.perf_counter()
            take_step(job, phase, clock)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            elif self.device.type == "mps":
                torch.mps.synchronize()
            return time.perf_counter() - begun

        half = phase.images // 2
        first = seconds(0, int(phase.fade * phase.images / 2))
        if job.compilation is not None:
            seconds(0, half)  # the first step compiles, and so does the first one that does not fade
            first = seconds(0, half)
        if first > _SLOW_SECONDS or first * images / step_images < _BRIEF_SECONDS:
            return step_images, first
        due, plain = seconds(0, half), [seconds(1, half)]
        while sum(plain) < _TIMED_SECONDS and len(plain) < _TIMED_STEPS:
            plain.append(seconds(len(plain) + 1, half))
        return step_images, (due + (self.period - 1) * fmean(plain)) / self.period


def _divisor(batch: int, least: int) -> int:
    """The smallest divisor of a batch that is no smaller than `least`; the batch itself at most."""
    return next((count for count in range(max(1, least), batch) if batch % count == 0), batch)


def _tell_split(phase: Phase, there: int | None, cut: bool) -> None:
    memory = "" if there is None else f" ({gigabytes(there)} GB)"
    if cut:
        pictures = "one picture" if phase.batch == 1 else f"a batch of {phase.batch} pictures"
        log.warning(
            "%s of %s px does not fit into memory at once%s: it is taken in %d pieces. The gradient is the same, and "
            "takes longer.",
            *(pictures, phase.size, memory, phase.pieces),
        )
        return
    log.warning(
        "a batch of %d at %s px does not fit into memory%s: it is taken in %d pieces of %d, whose gradients are put "
        "together, so the effective batch is the same. Statistics over a batch (batch norm, minibatch deviation) are "
        "those of a piece.",
        *(phase.batch, phase.size, memory, phase.pieces, phase.batch // phase.pieces),
    )
