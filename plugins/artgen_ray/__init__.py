"""Pieces of films, rendered by a Ray cluster."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class RayOptions(Options):
    """A Ray cluster renders pieces of films. All its machines must see the same folders, under the same names."""

    address: str = ""
    """The cluster: "auto" is the one that runs on this machine, HOST:PORT any other; empty starts one on this machine
    for as long as the command takes."""
    workers: int = Field(0, ge=0, le=100_000)
    """How many pieces are under way at once; 0: as many as there is room for when the command starts."""
    cpus: float = Field(1.0, gt=0, le=1024)
    """How many cores each of them asks for."""
    gpus: float | None = Field(None, ge=0, le=64)
    """How many GPUs each of them asks for. Default: one where films are made on those, else none."""


@hookimpl
def artgen_executors() -> list[Component]:
    """Ray."""
    return [
        Component(
            kind="executor",
            name="ray",
            summary="A Ray cluster, of this machine or of many (pip install 'artgen[ray]')",
            options=RayOptions,
            factory="artgen_ray.cluster:Cluster",
        )
    ]
