"""`artgen plugins new`: what it writes is installed, passes its own tests and trains, for every kind."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import artgen.testing
from artgen.cli.main import artgen as command_line
from artgen.errors import ArtgenError, RecipeError, ResourceError
from artgen.film import read_frames
from artgen.plugins import load_plugins
from artgen.public import PUBLIC
from artgen.scaffold import KINDS, SUMMARIES, package_files, write_package
from tests.conftest import ROOT
from tests.fresh import TINY

NAMES = {kind: f"my-{kind}" for kind in KINDS}
COMPONENTS = [kind for kind in KINDS if kind != "events"]
# Runs the recipes one after the other in one process: most of a tiny run is the import of torch.
RUN_ALL = """
import json, os, sys
from artgen.cli.main import artgen
if __name__ == "__main__":
    for folder, arguments in json.loads(sys.argv[1]):
        os.chdir(folder)
        artgen(arguments, standalone_mode=False)
"""


@pytest.fixture(scope="module")
def packages(fresh):
    """One package of each kind, installed together."""
    for kind, name in NAMES.items():
        write_package(name, kind, fresh.folder / "packages", load_plugins())
    fresh.shown("pip install ./*", fresh.folder / "packages")
    return {kind: fresh.folder / "packages" / f"artgen-{name}" for kind, name in NAMES.items()}


@pytest.fixture(scope="module")
def listed(fresh, packages):
    """What `artgen plugins ls` says of them."""
    every = json.loads(fresh.shown("artgen plugins ls --json", fresh.folder))
    return {plugin["plugin"]: plugin for plugin in every}


@pytest.fixture(scope="module")
def tested(fresh, packages):
    """Their own tests, run once for all: `{kind: {outcome: how many}}`."""
    folders = " ".join(f"packages/{folder.name}/tests" for folder in packages.values())
    done = fresh.run(f"python -m pytest -q -rfE --rootdir . --junitxml tested.xml {folders}", fresh.folder)
    outcomes = {kind: {"passed": 0, "failed": 0} for kind in KINDS}
    for case in ElementTree.parse(fresh.folder / "tested.xml").iter("testcase"):
        [kind] = [kind for kind in KINDS if f"test_my_{kind}" in f"{case.get('classname')}.{case.get('name')}"]
        bad = any(child.tag in ("failure", "error") for child in case)
        outcomes[kind]["failed" if bad else "passed"] += not any(child.tag == "skipped" for child in case)
    return outcomes, done.stdout


@pytest.fixture(scope="module")
def trained(fresh, packages):
    """Each of their recipes, run for a few steps; the folders of the runs by kind."""
    work = []
    for kind, folder in packages.items():
        tiny = list(TINY)
        if kind == "data":
            tiny = [word.replace("data.atelier", f"data.{NAMES[kind]}") for word in tiny]
        elif kind == "path":
            tiny += ["--set", f"videos.{NAMES[kind]}.fps=0.4"]
        work.append([str(folder), ["run", f"{NAMES[kind]}.toml", *tiny]])
    script = fresh.folder / "run_all.py"
    script.write_text(RUN_ALL)
    command = [fresh.bin / "python", script, json.dumps(work)]
    done = subprocess.run(command, env=fresh.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {kind: folder / "runs" / NAMES[kind] for kind, folder in packages.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_plugin_is_healthy_and_says_what_it_is(kind, listed):
    plugin = listed[NAMES[kind]]
    assert (plugin["state"], plugin["distribution"], plugin["version"]) == ("healthy", f"artgen-my-{kind}", "0.1.0")
    components = [(component["kind"], component["name"], component["summary"]) for component in plugin["components"]]
    assert components == ([] if kind == "events" else [(kind, NAMES[kind], SUMMARIES[kind])])


@pytest.mark.slow  # a generator's, a loss's and a listener's are run by other tests too
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(kind, tested):
    outcomes, told = tested
    assert outcomes[kind]["failed"] == 0, told
    assert outcomes[kind]["passed"] >= 5, told


@pytest.mark.parametrize("kind", KINDS)
def test_recipe_takes_its_first_steps_with_it(kind, trained):
    run = trained[kind]
    assert (run / "samples" / "final.png").is_file()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images"] == 48
    used = (run / "recipe.toml").read_text()
    if kind != "events":
        section = {"loss": "losses", "metric": "metrics", "path": "videos"}.get(kind, kind)
        assert f"[{section}.{NAMES[kind]}]" in used
    figures = json.loads((run / "figures.json").read_text())
    if kind == "metric":
        assert figures.keys() == {"my-metric/colour"}
    elif kind == "features":
        assert "kid/kid" in figures
    elif kind == "loss":
        assert any("generator/my-loss" in row for row in rows)
    elif kind == "path":
        film = run / "videos" / "my-path.mp4"
        assert 'path = "my-path"' in used
        assert [frame.shape for frame in read_frames(film)] == [(256, 256, 3)] * 4
    elif kind == "events":
        lines = (run / "my-events.txt").read_text().splitlines()
        assert lines[0].endswith("The run begins.")
        assert lines[-1].endswith("The run is over: finished.")


def test_packages_are_clean(packages):
    folder = packages["generator"].parent
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *arguments, folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_packages_hold_types(packages):
    folders = [*packages.values(), *(ROOT / "tests" / "third_party").glob("artgen-*")]
    modules = [word for folder in folders for word in ("-p", folder.name.replace("-", "_"))]
    path = os.pathsep.join(map(str, [ROOT, *folders]))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "types", *modules],
        env=os.environ | {"MYPYPATH": path}, cwd=packages["generator"].parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_generator_takes_at_most_seventy_lines_ten_of_them_registration():
    files = package_files("weave", "generator")
    code = [text for path, text in files.items() if path.startswith("artgen_weave/")]
    lines = [line for text in code for line in text.splitlines()]
    assert len(lines) <= 70
    hooks = files["artgen_weave/__init__.py"]
    assert 1 + len(hooks[hooks.index("@hookimpl") :].splitlines()) <= 10  # and the line that says the API version


def test_package_is_complete_and_goes_by_its_name():
    files = package_files("paper-cut", "loss")
    assert list(files) == [
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "artgen_paper_cut/__init__.py",
        "artgen_paper_cut/loss.py",
        "paper-cut.toml",
        "pyproject.toml",
        "tests/test_paper_cut.py",
    ]
    assert f"\nARTGEN_API = {artgen.API_VERSION}\n" in files["artgen_paper_cut/__init__.py"]
    assert 'paper-cut = "artgen_paper_cut"' in files["pyproject.toml"]
    assert "class PaperCutLoss" in files["artgen_paper_cut/loss.py"]
    assert "[losses.paper-cut]" in files["paper-cut.toml"]
    assert [path for path, text in files.items() if "$" in text] == []


@pytest.mark.parametrize("kind", KINDS)
def test_package_uses_only_what_is_public(kind):
    public = {(module, name) for module, names in PUBLIC.items() for name in names}
    public |= {("artgen.testing", name) for name in artgen.testing.__all__}
    used = set()
    for path, text in package_files("weave", kind).items():
        for node in ast.walk(ast.parse(text)) if path.endswith(".py") else ():
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "artgen":
                used |= {(node.module, alias.name) for alias in node.names}
    assert used
    assert used <= public


def test_the_command_tells_what_comes_next(tmp_path, capsys):
    command_line(["plugins", "new", "weave", "--out", str(tmp_path / "mine")], standalone_mode=False)
    told = capsys.readouterr()
    folder = tmp_path / "mine" / "artgen-weave"
    assert told.out == f"{folder}\n"
    commands = [line.strip() for line in told.err.splitlines()[1:]]
    assert commands == [f"cd {folder}", "pip install -e '.[test]'", "python -m pytest", "artgen run weave.toml"]
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(package_files("weave", "generator"))


@pytest.mark.parametrize(
    ("name", "kind", "cause", "remedy"),
    [
        ("Weave", "generator", "lower case", "'weave'"),
        ("my_weave", "generator", "lower case", "'my-weave'"),
        ("my weave", "generator", "lower case", "'my-weave'"),
        ("3d", "generator", "begin with a letter", "another name"),
        ("-x", "generator", "lower case", "'x'"),
        ("", "generator", "lower case", "another name"),
        ("a/../b", "generator", "lower case", "'a-b'"),
        ("weave\n", "generator", "lower case", "'weave'"),
        ("é", "generator", "lower case", "another name"),
        ("class", "generator", "word of the Python language", "another name"),
        ("artgen-weave", "generator", "prefix by itself", "'weave'"),
        ("artgen_weave", "generator", "prefix by itself", "'weave'"),
        ("a" * 41, "generator", "more than 40 letters", "another name"),
        ("dcgan", "critic", "a plugin of this name is installed, from artgen", "plugins ls"),
        ("hinge", "loss", "has a loss of this name", "plugins ls"),
        ("scaffold-probe", "loss", "a package artgen-scaffold-probe is installed", "plugins ls"),
    ],
)
def test_a_name_is_refused_with_a_way_out(tmp_path, monkeypatch, name, kind, cause, remedy):
    site = tmp_path / "site"
    (site / "artgen_scaffold_probe").mkdir(parents=True)
    (site / "artgen_scaffold_probe" / "__init__.py").touch()
    monkeypatch.syspath_prepend(site)
    with pytest.raises(RecipeError) as refused:
        write_package(name, kind, tmp_path / "out", load_plugins())
    assert cause in refused.value.cause
    assert remedy in refused.value.remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("thing", ["file", "folder", "link"])
def test_nothing_is_overwritten(tmp_path, thing):
    taken = tmp_path / "artgen-weave"
    if thing == "file":
        taken.write_text("mine")
    elif thing == "folder":
        taken.mkdir()
    else:
        taken.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecipeError, match="it is there already"):
        write_package("weave", "generator", tmp_path, load_plugins())
    assert [path.name for path in tmp_path.rglob("*")] == ["artgen-weave"]
    assert thing != "file" or taken.read_text() == "mine"


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    written = []

    def write(path, text, encoding):
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        path.write_bytes(text.encode())

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_package("weave", "generator", tmp_path, load_plugins())
    assert len(written) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "here").write_text("")
    with pytest.raises(ArtgenError, match="here"):
        write_package("weave", "generator", tmp_path / "here", load_plugins())


def test_templates_are_in_the_wheel(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("artgen/scaffold/")}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "artgen" / "scaffold").rglob("*.txt")}
    assert there <= packed
    assert len(there) > 30
