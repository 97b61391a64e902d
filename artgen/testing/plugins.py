"""What a plugin as a whole promises: a hook module that is sound, light and leaves the process alone."""

from __future__ import annotations

import functools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from artgen.components import field_help
from artgen.contract import EVENTS, HOOK_KINDS
from artgen.errors import PluginError
from artgen.hookspecs import API_VERSION
from artgen.plugins import PluginInfo
from artgen.testing import options as rules
from artgen.testing.runs import around, plugins_with, train
from artgen.testing.verdicts import failed, require
from artgen.training import Outputs


class PluginContract:
    """What every plugin promises. Its components have suites of their own."""

    plugin: str = ""
    """The name of its entry point; of a module that is not installed, or of a single file, its own name."""
    plugins: Sequence[object] = ()
    """Hook modules that are not installed."""
    most_import_seconds: float = 0.5
    """Time of a processor that its registration may take: every command waits for it."""

    def found(self) -> PluginInfo:
        """What artgen knows of it."""
        require(self.plugin, f"Set `plugin` in {type(self).__name__}: the name of its entry point.")
        every = plugins_with(self.plugins).plugins
        named = [info for info in every if self.plugin in (info.name, str(info))]
        require(
            named,
            f"There is no plugin '{self.plugin}', only {', '.join(info.name for info in every)}. Is it installed "
            "(`pip install -e .`)? If not: `plugins = [module]`.",
        )
        return named[0]

    def module(self) -> ModuleType:
        """Its hook module."""
        file = self.found().file
        loaded = [module for module in sys.modules.values() if file and getattr(module, "__file__", None) == file]
        require(loaded, f"The module of {self.plugin} cannot be found: {self.found().cause}.")
        return loaded[0]

    def alone(self) -> dict[str, Any]:
        """What it does in a fresh process that has no other plugin."""
        info, module = self.found(), self.module()
        single = info.origin in ("--plugin", "ARTGEN_PLUGINS")
        return _alone(info.name, info.file if single else module.__name__)

    def test_it_is_sound(self) -> None:
        """It is healthy, and its hooks and components are ones that artgen can use."""
        info = self.found()
        require(info.state == "healthy", f"It is {info.state}: {info.cause}\nSee `artgen plugins check {info.name}`.")
        slow = ("its import took", "its import loads")  # told by the next checks, in a process of its own
        warnings = [warning for warning in info.warnings if not warning.startswith(slow)]
        require(not warnings, f"artgen warns of it: {'; '.join(warnings)}")

    def test_it_says_its_api_version(self) -> None:
        """`ARTGEN_API` stands in the hook module, so that a later artgen knows what it was written for."""
        require(
            isinstance(getattr(self.module(), "ARTGEN_API", None), int),
            f"Write `ARTGEN_API = {API_VERSION}` into {self.module().__file__}.",
        )

    def test_registration_is_light(self) -> None:
        """A fresh process that registers it has loaded neither torch nor NumPy, kornia or OpenCV, in a short time."""
        alone = self.alone()
        require(
            not alone["heavy"],
            f"Its hook module imports {', '.join(alone['heavy'])}, and every command waits for that. It holds Options "
            "and hooks only; the code stands in another module, named by factory='package.module:attribute'.",
        )
        seconds = alone["cpu_seconds"]
        require(
            seconds <= self.most_import_seconds,
            f"Its registration takes {seconds:.2f} s, more than {self.most_import_seconds} s, and every command waits "
            "for that: import what is heavy where it is used.",
        )

    def test_imports_leave_the_process_alone(self) -> None:
        """Neither the hook module nor the modules of its factories change what the whole process shares at import."""
        changed = self.alone()["changed"]
        require(
            not changed,
            "; ".join(changed) + ".\nAt import draw nothing, and leave threads, precision, folders and handlers alone.",
        )

    def test_factories_are_there(self) -> None:
        """Every factory can be imported in a fresh process."""
        absent = self.alone()["absent"]
        require(
            not absent, "\n".join(absent) + "\nMend the import, or add what it needs to the package's dependencies."
        )

    def test_components_are_complete(self) -> None:
        """Options are documented, partners exist, and `needs` and `gives` name fields of Outputs."""
        info, fields = self.found(), set(Outputs.__dataclass_fields__)
        for component in info.components:
            name = f"{component.kind} '{component.name}'"
            silent = rules.undocumented(component.options, field_help)
            require(not silent, f"{name}: write a docstring below each of these options: {', '.join(silent)}.")
            named = {field for side in (*component.needs.values(), *component.gives.values()) for field in side}
            require(
                named <= fields,
                f"{name}: `needs` or `gives` names no field of Outputs: {', '.join(sorted(named - fields))}; there is "
                f"{', '.join(sorted(fields))}.",
            )
            if component.partner is not None:
                try:
                    plugins_with(self.plugins).component("critic", component.partner)
                except PluginError as error:
                    raise failed(f"{name}: its partner cannot be found: {error}") from None

    def test_hooks_answer_alike_each_time(self) -> None:
        """A registration hook returns equal components when it is called again."""
        module = self.module()
        for hook in HOOK_KINDS:
            function = getattr(module, hook, None)
            require(
                function is None or function() == function(),
                f"{hook} returns other components when it is called again: build them from constants.",
            )

    def test_listeners_survive_a_run(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The hooks that listen bear a tiny run, also one that is stopped and goes on."""
        if not set(self.found().hooks) & set(EVENTS):
            return
        with caplog.at_level(logging.WARNING, logger="artgen"):
            train(tmp_path, around(), plugins=self.plugins, stop_after_steps=3, listeners=[self.module()])
        told = [record.getMessage() for record in caplog.records if self.found().name in record.getMessage()]
        require(not told, "\n".join(told) or "")


@functools.cache
def _alone(name: str, where: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "artgen.testing.alone", name, where],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    require(done.returncode == 0, f"A fresh process that registers it fails:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
