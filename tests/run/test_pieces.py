"""A batch taken in pieces: the same update as that of the whole batch, or of so many processes.

That a split run ends in the weights of two processes, bit for bit, is shown in tests/families/test_families.py: with
several critic steps, votes on skipping the critic, lazy penalties, growth, and an adaptive augmentation.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from artgen.data.dataset import Workshop
from artgen.errors import ResourceError, StoppedError
from artgen.recipe import load_recipe
from artgen.run import checkpoint
from artgen.run.build import build, prepare_data
from artgen.run.loop import take_step
from artgen.run.update import GuardedUpdate, Turn
from artgen.training import Clock
from tests.families.drive import RECIPES, _quiet, families, train_family
from tests.families.test_families import hashes

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture
def steps(tmp_path):
    """`steps(family, pieces, count) -> job, scalars of the last step`."""

    def take(family, pieces, count=4):
        (tmp_path / "toy.toml").write_text(RECIPES[family])
        recipe = load_recipe(tmp_path / "toy.toml", overrides=["run.precision=fp32"], plugins=families())
        job = build(recipe, prepare_data(recipe, Workshop(tmp_path, _quiet, 1)), CPU, "fp32")
        phase, clock = replace(job.phases[-1], pieces=pieces), Clock(total_images=job.total_images)
        job.begin(phase)
        for _ in range(count):
            clock, scalars = take_step(job, phase, clock)
        return job, scalars

    return take


@pytest.mark.parametrize("pieces", [2, 4])
def test_without_draws_and_statistics_a_split_step_is_the_whole_one(steps, pieces):
    (whole, whole_scalars), (split, split_scalars) = steps("translator", 1), steps("translator", pieces)
    torch.testing.assert_close(split.generator.state_dict(), whole.generator.state_dict())
    torch.testing.assert_close(split.average.network.state_dict(), whole.average.network.state_dict())
    torch.testing.assert_close(split_scalars, whole_scalars)  # the mean over the pieces; the norm of the whole gradient


def test_whatever_remembers_something_remembers_it_once(steps):
    """The augmentation observes every picture in one go, and batch norm counts as often as in a whole step."""
    (whole, _), (split, _) = steps("everything", 1), steps("everything", 4)
    for name in ("steps", "images", "signs"):
        assert getattr(split.augment, name).shape == getattr(whole.augment, name).shape
    assert split.augment.steps == whole.augment.steps == 4
    assert split.augment.images == whole.augment.images
    counts = {name: count for name, count in whole.critic.state_dict().items() if name.endswith("batches_tracked")}
    assert counts
    assert {name: split.critic.state_dict()[name] for name in counts} == counts


def test_an_augmentation_observes_the_scores_of_the_whole_batch_once(steps, monkeypatch):
    seen = []
    monkeypatch.setattr("artgen_augment.policies.AdaptiveAugment.observe", lambda self, logits: seen.append(logits))
    steps("everything", 2, count=3)
    assert [len(logits) for logits in seen] == [4, 4, 4]


@pytest.mark.parametrize(("family", "stop_at_images"), [("everything", 2), ("pyramid", 40), ("growing", 26)])
def test_an_interrupted_split_run_ends_in_the_same_bytes(tmp_path, family, stop_at_images):
    train_family(family, tmp_path / "straight" / "run", pieces=2)
    with pytest.raises(StoppedError):
        train_family(family, tmp_path / "stopped" / "run", pieces=2, stop_at_images=stop_at_images)
    assert set(json.loads((tmp_path / "stopped" / "run" / "run.json").read_text())["pieces"]) == {2}
    train_family(family, tmp_path / "stopped" / "run")  # the record says how many
    assert hashes(tmp_path / "straight" / "run") == hashes(tmp_path / "stopped" / "run")
    train_family(family, tmp_path / "whole" / "run")
    assert hashes(tmp_path / "straight" / "run") != hashes(tmp_path / "whole" / "run")


@pytest.mark.parametrize("family", ["canvas-adam", "canvas-lbfgs"])
def test_an_optimizer_that_asks_several_times_cannot_be_split(tmp_path, family):
    with pytest.raises(ResourceError, match=r"batch of 2 cannot be taken in pieces.*L-BFGS") as error:
        train_family(family, tmp_path / "run", pieces=2)
    assert error.value.exit_code == 7
    assert not checkpoint.committed(tmp_path / "run" / "checkpoints")


# The update itself


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def in_pieces(update, optimizer, losses, votes=None):
    """One update of `losses`, a function for each piece."""
    update.turn = Turn(len(losses))
    for update.turn.piece, loss in enumerate(losses):
        update.turn.calls = 0
        norm = update(optimizer, loss(), when=None if votes is None else torch.tensor(votes[update.turn.piece]))
    update.turn = None
    return norm


def test_the_gradient_is_the_mean_over_pieces(network):
    x = torch.randn(6, 3)
    (network(x).square().mean()).backward()
    expected = [parameter.grad.clone() for parameter in network.parameters()]
    update, optimizer = GuardedUpdate(CPU), torch.optim.SGD(network.parameters(), lr=0.0)
    norm = in_pieces(update, optimizer, [lambda part=part: network(part).square().mean() for part in x.chunk(3)])
    torch.testing.assert_close([parameter.grad for parameter in network.parameters()], expected)
    torch.testing.assert_close(norm, torch.cat([gradient.flatten() for gradient in expected]).norm())


@pytest.mark.parametrize(
    ("votes", "moves"),
    [([True, True], True), ([True, False], True), ([False, False], False), ([True, False, False], False)],
)
def test_half_of_the_pieces_decide(network, votes, moves):
    before = network.weight.detach().clone()
    update, optimizer = GuardedUpdate(CPU), torch.optim.SGD(network.parameters(), lr=0.1)
    in_pieces(update, optimizer, [lambda: network.weight.sum()] * len(votes), votes)
    assert torch.equal(network.weight, before) != moves
    assert update.refused == 0


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_piece_that_is_not_finite_spoils_the_update_and_is_counted_once(network, bad):
    before = network.weight.detach().clone()
    update, optimizer = GuardedUpdate(CPU), torch.optim.Adam(network.parameters())
    losses = [lambda i=i: network.weight.sum() * (float("nan") if i == bad else 1.0) for i in range(3)]
    norm = in_pieces(update, optimizer, losses)
    assert not norm.isfinite()
    assert torch.equal(network.weight, before)
    assert update.refused == 1
    assert not optimizer.state


def test_only_the_update_that_is_due_moves_anything(network):
    other = nn.Linear(3, 1)
    optimizers = [torch.optim.SGD(each.parameters(), lr=1.0) for each in (network, other)]
    update = GuardedUpdate(CPU)
    update.turn = Turn(1, due=1)
    before = network.weight.detach().clone(), other.weight.detach().clone()
    for optimizer, each in zip(optimizers, (network, other), strict=True):
        update(optimizer, each.weight.sum())
    assert torch.equal(network.weight, before[0])
    assert torch.equal(other.weight, before[1] - 1)
    assert update.turn.calls == 2


def test_after_a_step_that_fails_nothing_of_the_split_is_left(steps, monkeypatch):
    job, _ = steps("everything", 2, count=1)
    monkeypatch.setattr(job.trainer, "step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        take_step(job, replace(job.phases[0], pieces=2), Clock(total_images=8))
    assert job.update.turn is None
    assert "observe" not in vars(job.augment)
