"""The report of a run: `report.html`, one page that needs no network and no script. It listens and never steers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artgen import hookimpl

if TYPE_CHECKING:
    from artgen.run.record import RunFolder

ARTGEN_API = 1

# The page is imported when there is something to write: a command that only lists plugins need not load NumPy.


@hookimpl(optional=True)
def artgen_run_started(folder: RunFolder) -> None:
    """Say that a session runs, so that nobody takes an older report for the news."""
    from artgen_report import page

    page.write(folder)


@hookimpl(optional=True)
def artgen_previewed(folder: RunFolder) -> None:
    """Show the newest pictures, unless the last report is too young for what it cost."""
    from artgen_report import page

    page.refresh(folder)


@hookimpl(optional=True)
def artgen_run_ended(folder: RunFolder) -> None:
    """Show all there is, whatever the outcome."""
    from artgen_report import page

    page.write(folder)
