"""One plugin, alone in a fresh process: `python -m artgen.testing.alone NAME MODULE` (or FILE.py), prints JSON."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import EntryPoint
from typing import Any

from artgen.components import import_factory
from artgen.errors import PluginError
from artgen.plugins import GROUP, Plugins

HEAVY = ("torch", "kornia", "cv2", "numpy")


def look(name: str, where: str) -> dict[str, Any]:
    """What a plugin does to a process at registration, then at the import of each of its factories.

    Args:
        name: Of its entry point.
        where: Its module, or its file.
    """
    begun = time.process_time()
    if where.endswith(".py"):
        plugins = Plugins(points=(), files={where: "--plugin"})
    else:
        plugins = Plugins(points=[EntryPoint(name, where, GROUP)])
    seconds = time.process_time() - begun
    (plugin,) = plugins.plugins
    heavy = [module for module in HEAVY if module in sys.modules]
    if plugin.components:  # what the import of a factory does to them is seen only once they are there
        import numpy  # noqa: F401
        import torch  # noqa: F401
    changed, absent = [warning for warning in plugin.warnings if "changed" in warning], []
    for component in plugin.components:
        try:
            _, found = import_factory(component)
        except PluginError as error:
            absent.append(f"{error.place}: {error.cause}")
            continue
        if found:
            changed.append(f"the import of {component.factory} changed {', '.join(found)}")
    return {"state": plugin.state, "cause": plugin.cause, "cpu_seconds": seconds, "heavy": heavy,
            "changed": changed, "absent": absent}  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(*sys.argv[1:])))
