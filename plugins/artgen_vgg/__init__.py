"""VGG-19 as a space of features: the network of Gatys et al. 2016."""

from __future__ import annotations

ARTGEN_API = 1
