"""Films: frames out of a file and into one. FFmpeg's libraries do the coding, through PyAV."""

from __future__ import annotations

from artgen.film.reading import FilmInfo, note_in, probe, read_frames
from artgen.film.writing import FilmWriter

__all__ = ["FilmInfo", "FilmWriter", "note_in", "probe", "read_frames"]
