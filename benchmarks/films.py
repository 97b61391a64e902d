"""Frames a second of a latent walk: pictures alone, encoding alone, both at once, and the plain loop of other tools.

    python benchmarks/films.py [--sizes 256 512] [--frames 256] [--rounds 3] [--width 32] [--device cpu|cuda]

The generator is that of MSG-GAN with weights drawn from a seed, whose cost is that of a trained one. On a CPU the
stages share the cores: so pictures alone and encoding alone are measured with half of the cores each, and "both", with
all of them, should be near the slower one. The plain loop makes one frame at a time in fp32, copies it and waits, and
writes it with imageio (H.264, as imageio sets it) or, where that is missing, with PyAV; it has all the cores. They
take turns, so a machine whose speed drifts treats them alike. Prints JSON: medians, and ratios taken within each round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artgen.cli.options import workers
from artgen.device import choose_device, choose_precision, to_device
from artgen.film.colour import as_frames
from artgen.film.encoding import choose_encoding
from artgen.film.segments import SegmentWriter
from artgen.plugins import load_plugins
from artgen.rng import drawing
from artgen.run.making import make
from artgen.training import Generator, Size
from artgen.videos import OutputOptions, VideoOptions
from artgen.walk.latents import Walk
from artgen.walk.pipeline import Piece, Segment, in_order, render_pieces
from artgen.walk.shots import Maker, WalkShot

SEGMENT_FRAMES = 64


class Case:
    """A walk at one size, and the ways to film it."""

    def __init__(self, size_px: int, frames: int, width: int, device: torch.device) -> None:
        self.device, self.frames, self.size = device, frames, Size(size_px, size_px)
        self.half = max(1, workers() // 2) if device.type == "cpu" else workers()
        plugins = load_plugins()
        component = plugins.component("generator", "msggan")
        with drawing(0, "weights"):
            self.generator: Generator = make(
                component, component.options.model_validate({"width": width, "widest": 4 * width}), self.size
            )
        self.generator.begin(self.size)
        to_device(self.generator.eval().requires_grad_(False), device)
        self.precision = choose_precision("auto", device)
        options = VideoOptions(keyframes=4, speed="path")
        space = self.generator.latent
        assert space is not None
        path = plugins.component("path", "spline")
        walk = Walk(options, make(path, path.options()), space, lambda count, seed: space.draw(count))
        self.shot = WalkShot(
            Maker(self.generator, device, self.precision, self.size, options, False), walk, np.arange(frames) / frames
        )
        self.encoding = choose_encoding(OutputOptions(format="mp4"), self.size, options.frames_per_second)
        self.stretches = [
            range(start, min(frames, start + SEGMENT_FRAMES)) for start in range(0, frames, SEGMENT_FRAMES)
        ]
        self.made = [as_frames(made, self.encoding.form).cpu().numpy() for made in self.shot.pictures(range(frames))]
        self.latents = walk.latents(self.shot.positions)[:, 0].to(device)

    def pictures_alone(self, folder: Path) -> None:
        starts = range(0, self.frames, self.shot.batch_frames)

        def make(start: int) -> None:
            [made] = self.shot.pictures(range(start, start + self.shot.batch_frames))
            as_frames(made, self.encoding.form).cpu()

        for _ in in_order(make, starts, self.device, self.half):
            pass

    def encoding_alone(self, folder: Path) -> None:
        frames = np.concatenate(self.made)

        def encode(stretch: range) -> None:
            with SegmentWriter(folder / f"{stretch.start}", self.encoding) as writer:
                for frame in frames[stretch.start : stretch.stop]:
                    writer.add(frame)

        with ThreadPoolExecutor(self.half) as pool:
            list(pool.map(encode, self.stretches))

    def both(self, folder: Path) -> None:
        pieces = (
            Piece(
                "film",
                lambda: self.shot,
                stretch,
                [Segment(folder / f"{stretch.start}", "", len(stretch), self.encoding)],
            )
            for stretch in self.stretches
        )
        render_pieces(pieces, self.device, workers(), lambda count: None, lambda piece, fault: None)

    def plain_loop(self, folder: Path) -> None:
        with plain_writer(folder / "film.mp4") as add, torch.no_grad():
            for z in self.latents:
                picture = self.generator.sample(z[None])[0]
                add(((picture.permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).to(torch.uint8).cpu().numpy())


class plain_writer:  # used as a function
    """imageio's writer, as other tools use it, or PyAV's with its defaults."""

    def __init__(self, path: Path) -> None:
        try:
            import imageio.v2 as imageio

            self.writer: Any = imageio.get_writer(path, format="FFMPEG", fps=30, codec="libx264", macro_block_size=1)
            self.add: Callable[[Any], Any] = self.writer.append_data
        except (ImportError, ValueError):
            import av

            self.writer, self.stream = av.open(str(path), "w"), None
            self.add = self._add

    def __enter__(self) -> Callable[[Any], Any]:
        return self.add

    def __exit__(self, *_: object) -> None:
        if getattr(self, "stream", None) is not None:
            self.writer.mux(self.stream.encode(None))
        self.writer.close()

    def _add(self, picture: Any) -> None:
        import av

        if self.stream is None:
            self.stream = self.writer.add_stream("libx264", rate=30)
            self.stream.height, self.stream.width = picture.shape[:2]
            self.stream.pix_fmt = "yuv420p"
        self.writer.mux(self.stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=32, help="of the generator, as in the recipes for a CPU")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device, told = choose_device(arguments.device), {}
    for size in arguments.sizes:
        case = Case(size, arguments.frames, arguments.width, device)
        ways = (case.pictures_alone, case.encoding_alone, case.both, case.plain_loop)
        seconds: dict[str, list[float]] = {way.__name__: [] for way in ways}
        for turn in range(arguments.rounds + 1):
            for way in ways:
                with tempfile.TemporaryDirectory() as folder:
                    begun = time.perf_counter()
                    way(Path(folder))
                    if turn:  # the first one warms up
                        seconds[way.__name__].append(time.perf_counter() - begun)
        rounds = list(zip(*seconds.values(), strict=True))
        told[str(size)] = {
            "frames_per_second": {
                name: round(arguments.frames / statistics.median(times), 1) for name, times in seconds.items()
            },
            "both_of_the_slower": round(
                statistics.median(max(made, coded) / both for made, coded, both, _ in rounds), 3
            ),
            "times_the_plain_loop": round(statistics.median(plain / both for _, _, both, plain in rounds), 2),
            "batch": case.shot.batch_frames,
            "precision": case.precision,
            "encoder": case.encoding.encoder,
        }
    print(json.dumps({"device": device.type, "cores": workers(), **told}, indent=1))


if __name__ == "__main__":
    main()
