"""State <-> a JSON skeleton and a flat table of tensors, exactly and without pickle.

The skeleton is plain JSON, except for objects of one key that begins with "$":

    {"$tensor": "optimizer/state/0/exp_avg"}    a tensor of the table; beside it "channels_last": true, if it lay so
    {"$tuple": [...]}                           a tuple
    {"$float": "nan"}                           nan, inf, -inf
    {"$items": [[0, ...], ["a", ...]]}          a dict whose keys are not all plain text
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, TypeAlias

import torch
from torch import Tensor

from artgen.errors import CheckpointError

State: TypeAlias = Any
"""Nested dicts (keys str or int), lists and tuples of tensors, numbers, text, booleans and None."""

DEEPEST = 64
"""Containers within containers, at most."""
_INTEGER_BITS = 1024
_DTYPES = {
    torch.bool,
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
}


def pack(state: State, part: str) -> tuple[Any, dict[str, Tensor]]:
    """Take a state apart. The tensors are the very ones of the state, not copies.

    An `OrderedDict` comes back as a dict, a `Parameter` as a tensor; all else as it was, with the order of its keys.

    Raises:
        CheckpointError: If it holds anything else; the place names the value.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(state, (), tensors, part), tensors


def unpack(skeleton: Any, tensors: dict[str, Tensor]) -> State:
    """Put a state together again. Takes each tensor out of the table as it is used.

    Raises:
        ValueError: If the skeleton is not one that `pack` makes, or does not fit the table.
    """
    state = _unpack(skeleton, tensors, 0)
    if tensors:
        raise ValueError(f"no place is given for the tensor {next(iter(tensors))!r}")
    return state


def _pack(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor], part: str) -> Any:
    kind = type(value)
    if value is None or kind in (bool, str) or (kind is int and value.bit_length() <= _INTEGER_BITS):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, Tensor) and value.layout == torch.strided and value.dtype in _DTYPES and not value.is_meta:
        name = _name(path, tensors)
        tensors[name] = value
        return {"$tensor": name} | ({"channels_last": True} if _is_channels_last(value) else {})
    if kind in (list, tuple, dict, OrderedDict) and len(path) < DEEPEST:
        if kind in (list, tuple):
            items = [_pack(item, (*path, str(index)), tensors, part) for index, item in enumerate(value)]
            return items if kind is list else {"$tuple": items}
        if all(type(key) in (str, int) for key in value):
            pairs = [[key, _pack(item, (*path, str(key)), tensors, part)] for key, item in value.items()]
            plain = all(type(key) is str and not key.startswith("$") for key in value)
            return dict(pairs) if plain else {"$items": pairs}
    raise CheckpointError(
        f"this cannot be saved: {_describe(value)}",
        place="/".join((part, *path)),
        remedy="Use dicts (keys str or int), lists and tuples of dense tensors, numbers, text, booleans and None.",
    )


def _is_channels_last(tensor: Tensor) -> bool:
    """Fused optimizers walk weights and moments side by side in memory, so both must lie there in one order."""
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _describe(value: Any) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if isinstance(value, Tensor):
        return f"{name} of {value.dtype}, {value.layout}, on {value.device}"
    if isinstance(value, (list, tuple, dict)):
        return f"{name} nested over {DEEPEST} deep, or with other keys than str and int"
    return name


def _name(path: tuple[str, ...], taken: dict[str, Tensor]) -> str:
    """A readable name that is free: {"a/b": x, "a": {"b": y}} asks for one name twice, safetensors reserves another."""
    # A lone surrogate in a key is no text that a file could hold.
    readable = name = "/".join(path).encode("utf-8", "backslashreplace").decode() or "value"
    count = 1
    while name in taken or name == "__metadata__":
        count += 1
        name = f"{readable}~{count}"
    return name


def _unpack(node: Any, tensors: dict[str, Tensor], depth: int) -> State:
    if depth > DEEPEST:
        raise ValueError(f"it is nested over {DEEPEST} deep")
    if isinstance(node, list):
        return [_unpack(item, tensors, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if not any(key.startswith("$") for key in node):
        return {key: _unpack(item, tensors, depth + 1) for key, item in node.items()}
    match node:
        case {"$tensor": str(name), **rest} if name in tensors and not rest:
            return tensors.pop(name)
        case {"$tensor": str(name), "channels_last": True, **rest} if name in tensors and not rest:
            tensor = tensors.pop(name)
            if tensor.dim() != 4:
                raise ValueError(f"the tensor {name!r} has {tensor.dim()} dimensions, and a memory format of 4")
            return tensor.contiguous(memory_format=torch.channels_last)
        case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
        case {"$tuple": list(items), **rest} if not rest:
            return tuple(_unpack(item, tensors, depth + 1) for item in items)
        case {"$items": list(pairs), **rest} if not rest:
            return dict(_unpack_pair(pair, tensors, depth + 1) for pair in pairs)
    raise ValueError(f"it holds an entry that means nothing: {str(node)[:80]}")


def _unpack_pair(pair: Any, tensors: dict[str, Tensor], depth: int) -> tuple[str | int, State]:
    match pair:
        case [str(key) | int(key), item] if type(key) is not bool:
            return key, _unpack(item, tensors, depth)
    raise ValueError(f"it holds an entry that is no key and value: {str(pair)[:80]}")
