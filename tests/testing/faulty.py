"""Components with one fault each, as a stranger might write them: the suites must find it."""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
from subprocess import DEVNULL, PIPE, Popen
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import nn
from torch.nn.functional import dropout, interpolate, relu, softplus

from artgen import (
    ArtgenError,
    Component,
    DataError,
    DataOptions,
    LossOptions,
    Options,
    RecipeError,
    ResourceError,
    VideoOptions,
    hookimpl,
)
from artgen.data import Dataset, Neighbour, Repainting, StylePicture
from artgen.metrics import Measured
from artgen.training import Augmentation, Critic, Features, Generator, LatentSpace, Outputs, Source
from artgen.walk import Path
from artgen.walk.jobs import Outcome, Task
from artgen.walk.prior import combine, norms, require_round, sums
from artgen_executors.local import Local

ARTGEN_API = 1
COMPONENTS: dict[str, list[Component]] = {}


def named_after(factory) -> str:
    """`NoisyInEval` -> noisy-in-eval, `too_small` -> too-small."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", factory.__name__).lower().replace("_", "-")


def component(kind: str, options: type[Options], **more: Any):
    """Hand a class or function over under its own name, in words joined by '-'."""

    def register(factory):
        COMPONENTS.setdefault(kind, []).append(
            Component(kind=kind, name=named_after(factory), summary="For the suites to look at", options=options,
                      factory=f"{__name__}:{factory.__name__}", **more)
        )  # fmt: skip
        return factory

    return register


def generator(factory):
    return component("generator", Options)(factory)


def critic(factory):
    return component("critic", Options)(factory)


# Generators


@generator
class Sound(Generator):
    """One without a fault, from which the others depart."""

    def __init__(self, options, size):
        super().__init__()
        self.size, self.latent = size, LatentSpace((4,))
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3 * 16)

    def forward(self, z):
        h = self.second(self.first(z).tanh()).view(-1, 3, 4, 4)
        return interpolate(h, tuple(self.size)).tanh()


@generator
class TooBright(Sound):
    def sample(self, given):
        return 3 * self(given) + 1


@generator
class AlwaysSquare(Sound):
    def forward(self, z):
        return interpolate(super().forward(z), (16, 16))


@generator
class Cut(Sound):
    def forward(self, z):
        h = self.second(self.first(z).tanh().detach()).view(-1, 3, 4, 4)
        return interpolate(h, tuple(self.size)).tanh()


@generator
class Unlike(Sound):
    def like(self, real):
        return real[:, :, ::2, ::2]


@generator
class NoisyInEval(Sound):
    def forward(self, z):
        return super().forward(z + 0.1 * torch.randn_like(z))


@generator
class PrivateNoise(Sound):
    """Draws, while it trains, from a generator of its own."""

    def __init__(self, options, size):
        super().__init__(options, size)
        self.random = np.random.default_rng(0)

    def forward(self, z):
        noise = torch.from_numpy(self.random.normal(size=tuple(z.shape))).float()
        return super().forward(z + noise if self.training else z)


@generator
class MixedBatch(Sound):
    def forward(self, z):
        return super().forward(z - z.mean(dim=0))


@generator
class ForgetfulBuffer(Sound):
    """Its running mean is not in its state."""

    def __init__(self, options, size):
        super().__init__(options, size)
        self.register_buffer("mean", torch.zeros(4), persistent=False)

    def forward(self, z):
        if self.training:
            self.mean.lerp_(z.detach().mean(dim=0), 0.1)
        return super().forward(z - self.mean)


@generator
class WeightsFromNumpy(Sound):
    def __init__(self, options, size):
        super().__init__(options, size)
        self.first.weight.data.copy_(torch.from_numpy(np.random.rand(6, 4)))  # noqa: NPY002


@generator
class WeightsAlwaysTheSame(Sound):
    def __init__(self, options, size):
        super().__init__(options, size)
        for parameter in self.parameters():
            parameter.data.fill_(0.1)


@generator
class BeginsAnew(Sound):
    def begin(self, size):
        self.second = nn.Linear(6, 3 * 16)


@generator
class NeverGrows(Sound):
    grows = True


@generator
class GrowsOneStepACall(Sound):
    """Adds a layer at each call, so a fresh one that begins late has fewer."""

    grows = True

    def __init__(self, options, size):
        super().__init__(options, size)
        self.layers = nn.ModuleList()
        self.begun = set()

    def begin(self, size):
        if size not in self.begun:
            self.begun.add(size)
            self.layers.append(nn.Linear(4, 4))
        self.size = size

    def forward(self, z):
        for layer in self.layers:
            z = z + layer(z)
        return super().forward(z)


@generator
class FadesNothing(Sound):
    grows = True

    def begin(self, size):
        self.size = size

    def fade(self, share):
        self.share = share


@generator
class ReadsOnTheHost(Sound):
    def forward(self, z):
        return super().forward(z / max(1.0, z.abs().max().item()))


@generator
class Meddler(Sound):
    def __init__(self, options, size):
        super().__init__(options, size)
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        random.random()


@generator
class VanishesInBf16(Sound):
    """A small difference of large numbers, which bf16 rounds to nothing."""

    def forward(self, z):
        h = self.second(self.first(z).tanh()).view(-1, 3, 4, 4)
        return interpolate(h / (1000.5 * h - 1000 * h), tuple(self.size)).tanh()


@generator
class OwnLatentSpace(Sound):
    def __init__(self, options, size):
        super().__init__(options, size)
        self.latent = SimpleNamespace(shape=(4,), draw=lambda count, device="cpu": torch.randn(count, 4, device=device))


@generator
class Explodes(Sound):
    def forward(self, z):
        return super().forward(z) / 0


@generator
class CurtRefusal(Sound):
    def __init__(self, options, size):
        if size.height != size.width:
            raise RecipeError("no")
        super().__init__(options, size)


# Critics


@critic
class SoundCritic(Critic):
    def __init__(self, options, size):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.first(x).tanh().mean(dim=(2, 3))).flatten()


@critic
class SoundPairCritic(SoundCritic):
    judges = "pair"

    def __init__(self, options, size):
        super().__init__(options, size)
        self.first = nn.Conv2d(6, 4, 3, padding=1)


@critic
class BatchInEval(SoundCritic):
    def forward(self, x):
        return super().forward(x - x.mean(dim=0))


@critic
class OneScoreForAll(SoundCritic):
    def forward(self, x):
        return super().forward(x).mean()


class OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return 2 * x * gradient


@critic
class Once(SoundCritic):
    """Cannot be differentiated twice."""

    def forward(self, x):
        return super().forward(OnceOnly.apply(x))


@critic
class Rounds(SoundCritic):
    """Its second derivative is of less than float64."""

    def forward(self, x):
        return super().forward(x.float().square().to(x.dtype))


@critic
class Overwrites(SoundCritic):
    def forward(self, x):
        x.detach().mul_(0.5)
        return super().forward(x)


@critic
class SeesNothing(SoundCritic):
    def forward(self, x):
        return super().forward(x.detach())


@critic
class CountsInEval(SoundCritic):
    def __init__(self, options, size):
        super().__init__(options, size)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


@critic
class DrawsByItself(SoundCritic):
    def __init__(self, options, size):
        super().__init__(options, size)
        self.random = np.random.default_rng(0)

    def forward(self, x):
        return super().forward(x + self.random.normal() if self.training else x)


# Losses


def loss(**needs: tuple[str, ...]):
    return component("loss", LossOptions, needs=needs)


class Judge:
    def __init__(self, options):
        pass


@loss(critic=("real_logits", "fake_logits"))
class CallsBackward(Judge):
    def critic(self, outputs: Outputs):
        value = softplus(outputs.fake_logits).mean() + softplus(-outputs.real_logits).mean()
        value.backward(retain_graph=True)
        return value


@loss(critic=("real_logits", "fake_logits"))
class Detached(Judge):
    """Half of its gradient is cut off."""

    def critic(self, outputs: Outputs):
        return softplus(outputs.fake_logits.detach()).mean() + softplus(-outputs.real_logits).mean()


@loss(critic=("real", "critic"))
class WithoutGraph(Judge):
    """A gradient penalty that nobody could learn from."""

    def critic(self, outputs: Outputs):
        x = outputs.real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(outputs.critic(x).sum(), x)
        return gradient.square().sum(dim=(1, 2, 3)).mean()


@loss(generator=("fake_logits",))
class Vector(Judge):
    def generator(self, outputs: Outputs):
        return softplus(-outputs.fake_logits)


@loss(generator=("fake",))
class ReadsMore(Judge):
    def generator(self, outputs: Outputs):
        return (outputs.fake - outputs.real).square().mean()


@loss(generator=("fake",))
class TwoSides(Judge):
    def generator(self, outputs: Outputs):
        return outputs.fake.square().mean()

    def critic(self, outputs: Outputs):
        return outputs.real_logits.square().mean()


@loss(generator=("fake_logits",))
class Remembers(Judge):
    mean = 0.0

    def generator(self, outputs: Outputs):
        value = (outputs.fake_logits.mean() - self.mean) ** 2
        self.mean = 0.9 * self.mean + 0.1 * outputs.fake_logits.detach().mean()
        return value


@loss(generator=("fake",))
class InSinglePrecision(Judge):
    def generator(self, outputs: Outputs):
        return outputs.fake.float().square().mean()


@loss(generator=("fake_logits",))
class InPlace(Judge):
    def generator(self, outputs: Outputs):
        outputs.fake_logits.detach().mul_(0.5)
        return softplus(-outputs.fake_logits).mean()


@loss(generator=("fake_logits",))
class NaiveLogarithm(Judge):
    def generator(self, outputs: Outputs):
        return -torch.log(outputs.fake_logits.sigmoid()).mean()


@loss(generator=("fake_logits",))
class StopsToLook(Judge):
    def generator(self, outputs: Outputs):
        if outputs.fake_logits.mean() > 1e9:
            raise RuntimeError
        return softplus(-outputs.fake_logits).mean()


@loss(generator=("fake",))
class TooCoarse(Judge):
    """Counts on more digits than bf16 has."""

    def generator(self, outputs: Outputs):
        fake = outputs.fake
        return (fake / (1000.5 * fake - 1000 * fake)).mean() + fake.mean()


@loss(generator=("fake_logits",))
class OwnNoise(Judge):
    random = np.random.default_rng(0)

    def generator(self, outputs: Outputs):
        return softplus(-outputs.fake_logits).mean() + self.random.normal()


@loss(generator=("fake_logit",))
class Misspelt(Judge):
    def generator(self, outputs: Outputs):
        return softplus(-outputs.fake_logits).mean()


@loss(generator=("made", "target", "features"))
class SoundPairLoss(Judge):
    def generator(self, outputs: Outputs):
        made, wanted = outputs.features(outputs.made), outputs.features(outputs.target)
        return (outputs.made - outputs.target).abs().mean() + (made[-1] - wanted[-1]).square().mean()


ON_ACTIVATIONS = ("made_features", "measured", "styles")


@loss(generator=ON_ACTIVATIONS)
class SoundStyleLoss(Judge):
    """The mean activation of each channel."""

    def measure(self, outputs: Outputs):
        x = outputs.made_features["deep"]
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        shares = [x.new_ones(1, 1, 1, 1) if region is None else region["deep"] for region in outputs.regions]
        return tuple(
            ((x * share).sum(dim=(2, 3)), share.expand_as(x[:, :1]).sum(dim=(2, 3)), *self.beside(x))
            for share in shares
        )

    def beside(self, x):
        return ()

    def generator(self, outputs: Outputs):
        values = []
        for wanted in outputs.styles:
            sums, count, *_ = outputs.measured[self][wanted.region]
            style_sums, style_count, *_ = wanted.measured[self]
            difference = sums / count - style_sums / style_count
            values.append(wanted.weight * difference.square().sum())
        return torch.stack(values).sum()


@loss(generator=ON_ACTIVATIONS)
class MeasuresMeans(SoundStyleLoss):
    """Means of tiles have no sum that says anything."""

    def beside(self, x):
        return (x.mean(dim=(2, 3)),)


@loss(generator=ON_ACTIVATIONS)
class InCompany(SoundStyleLoss):
    """A picture counts for less, the more there are."""

    def generator(self, outputs: Outputs):
        return super().generator(outputs) / len(outputs.measured[self][0][0])


# Trainers


GIVES = {"generator": ("fake", "fake_logits"), "critic": ("real", "fake", "real_logits", "fake_logits")}


def trainer(factory):
    return component("trainer", Options, gives=GIVES)(factory)


@trainer
class Plain:
    """The game in a few lines; without a fault."""

    batches_per_step = 1

    def __init__(self, options, parts):
        self.parts, self.optimizers = parts, {}

    def begin(self, phase):
        for name in ("generator", "critic"):
            if name not in self.optimizers:
                self.optimizers[name] = torch.optim.Adam(getattr(self.parts, name).parameters(), lr=0.01, fused=True)

    def step(self, batch, clock):
        p = self.parts
        fake = p.generator(p.generator.latent.draw(len(batch.real)))
        real_logits, fake_logits = p.critic(batch.real), p.critic(fake.detach())
        of_critic = self.outputs(real=batch.real, fake=fake.detach(), real_logits=real_logits, fake_logits=fake_logits)
        loss, terms = p.losses("critic", of_critic, clock.steps)
        self.move("critic", loss)
        loss, more = p.losses("generator", self.outputs(fake=fake, fake_logits=p.critic(fake)), clock.steps)
        self.move("generator", loss)
        return terms | more

    def outputs(self, **fields):
        return Outputs(**fields)

    def move(self, name, loss):
        self.parts.update(self.optimizers[name], loss)

    def state_dict(self):
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def load_state_dict(self, state):
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])


@trainer
class HiddenCounter(Plain):
    calls = 0

    def step(self, batch, clock):
        self.calls += 1
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = 0.01 / self.calls
        return super().step(batch, clock)


@trainer
class Prints(Plain):
    def step(self, batch, clock):
        scalars = super().step(batch, clock)
        self.last = {name: value.item() for name, value in scalars.items()}
        return scalars


@trainer
class StepsByItself(Plain):
    def move(self, name, loss):
        parameters = self.optimizers[name].param_groups[0]["params"]
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
        ):
            parameter.grad = gradient
        self.optimizers[name].step()


@trainer
class NeverMoves(Plain):
    def move(self, name, loss):
        pass


@trainer
class Promises(Plain):
    def outputs(self, **fields):
        return Outputs(**fields | {"fake": None})


@trainer
class ForgetsAtBegin(Plain):
    def begin(self, phase):
        self.optimizers = {}
        super().begin(phase)


@trainer
class LoadsNothing(Plain):
    def load_state_dict(self, state):
        pass


@trainer
class KeepsGraphs(Plain):
    def step(self, batch, clock):
        return super().step(batch, clock) | {"logit": self.parts.critic(batch.real).mean()}


# Augmentations


def augment(factory):
    return component("augment", Options)(factory)


@augment
class Brightness(Augmentation):
    """Without a fault."""

    def __init__(self, options):
        super().__init__()

    def draw(self, count, device):
        return torch.rand(count, 1, 1, 1, device=device)

    def apply_draw(self, pictures, drawn):
        return pictures * (0.5 + drawn.to(pictures.dtype))


@augment
class DrawsTwice(Brightness):
    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, self.draw(len(pictures), pictures.device))


@augment
class Crops(Brightness):
    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, drawn)[..., 1:, 1:]


@augment
class Learns(Brightness):
    """What it learns is in no buffer."""

    strength = 0.0

    def observe(self, real_logits):
        self.strength += 0.01

    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, self.strength * drawn)


@augment
class InFp32(Brightness):
    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, drawn).to(torch.promote_types(pictures.dtype, torch.float32))


@augment
class OneForAll(Brightness):
    """Divides by the batch."""

    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, drawn)[: max(1, len(pictures))] * (4 / len(pictures))


@augment
class CutOff(Brightness):
    def apply_draw(self, pictures, drawn):
        return super().apply_draw(pictures, drawn).detach() + 0 * pictures


@augment
class OwnDraws(Brightness):
    def __init__(self, options):
        super().__init__(options)
        self.random = np.random.default_rng(0)

    def draw(self, count, device):
        return torch.from_numpy(self.random.random((count, 1, 1, 1), np.float32)).to(device)


@augment
class LooksAtLogits(Brightness):
    def observe(self, real_logits):
        if real_logits.mean() > 1e9:
            raise RuntimeError


@augment
class PaintsOver(Brightness):
    def apply_draw(self, pictures, drawn):
        pictures.detach().mul_(0.5)
        return super().apply_draw(pictures, drawn)


# Sources


def source(factory):
    return component("source", Options)(factory)


@source
class Negative(Source):
    """Without a fault."""

    def __init__(self, options):
        super().__init__()

    def forward(self, pictures):
        return -pictures


@source
class OneChannel(Negative):
    def forward(self, pictures):
        return pictures.mean(dim=1, keepdim=True)


@source
class AsBytes(Negative):
    def forward(self, pictures):
        return (pictures + 1) * 127.5


@source
class Inverts(Negative):
    def forward(self, pictures):
        return pictures.neg_()


@source
class Grainy(Negative):
    def forward(self, pictures):
        return (pictures + 0.1 * torch.randn_like(pictures)).clamp(-1, 1)


@source
class Counts(Negative):
    def __init__(self, options):
        super().__init__(options)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, pictures):
        self.calls += 1
        return -pictures


@source
class EvensOut(Negative):
    def forward(self, pictures):
        return pictures / pictures.abs().max()


@source
class Blank(Negative):
    def forward(self, pictures):
        return torch.ones_like(pictures)


@source
class LooksFirst(Negative):
    def forward(self, pictures):
        return -pictures if pictures.abs().sum() > -1 else pictures


# Data sets


class PathOptions(DataOptions):
    """Pictures from a file."""

    path: str = ""
    """The file."""


def data(factory):
    return component("data", DataOptions)(factory)


def noise(options, count=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *options.size, 3), dtype=np.uint8)


def named(options):
    return f"noise {options.size}"


@data
def sound_data(options, workshop):
    return Dataset(noise(options), named(options))


@data
def one_fingerprint(options, workshop):
    return Dataset(noise(options), "noise")


@data
def other_each_time(options, workshop):
    return Dataset(np.random.randint(0, 256, (4, *options.size, 3), dtype=np.uint8), named(options))  # noqa: NPY002


@data
def follows_the_workers(options, workshop):
    return Dataset(noise(options, seed=workshop.workers), named(options))


@data
def floats(options, workshop):
    return Dataset((noise(options) / 255).astype(np.float32), named(options))


@data
def too_small(options, workshop):
    return Dataset(noise(options)[:, 1:], named(options))


def repainted(options, style=None, names=("a", "b", "c", "d"), **more):
    contents = noise(options)[:, : 3 * options.size[0] // 4]  # of another shape than the box
    mask = np.full(contents.shape[1:3], 255, np.uint8)
    style = style or StylePicture(contents[0, :9], 2.0, mask, mask[:9])
    repainting = Repainting((style,), names, **{"finish": opaque, "before": Neighbour(*contents[:2]), **more})
    return Dataset(contents, named(options), repainting=repainting)


def opaque(made, first):
    return torch.cat([made, torch.ones_like(made[:, :1])], dim=1)


@data
def sound_contents(options, workshop):
    return repainted(options)


@data
def out_of_the_box(options, workshop):
    contents = np.repeat(noise(options), 2, axis=2)
    return Dataset(contents, named(options), repainting=Repainting((StylePicture(contents[0]),), ("a", "b", "c", "d")))


@data
def two_of_one_name(options, workshop):
    return repainted(options, names=("a", "b", "b", "c"))


@data
def name_is_a_path(options, workshop):
    return repainted(options, names=("a", "b/c", "d", "e"))


@data
def mask_on_nothing(options, workshop):
    picture = noise(options)[0]
    return repainted(options, StylePicture(picture, where=picture[:, :, 0]))


@data
def mask_of_floats(options, workshop):
    picture = noise(options)[0]
    return repainted(options, StylePicture(picture, part=np.ones(picture.shape[:2])))


@data
def weighs_nothing(options, workshop):
    return repainted(options, StylePicture(noise(options)[0], weight=0))


@data
def neighbour_of_another_size(options, workshop):
    return repainted(options, before=Neighbour(*noise(options)[:2]))


@data
def finished_in_bytes(options, workshop):
    return repainted(options, finish=lambda made, first: (made + 1) * 127.5)


@data
def finished_as_the_first(options, workshop):
    def finish(made, first):
        return made * torch.linspace(0, 1, 4)[: len(made), None, None, None]

    return repainted(options, finish=finish)


@component("data", PathOptions)
def takes_any_path(options, workshop):
    return Dataset(noise(options), named(options))


@component("data", PathOptions)
def raises_what_comes(options, workshop):
    if options.path:
        raise KeyError(options.path)
    return Dataset(noise(options), named(options))


@component("data", PathOptions)
def refuses_well(options, workshop):
    if options.path:
        raise DataError("there is no such file", place=options.path, remedy="Name another.")
    return Dataset(noise(options), named(options))


# Features


def features(factory):
    return component("features", Options)(factory)


@features
class SoundFeatures(Features):
    def __init__(self, options):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)

    def forward(self, pictures):
        shallow = relu(self.first(pictures))
        return shallow, relu(self.second(shallow))


@features
class SoundLayers(SoundFeatures):
    layers, style_layers, content_layers = ("shallow", "deep"), ("shallow", "deep"), ("deep",)
    strides, reach_px = (2, 4), 3


@features
class NamesTooFew(SoundLayers):
    layers, style_layers, strides = ("deep",), (), ()


@features
class NamesOneTwice(SoundLayers):
    layers, style_layers = ("deep", "deep"), ()


@features
class NamesWhatIsNotThere(SoundLayers):
    content_layers = ("deepest",)


@features
class NamesNothing(SoundLayers):
    layers = ()


@features
class TellsOneStride(SoundLayers):
    strides = (4,)


@features
class FinerThanTold(SoundLayers):
    strides = (4, 8)


@features
class ShortSighted(SoundLayers):
    reach_px = 0


@features
class BeginsAnywhere(SoundLayers):
    def forward(self, pictures):
        return super().forward(pictures - pictures.mean(dim=(2, 3), keepdim=True))


@features
class Drops(SoundFeatures):
    def forward(self, pictures):
        return super().forward(dropout(pictures, 0.5))


@features
class NoGradient(SoundFeatures):
    @torch.no_grad()
    def forward(self, pictures):
        return super().forward(pictures)


@features
class DeepFirst(SoundFeatures):
    def forward(self, pictures):
        return super().forward(pictures)[::-1]


@features
class Coarse(SoundFeatures):
    def forward(self, pictures):
        shallow = self.first(pictures)
        return (relu(shallow + shallow / (1000.5 * shallow - 1000 * shallow)),)


@features
class Checks(SoundFeatures):
    def forward(self, pictures):
        if pictures.abs().max() > 2:
            raise DataError("these are no pictures", remedy="Scale them to [-1, 1].")
        return super().forward(pictures)


@features
class EmbedsTheBatch(SoundFeatures):
    def embed(self, pictures):
        vectors = super().embed(pictures)
        return vectors - vectors.mean()


# Metrics


def metric(factory):
    return component("metric", Options)(factory)


@metric
class SoundMetric:
    def __init__(self, options):
        pass

    def measure(self, fake, real, features):
        return Measured({"distance": self.distance(fake.float(), real.float()).item()})

    def distance(self, fake, real):
        return (fake.mean(dim=0) - real.mean(dim=0)).abs().mean()


@metric
class NotANumber(SoundMetric):
    def distance(self, fake, real):
        return super().distance(fake, real) / 0 - super().distance(fake, real) / 0


@metric
class OwnDice(SoundMetric):
    dice = itertools.cycle([1, 2])

    def distance(self, fake, real):
        return super().distance(fake, real) * next(self.dice)


@metric
class WantsSquares(SoundMetric):
    def distance(self, fake, real):
        if fake.shape[2] != fake.shape[3]:
            raise DataError("no square")
        return super().distance(fake, real)


@metric
class UpsideDown(SoundMetric):
    def distance(self, fake, real):
        return -super().distance(fake, real)


@metric
class Blackens(SoundMetric):
    def measure(self, fake, real, features):
        fake.zero_()
        return super().measure(fake, real, features)


# Options


class Undocumented(LossOptions):
    """No word on what it does."""

    strength: float = 1.0


class BadDefault(LossOptions):
    """Its default is out of its bounds."""

    strength: float = Field(2.0, ge=0, le=1)
    """How much."""


class Bends(LossOptions):
    """Bends a value into its bounds, so that a recipe's slip goes unseen."""

    strength: float = Field(0.5, ge=0, le=1)
    """How much."""

    @field_validator("strength", mode="before")
    @classmethod
    def _bent(cls, value: Any) -> float:
        return min(1.0, max(0.0, float(value)))


