"""Pictures to be repainted: single files, folders, films and latent walks, with the styles that they take."""

from __future__ import annotations

ARTGEN_API = 1
