"""Compiled networks: once for each form they take, to the same result, and eager where that fails, in the open."""

from __future__ import annotations

import copy
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from artgen.data.dataset import Workshop
from artgen.device import choose_device
from artgen.errors import StoppedError
from artgen.recipe import load_recipe
from artgen.run.build import build, prepare_data
from artgen.run.compiling import Compilation, warm_up
from artgen.run.loop import take_step
from artgen.run.trial import measure
from artgen.run.update import GuardedUpdate
from artgen.training import Clock
from tests.families.drive import RECIPES, families

PGGAN = RECIPES["growing"].replace("[generator.growing]", "[generator.pggan]\nlatent = 4\nwidth = 8\nwidest = 8")
MSGGAN = (
    RECIPES["pyramid"]
    .replace("[generator.pyramid]", "[generator.msggan]\nlatent = 4\nwidth = 8\nwidest = 8")
    .replace("[losses.non-saturating]", "[losses.relativistic-hinge]")
)
FAMILIES = RECIPES | {"pggan": PGGAN, "msggan": MSGGAN}

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch looks at the gradient of whatever it compiles for, and warns itself.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]
CPU = choose_device("cpu")


@contextmanager
def quiet(*_):
    yield lambda *_: None


@pytest.fixture
def prepared(tmp_path):
    """`prepared(family, compile) -> recipe, dataset`."""

    def prepared(family, compiled):
        (tmp_path / "toy.toml").write_text(FAMILIES[family])
        recipe = load_recipe(
            tmp_path / "toy.toml", overrides=[f"run.compile={compiled}", "run.precision=fp32"], plugins=families()
        )
        return recipe, prepare_data(recipe, Workshop(tmp_path, quiet, 1))

    yield prepared
    torch.compiler.reset()


@pytest.fixture
def job(prepared):
    """`job(family, compile)`: ready to begin."""
    return lambda family, compiled="true": build(*prepared(family, compiled), CPU, "fp32", compiled=compiled == "true")


@pytest.fixture
def backend(monkeypatch):
    """`backend(name or function)`: what `torch.compile` compiles with."""
    original = torch.compile
    return lambda chosen: monkeypatch.setattr(torch, "compile", partial(original, backend=chosen))


def trained(job, told=lambda phase, clock: None):
    """The weights of both players after all phases; `told` hears of every step."""
    clock = Clock(total_images=job.total_images)
    for phase in job.phases:
        clock = Clock(clock.images, clock.steps, phase.index, 0, job.total_images)
        job.begin(phase)
        while clock.phase_images < phase.images:
            told(phase, clock)
            clock, _ = take_step(job, phase, clock)
    return {name: copy.deepcopy(network.state_dict()) for name, network in job.networks.items()}


def assert_same(one, other):
    for name, state in one.items():
        for key, tensor in state.items():
            torch.testing.assert_close(other[name][key], tensor, msg=lambda said, key=key: f"{key}: {said}")


@pytest.mark.slow
@pytest.mark.parametrize(("family", "uses"), [("pggan", 3), ("msggan", 4)])
def test_each_form_is_compiled_once(job, backend, family, uses):
    """The generator once, the critic for each of its uses.

    It scores pictures that ask for a gradient and those that do not, and without any gradient the real ones that a
    relativistic generator is compared with.
    """
    counter = CompileCounter()
    backend(counter)
    counts = {}

    def count(phase, clock):
        form = (phase.index, clock.fade(phase) < 1)
        counts.setdefault(form, counter.frame_count)  # before its first step

    weights = trained(job(family), count)
    forms = len(counts)
    assert list(counts.values()) == [uses * number for number in range(forms)]
    assert counter.frame_count == uses * forms
    assert_same(trained(job(family, "false")), weights)


def test_a_second_derivative_is_computed_by_the_network_as_it_is(job, backend):
    backend("aot_eager")
    assert_same(trained(job("penalty", "false")), trained(job("penalty")))


def test_without_that_torch_has_none(job, backend):
    """The reason for the pause; if torch learns it, the pause can go."""
    backend("aot_eager")
    hurried = job("penalty")
    for term in hurried.trainer.losses.terms.values():
        assert "critic" not in term.needs.get("generator", ())
    hurried.trainer.losses.around_penalties = nullcontext
    with pytest.raises(RuntimeError, match="double backward"):
        trained(hurried)