class OnlyTold(LossOptions):
    """Its bounds stand in the schema and are not looked at."""

    layers: int = Field(2, json_schema_extra={"minimum": 1})
    """How many."""


class Loose(LossOptions):
    """Takes anything."""

    strength: Any = 1.0
    """How much."""


class Good(LossOptions):
    """Nothing wrong."""

    strength: float = Field(0.5, gt=0, lt=1)
    """How much."""
    words: list[Literal["a", "b"]] = Field(["a"], min_length=1, max_length=3)
    """Which."""
    size: int | tuple[int, int] = 4
    """How large."""


@loss(generator=("fake_logits",))
class SoundLoss(Judge):
    def generator(self, outputs: Outputs):
        return softplus(-outputs.fake_logits).mean()


for _options in (Undocumented, BadDefault, Bends, OnlyTold, Loose, Good):
    COMPONENTS["loss"].append(
        Component(kind="loss", name=named_after(_options), summary="A sound loss", options=_options,
                  factory=f"{__name__}:SoundLoss", needs={"generator": ("fake_logits",)})
    )  # fmt: skip


# Paths


def path(factory):
    return component("path", VideoOptions)(factory)


@path
class SoundPath(Path):
    """Past the keyframes, in a loop."""

    def __init__(self, options):
        pass

    def weights(self, keyframes, positions):
        turns = 2 * torch.pi * (positions.double()[:, None] - Path.knots(self, len(keyframes)))
        weights = torch.exp(turns.cos() * len(keyframes))
        return weights / sums(weights)

    def __call__(self, space, keyframes, positions):
        return combine(space, keyframes, self.weights(keyframes, positions))


