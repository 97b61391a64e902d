"""A stranger's plugin: a loss that goes wrong from a chosen call on, and a generator that cannot be weighed."""

from __future__ import annotations

from typing import Literal

from artgen import Component, LossOptions, Options, hookimpl


class TroubleOptions(LossOptions):
    after: int = 20
    """Calls that go well."""
    how: Literal["nan", "type", "memory", "exit", "print"] = "nan"
    """What happens then."""


class PainterOptions(Options):
    pass


@hookimpl
def artgen_losses():
    needs = {"generator": ("fake_logits",), "critic": ("real_logits", "fake_logits")}
    return [
        Component(
            kind="loss",
            name="trouble",
            summary="Goes wrong",
            options=TroubleOptions,
            factory="stranger_code:Trouble",
            needs=needs,
        )
    ]


@hookimpl
def artgen_generators():
    return [
        Component(
            kind="generator",
            name="painter",
            summary="One layer",
            options=PainterOptions,
            factory="stranger_code:Painter",
            partner="dense",
        )
    ]
