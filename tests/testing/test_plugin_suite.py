"""The suite of a plugin as a whole, on modules with one fault each, which are not installed."""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import pytest

from artgen.testing import PluginContract

HOOKS = """
from artgen import Component, LossOptions, Options, hookimpl

ARTGEN_API = 1
calls = []


@hookimpl
def artgen_losses():
    calls.append(1)
    return [Component(kind="loss", name="quiet", summary="A loss", options=LossOptions,
                      factory="NAME_code:Loss", needs={"generator": ("fake",)})]
"""
CODE = """
class Loss:
    def __init__(self, options):
        pass

    def generator(self, outputs):
        return outputs.fake.mean()
"""
LISTENS = """
from artgen import hookimpl

ARTGEN_API = 1


@hookimpl
def artgen_step_shown(scalars):
    assert scalars["images"]
"""
RAISES = LISTENS.replace('scalars["images"]', "False, 'no'")
LONELY = """
from artgen import Component, Options, hookimpl

ARTGEN_API = 1


@hookimpl
def artgen_generators():
    return [Component(kind="generator", name="lonely", summary="Has no partner", options=Options,
                      factory="a:b", partner="nobody")]
"""
# Name -> its hook module, the module of its factory, the checks that fail, and what each of them advises.
FAULTS = {
    "unversioned": (LISTENS.replace("ARTGEN_API = 1", ""), "", {
        "test_it_says_its_api_version": r"Write `ARTGEN_API = 1` into .*unversioned\.py"}),
    "heavy": ("import numpy\n" + LISTENS, "", {"test_registration_is_light": "imports numpy.*factory="}),
    "reseeds": ("import random\nrandom.seed(1)\n" + LISTENS, "", {
        "test_imports_leave_the_process_alone": "Python's random state.*draw nothing"}),
    "reseeding": (HOOKS, "import torch\ntorch.manual_seed(1)\n" + CODE, {
        "test_imports_leave_the_process_alone": "import of reseeding_code:Loss changed torch's random state"}),
    "lacking": (HOOKS, "import nowhere_to_be_found\n" + CODE, {
        "test_factories_are_there": "nowhere_to_be_found.*dependencies"}),
    "misspelt": (HOOKS.replace('("fake",)', '("fakes",)'), CODE, {
        "test_components_are_complete": "no field of Outputs: fakes"}),
    "silent": (HOOKS.replace("options=Loss", "options=Mute") + "class MuteOptions(LossOptions):\n    x: float = 1.0",
        CODE, {"test_components_are_complete": "docstring below each of these options: x"}),
    "lonely": (LONELY, "", {
        "test_components_are_complete": "partner cannot be found.*nobody", "test_factories_are_there": "No module"}),
    "changing": (HOOKS.replace('"A loss"', 'f"Call {len(calls)}"'), CODE, {
        "test_hooks_answer_alike_each_time": "artgen_losses returns other components"}),
    "raising": (RAISES, "", {"test_listeners_survive_a_run": "artgen_step_shown failed: AssertionError: no"}),
    "muted": (RAISES.replace("hookimpl\ndef", "hookimpl(optional=True)\ndef"), "", {
        "test_listeners_survive_a_run": "no longer told of artgen_step_shown: AssertionError: no"}),
    "typo": (LISTENS.replace("shown", "shone"), "", {"test_it_is_sound": "did you mean artgen_step_shown"}),
}  # fmt: skip
SOUND = {"sound": (HOOKS, CODE, {}), "listening": (LISTENS, "", {})}
MODULES = FAULTS | SOUND


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A function that gives the suite of one of the modules."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(name):
        hooks, code, _ = MODULES[name]
        (tmp_path / f"{name}.py").write_text(hooks.replace("NAME", name))
        (tmp_path / f"{name}_code.py").write_text(code)
        return type("TestPlugin", (PluginContract,), {"plugin": name, "plugins": [importlib.import_module(name)]})

    yield of
    for name in MODULES:
        sys.modules.pop(name, None)
        sys.modules.pop(f"{name}_code", None)


def failures(suite, folder, caplog):
    """The checks that fail, with their messages."""
    found = {}
    for name in [name for name in dir(suite) if name.startswith("test_")]:
        check = getattr(suite(), name)
        (folder / name).mkdir()
        given = {"tmp_path": folder / name, "caplog": caplog}
        try:
            check(**{key: given[key] for key in inspect.signature(check).parameters})
        except (pytest.fail.Exception, Exception) as failure:
            found[name] = str(failure)
    return found


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", MODULES)
def test_a_fault_is_found_and_nothing_else(name, suite, tmp_path, caplog):
    found, expected = failures(suite(name), tmp_path, caplog), MODULES[name][2]
    assert found.keys() == expected.keys(), found
    for check, words in expected.items():
        assert re.search(words, found[check], re.DOTALL), found[check]


def test_every_check_is_seen_to_fail():
    seen = {check for _, _, expected in FAULTS.values() for check in expected}
    assert seen == {name for name in dir(PluginContract) if name.startswith("test_")}


def test_slow_registration_is_found(suite):
    """With a limit of nothing, every import is slow."""
    slow = suite("listening")
    slow.most_import_seconds = 0.0
    with pytest.raises(pytest.fail.Exception, match="import what is heavy where it is used"):
        slow().test_registration_is_light()


def test_a_plugin_that_is_not_there():
    missing = type("TestPlugin", (PluginContract,), {"plugin": "nobody"})
    with pytest.raises(pytest.fail.Exception, match=r"only adversarial.*pip install -e"):
        missing().test_it_is_sound()
    with pytest.raises(pytest.fail.Exception, match="Set `plugin` in PluginContract"):
        PluginContract().test_it_is_sound()
