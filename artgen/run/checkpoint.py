"""Checkpoints: folders that are whole, checked and never overwritten.

`checkpoints/images-000123456/` holds one safetensors file a part, `state.json` (what is no tensor, and where each
tensor belongs) and `manifest.json` (size and SHA-256 of each file), which is written last. A folder gets its name only
when all of it is on the disk. Order is by images shown, never by a clock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from artgen import files
from artgen.errors import CheckpointError, DivergedError, ResourceError
from artgen.run.state import State, pack, unpack

SCHEMA = 1
MANIFEST, SKELETON = "manifest.json", "state.json"
JSON_LIMIT_BYTES = 1 << 25

_FOLDER = re.compile(r"images-(\d{9,18})(?:-(\d{1,9}))?", re.ASCII)
_PART = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)

log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A checkpoint that was verified, and one sentence for each newer one that was damaged."""

    path: Path
    parts: dict[str, State]
    info: dict[str, Any]
    damaged: tuple[str, ...]


class _Damaged(CheckpointError):
    """One checkpoint is no good; an older one may be."""


def save(folder: Path, parts: Mapping[str, State], info: Mapping[str, Any], *, finite: bool = True) -> Path:
    """Commit a checkpoint: after this returns it survives a kill and a power cut; before, the older ones do.

    Args:
        folder: The folder of checkpoints; made if absent.
        parts: Name (lower case, digits, `-`, `_`) -> state.
        info: Facts beside the state, `images` (shown so far) among them; same types as a state, but no tensors.
        finite: Refuse tensors that hold nan or inf.

    Returns:
        The new checkpoint. A name that is taken is never overwritten: `images-000000100-2` follows `images-000000100`.

    Raises:
        CheckpointError: If a part holds what cannot be saved without pickle.
        DivergedError: If a tensor is not finite; names part and tensor.
        ResourceError: If the disk is full or fails; nothing is left of the attempt.
    """
    images = info.get("images")
    if type(images) is not int or images < 0:
        raise ValueError(f"info['images'] must be a number of images, not {images!r}")
    if wrong := [part for part in parts if not _PART.fullmatch(part)]:
        raise CheckpointError(f"a part cannot have this name: {wrong[0]!r}")
    packed = {part: pack(state, part) for part, state in parts.items()}
    tables = {part: tensors for part, (_, tensors) in packed.items()}
    if finite:
        _refuse_not_finite(tables)
    facts, none = pack(dict(info), "info")
    if none:
        raise CheckpointError("this cannot be saved: a tensor", place=f"info/{next(iter(none))}")
    skeleton = _to_json({part: skeleton for part, (skeleton, _) in packed.items()}, SKELETON)

    tensor_bytes = sum(tensor.nbytes for tensors in tables.values() for tensor in tensors.values())
    files.require_space(folder, 2 * (tensor_bytes + len(skeleton)), "a checkpoint")
    temporary = files.unused(folder, files.TEMPORARY)
    with files.disk_trouble(folder, "the checkpoint could not be saved, the older ones stand"):
        try:
            files.make_folder(folder)
            temporary.mkdir()
            listed = {}
            for part, tensors in tables.items():
                content = safetensors.torch.save({name: _plain(tensor) for name, tensor in tensors.items()})
                listed[f"{part}.safetensors"] = _create(temporary / f"{part}.safetensors", content)
            listed[SKELETON] = _create(temporary / SKELETON, skeleton)
            manifest = {"artgen_checkpoint": SCHEMA, "info": facts, "files": listed}
            files.create(temporary / MANIFEST, _to_json(manifest | {"sha256": _own_digest(manifest)}, MANIFEST))
            files.sync_folder(temporary)
            path = _free_name(folder, f"images-{images:09d}")
            files.move(temporary, path)
        except OSError:
            with suppress(OSError):
                files.remove(temporary)
            raise
    return path


