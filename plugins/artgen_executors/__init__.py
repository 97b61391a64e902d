"""Who renders the pieces of films: several processes of this machine."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class LocalOptions(Options):
    """Processes of this machine render pieces of films side by side; one that dies is replaced."""

    workers: int = Field(0, ge=0, le=1024)
    """How many processes; 0: one for each GPU where films are made on those, else one for each core. Each has a
    generator of its own in memory."""
    threads: int = Field(0, ge=0, le=1024)
    """How many pieces each of them has under way at once; 0: its share of the cores."""


@hookimpl
def artgen_executors() -> list[Component]:
    """Local."""
    return [
        Component(
            kind="executor",
            name="local",
            summary="Several processes of this machine",
            options=LocalOptions,
            factory="artgen_executors.local:Local",
        )
    ]
