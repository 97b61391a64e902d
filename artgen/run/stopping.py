"""Ctrl-C and SIGTERM: finish the step, save, leave; at once if nothing is under way; at once the second time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from artgen.errors import StoppedError


class Stop:
    """Whether somebody asked the run to stop. While `deferring`, the loop looks; otherwise the signal raises."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.deferring = False

    @property
    def wanted(self) -> bool:
        return self.signal_number is not None

    def error(self) -> StoppedError:
        """What to raise once everything is saved."""
        number = self.signal_number or signal.SIGTERM  # without one, it was another process that was asked
        name = "interrupted" if number == signal.SIGINT else "terminated"
        goes_on = "from here" if self.deferring else "from what is saved, or begins again"
        return StoppedError(name, signal_number=number, remedy=f"The same command goes on {goes_on}.")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A stretch that must end in order: a signal is only noted."""
        self.deferring = True
        try:
            yield
        finally:
            self.deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            os._exit(128 + number)  # asked twice: leave now; the newest checkpoint is whole
        self.signal_number = number
        if not self.deferring:
            raise self.error()


@contextmanager
def listening() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a `Stop`; put the old handlers back at the end."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop._handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
