"""What the kit adds to pytest: three fixtures. Light, since every session in an environment with artgen loads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from artgen.data.dataset import Workshop
    from artgen.plugins import Plugins


@pytest.fixture(scope="session")
def artgen_plugins() -> Plugins:
    """Every plugin of this environment."""
    from artgen.plugins import load_plugins

    return load_plugins()


@pytest.fixture
def artgen_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """What the factory of a data set is handed: an empty cache, a progress bar that shows nothing, one worker."""
    from artgen.testing.runs import workshop

    return workshop(tmp_path_factory.mktemp("artgen"))


@pytest.fixture
def artgen_train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """A function that trains a recipe to its end and tells the SHA-256 of every file of its last checkpoint.

    `artgen_train(recipe, overrides=(), plugins=(), stop_after_steps=None)`: `recipe` is a path or TOML text,
    `overrides` are arguments of `--set`, `plugins` modules that are not installed. With `stop_after_steps` the run is
    interrupted by Ctrl-C after so many steps, and then goes on. Each call has a run folder of its own.
    """
    from artgen.testing.runs import train

    def run(*given: object, **named: object) -> dict[str, str]:
        return train(tmp_path_factory.mktemp("artgen"), *given, **named)  # type: ignore[arg-type]  # as `train` says

    return run
