"""Data sets: a folder of pictures, MNIST, CIFAR-10, an array file, and the digits that come with scikit-learn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artgen import Component, DataOptions, FilePath, hookimpl

ARTGEN_API = 1

Cifar10Class = Literal["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class FolderOptions(DataOptions):
    """All pictures in a folder and the folders below it: JPEG, PNG, WebP, GIF, BMP, TIFF."""

    path: FilePath = Field(min_length=1)
    """The folder."""
    crop: Literal["center", "top", "smart", "pad"] = "center"
    """What is kept of a picture of another shape: its middle; its upper end (portraits); the part with the most edges;
    or all of it, with its border repeated outwards."""
    skip_share: float = Field(0.05, ge=0, le=1)
    """Refuse the folder if more than this share of its picture files cannot be read."""


class MnistOptions(DataOptions):
    """Handwritten digits, 28 px (LeCun, Cortes, Burges), or any set of the same form (Fashion-MNIST)."""

    path: FilePath = Field(min_length=1)
    """Folder of the files `train-images-idx3-ubyte` and so on, plain or `.gz`."""
    split: Literal["train", "test"] = "train"
    """60,000 pictures to train with, or the 10,000 of the test."""
    resolution: int | tuple[int, int] = 32
    """Side of the pictures in pixels. 28 leaves them as they are; otherwise they get a black border of 2 px first."""


class Cifar10Options(DataOptions):
    """Small photographs of ten classes, 32 px (Krizhevsky 2009), in the binary version."""

    path: FilePath = Field(min_length=1)
    """Folder of the files `data_batch_1.bin` to `data_batch_5.bin`."""
    classes: list[Cifar10Class] = Field(default_factory=list)
    """Which classes to use; none named means all."""
    resolution: int | tuple[int, int] = 32
    """Side of the pictures in pixels, or [width, height]."""


class NpzOptions(DataOptions):
    """Pictures in one NumPy file: key `images`, uint8, (N, H, W, 3) or grey (N, H, W)."""

    path: FilePath = Field(min_length=1)
    """The `.npz` file."""


class DigitsOptions(DataOptions):
    """1,797 handwritten digits, 8 px, that come with scikit-learn: pictures without a download."""

    resolution: int | tuple[int, int] = 8
    """Side of the pictures in pixels, or [width, height]."""


@hookimpl
def artgen_datasets() -> list[Component]:
    """The data sets of this plugin."""
    return [
        Component(
            kind="data",
            name="folder",
            summary="All pictures in a folder and the folders below it",
            options=FolderOptions,
            factory="artgen_datasets.folder:folder",
        ),
        Component(
            kind="data",
            name="mnist",
            summary="Handwritten digits, from idx files",
            options=MnistOptions,
            factory="artgen_datasets.mnist:mnist",
        ),
        Component(
            kind="data",
            name="cifar10",
            summary="Small photographs of ten classes, from binary batches",
            options=Cifar10Options,
            factory="artgen_datasets.cifar10:cifar10",
        ),
        Component(
            kind="data",
            name="npz",
            summary="Pictures in one NumPy file, key `images`",
            options=NpzOptions,
            factory="artgen_datasets.npz:npz",
        ),
        Component(
            kind="data",
            name="digits",
            summary="The small digits that come with scikit-learn",
            options=DigitsOptions,
            factory="artgen_datasets.digits:digits",
        ),
    ]
