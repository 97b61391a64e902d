"""Rectified wavelets as a space of features: style transfer that needs no trained network."""

from __future__ import annotations

ARTGEN_API = 1
