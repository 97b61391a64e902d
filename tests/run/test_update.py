"""The one door through which weights move."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from artgen import PluginError
from artgen.run.update import GuardedUpdate

CPU = torch.device("cpu")


def adam(parameters, fused=True):
    return torch.optim.Adam(parameters, lr=0.1, fused=fused)


def snapshot(network, optimizer):
    return copy.deepcopy((network.state_dict(), optimizer.state_dict()))


def assert_same(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.fixture
def x():
    return torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])


def test_it_steps_as_plain_pytorch_and_returns_the_norm(network, x):
    twin = copy.deepcopy(network)
    update, optimizer, twin_optimizer = GuardedUpdate(CPU), adam(network.parameters()), adam(twin.parameters())
    for _ in range(3):
        norm = update(optimizer, network(x).square().sum())
        twin_optimizer.zero_grad()
        twin(x).square().sum().backward()
        twin_optimizer.step()
        assert_same(network.state_dict(), twin.state_dict())
        expected = math.sqrt(sum(parameter.grad.square().sum().item() for parameter in twin.parameters()))
        assert norm.item() == pytest.approx(expected, rel=1e-6)
    assert update.refused == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("fused", [True, False])
def test_a_gradient_that_is_not_finite_changes_nothing(network, x, bad, fused):
    update, optimizer = GuardedUpdate(CPU), adam(network.parameters(), fused)
    update(optimizer, network(x).square().sum())
    before = snapshot(network, optimizer)
    norm = update(optimizer, (network(x) * torch.tensor([1.0, bad])).sum())  # one row of the gradient is spoilt
    assert not norm.isfinite()
    assert_same(snapshot(network, optimizer), before)
    assert update.refused == 1
    update(optimizer, network(x).square().sum())
    assert update.refused == 1
    assert not torch.equal(network.weight, before[0]["weight"])


def test_when_false_nothing_changes_and_nothing_counts_as_refused(network, x):
    update, optimizer = GuardedUpdate(CPU), adam(network.parameters())
    update(optimizer, network(x).square().sum())
    before = snapshot(network, optimizer)
    norm = update(optimizer, network(x).square().sum(), when=torch.tensor(False))
    assert norm > 0
    assert_same(snapshot(network, optimizer), before)
    assert update.refused == 0
    update(optimizer, network(x).square().sum(), when=torch.tensor(True))
    assert not torch.equal(network.weight, before[0]["weight"])


def test_only_the_optimizers_own_parameters_get_a_gradient(network, x):
    other, source = nn.Linear(2, 1), x.clone().requires_grad_()
    other.weight.grad = torch.full_like(other.weight, 7.0)
    update = GuardedUpdate(CPU)
    update(adam(network.parameters()), other(network(source)).sum())
    assert network.weight.grad is not None
    assert torch.equal(other.weight.grad, torch.full_like(other.weight, 7.0))
    assert other.bias.grad is None
    assert source.grad is None


def test_gradients_of_an_earlier_step_are_forgotten(network, x):
    update, optimizer = GuardedUpdate(CPU), torch.optim.SGD(network.parameters(), lr=0.0)
    first = update(optimizer, network(x).square().sum())
    assert update(optimizer, network(x).square().sum()) == first
    bias_only = update(optimizer, network.bias.sum())
    assert bias_only.item() == pytest.approx(math.sqrt(2))  # the weight is not in this loss: it has no gradient now


def test_a_loss_without_a_due_term_moves_nothing(network):
    update, optimizer = GuardedUpdate(CPU), adam(network.parameters())
    before = snapshot(network, optimizer)
    assert update(optimizer, torch.zeros(())) == 0
    assert_same(snapshot(network, optimizer), before)
    assert update.refused == 0


def test_frozen_parameters_stay(network, x):
    network.bias.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    GuardedUpdate(CPU)(adam(network.parameters()), network(x).square().sum())
    assert torch.equal(network.bias, before["bias"])
    assert not torch.equal(network.weight, before["weight"])


def test_after_it_autocast_sees_the_new_weights(network, x):
    update, optimizer = GuardedUpdate(CPU), torch.optim.SGD(network.parameters(), lr=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        stale = network(x)
        update(optimizer, stale.float().square().sum())
        seen = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        fresh = network(x)
    assert torch.equal(seen, fresh)
    assert not torch.equal(seen, stale)


# The closure form, for L-BFGS


def lbfgs(parameters, **options):
    return torch.optim.LBFGS(parameters, lr=0.5, max_iter=3, history_size=3, **options)


def bowl(p):
    return (p * torch.tensor([1.0, 10.0])).square().sum() + p.pow(4).sum()


@pytest.mark.parametrize("options", [{}, {"line_search_fn": "strong_wolfe"}])
def test_the_closure_form_steps_as_plain_lbfgs(options):
    p, twin = (nn.Parameter(torch.tensor([3.0, -2.0])) for _ in range(2))
    update, optimizer, twin_optimizer = GuardedUpdate(CPU), lbfgs([p], **options), lbfgs([twin], **options)
    calls = 0

    def loss():
        nonlocal calls
        calls += 1
        return bowl(p)

    def closure():
        twin_optimizer.zero_grad()
        value = bowl(twin)
        value.backward()
        return value

    for _ in range(3):
        at_start = torch.autograd.grad(bowl(p), p)[0].norm()
        assert update(optimizer, loss) == at_start
        twin_optimizer.step(closure)
        assert_same(p.detach(), twin.detach())
    assert calls > 3  # several times within one step
    assert bowl(p) < bowl(torch.tensor([3.0, -2.0])) / 10


@pytest.mark.parametrize("bad_call", [1, 2, 3])
@pytest.mark.parametrize("earlier_steps", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"line_search_fn": "strong_wolfe"}])
def test_a_refusal_within_lbfgs_undoes_all_of_its_step(options, earlier_steps, bad_call):
    p = nn.Parameter(torch.tensor([3.0, -2.0]))
    update, optimizer = GuardedUpdate(CPU), lbfgs([p], **options)
    for _ in range(earlier_steps):
        update(optimizer, lambda: bowl(p))
    weights, state = p.detach().clone(), copy.deepcopy(optimizer.state_dict())
    calls = 0

    def spoilt():
        nonlocal calls
        calls += 1
        return bowl(p) * (float("nan") if calls == bad_call else 1.0)

    norm = update(optimizer, spoilt)
    assert calls == bad_call
    assert not norm.isfinite()
    assert update.refused == 1
    assert_same(p.detach(), weights)
    assert_same(optimizer.state_dict()["state"], state["state"])

    # The next step is the one that would have been.
    twin = nn.Parameter(weights.clone())
    twin_optimizer = lbfgs([twin], **options)
    twin_optimizer.load_state_dict(copy.deepcopy(state))
    GuardedUpdate(CPU)(twin_optimizer, lambda: bowl(twin))
    update(optimizer, lambda: bowl(p))
    assert_same(p.detach(), twin.detach())
    assert not torch.equal(p, weights)


def test_the_closure_form_heeds_when():
    p = nn.Parameter(torch.tensor([3.0, -2.0]))
    update, optimizer = GuardedUpdate(CPU), lbfgs([p])
    norm = update(optimizer, lambda: bowl(p), when=torch.tensor(False))
    assert norm > 0
    assert p.tolist() == [3.0, -2.0]
    assert not optimizer.state
    update(optimizer, lambda: bowl(p), when=torch.tensor(True))
    assert p.tolist() != [3.0, -2.0]


def test_gradients_that_somebody_switched_off_are_told():
    weight = torch.ones(2, requires_grad=True)
    loss = weight.sum()
    with torch.no_grad(), pytest.raises(PluginError, match="switched off"):
        GuardedUpdate(torch.device("cpu"))(torch.optim.SGD([weight], lr=0.1), loss)
