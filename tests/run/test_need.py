"""What a run needs, told before it starts: measured on a job that nobody misses; a batch that does not fit is split."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from artgen.data.dataset import Workshop
from artgen.errors import ResourceError, StoppedError
from artgen.recipe import load_recipe
from artgen.run import checkpoint, memory, need, trial
from artgen.run.build import largest, prepare_data, schedule
from artgen.run.loop import take_step
from artgen.run.need import Needs, PhaseNeed
from artgen.run.trial import measure
from artgen.training import Clock, Phase, Size
from tests.families import translator
from tests.families.drive import RECIPES, families, train_family
from tests.families.test_families import hashes

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@contextmanager
def quiet(*_):
    yield lambda *_: None


@pytest.fixture
def toy(tmp_path):
    """`toy(family, *overrides) -> recipe, dataset`."""

    def load(family, *overrides):
        (tmp_path / "toy.toml").write_text(RECIPES[family])
        recipe = load_recipe(tmp_path / "toy.toml", overrides=overrides, plugins=families())
        return recipe, prepare_data(recipe, Workshop(tmp_path, quiet, 1))

    return load


@pytest.fixture
def greedy(monkeypatch):
    """`greedy(most)`: from now on the translator's step has memory for so many pictures at once."""
    step = translator.PairTrainer.step

    def limit(most):
        def limited(self, batch, clock):
            if len(batch.real) > most:
                raise MemoryError
            return step(self, batch, clock)

        monkeypatch.setattr(translator.PairTrainer, "step", limited)

    return limit


# It changes nothing of the run


@pytest.mark.parametrize("family", ["everything", "growing", "adding", "canvas-lbfgs"])
def test_a_run_ends_in_the_same_bytes_without_the_trial(tmp_path, monkeypatch, family):
    train_family(family, tmp_path / "with" / "run")
    whole = Needs("cpu", None, (1,) * RECIPES[family].count("[[phase]]"), ())
    monkeypatch.setattr("artgen.run.session.measure", lambda *_: whole)
    train_family(family, tmp_path / "without" / "run")
    assert hashes(tmp_path / "with" / "run") == hashes(tmp_path / "without" / "run")


def test_whatever_a_trial_draws_or_sets_is_put_back(toy, monkeypatch):
    recipe, dataset = toy("everything")
    before = dataset.real.copy()

    def careless(*given):
        torch.set_num_threads(3)
        return take_step(*given)

    monkeypatch.setattr(trial, "take_step", careless)
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    measure(recipe, dataset, CPU, "fp32")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]  # noqa: NPY002
    assert torch.get_num_threads() == 1
    assert np.array_equal(dataset.real, before)


# What it measures


def test_each_phase_is_measured_once_where_it_is_short(toy, monkeypatch):
    taken = []
    monkeypatch.setattr(trial, "take_step", lambda job, phase, clock: taken.append((phase.index, clock.steps)))
    needs = measure(*toy("growing"), CPU, "fp32")
    assert taken == [(0, 0), (1, 0)]
    assert [(phase.phase.size, phase.images, phase.step_images) for phase in needs.phases] == [
        (Size(8, 8), 24, 4),
        (Size(16, 16), 48, 4),
    ]
    assert needs.pieces == (1, 1)


def test_of_a_run_that_goes_on_only_the_rest_is_measured(toy):
    recipe, dataset = toy("growing")
    needs = measure(recipe, dataset, CPU, "fp32", Clock(32, 8, phase=1, phase_images=8, total_images=72))
    assert [(phase.phase.index, phase.images) for phase in needs.phases] == [(1, 40)]
    assert needs.phases[0].seconds == pytest.approx(10 * needs.phases[0].step_seconds)
    over = measure(recipe, dataset, CPU, "fp32", Clock(72, 18, phase=1, phase_images=48, total_images=72))
    assert over.phases == ()


