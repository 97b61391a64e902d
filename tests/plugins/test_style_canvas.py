"""The canvas and its trainer: how a picture begins, grows, moves, stops and goes on."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from artgen import Component, LossOptions, RecipeError, hookimpl
from artgen.data.dataset import Dataset, Repainting, StylePicture
from artgen.data.images import read
from artgen.plugins import load_plugins
from artgen.recipe import load_recipe
from artgen.rng import drawing
from artgen.run import checkpoint
from artgen.run.build import build, fitted, prepare_data
from artgen.run.loop import take_step
from artgen.run.opening import open_run
from artgen.testing.runs import CPU, load, train, workshop
from artgen.training import Batch, Clock, Outputs, Size, Style
from artgen_style import CanvasOptions
from artgen_style.canvas import Canvas

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = """
seed = 7
[data.pictures]
resolution = 32
[generator.canvas]
[features.wavelets]
octaves = 2
[losses.covariance]
[losses.laplacian]
[losses.patches]
directions = 8
positions = 64
[trainer.canvas]
[[phase]]
from = 16
to = 32
per_doubling = 2
images = [4, 3, 3]
batch = 1
[run]
precision = "fp32"
average_half_life_images = 1
"""
LBFGS = ('trainer.canvas.optimizer="lbfgs"',)
ADAM_AND_LBFGS = pytest.mark.parametrize("overrides", [(), LBFGS], ids=["adam", "lbfgs"])


@pytest.fixture
def job(tmp_path):
    """`job(*overrides, plugins=()) -> job`, before its first phase."""

    def make(*overrides, plugins=()):
        recipe = load(tmp_path, RECIPE, overrides, plugins)
        dataset = prepare_data(recipe, workshop(tmp_path))
        return build(fitted(recipe, dataset), dataset, CPU, "fp32")

    return make


def steps(job, count, clock=None, phase=0):
    """Take so many steps of a phase that has begun; the clock, and what each of them told."""
    clock, told = clock or Clock(total_images=job.total_images), []
    for _ in range(count):
        clock, scalars = take_step(job, job.phases[phase], clock)
        told.append(scalars)
    return clock, told


def pixels(job):
    return job.generator.pixels.detach().clone()


# How it begins


def batch_of(count=3, styles=2, size=(12, 16), start=None):
    draw = torch.Generator().manual_seed(5)
    pictures = torch.rand(count, 3, *size, generator=draw) * 2 - 1
    shown = tuple(Style(0.2 * index + 0.1 * torch.randn(1, 3, 40, 50, generator=draw)) for index in range(styles))
    return Batch(pictures, styles=shown, start=start)


def begun(start, batch, seed=0):
    canvas = Canvas(CanvasOptions(start=start), Size(*batch.real.shape[2:]))
    with drawing(seed, "start"):
        canvas.start(batch)
    return canvas.sample(None).detach()


def test_it_begins_with_a_copy_of_the_contents():
    batch = batch_of()
    canvas = Canvas(CanvasOptions(), Size(12, 16))
    canvas.start(batch)
    assert torch.equal(canvas.pixels, batch.real)
    with torch.no_grad():
        canvas.pixels.add_(1)
    assert batch.real.max() <= 1


@pytest.mark.parametrize("start", ["noise", "style"])
def test_all_frames_of_a_film_begin_with_one_noise(start):
    """Frames that begin with noise of their own would flicker from the first step on."""
    made = begun(start, batch_of())
    assert made.shape == (3, 3, 12, 16)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert made[0].std() > 0.05
    assert torch.equal(made, begun(start, batch_of()))
    assert not torch.equal(made, begun(start, batch_of(), seed=1))


def test_noise_of_the_style_has_its_colours():
    batch = batch_of(count=1, styles=1, size=(64, 64))
    palette = torch.tensor([-0.5, 0.0, 0.4]).view(1, 3, 1, 1)
    batch = replace(batch, styles=(Style(palette + 0.1 * torch.randn(1, 3, 90, 90)),))
    made = begun("style", batch)
    torch.testing.assert_close(made.mean(dim=(0, 2, 3)), palette.flatten(), atol=0.02, rtol=0)
    torch.testing.assert_close(made.std(dim=(0, 2, 3)), torch.full((3,), 0.1), atol=0.02, rtol=0)


def test_a_picture_of_the_data_goes_before_what_the_generator_begins_with():
    start = torch.rand(1, 3, 12, 16) * 2 - 1
    assert torch.equal(begun("noise", batch_of(start=start)), start.expand(3, -1, -1, -1))


# Sizes


def test_a_phase_resizes_it_smoothly_within_its_range():
    canvas = Canvas(CanvasOptions(), Size(12, 16))
    canvas.start(replace(batch_of(), real=torch.sign(batch_of().real)))  # bicubic overshoots at such edges
    before = canvas.pixels
    canvas.begin(Size(12, 16))
    assert canvas.pixels is before
    canvas.begin(Size(17, 23))
    assert canvas.pixels.shape == (3, 3, 17, 23)
    assert -1 <= canvas.pixels.min() <= canvas.pixels.max() <= 1
    even = Canvas(CanvasOptions(), Size(4, 4))
    torch.nn.init.constant_(even.pixels, 0.3)
    even.begin(Size(9, 7))
    torch.testing.assert_close(even.pixels.detach(), torch.full((1, 3, 9, 7), 0.3))


def test_a_state_brings_the_number_and_the_shape_of_its_pictures():
    """Who opens a run has not seen its contents."""
    used = Canvas(CanvasOptions(), Size(12, 16))
    used.start(batch_of())
    fresh = Canvas(CanvasOptions(), Size(32, 32))
    fresh.load_state_dict(used.state_dict())
    assert torch.equal(fresh.sample(None), used.sample(None))
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh.load_state_dict({"pixels": torch.zeros(4)})


def test_pictures_keep_their_shape_within_the_sizes_of_phases(job):
    there = job("data.pictures.resolution=[32, 32]", "phase=[{from=16, to=32, per_doubling=2, images=2, batch=1}]")
    assert [phase.size for phase in there.phases] == [Size(16, 16), Size(23, 23), Size(32, 32)]
    shaped = job()  # the built-in picture has a shape of its own
    assert [phase.size for phase in shaped.phases] == [Size(12, 16), Size(17, 23), Size(24, 32)]


def contents(height, width, count=1, **more):
    draw = np.random.default_rng(3)
    style = StylePicture(draw.integers(0, 256, (20, 20, 3), np.uint8))
    names = tuple(f"{index}" for index in range(count))
    real = draw.integers(0, 256, (count, height, width, 3), np.uint8)
    return Dataset(real, "contents", repainting=Repainting((style,), names, **more))


def test_pictures_too_narrow_for_a_phase_are_refused_before_anything_else(tmp_path):
    recipe = load(tmp_path, RECIPE)
    with pytest.raises(RecipeError, match=r"32x6 px would be 16x3 px in phase 1") as caught:
        fitted(recipe, contents(6, 32))
    assert "4 px" in caught.value.remedy
    fitted(recipe, contents(8, 32))


def test_lengths_are_those_of_one_picture_and_never_nothing(tmp_path):
    recipe = load(tmp_path, RECIPE, ["phase=[{images=100, batch=64}, {images=3, batch=1}]", "run.preview_images=7"])
    adapted = fitted(recipe, contents(24, 32, 5))
    assert [(phase.images, phase.batch) for phase in adapted.phases] == [(2 * 5, 5), (3 * 5, 5)]
    assert adapted.run.preview_images == 35
    assert adapted.fingerprint == recipe.fingerprint


# How it moves


@ADAM_AND_LBFGS
def test_steps_lower_the_losses(job, overrides):
    there = job(*overrides, "phase=[{images=12, batch=1}]", "losses.patches.weight=0", 'generator.canvas.start="style"')
    there.begin(there.phases[0])
    _, told = steps(there, 12)
    totals = [float(each["generator/covariance"] + each["generator/laplacian"]) for each in told]
    assert totals[-1] < 0.7 * totals[0]
    assert all(math.isfinite(total) for total in totals)


def test_no_step_of_l_bfgs_raises_the_losses(job):
    there = job(*LBFGS, "phase=[{images=12, batch=1}]", "losses.patches.weight=0")
    there.begin(there.phases[0])
    _, told = steps(there, 12)
    totals = [float(each["generator/covariance"] + each["generator/laplacian"]) for each in told]
    assert all(after < before for before, after in pairwise(totals)), totals
    assert there.trainer.optimizer.state_dict()["state"][0]["n_iter"] == 12


class Drawn:
    """A loss that has another target at every draw, and notes what it drew."""

    drawn: list[float] = []  # noqa: RUF012  # a loss is made anew for every job

    def __init__(self, options):
        pass

    def generator(self, outputs: Outputs) -> torch.Tensor:
        self.drawn.append(float(target := torch.rand(())))
        return (outputs.made - target).square().sum()


@hookimpl
def artgen_losses():
    return [
        Component(kind="loss", name=name, summary="For tests", options=LossOptions, factory=f"{__name__}:{made}",
                  needs={"generator": ("made",)})
        for name, made in (("drawn", "Drawn"), ("spoilt", "Spoilt"))
    ]  # fmt: skip


ARTGEN_API = 1
HERE = sys.modules[__name__]


def test_a_line_search_of_l_bfgs_compares_values_of_one_draw(job):
    there = job(*LBFGS, "losses={drawn={}}", plugins=[HERE])
    there.begin(there.phases[0])
    clock = Clock(total_images=there.total_images)
    seen = []
    for _ in range(3):
        Drawn.drawn.clear()
        clock, _ = steps(there, 1, clock)
        assert len(Drawn.drawn) > 1
        assert len(set(Drawn.drawn)) == 1
        seen.append(Drawn.drawn[0])
    assert len(set(seen)) == 3


def test_pixels_stay_within_their_range_whatever_the_rate(job):
    there = job("trainer.canvas.learning_rate=5.0")
    there.begin(there.phases[0])
    for _ in range(3):
        steps(there, 1)
        assert -1 <= pixels(there).min() <= pixels(there).max() <= 1
    assert (pixels(there).abs() == 1).any()


def rates(job, phase, count):
    """The rate of each step of a phase that has begun."""
    found, clock = [], Clock(total_images=job.total_images, phase=phase)
    for _ in range(count):
        clock, _ = steps(job, 1, clock, phase)
        found.append(job.trainer.optimizer.param_groups[0]["lr"])
    return found


def test_the_rate_falls_by_half_a_cosine_within_each_phase(job):
    there = job(
        "trainer.canvas.learning_rate=0.1",
        "trainer.canvas.last_rate_share=0.2",
        "phase=[{images=4, batch=1, resolution=16}, {images=8, batch=1, learning_rate_factor=0.5}]",
    )
    for phase, (count, factor) in enumerate([(4, 1.0), (8, 0.5)]):
        there.begin(there.phases[phase])
        wanted = [0.1 * factor * (0.2 + 0.8 * (1 + math.cos(math.pi * step / count)) / 2) for step in range(count)]
        assert rates(there, phase, count) == pytest.approx(wanted)
    assert wanted[0] == pytest.approx(0.05)
    assert wanted[-1] < 0.02


@ADAM_AND_LBFGS
@pytest.mark.parametrize("start", ["content", "noise"])
def test_where_all_is_grey_only_lightness_is_painted(job, overrides, start):
    """Each colour is compared relative to the style's: of a grey style's, which has none, nothing else would count."""
    grey = ('data.pictures.colours="luminance"', f'generator.canvas.start="{start}"', "losses.patches.weight=0")
    there = job(*overrides, *grey, "phase=[{images=12, batch=1}]")
    there.begin(there.phases[0])
    before = pixels(there)
    _, told = steps(there, 12)
    after = pixels(there)
    torch.testing.assert_close(after, after[:, :1].expand_as(after), atol=1e-5, rtol=0)
    assert (after - before).abs().mean() > 0.05
    assert float(told[-1]["generator/covariance"]) < 0.7 * float(told[0]["generator/covariance"])


# What it keeps at a change of size


def moments(job):
    return job.trainer.optimizer.state.get(job.generator.pixels, {})


def test_moments_of_adam_are_taken_over_enlarged(job):
    there = job()
    there.begin(there.phases[0])
    steps(there, 4)
    before = {name: value.clone() for name, value in moments(there).items()}
    there.begin(there.phases[1])
    after = moments(there)
    assert float(after["step"]) == 4
    for name in ("exp_avg", "exp_avg_sq"):
        assert after[name].shape == there.generator.pixels.shape == (1, 3, 17, 23)
        assert after[name].stride() == there.generator.pixels.stride()  # a fused Adam goes through memory
        torch.testing.assert_close(
            after[name].mean(), before[name].mean(), rtol=0.3, atol=0.1 * float(before[name].std())
        )
    assert (after["exp_avg_sq"] >= 0).all()
    steps(there, 1, Clock(4, 4, phase=1, total_images=there.total_images), phase=1)
    assert float(moments(there)["step"]) == 5


def test_without_a_warm_start_every_size_begins_with_fresh_moments(job):
    there = job("trainer.canvas.warm_start=false")
    there.begin(there.phases[0])
    steps(there, 4)
    there.begin(there.phases[1])
    assert not moments(there)


def test_a_phase_of_the_same_size_goes_on_with_the_moments(job):
    there = job("phase=[{images=4, batch=1}, {images=4, batch=1}]", "trainer.canvas.warm_start=false")
    there.begin(there.phases[0])
    steps(there, 2)
    there.begin(there.phases[1])
    assert float(moments(there)["step"]) == 2


def test_a_fused_step_has_the_moments_of_its_own_pixels(job):
    """Adam by hand, from the moments that were taken over."""
    there = job("losses.patches.weight=0")
    there.begin(there.phases[0])
    steps(there, 4)
    there.begin(there.phases[1])
    x, state = pixels(there), {name: value.clone() for name, value in moments(there).items()}
    steps(there, 1, Clock(4, 4, phase=1, total_images=there.total_images), phase=1)
    gradient = there.generator.pixels.grad
    first = 0.9 * state["exp_avg"] + 0.1 * gradient
    second = 0.99 * state["exp_avg_sq"] + 0.01 * gradient.square()
    way = first / (1 - 0.9**5) / ((second / (1 - 0.99**5)).sqrt() + 1e-8)
    torch.testing.assert_close(pixels(there), (x - 0.04 * way).clamp(-1, 1), atol=1e-6, rtol=1e-5)


# What a seed decides, and a stop does not


def test_one_seed_gives_one_picture_and_another_seed_another(tmp_path):
    made = {}
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        (tmp_path / name).mkdir()
        made[name] = train(tmp_path / name, RECIPE, ['generator.canvas.start="noise"', f"seed={seed}"])
    assert made["one"] == made["again"]
    assert made["one"] != made["other"]


@ADAM_AND_LBFGS
@pytest.mark.parametrize("data", ["pictures", "film"])
def test_a_run_stopped_anywhere_in_a_pyramid_ends_in_the_same_bytes(tmp_path, overrides, data):
    if data == "film":
        overrides = (*overrides, "losses.temporal={}", "losses.sliced-wasserstein={}")
        recipe = RECIPE.replace("[data.pictures]", "[data.film]\nframes = 2").replace("patches", "histogram", 1)
        recipe = recipe.replace("directions = 8\n", "")
    else:
        recipe = RECIPE
    ends = {}
    for stop in (None, 2, 4, 5, 9):  # in the first level, at its end, after the change, in the last one
        folder = tmp_path / f"{stop}"
        folder.mkdir()
        ends[stop] = train(folder, recipe, overrides, stop_after_steps=stop)
    assert all(end == ends[None] for end in ends.values())


# What is not finite


class Spoilt:
    """A loss that is no number at its third call."""

    calls = 0

    def __init__(self, options):
        pass

    def generator(self, outputs: Outputs) -> torch.Tensor:
        type(self).calls += 1
        return outputs.made.square().sum() * (math.nan if self.calls == 3 else 1.0)


@ADAM_AND_LBFGS
def test_a_loss_that_is_no_number_is_refused_and_leaves_the_picture_whole(job, overrides):
    there = job(*overrides, "losses={spoilt={}}", plugins=[HERE])
    there.begin(there.phases[0])
    Spoilt.calls, clock, refusals = 0, Clock(total_images=there.total_images), []
    for _ in range(4):
        before = pixels(there)
        refused = float(there.update.refused)
        clock, told = steps(there, 1, clock)
        assert pixels(there).isfinite().all()
        if float(there.update.refused) > refused:
            assert torch.equal(pixels(there), before)
            assert not math.isfinite(float(told[0]["generator/gradient_norm"]))
            refusals.append(clock.steps)
        else:
            assert not torch.equal(pixels(there), before)
    assert len(refusals) == 1


# What does not fit together


def test_losses_on_features_ask_for_features(tmp_path):
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, RECIPE.replace("[features.wavelets]\noctaves = 2\n", ""))
    [fault] = caught.value.faults
    assert "'covariance'" in fault.cause
    assert "[features.NAME]" in fault.remedy
    assert "wavelets" in fault.remedy
    (tmp_path / "pixels.toml").write_text(RECIPE.replace("[features.wavelets]\noctaves = 2\n[losses.covariance]\n", ""))
    load_recipe(tmp_path / "pixels.toml")  # the others look at pixels


def test_the_trainer_wants_a_canvas(tmp_path):
    other = RECIPE.replace("[generator.canvas]", "[generator.dcgan]\n[critic]")
    recipe = load(tmp_path, other, ["phase=[{images=4, batch=1}]"])
    dataset = prepare_data(recipe, workshop(tmp_path))
    with pytest.raises(RecipeError, match=r"this generator is none\s+Choose \[generator.canvas\]"):
        build(fitted(recipe, dataset), dataset, CPU, "fp32")


# An opened run


def test_a_run_is_opened_with_its_finished_pictures(tmp_path):
    train(tmp_path, RECIPE, ['data.pictures.colours="luminance"'])
    run = open_run(tmp_path / "run", CPU, load_plugins(), workshop(tmp_path))
    assert run.size == Size(24, 32)
    made = run.sample(16, 0)
    assert made.shape == (1, 3, 24, 32)
    assert np.array_equal(made[0].permute(1, 2, 0).numpy(), read(tmp_path / "run" / "pictures" / "landscape.png"))
    painted = checkpoint.newest(tmp_path / "run" / "checkpoints").parts["average"]["pixels"]
    assert not np.allclose(made[0].numpy(), (painted[0] + 1) * 127.5, atol=3)  # grey, before it gets its colours


def test_frames_know_their_neighbours(tmp_path):
    """A frame that moves on its own would be a film that flickers: motion compares each with the next."""
    recipe = load(tmp_path, RECIPE.replace("[data.pictures]", "[data.film]"), ["losses.temporal={}"])
    for loops, pairs in ((False, 2), (True, 3)):
        dataset = contents(24, 32, 3, frames_per_second=Fraction(12), loops=loops)
        there = build(fitted(recipe, dataset), dataset, CPU, "fp32")
        there.begin(there.phases[0])
        steps(there, 1)
        motion = there.trainer._motion(there.generator.pixels)
        assert len(motion.expected) == len(motion.shown) == len(motion.trusted) == pairs
