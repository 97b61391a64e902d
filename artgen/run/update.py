"""The one place where weights move: backward, mean over ranks, refusal of non-finite gradients, optimizer step.

A batch that does not fit into memory is taken in pieces, see `artgen.run.pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from artgen.distributed import mean_gradients_, mean_over_ranks_
from artgen.errors import PluginError, ResourceError


class UnsplittableError(ResourceError):
    """A batch cannot be taken in pieces."""


@dataclass
class Turn:
    """Whose turn it is in a step whose batch is taken in pieces, and for which of the trainer's updates.

    The trainer takes its step on every piece once for each update, and only the update that is due collects gradients:
    earlier ones are done, later ones wait.
    """

    pieces: int
    due: int = 0
    piece: int = 0
    calls: int = 0
    """Updates that the trainer has asked for in this turn."""
    votes: Tensor | None = None
    """How many pieces said `when` so far."""
    norms: list[Tensor] = field(default_factory=list)
    """Of the gradient of each update; a trainer holds them before they are known, so they are filled in place."""


class GuardedUpdate:
    """`artgen.training.Update`. Counts on the device how many updates it refused; the loop reads it when it reports."""

    def __init__(self, device: torch.device) -> None:
        self.refused = torch.zeros((), device=device)
        self.turn: Turn | None = None

    def __call__(
        self, optimizer: torch.optim.Optimizer, loss: Tensor | Callable[[], Tensor], *, when: Tensor | None = None
    ) -> Tensor:
        if not torch.is_grad_enabled():
            raise PluginError(
                "gradients were switched off (torch.set_grad_enabled) by a network, loss or trainer of this recipe",
                remedy="Its author should write `with torch.no_grad():` around what needs none.",
            )
        if self.turn is not None:
            return self._take_turn(self.turn, optimizer, loss, when)
        if isinstance(loss, Tensor):
            norm = _gradient_norm(optimizer, loss)
            finite = norm.isfinite()
            _step_where(optimizer, finite if when is None else finite & _agreed(when))
        elif when is None or bool(_agreed(when)):
            norm = _step_by_closure(optimizer, loss)
        else:
            norm = _gradient_norm(optimizer, loss())
        self.refused += ~norm.isfinite()
        # Within one autocast context torch keeps the bf16 copies of weights that it once made: they are old ones now.
        torch.clear_autocast_cache()
        return norm

    def _take_turn(
        self,
        turn: Turn,
        optimizer: torch.optim.Optimizer,
        loss: Tensor | Callable[[], Tensor],
        when: Tensor | None,
    ) -> Tensor:
        """Add the gradient of one piece to those of the pieces before it, and step after the last."""
        if not isinstance(loss, Tensor):
            raise UnsplittableError("its optimizer asks for the loss several times (L-BFGS does)")
        call, turn.calls = turn.calls, turn.calls + 1
        if call == len(turn.norms):
            turn.norms.append(torch.zeros_like(self.refused))
        norm = turn.norms[call]
        if call != turn.due:
            return norm
        parameters = _moving(optimizer)
        if turn.piece == 0:
            _forget_gradients(parameters)
            turn.votes = None
        _add_gradient(parameters, loss)
        if when is not None:
            turn.votes = when.float() + (0 if turn.votes is None else turn.votes)
        if turn.piece < turn.pieces - 1:
            return norm
        norm.copy_(_mean_gradient_norm(parameters, turn.pieces))
        finite = norm.isfinite()
        _step_where(optimizer, finite if turn.votes is None else finite & _agreed(turn.votes / turn.pieces))
        self.refused += ~finite
        torch.clear_autocast_cache()
        return norm


class _RefusedError(Exception):
    """A closure met a gradient that is not finite."""


def _agreed(when: Tensor) -> Tensor:
    """Whether at least half of the ranks say yes, so that all of them step or none does."""
    return mean_over_ranks_(when.float()) >= 0.5


def _gradient_norm(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """Fill `.grad` of the optimizer's parameters only, averaged over ranks; return the norm of all of them together."""
    parameters = _moving(optimizer)
    _forget_gradients(parameters)
    _add_gradient(parameters, loss)
    return _mean_gradient_norm(parameters)


def _moving(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for parameter in _parameters(optimizer) if parameter.requires_grad]


def _forget_gradients(parameters: Sequence[Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None


def _add_gradient(parameters: Sequence[Tensor], loss: Tensor) -> None:
    """Add the gradient of a loss, with respect to these parameters only, to what is in their `.grad`."""
    if loss.requires_grad and parameters:  # at a step where no term is due, the sum of the losses is a bare zero
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]


def _mean_gradient_norm(parameters: Sequence[Tensor], pieces: int = 1) -> Tensor:
    """Replace gradients, in place, by their mean over pieces and ranks; return the norm of all of them together."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if pieces > 1 and gradients:
        torch._foreach_div_(gradients, pieces)
    mean_gradients_(gradients)
    return get_total_norm([_as_it_lies(gradient) for gradient in gradients])


def _as_it_lies(tensor: Tensor) -> Tensor:
    """A view of the same values in the order of memory: a norm over channels_last tensors is many times slower."""
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.permute(0, 2, 3, 1) if last else tensor


def _step_where(optimizer: torch.optim.Optimizer, allowed: Tensor) -> None:
    """Step where `allowed` is true. Fused optimizers decide on the device; for others the host has to look."""
    if allowed.device.type != "cpu" and getattr(optimizer, "_step_supports_amp_scaling", False):
        # The door that gradient scalers use: a fused kernel leaves weights and moments alone where `found_inf` is 1.
        optimizer.found_inf = (~allowed).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif bool(allowed):
        optimizer.step()


def _step_by_closure(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> Tensor:
    """One step of an optimizer that asks for its loss several times (L-BFGS); all of it is undone if one is refused.

    Returns:
        The norm of the gradient that the step began with, or the one that was refused.
    """
    norms: list[Tensor] = []

    def closure() -> float:
        torch.clear_autocast_cache()
        value = loss()
        norms.append(_gradient_norm(optimizer, value))
        for parameter in _parameters(optimizer):
            if parameter.grad is not None:  # L-BFGS reads gradients as one flat vector, whatever their memory format
                parameter.grad = parameter.grad.contiguous()
        if not norms[-1].isfinite():
            raise _RefusedError
        # The mean, since a line search has to take the same path on every rank.
        return float(mean_over_ranks_(value.detach().clone()))

    weights = [parameter.detach().clone() for parameter in _parameters(optimizer)]
    state = {
        parameter: {name: _copied(value) for name, value in values.items()}
        for parameter, values in optimizer.state.items()
    }
    try:
        optimizer.step(closure)
    except _RefusedError:
        for parameter, weight in zip(_parameters(optimizer), weights, strict=True):
            parameter.detach().copy_(weight)
        optimizer.state.clear()
        optimizer.state.update(state)
        return norms[-1]
    return norms[0]


def _copied(value: Any) -> Any:
    """A copy of a value of L-BFGS's state, which overwrites tensors and changes lists, but not what lies in a list."""
    return value.clone() if isinstance(value, Tensor) else list(value) if isinstance(value, list) else value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
