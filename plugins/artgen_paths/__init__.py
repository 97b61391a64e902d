"""Ways through a latent space: lines and curves through keyframes, circles, and noise that wanders past them."""

from __future__ import annotations

from pydantic import Field

from artgen import Component, VideoOptions, hookimpl

ARTGEN_API = 1


class StraightOptions(VideoOptions):
    """A walk from keyframe to keyframe on straight lines, kept where latents live: it turns at each of them."""

    loop: bool = True
    """After the last keyframe it goes back to the first. Otherwise it ends there."""


class SlerpOptions(VideoOptions):
    """A walk from keyframe to keyframe along great circles: at an even angle, with a turn at each of them."""

    loop: bool = True
    """After the last keyframe it goes back to the first. Otherwise it ends there."""


class SplineOptions(VideoOptions):
    """A walk through the keyframes on a cubic spline, without a jolt anywhere."""

    loop: bool = True
    """After the last keyframe it goes back to the first, without a jolt there either. Otherwise it ends there."""


class GreatCircleOptions(VideoOptions):
    """A walk all the way round, on the circle through the first two keyframes: at constant speed, past the opposites of
    both."""


class NoiseLoopOptions(VideoOptions):
    """A walk past the keyframes, as noise that is smoothed in time: it wanders, and stops nowhere."""

    smoothing: float = Field(1.0, ge=0.2, le=16)
    """Deviation of the Gaussian that smooths it, in keyframes: more is slower, and sees fewer different pictures."""


class OrbitOptions(VideoOptions):
    """A walk around the first keyframe, on a small circle towards the second and the third: variations of one
    picture."""

    degrees: float = Field(30.0, gt=0, le=90)
    """How far from the first keyframe it keeps, as an angle; at 90 nothing is left of it."""


@hookimpl
def artgen_paths() -> list[Component]:
    """Straight, slerp, spline, great circle, noise loop, orbit."""
    return [
        Component(
            kind="path",
            name="straight",
            summary="From keyframe to keyframe on straight lines",
            options=StraightOptions,
            factory="artgen_paths.through:Straight",
        ),
        Component(
            kind="path",
            name="slerp",
            summary="From keyframe to keyframe along great circles",
            options=SlerpOptions,
            factory="artgen_paths.through:Slerp",
        ),
        Component(
            kind="path",
            name="spline",
            summary="Through the keyframes without a jolt",
            options=SplineOptions,
            factory="artgen_paths.through:Spline",
        ),
        Component(
            kind="path",
            name="great-circle",
            summary="All the way round, through two keyframes",
            options=GreatCircleOptions,
            factory="artgen_paths.around:GreatCircle",
        ),
        Component(
            kind="path",
            name="noise-loop",
            summary="Wandering past the keyframes",
            options=NoiseLoopOptions,
            factory="artgen_paths.around:NoiseLoop",
        ),
        Component(
            kind="path",
            name="orbit",
            summary="Around one keyframe, in a small circle",
            options=OrbitOptions,
            factory="artgen_paths.around:Orbit",
        ),
    ]
