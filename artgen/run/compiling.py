"""Networks compiled by `torch.compile`: once for each level, once more while it fades, and eager where that fails.

torch keeps at most eight compiled versions of a function, and beyond that goes eager without a word; growing to 1024 px
has seventeen. So all versions are dropped when a level begins or is faded in: no more than one level is ever compiled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from artgen.isolation import asked_to_stop

log = logging.getLogger(__name__)


def warm_up(device: torch.device) -> None:
    """Let torch load its compiler, which changes settings of the whole process, before anybody watches for that."""
    try:
        torch.compile(torch.neg)(torch.zeros(1, device=device))
    except Exception as error:  # what is wrong with it is told when a network is compiled
        if stop := asked_to_stop(error):
            raise stop from None


def tell_failure(what: str, error: BaseException) -> None:
    """Say once, in one line, that something runs uncompiled, and why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[:2])[:160]  # what follows is advice of torch's
    log.warning("torch.compile failed, and %s uncompiled: %s: %s", what, type(error).__name__, said)


class Compilation:
    """Keeps the networks of a job compiled for the form that they have.

    A compiled network has no second derivative in torch (its issue 91469), so penalties on a gradient are computed by
    the network as it is: `paused`.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self.networks = networks
        self.form: object = None
        self.pausing = False
        self.failed: set[str] = set()

    def follow(self, form: object) -> None:
        """Compile anew, at the next call, if this is another form: a value that is equal as long as shapes are."""
        if form == self.form:
            return
        self.form = form
        torch.compiler.reset()
        for name, network in self.networks.items():
            # Where `Module.compile` keeps it too: a module calls it in place of itself, and no copy or state has it.
            network._compiled_call_impl = self._compiled(name, network._call_impl)

    def forget(self) -> None:
        """Leave the networks uncompiled until the next `follow`."""
        self.form = None
        for network in self.networks.values():
            network._compiled_call_impl = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the body networks are eager."""
        self.pausing = True
        try:
            yield
        finally:
            self.pausing = False

    def _compiled(self, name: str, eager: Callable[..., Any]) -> Callable[..., Any]:
        compiled = torch.compile(eager, dynamic=False)

        def call(*given: Any, **named: Any) -> Any:
            if self.pausing or name in self.failed:
                return eager(*given, **named)
            try:
                return compiled(*given, **named)
            except Exception as error:
                if stop := asked_to_stop(error):
                    raise stop from None
                made = eager(*given, **named)  # what is wrong without compiling, too, is raised here
                self.failed.add(name)
                tell_failure(f"the {name} runs", error)
                return made

        return call
