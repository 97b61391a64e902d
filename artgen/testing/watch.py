"""Notices, on any machine, what would make the host wait for a GPU."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode  # torch documents this module as the home of the mode

_WAITING_OPERATORS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal")
_WAITING_METHODS = ("tolist", "numpy", "cpu", "__array__", "__repr__", "__format__")


class HostReads:
    """Notes where the host reads values: `.item()`, `if tensor:`, `.tolist()`, `.cpu()`, and shapes that depend on
    values (`nonzero`, a mask as an index).

        with HostReads() as reads:
            step()
        assert not reads.found
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self.paused = False
        self._modes = ExitStack()

    def __enter__(self) -> HostReads:
        self._modes.enter_context(_Operators(self))
        self._modes.enter_context(_Methods(self))
        return self

    def __exit__(self, *error: Any) -> None:
        self._modes.close()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """A stretch in which the host may read."""
        before, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = before

    def note(self, what: str) -> None:
        """Write down a read and the line of the component's code that asked for it."""
        if self.paused:
            return
        own = (os.path.dirname(torch.__file__), os.path.dirname(__file__))  # noqa: PTH120  # frames hold text
        frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(own)]
        culprit = frames[-1]
        self.found.append(f"{what} at {culprit.filename}:{culprit.lineno}: {culprit.line}")


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's modes have no types
    def __init__(self, reads: HostReads) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads = reads

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function.overloadpacket).partition(".")[2]
        if name in _WAITING_OPERATORS:
            self.reads.note({"_local_scalar_dense": "a value is read (.item(), float(), if)"}.get(name, name))
        elif name in ("index", "index_put", "index_put_") and any(
            isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        ):
            self.reads.note("a mask is used as an index")
        return function(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, reads: HostReads) -> None:
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in _WAITING_METHODS and args and isinstance(args[0], Tensor):
            self.reads.note(f".{name}()")
            with self.reads.pause():
                return function(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))
