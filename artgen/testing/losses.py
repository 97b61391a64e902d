"""What a loss promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from artgen.testing.runs import CPU, around, suiting
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import close, failed, gpu, levels_of, require, require_finite, require_no_reads
from artgen.testing.watch import HostReads
from artgen.training import Features, Form, Motion, Outputs, Wanted

COUNT = 3
FIELDS = tuple(Outputs.__dataclass_fields__)


class LossContract(ComponentContract):
    """What a loss promises: each of its sides is a pure function of the fields of `Outputs` that it `needs`.

    The checks lay before it what a trainer would, of pairs and of style transfer too, with a small smooth critic and a
    small feature network. What moves is, on the critic's side, the critic's weights; on the generator's, the made
    pictures. A loss that measures before it judges measures pictures in tiles, and each picture by itself.
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
        trusted = source[1:, :1].add(1).mul(0.5)
        everything = Outputs(
            real=real,
            fake=fake,
            real_logits=real_logits,
            fake_logits=critic(fake),
            critic=critic,
            source=source,
            target=real,
            made=fake,
            features=features,
            made_features=activations(features, fake),
            source_features=activations(features, source),
            styles=tuple(
                _wanted(index, weight, region, torch.promote_types(dtype, torch.float32), device)
                for index, (weight, region) in enumerate([(0.75, 0), (0.25, 0), (1.0, 1)])
            ),
            measured={},
            motion=Motion(fake[:-1], fake[1:], trusted),
        )
        needs = self.found().needs.get(side, ()) if needs is None else needs
        filled = {name: getattr(everything, name) for name in needs if name in FIELDS}
        if "styles" in needs:
            filled["regions"] = (None, halves(activations(features, source), source))
        return Outputs(**cast(Any, filled)), moving

    def judged(self, loss: Any, side: Side, outputs: Outputs) -> Any:
        """What a side of a loss returns, a scalar tensor if all is well. One that measures has measured before."""
        if hasattr(loss, "measure"):
            measured = {loss: loss.measure(outputs)}
            styles = outputs.styles and tuple(
                replace(wanted, measured={loss: loss.measure(styled(outputs, wanted))[0]}) for wanted in outputs.styles
            )
            outputs = replace(outputs, measured=measured, styles=styles)
        return getattr(loss, side)(outputs)

    def value(self, side: Side, outputs: Outputs, seed: int = 0) -> Any:
        """What a side of a new loss returns; its draws follow from the seed."""
        loss = self.make()
        with drawing(seed, "loss"):
            return self.judged(loss, side, outputs)

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
            value = self.value(side, outputs)
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
                self.judged(loss, side, self.laid(side, needs=FIELDS)[0])
            with drawing(0, "loss"):
                again = self.judged(loss, side, self.laid(side, needs=FIELDS)[0])
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
            half = replace(outputs, fake=made, made=made, made_features=_half(outputs.made_features))
            with mixed(CPU, "bf16"):
                require_finite(f"Under bf16 the {side}'s side", self.value(side, half))

    def test_nothing_waits_for_the_host(self) -> None:
        """It reads no value on the host, so that a GPU never waits."""
        for side in self.sides():
            outputs, loss = self.laid(side, needs=FIELDS)[0], self.make()
            with HostReads() as reads:
                self.judged(loss, side, outputs)
            require_no_reads(reads)

    def test_measures_add_up_over_tiles(self) -> None:
        """Of a loss that measures before it judges: what it finds in tiles of pictures adds up to what they have."""
        loss, outputs = self.make(), self.laid("generator", needs=FIELDS)[0]
        if not hasattr(loss, "measure"):
            return
        found = []
        for part in (outputs, *tiles(outputs)):
            with drawing(0, "loss"):  # whatever it draws, alike for every tile
                found.append(loss.measure(part))
        for regions in found:
            require(
                isinstance(regions, tuple)
                and all(isinstance(region, tuple) for region in regions)
                and all(isinstance(tensor, Tensor) for region in regions for tensor in region),
                "`measure` gives no tuple over regions of tuples of tensors.",
            )
        whole, *parts = found
        for tensors in zip(*(sum(regions, ()) for regions in (whole, *parts)), strict=True):
            require(
                close(tensors[0], torch.stack(tensors[1:]).sum(dim=0)),
                "What it measures in four tiles of a picture does not add up to what it measures in the picture: give "
                "sums and counts, not means, and divide in `generator`; heed `outputs.place`.",
            )

    def test_each_picture_is_judged_by_itself(self) -> None:
        """Of a loss that measures before it judges: several pictures have the sum of what each of them has."""
        loss, outputs = self.make(), self.laid("generator", needs=FIELDS)[0]
        if not hasattr(loss, "measure"):
            return
        alone = [self.value("generator", _apart(outputs, index)) for index in range(COUNT)]
        require(
            close(self.value("generator", outputs), torch.stack(alone).sum()),
            f"{COUNT} pictures together have another value than the sum of theirs: sum over pictures, so that each "
            "comes out alike in whatever company.",
        )

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
        recipe = around("losses", self.component, self.options, suiting(self.found()), self.recipe)
        self.require_exact_resume(recipe, tmp_path, 3)


