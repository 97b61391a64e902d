"""The kit around its suites: messages, fixtures, what it costs those who do not use it, reads on the host."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from artgen.testing import GeneratorContract
from artgen.testing.runs import around
from artgen.testing.watch import HostReads


def mine(**attributes):
    return type("TestMine", (GeneratorContract,), attributes)()


def test_a_message_is_for_the_author():
    """Neither pydantic's traceback nor one through the kit."""
    with pytest.raises(pytest.fail.Exception, match="Set `options` in TestMine") as failure:
        mine(component="dcgan", options={"width": 1}).test_state_round_trip()
    assert "greater than or equal to 4" in str(failure.value)
    assert failure.value.__suppress_context__
    assert not failure.value.pytrace


def test_the_component_has_to_be_there():
    with pytest.raises(pytest.fail.Exception, match="Set `component` in TestMine"):
        mine().test_state_round_trip()
    with pytest.raises(pytest.fail.Exception, match=r"(?s)Did you mean 'dcgan'.*plugins = \[module\]"):
        mine(component="dcgna").test_state_round_trip()


def test_a_size_that_all_refuse():
    with pytest.raises(pytest.fail.Exception, match=r"(?s)set `sizes` to .*7x7: DCGAN cannot"):
        mine(component="dcgan", sizes=[(7, 7)]).test_state_round_trip()


def test_a_session_without_artgen_loads_no_torch(tmp_path):
    """The kit is loaded in every pytest session of an environment that has artgen."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_light():\n"
        "    assert 'artgen.testing.fixtures' in sys.modules\n"
        "    assert not {'torch', 'numpy', 'pydantic', 'pluggy.hooks'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTEST_ADDOPTS": ""}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_suites_are_imported_when_they_are_named():
    code = "import sys, artgen.testing as kit; assert not {'torch', 'pytest'} & set(sys.modules); kit.LossContract"
    subprocess.run([sys.executable, "-c", code], check=True)
    import artgen.testing as kit

    assert all(isinstance(getattr(kit, name), type) for name in kit.__all__)
    with pytest.raises(AttributeError, match="NoContract"):
        kit.NoContract


@pytest.mark.usefixtures("one_thread")
def test_training_by_fixture(artgen_train):
    straight = artgen_train(around())
    assert {"generator.safetensors", "critic.safetensors", "trainer.safetensors", "state.json"} <= set(straight)
    assert artgen_train(around(), stop_after_steps=2) == straight
    assert artgen_train(around(), ["seed=8"])["generator.safetensors"] != straight["generator.safetensors"]


def test_a_path_to_a_recipe(artgen_train, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(around() + "[metrics.diversity]\npairs = 4\n")
    assert artgen_train(file, ["phase=[{images=8, batch=4}]"])


READS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "assignment": lambda x: x.clone().__setitem__(x > 0, x[:1, 0].clone()),
    "equal": lambda x: torch.equal(x, x),
    "print": lambda x: f"{x}",
    "unique": lambda x: x.unique(),
    "where": lambda x: torch.where(x > 0),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_on_the_host_are_seen(read):
    with HostReads() as reads:
        read(torch.randn(3, 3))
    assert reads.found
    assert "test_kit.py" in reads.found[0]


def test_work_on_the_device_is_not_a_read():
    x, network = torch.randn(4, 3, 8, 8, requires_grad=True), torch.nn.Conv2d(3, 4, 3)
    with HostReads() as reads:
        y = network(x).relu()
        torch.where(y > 0, y, y.mean()).sum().backward()
        x.detach()[:, [0, 2]].clamp_(0, 1)
        with reads.pause():
            y.sum().item()
    assert reads.found == []
