"""Weights from a file that may be anybody's: safetensors, or one pickle that is known by its digest."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from artgen import DataError

PINNED_SHA256 = "ece1f6dfa59d851d4abb0be43a9b573375cfb71d0e1bb841c4657446ebf4b630"
"""Of `squeezenet1_1_features.pt` (2,906,645 bytes), the only pickled file that is opened."""
LARGEST_BYTES = 16_000_000
"""More than any SqueezeNet 1.1 has, classifier and all."""
REMEDY = (
    "Give torchvision's SqueezeNet 1.1 as a .safetensors file with tensors `features.*`, or the .pt file with SHA-256 "
    + PINNED_SHA256
)


def load_weights(network: nn.Module, path: str) -> None:
    """Fill `network` with the tensors `features.*` of a file; others, such as a classifier's, are left aside.

    Raises:
        DataError: The file cannot be read, is not one that may be opened, or does not fit the network exactly.
    """
    tensors = {name: value for name, value in _read(Path(path)).items() if name.startswith("features.")}
    wanted = network.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted:
            raise _unusable(path, f"tensor '{name}' is {'missing' if name in wanted else 'unknown'}")
        if tensors[name].shape != wanted[name].shape:
            raise _unusable(path, f"tensor '{name}' is {[*tensors[name].shape]}, not {[*wanted[name].shape]}")
        if not tensors[name].is_floating_point() or not tensors[name].isfinite().all():
            raise _unusable(path, f"tensor '{name}' holds something else than finite floating-point numbers")
    network.load_state_dict(tensors)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():  # a pipe would be waited for
        raise _unusable(path, "there is no such file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if len(content) > LARGEST_BYTES:
        raise _unusable(path, f"it is larger than {LARGEST_BYTES:,} bytes")
    if path.suffix == ".safetensors":
        try:
            return load_safetensors(content)
        except (SafetensorError, ValueError, KeyError) as error:
            raise _unusable(path, f"not a safetensors file: {error}") from error
    # The digest is that of the very bytes that are unpickled; the file may change meanwhile.
    if (digest := hashlib.sha256(content).hexdigest()) != PINNED_SHA256:
        raise _unusable(path, f"a pickled file with the unknown SHA-256 {digest} is not opened")
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return tensors


def _unusable(path: str | Path, cause: str) -> DataError:
    return DataError(cause, place=f"features.squeezenet.weights = {str(path)!r}", remedy=REMEDY)
