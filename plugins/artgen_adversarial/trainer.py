"""The game in two steps (Goodfellow et al. 2014, algorithm 1): critic, then generator through the critic.

Letters: z latents, G the generator, D the critic, T the augmentation (one draw for each T).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from artgen.training import Batch, Clock, Form, Outputs, Parts, Phase, moves
from artgen_adversarial import TrainerOptions


class AdversarialTrainer:
    """Adam on both sides. One forward pass of the generator serves both steps."""

    generator_optimizer: torch.optim.Adam
    critic_optimizer: torch.optim.Adam

    def __init__(self, options: TrainerOptions, parts: Parts) -> None:
        assert parts.critic is not None  # the recipe was checked: this trainer gives a critic's side
        self.options, self.losses, self.update, self.augment = options, parts.losses, parts.update, parts.augment
        self.generator, self.critic = parts.generator, parts.critic
        self.batches_per_step = options.critic_steps
        rate = options.learning_rate
        self.rates = (rate, rate) if isinstance(rate, float) else (rate.generator, rate.critic)
        self.phase: Phase | None = None

    def begin(self, phase: Phase) -> None:
        begun = self.phase is not None and moves(self.generator_optimizer, self.generator)
        begun = begun and moves(self.critic_optimizer, self.critic)
        changed = self.phase is not None and self.phase.index != phase.index
        fresh = not begun or (self.options.reset_optimizers and changed)
        self.phase = phase
        if fresh:
            self.generator_optimizer = self._adam(self.generator, self.rates[0])
            self.critic_optimizer = self._adam(self.critic, self.rates[1])

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        self._set_learning_rates(clock)
        for real_batch in batch.split(self.options.critic_steps):
            real = self.generator.like(real_batch.real)
            fake: Form = self.generator(self._given(real_batch))

            # The critic: real pictures towards 1, made ones towards 0.
            seen_real, seen_fake = self.augment(real), self.augment(_detached(fake))
            real_logits, fake_logits = self._score(seen_real), self._score(seen_fake)
            outputs = Outputs(seen_real, seen_fake, real_logits, fake_logits, self._score)
            critic_loss, critic_terms = self.losses("critic", outputs, clock.steps)
            critic_norm = self.update(self.critic_optimizer, critic_loss, when=self._critic_may_move(critic_terms))
            self.augment.observe(real_logits.detach())

        # The generator, through the critic: its pictures towards 1.
        seen_fake = self.augment(fake)
        outputs = Outputs(seen_real, seen_fake, self._compared(seen_real), self._score(seen_fake), self._score)
        generator_loss, generator_terms = self.losses("generator", outputs, clock.steps)
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

    def _given(self, batch: Batch) -> Tensor | None:
        if self.generator.latent is None:
            return batch.source
        return self.generator.latent.draw(len(batch.real), batch.real.device)

    def _score(self, form: Form) -> Tensor:
        logits: Tensor = self.critic(form)
        return logits.float()

    def _compared(self, seen_real: Form) -> Tensor | None:
        """Logits of real pictures for a generator's loss that compares (relativistic); spared where none does."""
        if not self.losses.need("generator", "real_logits"):
            return None
        with torch.no_grad():
            return self._score(seen_real)

    def _critic_may_move(self, terms: dict[str, Tensor]) -> Tensor | None:
        floor = self.options.skip_critic_below
        return None if floor is None else self.losses.steady("critic", terms) >= floor

    def _set_learning_rates(self, clock: Clock) -> None:
        share = self.options.decay_share
        decayed = max(0.0, clock.progress - (1 - share)) / share if share else 0.0
        assert self.phase is not None  # begun
        factor = self.phase.learning_rate_factor * (1 + (self.options.decay_to - 1) * decayed)
        for optimizer, rate in zip((self.generator_optimizer, self.critic_optimizer), self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def _adam(self, network: torch.nn.Module, rate: float) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), lr=rate, betas=self.options.betas, fused=True)


def _detached(form: Form) -> Form:
    return form.detach() if isinstance(form, Tensor) else tuple(level.detach() for level in form)
