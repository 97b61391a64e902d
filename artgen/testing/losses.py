"""What a loss promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from artgen.components import Kind, Options, Side
from artgen.device import mixed
from artgen.rng import drawing
from artgen.testing.filters import SmallFeatures
from artgen.testing.gradients import fault_of_gradient
from artgen.testing.runs import CPU, around, for_pairs
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, failed, gpu, levels_of, require, require_finite, require_no_reads
from artgen.testing.watch import HostReads
from artgen.training import Form, Outputs

COUNT = 3
FIELDS = tuple(Outputs.__dataclass_fields__)


class LossContract(ComponentContract):
    """What a loss promises: each of its sides is a pure function of the fields of `Outputs` that it `needs`.

    The checks lay before it what a trainer would, of pairs too, with a small smooth critic and a small feature network.
    What moves is, on the critic's side, the critic's weights; on the generator's, the made pictures.
    """

    kind: ClassVar[Kind] = "loss"
    size: tuple[int, int] = (16, 16)
    """(height, width) in pixels of the pictures that it judges in the checks."""
    recipe: str = ""
    """Tables that take the place of the kit's own (`artgen.testing.runs.AROUND`) around the component in a tiny run."""

    def sides(self) -> dict[Side, Callable[[Outputs], Tensor]]:
        """Its methods, by the side that they judge."""
        loss, sides = self.make(), ("generator", "critic")
        return {cast(Side, side): getattr(loss, side) for side in sides if hasattr(loss, side)}

    def laid(self, side: Side, *, moving: Tensor | None = None, dtype: torch.dtype = torch.float32,
             device: torch.device = CPU, needs: tuple[str, ...] | None = None) -> tuple[Outputs, Tensor]:  # fmt: skip
        """What a trainer would lay before a side, and what moves there.

        Args:
            side: Which side.
            moving: Takes the place of what moves.
            dtype: Of everything.
            device: Of everything.
            needs: The fields that are filled; by default those that the component names.
        """
        with drawing(0, "outputs"):
            real, fake = (torch.rand(2, COUNT, 3, *self.size, dtype=torch.float64) * 2 - 1).to(device, dtype)
            weights = torch.randn(6, dtype=torch.float64).to(device, dtype)
            source = torch.rand(COUNT, 3, *self.size, dtype=torch.float64).to(device, dtype) * 2 - 1
        if side == "generator":
            fake = moving = fake.requires_grad_() if moving is None else moving
        else:
            weights = moving = weights.requires_grad_() if moving is None else moving

        def critic(form: Form) -> Tensor:
            return scored(form, weights)

        real_logits = critic(real).detach() if side == "generator" else critic(real)
        features = SmallFeatures(Options()).to(device, dtype)
        # In the order of FIELDS.
        everything = (real, fake, real_logits, critic(fake), critic, source, real, fake, features)
        needs = self.found().needs.get(side, ()) if needs is None else needs
        filled = {name: value for name, value in zip(FIELDS, everything, strict=True) if name in needs}
        return Outputs(**cast(Any, filled)), moving

    def value(self, side: Side, outputs: Outputs, seed: int = 0) -> Any:
        """What a side returns, a scalar tensor if all is well; its draws follow from the seed."""
        with drawing(seed, "loss"):
            return self.sides()[side](outputs)

    def test_needs_name_its_sides(self) -> None:
        """`needs` has a key for each method `generator` and `critic`, and names fields of Outputs."""
        methods, needs = set(self.sides()), self.found().needs
        require(
            methods and methods == set(needs),
            f"It has the methods {sorted(methods)} and `needs` speaks of {sorted(needs)}: say for each side what it "
            "reads.",
        )
        unknown = {name for fields in needs.values() for name in fields} - set(FIELDS)
        require(not unknown, f"`needs` names no field of artgen.training.Outputs: {', '.join(sorted(unknown))}.")

    def test_needs_are_enough(self) -> None:
        """Each side works with nothing but the fields that the component names."""
        for side in self.sides():
            needs = self.found().needs.get(side, ())
            try:
                self.value(side, self.laid(side)[0])
            except Exception as error:
                self.value(side, self.laid(side, needs=FIELDS)[0])  # raises if it fails in any case
                raise failed(
                    f"The {side}'s side fails with no more than what the component `needs` there ({', '.join(needs)}): "
                    f"{error!r}. Name every field that it reads: needs={{'{side}': (...)}}."
                ) from None

    def test_value_is_a_finite_scalar(self) -> None:
        """Each side gives a finite scalar that depends on what moves."""
        for side in self.sides():
            value = self.value(side, self.laid(side, needs=FIELDS)[0])
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            require(
                isinstance(value, Tensor) and value.dim() == 0 and value.is_floating_point(),
                f"The {side}'s side gives {found}: give a scalar tensor, for example the mean over pictures.",
            )
            require_finite(f"The {side}'s side", value)

    def test_gradient_is_right(self) -> None:
        """In float64 the gradient is that of the value, by the made pictures or by the critic's weights."""
        for side in self.sides():
            start = self.laid(side, dtype=torch.float64)[1]

            def value(x: Tensor, side: Side = side) -> Tensor:
                result: Tensor = self.value(side, self.laid(side, moving=x, dtype=torch.float64, needs=FIELDS)[0])
                return result

            fault = fault_of_gradient(value, [start], fast=side == "generator")
            require(
                not fault,
                f"The gradient of the {side}'s side is not that of its value: {fault}\nLook for `detach`, `no_grad`, "
                "`.item()`, and for a gradient that is taken without `create_graph=True`. Where a gradient is stopped "
                "by design, switch this check off: `test_gradient_is_right = None  # why`.",
            )

    def test_it_is_pure(self) -> None:
        """No `backward`, no change of what it is given, and the same value whatever it has judged before."""
        for side in self.sides():
            outputs, moving = self.laid(side, needs=FIELDS)
            copies = [[level.detach().clone() for level in levels_of(form)] for form in _forms(outputs)]
            with drawing(0, "loss"):
                value = self.sides()[side](outputs)
            require(
                moving.grad is None,
                f"The {side}'s side calls `backward`: return the value; only the trainer's `update` differentiates it.",
            )
            after = [list(levels_of(form)) for form in _forms(outputs)]
            require(
                all(
                    torch.equal(x, y)
                    for old, new in zip(copies, after, strict=True)
                    for x, y in zip(old, new, strict=True)
                ),
                f"The {side}'s side changes what it is given: no operation in place on a field of Outputs.",
            )
            loss = self.make()
            with drawing(1, "loss"):
                getattr(loss, side)(self.laid(side, needs=FIELDS)[0])
            with drawing(0, "loss"):
                again = getattr(loss, side)(self.laid(side, needs=FIELDS)[0])
            require(
                torch.equal(value, again),
                f"The {side}'s side gives {value.detach()}, and {again.detach()} after it has judged before: keep no "
                "state, and draw from torch's global generator only.",
            )

    def test_extreme_scores_stay_finite(self) -> None:
        """Scores of 100 and -100, as a sure critic gives them, have a finite value and gradient."""
        for side in self.sides():
            outputs, _ = self.laid(side, needs=FIELDS)
            assert outputs.real_logits is not None
            assert outputs.fake_logits is not None
            for score in (100.0, -100.0):
                real, fake = (torch.full_like(x, y).requires_grad_() for x, y in
                              ((outputs.real_logits, score), (outputs.fake_logits, -score)))  # fmt: skip
                sure = replace(outputs, real_logits=real, fake_logits=fake)
                value = self.value(side, sure)
                moves = value.requires_grad
                gradients: Any = torch.autograd.grad(value.sum(), (real, fake), allow_unused=True) if moves else ()
                require(
                    all(x.isfinite().all() for x in (value, *gradients) if x is not None),
                    f"At scores of {score:g} and {-score:g} the {side}'s side or its gradient is not finite: use "
                    "softplus or logsigmoid in place of log(sigmoid), and no bare exp.",
                )

    def test_bf16(self) -> None:
        """Under autocast, with pictures in bf16 and scores in fp32, the value is finite."""
        for side in self.sides():
            outputs, _ = self.laid(side, needs=FIELDS)
            assert isinstance(outputs.fake, Tensor)
            made = outputs.fake.bfloat16()
            half = replace(outputs, fake=made, made=made)
            with mixed(CPU, "bf16"):
                require_finite(f"Under bf16 the {side}'s side", self.value(side, half))

    def test_nothing_waits_for_the_host(self) -> None:
        """It reads no value on the host, so that a GPU never waits."""
        for side in self.sides():
            outputs, judge = self.laid(side, needs=FIELDS)[0], self.sides()[side]
            with HostReads() as reads:
                judge(outputs)
            require_no_reads(reads)

    def test_devices_agree(self) -> None:
        """CPU and GPU give the same to rounding, where nothing is drawn."""
        device = gpu()
        for side in self.sides():
            outputs, there = self.laid(side, needs=FIELDS)[0], self.laid(side, device=device, needs=FIELDS)[0]
            value, other = self.value(side, outputs, seed=0), self.value(side, outputs, seed=1)
            if torch.equal(value, other):  # draws differ between devices
                found = self.value(side, there).cpu()
                require(close(value, found, 1e-2), f"The {side}'s side gives {value} on the CPU, {found} on the GPU.")

    def test_stopped_run_ends_in_the_same_bytes(self, tmp_path: Path) -> None:
        """A tiny run with it, stopped and continued, saves the same last checkpoint as a straight one."""
        recipe = around("losses", self.component, self.options, for_pairs(self.found()), self.recipe)
        self.require_exact_resume(recipe, tmp_path, 3)


def scored(form: Form, weights: Tensor) -> Tensor:
    """A critic that is smooth and curved: logits (N,) of pictures (N, 3, H, W), with 6 weights."""
    scores = []
    for level in levels_of(form):
        level = level.to(weights.dtype)
        h = torch.tanh((level * weights[:3, None, None]).sum(dim=1) + weights[3])  # (N, H, W)
        scores.append(weights[4] * h.mean(dim=(1, 2)) + weights[5] * level.square().mean(dim=(1, 2, 3)))
    return torch.stack(scores).sum(dim=0)


def _forms(outputs: Outputs) -> list[Form]:
    fields = (outputs.real, outputs.fake, outputs.real_logits, outputs.fake_logits, outputs.source)
    return [field for field in fields if field is not None]  # `target` and `made` are `real` and `fake` here
