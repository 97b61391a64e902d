"""What all suites share: finding the component, filling its Options, making it; and the checks of Options."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
import torch
from pydantic import ValidationError

from artgen.components import Component, Kind, Options, field_help
from artgen.errors import ArtgenError, PluginError
from artgen.isolation import restored
from artgen.rng import drawing
from artgen.run.making import make
from artgen.testing import options as rules
from artgen.testing.runs import plugins_with, train
from artgen.testing.verdicts import failed, require
from artgen.training import Size


class ComponentContract:
    """What every component promises. Subclass the suite of its kind."""

    kind: ClassVar[Kind]
    component: str = ""
    """Its name, as a recipe gives it."""
    options: Mapping[str, Any] = MappingProxyType({})
    """Its table in a recipe. Small is quick. A fixture of the class may set `self.options`."""
    plugins: Sequence[object] = ()
    """Hook modules that are not installed."""

    @pytest.fixture(autouse=True)
    def _undisturbed(self) -> Iterator[None]:
        """One thread, which is quickest for tiny networks; the random state of the session is put back."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with drawing(0, "contract"):
            yield
        torch.set_num_threads(threads)

    def found(self) -> Component:
        """The component."""
        name = type(self).__name__
        require(self.component, f"Set `component` in {name}: the name that a recipe gives it.")
        try:
            return plugins_with(self.plugins).component(self.kind, self.component)
        except PluginError as error:
            raise failed(f"{error}\nIs it installed (`pip install -e .`)? If not: `plugins = [module]`.") from None

    def filled(self, **more: Any) -> Options:
        """Its Options, read as a recipe's table is."""
        component, table = self.found(), {**self.options, **more}
        try:
            return component.options.model_validate_json(json.dumps(table), context={"": os.getcwd()})  # noqa: PTH109
        except ValidationError as error:
            raise failed(
                f"Set `options` in {type(self).__name__} to a table that a recipe could have.\n{error}"
            ) from None

    def make(self, *given: Any, seed: int = 0) -> Any:
        """Call its factory; what it draws follows from the seed."""
        options, component = self.filled(), self.found()
        with drawing(seed, "weights"):
            return make(component, options, *given)

    def require_exact_resume(self, recipe: str, folder: Path, *stops: int) -> None:
        """Train a recipe straight, and stopped after so many steps; the last checkpoints must be the same bytes."""
        folder.joinpath("straight").mkdir()
        straight = train(folder / "straight", recipe, plugins=self.plugins)
        for stop in stops:
            stopped_at = folder / f"stopped-{stop}"
            stopped_at.mkdir()
            stopped = train(stopped_at, recipe, plugins=self.plugins, stop_after_steps=stop)
            differ = sorted({Path(name).stem for name in straight if straight[name] != stopped.get(name)})
            require(
                not differ,
                f"A run that is stopped after step {stop} and goes on ends with other bytes in: {', '.join(differ)}.\n"
                "All that a step depends on must be a parameter, a persistent buffer, or in the trainer's `state_dict` "
                "(no counter, cache or generator of its own); all draws must come from torch's global generator, "
                "within the step; time is the clock that `step` is handed.",
            )

    # What every kind promises

    def test_options_are_documented(self) -> None:
        """Each option has a docstring below it: it is the manual."""
        silent = rules.undocumented(self.found().options, field_help)
        require(not silent, f"Write a docstring below each of these options: {', '.join(silent)}.")

    def test_options_come_back_from_json(self) -> None:
        """Written into a run's recipe and read back, Options are equal; so every default is a value that is allowed."""
        options = self.filled()
        written = options.model_dump_json(by_alias=True, exclude_none=True, round_trip=True)
        try:
            again = type(options).model_validate_json(written)
        except ValidationError as error:
            raise failed(f"A default is no value that a recipe could have. Mend it, or its bounds.\n{error}") from None
        require(
            again == options, f"Options change by a round trip: {options!r} becomes {again!r}. Drop what alters them."
        )

    def test_options_refuse_what_is_out_of_bounds(self) -> None:
        """A value outside of `ge`, `le`, `min_length`, ... is refused, not taken or bent."""
        options = self.filled()
        table = json.loads(options.model_dump_json(by_alias=True, exclude_none=True, round_trip=True))
        taken = [
            f"{name} = {json.dumps(value)} ({bound})"
            for name, value, bound in rules.out_of_bounds(type(options).model_json_schema(by_alias=True), table)
            if rules.is_taken(type(options), table | {name: value})
        ]
        require(
            not taken,
            f"Values outside of the bounds that the schema tells are taken: {'; '.join(taken)}.\n"
            "Give bounds by `Field(ge=..., le=...)`, and let no validator bend a value into them.",
        )

    def test_options_have_a_schema(self) -> None:
        """`artgen recipe schema` can describe them: every option has a type."""
        try:
            schema = self.found().options.model_json_schema(by_alias=True)
            json.dumps(schema)
        except Exception as error:
            raise failed(f"No JSON Schema can be made of the Options ({error}): use plain types.") from None
        loose = [name for name, field in schema.get("properties", {}).items() if not rules.is_typed(field)]
        require(not loose, f"Give these options a type in place of Any or object: {', '.join(loose)}.")

    def test_factory_leaves_the_process_alone(self, tmp_path: Path) -> None:
        """Making the component changes nothing that the whole process shares, and draws from torch's generator only."""
        factory, options, given = self.found().load(), self.filled(), self.given(tmp_path)
        with restored(draws=False) as changed:  # at the first call a library may be imported, which draws what it likes
            factory(options, *given)
        with restored() as changed_again, drawing(0, "weights"):
            factory(options, *given)
        changed += changed_again
        require(
            not changed,
            f"The factory of {self.component} changes what the whole process shares: "
            f"{', '.join(dict.fromkeys(changed))}.\nDraw weights from torch's global generator, which artgen seeds, "
            "and leave everything else as it is.",
        )

    def given(self, folder: Path) -> tuple[Any, ...]:
        """What the factory is called with, after the options."""
        return ()


def usable_sizes(suite: ComponentContract, sizes: Iterable[tuple[int, int]]) -> list[Size]:
    """Those of the sizes that the component does not refuse; fails where it refuses all, or says not what to do."""
    usable, refusals = [], []
    for size in (Size(*size) for size in sizes):
        try:
            suite.make(size)
        except ArtgenError as error:
            require(
                error.cause and error.remedy,
                f"It refuses {size} px without saying what to do: give the {type(error).__name__} a `remedy`.",
            )
            refusals.append(f"{size}: {error}")
        else:
            usable.append(size)
    told = "\n".join(refusals)
    require(usable, f"It refuses every size in `sizes`; set `sizes` to (height, width) that it can do.\n{told}")
    return usable