@path
class SoundOpenPath(SoundPath):
    """From the first keyframe to the second, and no further."""

    loops, fewest = False, 2

    def knots(self, count):
        return torch.linspace(0, 1, count, dtype=torch.float64)

    def weights(self, keyframes, positions):
        share = positions.double()[:, None]
        return torch.cat([1 - share, share, torch.zeros(len(share), len(keyframes) - 2).double()], 1)


@path
class Around(SoundPath):
    """Has no meaning where latents have no origin."""

    def __call__(self, space, keyframes, positions):
        require_round(space, "around")
        return super().__call__(space, keyframes, positions)


@path
class KnotsFromOne(SoundPath):
    def knots(self, count):
        return torch.arange(1, count + 1, dtype=torch.float64) / count


@path
class KnotsOfSome(SoundPath):
    def knots(self, count):
        return super().knots(count)[:3]


@path
class NeedsNothing(SoundPath):
    fewest = 0


@path
class SaysMaybe(SoundPath):
    loops = "maybe"


@path
class Flattens(SoundPath):
    def __call__(self, space, keyframes, positions):
        return super().__call__(space, keyframes, positions).flatten(1)


@path
class ScalesInPlace(SoundPath):
    def __call__(self, space, keyframes, positions):
        made = super().__call__(space, keyframes, positions)
        keyframes *= 1.5
        return made


