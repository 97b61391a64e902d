"""The progress bars of the command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artgen.run.build import Job
    from artgen.training import Clock


_LINE_SECONDS = 20
"""Between the lines of a log, where there is no terminal for a bar."""


@contextmanager
def bar(title: str, total: int, unit: str = " pictures") -> Iterator[Callable[[int], Any]]:
    """Show a bar with the time left on stderr, or nothing where stderr is no terminal: an `artgen.data.Progress`.

    Yields:
        `advance(count)`: so many more are done.
    """
    from tqdm import tqdm

    # `disable=None` asks the stream whether it is a terminal.
    with tqdm(total=total, desc=title, unit=unit, file=sys.stderr, disable=None, leave=False) as shown:
        yield shown.update


@contextmanager
def training_bar(job: Job, clock: Clock) -> Iterator[Callable[[Clock, dict[str, float]], None]]:
    """Show how far training is: time left, images a second, losses. A line now and then where stderr is no terminal.

    Yields:
        `show(clock, scalars)`.
    """
    from tqdm import tqdm

    begun, begun_images, last_line = time.monotonic(), clock.images, time.monotonic()
    where = job.device.type + (f" {job.precision}" if job.precision != "fp32" else "")
    with tqdm(
        total=job.total_images, initial=clock.images, desc=f"{job.recipe.name} ({where})", unit=" images",
        unit_scale=True, smoothing=0.1, file=sys.stderr, disable=None, dynamic_ncols=True,
    ) as shown:  # fmt: skip

        def show(clock: Clock, scalars: dict[str, float]) -> None:
            nonlocal last_line
            losses = "  ".join(
                f"{name.replace('/', ' ')} {value:.3g}" for name, value in scalars.items() if _is_loss(name)
            )
            losses = _level(job, clock) + losses
            if not shown.disable:
                shown.set_postfix_str(losses, refresh=False)
                shown.update(clock.images - shown.n)
                return
            now = time.monotonic()
            if now - last_line >= _LINE_SECONDS or clock.images >= job.total_images:
                last_line = now
                rate = (clock.images - begun_images) / max(now - begun, 1e-9)
                left = tqdm.format_interval((job.total_images - clock.images) / max(rate, 1e-9))
                head = f"{clock.images:,} of {job.total_images:,} images, {rate:.0f} a second, {left} left"
                sys.stderr.write(f"{head}  {losses}\n")

        yield show


def _level(job: Job, clock: Clock) -> str:
    """Where a run of several phases is, and how far the newest level is blended in."""
    if len(job.phases) == 1:
        return ""
    phase = job.phases[clock.phase]
    faded = clock.fade(phase)
    fading = f", {faded:.0%} faded in" if faded < 1 else ""
    return f"phase {phase.index + 1} of {len(job.phases)}: {phase.size} px{fading}  "


def _is_loss(name: str) -> bool:
    return "/" in name and not name.endswith(("_logit", "_norm"))
