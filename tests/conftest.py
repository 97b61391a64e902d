"""What all tests share."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fresh import Fresh

ROOT = Path(__file__).resolve().parents[1]


def bundled_runs() -> dict[str, Path]:
    """The bundled recipes, but for that of films, which describes no run."""
    from artgen.recipe import bundled_recipes

    return {name: path for name, path in bundled_recipes().items() if name != "films"}


def data_for(recipe: str) -> str | None:
    """What `--data` may name for a bundled recipe that names nothing to repaint."""
    return "runs/rembrandt" if recipe == "stylised-walk" else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures to measure on, which is never part of the project; skips where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the measuring data in ../shared/data, which is not part of the project")
    return folder


@pytest.fixture
def one_thread():
    """Tiny networks are fastest, and equal to those of a child process, on one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory):
    """A Ray cluster of two places on this machine, to which `[executor.ray]` of this process goes by itself."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'artgen[ray]'")
    told, handler = sys.excepthook, signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray keeps a password there
        patch.delenv("OMP_NUM_THREADS", raising=False)  # by default it follows from what a task asks for
        patch.setenv("PYTHONBREAKPOINT", "")  # and sets this, the handler and the hook
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    sys.excepthook = told
    signal.signal(signal.SIGTERM, handler)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Fresh:
    """An environment that has artgen and no network, to install packages in."""
    if sys.platform == "win32":
        pytest.skip("commands are typed into a POSIX shell")
    from tests.fresh import Fresh

    return Fresh(tmp_path_factory.mktemp("fresh") / "environment")
