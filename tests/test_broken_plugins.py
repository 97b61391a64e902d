"""A zoo of broken plugins: each is told with its cause, its owner and the place, and hurts nobody.

One row for each way in which a plugin can be wrong. They are installed together, as pip would: what holds for each by
itself must hold with all the others around.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

HEAD = """
from artgen import Component, LossOptions, Options, hookimpl

def component(name, kind="generator", options=Options, factory="zoo_healthy:Made", summary="A thing", **more):
    return Component(kind=kind, name=name, summary=summary, options=options, factory=factory, **more)
"""
LISTENS = "\n@hookimpl\ndef artgen_saved(images):\n    pass\n"


class Case(NamedTuple):
    """A plugin, and what must be said of it."""

    code: str
    state: str
    told: str  # a regular expression, for the cause or the only warning
    hook: str = ""  # where it was found, if not at import
    line: int = 0  # of the plugin's file, told where an exception was raised
    where: str = "cause"  # or "warnings", or "check": told by `artgen plugins check` alone


ZOO = {
    # at import
    "missing": Case(
        "import no_such_package\n", "broken", "ModuleNotFoundError: No module named 'no_such_package'", line=1
    ),
    "syntax": Case("x = 1\ndef (:\n", "broken", "SyntaxError: invalid syntax", line=2),
    "indent": Case("if True:\nx = 1\n", "broken", "IndentationError: expected an indented block", line=2),
    "nul": Case("x = '\0'\n", "broken", "SyntaxError|ValueError"),
    "exits": Case("\nimport sys\nsys.exit(3)\n", "broken", "SystemExit: 3", line=3),
    "os-error": Case("open('/no/such/file')\n", "broken", r"FileNotFoundError: \[Errno 2\]", line=1),
    "raises": Case("def f():\n    1 / 0\nf()\n", "broken", "ZeroDivisionError: division by zero", line=2),
    "strange": Case("class Odd(BaseException): pass\nraise Odd('odd')\n", "broken", "Odd: odd", line=2),
    "cancelled": Case("import asyncio\nraise asyncio.CancelledError\n", "broken", "CancelledError", line=2),
    "recursion": Case("def f(): f()\nf()\n", "broken", "RecursionError"),
    "escapes": Case("raise ValueError('a\\x1b[2Jb')\n", "broken", r"ValueError: a\\x1b\[2Jb", line=1),
    "speechless": Case("class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd\n", "broken", "Odd", line=3),
    # what is in it
    "empty": Case("x = 1\n", "broken", "it implements no hook: mark its functions with @artgen.hookimpl"),
    "unmarked": Case("def artgen_saved(): pass\n", "broken", "is not marked with @artgen.hookimpl", "artgen_saved"),
    "unknown-hook": Case(
        HEAD + "@hookimpl\ndef artgen_loses(): return []\n", "broken", "did you mean artgen_losses", "artgen_loses"
    ),
    "signature": Case(
        HEAD + "@hookimpl\ndef artgen_saved(foldr): pass\n",
        "broken",
        "unknown argument 'foldr'; did you mean 'folder'",
        "artgen_saved",
    ),
    "keyword-only": Case(
        HEAD + "@hookimpl\ndef artgen_saved(*, folder): pass\n", "broken", "'folder' is keyword-only", "artgen_saved"
    ),
    "default": Case(
        HEAD + "@hookimpl\ndef artgen_saved(folder=None): pass\n", "broken", "'folder' has a default", "artgen_saved"
    ),
    "generator": Case(HEAD + "@hookimpl\ndef artgen_saved(): yield\n", "broken", "is a generator", "artgen_saved"),
    "optional": Case(
        HEAD + "@hookimpl(optional=True)\ndef artgen_losses(): return []\n",
        "broken",
        "can be optional",
        "artgen_losses",
    ),
    "marker": Case(
        HEAD + "@hookimpl(tryfirst=True)\ndef artgen_losses(): return []\n", "broken", "TypeError: .*tryfirst"
    ),
    # what its hooks return
    "hook-raises": Case(
        HEAD + "@hookimpl\ndef artgen_losses():\n    raise KeyError('x')\n",
        "broken",
        "KeyError: 'x'",
        "artgen_losses",
        8,
    ),
    "hook-exits": Case(
        HEAD + "@hookimpl\ndef artgen_losses():\n    raise SystemExit\n", "broken", "SystemExit", "artgen_losses", 8
    ),
    "nothing": Case(
        HEAD + "@hookimpl\ndef artgen_losses(): pass\n", "broken", "returned NoneType, not a list", "artgen_losses"
    ),
    "no-component": Case(
        HEAD + "@hookimpl\ndef artgen_losses(): return ['x']\n", "broken", "a list with str", "artgen_losses"
    ),
    "kind": Case(
        HEAD + "@hookimpl\ndef artgen_losses(): return [component('x')]\n", "broken", "the kind 'loss'", "artgen_losses"
    ),
    "twice": Case(
        HEAD + "@hookimpl\ndef artgen_generators(): return [component('x'), component('x')]\n",
        "broken",
        "handed over twice",
        "artgen_generators",
    ),
    # for another artgen
    "api-new": Case(
        "ARTGEN_API = 2\n" + HEAD + LISTENS, "broken", r"needs artgen API 2, this artgen \S+ offers 1; upgrade"
    ),
    "api-newer": Case(
        "ARTGEN_API = 7\nfrom artgen import Marvel\n",
        "broken",
        r"needs artgen API 7, this artgen \S+ offers 1; upgrade artgen \(ImportError: cannot import name 'Marvel'",
        line=2,
    ),
    "api-old": Case("ARTGEN_API = 0\n" + HEAD + LISTENS, "broken", "is made for artgen API 0, .*; upgrade the plugin"),
    "api-text": Case("ARTGEN_API = '1'\n" + HEAD + LISTENS, "broken", "ARTGEN_API is a whole number, found '1'"),
    # it works, but
    "slow": Case(
        "import time\ntime.sleep(0.6)\n" + HEAD + LISTENS, "healthy", r"import took 0\.\d s", where="warnings"
    ),
    "heavy": Case("import numpy\n" + HEAD + LISTENS, "healthy", "import loads numpy", where="warnings"),
    "seeds": Case(
        "import random\nrandom.seed(0)\n" + HEAD + LISTENS,
        "healthy",
        "import changed Python's random state; that is undone",
        where="warnings",
    ),
    "folder": Case(
        "import os\nos.chdir(os.sep)\n" + HEAD + LISTENS,
        "healthy",
        "import changed the current folder",
        where="warnings",
    ),
    "hushes": Case(
        "import warnings\nwarnings.simplefilter('ignore')\n" + HEAD + LISTENS,
        "healthy",
        "import changed the filter of all warnings",
        where="warnings",
    ),
    "hook-seeds": Case(
        HEAD + "import random\n@hookimpl\ndef artgen_losses():\n    random.seed(0)\n    return []\n",
        "healthy",
        "artgen_losses changed Python's random state",
        where="warnings",
    ),
    "hook-heavy": Case(
        HEAD + "@hookimpl\ndef artgen_losses():\n    import cv2\n    return []\n",
        "healthy",
        "import loads (numpy, )?cv2|import loads cv2",
        where="warnings",
    ),
    "variable": Case(
        "import os\nos.environ['OMP_NUM_THREADS'] = '7'\n" + HEAD + LISTENS,
        "healthy",
        "import changed environment variables that torch reads",
        where="warnings",
    ),
    "shallow": Case(
        "import sys\nsys.setrecursionlimit(200)\n" + HEAD + LISTENS,
        "healthy",
        r"import changed the recursion limit \(\d+ -> 200\)",
        where="warnings",
    ),
    "path": Case("import sys\nsys.path.clear()\n" + HEAD + LISTENS, "healthy", "changed sys.path", where="warnings"),
    "argv": Case(
        "import sys\nsys.argv.append('x')\n" + HEAD + LISTENS, "healthy", "changed sys.argv", where="warnings"
    ),
    "excepthook": Case(
        "import sys\nsys.excepthook = print\n" + HEAD + LISTENS, "healthy", "changed sys.excepthook", where="warnings"
    ),
    "thread": Case(
        "import threading, time\nthreading.Thread(target=lambda: time.sleep(1e6), name='endless').start()\n"
        + HEAD
        + LISTENS,
        "healthy",
        "leaves threads running that are no daemons: 'endless'",
        where="warnings",
    ),
    "deprecated": Case(
        HEAD + "@hookimpl\ndef artgen_generators(): return [component('old', deprecated=\"use 'new' instead\")]\n",
        "healthy",
        "generator 'old' is deprecated: use 'new' instead",
        where="warnings",
    ),
    # seen only by who looks for it
    "threads": Case(
        "import sys\nif 'torch' in sys.modules:\n    sys.modules['torch'].set_num_threads(7)\n" + HEAD + LISTENS,
        "healthy",
        r"import changed torch's thread count \(\d -> 7\)",
        where="check",
    ),
    "tf32": Case(
        "import sys\nif 'torch' in sys.modules:\n    sys.modules['torch'].set_float32_matmul_precision('high')\n"
        + HEAD
        + LISTENS,
        "healthy",
        r"import changed the precision of float32 products \(TF32\)",
        where="check",
    ),
    "interrupts": Case(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + HEAD + LISTENS,
        "healthy",
        "import changed signal handlers",
        where="check",
    ),
    "no-factory": Case(
        HEAD
        + "@hookimpl\ndef artgen_generators(): return [component('no-factory', factory='zoo_no_factory:Nothing')]\n",
        "healthy",
        "generator 'no-factory': zoo_no_factory:Nothing cannot be imported: AttributeError",
        where="check",
    ),
    "factory-exits": Case(
        HEAD + "@hookimpl\ndef artgen_generators(): return [component('factory-exits', factory='zoo_exits:Made')]\n",
        "healthy",
        "generator 'factory-exits': zoo_exits:Made cannot be imported: SystemExit: 3",
        where="check",
    ),
    "uncallable": Case(
        HEAD + "@hookimpl\ndef artgen_generators(): return [component('uncallable', factory='zoo_uncallable:HEAD')]\n"
        "HEAD = 1\n",
        "healthy",
        "zoo_uncallable:HEAD is int, which cannot be called",
        where="check",
    ),
    "odd-options": Case(
        HEAD + "class Odd(Options):\n    model_config = {'arbitrary_types_allowed': False}\n    x: 'NoSuchType' = 1\n"
        "@hookimpl\ndef artgen_generators(): return [component('odd-options', options=Odd)]\n",
        "healthy",
        "Odd cannot be built: .*NoSuchType",
        where="check",
    ),
}
CHATTY = "print('hello, I am imported')\nARTGEN_API = 1\n" + HEAD + LISTENS
HEALTHY = (
    HEAD
    + """
