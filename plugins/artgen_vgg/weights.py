"""Weights from a file that may be anybody's: safetensors, or one of two published pickles, known by their digests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from artgen import DataError
from artgen.download import Published, kept_part, pinned
from artgen.files import cache_folder

FIRST = "features.0.weight"


@dataclass(frozen=True)
class Origin:
    """One of the published networks, and the colours it was trained on.

    Args:
        published: The whole of it.
        mean: Of ImageNet, in RGB; subtracted from pictures in 0..`top`.
        deviation: Of ImageNet, in RGB; pictures are divided by it.
        top: The brightest value.
        reversed: Its first convolution takes blue, green, red.
    """

    published: Published
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    top: float
    reversed: bool

    @property
    def centre(self) -> Tensor:
        """The mean colour (3, 1, 1) as RGB in [-1, 1]."""
        return torch.tensor(self.mean).view(3, 1, 1) * (2 / self.top) - 1

    def for_rgb(self, weight: Tensor) -> Tensor:
        """The first convolution's weight (64, 3, 3, 3), for RGB in [-1, 1] from which `centre` was subtracted."""
        weight = weight.flip(1) if self.reversed else weight
        return weight * (self.top / 2 / torch.tensor(self.deviation).view(3, 1, 1))


ORIGINS = {
    "torchvision": Origin(
        Published(
            "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
            "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        ),
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        top=1.0,
        reversed=False,
    ),
    "caffe": Origin(
        # Nobody publishes more of this digest than the eight digits in the name. A file that has them may have been
        # forged, so it is read as every pickle here: as tensors, and as nothing else.
        Published("https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth", "d01eb7cb"),
        mean=(123.68, 116.779, 103.939),
        deviation=(1.0, 1.0, 1.0),
        top=255.0,
        reversed=True,
    ),
}
REMEDY = "Give torchvision's VGG-19 as a .safetensors file with tensors `features.*`, or one of the files " + ", ".join(
    f"{origin.published.name} (SHA-256 {origin.published.sha256})" for origin in ORIGINS.values()
)


def load_weights(network: nn.Module, weights: str, origin: str) -> None:
    """Fill `network` with the tensors of a file, and fold the colours that they expect into it.

    Args:
        network: Its state names the tensors that are taken; others, such as a classifier's, are left aside.
        weights: The file; empty: the published one of `origin`, wherever it is.
        origin: Also that of a file that says nothing of it.

    Raises:
        DataError: The file cannot be had or read, is not one that may be opened, or does not fit the network.
        ResourceError: What was downloaded cannot be kept.
    """
    wanted = network.state_dict()
    path = Path(weights) if weights else _found(origin, frozenset(wanted))
    tensors, told = _read(path, frozenset(wanted))
    for name, tensor in wanted.items():
        if name not in tensors:
            raise _unusable(path, f"tensor '{name}' is missing")
        if tensors[name].shape != tensor.shape:
            raise _unusable(path, f"tensor '{name}' is {[*tensors[name].shape]}, not {[*tensor.shape]}")
        if not tensors[name].is_floating_point() or not tensors[name].isfinite().all():
            raise _unusable(path, f"tensor '{name}' holds something else than finite floating-point numbers")
    colours = ORIGINS[told or origin]
    tensors[FIRST] = colours.for_rgb(tensors[FIRST].float())
    network.load_state_dict(tensors)
    network.get_buffer("centre").copy_(colours.centre)


def _found(origin: str, names: frozenset[str]) -> Path:
    """The part of a published network that is used, kept in the cache."""
    published, folder = ORIGINS[origin].published, cache_folder() / "weights"
    at_hand = (folder / published.name, Path(torch.hub.get_dir()) / "checkpoints" / published.name)
    try:
        return kept_part(published, folder / f"vgg19-{origin}.safetensors", partial(_cut, origin, names), at_hand)
    except DataError as error:
        raise DataError(
            error.cause,
            place=f"features.vgg19 of {origin}",
            remedy=f"{error.remedy}, or name its place: `weights` in [features.vgg19]. Features that need less: "
            "[features.squeezenet], a file of 3 MB; [features.wavelets], no file.",
        ) from error


def _cut(origin: str, names: frozenset[str], file: BufferedReader, sha256: str) -> bytes:
    return save(
        _unpickled(file, names),
        {"origin": origin, "cut_from": ORIGINS[origin].published.url, "cut_from_sha256": sha256},
    )


def _read(path: Path, names: frozenset[str]) -> tuple[dict[str, Tensor], str]:
    """Those of the named tensors that a file has, and its origin, or nothing if it does not tell."""
    if not path.is_file():  # a pipe would be waited for
        raise _unusable(path, "there is no such file")
    try:
        if path.suffix == ".safetensors":
            if pinned(path) is False:
                raise _unusable(path, f"its SHA-256 is not the one in {path.name}.sha256: it is damaged")
            with safe_open(path, framework="pt") as file:
                told = (file.metadata() or {}).get("origin", "")
                tensors = {name: file.get_tensor(name) for name in names.intersection(file.keys())}
            return tensors, told if told in ORIGINS else ""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)  # the same file is read, should another one take its name meanwhile
            for origin, its in ORIGINS.items():
                if its.published.fits(sha256):
                    return _unpickled(file, names), origin
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"it cannot be read: {error}") from error
    raise _unusable(path, f"a pickled file with the unknown SHA-256 {sha256} is not opened")


def _unpickled(file: BufferedReader, names: frozenset[str]) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError) as error:
        raise _unusable(Path(file.name), "it holds something else than tensors") from error
    return {name: tensor for name, tensor in tensors.items() if name in names}


def _unusable(path: Path, cause: str) -> DataError:
    return DataError(cause, place=f"features.vgg19.weights = {str(path)!r}", remedy=REMEDY)
