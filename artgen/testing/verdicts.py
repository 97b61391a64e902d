"""How the suites compare what a component does with what it promises, and how they complain."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from artgen.testing.watch import HostReads
from artgen.training import Form, Size


def failed(message: str) -> BaseException:
    """A failure with a message for the author of the component, without a traceback through the kit."""
    return pytest.fail.Exception(message, pytrace=False)


def require(condition: object, message: str) -> None:
    """Fail with this message unless something is so."""
    if not condition:
        raise failed(message)


def levels_of(form: Form) -> tuple[Tensor, ...]:
    """The pictures of a form, smallest first."""
    return (form,) if isinstance(form, Tensor) else tuple(form)


def form_of(form: Form, levels: Sequence[Tensor]) -> Form:
    """Other levels in the form of these: a tensor for a tensor, a tuple for a pyramid."""
    return levels[0] if isinstance(form, Tensor) else tuple(levels)


def same(first: Form, second: Form) -> bool:
    """Whether two forms are equal to the bit."""
    return all(torch.equal(x, y) for x, y in zip(levels_of(first), levels_of(second), strict=True))


def close(x: Tensor, y: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors are equal to rounding, measured by the largest value."""
    x, y = x.detach().float(), y.detach().float()
    if x.shape != y.shape or not x.numel():
        return x.shape == y.shape
    scale = max(float(x.abs().max()), float(y.abs().max()))
    return float((x - y).abs().max()) <= tolerance * scale


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that later steps do not change."""
    return copy.deepcopy(dict(state))


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    """The names of tensors that differ between two states."""
    return ", ".join(name for name in before if name not in after or not torch.equal(before[name], after[name]))


def require_finite(what: str, *tensors: Tensor) -> None:
    """Fail where a tensor holds NaN or infinity."""
    require(
        all(tensor.isfinite().all() for tensor in tensors), f"{what} is not finite: look for 0/0, log(0), overflow."
    )


def require_no_reads(reads: HostReads) -> None:
    """Fail where the host read a value."""
    told = "\n".join(dict.fromkeys(reads.found))
    require(
        not reads.found,
        f"The host reads values, and a GPU would stand still meanwhile:\n{told}\nKeep values in tensors: torch.where "
        "in place of `if`, `update(..., when=)`, and return scalars as tensors.",
    )


def largest(sizes: Sequence[Size]) -> Size:
    """The size with the most pixels."""
    return max(sizes, key=lambda size: size.height * size.width)


def gpu() -> torch.device:
    """A CUDA device, or a skip that is seen."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here, so none to agree with the CPU")
    return torch.device("cuda")