@hookimpl
def artgen_generators():
    print("I am asked")
    return [component("painter", partner="dense")]

class Made: pass
"""
)
TINY = """
[data.digits]
resolution = 8
[generator.painter]
[critic.dense]
[losses.hinge]
[trainer.adversarial]
[[phase]]
images = 8
batch = 8
"""


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Zoo:
    """A folder of distributions, each with one plugin, as the only ones beside artgen's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.install("zoo-healthy", HEALTHY)
        (folder / "tiny.toml").write_text(TINY)

    def install(self, distribution: str, code: str, *, name: str = "", value: str = "", version: str = "1.2") -> Path:
        module = distribution.replace("-", "_")
        file = self.folder / f"{module}.py"
        file.write_bytes(textwrap.dedent(code).encode())
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[artgen]\n{name or distribution} = {value or module}\n")
        return file

    def artgen(self, *arguments: str, **environment: str) -> Answer:
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-c", "from artgen.cli.main import main; main()", *arguments],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
            | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Zoo:
    zoo = Zoo(tmp_path_factory.mktemp("zoo"))
    for name, case in ZOO.items():
        zoo.install(f"zoo-{name}", case.code)
    zoo.install("zoo-chatty", CHATTY)
    zoo.install("zoo-first", HEAD + LISTENS, name="zoo-clash")
    zoo.install("zoo-second", HEAD + LISTENS, name="zoo-clash")
    zoo.install("zoo-again", "", name="zoo-late", value="zoo_chatty")
    zoo.install("zoo-nowhere", "", value="zoo_nowhere.deep:x")
    zoo.install("zoo-absent", "", value="zoo_healthy:absent")
    return zoo


