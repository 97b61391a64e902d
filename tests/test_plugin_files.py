"""A plugin that is a single file: for trying, without a package."""

from __future__ import annotations

import os
import pickle
import sys

import pytest

from artgen.errors import PluginError
from artgen.plugins import Plugins, load_plugins, use_files

WEAVE = """
from __future__ import annotations
from artgen import Component, Options, hookimpl

ARTGEN_API = 1

class WeaveOptions(Options):
    threads: int = 3
    \"\"\"How many.\"\"\"

class Weaver:
    def __init__(self, options): self.options = options

@hookimpl
def artgen_features() -> list[Component]:
    return [Component(kind="features", name="weave", summary="Threads", options=WeaveOptions, factory="weave:Weaver")]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file; which plugins this process has is forgotten at the end."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)

    def write(path, code=WEAVE):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
        return str(file)

    yield write
    use_files(())
    load_plugins.cache_clear()
    for name in set(sys.modules) - before:
        if name in ("weave", "patch"):
            del sys.modules[name]


def only(*files, origin="--plugin"):
    return Plugins(points=(), files=dict.fromkeys(files, origin))


def one(plugins, name="weave"):
    [plugin] = [plugin for plugin in plugins.plugins if plugin.name == name]
    return plugin


def test_a_file_is_a_plugin_with_its_origin(write):
    file = write("weave.py")
    plugins = only(file)
    plugin = one(plugins)
    assert (plugin.state, plugin.cause, plugin.distribution, plugin.version) == ("healthy", "", "(file)", "")
    assert (plugin.origin, plugin.file, plugin.api, plugin.warnings) == ("--plugin", file, 1, ())
    component = plugins.component("features", "weave")
    assert component.load()(component.options()).options.threads == 3


def test_what_it_defines_can_be_pickled(write):
    component = only(write("weave.py")).component("features", "weave")
    options = component.options(threads=5)
    assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301  # our own
    assert component.options.__module__ == "weave"


def test_it_is_read_anew_each_time_and_leaves_no_bytecode(write, tmp_path):
    file = write("weave.py")
    assert only(file).component("features", "weave").summary == "Threads"
    write("weave.py", WEAVE.replace("Threads", "Strands"))  # as long, in the same second
    assert only(file).component("features", "weave").summary == "Strands"
    assert [path.name for path in tmp_path.iterdir()] == ["weave.py"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("my-weave.py", "'my-weave' is no name of a Python module; rename the file, to my_weave.py say"),
        ("2d.py", "rename the file, to my_2d.py say"),
        ("class.py", "rename the file, to my_class.py say"),
        ("weave.txt", "a plugin's file ends in .py"),
        ("colorsys.py", "the module name 'colorsys' is taken already: "),
        ("torch.py", "the module name 'torch' is taken already: "),
        ("sys.py", "the module name 'sys' is taken already"),
        ("artgen_dcgan.py", "the module name 'artgen_dcgan' is taken already: "),
        ("__main__.py", "the module name '__main__' is taken already"),
    ],
)
def test_a_name_that_no_module_can_have(write, name, cause):
    before = sys.modules.get(name.removesuffix(".py"))
    [plugin] = only(write(name)).plugins
    assert plugin.state == "broken"
    assert cause in plugin.cause
    assert sys.modules.get(name.removesuffix(".py")) is before


def test_two_files_of_one_name(write):
    plugins = only(write("a/weave.py"), second := write("b/weave.py"))
    first, other = plugins.plugins
    assert (first.state, other.state, other.file) == ("clashing", "broken", second)
    assert "the module name 'weave' is taken already" in other.cause
    assert plugins.component("features", "weave") is first.components[0]


def test_one_file_that_is_named_twice_counts_once(write, tmp_path):
    file = write("weave.py")
    (tmp_path / "link.py").symlink_to(file)
    assert len(only(file, "./weave.py", str(tmp_path / "link.py")).plugins) == 1


def test_a_broken_file_leaves_no_half_module(write):
    plugin = one(only(file := write("weave.py", WEAVE + "1 / 0\n")))
    assert plugin.cause == f"ZeroDivisionError: division by zero ({file}, line 17)"
    assert "weave" not in sys.modules


def test_a_missing_file_is_listed_as_broken(tmp_path):
    plugin = one(only(str(tmp_path / "weave.py"), origin="ARTGEN_PLUGINS"))
    assert (plugin.state, plugin.cause, plugin.origin) == ("broken", "there is no such file", "ARTGEN_PLUGINS")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "weave.py").mkdir()
    assert one(only(str(tmp_path / "weave.py"))).cause == "there is no such file"


def test_a_component_of_a_file_is_told_apart_by_the_name_of_the_file(write):
    plugins = only(write("weave.py"), write("patch.py", WEAVE.replace("weave:", "patch:")))
    with pytest.raises(PluginError, match='Write "weave:weave" or "patch:weave"'):
        plugins.component("features", "weave")
    assert plugins.component("features", "patch:weave").factory == "patch:Weaver"


def test_the_process_has_the_files_that_were_named(write, monkeypatch):
    first, second = write("weave.py"), write("patch.py", WEAVE.replace("weave", "patch"))
    monkeypatch.setenv("ARTGEN_PLUGINS", f"{second}{os.pathsep}{os.pathsep}gone.py{os.pathsep}{first}")
    use_files([first])
    origins = {plugin.name: plugin.origin for plugin in load_plugins().plugins if plugin.origin != "entry point"}
    assert origins == {"weave": "--plugin", "patch": "ARTGEN_PLUGINS", "gone": "ARTGEN_PLUGINS"}
    use_files([first])
    assert load_plugins() is load_plugins()
    use_files([])
    monkeypatch.delenv("ARTGEN_PLUGINS")
    assert all(plugin.origin == "entry point" for plugin in load_plugins().plugins)


def test_another_file_of_the_same_name_may_follow_in_one_process(write):
    for folder in ("a", "b"):
        use_files([write(f"{folder}/weave.py", WEAVE.replace("Threads", folder))])
        assert load_plugins().component("features", "weave").summary == folder


def test_the_init_of_a_package_is_no_single_file(write):
    [plugin] = only(write("package/__init__.py")).plugins
    assert (plugin.state, "install the package" in plugin.cause) == ("broken", True)


def test_the_init_of_an_installed_package_is_the_same_module():
    import artgen_dense

    found = Plugins(files={artgen_dense.__file__: "--plugin"})
    assert "the same module is already loaded as 'dense' (artgen " in one(found, "__init__").cause
