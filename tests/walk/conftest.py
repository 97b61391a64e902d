"""A run of a small GAN, for whoever walks through it."""

from __future__ import annotations

import numpy as np
import pytest

from artgen.testing.runs import train

GAN = """
[data.npz]
path = "pictures.npz"
resolution = 16
[generator.dcgan]
latent = 6
width = 4
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 64
batch = 8
[run]
precision = "fp32"
preview_images = 16
checkpoint_images = 16
keep_checkpoints = 4
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Its folder, with four checkpoints and four previews. Nobody changes it."""
    folder = tmp_path_factory.mktemp("walk")
    pictures = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), np.uint8)
    np.savez(folder / "pictures.npz", images=pictures)
    train(folder, GAN)
    return folder / "run"
