"""How far a repainted picture is from its style and from its content, by the eyes of two trained networks.

    python benchmarks/style_gap.py --contents DIR --styles DIR --made DIR --weights-1-1 FILE --weights-1-0 FILE

`made` is what `artgen translate RECIPE CONTENTS --style STYLES --out MADE` left: MADE/STYLE/CONTENT.png. The judges are
SqueezeNet 1.1 (A) and 1.0 (B), state dicts of torchvision's names. Style: the mean over seven layers of
|G(x) - G(s)|^2 / |G(c) - G(s)|^2, so the content as it is has 1 and the style 0. Content, at fire6:
|F(x) - F(c)|^2 / |F(s) - F(c)|^2. Pictures are judged at the size that they were made at; the others are shrunk to it.
Prints JSON: each pair, and the means. A network that was optimised for is no neutral judge: then read the other one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from artgen.data.images import read, resize
from artgen.data.pixels import to_float

JUDGES = {
    "A": ("conv1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire9"),
    "B": ("conv1", "fire2", "fire4", "fire5", "fire6", "fire7", "fire9"),
}
MEAN, DEVIATION = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

Activations = dict[str, Tensor]


class Judge:
    """SqueezeNet of either version, run from its weights: a pooling stands where the numbering skips one."""

    def __init__(self, weights: Path, layers: tuple[str, ...]) -> None:
        self.weights: Activations = torch.load(weights, map_location="cpu", weights_only=True)
        self.fires = sorted({int(name.split(".")[1]) for name in self.weights if ".squeeze." in name})
        self.layers = layers

    def __call__(self, pictures: Tensor) -> Activations:
        def convolved(x: Tensor, name: str, **options: int) -> Tensor:
            weight, bias = (self.weights[f"features.{name}.{kind}"].float() for kind in ("weight", "bias"))
            return conv2d(x, weight, bias, **options).relu()

        x = convolved(((pictures + 1) / 2 - MEAN) / DEVIATION, "0", stride=2)
        found, before = {"conv1": x}, 1
        for number, fire in enumerate(self.fires, 2):
            if fire - before == 2:
                x = max_pool2d(x, 3, 2, ceil_mode=True)
            before = fire
            squeezed = convolved(x, f"{fire}.squeeze")
            sides = convolved(squeezed, f"{fire}.expand1x1"), convolved(squeezed, f"{fire}.expand3x3", padding=1)
            found[f"fire{number}"] = x = torch.cat(sides, dim=1)
        return found

    @torch.no_grad()
    def verdict(self, made: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
        """How far from the style, and from the content."""
        x, c, s = self(made), self(content), self(style)
        styles = [
            float((gram(x[layer]) - gram(s[layer])).square().sum() / (gram(c[layer]) - gram(s[layer])).square().sum())
            for layer in self.layers
        ]
        return fmean(styles), mean_square(x, c) / mean_square(s, c, resized=True)


def gram(f: Tensor) -> Tensor:
    f = f.flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


def mean_square(one: Activations, other: Activations, *, resized: bool = False) -> float:
    """The mean squared difference at fire6."""
    a, b = one["fire6"], other["fire6"]
    if resized and a.shape != b.shape:
        a = torch.nn.functional.interpolate(a, size=b.shape[2:], mode="area")
    return float((a - b).square().mean())


def picture(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    found = read(path) if size is None else resize(read(path), size)
    return to_float(torch.from_numpy(np.array(found))).permute(2, 0, 1)[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("contents", "styles", "made", "weights-1-1", "weights-1-0"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    judges = {
        "A": Judge(given.weights_1_1, JUDGES["A"]),
        "B": Judge(given.weights_1_0, JUDGES["B"]),
    }
    contents, styles = (
        {path.stem: path for path in sorted(folder.iterdir())} for folder in (given.contents, given.styles)
    )
    pairs = []
    for made in sorted(given.made.glob("*/*.png")):
        x = picture(made)
        height, width = x.shape[2:]
        source = picture(contents[made.stem], (height, width))
        full = read(styles[made.parent.name])
        share = max(height, width) / max(full.shape[:2])
        style = picture(styles[made.parent.name], (round(full.shape[0] * share), round(full.shape[1] * share)))
        figures = {}
        for name, judge in judges.items():
            figures[f"style_{name}"], figures[f"content_{name}"] = (
                round(value, 4) for value in judge.verdict(x, source, style)
            )
        pairs.append({"content": made.stem, "style": made.parent.name} | figures)
    means = {key: round(fmean(pair[key] for pair in pairs), 4) for key in pairs[0] if "_" in key}
    print(json.dumps({"pairs": pairs, "means": means}, indent=1))


if __name__ == "__main__":
    main()
