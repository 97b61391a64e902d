"""The fuzz run of `fuzz.py`, the same few hundred attempts each time."""

from __future__ import annotations

import pytest

from .fuzz import fuzz


@pytest.mark.parametrize("seed", range(4))
def test_only_errors_of_its_own_come_out(seed):
    assert fuzz(seed, seconds=60, attempts=60) == 60
