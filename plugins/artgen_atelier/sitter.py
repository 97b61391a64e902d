"""Who sits, in what light and dress: every choice of a picture, drawn before a pixel is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Hat = Literal["none", "beret", "brim", "turban", "cap", "coif"]
Hair = Literal["bald", "short", "bob", "long", "curls"]
Beard = Literal["none", "stubble", "moustache", "goatee", "full"]
Collar = Literal["none", "ruff", "flat", "scarf", "gorget", "chemise"]
Colour = tuple[float, float, float]
Choice = TypeVar("Choice")

SKINS: tuple[Colour, ...] = (
    (0.88, 0.69, 0.53),
    (0.93, 0.77, 0.62),
    (0.84, 0.60, 0.44),
    (0.80, 0.63, 0.45),
    (0.72, 0.52, 0.37),
)
HAIRS: tuple[Colour, ...] = (
    (0.14, 0.10, 0.07),
    (0.25, 0.16, 0.09),
    (0.36, 0.24, 0.13),
    (0.44, 0.31, 0.18),
    (0.40, 0.23, 0.13),
)
CLOTHS: tuple[tuple[Colour, float], ...] = (
    ((0.11, 0.10, 0.09), 0.34),  # bone black
    ((0.23, 0.16, 0.11), 0.17),  # umber
    ((0.34, 0.22, 0.12), 0.12),  # burnt earth
    ((0.44, 0.33, 0.16), 0.08),  # ochre
    ((0.43, 0.12, 0.08), 0.12),  # red lake
    ((0.21, 0.24, 0.14), 0.08),  # green earth
    ((0.17, 0.22, 0.30), 0.06),  # smalt blue
    ((0.50, 0.42, 0.30), 0.03),  # buff
)
GROUNDS: tuple[tuple[Colour, float], ...] = (
    ((0.27, 0.20, 0.13), 0.30),  # umber
    ((0.25, 0.23, 0.15), 0.20),  # olive
    ((0.15, 0.12, 0.09), 0.20),  # warm black
    ((0.29, 0.28, 0.23), 0.12),  # grey
    ((0.33, 0.18, 0.11), 0.09),  # red earth
    ((0.34, 0.27, 0.14), 0.09),  # ochre
)


@dataclass(frozen=True)
class Sitter:
    """One portrait, as numbers. Angles in radians, lengths in heads, colours as seen (sRGB, 0 to 1).

    `light` points from the face to the light (x right, y down, z to the viewer). Numbers without a unit run from 0 to 1
    or, where they have a sign, from -1 to 1.
    """

    light: tuple[float, float, float]
    light_strength: float
    yaw: float
    pitch: float
    roll: float
    body_yaw: float
    scale: float
    place: tuple[float, float]
    woman: bool
    age: float
    weight: float
    jaw: float
    length: float
    nose: float
    nose_width: float
    brow: float
    eye_size: float
    eye_gap: float
    gaze: tuple[float, float]
    mouth: float
    lips: float
    smile: float
    ruddy: float
    skin: Colour
    hair: Hair
    hair_colour: Colour
    hair_volume: float
    beard: Beard
    hat: Hat
    hat_colour: Colour
    hat_tilt: float
    hat_size: float
    plume: bool
    collar: Collar
    collar_size: float
    cloth: Colour
    cloak: Colour | None
    chain: bool
    ground: Colour
    halo: float
    halo_side: float
    varnish: float
    vignette: float
    cracks: float
    stroke: float
    offset: tuple[float, float]

    @property
    def light_side(self) -> int:
        """-1 where the light comes from the left, 1 from the right."""
        return -1 if self.light[0] < 0 else 1


def invite(seed: int, index: int) -> Sitter:
    """The sitter of picture `index` of collection `seed`: a pure function of the two."""
    rng = np.random.Generator(np.random.Philox(key=[seed, index]))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def bell(mean: float, deviation: float, limit: float = 2.0) -> float:
        return float(mean + deviation * np.clip(rng.standard_normal(), -limit, limit))

    def one_of(choices: Sequence[tuple[Choice, float]]) -> Choice:
        weights = np.cumsum([weight for _, weight in choices])
        return choices[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))][0]

    def mixed(colours: Sequence[Colour]) -> Colour:
        """A colour between two of a palette, never twice the same."""
        first, second = rng.integers(0, len(colours), 2)
        share = rng.uniform(0, 0.5)
        return tinted(tuple((1 - share) * np.array(colours[first]) + share * np.array(colours[second])))

    def tinted(colour: tuple[float, ...]) -> Colour:
        r, g, b = np.clip(np.array(colour) * rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3), 0, 1)
        return float(r), float(g), float(b)

    woman = bool(rng.random() < 0.36)
    age = between(0, 1) ** 0.9
    side = -1 if rng.random() < 0.7 else 1  # Rembrandt's window stood mostly at his left
    azimuth, elevation = bell(1.02, 0.16), bell(0.68, 0.11)
    light = (side * np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation))
    # Most heads turn to the light; then the far cheek keeps its lit triangle.
    yaw = bell(side * 0.10, 0.34, 1.8)
    grey = float(np.clip((age - 0.55) * 2.4 + bell(0, 0.25), 0, 1))
    white_hair = np.array((0.66, 0.62, 0.55))
    hair_colour = tuple(float(c) for c in (1 - grey) * np.array(mixed(HAIRS)) + grey * white_hair * between(0.75, 1.05))
    cloth = tinted(one_of(CLOTHS))
    hat: Hat = (
        one_of([("none", 0.42), ("coif", 0.20), ("beret", 0.12), ("brim", 0.06), ("turban", 0.10)])
        if woman
        else one_of([("none", 0.30), ("beret", 0.26), ("brim", 0.20), ("turban", 0.11), ("cap", 0.13)])
    )
    hat_colour = tinted(
        one_of([((0.12, 0.10, 0.09), 0.58), (cloth, 0.14), ((0.33, 0.10, 0.07), 0.12), ((0.26, 0.17, 0.11), 0.16)])
    )
    if hat == "turban":
        hat_colour = tinted(
            one_of([((0.68, 0.60, 0.47), 0.55), ((0.55, 0.41, 0.19), 0.25), ((0.40, 0.15, 0.10), 0.20)])
        )
    if hat == "coif":
        hat_colour = tinted((0.74, 0.69, 0.60))
    return Sitter(
        light=(float(light[0]), float(light[1]), float(light[2])),
        light_strength=between(0.85, 1.2),
        yaw=yaw,
        pitch=bell(0.04, 0.10),
        roll=bell(0, 0.09),
        body_yaw=yaw * 0.5 + bell(0, 0.25),
        scale=between(0.44, 0.66),
        place=(bell(-0.10 * np.sign(yaw), 0.09), bell(-0.12, 0.06)),
        woman=woman,
        age=age,
        weight=bell(0.5, 0.25),
        jaw=bell(0.35 if woman else 0.6, 0.2),
        length=bell(0.5, 0.25),
        nose=bell(0.4 if woman else 0.6, 0.22),
        nose_width=bell(0.4 if woman else 0.6, 0.22),
        brow=bell(0.25 if woman else 0.6, 0.2),
        eye_size=bell(0.6 if woman else 0.45, 0.2),
        eye_gap=bell(0.5, 0.25),
        gaze=(bell(-0.35 * np.sign(yaw) * min(1, abs(yaw) * 2), 0.3), bell(0, 0.15)),
        mouth=bell(0.45, 0.2),
        lips=bell(0.65 if woman else 0.4, 0.2),
        smile=bell(0.4, 0.35),
        ruddy=bell(0.5, 0.25),
        skin=mixed(SKINS),
        hair=one_of([("bob", 0.3), ("long", 0.35), ("curls", 0.35)])
        if woman
        else one_of([("bald", 0.10 + 0.3 * age), ("short", 0.3), ("bob", 0.2), ("long", 0.12), ("curls", 0.25)]),
        hair_colour=(hair_colour[0], hair_colour[1], hair_colour[2]),
        hair_volume=bell(0.5, 0.3),
        beard="none"
        if woman
        else one_of(
            [
                ("none", 0.55 - 0.35 * age),
                ("stubble", 0.1),
                ("moustache", 0.2),
                ("goatee", 0.18),
                ("full", 0.05 + 0.4 * age),
            ]
        ),
        hat=hat,
        hat_colour=hat_colour,
        hat_tilt=bell(0, 0.16),
        hat_size=bell(0.5, 0.3),
        plume=bool(rng.random() < 0.22),
        collar=one_of([("none", 0.18), ("ruff", 0.2), ("flat", 0.26), ("chemise", 0.2), ("scarf", 0.16)])
        if woman
        else one_of(
            [("none", 0.17), ("ruff", 0.14), ("flat", 0.25), ("scarf", 0.15), ("gorget", 0.12), ("chemise", 0.17)]
        ),
        collar_size=bell(0.5, 0.3),
        cloth=cloth,
        cloak=tinted(one_of(CLOTHS)) if rng.random() < 0.4 else None,
        chain=bool(rng.random() < 0.2),
        ground=tinted(one_of(GROUNDS)),
        halo=between(0.3, 1),
        halo_side=bell(-0.6 * side, 0.4),
        varnish=between(0.1, 0.9),
        vignette=between(0.2, 0.9),
        cracks=between(0.4, 1) if rng.random() < 0.25 else 0.0,
        stroke=between(0.6, 1.4),
        offset=(between(0, 64), between(0, 64)),
    )
