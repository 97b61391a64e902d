"""TensorBoard: losses, figures, sheets and the recipe of a run, in `RUN/tensorboard/`. It listens and never steers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from artgen import hookimpl

if TYPE_CHECKING:
    from artgen.run.record import RunFolder
    from artgen_tensorboard.events import EventLog

ARTGEN_API = 1

_logs: dict[Path, EventLog] = {}
_log = logging.getLogger(__name__)


@hookimpl(optional=True)
def artgen_run_started(folder: RunFolder) -> None:
    """Open the log of this session, if there is a TensorBoard to read it."""
    try:
        from artgen_tensorboard.events import EventLog
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "tensorboard":
            raise
        _log.debug("TensorBoard is not installed, nothing is written for it: pip install 'artgen[tensorboard]'")
        return
    _logs[folder.path] = EventLog(folder)


@hookimpl(optional=True)
def artgen_step_shown(folder: RunFolder, scalars: dict[str, float]) -> None:
    """Add a point to each curve."""
    if log := _logs.get(folder.path):
        log.step(scalars)


@hookimpl(optional=True)
def artgen_previewed(folder: RunFolder, sheet: Path, images: int) -> None:
    """Add the sheet."""
    if log := _logs.get(folder.path):
        log.picture("sheet", sheet.read_bytes(), images)


@hookimpl(optional=True)
def artgen_evaluated(folder: RunFolder, figures: dict[str, float], images: int) -> None:
    """Add a point to the curve of each figure of quality."""
    if log := _logs.get(folder.path):
        log.figures(figures, images)


@hookimpl(optional=True)
def artgen_run_ended(folder: RunFolder) -> None:
    """Close the log."""
    if log := _logs.pop(folder.path, None):
        log.close()
