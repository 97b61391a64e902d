"""The game on pairs (Isola et al. 2017, sections 3.1 and 3.3): critic, then generator through the critic.

Letters: x the source, y the true picture, G(x) the made one, D the critic, T the augmentation: one draw for each T,
which befalls both sides of a pair alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from artgen import RecipeError
from artgen.training import Batch, Clock, Form, LossTerm, Outputs, Parts, Phase, moves
from artgen_pix2pix import TrainerOptions

_WITHOUT_CRITIC = {"source", "target", "made", "features"}


class PairedTrainer:
    """Adam on both sides. One forward pass of the generator serves both steps."""

    batches_per_step = 1
    generator_optimizer: torch.optim.Adam
    critic_optimizer: torch.optim.Adam

    def __init__(self, options: TrainerOptions, parts: Parts) -> None:
        assert parts.critic is not None  # the recipe was checked: this trainer gives a critic's side
        if parts.generator.takes != "picture":
            raise RecipeError(
                "the trainer 'paired' teaches a generator that makes one picture from another, and this one does not",
                place="generator",
                remedy="Choose one that does, such as [generator.unet]; or [trainer.adversarial].",
            )
        if options.solo_share and not any(_judges_alone(term) for term in parts.losses.terms.values()):
            raise RecipeError(
                "the generator is to begin without a critic, and no loss judges it without one",
                place="trainer.paired.solo_share",
                remedy="Add one that does, such as [losses.l1]; or leave solo_share at 0.",
            )
        self.options, self.losses, self.update, self.augment = options, parts.losses, parts.update, parts.augment
        self.generator, self.critic, self.features = parts.generator, parts.critic, parts.features
        self.phase: Phase | None = None

    def begin(self, phase: Phase) -> None:
        begun, self.phase = self.phase is not None, phase
        if not (begun and moves(self.generator_optimizer, self.generator)):
            self.generator_optimizer = self._adam(self.generator)
        if not (begun and moves(self.critic_optimizer, self.critic)):
            self.critic_optimizer = self._adam(self.critic)

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        self._set_learning_rates(clock)
        x, y = batch.source, batch.real
        assert x is not None  # the core has seen that the data set has pairs
        made: Tensor = self.generator(x)
        pairs = Outputs(source=x, target=y, made=made, features=self.features)
        if clock.progress < self.options.solo_share:
            return self._learn_alone(pairs, clock)

        # The critic: (x, y) towards 1, (x, G(x)) towards 0.
        seen_real, seen_fake = self._seen(x, y), self._seen(x, made.detach())
        real_logits, fake_logits = self._score(seen_real), self._score(seen_fake)
        judged = replace(pairs, made=made.detach(), real=seen_real, fake=seen_fake, critic=self._score,
                         real_logits=real_logits, fake_logits=fake_logits)  # fmt: skip
        critic_loss, critic_terms = self.losses("critic", judged, clock.steps)
        # Halved to slow the critic down (section 3.3); Adam, which divides by the size of gradients, hardly minds.
        critic_norm = self.update(self.critic_optimizer, critic_loss / 2)
        self.augment.observe(real_logits.detach())

        # The generator, through the critic: (x, G(x)) towards 1, and G(x) towards y.
        seen_fake = self._seen(x, made)
        judged = replace(pairs, real=seen_real, fake=seen_fake, critic=self._score,
                         real_logits=self._compared(seen_real), fake_logits=self._score(seen_fake))  # fmt: skip
        generator_loss, generator_terms = self.losses("generator", judged, clock.steps)
        generator_norm = self.update(self.generator_optimizer, generator_loss)

        return critic_terms | generator_terms | {
            "critic/real_logit": real_logits.detach().mean(),
            "critic/fake_logit": fake_logits.detach().mean(),
            "critic/gradient_norm": critic_norm,
            "generator/gradient_norm": generator_norm,
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])

    def _learn_alone(self, pairs: Outputs, clock: Clock) -> dict[str, Tensor]:
        """The generator without a critic, whose terms find no scores here (the way of DeOldify's NoGAN)."""
        loss, terms = self.losses("generator", pairs, clock.steps, partial=True)
        return terms | {"generator/gradient_norm": self.update(self.generator_optimizer, loss)}

    def _seen(self, source: Tensor, picture: Tensor) -> Tensor:
        """What the critic sees: T(picture) behind T(source), (N, 6, H, W), or alone, by one new draw."""
        drawn = self.augment.draw(len(picture), picture.device)
        seen = self.augment.apply_draw(picture, drawn)
        if self.critic.judges == "picture":
            return seen
        return torch.cat([self.augment.apply_draw(source, drawn), seen], dim=1)

    def _score(self, form: Form) -> Tensor:
        logits: Tensor = self.critic(form)
        return logits.float()

    def _compared(self, seen_real: Tensor) -> Tensor | None:
        """Logits of true pairs for a generator's loss that compares (relativistic); spared where none does."""
        if not self.losses.need("generator", "real_logits"):
            return None
        with torch.no_grad():
            return self._score(seen_real)

    def _set_learning_rates(self, clock: Clock) -> None:
        """The rate of the phase, falling to 0 in a straight line at the end of the run."""
        assert self.phase is not None  # begun
        share = self.options.decay_share
        factor = self.phase.learning_rate_factor * (min(1.0, (1 - clock.progress) / share) if share else 1.0)
        for optimizer in (self.generator_optimizer, self.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.options.learning_rate * factor

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        rate, betas = self.options.learning_rate, self.options.betas
        return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)


def _judges_alone(term: LossTerm) -> bool:
    """Whether a loss teaches the generator without a critic."""
    return term.weight > 0 and set(term.needs.get("generator", ("critic",))) <= _WITHOUT_CRITIC
