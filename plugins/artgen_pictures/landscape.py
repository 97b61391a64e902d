"""The built-in content: a lake in the evening, with mountains, a house under poplars and a sail."""

from __future__ import annotations

import numpy as np

from artgen_pictures.canvas import Brush, Draw, Field, blend, lots, noise, plane, points, ramp, rgb, rough, smoothstep

_HORIZON = 0.56
_SUN = 0.66, 0.455  # share of the width; height
_SKY = [(0.0, "#2f5d8c"), (0.22, "#6f9dbb"), (0.4, "#c9c7b2"), (0.5, "#f3cf98"), (_HORIZON, "#f8b878")]
_GRASS = [(0.0, "#24381f"), (0.3, "#44602c"), (0.55, "#7c8a3a"), (0.8, "#b9a74c"), (1.1, "#e0c469")]


def landscape(rows: int, columns: int) -> Field:
    """Paint it: (H, W, 3) from 0 to 1."""
    wide, draw = columns / rows, lots("landscape")
    x, y = plane(rows, columns)
    picture = _sky(x, y, wide)
    for layer in range(len(_RIDGES)):
        picture = _mountains(picture, x, y, wide, layer)
    brush = Brush(_lake(picture, x, y, wide))
    brush.dot((_SUN[0] * wide, _SUN[1]), 0.034, rgb("#fffbe6"))
    for colour, corners in _BOAT:
        brush.fill(points((0.44 * wide, 0.655), *corners), rgb(colour))
    brush = Brush(_meadow(brush.done(), x, y, wide))
    _house(brush, (0.22 * wide, 0.70))
    for share, height in _POPLARS:
        _poplar(brush, draw, share * wide, 0.735, height)
    _flowers(brush, draw, wide)
    _tree(brush, draw, (0.93 * wide, 0.985))
    return brush.done()


def _sky(x: Field, y: Field, wide: float) -> Field:
    away = np.hypot(x - _SUN[0] * wide, y - _SUN[1])
    picture = blend(ramp(y, _SKY), rgb("#ffe2a0"), 0.85 * np.exp(-((away / 0.22) ** 2)))

    def cloud(height: Field) -> Field:
        """Clouds lie flatter, the nearer they are to the horizon."""
        return rough(1.7 * x + 3, 4.6 * height * (2.2 - 1.4 * height) + 1.6)

    here = cloud(y)
    cover = smoothstep(-0.15, 0.9, here) * smoothstep(0.52, 0.36, y)
    lit = smoothstep(-0.55, 0.45, here - cloud(y + 0.025) + 0.25 * np.exp(-away / 0.3))[..., None]
    warm = np.exp(-away / 0.55)[..., None]
    bright = rgb("#f6ead8") * (1 - warm) + rgb("#ffd9a0") * warm
    shade = rgb("#7f95b0") * (1 - warm) + rgb("#c98f86") * warm
    return blend(picture, shade + (bright - shade) * lit, 0.92 * cover)


# Of each ridge, far to near: foot of its peaks above the horizon, their height, how many, and its colours in light,
# in shade, and in the haze at its foot.
_RIDGES = (
    (0.145, 0.085, 2.6, "#d9c0b4", "#8b93ae", "#d7bba6"),
    (0.085, 0.050, 3.4, "#9a94a0", "#66789a", "#c9ac9b"),
    (0.042, 0.028, 5.0, "#6d7f78", "#4b6475", "#a89a8c"),
    (0.014, 0.014, 9.0, "#55663f", "#34503f", "#5e6a58"),
)


