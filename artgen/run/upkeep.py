"""What becomes due while a run trains: figures, previews, checkpoints. First process only."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artgen.data.images import encode_png
from artgen.errors import DivergedError, PluginError
from artgen.plugins import Plugins
from artgen.rng import drawing
from artgen.run import checkpoint
from artgen.run.build import Job, largest
from artgen.run.evaluate import evaluate, pairs_for
from artgen.run.finishing import finished, on_paper, picture_files, write_film
from artgen.run.loop import capture
from artgen.run.pictures import given_for, make_pictures, settle, sheet
from artgen.run.record import RunFolder
from artgen.run.stopping import Stop
from artgen.training import Clock

Show = Callable[[Clock, dict[str, float]], None]
"""Brings a progress line up to date; scalars are on the host."""

_RECORDS_A_RUN, _RECORD_IMAGES = 500, 10_000  # at least so many records, and at most so many images between two
_REFUSALS_BORNE = 20
_TRIAL_PICTURES = 16
_log = logging.getLogger(__name__)


class RunUpkeep:
    """Keeps the record of a run. It observes the job and never changes it."""

    def __init__(
        self, job: Job, folder: RunFolder, plugins: Plugins, show: Show, saved_images: int, stop: Stop
    ) -> None:
        self.job, self.folder, self.plugins, self.show = job, folder, plugins, show
        self.stop = stop
        self.record_images = max(1, min(job.total_images // _RECORDS_A_RUN, _RECORD_IMAGES))
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.saved_images = saved_images
        self.fault: PluginError | None = None

    def at_phase(self, clock: Clock) -> None:
        if clock.images == 0:
            try_metrics(self.job)
            self.preview(clock)  # so that there is something to look at from the first minute on
            self.heed(clock)

    def after_step(self, before: Clock, clock: Clock, scalars: dict[str, Tensor]) -> None:
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0) + value.float()
            self.counts[name] = self.counts.get(name, 0) + 1
        run, at_end = self.job.recipe.run, clock.images >= self.job.total_images
        saving = at_end or _crossed(before, clock, run.checkpoint_images)
        if saving or _crossed(before, clock, self.record_images):
            self.record(clock)
        if not at_end and _crossed(before, clock, run.preview_images):
            self.preview(clock)
        if saving:
            self.save(clock)
        if not at_end and run.evaluate_images and _crossed(before, clock, run.evaluate_images):
            self.evaluate(clock)
        self.heed(clock)

    def record(self, clock: Clock) -> None:
        """Bring the means since the last record to the host, write them down, show them.

        Raises:
            DivergedError: More updates were refused, for gradients that are not finite, than a healthy run has.
        """
        figures = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        refused = float(self.job.update.refused)
        if refused:
            figures["refused_updates"] = refused
        self.folder.record({"images": clock.images, "steps": clock.steps, "phase": clock.phase} | figures)
        self.show(clock, figures)
        self.tell("artgen_step_shown", scalars={"images": clock.images, "steps": clock.steps} | figures)
        if has_diverged(refused, clock.steps, at_end=clock.images >= self.job.total_images):
            if self.fault is not None:
                _log.error("%s", self.fault)
            culprits = [name for name, value in figures.items() if not math.isfinite(value)]
            raise DivergedError(
                f"after {clock.images} images, {refused:.0f} updates had gradients that are not finite numbers"
                + (f" ({', '.join(culprits)})" if culprits else ""),
                place=str(self.folder.path),
                remedy="The newest checkpoint is from before. Lower the learning rate, or add a penalty such as r1.",
            )

    def preview(self, clock: Clock, name: str | None = None) -> Path | None:
        """Write a sheet of the averaged generator's pictures, always from the same latents or sources.

        Pictures of every phase are shown as large as those of the largest, so that all sheets of a run have one size.
        Beside a translation stand its source and the true picture.
        """
        pictures = self.sample(self.job.recipe.run.preview_pictures, "preview", clock)
        sources = self.job.feed if self.job.generator.takes == "picture" else None
        content = encode_png(sheet(pictures, sources, largest(self.job.phases)))
        file = self.folder.store(f"samples/{name or f'images-{clock.images:09d}'}.png", content)
        if file is not None:
            self.tell("artgen_previewed", sheet=file, images=clock.images)
        return file

    def sample(self, count: int, purpose: str, clock: Clock) -> Tensor:
        """Pictures (N, 3, H, W) uint8 of the averaged generator; for a translator each follows its source."""
        repainting = self.job.feed.dataset.repainting
        if repainting is not None:
            return on_paper(finished(self.job.average.network.sample(None), repainting))[:count]
        job, size = self.job, self.job.phases[clock.phase].size
        seed = job.recipe.seed
        network = settle(job.average.network, seed, job.device, job.precision, job.feed, size)
        given = given_for(network, count, seed, purpose, job.device, job.feed, size)
        with drawing(seed, f"{purpose} noise"):  # of a generator that draws also when it only makes pictures
            return make_pictures(network, given, job.device, job.precision)

    def keep_pictures(self) -> list[Path]:
        """Write what was repainted: each picture in `pictures/`, and a film of them in `videos/` if they are frames."""
        repainting, recipe = self.job.feed.dataset.repainting, self.job.recipe
        if repainting is None:
            return []
        pictures = finished(self.job.average.network.sample(None), repainting)
        files = picture_files(pictures, repainting.names, recipe.run.pictures)
        kept = [self.folder.store(f"pictures/{name}", content) for name, content in files]
        if repainting.frames_per_second is not None:
            film = self.folder.path / "videos" / f"{recipe.name}.mp4"
            write_film(film, pictures, repainting.frames_per_second)
            kept = [film]
        self.folder.note(kept=[str(path.relative_to(self.folder.path)) for path in kept if path is not None])
        return kept_pictures(self.folder)

    def evaluate(self, clock: Clock) -> dict[str, float]:
        """Measure the recipe's metrics and write them into the curves."""
        if not self.job.recipe.metrics:
            return {}
        job, size = self.job, self.job.phases[clock.phase].size
        fake = self.sample(job.recipe.run.evaluate_samples, "evaluation", clock)
        pairs = pairs_for(job.recipe, job.generator, job.feed, len(fake), size)
        figures, sheets = evaluate(job.recipe, fake, job.feed.all_real(size), job.features, pairs)
        self.folder.record({"images": clock.images, "steps": clock.steps, "phase": clock.phase} | figures)
        for name, measured in sheets.items():
            self.folder.store(f"samples/{name}.png", encode_png(measured.cpu().numpy()))
        self.tell("artgen_evaluated", figures=figures, images=clock.images)
        return figures

    def save_unless_saved(self, clock: Clock) -> None:
        """Record and save, if the newest checkpoint is of an earlier moment."""
        if clock.images != self.saved_images:
            self.record(clock)
            self.save(clock)
            self.heed(clock)

    def save(self, clock: Clock) -> Path:
        """Commit a checkpoint, then retire old ones."""
        path = self.commit(clock)
        self.tell("artgen_saved", checkpoint=path, images=clock.images)
        return path

    def tell(self, event: str, **given: Any) -> None:
        """Tell the listeners of an event. If one fails that must not, `heed` raises it when all that is due is done."""
        try:
            self.plugins.event(event, signals_raise=not self.stop.deferring, folder=self.folder, **given)
        except PluginError as fault:
            if self.fault is not None:
                _log.error("%s", fault)
            self.fault = self.fault or fault

    def heed(self, clock: Clock) -> None:
        """Stop, if a listener failed that must not; save first: nothing is lost by it.

        Raises:
            PluginError: As the listener's fault, the first one.
        """
        if self.fault is not None:
            if clock.images != self.saved_images:
                self.commit(clock)
            raise self.fault

    def commit(self, clock: Clock) -> Path:
        """Commit a checkpoint and tell nobody."""
        self.saved_images = clock.images
        state = capture(self.job, clock)
        info = asdict(clock) | {"recipe": self.job.recipe.fingerprint, "data": state.data}
        path = checkpoint.save(self.folder.checkpoints, state.parts, info)
        checkpoint.prune(self.folder.checkpoints, self.job.recipe.run.keep_checkpoints)
        return path


def has_diverged(refused: float, steps: int, *, at_end: bool) -> bool:
    """Whether more updates were refused than a healthy run has; or, at its end, that of every step."""
    return refused > _REFUSALS_BORNE or (at_end and refused == steps > 0)


def kept_pictures(folder: RunFolder) -> list[Path]:
    """What `RunUpkeep.keep_pictures` has written into a folder, and nobody has taken away."""
    kept = folder.info.get("kept")
    paths = [folder.path / name for name in kept if isinstance(name, str)] if isinstance(kept, list) else []
    return [path for path in paths if path.is_file()]


def try_metrics(job: Job) -> None:
    """Measure a few pictures, so that a metric that cannot measure these says so before training and not after.

    Raises:
        ArtgenError: Whatever the metric has to say.
    """
    size = job.phases[-1].size
    with drawing(job.recipe.seed, "trial"):
        real = job.feed.reals(_TRIAL_PICTURES, size, training=True)
        pairs = pairs_for(job.recipe, job.generator, job.feed, len(real), size)
        evaluate(job.recipe, torch.randint_like(real, 256), real, job.features, pairs)


def _crossed(before: Clock, clock: Clock, interval_images: int) -> bool:
    return clock.images // interval_images > before.images // interval_images