@path
class Jitters(SoundPath):
    def weights(self, keyframes, positions):
        return torch.rand(len(positions), len(keyframes)).double()


@path
class GoesNowhere(SoundPath):
    def __call__(self, space, keyframes, positions):
        still = torch.full_like(keyframes[:1], space.shape[-1] ** 0.5)
        return (
            (still / norms(still.flatten(1).double()).view(-1, *[1] * len(space.shape)))
            .expand(len(positions), *space.shape)
            .to(keyframes)
        )


@path
class Centres(SoundPath):
    def __call__(self, space, keyframes, positions):
        made = super().__call__(space, keyframes, positions)
        return made - made.mean(0) if len(made) else made


@path
class PlainLines(SoundPath):
    def __call__(self, space, keyframes, positions):
        weights = self.weights(keyframes, positions)
        flat = (weights[:, :, None] * keyframes.flatten(1).double()).movedim(1, 2)
        return sums(flat.flatten(0, 1)).view(-1, *space.shape).to(keyframes)


@path
class Slides(SoundPath):
    def __call__(self, space, keyframes, positions):
        weights = self.weights(keyframes, positions)
        return combine(space, keyframes, weights / norms(weights))


@path
class NeverReturns(SoundPath):
    def weights(self, keyframes, positions):
        return super().weights(keyframes, positions * 0.9)