def _mountains(picture: Field, x: Field, y: Field, wide: float, layer: int) -> Field:
    foot, height, peaks, light, shade, haze = _RIDGES[layer]
    along, start = x[0], np.float32(13 * layer + 2)
    folded = np.zeros_like(along)
    for octave in range(6):  # noise has zeros; folded over there, it has peaks
        fold = np.abs(noise(peaks * 2**octave * along + start, 0 * along + start + octave))
        folded += 0.5**octave * (0.9 - fold)
    gap = 0.75 * np.exp(-(((along - _SUN[0] * wide) / 0.28) ** 2)) if layer < 3 else 0  # through which the sun is seen
    ridge = _HORIZON - (foot + height * folded) * (1 - gap)
    slope = noise(peaks * 3 * (x + 0.5 * y) + start, peaks * 2.2 * y + start)
    slope = slope + 0.6 * noise(peaks * 8 * (x + 0.7 * y) + start, peaks * 5 * y + start)
    to_the_sun = np.where(x < _SUN[0] * wide, 0.5, -0.5)
    lit = smoothstep(-0.9, 1.1, slope + to_the_sun)
    colour = blend(np.broadcast_to(rgb(shade), picture.shape), rgb(light), lit)
    colour = blend(colour, rgb(haze), 0.75 * smoothstep(_HORIZON - 0.6 * foot, _HORIZON, y))
    edge = 1 / len(x)
    return blend(picture, colour, smoothstep(-edge, edge, y - ridge))


def _lake(picture: Field, x: Field, y: Field, wide: float) -> Field:
    """What is above the horizon, turned over in water that ripples more, the nearer it is."""
    rows, columns = y.shape
    depth = np.maximum(y - _HORIZON, 0)
    ripple = noise(9 * x, 26 * y / (0.25 + 2 * depth)) + 0.5 * noise(30 * x + 5, 80 * y / (0.25 + 2 * depth))
    above = _HORIZON - 1.05 * depth + ripple * (0.004 + 0.06 * depth)
    row = np.clip(above * rows, 0, _HORIZON * rows - 1).astype(np.intp)
    column = np.clip(np.arange(columns) + 0.02 * ripple * depth * rows, 0, columns - 1).astype(np.intp)
    water = blend(picture[row, column], rgb("#35607c"), 0.16 + 0.68 * smoothstep(0.02, 0.42, depth))
    aside = np.abs(x - _SUN[0] * wide) / (0.035 + 0.30 * depth)
    glitter = smoothstep(-0.2, 0.7, ripple + 0.9 - 1.3 * aside)
    water = blend(water, rgb("#ffe9b8"), 0.85 * glitter * np.exp(-(aside**2)))
    water = blend(water, rgb("#e6d8bd"), 0.55 * np.exp(-((depth / 0.006) ** 2)))
    return blend(picture, water, (y >= _HORIZON).astype(np.float32))


# Shapes as (colour, corners), far to near: how far right and down of their place.
_BOAT = (
    ("#b7a48c", ((-0.03, 0.008), (0.034, 0.008), (0.012, 0.075), (-0.006, 0.07))),  # in the water
    ("#4a3426", ((-0.0015, -0.1), (0.0015, -0.1), (0.0015, 0.0), (-0.0015, 0.0))),
    ("#f5e6c8", ((0.002, -0.095), (0.040, -0.008), (0.002, -0.006))),
    ("#e3c295", ((-0.003, -0.082), (-0.003, -0.006), (-0.028, -0.008))),
    ("#7c3b2a", ((-0.036, -0.006), (0.042, -0.006), (0.030, 0.009), (-0.026, 0.009))),
)
_HOUSE = (
    ("#33482a", ((-0.10, 0.02), (0.10, 0.02), (0.13, 0.035), (-0.06, 0.04))),  # its shadow
    ("#c9b193", ((-0.085, -0.075), (0.03, -0.075), (0.03, 0.022), (-0.085, 0.022))),
    ("#f1ddb4", ((0.03, -0.075), (0.0585, -0.128), (0.087, -0.075), (0.087, 0.02), (0.03, 0.022))),
    ("#8d5644", ((0.052, -0.155), (0.068, -0.155), (0.068, -0.10), (0.052, -0.10))),
    ("#a3452f", ((-0.10, -0.068), (-0.066, -0.135), (0.0585, -0.135), (0.028, -0.068))),
    ("#7c3124", ((0.0585, -0.138), (0.098, -0.064), (0.088, -0.064), (0.0555, -0.125))),
    ("#4f6b73", ((0.003, -0.032), (0.022, -0.032), (0.022, 0.022), (0.003, 0.022))),  # the door
)
_WINDOWS = ((-0.068, "#44505c"), (-0.028, "#44505c"), (0.05, "#ffcf66"))  # one is lit
_WINDOW = ((0, -0.05), (0.02, -0.05), (0.02, -0.024), (0, -0.024))
_CROSS = (((0.01, -0.05), (0.01, -0.024)), ((0, -0.037), (0.02, -0.037)))
_POPLARS = ((0.085, 0.34), (0.115, 0.40), (0.15, 0.31))  # share of the width, height


