"""Style transfer: a picture that is optimised itself, and the losses that compare styles and contents."""

from __future__ import annotations

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class FlickerOptions(Options):
    """How much the frames of a film change beside what moves in their contents."""


@hookimpl
def artgen_metrics() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="flicker",
            summary="How much a film flickers, beside its contents: error of frames moved by optical flow",
            options=FlickerOptions,
            factory="artgen_style.flicker:Flicker",
            needs_pairs=True,
        )
    ]