class Watch:
    """A clock that steps move on: those with every term of the losses by 8 s, others by 1 s."""

    def __init__(self, monkeypatch, first=8.0):
        self.now, self.steps, self.first = 0.0, [], first
        monkeypatch.setattr(trial.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(trial, "take_step", self.take_step)

    def take_step(self, job, phase, clock):
        self.now += (8.0 if self.steps else self.first) if clock.steps == 0 else 1.0
        self.steps.append(clock.steps)


def test_a_term_that_is_due_now_and_then_counts_so_often(toy, monkeypatch):
    recipe, dataset = toy("everything", "phase=[{images=4000,batch=4}]")  # r1 at every third step
    watch = Watch(monkeypatch)
    (phase,) = measure(recipe, dataset, CPU, "fp32").phases
    assert watch.steps == [0, 0, 1]  # the first one warms up
    assert phase.step_seconds == pytest.approx((8 + 2 * 1) / 3)
    assert phase.images_per_second == pytest.approx(4 / phase.step_seconds)
    assert phase.seconds == pytest.approx(1000 * phase.step_seconds)


def test_a_step_is_measured_as_it_is_late_in_the_run(toy, monkeypatch):
    """A trainer may begin with less than it does later: here the critic joins at two fifths."""
    taken = []
    monkeypatch.setattr(trial, "take_step", lambda job, phase, clock: taken.append(clock.progress))
    measure(*toy("paired"), CPU, "fp32")
    assert taken[0] > 0.9


def test_a_slow_step_is_not_repeated(toy, monkeypatch):
    watch = Watch(monkeypatch, first=60.0)
    (phase,) = measure(*toy("everything", "phase=[{images=4000,batch=4}]"), CPU, "fp32").phases
    assert watch.steps == [0]
    assert phase.step_seconds == 60


def test_the_words():
    phase = PhaseNeed(Phase(0, Size(64, 48), 120_000, 64, pieces=4), 120_000, 64, 0.2177, 1_200_000_000)
    assert str(phase) == ("phase 1, 48x64 px, batch 64 in 4 pieces: 1.2 GB, 0.218 s a step, 294 images a second, 7 min")
    needs = Needs("cpu", 24_000_000_000, (4,), (phase,))
    assert str(needs) == "needs about 1.2 of 24.0 GB memory and 7 min on cpu (294 images a second)"
    blind = Needs("mps", None, (4,), (phase,))
    assert str(blind) == "needs about 7 min on mps (294 images a second); how much memory cannot be measured there"
    assert json.loads(json.dumps(needs.figures()))["phases"][0]["pieces"] == 4
    for seconds, words in ((0.01, "1 s"), (80, "80 s"), (100, "2 min"), (7200, "2.0 h"), (400_000, "4.6 days")):
        assert need._time(seconds) == words


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_the_peak_is_that_since_it_was_forgotten():
    def hold(mib):
        return torch.ones(mib << 18).sum()

    hold(256)
    memory.forget_peak(CPU)
    low = memory.peak_bytes(CPU)
    hold(64)
    assert 50 << 20 < memory.peak_bytes(CPU) - low < 200 << 20
    assert memory.there_bytes(CPU) > memory.peak_bytes(CPU)


def test_the_least_memory_grows_with_the_batch():
    """The bound lies below what a step takes, and above the weights alone."""
    recipe = load_recipe("rembrandt")
    phase = schedule(recipe)[0]
    networks = [chosen.component.load()(chosen.options, phase.size) for chosen in (recipe.generator, recipe.critic)]
    weights = sum(parameter.numel() for network in networks for parameter in network.parameters())
    bounds = [memory.least_bytes(recipe, phase, phase.size, batch) for batch in (4, 400)]
    for batch, bound in zip((4, 400), bounds, strict=True):
        assert 16 * weights < bound < 16 * weights + batch * 4_000_000
    assert bounds[0] < bounds[1]


def test_what_a_critic_of_pairs_keeps_is_weighed(toy):
    """A critic of pairs has a few more weights than one of pictures, and keeps as much of a step."""
    bounds = []
    for conditional in ("true", "false"):
        recipe, _ = toy("paired", f"critic.patchgan.conditional={conditional}")
        phase = schedule(recipe)[0]
        bounds.append(memory.least_bytes(recipe, phase, phase.size, 400))
    assert bounds[0] - bounds[1] == 4 * 4 * 3 * 8 * 4**2  # weights, gradients, two moments of 3 more channels


@pytest.mark.parametrize(
    ("own", "file", "limit"),
    [
        ("0::/", "memory.max", "1000"),
        ("0::/batch/job", "batch/memory.max", "1000"),  # of a group around it
        ("4:cpu:/\n3:memory:/job", "memory/job/memory.limit_in_bytes", "1000"),
        ("3:cpu,memory:/outside", "memory/memory.limit_in_bytes", "1000"),  # as a container sees it
        ("0::/", "memory.max", "max"),
        ("nothing", "memory.max", "1000"),
    ],
)
def test_a_control_group_may_allow_less_than_the_machine_has(tmp_path, monkeypatch, own, file, limit):
    (tmp_path / "own").write_text(own)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(limit)
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    limited = limit == "1000" and own != "nothing"
    assert (memory.there_bytes(CPU) == 1000) == limited
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert (memory.there_bytes(CPU) == 250) == limited


# A batch that does not fit


def test_a_shortage_in_the_trial_splits_the_batch_and_says_so(tmp_path, greedy, caplog):
    train_family("translator", tmp_path / "whole" / "run")
    caplog.clear()
    greedy(2)
    train_family("translator", tmp_path / "run")
    assert "a batch of 4 at 16x16 px does not fit" in caplog.text
    assert "in 2 pieces of 2" in caplog.text
    assert "effective batch is the same" in caplog.text
    assert "batch norm" in caplog.text
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["pieces"] == [2]
    runs = tmp_path / "whole" / "run", tmp_path / "run"
    whole, split = (checkpoint.newest(run / "checkpoints").parts for run in runs)
    torch.testing.assert_close(split["generator"], whole["generator"])


def test_pieces_are_the_next_divisors(toy, greedy):
    greedy(1)
    needs = measure(*toy("translator", "phase=[{images=24,batch=12}]"), CPU, "fp32")
    assert needs.pieces == (12,)  # 2, 4, then 12: eight does not divide it
    assert needs.phases[0].phase.batch == needs.phases[0].step_images == 12


def test_only_the_phases_that_do_not_fit_are_split(toy, greedy, caplog):
    greedy(2)
    needs = measure(*toy("translator", "phase=[{images=8,batch=2},{images=16,batch=8}]"), CPU, "fp32")
    assert needs.pieces == (1, 4)
    assert caplog.text.count("does not fit") == 1


def test_a_run_that_goes_on_takes_the_pieces_of_its_record(tmp_path, greedy, monkeypatch, caplog):
    greedy(2)
    train_family("translator", tmp_path / "straight" / "run")
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    greedy(10**6)  # there is room again, but the bits are to be the same
    caplog.clear()
    train_family("translator", tmp_path / "run")
    assert "does not fit" not in caplog.text
    assert hashes(tmp_path / "run") == hashes(tmp_path / "straight" / "run")


@pytest.mark.parametrize("pieces", ["2", [2, 2], [0], [1.5], [True], None])
def test_a_record_that_names_no_pieces_is_passed_over(tmp_path, pieces):
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(info | {"pieces": pieces}))
    train_family("translator", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["pieces"] == [1]


def test_one_picture_that_does_not_fit_stops_the_run_with_the_figures(tmp_path, greedy):
    greedy(0)
    with pytest.raises(ResourceError, match=r"one picture at a time \(there are [\d.]+ GB of memory\)") as error:
        train_family("translator", tmp_path / "run")
    assert error.value.exit_code == 7
    assert "smaller" in error.value.remedy


def test_l_bfgs_stops_with_the_figures_instead_of_splitting(toy, monkeypatch):
    recipe, dataset = toy("canvas-lbfgs")

    def short(job, phase, clock):
        if phase.pieces == 1:
            raise MemoryError
        return take_step(job, phase, clock)

    monkeypatch.setattr(trial, "take_step", short)
    with pytest.raises(ResourceError, match=r"out of memory.*cannot be taken in pieces.*L-BFGS.* GB"):
        measure(recipe, dataset, CPU, "fp32")


def test_pieces_too_small_for_batch_norm_stop_with_the_figures(tmp_path, monkeypatch):
    recipe = load_recipe("digits-dense", overrides=["data.digits.resolution=8", "phase=[{images=8,batch=4}]"])
    dataset = prepare_data(recipe, Workshop(tmp_path, quiet, 1))

    def short(job, phase, clock):
        if phase.batch // phase.pieces > 1:
            raise MemoryError
        return take_step(job, phase, clock)

    monkeypatch.setattr(trial, "take_step", short)
    with pytest.raises(ResourceError, match="pieces of 1 are too small for this recipe: Expected more than 1 value"):
        measure(recipe, dataset, CPU, "fp32")


def test_what_cannot_fit_is_split_before_anything_is_allocated(toy, monkeypatch):
    recipe, dataset = toy("everything", "phase=[{images=2400,batch=1200}]")
    phase = schedule(recipe)[0]
    there = memory.least_bytes(recipe, phase, phase.size, 400)
    monkeypatch.setattr(memory, "_machine_bytes", lambda: there)
    taken = []
    monkeypatch.setattr(trial, "take_step", lambda job, phase, clock: taken.append(phase.batch // phase.pieces))
    assert measure(recipe, dataset, CPU, "fp32").pieces == (4,)
    assert taken == [300]
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 1000)
    with pytest.raises(ResourceError, match=r"more than 0\.\d GB of memory, and there are 0\.0 GB.*one picture"):
        measure(recipe, dataset, CPU, "fp32")


def test_a_fault_in_the_trial_is_no_shortage(toy, monkeypatch):
    monkeypatch.setattr(trial, "take_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure(*toy("translator"), CPU, "fp32")


@pytest.mark.parametrize(("a_picture", "pieces"), [(99, 1), (101, 2), (210, 4)])
def test_a_batch_that_may_fill_the_memory_of_a_cpu_is_measured_small_and_scaled_up(toy, monkeypatch, a_picture, pieces):
    """A process that uses up the memory of a CPU is killed, so nobody dares: 800 of 1000 may be used."""
    recipe, dataset = toy("everything", "phase=[{images=1600,batch=80}]")
    phase = schedule(recipe)[0]
    taken, unit = [], memory.least_bytes(recipe, phase, largest((phase,)), 80) // 20
    monkeypatch.setattr(trial, "_LARGE_BYTES", unit)
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 100 * unit)
    monkeypatch.setattr(trial, "take_step", lambda job, phase, clock: taken.append((phase.batch, phase.pieces)))
    # 1 % of the memory at first, and so much more for each picture that is held at once
    held = lambda device: int(unit * (1 + a_picture / 100 * taken[-1][0] // taken[-1][1]))  # noqa: E731
    monkeypatch.setattr(trial, "peak_bytes", lambda device: held(device) if taken else 0)
    needs = measure(recipe, dataset, CPU, "fp32")
    assert needs.pieces == (pieces,)
    assert max(batch // count for batch, count in taken) <= 20
    assert needs.memory_bytes == pytest.approx(unit * (1 + a_picture / 100 * 80 / pieces), rel=0.05)
