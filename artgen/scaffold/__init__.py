"""A new plugin package, written from the templates beside this file. Imports no torch.

The templates are text, in which `${name}` stands for the plugin's name, and so on (`_words`). `package/` holds what
every plugin has, the folder of a kind its hook module, its code, a test and a recipe.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Literal, get_args

import artgen
from artgen.errors import RecipeError

if TYPE_CHECKING:
    from artgen.plugins import Plugins

PluginKind = Literal[
    "generator", "critic", "loss", "trainer", "augment", "data", "source", "features", "metric", "path", "events"
]
KINDS: tuple[PluginKind, ...] = get_args(PluginKind)

SUMMARIES: dict[PluginKind, str] = {
    "generator": "A colour for each place, from one small network",
    "critic": "A score for each patch of a picture",
    "loss": "Smooth pictures: neighbouring pixels that differ cost something",
    "trainer": "The game of generator and critic, one step each",
    "augment": "Pictures shifted by a few pixels",
    "data": "Painted discs and bars",
    "source": "Pictures in a few flat colours",
    "features": "Lines and their directions, by a bank of Gabor filters",
    "metric": "Distance of mean colours, place by place",
    "path": "A line wound around a torus, past five keyframes or more",
    "events": "A diary of every run, as a text file in its folder",
}
"""What the component of each template does, in the words of `artgen plugins ls`."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_PREFIX = "artgen-"
_SUFFIX = ".txt"
_TEMPLATES = Path(__file__).parent


def write_package(name: str, kind: PluginKind, parent: Path, plugins: Plugins) -> Path:
    """Write the package `artgen-NAME` into a folder of that name.

    Args:
        name: Name of the plugin and of its component: lower case, words joined by `-`.
        kind: What its component is; `events` has none, it listens to runs.
        parent: Where the folder is made.
        plugins: Those that are installed; their names are taken.

    Returns:
        The folder.

    Raises:
        RecipeError: The name cannot be used or is taken, or the folder is there already.
        ResourceError: The disk refused. Nothing is left behind.
    """
    from artgen import files

    _check_name(name)
    _check_free(name, kind, plugins)
    folder, temporary = parent / f"{_PREFIX}{name}", files.unused(parent, files.TEMPORARY)
    with files.disk_trouble(folder, "the package cannot be written"):
        if folder.exists() or folder.is_symlink():
            remedy = "Choose another place with --out, or another name. Nothing was written."
            raise RecipeError("it is there already", place=str(folder), remedy=remedy)
        try:
            for path, text in package_files(name, kind).items():
                file = temporary / path
                files.make_folder(file.parent)
                file.write_text(text, encoding="utf-8")
            files.move(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return folder


def package_files(name: str, kind: PluginKind) -> dict[str, str]:
    """Every file of the package, by its path within it."""
    words, module = _words(name, kind), _module(name)
    places = {
        "ci.yml": ".github/workflows/test.yml",
        "gitignore": ".gitignore",
        "recipe.toml": f"{name}.toml",
        "test.py": f"tests/test_{_snake(name)}.py",
    }
    written = {}
    for template in (file for part in ("package", kind) for file in (_TEMPLATES / part).glob(f"*{_SUFFIX}")):
        own = template.name.removesuffix(_SUFFIX)
        place = places.get(own, f"{module}/{own}" if own.endswith(".py") else own)
        written[place] = Template(template.read_text(encoding="utf-8")).substitute(words)
    return dict(sorted(written.items()))


def _words(name: str, kind: PluginKind) -> dict[str, str]:
    """What stands for what in the templates."""
    holds = "the hook module: what it listens to"
    if kind != "events":
        holds = "the hook module: Options, and what there is; the code itself is in the file beside it"
    return {
        "name": name,
        "snake": _snake(name),
        "module": _module(name),
        "Name": "".join(part.capitalize() for part in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
        "summary": SUMMARIES[kind],
        "holds": holds,
        "artgen": artgen.__version__,
        "api": str(artgen.API_VERSION),
    }


def _snake(name: str) -> str:
    return name.replace("-", "_")


def _module(name: str) -> str:
    return f"artgen_{_snake(name)}"


def _place(name: str) -> str:
    return f"NAME {name[: 2 * _LONGEST]!r}"


def _check_name(name: str) -> None:
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    near = near.removeprefix(_PREFIX)
    if name.startswith((_PREFIX, "artgen_")):
        cause = "the package gets its prefix by itself"
    elif len(name) > _LONGEST:
        cause = f"it has more than {_LONGEST} letters"
    elif keyword.iskeyword(name):
        cause = "it is a word of the Python language"
    elif _NAME.fullmatch(name) is None:
        cause = "a name is lower case letters and digits that begin with a letter, words joined by '-'"
    else:
        return
    usable = near != name and _NAME.fullmatch(near) and len(near) <= _LONGEST and not keyword.iskeyword(near)
    raise RecipeError(cause, place=_place(name), remedy=f"Write {near!r}." if usable else "Choose another name.")


def _check_free(name: str, kind: PluginKind, plugins: Plugins) -> None:
    """Refuse a name that an installed package, plugin or component has."""
    place, remedy = _place(name), "Choose another one. `artgen plugins ls` lists those that are taken."
    taken = next((plugin for plugin in plugins.plugins if plugin.name == name), None)
    if taken is not None:
        raise RecipeError(f"a plugin of this name is installed, from {taken.distribution}", place=place, remedy=remedy)
    if kind != "events" and name in plugins.components(kind):
        owner = plugins.owner(plugins.components(kind)[name])
        raise RecipeError(f"the plugin '{owner}' has a {kind} of this name", place=place, remedy=remedy)
    try:
        version(f"{_PREFIX}{name}")
        found = True
    except PackageNotFoundError:
        found = importlib.util.find_spec(_module(name)) is not None
    if found:
        raise RecipeError(f"a package {_PREFIX}{name} is installed", place=place, remedy=remedy)
