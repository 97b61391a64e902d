"""The arrows that must not exist: who imports whom, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from artgen.plugins import load_plugins

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted((ROOT / "artgen").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
PLUGIN_NAMES = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
HEAVY = {"torch", "kornia", "cv2", "numpy", "av"}
LIGHT = ("errors", "components", "contract", "hookspecs", "isolation", "plugins", "recipe", "sources")
COMPONENTS = [component for plugin in load_plugins().plugins for component in plugin.components]


def module_of(path):
    """`artgen.recipe.load` for `artgen/recipe/load.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "plugins" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, *, typing=True):
    """Every name that a file imports, in full: `artgen.training.Clock`. `typing=False` leaves type checks out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if not typing and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(inner) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module_of(path).split(".") + ["x"] * (path.name == "__init__.py")
            above = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def under(names, *roots):
    """Which of the names are one of the roots, or below it."""
    return sorted(name for name in names if any(name == root or name.startswith(f"{root}.") for root in roots))


def identify(path):
    return str(path.relative_to(ROOT))


def source_of(component):
    """The file of a bundled component's code."""
    path = ROOT / "plugins" / component.factory.partition(":")[0].replace(".", "/")
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


def sources(*kinds):
    return sorted({source_of(component) for component in COMPONENTS if component.kind in kinds} & set(PLUGINS))


def test_there_is_something_to_read():
    assert len(CORE) > 20
    assert len(PLUGINS) > 10
    assert "artgen.components.Component" in imports(ROOT / "artgen" / "plugins.py")
    assert sources("generator")
    assert sources("trainer")


@pytest.mark.parametrize("path", CORE, ids=identify)
def test_the_core_imports_no_plugin(path):
    assert not under(imports(path), *PLUGIN_NAMES)


@pytest.mark.parametrize("path", PLUGINS, ids=identify)
def test_a_plugin_imports_no_other_plugin(path):
    own = path.relative_to(ROOT / "plugins").parts[0]
    assert not under(imports(path), *(PLUGIN_NAMES - {own}))


@pytest.mark.parametrize("path", PLUGINS, ids=identify)
def test_a_plugin_imports_no_private_name(path):
    private = [name for name in under(imports(path), "artgen") if any(part[0] == "_" for part in name.split("."))]
    assert not private


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=identify)
def test_only_the_command_line_imports_click(path):
    if not path.is_relative_to(ROOT / "artgen" / "cli"):
        assert not under(imports(path), "click", "artgen.cli")


@pytest.mark.parametrize("path", CORE, ids=identify)
def test_recipes_and_contracts_import_nothing_heavy(path):
    if path.relative_to(ROOT / "artgen").with_suffix("").parts[0] in LIGHT:
        heavy = ("artgen.training", "artgen.run", "artgen.nn", "artgen.data", "artgen.rng", "artgen.device")
        assert not under(imports(path, typing=False), *HEAVY, *heavy)


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("*/__init__.py")), ids=identify)
def test_a_hook_module_imports_nothing_heavy(path):
    heavy = ("artgen.training", "artgen.run", "artgen.nn", "artgen.data", "artgen.rng", "artgen.device")
    assert not under(imports(path, typing=False), *HEAVY, *heavy)


@pytest.mark.parametrize(
    "path", sources("generator", "critic", "loss") + sorted((ROOT / "artgen" / "nn").glob("*.py")), ids=identify
)
def test_networks_and_losses_know_no_recipe_clock_or_data(path):
    assert not under(imports(path), "artgen.recipe", "artgen.run", "artgen.data", "artgen.training.Clock")


@pytest.mark.parametrize("path", sources("trainer"), ids=identify)
def test_a_trainer_touches_no_file_video_or_device(path):
    foreign = ("pathlib", "os", "io", "shutil", "imageio", "av", "PIL", "cv2", "logging")
    assert not under(imports(path), *foreign, "artgen.device", "artgen.run", "artgen.recipe", "artgen.data")


@pytest.mark.parametrize("path", sorted((ROOT / "artgen" / "run").glob("*.py")), ids=identify)
def test_a_run_asks_for_no_component_by_name(path):
    names = {component.name for component in COMPONENTS}
    asked = [
        constant.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare | ast.match_case)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and constant.value in names
    ]
    assert not asked


@pytest.mark.parametrize("path", sorted((ROOT / "artgen" / "recipe").glob("*.py")), ids=identify)
def test_a_recipe_leads_to_no_code(path):
    assert not under(imports(path), "importlib", "runpy", "pickle", "subprocess")
    names = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)]
    called = {node.id for node in names if isinstance(node.ctx, ast.Load)}  # a field may have such a name
    assert not called & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=identify)
def test_one_file_touches_the_manager_of_pluggy(path):
    if module_of(path) not in ("artgen.plugins", "artgen.hookspecs"):
        assert not under(imports(path), "pluggy")


@pytest.mark.parametrize(
    "code",
    ["import artgen", "import artgen.plugins", "import artgen.recipe", "import artgen.plugins as p; p.load_plugins()"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    check = f"import sys\n{code}\nsys.exit(', '.join({HEAVY!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
