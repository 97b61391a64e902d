"""What the commands that look at a run share: opening it on a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from artgen.cli.options import workers

if TYPE_CHECKING:
    from artgen.run.opening import OpenRun


def opened(run: Path, device: str) -> OpenRun:
    """Open a run folder on a device given by name."""
    from artgen.cli.progress import bar
    from artgen.data.dataset import Workshop
    from artgen.device import choose_device, exhaustion
    from artgen.files import cache_folder
    from artgen.plugins import load_plugins
    from artgen.run.opening import open_run

    with exhaustion(str(run), "The networks of this run need a larger machine."):
        return open_run(run, choose_device(device), load_plugins(), Workshop(cache_folder(), bar, workers()))
