"""Plugins are found by entry point, and none of them can hurt another."""

from __future__ import annotations

import random
import sys
import textwrap
import threading
import types

import pytest

from artgen import Component, LossOptions, Options, PluginError, StoppedError, field_help, hookimpl
from artgen.hookspecs import Events
from artgen.plugins import Plugins, UnknownComponentError, load_plugins

GOOD = """
from artgen import Component, DataOptions, LossOptions, Options, hookimpl

def component(name="toy", kind="generator", options=Options, factory="toy.networks:Toy", summary="A toy", **more):
    return Component(kind=kind, name=name, summary=summary, options=options, factory=factory, **more)
"""
TOY = GOOD + "@hookimpl\ndef artgen_generators():\n    return [component()]\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a one-module distribution as pip would, only for this test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(module, code, *, name=None, distribution=None, version="1.2", value=None, points=None):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        distribution = distribution or f"artgen-{module.replace('_', '-')}"
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(points or f"[artgen]\n{name or module} = {value or module}\n")

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("zoo_"):
            del sys.modules[module]


def one(plugins, name):
    [plugin] = [plugin for plugin in plugins.plugins if plugin.name == name]
    return plugin


def test_an_installed_plugin_is_found_with_its_origin(install, tmp_path):
    install("zoo_toy", TOY)
    plugin = one(Plugins(), "zoo_toy")
    assert (plugin.state, plugin.distribution, plugin.version) == ("healthy", "artgen-zoo-toy", "1.2")
    assert plugin.file == str(tmp_path / "zoo_toy.py")
    assert [component.name for component in plugin.components] == ["toy"]
    assert plugin.hooks == ("artgen_generators",)