def _meadow(picture: Field, x: Field, y: Field, wide: float) -> Field:
    """The near bank: high on the left, where the house stands, and falling to the right."""
    share = x / wide
    bank = 0.70 + 0.012 * noise(4 * x, 0 * x + 3) - 0.06 * smoothstep(0.3, 0.0, share)
    bank = bank + 0.25 * smoothstep(0.25, 0.95, share) - 0.10 * smoothstep(0.8, 1.05, share)
    near = smoothstep(0.0, 0.28, y - bank)
    blades = noise(34 * x, 11 * y / (0.3 + near)) + 0.7 * noise(80 * x, 24 * y / (0.3 + near))
    colour = ramp(0.45 + 0.22 * rough(2.5 * x + 5, 6 * y) + 0.13 * blades - 0.35 * near, _GRASS)
    # A path comes down from the door, and widens towards us.
    down = np.clip((y - 0.70) / 0.3, 0, 1)
    middle, half = (0.235 + 0.20 * down**1.4 + 0.05 * np.sin(5 * down)) * wide, 0.008 + 0.075 * down**1.6
    path = smoothstep(1.15, 0.8, np.abs(x - middle) / half + 0.12 * blades) * (y > 0.705)
    colour = blend(colour, rgb("#d7b98a") * (0.92 + 0.08 * blades.clip(-1, 1))[..., None], 0.9 * path)
    edge = 1.5 / len(x)
    picture = blend(picture, rgb("#2c4436"), 0.6 * smoothstep(-0.014, 0, y - bank))  # wet
    return blend(picture, colour, smoothstep(-edge, edge, y - bank))


def _house(brush: Brush, at: tuple[float, float]) -> None:
    for colour, corners in _HOUSE:
        brush.fill(points(at, *corners), rgb(colour))
    for row in range(1, 5):  # of tiles
        left, right, down = -0.066 - 0.0068 * row, 0.0585 - 0.006 * row, -0.135 + 0.0134 * row
        brush.line(points(at, (left, down), (right, down)), rgb("#8a3626"), 0.0016)
    for across, glass in _WINDOWS:
        place = (at[0] + across, at[1])
        brush.fill(points(place, *_WINDOW), rgb(glass))
        for bar in _CROSS:
            brush.line(points(place, *bar), rgb("#5b3b2a"), 0.0018)
    for rise in np.arange(9) / 9:  # smoke
        puff = at[0] + 0.06 + 0.07 * rise**1.3, at[1] - 0.163 - 0.10 * rise
        brush.dot(puff, 0.006 + 0.012 * rise, rgb("#b9b4b4") + 0.05 * rise)


def _leaves(brush: Brush, draw: Draw, places: Field, lit: Field, radius: float, dark: str, light: str) -> None:
    """Discs at places (n, 2), from dark to light by `lit` (n,)."""
    colours = rgb(dark) + (rgb(light) - rgb(dark)) * lit.clip(0, 1)[:, None]
    for place, colour, share in zip(places, colours, draw.uniform(0.6, 1.3, len(places)), strict=True):
        brush.dot(place, radius * share, colour)


