"""A factory is a stranger's: what it returns is looked at, what it sets is put back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artgen import Component, LossOptions, Options, PluginError
from artgen.data.dataset import Dataset
from artgen.run.making import make
from artgen.training import Augmentation, Critic, Features, Generator, Source


def component(kind, made, **more):
    """A component whose factory is at hand."""
    options = LossOptions if kind == "loss" else Options
    named = {"name": "odd", "summary": "Odd", "factory": "zoo.code:Odd", "plugin": "'zoo' (zoo 1.2)"}
    one = Component(kind=kind, options=options, **named, **more)
    object.__setattr__(one, "load", lambda: lambda *_: made)
    return one


class Trainer:
    def begin(self, phase): ...
    def step(self, batch, clock): ...
    def state_dict(self): ...
    def load_state_dict(self, state): ...


class Judge:
    def generator(self, outputs): ...
    def measure(self, fake, real, features): ...


JUDGES = {"needs": {"generator": ("fake",)}}
RIGHT = [
    ("generator", Generator(), {}),
    ("critic", Critic(), {}),
    ("augment", Augmentation(), {}),
    ("source", Source(), {}),
    ("features", Features(), {}),
    ("data", Dataset(np.zeros((1, 4, 4, 3), np.uint8), "x"), {}),
    ("trainer", Trainer(), {}),
    ("metric", Judge(), {}),
    ("loss", Judge(), JUDGES),
]


@pytest.mark.parametrize(("kind", "made", "more"), RIGHT, ids=[row[0] for row in RIGHT])
def test_what_the_hook_asks_for_is_handed_on(kind, made, more):
    assert make(component(kind, made, **more)) is made


@pytest.mark.parametrize(("kind", "made", "more"), RIGHT, ids=[row[0] for row in RIGHT])
@pytest.mark.parametrize("wrong", [None, "x", torch.nn.Identity()])
def test_anything_else_is_refused_with_the_plugins_name(kind, made, more, wrong):
    with pytest.raises(
        PluginError, match=f"{kind} 'odd' .zoo.code:Odd.: its factory returned {type(wrong).__name__}"
    ) as caught:
        make(component(kind, wrong, **more))
    assert "'zoo' (zoo 1.2)" in caught.value.remedy


def test_a_loss_must_judge_what_it_says():
    with pytest.raises(PluginError, match="has no method critic"):
        make(component("loss", Judge(), needs={"generator": ("fake",), "critic": ("real",)}))


def test_what_a_factory_sets_is_put_back_and_told(caplog, monkeypatch):
    def factory():
        torch.set_num_threads(threads + 1)
        torch.backends.cuda.matmul.allow_tf32 = True
        return Generator()

    threads = torch.get_num_threads()
    one = component("generator", None)
    object.__setattr__(one, "load", lambda: factory)
    make(one)
    assert torch.get_num_threads() == threads
    assert not torch.backends.cuda.matmul.allow_tf32
    assert "generator 'odd' of the plugin 'zoo' (zoo 1.2): its factory changed torch's thread count" in caplog.text
    assert "TF32" in caplog.text


def test_a_factory_may_draw(caplog):
    one = component("generator", None)
    object.__setattr__(one, "load", lambda: lambda: torch.rand(1) * 0 + 1 and Generator())
    state = torch.get_rng_state()
    make(one)
    assert not torch.equal(torch.get_rng_state(), state)
    assert not caplog.records