BROKEN = {
    "import error": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "syntax error": ("def (:", "SyntaxError"),
    "exit at import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "exception at import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "deep recursion at import": ("def f(): f()\nf()", "RecursionError"),
    "no hook": ("x = 1", "it implements no hook"),
    "unmarked hook": ("def artgen_losses(): return []", "artgen_losses is not marked with @artgen.hookimpl"),
    "unknown hook": (
        "@hookimpl\ndef artgen_loses(): return []",
        "unknown hook artgen_loses; did you mean artgen_losses?",
    ),
    "unknown argument": (
        "@hookimpl\ndef artgen_saved(foldr): pass",
        "unknown argument 'foldr'; did you mean 'folder'?",
    ),
    "keyword-only": ("@hookimpl\ndef artgen_saved(*, folder): pass", "argument 'folder' is keyword-only"),
    "variadic": ("@hookimpl\ndef artgen_saved(**all): pass", "argument 'all' is keyword-only or variadic"),
    "default": ("@hookimpl\ndef artgen_saved(folder=None): pass", "argument 'folder' has a default"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef artgen_losses():\n    return (yield)", "wrapper"),
    "generator": ("@hookimpl\ndef artgen_losses():\n    yield 1", "generator or a coroutine"),
    "coroutine": ("@hookimpl\nasync def artgen_losses():\n    return []", "generator or a coroutine"),
    "hook raises": ("@hookimpl\ndef artgen_losses():\n    raise KeyError('x')", "KeyError: 'x'"),
    "hook exits": ("@hookimpl\ndef artgen_losses():\n    raise SystemExit", "SystemExit"),
    "no list": ("@hookimpl\ndef artgen_losses():\n    return component()", "returned Component, not a list"),
    "nothing": ("@hookimpl\ndef artgen_losses(): pass", "returned NoneType, not a list"),
    "no component": ("@hookimpl\ndef artgen_generators():\n    return [Options]", "not artgen.Component"),
    "wrong kind": ("@hookimpl\ndef artgen_critics():\n    return [component()]", "hands over the kind 'critic'"),
    "bad name": ("@hookimpl\ndef artgen_generators():\n    return [component('A b')]", "a name is lower case"),
    "name is no text": ("@hookimpl\ndef artgen_generators():\n    return [component(7)]", "a name is lower case"),
    "bad summary": ("@hookimpl\ndef artgen_generators():\n    return [component(summary=' ')]", "one line of text"),
    "bad options": ("@hookimpl\ndef artgen_generators():\n    return [component(options=dict)]", "artgen.Options"),
    "loss without weight": (
        "@hookimpl\ndef artgen_losses():\n    return [component(kind='loss')]",
        "artgen.LossOptions",
    ),
    "data without size": (
        "@hookimpl\ndef artgen_datasets():\n    return [component(kind='data')]",
        "artgen.DataOptions",
    ),
    "loose options": (
        "class Loose(Options):\n    model_config = {'extra': 'allow'}\n"
        "@hookimpl\ndef artgen_generators():\n    return [component(options=Loose)]",
        "Loose changes the model_config",
    ),
    "reserved field": (
        "class Used(Options):\n    use: int = 1\n"
        "@hookimpl\ndef artgen_generators():\n    return [component(options=Used)]",
        "has a field 'use'",
    ),
    "bad factory": (
        "@hookimpl\ndef artgen_generators():\n    return [component(factory='toy')]",
        "package.module:attribute",
    ),
    "bad partner": ("@hookimpl\ndef artgen_generators():\n    return [component(partner='A B')]", "partner"),
    "bad side": (
        "@hookimpl\ndef artgen_generators():\n    return [component(needs={'both': ()})]",
        "'needs' and 'gives'",
    ),
    "bad fields": (
        "@hookimpl\ndef artgen_generators():\n    return [component(needs={'critic': 'real'})]",
        "a tuple of names",
    ),
    "twice": ("@hookimpl\ndef artgen_generators():\n    return [component(), component()]", "handed over twice"),
}


@pytest.mark.parametrize(("code", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_told_with_its_cause_and_hurts_nobody(install, tmp_path, code, cause):
    install("zoo_toy", TOY)
    install("zoo_broken", GOOD + code)
    plugins = Plugins()
    broken = one(plugins, "zoo_broken")
    assert broken.state == "broken"
    assert cause in broken.cause
    assert (broken.distribution, broken.version) == ("artgen-zoo-broken", "1.2")
    assert broken.file == str(tmp_path / "zoo_broken.py")
    assert plugins.component("generator", "toy").summary == "A toy"


def test_the_place_in_the_code_is_told(install, tmp_path):
    install("zoo_broken", "\n\n\n1 / 0")
    assert one(Plugins(), "zoo_broken").cause.endswith(f"({tmp_path / 'zoo_broken.py'}, line 4)")


@pytest.mark.parametrize("value", ["zoo_toy:nothing", "not a module", "zoo_nowhere.deep:x"])
def test_an_entry_point_that_leads_nowhere(install, value):
    install("zoo_toy", TOY, value=value)
    assert one(Plugins(), "zoo_toy").state == "broken"


def test_ctrl_c_at_import_is_not_swallowed(install):
    install("zoo_slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Plugins()


def test_unreadable_entry_points_of_another_package_cost_nobody_but_itself(install, caplog):
    install("zoo_toy", TOY)
    install("zoo_odd", "", points="[artgen]\nno equals sign\n")
    assert Plugins().component("generator", "toy").name == "toy"
    assert "entry points of an installed package cannot be read" in caplog.text


def test_one_module_under_two_names_counts_once(install):
    install("zoo_toy", TOY)
    install("zoo_other", "", name="again", value="zoo_toy")
    plugins = Plugins()
    states = {name: one(plugins, name).state for name in ("again", "zoo_toy")}
    assert sorted(states.values()) == ["broken", "healthy"]
    assert plugins.component("generator", "toy").name == "toy"


def test_two_distributions_may_use_one_plugin_name(install):
    install("zoo_first", TOY, name="zoo")
    install("zoo_second", TOY.replace("component()]", "component('other')]"), name="zoo")
    plugins = Plugins()
    pair = [plugin for plugin in plugins.plugins if plugin.name == "zoo"]
    assert [plugin.state for plugin in pair] == ["clashing", "clashing"]
    assert all("'artgen-zoo-first', 'artgen-zoo-second'" in plugin.cause for plugin in pair)
    assert plugins.component("generator", "toy") is pair[0].components[0]
    assert plugins.component("generator", "zoo:other") is pair[1].components[0]


def test_two_plugins_may_claim_one_component_until_it_is_used(install):
    install("zoo_first", TOY)
    install("zoo_second", TOY)
    plugins = Plugins()
    with pytest.raises(PluginError) as caught:
        plugins.component("generator", "toy")
    assert caught.value.exit_code == 5
    assert "'zoo_first' (artgen-zoo-first 1.2) and 'zoo_second' (artgen-zoo-second 1.2)" in str(caught.value)
    assert '"artgen-zoo-first:toy"' in str(caught.value)
    first, second = one(plugins, "zoo_first"), one(plugins, "zoo_second")
    for name in (
        "artgen-zoo-second:toy",
        "artgen_zoo.second:toy",
        "zoo_second:toy",
        "artgen-zoo-second:zoo_second:toy",
    ):
        assert plugins.component("generator", name) is second.components[0]
    named = plugins.components("generator")
    assert named["artgen-zoo-first:toy"] is first.components[0]
    assert "toy" not in named
    assert plugins.owner(second.components[0]) is second


def test_two_plugins_of_one_distribution_are_told_apart_by_their_own_names(install):
    install("zoo_first", TOY, points="[artgen]\nzoo_first = zoo_first\nzoo_second = zoo_second\n")
    install("zoo_second", TOY, points="[artgen]\n")
    plugins = Plugins()
    with pytest.raises(PluginError, match='"zoo_first:toy" or "zoo_second:toy"'):
        plugins.component("generator", "artgen-zoo-first:toy")
    assert plugins.component("generator", "zoo_second:toy") is one(plugins, "zoo_second").components[0]


class Toys:
    """A plugin at hand as an object."""

    @hookimpl
    def artgen_losses(self):
        names = ("hinge", "wasserstein")
        return [
            Component(kind="loss", name=name, summary="A loss", options=LossOptions, factory="no.module:Loss")
            for name in names
        ]


def test_an_unknown_component_is_told_with_the_nearest():
    plugins = Plugins([Toys()], points=())
    with pytest.raises(UnknownComponentError, match="Did you mean 'wasserstein'"):
        plugins.component("loss", "waserstein")
    with pytest.raises(UnknownComponentError, match="There is 'hinge', 'wasserstein'"):
        plugins.component("loss", "x")
    with pytest.raises(UnknownComponentError, match="No installed plugin has a metric"):
        plugins.component("metric", "hinge")


def test_a_missing_component_may_belong_to_a_broken_plugin(install):
    install("zoo_broken", "import no_such_package")
    with pytest.raises(
        PluginError, match=r"may belong to a broken plugin: 'zoo_broken' .ModuleNotFoundError"
    ) as caught:
        Plugins().component("loss", "quite-another")
    assert not isinstance(caught.value, UnknownComponentError)


def test_a_component_of_a_broken_plugin_names_it(install):
    install("zoo_broken", TOY + "@hookimpl\ndef artgen_losses(): return 1\n")
    with pytest.raises(
        PluginError, match=r"comes from the plugin 'zoo_broken' .*, which is broken: artgen_losses returned"
    ):
        Plugins().component("generator", "toy")


def test_without_an_install_the_remedy_is_to_install():
    with pytest.raises(PluginError, match="pip install -e"):
        Plugins(points=()).component("generator", "dcgan")


def test_a_factory_that_cannot_be_imported_names_the_component():
    with pytest.raises(PluginError, match=r"loss 'hinge' .no\.module:Loss.: ModuleNotFoundError"):
        Plugins([Toys()], points=()).component("loss", "hinge").load()


class Listener:
    """Notes what it is told; may do mischief, after which it is muted."""

    def __init__(self, mischief=lambda scalars: None):
        self.told, self.mischief = [], mischief

    @hookimpl(optional=True)
    def artgen_step_shown(self, scalars):
        self.told.append(dict(scalars))
        self.mischief(scalars)

    @hookimpl
    def artgen_run_ended(self, outcome):
        self.told.append(outcome)


class Required(Listener):
    """The same, and the run stops."""

    @hookimpl
    def artgen_step_shown(self, scalars):
        super().artgen_step_shown(scalars)


def shown(plugins, images=1):
    plugins.event("artgen_step_shown", folder=None, scalars={"images": images})


@pytest.mark.parametrize("error", [ValueError, SystemExit, MemoryError])
def test_a_listener_that_raises_is_reported_once_and_muted(caplog, error):
    def raises(scalars):
        raise error("mischief")

    bad, good = Listener(raises), Listener()
    plugins = Plugins([bad, good], points=())
    for step in range(3):
        plugins.event("artgen_step_shown", folder=None, scalars={"images": step})
    plugins.event("artgen_run_ended", folder=None, outcome="finished")
    assert bad.told == [{"images": 0}, "finished"]
    assert good.told == [{"images": 0}, {"images": 1}, {"images": 2}, "finished"]
    [record] = caplog.records
    assert "Plugin 'Listener'" in record.getMessage()
    assert "mischief" in record.getMessage()


@pytest.mark.parametrize("error", [ValueError, SystemExit, MemoryError])
def test_a_required_listener_that_raises_stops_the_run_after_all_were_told(error):
    def raises(scalars):
        raise error("mischief")

    bad, good = Required(raises), Listener()
    plugins = Plugins([bad, good], points=())
    for images in range(2):
        with pytest.raises(PluginError, match=r"plugin 'Required' .*artgen_step_shown failed: .*mischief") as caught:
            shown(plugins, images)
        assert isinstance(caught.value.__cause__, error)
        assert "ARTGEN_DISABLE_PLUGINS=Required" in caught.value.remedy
    assert good.told == bad.told == [{"images": 0}, {"images": 1}]


def test_the_fault_of_a_listener_names_plugin_version_file_and_hook(install, tmp_path):
    install("zoo_bad", "from artgen import hookimpl\n@hookimpl\ndef artgen_saved(images):\n    1 / 0\n")
    with pytest.raises(PluginError) as caught:
        Plugins().event("artgen_saved", folder=None, checkpoint=tmp_path, images=3)
    file = tmp_path / "zoo_bad.py"
    assert caught.value.place == f"plugin 'zoo_bad' (artgen-zoo-bad 1.2), {file}"
    assert caught.value.cause == f"artgen_saved failed: ZeroDivisionError: division by zero ({file}, line 4)"


def test_of_two_faults_the_first_is_raised_and_the_second_told(caplog):
    def raises(scalars):
        raise ValueError("mischief")

    class Second(Required):
        pass

    with pytest.raises(PluginError, match="'Required'"):
        shown(Plugins([Required(raises), Second(raises)], points=()))
    assert "'Second'" in caplog.text


def test_what_a_listener_does_to_global_state_is_undone_and_told_once(caplog, capsys):
    def meddle(scalars):
        random.seed(0)
        print("chatter")  # noqa: T201

    plugins, state = Plugins([Listener(meddle)], points=()), random.getstate()
    for images in range(3):
        shown(plugins, images)
    assert random.getstate() == state
    assert caplog.text.count("artgen_step_shown changed Python's random state; that is undone") == 1
    assert capsys.readouterr() == ("", "chatter\n" * 3)


@pytest.mark.parametrize("kind", [Listener, Required])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), StoppedError("interrupted", signal_number=2)], ids=["^C", "stop"]
)
def test_a_signal_while_a_listener_works_is_nobodys_fault(caplog, kind, wrapped, stop):
    def interrupted(scalars):
        try:
            raise stop
        except BaseException as error:
            if wrapped:
                raise RuntimeError("the file is half written") from error
            raise

    plugins = Plugins([bad := kind(interrupted)], points=())
    for _ in range(2):
        with pytest.raises(type(stop)):
            shown(plugins)
    assert len(bad.told) == 2  # it is not muted
    assert not caplog.records


def test_settings_are_put_back_however_often_a_listener_is_told():
    plugins = Plugins([Listener(lambda scalars: sys.setrecursionlimit(limit + 7))], points=())
    limit = sys.getrecursionlimit()
    for images in range(30):
        shown(plugins, images)
        assert sys.getrecursionlimit() == limit


def test_an_error_in_flight_is_not_taken_for_the_listeners(caplog):
    def raises(scalars):
        raise ValueError("mischief")

    plugins = Plugins([Listener(raises)], points=())
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        shown(plugins)
    assert "mischief" in caplog.text


def test_a_listener_cannot_change_what_others_see():
    plugins = Plugins([Listener(lambda scalars: scalars.clear()), good := Listener()], points=())
    scalars = {"images": 1.0}
    plugins.event("artgen_step_shown", folder=None, scalars=scalars)
    assert scalars == {"images": 1.0}
    assert good.told == [{"images": 1.0}]


def test_an_unknown_event_is_an_error_of_the_caller():
    with pytest.raises(KeyError):
        Plugins(points=()).event("artgen_step_shwn")


class Documented(LossOptions):
    """Options with help."""

    sharp: float = 1.0
    """How sharp
    it is."""
    bare: int = 0


def test_help_is_the_docstring_below_a_field():
    help = field_help(Documented)
    assert help["sharp"] == "How sharp it is."
    assert help["bare"] == ""
    assert help["weight"].startswith("Factor of this term")
    assert field_help(type("Made", (Options,), {})) == {}


def test_a_blocked_plugin_is_not_imported(install):
    install("zoo_toy", TOY + "raise KeyboardInterrupt\n")
    for name in ("zoo_toy", "zoo-toy", "Artgen.Zoo_toy", "artgen-zoo-toy:zoo_toy"):
        plugins = Plugins(blocked=[name])
        plugin = one(plugins, "zoo_toy")
        assert (plugin.state, plugin.cause) == ("blocked", "ARTGEN_DISABLE_PLUGINS names it")
        assert plugin.components == ()
        assert plugins.remarks == ()
        for asked in ("toy", "zoo_toy:toy", "artgen-zoo-toy:toy"):
            with pytest.raises(PluginError, match=r"ARTGEN_DISABLE_PLUGINS blocks: 'zoo_toy' .artgen-zoo-toy 1\.2"):
                plugins.component("generator", asked)


def test_an_unknown_owner_is_told():
    with pytest.raises(UnknownComponentError, match="there is no plugin or distribution 'artgen-gone'"):
        Plugins([Toys()], points=()).component("loss", "artgen-gone:hinge")


def test_a_clash_ends_when_one_of_two_is_blocked(install):
    install("zoo_first", TOY, name="zoo")
    install("zoo_second", TOY.replace("component()]", "component('other')]"), name="zoo")
    states = {plugin.distribution: plugin.state for plugin in Plugins(blocked=["artgen-zoo-first"]).plugins}
    assert (states["artgen-zoo-first"], states["artgen-zoo-second"]) == ("blocked", "healthy")


def test_a_name_that_blocks_nothing_is_told(install):
    install("zoo_toy", TOY)
    [remark] = Plugins(blocked=["zoo_toi"]).remarks
    assert remark.startswith("ARTGEN_DISABLE_PLUGINS names 'zoo_toi', which is no plugin")
    assert remark.endswith("did you mean 'zoo_toy'?")


def test_the_variables_have_their_say(install, monkeypatch, caplog):
    install("zoo_toy", TOY)
    install("zoo_broken", "1 / 0")
    monkeypatch.setenv("ARTGEN_DISABLE_PLUGINS", " zoo_toy, zoo_nothing,")
    load_plugins.cache_clear()
    assert one(load_plugins(), "zoo_toy").state == "blocked"
    assert "'zoo_nothing'" in caplog.text
    for strict in ("", "0"):
        monkeypatch.setenv("ARTGEN_STRICT_PLUGINS", strict)
        load_plugins.cache_clear()
        load_plugins()
    monkeypatch.setenv("ARTGEN_STRICT_PLUGINS", "1")
    load_plugins.cache_clear()
    with pytest.raises(PluginError, match=r"'zoo_broken' .artgen-zoo-broken 1\.2.: ZeroDivisionError") as caught:
        load_plugins()
    assert "'zoo_nothing'" in str(caught.value)
    assert "'zoo_toy'" not in str(caught.value)
    monkeypatch.setenv("ARTGEN_DISABLE_PLUGINS", "zoo_broken")
    load_plugins()
    load_plugins.cache_clear()


def test_a_plugin_that_is_waited_for_is_told(install, monkeypatch, caplog):
    monkeypatch.setattr("artgen.isolation.PATIENCE_SECONDS", 0.01)
    install("zoo_slow", TOY + "import zoo_gate\nassert zoo_gate.told.wait(30)\n")
    gate = sys.modules["zoo_gate"] = types.ModuleType("zoo_gate")
    gate.told = threading.Event()
    monkeypatch.setattr("artgen.plugins._tell_waiting", lambda name: gate.told.set() if "zoo_slow" in name else None)
    assert one(Plugins(), "zoo_slow").state == "healthy"


def test_a_deprecated_hook_is_told_of_whoever_implements_it(install, monkeypatch):
    install("zoo_old", "from artgen import hookimpl\n@hookimpl\ndef artgen_saved(): pass\n")
    install("zoo_toy", TOY)
    marks = Events.artgen_saved.artgen_spec | {"warn_on_impl": DeprecationWarning("use artgen_kept")}
    monkeypatch.setattr(Events.artgen_saved, "artgen_spec", marks)
    plugins = Plugins()
    assert one(plugins, "zoo_old").state == "healthy"
    assert one(plugins, "zoo_old").warnings == ("artgen_saved is deprecated: use artgen_kept",)
    assert one(plugins, "zoo_toy").warnings == ()


def test_a_deprecated_component_is_told_once_when_it_is_used(caplog):
    class Old:
        @hookimpl
        def artgen_losses(self):
            return [
                Component(kind="loss", name=name, summary="A loss", options=LossOptions, factory="no.module:Loss",
                          deprecated=deprecated)
                for name, deprecated in (("old", "use 'new' instead"), ("new", ""))
            ]  # fmt: skip

    plugins = Plugins([Old()], points=())
    for name in ("new", "old", "old"):
        plugins.component("loss", name)
    [record] = caplog.records
    assert record.getMessage() == "loss 'old' of 'Old' (in process) is deprecated: use 'new' instead"


def test_both_forms_of_the_marker():
    class Both:
        @hookimpl
        def artgen_saved(self):
            pass

        @hookimpl(optional=True)
        def artgen_run_ended(self):
            pass

    [plugin] = Plugins([Both()], points=()).plugins
    assert (plugin.hooks, plugin.optional_hooks) == (("artgen_run_ended", "artgen_saved"), ("artgen_run_ended",))


def test_the_fault_of_a_factory_names_the_plugin_and_the_place(install, tmp_path):
    install("zoo_toy", TOY.replace('factory="toy.networks:Toy"', 'factory="zoo_code:Toy"'))
    (tmp_path / "zoo_code.py").write_text("import random\nrandom.seed(0)\nraise SystemExit('no')\n")
    state = random.getstate()
    with pytest.raises(PluginError) as caught:
        Plugins().component("generator", "toy").load()
    assert str(caught.value) == (
        f"generator 'toy' (zoo_code:Toy): SystemExit: no ({tmp_path / 'zoo_code.py'}, line 3)\n"
        "  The plugin 'zoo_toy' (artgen-zoo-toy 1.2) is broken or lacks a dependency: see `artgen plugins check`."
    )
    assert random.getstate() == state


def test_what_the_import_of_a_factory_changes_is_undone_and_told(install, tmp_path, caplog):
    install("zoo_toy", TOY.replace('factory="toy.networks:Toy"', 'factory="zoo_code:Toy"'))
    (tmp_path / "zoo_code.py").write_text("import random\nrandom.seed(0)\nclass Toy: pass\n")
    state = random.getstate()
    assert Plugins().component("generator", "toy").load().__name__ == "Toy"
    assert random.getstate() == state
    assert (
        "generator 'toy' of the plugin 'zoo_toy' (artgen-zoo-toy 1.2): the import of zoo_code:Toy changed"
        in caplog.text
    )


def test_a_component_name_that_two_plugins_have_is_warned_of(install):
    install("zoo_one", TOY)
    install("zoo_two", TOY)
    plugins = Plugins()
    plugin = one(plugins, "zoo_one")
    assert plugin.state == "healthy"
    assert plugin.warnings == (
        "generator 'toy' is also provided by 'zoo_two' (artgen-zoo-two 1.2); recipes must write 'artgen-zoo-one:toy'",
    )
    assert "'zoo_one' (artgen-zoo-one 1.2)" in one(plugins, "zoo_two").warnings[0]


def test_where_signals_are_only_noted_an_interrupt_is_the_listeners_own():
    class Listener:
        @hookimpl
        def artgen_saved(self):
            raise KeyboardInterrupt

    plugins = Plugins((Listener(),), points=())
    with pytest.raises(PluginError, match="artgen_saved failed: KeyboardInterrupt"):
        plugins.event("artgen_saved", signals_raise=False, folder=None, checkpoint=None, images=1)
    with pytest.raises(KeyboardInterrupt):
        plugins.event("artgen_saved", folder=None, checkpoint=None, images=1)
