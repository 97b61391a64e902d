"""The dense GAN: fully connected layers only, as in the first paper (Goodfellow et al. 2014) and in every lecture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1

Units = Annotated[int, Field(ge=1, le=65_536)]


class GeneratorOptions(Options):
    """Layers of the generator."""

    latent: int = Field(100, ge=1, le=4096)
    """Dimensions of the latent space."""
    hidden: tuple[Units, ...] = Field((256, 512, 1024), min_length=1, max_length=16)
    """Units of the hidden layers."""
    batch_norm: bool = True
    """Normalise after each hidden layer but the first."""


class CriticOptions(Options):
    """Layers of the critic."""

    hidden: tuple[Units, ...] = Field((1024, 512, 256), min_length=1, max_length=16)
    """Units of the hidden layers."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of units dropped after each hidden layer."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="dense",
            summary="Fully connected layers, no convolutions (Goodfellow et al. 2014)",
            options=GeneratorOptions,
            factory="artgen_dense.networks:DenseGenerator",
            partner="dense",
        )
    ]


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(
            kind="critic",
            name="dense",
            summary="Fully connected layers, no convolutions (Goodfellow et al. 2014)",
            options=CriticOptions,
            factory="artgen_dense.networks:DenseCritic",
        )
    ]
