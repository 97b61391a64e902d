"""What a generator promises."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from artgen.components import Kind
from artgen.rng import drawing
from artgen.testing.growth import begin, device_of, phases, steps
from artgen.testing.networks import COUNT, NetworkContract
from artgen.testing.runs import PAIRED, around, plugins_with
from artgen.testing.suite import usable_sizes
from artgen.testing.verdicts import levels_of, require, require_finite
from artgen.training import Critic, Generator, LatentSpace, Size


class GeneratorContract(NetworkContract):
    """What a generator promises (`artgen.training.Generator`)."""

    kind: ClassVar[Kind] = "generator"

    def shown(self, network: Generator, count: int = COUNT, size: Size | None = None) -> Tensor | None:
        given = something(network, size or self.size())
        return None if given is None else given[:count].to(device_of(network))

    def test_it_says_what_it_takes(self) -> None:
        """`takes` is one of the three words, and a latent space is there where it takes latents."""
        network = self.built()
        require(
            network.takes in ("latent", "picture", "nothing"),
            f"`takes` is {network.takes!r}: write 'latent', 'picture' or 'nothing'.",
        )
        require(
            network.takes != "latent" or isinstance(network.latent, LatentSpace),
            "It takes latents and has no latent space: set `self.latent = LatentSpace(shape)`.",
        )

    def test_pictures_of_every_size(self) -> None:
        """`sample` gives (N, 3, H, W), finite, in [-1, 1], at each size, or the factory says why not."""
        for size in usable_sizes(self, self.sizes):
            network = self.make(size)
            begin(network, size)
            require_pictures(network, size)
            require_pictures(network.eval(), size)

    def test_growing_changes_the_size(self) -> None:
        """Where it says `grows`, a network begins at any of its sizes, and `begin` enlarges its pictures."""
        network = self.make(self.size())
        for size in steps(usable_sizes(self, self.sizes)) if network.grows else ():
            begin(network, size)
            require_pictures(network, size)

    def test_like_has_the_form_of_forward(self) -> None:
        """`like` gives real pictures the shapes that `forward` makes, also while a level fades in."""
        network = self.built().eval()
        for share in (1.0, 0.5):
            network.fade(share)
            made, real = self.answer(network), network.like(torch.rand(COUNT, 3, *self.size()) * 2 - 1)
            shapes = [[tuple(level.shape[1:]) for level in levels_of(form)] for form in (made, real)]
            require(
                isinstance(made, Tensor) == isinstance(real, Tensor) and shapes[0] == shapes[1],
                f"`forward` makes {shapes[0]} and `like` makes {shapes[1]} (without N): a critic must see both in one "
                "form.",
            )
            require_finite("What `like` makes", *levels_of(real))

    def test_stopped_run_ends_in_the_same_bytes(self, tmp_path: Path) -> None:
        """A tiny run with it, stopped and continued, saves the same last checkpoint as a straight one."""
        network, sizes, partner = self.built(), usable_sizes(self, self.sizes), self.found().partner
        # A generator's pictures can grow only where its critic grows along.
        grows = network.grows and partner is not None and self.partner(partner).grows
        critic = "[critic]\n" if partner else ""  # an empty table leaves the choice to the generator
        pairs = PAIRED if partner and network.takes == "picture" and self.partner(partner).judges == "pair" else ""
        recipe = around(
            "generator", self.component, self.options, pairs, critic, phases(sizes, grows=grows), self.recipe
        )
        self.require_exact_resume(recipe, tmp_path, 3, 6)

    def partner(self, name: str) -> Critic:
        """The critic that it brings along."""
        component = plugins_with(self.plugins).component("critic", name)
        critic: Critic = component.load()(component.options(), self.size())
        return critic


def something(network: Generator, size: Size) -> Tensor | None:
    """What a generator takes, the same each time."""
    with drawing(0, "given"):
        if network.takes == "latent":
            require(network.latent, "It takes latents: set `self.latent = artgen.training.LatentSpace(shape)`.")
            return network.latent.draw(COUNT) if network.latent else None
        return torch.rand(COUNT, 3, *size) * 2 - 1 if network.takes == "picture" else None


def require_pictures(network: Generator, size: Size) -> None:
    """Fail where `sample` does not give pictures of this size, finite and in [-1, 1]."""
    given = something(network, size)
    with torch.no_grad():
        pictures = network.sample(given)
    wanted = (len(pictures) if given is None else COUNT, 3, *size)
    require(
        tuple(pictures.shape) == wanted,
        f"`sample` gives {tuple(pictures.shape)} at {size} px, not (N, 3, H, W) = {wanted}. Make that size, or refuse "
        "it in the factory: `raise artgen.RecipeError(cause, remedy=...)`.",
    )
    require_finite("A made picture", pictures)
    low, high = float(pictures.min()), float(pictures.max())
    require(
        pictures.dtype == torch.float32 and -1 <= low <= high <= 1,
        f"`sample` gives {pictures.dtype} from {low:.3g} to {high:.3g}: give float32 in [-1, 1].",
    )
