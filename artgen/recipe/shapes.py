"""Something else where a table should be, and tables that no recipe has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from artgen.recipe.advice import about_key
from artgen.recipe.explain import short, shown
from artgen.recipe.findings import Findings
from artgen.recipe.inline import dotted
from artgen.recipe.layers import listed
from artgen.recipe.model import SECTIONS
from artgen.recipe.spans import Key


def no_table(findings: Findings, value: Any, key: Key) -> None:
    """A value, or an array of tables, for a table such as `[run]`."""
    many = _is_tables(value)
    header = _written(findings, key)
    cause = f"expected a table, found {shown(value)}"
    remedy = f"Write [{header}]" + (" with one bracket." if many else " and below it its keys.")
    if isinstance(key[-1], int):
        remedy = f"Write [[{header.rpartition('.')[0]}]] and below it its keys."
    findings.add(key, "E-type", cause, remedy, at="value", expected="a table", found=shown(value))


def no_section(findings: Findings, value: Any, section: str, known: Iterable[str]) -> None:
    """`generator = "dcgan"`, or `[[losses]]`."""
    header, known = _written(findings, (section,)), list(known)
    example = f"Write [{header}.NAME]; there is {listed(known)}." if known else f"No plugin has one for [{header}]."
    if isinstance(value, str) and value in known:
        example = f"Write [{header}.{value}]."
    cause = f"expected a table [{header}.NAME], found {shown(value)}"
    findings.add((section,), "E-type", cause, example, at="value", expected=f"[{header}.NAME]", found=shown(value))


def no_component(findings: Findings, value: Any, key: Key, known: Iterable[str]) -> None:
    """`[losses]` and below it `r1 = 1.0`; or `[[losses.r1]]`."""
    header, known = _written(findings, key), list(known)
    section, label = header.rpartition(".")[0], str(key[-1])
    if _is_tables(value):
        remedy = f"Write [{header}] with one bracket."
    elif label in known:
        remedy = f"Write [{header}] and below it its options."
    else:
        remedy = f"Options stand in [{section}.NAME]; there is {listed(known)}." if known else "No plugin has one."
    cause = f"expected a table [{header}], found {shown(value)}"
    findings.add(key, "E-type", cause, remedy, at="value", expected=f"[{header}]", found=shown(value))


def no_phases(findings: Findings, value: Any) -> None:
    """`[phase]` with one bracket, or `phase = 3`."""
    header = _written(findings, ("phase",))
    cause = f"expected [[{header}]], found {shown(value)}"
    remedy = f"Write [[{header}]] with two brackets."
    if findings.layer.place(("phase",)).source.is_argument:
        remedy = "Write all phases: --set 'phase=[{images = 1000, batch = 16}]'."
    findings.add(("phase",), "E-type", cause, remedy, at="value", expected=f"[[{header}]]", found=shown(value))


def unknown_sections(findings: Findings, known: Iterable[str], elsewhere: Mapping[Key, Iterable[str]]) -> None:
    """Refuse keys and tables that mean nothing at the top."""
    known = list(known)
    for name in findings.layer.values:
        if findings.full:
            return
        if name in ("on", "extends"):
            cause = f"'{name}' has a meaning only at the top of a recipe's file"
            findings.add((name,), "E-key", cause, "Write it into the recipe.", found=name)
        elif name not in known:
            components = {section: findings.plugins.components(kind) for section, kind in SECTIONS.items()}
            homes = [f"[{section}.{name}]" for section, names in components.items() if name in names]
            advice = about_key(name, [*known, "on", "extends"], elsewhere)
            findings.misnamed((), advice)
            remedy = f"Write {' or '.join(homes)}." if homes else advice.remedy
            cause, near = f"unknown key '{short(name)}'", name if homes else advice.nearest
            findings.add((name,), "E-key", cause, remedy, expected=listed(known), found=short(name), nearest=near)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _written(findings: Findings, key: Key) -> str:
    """A key as its file has it, so with `on.cpu` in front."""
    return dotted(findings.layer.place(key).key)
