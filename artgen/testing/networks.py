"""What generators and critics both promise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from artgen.device import mixed
from artgen.rng import drawing
from artgen.run.state import pack
from artgen.testing.growth import begin, stages, steps
from artgen.testing.runs import CPU
from artgen.testing.suite import ComponentContract, usable_sizes
from artgen.testing.verdicts import (
    close,
    copied,
    gpu,
    largest,
    levels_of,
    moved,
    require,
    require_finite,
    require_no_reads,
    same,
)
from artgen.testing.watch import HostReads
from artgen.training import Form, Network, Size

COUNT = 4
"""Pictures in a batch of the checks."""


class NetworkContract(ComponentContract):
    """What generators and critics share."""

    sizes: Sequence[tuple[int, int]] = ((16, 16), (32, 32), (16, 32))
    """(height, width) in pixels. It makes each of them, or refuses it with an ArtgenError that says what to do."""
    recipe: str = ""
    """Tables that take the place of the kit's own (`artgen.testing.runs.AROUND`) around the component in a tiny run."""

    def shown(self, network: Any, count: int = COUNT, size: Size | None = None) -> Any:
        """What its `forward` is handed in the checks, at the largest of its sizes or at this one: always the same."""
        raise NotImplementedError

    def answer(self, network: Any, count: int = COUNT, size: Size | None = None) -> Form:
        """What its `forward` returns for them."""
        answer: Form = network(self.shown(network, count, size))
        return answer

    def size(self) -> Size:
        """The largest of the sizes that it does not refuse."""
        return largest(usable_sizes(self, self.sizes))

    def built(self, seed: int = 0) -> Any:
        """The network at that size."""
        size = self.size()
        network = self.make(size, seed=seed)
        begin(network, size)
        return network

    def given(self, folder: Path) -> tuple[Any, ...]:
        return (self.size(),)

    def test_gradients_reach_every_parameter(self) -> None:
        """Each parameter has a finite gradient, at some size and at some share of a fade."""
        network, missing = self.make(self.size()), None
        for size in stages(network, usable_sizes(self, self.sizes)):
            network.zero_grad()
            levels = levels_of(self.answer(network, size=size))
            with drawing(0, "weights of the sum"):
                total = torch.stack([(x * torch.randn_like(x)).sum() for x in levels]).sum()
            torch.autograd.backward(total)
            moving = {name: p for name, p in network.named_parameters() if p.requires_grad}
            require_finite("A gradient", *(p.grad for p in moving.values() if p.grad is not None))
            without = {name for name, p in moving.items() if p.grad is None}
            missing = without if missing is None else missing & without
        require(
            not missing,
            f"No gradient reaches {', '.join(sorted(missing or ()))}: the path is cut (`detach`, `.data`, `no_grad`), "
            "or nothing uses it. Mend it, leave it out, or make it a buffer."
            + " Layers of smaller pictures: name those in `sizes`."
            * bool(network.grows),
        )

    def test_eval_mode_is_deterministic(self) -> None:
        """In eval mode the same input has the same answer, whatever was drawn before, and no state moves."""
        network = self.built().eval()
        before = copied(network.state_dict())
        torch.manual_seed(1)
        first = self.answer(network)
        torch.manual_seed(2)
        require(
            same(first, self.answer(network)),
            "In eval mode two calls with one input differ: draw noise and dropout only `if self.training`, from "
            "torch's global generator.",
        )
        names = moved(before, network.state_dict())
        require(not names, f"In eval mode a call changes {names}: change buffers only `if self.training`.")

    def test_eval_mode_takes_each_by_itself(self) -> None:
        """In eval mode an answer does not depend on what else is in the batch."""
        network = self.built().eval()
        whole, alone = levels_of(self.answer(network)), levels_of(self.answer(network, 1))
        require(
            all(x.dim() == 0 or close(x[: len(y)], y) for x, y in zip(whole, alone, strict=True)),
            "In eval mode an answer depends on the rest of the batch: use running statistics there. Where the method "
            "means it so, switch this check off: `test_eval_mode_takes_each_by_itself = None  # why`.",
        )

    def test_state_round_trip(self) -> None:
        """The state of a network that was used, loaded into a fresh one, gives equal answers."""
        used, fresh = self.built(seed=1), self.built(seed=2)
        for _ in range(3):
            self.answer(used)  # in training mode: running statistics move
        pack(used.state_dict(), self.kind)  # raises where a checkpoint could not hold it
        fresh.load_state_dict(copied(used.state_dict()))
        require(
            same(self.answer(used.eval()), self.answer(fresh.eval())),
            "A fresh network that has loaded `state_dict()` answers otherwise: keep all that training changes in "
            "parameters and persistent buffers.",
        )

    def test_weights_follow_the_seed(self) -> None:
        """One seed gives one set of weights, whatever was drawn before; another seed gives another set."""
        size = self.size()
        network, again, other = (self.make(size, seed=seed) for seed in (1, 1, 2))
        names = moved(network.state_dict(), again.state_dict())
        require(
            not names,
            f"One seed gives two sets of weights ({names}): draw them from torch's global generator when the factory "
            "is called, not from a generator of your own, from NumPy's, or at import.",
        )
        require(
            getattr(network, "takes", "") == "nothing" or moved(network.state_dict(), other.state_dict()),
            "Two seeds give the same weights: draw them from torch's global generator when the factory is called.",
        )

    def test_begin_is_idempotent(self) -> None:
        """A second `begin` of the same size changes nothing, and keeps the very parameters that an optimizer moves."""
        network = self.built()
        before, values = dict(network.named_parameters()), copied(network.state_dict())
        begin(network, self.size())
        after = dict(network.named_parameters())
        require(
            before.keys() == after.keys() and all(before[name] is after[name] for name in before),
            "`begin` of the size that the network has makes parameters anew: return at once where nothing changes.",
        )
        names = moved(values, network.state_dict())
        require(not names, f"`begin` of the size that the network has changes {names}: leave values alone.")

    def test_growing_and_beginning_late_give_the_same_layers(self) -> None:
        """One that grew through the sizes and a fresh one that begins at the last can load each other's state."""
        grown, fresh = self.make(self.size()), self.make(self.size())
        if not grown.grows:
            return
        sizes = steps(usable_sizes(self, self.sizes))
        for size in sizes:
            begin(grown, size)
        begin(fresh, size)
        shapes = [{name: tuple(value.shape) for name, value in one.state_dict().items()} for one in (grown, fresh)]
        differ = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
        require(
            not differ,
            f"A network that grew through {', '.join(map(str, sizes))} has other layers than a fresh one that begins "
            f"at the last ({', '.join(differ)}), so no run could be resumed: let `begin` make all layers that a size "
            "needs.",
        )

    def test_fade(self) -> None:
        """Where `fade` is written, 0 and 1 differ, and going there and back leaves nothing behind."""
        network = self.built().eval()
        if not network.grows or type(network).fade is Network.fade:
            return
        for size in steps(usable_sizes(self, self.sizes)):
            begin(network, size)
        answers = []
        for share in (1.0, 0.0, 0.5, 1.0):
            network.fade(share)
            answers.append(self.answer(network))
        new, before, between, again = answers
        require(
            not same(new, before) and not same(between, before),
            "`fade` changes nothing between 0 and 0.5, or 0 and 1: blend the newest level in by this share.",
        )
        require(same(new, again), "`fade(1)` after `fade(0.5)` is not what it was: keep the share, and nothing else.")

    def test_bf16(self) -> None:
        """Under autocast, which is how artgen computes in bf16, answers and gradients are finite."""
        network = self.built()
        with mixed(CPU, "bf16"):
            levels = levels_of(self.answer(network))
            torch.autograd.backward([x.float().square().mean() for x in levels])
        require_finite("Under bf16 an answer", *levels)
        require_finite("Under bf16 a gradient", *(p.grad for p in network.parameters() if p.grad is not None))

    def test_nothing_waits_for_the_host(self) -> None:
        """A call in training mode reads no value on the host, so that a GPU never waits."""
        network = self.built()
        shown = self.shown(network)
        with HostReads() as reads:
            network(shown)
        require_no_reads(reads)

    def test_devices_agree(self) -> None:
        """CPU and GPU give the same to rounding."""
        device = gpu()
        network = self.built().eval()
        on_cpu = levels_of(self.answer(network))
        on_gpu = levels_of(self.answer(network.to(device)))
        require(
            all(close(x, y.cpu(), 1e-2) for x, y in zip(on_cpu, on_gpu, strict=True)),
            "CPU and GPU answer differently: look for tensors made on the CPU, and for sums that need fp32.",
        )
