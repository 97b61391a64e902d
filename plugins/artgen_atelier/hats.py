"""What is worn on the head."""

from __future__ import annotations

from artgen_atelier.canvas import Ellipsoid, Frame, Pose, paint
from artgen_atelier.clothes import cloth
from artgen_atelier.scene import Layer
from artgen_atelier.sitter import Sitter


def hat(frame: Frame, s: Sitter, pose: Pose) -> list[Layer]:
    """The hat, with a plume now and then."""
    colour, size, tilt = paint(s.hat_colour), s.hat_size, s.hat_tilt
    layers: list[Layer] = []
    if s.hat == "beret":
        lean = 0.25 if tilt > 0 else -0.25
        top = Ellipsoid(
            (lean * 0.5, -0.70, -0.12), (0.95 + 0.22 * size, 0.27 + 0.10 * size, 0.95), (0, 0.12, lean * 0.6 + tilt)
        )
        band = Ellipsoid((0, -0.50, -0.06), (0.77, 0.16, 0.84), (0, 0.10, tilt * 0.5))
        layers = [cloth(frame, [band, top], s, pose, colour, 0.035, 0.04)]
    elif s.hat == "brim":
        brim = Ellipsoid((0, -0.50, 0.0), (1.22 + 0.30 * size, 0.085, 1.12 + 0.2 * size), (0, -0.10, tilt))
        crown = Ellipsoid((0, -0.84, -0.08), (0.70, 0.50 + 0.2 * size, 0.68), (0, 0, tilt))
        band = Ellipsoid((0, -0.44, -0.08), (0.77, 0.30, 0.86), (0, 0, 0.5 * tilt))
        layers = [cloth(frame, [brim, crown, band], s, pose, colour, 0.02, 0.03)]
    elif s.hat == "turban":
        rolls = [
            Ellipsoid((0, -0.44, 0.02), (0.84, 0.20, 0.86), (0, 0.12, 0.22 + tilt)),
            Ellipsoid((0, -0.57, 0.02), (0.90, 0.22, 0.88), (0, 0.10, -0.25 + tilt)),
            Ellipsoid((0, -0.78, -0.04), (0.84 + 0.1 * size, 0.26, 0.82), (0, 0.05, 0.18 + tilt)),
            Ellipsoid((0, -0.98 - 0.1 * size, -0.1), (0.58, 0.24 + 0.1 * size, 0.6), (0, 0, -0.15 + tilt)),
            Ellipsoid((0.72 if tilt > 0 else -0.72, 0.05, -0.25), (0.16, 0.62, 0.18)),  # the loose end
        ]
        layers = [cloth(frame, rolls, s, pose, colour, 0.03, 0.02)]
    elif s.hat == "cap":
        layers = [
            cloth(
                frame,
                [Ellipsoid((0, -0.44, -0.14), (0.79, 0.58 + 0.1 * size, 0.84), (0, 0.10, tilt * 0.5))],
                s,
                pose,
                colour,
                0.02,
            )
        ]
    elif s.hat == "coif":
        hood = [
            Ellipsoid((0, -0.33, -0.17), (0.81 + 0.06 * size, 0.80, 0.85)),
            *(
                Ellipsoid((side * 0.70, 0.15, -0.16), (0.15 + 0.08 * size, 0.56, 0.34), (0, 0, -side * 0.12))
                for side in (-1, 1)
            ),
        ]
        layers = [cloth(frame, hood, s, pose, colour, 0.018, 0.05)]
    if s.plume and s.hat in ("beret", "brim"):
        lean = 1 if tilt > 0 else -1
        feather = [
            Ellipsoid(
                (lean * (0.58 + 0.13 * i), -0.66 - 0.20 * i + 0.035 * i * i, 0.05),
                (0.24, 0.12, 0.1),
                (0, 0, lean * (-1.2 + 0.35 * i)),
            )
            for i in range(4)
        ]
        layers.append(cloth(frame, feather, s, pose, paint((0.68, 0.58, 0.44)), 0.02, 0.03))
    return layers