def load(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, State], dict[str, Any]]:
    """Verify every file of a checkpoint and rebuild its parts and info.

    Raises:
        CheckpointError: If it is missing, damaged, or written by another version; names the file.
    """
    facts, listed = _read_manifest(path / MANIFEST)
    parts = [name.removesuffix(".safetensors") for name in listed if name != SKELETON]
    skeletons = _parse(_read_listed(path / SKELETON, listed, JSON_LIMIT_BYTES), path / SKELETON)
    if not isinstance(skeletons, dict) or set(skeletons) != set(parts):
        raise _Damaged("it does not speak of the parts that are there", place=str(path / SKELETON))
    info = _unpack(facts, {}, path / MANIFEST)
    states = {}
    for part in parts:
        file = path / f"{part}.safetensors"
        content = _read_listed(file, listed)
        try:
            tensors = safetensors.torch.load(content)
        except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, AssertionError) as error:
            raise _Damaged(f"its tensors cannot be read: {error}", place=str(file)) from error
        states[part] = _unpack(skeletons[part], {name: t.to(device) for name, t in tensors.items()}, file)
    return states, info


def newest(folder: Path, device: torch.device | str = "cpu", *, set_aside: bool = True) -> Loaded | None:
    """The newest checkpoint that is whole, or None if there is none at all.

    Args:
        folder: The folder of checkpoints; may be absent.
        device: Where the tensors go.
        set_aside: Rename newer, damaged ones to `damaged-...`; only the owner of the run folder may.

    Raises:
        CheckpointError: If there are checkpoints and not one is whole; says what is wrong with each. None is renamed.
    """
    damaged: dict[Path, str] = {}
    for path in committed(folder):
        try:
            parts, info = load(path, device)
        except _Damaged as error:
            if not path.exists():
                return newest(folder, device, set_aside=set_aside)  # its owner pruned it while we read: look again
            damaged[path] = f"{error.place}: {error.cause}"
            continue
        if set_aside:
            for bad in damaged:
                _set_aside(bad)
        return Loaded(path, parts, info, tuple(damaged.values()))
    if damaged:
        raise CheckpointError(
            "\n  ".join(["no checkpoint is whole", *damaged.values()]),
            place=str(folder),
            remedy="Restore one from a copy, or begin anew with --fresh, which keeps this folder under another name.",
        )
    return None


def committed(folder: Path) -> list[Path]:
    """All checkpoints in a folder, newest first, unverified."""
    if not folder.is_dir():
        return []
    found = [(match, path) for path in folder.iterdir() if (match := _FOLDER.fullmatch(path.name)) and path.is_dir()]
    return [path for match, path in sorted(found, key=lambda pair: (-int(pair[0][1]), -int(pair[0][2] or 1)))]


def images_of(path: Path) -> int:
    """After how many pictures shown a checkpoint was saved, by its name."""
    match = _FOLDER.fullmatch(path.name)
    return int(match[1]) if match else 0


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint, as its manifest lists them: equal ones hold the same, byte for byte.

    Raises:
        CheckpointError: If the manifest is missing or damaged.
    """
    _, listed = _read_manifest(path / MANIFEST)
    return {name: str(entry.get("sha256")) if isinstance(entry, dict) else "" for name, entry in listed.items()}


def prune(folder: Path, keep: int = 2) -> None:
    """Delete all but the newest `keep` checkpoints, of which the caller has just saved one.

    At least 2: the second is what is left if the newest turns out to be damaged. A deletion that fails is logged.
    """
    if keep < 2:
        raise ValueError(f"keep must be 2 or more, not {keep}")
    for path in committed(folder)[keep:]:
        trash = files.unused(folder, files.TRASH)
        try:
            files.move(path, trash)
            files.remove(trash)
        except OSError as error:
            log.warning("%s: an old checkpoint cannot be deleted: %s", path, error.strerror or error)


def _refuse_not_finite(tables: Mapping[str, Mapping[str, Tensor]]) -> None:
    for part, tensors in tables.items():
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise DivergedError(
                    "it holds nan or inf, so no checkpoint is saved; the older ones stand",
                    place=f"{part}/{name}",
                    remedy="Lower the learning rates, or look at metrics.jsonl for the loss that grew.",
                )


def _plain(tensor: Tensor) -> Tensor:
    """A copy of its own: contiguous, on the CPU, sharing memory with nothing (safetensors refuses all else)."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _create(path: Path, content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": files.create(path, content)}