def _poplar(brush: Brush, draw: Draw, x: float, foot: float, height: float) -> None:
    brush.line(np.array([(x, foot), (x, foot - 0.3 * height)]), rgb("#3b2a1e"), 0.008)
    up = draw.uniform(0.06, 1.0, 1100)
    half = 0.115 * height * np.sin(np.pi * np.clip(up, 0.05, 1) ** 0.75) ** 0.8 + 0.002
    across = draw.normal(0, 0.5, 1100).clip(-1.25, 1.25)
    places = np.column_stack([x + across * half, foot - height * up])
    lit = 0.33 + 0.42 * across + draw.normal(0, 0.2, 1100)
    _leaves(brush, draw, places, lit, 0.0048, "#1b3124", "#98a04a")


def _tree(brush: Brush, draw: Draw, foot: tuple[float, float]) -> None:
    """A large tree on the right, dark against the light."""
    bark, up = rgb("#33241b"), np.linspace(0, 1, 24)
    middle, half = -0.035 * np.sin(2.6 * up) - 0.02 * up, 0.034 * (1 - up) ** 2 + 0.016 * (1 - 0.45 * up)
    left, right = (np.column_stack([middle + side * half, -0.50 * up]) + foot for side in (-1, 1))
    brush.fill(np.concatenate([left, right[::-1]]), bark)
    for across, rise in _LIMBS:
        t = np.linspace(0, 1, 12)
        limb = np.column_stack([-0.035 + (across + 0.035) * t**1.4, -0.36 + (rise + 0.36) * t])
        brush.line(foot + limb, bark, 0.010)
    for across, rise, radius in _CROWN:
        angle, out = draw.uniform(0, 2 * np.pi, 700), np.sqrt(draw.uniform(0, 1, 700)) * draw.normal(1, 0.13, 700)
        leaves = np.column_stack([out * np.cos(angle), 0.72 * out * np.sin(angle)])
        leaves = leaves[np.argsort(-leaves @ (0.6, 1) + draw.normal(0, 0.5, 700))]
        lit = 0.33 - leaves @ (0.40, 0.38) + draw.normal(0, 0.17, 700)
        _leaves(brush, draw, leaves * radius + (foot[0] + across, foot[1] + rise), lit, 0.0058, "#15271e", "#b79f45")


_LIMBS = ((-0.25, -0.66), (-0.13, -0.76), (0.05, -0.76), (-0.20, -0.50), (0.09, -0.58))  # where they end
# Of each part of the crown: how far right and down of the foot it hangs, and its radius.
_CROWN = (
    (0.07, -0.55, 0.075),
    (-0.19, -0.49, 0.07),
    (-0.03, -0.80, 0.105),
    (0.07, -0.72, 0.115),
    (-0.25, -0.62, 0.085),
    (-0.12, -0.73, 0.105),
    (-0.08, -0.58, 0.09),
    (0.02, -0.62, 0.085),
)


def _flowers(brush: Brush, draw: Draw, wide: float) -> None:
    """Grass and poppies at our feet, larger towards us."""
    depths, kinds = np.sort(draw.uniform(0, 1, 1500) ** 1.1), draw.uniform(0, 1, 1500)
    shares, bends = draw.uniform(0, 0.84, 1500), draw.normal(0, 0.4, 1500)
    for near, kind, share, bend in zip(depths, kinds, shares, bends, strict=True):
        x, y, tall = share * wide, 0.80 + 0.21 * near, 0.012 + 0.045 * near
        if y < 0.75 + 0.43 * max(share - 0.2, 0):  # out on the water
            continue
        green = rgb("#2f4a24") + (rgb("#8c9440") - rgb("#2f4a24")) * (7.31 * kind % 1)
        blade = points((x, y), (0, 0), (0.3 * bend * tall, -0.6 * tall), (bend * tall, -tall))
        brush.line(blade, green, 0.0022 + 0.002 * near)
        if kind < 0.16:
            petal, heart = ("#c9341f", "#e8623c") if kind < 0.11 else ("#f2d9a6", "#fff6dd")
            brush.dot(blade[-1], 0.003 + 0.0085 * near, rgb(petal))
            brush.dot(blade[-1] - (0.001, 0.002), 0.0016 + 0.004 * near, rgb(heart))
