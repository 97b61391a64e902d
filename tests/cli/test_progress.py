"""The line that tells how far training is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from artgen.cli.progress import training_bar
from artgen.training import Clock, Phase, Size

SMALL, LARGE = Phase(0, Size(8, 8), 100, 4), Phase(1, Size(16, 24), 100, 4, fade=0.5)


def line(capsys, *phases, **clock):
    """The last line, which is told whenever a run ends."""
    job = SimpleNamespace(
        phases=phases,
        total_images=100,
        device=torch.device("cpu"),
        precision="fp32",
        recipe=SimpleNamespace(name="toy"),
    )
    with training_bar(job, Clock()) as show:
        show(Clock(images=100, **clock), {"critic/hinge": 0.5, "critic/gradient_norm": 3.0})
    return capsys.readouterr().err


def test_losses_are_told_and_norms_are_not(capsys):
    told = line(capsys, LARGE)
    assert "100 of 100 images" in told
    assert told.endswith("  critic hinge 0.5\n")


@pytest.mark.parametrize(
    ("clock", "told"),
    [
        ({"phase": 0}, "phase 1 of 2: 8x8 px  "),
        ({"phase": 1, "phase_images": 10}, "phase 2 of 2: 24x16 px, 20% faded in  "),
        ({"phase": 1, "phase_images": 50}, "phase 2 of 2: 24x16 px  "),
    ],
)
def test_a_run_that_grows_tells_its_level(capsys, clock, told):
    assert told in line(capsys, SMALL, LARGE, **clock)
