"""How fast a folder of 1-megapixel JPEGs becomes prepared pictures, and how fast it opens the second time.

Makes its own textured JPEGs (1200x900 px, quality 92, about 250 kB), so that anyone gets the same ones. Prints JSON.

    python benchmarks/cache_building.py [--pictures 60] [--rounds 3] [--workers 1]
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from artgen.data import Workshop
from artgen.data.folder import prepare

SIZES_PX = (64, 128, 256)


def paint(path: Path, seed: int) -> None:
    """Noise of octaves 2 to 10, each 1.42 times weaker than the one before: as much detail as a photograph."""
    rng = np.random.default_rng(seed)
    height, width = (1200, 900) if seed % 2 else (900, 1200)
    picture = np.zeros((height, width, 3), np.float32)
    for octave in range(2, 11):
        cells = 2**octave
        noise = rng.normal(size=(height * cells // 1024 + 2, width * cells // 1024 + 2, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 1.42**-octave
    low, high = np.percentile(picture, (1, 99))
    pixels = np.clip((picture - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])


@contextmanager
def silent(title: str, total: int) -> Iterator[Callable[[int], Any]]:
    """A progress bar that shows nothing."""
    yield lambda count: None


def measure(folder: Path, count: int, side_px: int, workers: int, rounds: int) -> dict[str, float]:
    """Best of some rounds: building by wall clock and by processor time, then opening again."""
    built, worked, opened = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            workshop = Workshop(Path(cache), silent, workers)
            start, start_cpu = time.perf_counter(), time.process_time()
            prepare(str(folder), (side_px, side_px), "center", 0.0, workshop)
            built.append(time.perf_counter() - start)
            worked.append(time.process_time() - start_cpu)
            start = time.perf_counter()
            dataset = prepare(str(folder), (side_px, side_px), "center", 0.0, workshop)
            np.asarray(dataset.real[:1])
            opened.append(time.perf_counter() - start)
    return {
        "pictures_per_second": round(count / min(built), 1),
        "pictures_per_cpu_second": round(count / min(worked), 1),
        "second_open_milliseconds": round(min(opened) * 1000, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the building of the picture cache.")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for seed in range(given.pictures):
            paint(folder / f"{seed:04}.jpg", seed)
        mean_bytes = sum(path.stat().st_size for path in folder.iterdir()) / given.pictures
        figures = {side: measure(folder, given.pictures, side, given.workers, given.rounds) for side in SIZES_PX}
    about = {"python": platform.python_version(), "pillow": PIL.__version__, "opencv": cv2.__version__}
    report = about | {"machine": platform.machine(), "workers": given.workers, "mean_jpeg_kilobytes": mean_bytes / 1e3}
    print(json.dumps(report | {"by_side_px": figures}, indent=2))


if __name__ == "__main__":
    main()
