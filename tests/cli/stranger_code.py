"""What the stranger's components do."""

from __future__ import annotations

import torch
from torch import nn

from artgen.training import Generator, LatentSpace


class Trouble:
    def __init__(self, options):
        self.options, self.calls = options, 0

    def generator(self, outputs):
        self.calls += 1
        if self.calls > self.options.after:
            if self.options.how == "type":
                return len(None)
            if self.options.how == "exit":
                raise SystemExit(0)
            if self.options.how == "print":
                print("chatter")  # noqa: T201
                return outputs.fake_logits.mean()
            if self.options.how == "memory":
                return torch.empty(10**15)
            return outputs.fake_logits.mean() * float("nan")
        return (1 - outputs.fake_logits).square().mean()

    def critic(self, outputs):
        return (1 - outputs.real_logits).square().mean() + outputs.fake_logits.square().mean()


class Painter(Generator):
    latent = LatentSpace((4,))
    hidden = 4

    def __init__(self, options, size):
        super().__init__()
        self.size, self.gain = size, torch.ones(1).item()  # which no tensor without memory can tell
        self.body = nn.Sequential(nn.Linear(4, self.hidden), nn.Linear(self.hidden, 3 * size.height * size.width))

    def forward(self, given):
        return torch.tanh(self.gain * self.body(given)).view(len(given), 3, *self.size)