@path
class OpenAtTheSeam(SoundPath):
    def weights(self, keyframes, positions):
        there_and_back = 1 - (2 * positions.double() - 1).square()  # back to where it began, the way that it came
        return super().weights(keyframes, 0.2 + there_and_back / 2)


@path
class Hops(SoundPath):
    def weights(self, keyframes, positions):
        return super().weights(keyframes, positions + 0.2 * ((positions * 4) % 4 >= 2))


@path
class RefusesAll(SoundPath):
    def __call__(self, space, keyframes, positions):
        raise RecipeError("no", remedy="Choose another.")


@path
class RefusesAtALoss(Around):
    def __call__(self, space, keyframes, positions):
        if space.prior == "sphere":
            raise RecipeError("not on a sphere")
        return super().__call__(space, keyframes, positions)


# Executors


class TwoOptions(Options):
    """Two processes."""

    workers: int = 2
    """How many."""
    threads: int = 1
    """Of each."""


def executor(factory):
    return component("executor", TwoOptions)(factory)


class Changed(Local):
    """One that changes what it is told before it hands it on."""

    def render(self, job, tasks):
        for outcome in super().render(job, tasks):
            yield from self.changed(outcome)


@executor
class Forgets(Changed):
    def changed(self, outcome):
        return [outcome] if outcome.task.piece != 3 else []


