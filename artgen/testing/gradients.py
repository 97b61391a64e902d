"""Gradients against differences, in float64; every answer is why they are wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.gradcheck import GradcheckError
from torch.utils._python_dispatch import TorchDispatchMode  # torch documents this module as the home of the mode

Function = Callable[..., Tensor]


def fault_of_gradient(function: Function, inputs: Sequence[Tensor], *, fast: bool = False) -> str:
    """Compare the gradient of a function with differences.

    Args:
        function: Of tensors in float64; must not draw anew at each call.
        inputs: Where the gradient is taken, float64.
        fast: Compare along a random direction only, for inputs of many numbers.
    """
    points = tuple(x.detach().clone().requires_grad_() for x in inputs)
    return _fault(lambda: gradcheck(function, points, fast_mode=fast), function, points)


def fault_of_second_gradient(function: Function, inputs: Sequence[Tensor]) -> str:
    """Compare the gradient of the gradient with differences, along a random direction."""
    points = tuple(x.detach().clone().requires_grad_() for x in inputs)
    return _fault(lambda: gradgradcheck(function, points, fast_mode=True), function, points)


def _fault(comparison: Callable[[], bool], function: Function, points: Sequence[Tensor]) -> str:
    try:
        with torch.random.fork_rng([]):  # the random direction of the fast mode
            torch.manual_seed(0)
            comparison()
    except (GradcheckError, RuntimeError) as error:
        with _Roundings() as roundings:
            function(*points)
        if roundings.found:
            return (
                "float64 is rounded to float32 on the way, so it cannot be compared with differences; write "
                "`x.to(torch.promote_types(x.dtype, torch.float32))` in place of `x.float()`."
            )
        return " ".join(str(error).split())[:300]
    return ""


class _Roundings(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's modes have no types
    """Notices where float64 becomes less."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default and isinstance(result, Tensor):
            self.found |= args[0].dtype == torch.float64 and result.dtype in (torch.float32, torch.bfloat16, torch.half)
        return result
