"""Pairs: pictures to be made from other pictures, in two folders or side by side; and how near they come."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artgen import Component, DataOptions, FilePath, Options, hookimpl

ARTGEN_API = 1


class PairOptions(DataOptions):
    """What both have."""

    path: FilePath = Field(min_length=1)
    """The folder that holds them."""
    labels: bool = False
    """The source is a map of labels: shrink it by nearest neighbour and never blend colours. In `pairs`, class numbers
    in place of colours, as grey files have them, get those of PASCAL VOC."""
    crop: Literal["center", "top", "smart", "pad"] = "center"
    """What is kept of a pair of another shape: its middle; its upper end; the part where the target has the most edges;
    or all of it, with its border repeated outwards."""
    skip_share: float = Field(0.05, ge=0, le=1)
    """Refuse the folder if more than this share of its pairs cannot be read."""

    @property
    def source_is_labels(self) -> bool:
        return self.labels


class FoldersOptions(PairOptions):
    """Two folders. The sides of a pair have one name, but the ending: `labels/7.png` and `photos/7.jpg`."""

    source: str = Field("labels", min_length=1)
    """Folder of what pictures are to be made from: its name within `path`, or where it is."""
    target: str = Field("photos", min_length=1)
    """Folder of the pictures to learn, likewise."""


class SideBySideOptions(PairOptions):
    """Pictures of double width: the two sides of a pair beside each other."""

    direction: Literal["left-to-right", "right-to-left"] = "left-to-right"
    """Which half is made from which: the right one from the left one, or the left one from the right one."""


class PairedOptions(Options):
    """How near each made picture is to the one that it should be, beside how near its source is."""

    shown: int = Field(16, ge=1, le=1024)
    """How many of source, made and real picture the sheet shows."""


@hookimpl
def artgen_datasets() -> list[Component]:
    """The data sets of this plugin."""
    return [
        Component(
            kind="data",
            name="pairs",
            summary="Pairs of pictures in two folders, matched by name",
            options=FoldersOptions,
            factory="artgen_pairs.datasets:pairs",
        ),
        Component(
            kind="data",
            name="side-by-side",
            summary="Pairs of pictures side by side in one file each",
            options=SideBySideOptions,
            factory="artgen_pairs.datasets:side_by_side",
        ),
    ]


@hookimpl
def artgen_metrics() -> list[Component]:
    """Likeness one by one."""
    return [
        Component(
            kind="metric",
            name="paired",
            summary="L1, PSNR and SSIM of each made picture with the real one, beside those of its source",
            options=PairedOptions,
            factory="artgen_pairs.paired:Paired",
            needs_pairs=True,
        )
    ]