@pytest.fixture(scope="module")
def listed(zoo) -> dict[str, dict]:
    """`artgen plugins ls --json` by distribution."""
    done = zoo.artgen("plugins", "ls", "--json")
    assert done.code == 0, done.err
    return {plugin["distribution"]: plugin for plugin in json.loads(done.out)}


@pytest.fixture(scope="module")
def checked(zoo) -> tuple[Answer, dict[str, dict]]:
    """`artgen plugins check --json` by distribution."""
    done = zoo.artgen("plugins", "check", "--json")
    return done, {plugin["distribution"]: plugin for plugin in json.loads(done.out)}


@pytest.mark.parametrize("name", ZOO)
def test_each_is_told_with_cause_owner_file_and_hook(zoo, listed, checked, name):
    case = ZOO[name]
    plugin, looked = listed[f"zoo-{name}"], checked[1][f"zoo-{name}"]
    file = str(zoo.folder / f"zoo_{name.replace('-', '_')}.py")
    assert (plugin["plugin"], plugin["version"], plugin["file"]) == (f"zoo-{name}", "1.2", file)
    assert plugin["state"] == looked["state"] == case.state
    if case.where == "check":
        [told] = looked["faults"]
    elif case.where == "warnings":
        [told] = plugin["warnings"]
        assert told in looked["faults"]
    else:
        told = plugin["cause"]
        assert looked["faults"] == [looked["cause"]]
    assert re.search(case.told, told), told
    assert case.hook in told
    if case.line:
        assert f"({file}, line {case.line})" in told


