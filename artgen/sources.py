"""Where plugins come from: the entry points of installed packages, and single files. Imports none of them by itself."""

from __future__ import annotations

import functools
import importlib.util
import keyword
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from types import CodeType, ModuleType
from typing import Literal

from artgen.errors import PluginError
from artgen.isolation import cause_of

GROUP = "artgen"
FILE = "(file)"
"""Stands where the distribution would for a plugin that is a single file."""
IN_PROCESS = "(in process)"
"""Stands where the distribution would for a plugin that was handed over as an object."""

Origin = Literal["entry point", "--plugin", "ARTGEN_PLUGINS", "in process"]

_log = logging.getLogger(__name__)
_imported: set[str] = set()  # modules that were imported from single files


@dataclass(frozen=True, kw_only=True)
class Source:
    """One plugin before it is loaded.

    Args:
        name: Name of the entry point, or the file's name without its ending.
        distribution: The installed package that declares it, `(file)` or `(in process)`.
        version: That package's version.
        origin: How it was found.
        load: Imports it, or raises whatever it raises.
        file: Finds the module's file, also of one that could not be imported; empty if there is none.
    """

    name: str
    distribution: str
    version: str
    origin: Origin
    load: Callable[[], object]
    file: Callable[[], str]


def installed(points: Iterable[EntryPoint] | None = None) -> list[Source]:
    """The plugins of these entry points, or of all that are installed, in the order of their names."""
    found = _entry_points() if points is None else points
    return sorted(map(_of_point, found), key=lambda source: (source.name, source.distribution, source.version))


def single_files(files: Mapping[str, Origin]) -> list[Source]:
    """The plugins in these files, each of them once."""
    once = {
        os.path.realpath(os.path.expanduser(path)): origin  # noqa: PTH111  # strings
        for path, origin in reversed([*files.items()])
    }
    return [_of_file(path, origin) for path, origin in reversed(once.items())]


def forget_files() -> None:
    """Make room for other files of the same names: a process may be told anew which files are its plugins."""
    while _imported:
        sys.modules.pop(_imported.pop(), None)


def promised_api(file: str) -> int:
    """The API version that a module which cannot be imported was made for, as its text says; 0 if it does not."""
    try:
        with open(file, "rb") as text:  # noqa: PTH123  # a string
            said = re.search(rb"^ARTGEN_API\s*=\s*(\d{1,9})\s*(#.*)?$", text.read(1_000_000), re.MULTILINE)
    except (OSError, ValueError):
        return 0
    return int(said[1]) if said else 0


def plain(name: str) -> str:
    """A distribution's name as the packaging standards compare it: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of_point(point: EntryPoint) -> Source:
    distribution, version = _described(point.dist) if point.dist else ("(unknown)", "")
    return Source(
        name=point.name,
        distribution=distribution,
        version=version,
        origin="entry point",
        load=point.load,
        file=functools.partial(_module_file, point),
    )


def _entry_points() -> list[EntryPoint]:
    """All entry points of group `artgen`; a package with unreadable ones costs nobody but itself."""
    try:
        return list(entry_points(group=GROUP))
    except Exception:
        points: dict[tuple[str, str], EntryPoint] = {}
        for distribution in distributions():
            try:
                for point in distribution.entry_points.select(group=GROUP):
                    points.setdefault((plain(distribution.name), point.name), point)
            except Exception as error:
                _log.warning("The entry points of an installed package cannot be read: %s", cause_of(error))
        return list(points.values())


@functools.cache
def _described(distribution: Distribution) -> tuple[str, str]:
    """Name and version of a distribution; its own parser of METADATA reads the whole page, and takes a millisecond."""
    try:
        head = (distribution.read_text("METADATA") or "").partition("\n\n")[0]
        told = dict(line.split(": ", 1) for line in head.splitlines() if line.startswith(("Name: ", "Version: ")))
        return told.get("Name") or str(distribution.name), told.get("Version") or str(distribution.version)
    except Exception:
        return "(unreadable)", ""


def _module_file(point: EntryPoint) -> str:
    try:
        module = sys.modules.get(point.module)
        spec = None if module else importlib.util.find_spec(point.module.partition(".")[0])
        return str((module.__file__ if module else spec.origin if spec else None) or "")
    except Exception:
        return ""


def _of_file(path: str, origin: Origin) -> Source:
    name = os.path.basename(path).removesuffix(".py")  # noqa: PTH119  # a string
    return Source(
        name=name,
        distribution=FILE,
        version="",
        origin=origin,
        load=functools.partial(_import_file, path, name),
        file=lambda: path,
    )


class _FileLoader(SourceFileLoader):
    """Reads the source anew each time and writes no bytecode: the file is being worked on."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import_file(path: str, name: str) -> ModuleType:
    """Import a single file as the module `name`, so that a factory `"name:Class"` finds it, and a pickle too.

    Raises:
        PluginError: There is no such file, or it cannot have this name.
    """
    if not os.path.isfile(path):  # noqa: PTH113  # a string
        raise PluginError("there is no such file")
    if not path.endswith(".py"):
        raise PluginError("a plugin's file ends in .py")
    if name == "__init__":
        return _loaded_package(path)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise PluginError(f"'{name}' is no name of a Python module; rename the file, to {_module_name(name)}.py say")
    taken = _module_of(name)
    if isinstance(taken, ModuleType) and _is_of(taken.__spec__, path) and not isinstance(taken.__loader__, _FileLoader):
        return taken  # it is also installed, and was imported as that
    spec = taken.__spec__ if isinstance(taken, ModuleType) else taken
    if taken is not None and not _is_of(spec, path):
        where = f": {spec.origin}" if spec and spec.origin else ""
        raise PluginError(f"the module name '{name}' is taken already{where}; rename this file")
    loader = _FileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # a loader was given
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _imported.add(name)
    return module


def _loaded_package(path: str) -> ModuleType:
    """The package of an `__init__.py`, if it is also installed and was imported as that.

    Raises:
        PluginError: It was not; by itself the file would be no package.
    """
    end = os.path.join(os.path.basename(os.path.dirname(path)), "__init__.py")  # noqa: PTH118, PTH119, PTH120  # strings
    for module in [*sys.modules.values()]:
        spec = getattr(module, "__spec__", None)
        if isinstance(spec, ModuleSpec) and (spec.origin or "").endswith(end) and _is_of(spec, path):
            return module
    raise PluginError("it is part of a package, and no single file; install the package: `pip install -e FOLDER`")


def _module_of(name: str) -> ModuleType | ModuleSpec | None:
    """What `import name` would give; a folder without `__init__.py` does not count, for it is everywhere."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    return spec if spec is not None and spec.origin is not None else None


def _is_of(spec: ModuleSpec | None, path: str) -> bool:
    return spec is not None and spec.origin is not None and os.path.realpath(spec.origin) == path


def _module_name(name: str) -> str:
    """A module's name like this one."""
    word = re.sub(r"\W+", "_", name).strip("_") or "plugin"
    return f"my_{word}" if not word.isidentifier() or keyword.iskeyword(word) else word
