"""The one place where weights move: backward, mean over ranks, refusal of non-finite gradients, optimizer step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from artgen.distributed import mean_gradients_, mean_over_ranks_


class GuardedUpdate:
    """`artgen.training.Update`. Counts on the device how many updates it refused; the loop reads that when it reports."""

    def __init__(self, device: torch.device) -> None:
        self.refused = torch.zeros((), device=device)

    def __call__(
        self, optimizer: torch.optim.Optimizer, loss: Tensor | Callable[[], Tensor], *, when: Tensor | None = None
    ) -> Tensor:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if isinstance(loss, Tensor):
            norm = _gradient_norm(parameters, loss)
            finite = norm.isfinite()
            allowed = finite if when is None else finite & (mean_over_ranks_(when.float()) >= 0.5)
            _step_where(optimizer, allowed)
            torch.clear_autocast_cache()  # autocast keeps bf16 copies of weights, which have moved
            self.refused += ~finite
            return norm
        norms: list[Tensor] = []

        def closure() -> Tensor:  # L-BFGS asks for the loss several times within one step
            torch.clear_autocast_cache()
            value = loss()
            norm = _gradient_norm(parameters, value)
            norms.append(norm)
            if not norm.isfinite():
                raise _RefusedError
            return value.detach()

        before = [parameter.detach().clone() for parameter in parameters]
        try:
            optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch leaves the closure's type open
        except _RefusedError:
            for parameter, kept in zip(parameters, before, strict=True):
                parameter.data.copy_(kept)
            self.refused += 1
        torch.clear_autocast_cache()
        return norms[0]


class _RefusedError(Exception):
    """A closure met a gradient that is not finite."""


def _gradient_norm(parameters: list[Tensor], loss: Tensor) -> Tensor:
    """Fill `.grad` of these parameters only, averaged over ranks, and return the norm of all of them together."""
    for parameter in parameters:
        parameter.grad = None
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean_gradients_(gradients)
    return get_total_norm(gradients)


def _step_where(optimizer: torch.optim.Optimizer, allowed: Tensor) -> None:
    """Step where `allowed` is true. Fused optimizers decide on the device; for others the host has to look."""
    if allowed.device.type != "cpu" and getattr(optimizer, "_step_supports_amp_scaling", False):
        # The door that gradient scalers use: a fused kernel leaves weights and moments alone where `found_inf` is 1.
        optimizer.found_inf = (~allowed).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif bool(allowed):
        optimizer.step()
