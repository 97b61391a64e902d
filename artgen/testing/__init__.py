"""The kit for plugin authors: one contract suite for each kind of component, to subclass in a test.

    from artgen.testing import GeneratorContract, PluginContract

    class TestPlugin(PluginContract):
        plugin = "weave"                 # the name of its entry point

    class TestWeave(GeneratorContract):
        component = "weave"              # as a recipe names it
        options = {"width": 8}           # its table in a recipe; small is quick

Every suite has `component`, `options` (default `{}`) and `plugins` (modules that are not installed, default `[]`).
Where options depend on a file, a fixture of the class sets `self.options`. A check that a method breaks by design is
switched off in the open: `test_name = None  # why`. `docs/testing.md` lists the checks.

Importing this package loads neither torch nor pytest; a suite is imported when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artgen.testing.augmentations import AugmentationContract
    from artgen.testing.critics import CriticContract
    from artgen.testing.datasets import DatasetContract
    from artgen.testing.executors import ExecutorContract
    from artgen.testing.features import FeaturesContract
    from artgen.testing.generators import GeneratorContract
    from artgen.testing.losses import LossContract
    from artgen.testing.metrics import MetricContract
    from artgen.testing.paths import PathContract
    from artgen.testing.plugins import PluginContract
    from artgen.testing.sources import SourceContract
    from artgen.testing.trainers import TrainerContract

__all__ = [
    "AugmentationContract",
    "CriticContract",
    "DatasetContract",
    "ExecutorContract",
    "FeaturesContract",
    "GeneratorContract",
    "LossContract",
    "MetricContract",
    "PathContract",
    "PluginContract",
    "SourceContract",
    "TrainerContract",
]

_HOMES = {
    "AugmentationContract": "augmentations",
    "CriticContract": "critics",
    "DatasetContract": "datasets",
    "ExecutorContract": "executors",
    "FeaturesContract": "features",
    "GeneratorContract": "generators",
    "LossContract": "losses",
    "MetricContract": "metrics",
    "PathContract": "paths",
    "PluginContract": "plugins",
    "SourceContract": "sources",
    "TrainerContract": "trainers",
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is first named."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"artgen.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'artgen.testing' has no attribute '{name}'")
