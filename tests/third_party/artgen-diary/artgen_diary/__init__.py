"""A diary of every run, `DIARY.md` in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from artgen import hookimpl

if TYPE_CHECKING:
    from artgen.run.record import RunFolder

ARTGEN_API = 1

FILE = "DIARY.md"


@hookimpl  # required: a run without a diary is not begun
def artgen_run_started(folder: RunFolder) -> None:
    _write(folder, f"# {folder.path.name}" if not (folder.path / FILE).exists() else "And on.")


@hookimpl(optional=True)  # but it is not lost for one entry
def artgen_previewed(folder: RunFolder, sheet: Path, images: int) -> None:
    _write(folder, f"![{images:,} pictures shown]({sheet.relative_to(folder.path).as_posix()})")


@hookimpl(optional=True)
def artgen_run_ended(folder: RunFolder, outcome: str) -> None:
    _write(folder, f"*{outcome}*")


def _write(folder: RunFolder, paragraph: str) -> None:
    with (folder.path / FILE).open("a", encoding="utf-8") as diary:
        diary.write(f"{paragraph}\n\n")
