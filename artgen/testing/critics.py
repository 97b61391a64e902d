"""What a critic promises."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import tomli_w
import torch
from torch import Tensor

from artgen.components import Kind
from artgen.rng import drawing
from artgen.testing.gradients import fault_of_second_gradient
from artgen.testing.growth import begin, device_of, phases
from artgen.testing.networks import COUNT, NetworkContract
from artgen.testing.runs import PAIRED, around, plugins_with
from artgen.testing.suite import usable_sizes
from artgen.testing.verdicts import form_of, levels_of, require, require_finite, same
from artgen.training import Critic, Form, Generator, Size


class CriticContract(NetworkContract):
    """What a critic promises (`artgen.training.Critic`)."""

    kind: ClassVar[Kind] = "critic"
    generator: str = ""
    """The generator whose pictures it judges. By default one that names it as partner; else it is shown pictures."""
    generator_options: Mapping[str, Any] = MappingProxyType({})
    """The table of that generator."""

    def shown(self, network: Critic, count: int = COUNT, size: Size | None = None) -> Form:
        form = self.form(size or self.size())
        return form_of(form, [level[:count].to(device_of(network)) for level in levels_of(form)])

    def form(self, size: Size) -> Form:
        """Real pictures in the form that its generator gives them, or pairs, the same each time."""
        judges = self.make(size).judges
        with drawing(0, "form"):
            pictures = torch.rand(COUNT, 3, *size) * 2 - 1
            if judges == "pair":
                return torch.cat([torch.rand(COUNT, 3, *size) * 2 - 1, pictures], dim=1)
            maker = self.maker(size)
            return pictures if maker is None else maker.like(pictures)

    def maker(self, size: Size) -> Generator | None:
        """The generator whose pictures it judges, if it is for one."""
        if not (name := self.judged()):
            return None
        component = plugins_with(self.plugins).component("generator", name)
        options = component.options.model_validate_json(json.dumps(dict(self.generator_options)))
        generator: Generator = component.load()(options, size)
        begin(generator, size)
        return generator

    def judged(self) -> str:
        """The name of that generator, or nothing."""
        beside, name = plugins_with(self.plugins).owner(self.found()).components, self.found().name
        return self.generator or next((c.name for c in beside if c.kind == "generator" and c.partner == name), "")

    def test_logits_of_every_size(self) -> None:
        """One finite score, or map of scores, for each picture, (N, ...), at each size; or the factory says why not."""
        for size in usable_sizes(self, self.sizes):
            network = self.make(size)
            begin(network, size)
            logits = network(self.form(size))
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            require(
                isinstance(logits, Tensor) and logits.dim() > 0 and len(logits) == COUNT,
                f"It answers {COUNT} pictures of {size} px with {found}: give logits (N, ...).",
            )
            require_finite("A logit", logits)

    def test_gradients_reach_the_pictures(self) -> None:
        """A generator learns through the critic: each level of what it sees has a finite gradient."""
        form = self.form(self.size())
        levels = [level.clone().requires_grad_() for level in levels_of(form)]
        logits = self.built()(form_of(form, levels))
        gradients = torch.autograd.grad(logits.sum(), levels, allow_unused=True) if logits.requires_grad else [None]
        there = [gradient for gradient in gradients if gradient is not None]
        require(
            len(there) == len(levels),
            "No gradient reaches the pictures, so no generator could learn: look for `detach`, `no_grad`, rounding.",
        )
        require_finite("The gradient at the pictures", *there)

    def test_it_can_be_differentiated_twice(self) -> None:
        """Penalties such as R1 differentiate its gradient: it works in training mode, and is right in float64."""
        network, form = self.built(), self.form(self.size())
        levels = [level.clone().requires_grad_() for level in levels_of(form)]
        try:
            gradients = torch.autograd.grad(network(form_of(form, levels)).sum(), levels, create_graph=True)
            torch.autograd.backward([gradient.square().sum() for gradient in gradients])
            fault = ""
        except RuntimeError as error:
            fault = f"in training mode, {error}"
        if not fault:
            require_finite("A gradient of R1", *(p.grad for p in network.parameters() if p.grad is not None))
            doubled = copy.deepcopy(network).double().eval()
            fault = fault_of_second_gradient(
                lambda *levels: doubled(form_of(form, levels)), [level[:2].double() for level in levels]
            )
        require(
            not fault,
            f"Its gradient cannot be differentiated, which penalties do: {fault}\nLook for operations in place, "
            "`detach`, `.data`, and functions that have no double backward.",
        )

    def test_it_leaves_pictures_alone(self) -> None:
        """What it is shown is not changed in place."""
        form = self.form(self.size())
        before = copy.deepcopy(form)
        self.built()(form)
        require(same(before, form), "It changes the pictures that it is shown: no operation in place on its input.")

    def test_stopped_run_ends_in_the_same_bytes(self, tmp_path: Path) -> None:
        """A tiny run with it, stopped and continued, saves the same last checkpoint as a straight one."""
        sizes, maker, beside = usable_sizes(self, self.sizes), self.maker(self.size()), ""
        if maker is not None:
            beside = tomli_w.dumps({"generator": {self.judged(): dict(self.generator_options)}})
        grows = self.built().grows and maker is not None and maker.grows
        pairs = PAIRED if self.built().judges == "pair" else ""
        recipe = around("critic", self.component, self.options, pairs, beside, phases(sizes, grows=grows), self.recipe)
        self.require_exact_resume(recipe, tmp_path, 3, 6)