def _free_name(folder: Path, name: str) -> Path:
    path, count = folder / name, 1
    while os.path.lexists(path):
        count += 1
        path = folder / f"{name}-{count}"
    return path


def _set_aside(path: Path) -> None:
    try:
        files.move(path, _free_name(path.parent, f"damaged-{path.name}"))
    except OSError as error:
        log.warning("%s: a damaged checkpoint cannot be renamed: %s", path, error.strerror or error)


def _to_json(value: Any, what: str) -> bytes:
    content = json.dumps(value, allow_nan=False, indent=1).encode()
    if len(content) > JSON_LIMIT_BYTES:
        raise CheckpointError(
            f"{what} would have {len(content):,} bytes, and {JSON_LIMIT_BYTES:,} is the most",
            remedy="Keep long lists of numbers in tensors.",
        )
    return content


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        return files.read(path, limit_bytes)
    except FileNotFoundError:
        raise _Damaged("it is missing", place=str(path)) from None
    except (OSError, ValueError) as error:
        raise _Damaged(f"it cannot be read: {getattr(error, 'strerror', None) or error}", place=str(path)) from error
    except MemoryError:
        raise ResourceError(f"memory cannot hold {path.stat().st_size / 1e6:,.1f} MB", place=str(path)) from None


def _read_listed(path: Path, listed: Mapping[str, Any], limit_bytes: int = sys.maxsize) -> bytes:
    match listed[path.name]:
        case {"bytes": int(size), "sha256": str(digest)}:
            content = _read(path, max(0, min(size, limit_bytes)))
        case _:
            raise _Damaged(f"it says nothing of {path.name}", place=str(path.parent / MANIFEST))
    if len(content) != size:
        raise _Damaged(f"it has {len(content):,} bytes and should have {size:,}", place=str(path))
    if hashlib.sha256(content).hexdigest() != digest:
        raise _Damaged("its content has changed since it was saved (SHA-256)", place=str(path))
    return content


def _read_manifest(path: Path) -> tuple[Any, dict[str, Any]]:
    """The info, still a skeleton, and the table of files; no name in it leads out of the folder."""
    manifest = _parse(_read(path, JSON_LIMIT_BYTES), path)
    if not isinstance(manifest, dict) or manifest.pop("sha256", None) != _own_digest(manifest):
        raise _Damaged("its content has changed since it was saved (SHA-256)", place=str(path))
    match manifest:
        case {"artgen_checkpoint": int(schema)} if schema != SCHEMA:
            raise CheckpointError(
                f"it has the format {schema} and this artgen reads {SCHEMA}",
                place=str(path.parent),
                remedy="Use the version of artgen that wrote it.",
            )
        case {"artgen_checkpoint": int(), "info": facts, "files": dict(listed)} if SKELETON in listed:
            parts = {name.removesuffix(".safetensors") for name in listed if name.endswith(".safetensors")}
            if len(parts) == len(listed) - 1 and all(_PART.fullmatch(part) for part in parts):
                return facts, listed
    raise _Damaged("it is not the list of a checkpoint", place=str(path))


def _own_digest(manifest: Mapping[str, Any]) -> str:
    """The manifest guards the files, and this guards the manifest: over its content, however it is laid out."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _parse(content: bytes, path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"it is not JSON: {error}", place=str(path)) from error


def _unpack(skeleton: Any, tensors: dict[str, Tensor], path: Path) -> Any:
    try:
        return unpack(skeleton, tensors)
    except ValueError as error:
        raise _Damaged(f"it does not fit the rest of the checkpoint: {error}", place=str(path)) from error