def test_names_that_clash(listed):
    for distribution in ("zoo-first", "zoo-second"):
        assert listed[distribution]["state"] == "clashing"
        assert listed[distribution]["cause"] == "the plugin name 'zoo-clash' is used by 'zoo-first', 'zoo-second'"


def test_a_broken_plugin_listens_to_nothing(listed):
    assert listed["zoo-signature"]["listens"] == {}
    assert listed["zoo-path"]["listens"] == {"artgen_saved": "required"}


def test_one_module_twice(listed):
    assert listed["zoo-chatty"]["state"] == "healthy"
    assert listed["zoo-again"]["cause"] == "the same module is already loaded as 'zoo-chatty' (zoo-chatty 1.2)"


def test_entry_points_that_lead_nowhere(listed):
    assert "ModuleNotFoundError" in listed["zoo-nowhere"]["cause"]
    assert "AttributeError" in listed["zoo-absent"]["cause"]


def test_the_healthy_ones_stay_healthy(zoo, listed, checked):
    for found in (listed, checked[1]):
        assert found["artgen"]["state"] == found["zoo-healthy"]["state"] == found["zoo-chatty"]["state"] == "healthy"
    assert checked[1]["zoo-healthy"]["faults"] == checked[1]["zoo-chatty"]["faults"] == []


def test_a_recipe_that_needs_none_of_them_is_checked_and_their_prints_mix_with_no_result(zoo):
    done = zoo.artgen("check", "tiny.toml", "--filled")
    assert done.code == 0
    assert "hello, I am imported" in done.err
    assert done.out.startswith("seed = 0")


def test_a_recipe_that_needs_one_is_stopped(zoo):
    (zoo.folder / "needy.toml").write_text(TINY.replace("generator.painter", "generator.zoo-missing"))
    done = zoo.artgen("check", "needy.toml")
    assert done.code == 5
    assert "No module named 'no_such_package'" in done.err


def test_the_check_names_all_of_them_and_fails(zoo, checked):
    done, found = checked
    assert done.code == 5
    faulty = [name for name, plugin in found.items() if plugin["faults"]]
    assert len(faulty) >= len(ZOO) + 5
    assert all(f"'{found[name]['plugin']}'" in done.err for name in faulty)


def test_strictness_stops_every_command_and_names_all(zoo, listed):
    for command in (("check", "tiny.toml"), ("plugins", "ls")):
        done = zoo.artgen(*command, ARTGEN_STRICT_PLUGINS="1")
        assert done.code == 5
        for name, plugin in listed.items():
            if plugin["cause"] or plugin["warnings"]:
                assert f"({name} {plugin['version']}): " in done.err
    assert "zoo-missing" in done.out  # and is listed all the same


def test_the_disabled_are_not_imported(zoo):
    names = ",".join(["zoo_chatty", "zoo-raises", "zoo-clahs"])
    done = zoo.artgen("plugins", "ls", "--json", ARTGEN_DISABLE_PLUGINS=names)
    found = {plugin["distribution"]: plugin for plugin in json.loads(done.out)}
    for name in ("zoo-chatty", "zoo-raises"):
        assert (found[name]["state"], found[name]["cause"]) == ("blocked", "ARTGEN_DISABLE_PLUGINS names it")
    assert found["zoo-again"]["state"] == "healthy"  # the same module, by its other name
    assert "ARTGEN_DISABLE_PLUGINS names 'zoo-clahs', which is no plugin" in done.err
    assert "did you mean 'zoo-clash'?" in done.err


def test_a_recipe_that_needs_a_disabled_one_says_so(zoo):
    names = ",".join(["zoo-healthy", *(f"zoo-{name}" for name in ZOO), "zoo-nowhere", "zoo-absent", "zoo-again"])
    done = zoo.artgen("check", "tiny.toml", ARTGEN_DISABLE_PLUGINS=names)
    assert done.code == 5
    assert "'zoo-healthy' (zoo-healthy 1.2)" in done.err
    assert "ARTGEN_DISABLE_PLUGINS" in done.err