def scored(form: Form, weights: Tensor) -> Tensor:
    """A critic that is smooth and curved: logits (N,) of pictures (N, 3, H, W), with 6 weights."""
    scores = []
    for level in levels_of(form):
        level = level.to(weights.dtype)
        h = torch.tanh((level * weights[:3, None, None]).sum(dim=1) + weights[3])  # (N, H, W)
        scores.append(weights[4] * h.mean(dim=(1, 2)) + weights[5] * level.square().mean(dim=(1, 2, 3)))
    return torch.stack(scores).sum(dim=0)


def activations(features: Features, pictures: Tensor) -> dict[str, Tensor]:
    """Activations by layer, as a trainer of style transfer lays them before a loss."""
    return dict(zip(features.layers, features(pictures), strict=True))


def halves(of: Mapping[str, Tensor], pictures: Tensor) -> dict[str, Tensor]:
    """A region that fades in from left to right: in layers, and in pixels."""
    every = {"pixels": pictures, **of}
    return {layer: _ramp(x) for layer, x in every.items()}


def _ramp(x: Tensor) -> Tensor:
    return torch.linspace(0, 1, x.shape[3], device=x.device).expand(1, 1, *x.shape[2:])


def _wanted(index: int, weight: float, region: int, dtype: torch.dtype, device: torch.device) -> Wanted:
    """A style of a size of its own, before anything is measured in it; of all but the first a part is meant."""
    with drawing(index, "style"):
        picture = torch.rand(1, 3, 12, 20, dtype=torch.float64).to(device, dtype) * 2 - 1
    return Wanted(weight, region, {}, picture, _ramp(picture) if index else None)


def styled(outputs: Outputs, wanted: Wanted) -> Outputs:
    """What a trainer lays before `measure` of a style: its picture, and which part is meant."""
    assert outputs.made_features is not None
    like, picture = next(iter(outputs.made_features.values())), wanted.picture
    found = activations(SmallFeatures(Options()).to(like.device, picture.dtype), picture)
    found = {layer: x.to(like.dtype) for layer, x in found.items()}
    regions = (None if wanted.part is None else halves(found, picture),)
    return replace(
        outputs, made=picture, made_features=found, source=None, source_features=None, styles=None, regions=regions
    )


def tiles(outputs: Outputs) -> list[Outputs]:
    """Four tiles of pictures: their activations, and their share in regions."""
    made, source = outputs.made_features, outputs.source_features
    assert made is not None
    assert source is not None
    sizes = {layer: tuple(x.shape[2:]) for layer, x in made.items()}

    def cut(of: Mapping[str, Tensor], down: int, across: int) -> dict[str, Tensor]:
        return {layer: x.chunk(2, dim=2)[down].chunk(2, dim=3)[across] for layer, x in of.items()}

    return [
        replace(
            outputs,
            made_features=cut(made, down, across),
            source_features=cut(source, down, across),
            regions=tuple(region and cut(region, down, across) for region in outputs.regions),
            place={layer: (down * (h // 2), across * (w // 2), h, w) for layer, (h, w) in sizes.items()},
        )
        for down in range(2)
        for across in range(2)
    ]


def _apart(outputs: Outputs, index: int) -> Outputs:
    """One picture of several, for a loss on activations."""
    made, source = outputs.made_features, outputs.source_features
    assert made is not None
    assert source is not None
    one = slice(index, index + 1)
    return replace(
        outputs,
        made_features={layer: x[one] for layer, x in made.items()},
        source_features={layer: x[one] for layer, x in source.items()},
    )


def _half(found: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    assert found is not None
    return {layer: x.bfloat16() for layer, x in found.items()}


def _forms(outputs: Outputs) -> list[Form]:
    found = (tuple(layers.values()) for layers in (outputs.made_features, outputs.source_features) if layers)
    fields = (outputs.real, outputs.fake, outputs.real_logits, outputs.fake_logits, outputs.source, *found)
    return [field for field in fields if field is not None]  # `target` and `made` are `real` and `fake` here