@executor
class Stutters(Changed):
    def changed(self, outcome):
        return [outcome, outcome]


@executor
class Pretends(Local):
    def render(self, job, tasks):
        yield from map(Outcome, tasks)


@executor
class Invents(Local):
    def render(self, job, tasks):
        yield from super().render(job, tasks)
        if not tasks:
            yield Outcome(Task("none", 0))


@executor
class GivesUpAtOnce(Local):
    """Each task has a process, whose death is the task's fault."""

    def render(self, job, tasks):
        for task in tasks:
            with Popen(
                [sys.executable, "-m", "artgen.walk.worker"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            ) as process:
                process.stdin.write(f"{job.to_json()}\n{json.dumps([task])}\n".encode())
                process.stdin.flush()
                answers = [process.stdout.readline() for _ in range(2)]
            yield Outcome.from_json(json.loads(answers[1])) if answers[1] else Outcome(task, DataError("it died"))


@executor
class NamesNoPiece(Changed):
    def changed(self, outcome):
        return [Outcome(outcome.task, outcome.fault and DataError("a process died", remedy="Try again."))]


@executor
class LosesTheClass(Changed):
    def changed(self, outcome):
        return [Outcome(outcome.task, outcome.fault and ArtgenError(str(outcome.fault)))]


@executor
class HidesBugs(Changed):
    def changed(self, outcome):
        return [Outcome(outcome.task, outcome.fault and ArtgenError("something went wrong"))]


@executor
class BlamesAll(Local):
    def render(self, job, tasks):
        outcomes = [*super().render(job, tasks)]
        fault = next((outcome.fault for outcome in outcomes if outcome.fault), None)
        yield from (Outcome(outcome.task, outcome.fault or fault) for outcome in outcomes)


@executor
class BearsFullDisks(Local):
    def render(self, job, tasks):
        told = set()
        try:
            for outcome in super().render(job, tasks):
                told.add(outcome.task)
                yield outcome
        except ResourceError as error:
            yield from (Outcome(task, error) for task in tasks if task not in told)


LEFT = []
"""What somebody began, and did not end."""


@executor
class LeavesThemRunning(Local):
    def render(self, job, tasks):
        LEFT.append(super().render(job, tasks))
        yield from iter(LEFT[-1].__next__, None)


@hookimpl
def artgen_generators():
    return COMPONENTS["generator"]


@hookimpl
def artgen_critics():
    return COMPONENTS["critic"]


@hookimpl
def artgen_losses():
    return COMPONENTS["loss"]


@hookimpl
def artgen_trainers():
    return COMPONENTS["trainer"]


@hookimpl
def artgen_augmentations():
    return COMPONENTS["augment"]


@hookimpl
def artgen_datasets():
    return COMPONENTS["data"]


@hookimpl
def artgen_sources():
    return COMPONENTS["source"]


@hookimpl
def artgen_features():
    return COMPONENTS["features"]


@hookimpl
def artgen_metrics():
    return COMPONENTS["metric"]


@hookimpl
def artgen_paths():
    return COMPONENTS["path"]


@hookimpl
def artgen_executors():
    return COMPONENTS["executor"]
