"""A look at films before they are made: fewer frames and pixels of the same walk, and what all of it would take.

A preview is a film like any other, of a table that asks for less; a contact sheet and a plot of the speed go with it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from artgen import files
from artgen.data.images import Picture, encode_png
from artgen.data.pixels import grid
from artgen.errors import ArtgenError
from artgen.film import read_frames
from artgen.film.segments import join
from artgen.recipe import Chosen, Films
from artgen.training import Size
from artgen.videos import VideoOptions
from artgen.walk.pipeline import Piece, Segment, render_pieces
from artgen.walk.speed import Pace
from artgen.walk.studio import Film

FRAMES_PER_SECOND = 8
"""Of a preview, at most; it lasts as long as the film."""
SIDE_PX = 96
"""Shorter side of each picture in it."""
SHEET_FRAMES = 24
"""On a contact sheet, at most."""
ENDING = "-preview"

_PLOT_SIZE = Size(240, 720)
_MARGIN_PX = 32
_BLACK, _GREY, _RED = (0, 0, 0), (150, 150, 150), (200, 40, 30)


def previewed(films: Films) -> Films:
    """The same films, small: each table asks for one MP4 of few frames."""
    return replace(films, videos=tuple(_previewed(chosen) for chosen in films.videos))


def _previewed(chosen: Chosen[VideoOptions]) -> Chosen[VideoOptions]:
    options = chosen.options
    rate = options.frames_per_second / max(1, math.ceil(options.frames_per_second / FRAMES_PER_SECOND))
    side = min(options.side_px, SIDE_PX) if options.side_px else SIDE_PX
    less = {"fps": str(rate), "side_px": side, "outputs": ("mp4",)}
    return replace(chosen, label=chosen.label + ENDING, options=options.model_copy(update=less))


def add_sheet_and_plot(film: Film) -> list[Path]:
    """Write them beside the file of a preview, in the place of older ones.

    Returns:
        The files.
    """
    path = film.outputs[0].path
    sheet, plot = path.with_name(f"{film.name}-sheet.png"), path.with_name(f"{film.name}-speed.png")
    with files.disk_trouble(sheet, "a contact sheet cannot be written"):
        files.replace(sheet, encode_png(contact_sheet(path, film.frames)))
        if film.pace is not None:
            files.replace(plot, encode_png(speed_plot(film.pace)))
    return [sheet, plot] if film.pace is not None else [sheet]


def contact_sheet(path: Path, frames: int) -> Picture:
    """Frames of a film, spread evenly over it, row by row."""
    count = min(SHEET_FRAMES, frames)
    wanted = {index * frames // count for index in range(count)}
    chosen = [frame for index, frame in enumerate(read_frames(path)) if index in wanted]
    return grid(torch.from_numpy(np.stack(chosen)).permute(0, 3, 1, 2), columns=min(count, 6))


def speed_plot(pace: Pace) -> Picture:
    """How fast pictures change over the film: as the path would have it (grey), and as they do (red)."""
    height, width = _PLOT_SIZE
    canvas = np.full((height, width, 3), 255, np.uint8)
    before, after = np.asarray(pace.before), np.asarray(pace.after)
    top = max(before.max(), after.max(), 1e-12)
    for curve, colour in ((before, _GREY), (after, _RED)):
        cv2.polylines(canvas, [_points(curve / top)], False, colour, 2, cv2.LINE_AA)
    corner = (_MARGIN_PX, height - _MARGIN_PX)
    for end in ((width - 8, height - _MARGIN_PX), (_MARGIN_PX, 8)):
        cv2.line(canvas, corner, end, _BLACK, 1)
    ratios = f"{pace.ratio_before:.2f} as the path goes (grey), {pace.ratio_after:.2f} evened (red)"
    words = f"speed along the walk, before easing; fastest : slowest = {ratios}"
    cv2.putText(canvas, words, (_MARGIN_PX, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _BLACK, 1, cv2.LINE_AA)
    return canvas


def _points(curve: NDArray[np.float64]) -> NDArray[np.int32]:
    """A curve of values in 0..1 on the canvas, as OpenCV wants it."""
    height, width = _PLOT_SIZE
    x = np.linspace(_MARGIN_PX, width - 8, len(curve))
    y = height - _MARGIN_PX - curve * (height - _MARGIN_PX - 8)
    return np.stack([x, y], 1).round().astype(np.int32).reshape(-1, 1, 2)


def seconds_for(film: Film, device: torch.device, encoders: int) -> float:
    """How long a film would take: its first piece is made, encoded and joined, by one encoder, and thrown away.

    On a CPU generator and encoders share the cores, so what counts is the time that these are busy; elsewhere they work
    side by side, and the slower one counts.
    """
    stretch, busy = film.stretches[0], time.process_time()
    with TemporaryDirectory() as folder:
        made = [Segment(Path(folder) / output.path.name, "", len(stretch), output.encoding) for output in film.outputs]
        for output, segment in zip(film.outputs, made, strict=True):
            render_pieces([Piece(film.name, film.shot, stretch, [segment])], device, 1, _ignored, _raised)
            join([segment.path], Path(folder) / f"whole {output.path.name}", output.encoding, len(stretch))
    seconds = (time.process_time() - busy) / encoders
    if device.type != "cpu":
        begun = time.perf_counter()
        for pictures in film.shot().pictures(stretch):
            pictures.cpu()
        seconds = max(seconds, time.perf_counter() - begun)
    return film.frames / len(stretch) * seconds


def _ignored(_: int) -> None: ...


def _raised(piece: Piece, fault: ArtgenError | None) -> None:
    if fault is not None:
        raise fault
