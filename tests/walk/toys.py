"""What a walk is tested on: spaces that say what they are, draws that follow their seeds, a path of one's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from artgen.plugins import load_plugins
from artgen.run.making import make
from artgen.training import LatentSpace

PARTS = {"coarse": slice(0, 2), "fine": slice(2, 6)}


def space_of(prior="gaussian", shape=(6,), parts=None):
    learned = {"mapping": lambda z: 2 * z + 5, "z_shape": shape} if prior == "learned" else {}
    return LatentSpace(shape, prior, parts=parts or {}, **learned)


def draws(space):
    """`draw(count, seed)` of a space: of more draws the first are the same."""

    def draw(count, seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed % 2**32)
            return torch.cat([space.draw(1) for _ in range(count)])

    return draw


def film(path="spline", **table):
    """The table of a film, and the path that it names."""
    component = load_plugins().component("path", path)
    options = component.options.model_validate(table, strict=False)
    return options, make(component, options)


def stretches(knots, loops=True):
    """Of a walk that which a timetable asks for."""
    return SimpleNamespace(knots=np.array(knots, dtype=np.float64), loops=loops)