def test_where_it_fails_the_run_goes_on_uncompiled_and_says_so_once(job, backend, caplog):
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler here")

    backend(broken)
    weights = trained(job("growing"))
    told = [record.message for record in caplog.records if "torch.compile failed" in record.message]
    assert len(told) == 2
    assert "the generator runs uncompiled" in " ".join(told)
    assert "the critic runs uncompiled" in " ".join(told)
    assert all("no C++ compiler here" in line for line in told)
    plain = trained(job("growing", "false"))
    assert all(torch.equal(plain[name][key], state[key]) for name, state in weights.items() for key in state)


def test_a_failure_in_the_trial_is_for_the_whole_run(prepared, backend, caplog):
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler here\n\nSet TORCH_THIS=1 and read that")

    backend(broken)
    needs = measure(*prepared("growing", "true"), CPU, "fp32")
    assert not needs.compiled
    told = [record.message for record in caplog.records if "torch.compile failed" in record.message]
    assert len(told) == 2  # one for each network, and none for the run that follows
    assert not any("TORCH_THIS" in line for line in told)


def test_a_copy_and_a_state_know_nothing_of_it(job, backend):
    backend("eager")
    compiled = job("growing")
    compiled.begin(compiled.phases[0])
    take_step(compiled, compiled.phases[0], Clock(total_images=compiled.total_images))
    z = compiled.generator.latent.draw(2)
    copied = copy.deepcopy(compiled.generator)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert not copied(z).any()  # its own weights, not those of the network it is a copy of
    assert compiled.generator(z).any()
    assert compiled.generator._compiled_call_impl is not None
    assert copied._compiled_call_impl is None
    assert compiled.average.network._compiled_call_impl is None
    compiled.begin(compiled.phases[1])
    assert compiled.generator._compiled_call_impl is None


def test_arguments_have_names(backend):
    class Named(torch.nn.Module):
        def forward(self, x, *, times):
            return x * times

    backend("eager")
    network = Named()
    Compilation({"named": network}).follow("a form")
    assert network(torch.ones(1), times=3) == 3


@pytest.mark.parametrize("compiling", [lambda job: trained(job("growing")), lambda job: warm_up(CPU)])
def test_who_stops_a_run_while_it_compiles_is_heard(job, backend, compiling):
    def interrupted(graph, inputs):
        raise StoppedError("interrupted", signal_number=2)

    backend(interrupted)
    with pytest.raises(StoppedError):
        compiling(job)


def test_a_backward_pass_that_cannot_be_compiled_is_found_by_the_trial(prepared, backend, monkeypatch, caplog):
    backend("eager")
    recipe, dataset = prepared("growing", "true")
    original = GuardedUpdate.__call__

    def update(self, optimizer, loss, **more):
        if builds[-1]:  # compiled
            raise RuntimeError("no kernel for this gradient")
        return original(self, optimizer, loss, **more)

    builds = []

    def noted(*arguments, compiled=False):
        builds.append(compiled)
        return build(*arguments, compiled=compiled)

    monkeypatch.setattr(GuardedUpdate, "__call__", update)
    monkeypatch.setattr("artgen.run.trial.build", noted)
    needs = measure(recipe, dataset, CPU, "fp32")
    assert builds == [True, False]
    assert not needs.compiled
    assert len(needs.phases) == 2
    [told] = [record.message for record in caplog.records if "torch.compile failed" in record.message]
    assert "the run goes on uncompiled" in told
    assert "no kernel for this gradient" in told


def test_the_time_that_is_told_leaves_out_compiling(prepared, backend, monkeypatch):
    """Every form is compiled before a step of it is timed."""
    backend("eager")
    recipe, dataset = prepared("growing", "true")
    taken = []

    def noted(job, phase, clock):
        taken.append((phase.index, clock.phase_images))
        return take_step(job, phase, clock)

    monkeypatch.setattr("artgen.run.trial.take_step", noted)
    needs = measure(recipe, dataset, CPU, "fp32")
    assert len(needs.phases) == 2
    assert needs.compiled
    assert "compiling takes minutes more" in str(needs)
    for index in (0, 1):
        steps = [images for phase, images in taken if phase == index]
        assert steps[-1] in steps[:-1]
