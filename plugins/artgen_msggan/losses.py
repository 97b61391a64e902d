"""The relativistic average hinge loss, the game of the authors' first code (BMSG-GAN).

Letters: r, f logits of real and of made pictures; R = r - mean(f), F = f - mean(r) how much more real each picture
looks than those of the other kind do on average (Jolicoeur-Martineau 2019, section 4.2 and appendix).
"""

from __future__ import annotations

from torch import Tensor

from artgen import LossOptions
from artgen.training import Outputs


class RelativisticHinge:
    """Critic: max(0, 1 - R) + max(0, 1 + F). Generator: the same with the roles exchanged."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        real, fake = _relative(outputs)
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, outputs: Outputs) -> Tensor:
        real, fake = _relative(outputs)
        return (1 + real).relu().mean() + (1 - fake).relu().mean()


def _relative(outputs: Outputs) -> tuple[Tensor, Tensor]:
    """R and F."""
    real, fake = outputs.real_logits, outputs.fake_logits
    assert real is not None  # the core compared `needs` with `gives` when the run was built
    assert fake is not None
    return real - fake.mean(), fake - real.mean()
