"""What travels between the process that plans films and those that render them: plain values, as JSON. No torch."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

from artgen import errors
from artgen.errors import ArtgenError, Fault, RecipeError, StoppedError
from artgen.isolation import cause_of


class Task(NamedTuple):
    """One piece of a film."""

    film: str
    piece: int

    def __str__(self) -> str:
        return f"film {self.film}, piece {self.piece}"


class Outcome(NamedTuple):
    """What became of a task: it is done, or has a fault."""

    task: Task
    fault: ArtgenError | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; of a fault its class, cause, place and remedy."""
        return {"task": list(self.task), "fault": None if self.fault is None else _fault_to_json(self.fault)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Outcome:
        """What `to_json` gave."""
        return cls(Task(*told["task"]), None if told["fault"] is None else _fault_from_json(told["fault"]))


Tell = Callable[[Outcome], object]
"""Is told of each task as soon as it is done."""


@dataclass(frozen=True)
class Job:
    """All that another process needs to render pieces of the same films: plain values, which travel as JSON.

    Args:
        file: The file of films, or the recipe.
        overrides: Arguments of `--set`.
        plugin_files: Plugins that are single files.
        run: The run of films whose table names none; empty if there is none.
        out: The folder for the films.
        device: `cpu`, `cuda` or `mps`; every process must have it.
        encoders: How many pieces are under way at once.
        work: The function that does tasks, `"module:name"`, called with the job, tasks of one film and a `Tell`.
    """

    file: str
    overrides: tuple[str, ...]
    plugin_files: tuple[str, ...]
    run: str
    out: str
    device: str
    encoders: int
    work: str = "artgen.walk.render:render_tasks"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """What `to_json` gave."""
        return cls(**_with_tuples(json.loads(text)))

    def load(self) -> Callable[[Job, Sequence[Task], Tell], object]:
        """Import the function that does the work."""
        module, _, name = self.work.partition(":")
        function: Callable[[Job, Sequence[Task], Tell], object] = getattr(importlib.import_module(module), name)
        return function


class Executor(Protocol):
    """Has pieces of films rendered by other processes, here or elsewhere, that see the same folders."""

    def render(self, job: Job, tasks: Sequence[Task]) -> Generator[Outcome]:
        """Have all tasks done, by `perform` in other processes, and yield each one, once, as soon as it is.

        A fault is that of a film: its other tasks come with the same one, done or not, and those of other films go on.
        A process that dies is replaced, and what it had to do is done again: what was finished by then costs nothing.
        When the generator is closed, nothing goes on elsewhere. `artgen.walk.handing.Handing` keeps the account.

        Raises:
            ResourceError: Memory or disk is full.
            ArtgenError: No process can be had.
        """
        ...


def perform(job: Job, tasks: Sequence[Task], tell: Tell) -> None:
    """Do tasks of one film in this process, which was started for that; every one of them is told, whatever happens."""
    untold = dict.fromkeys(tasks)

    def tell_once(outcome: Outcome) -> None:
        untold.pop(outcome.task)
        tell(outcome)

    try:
        job.load()(job, tasks, tell_once)
        if untold:
            raise RuntimeError(f"{job.work} tells nothing of it")
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        fault = error if isinstance(error, ArtgenError) else ArtgenError(cause_of(error), place=str(next(iter(untold))))
        for task in untold:
            tell(Outcome(task, fault))


def _with_tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    """An object of JSON, with tuples in the place of arrays."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def _fault_to_json(fault: ArtgenError) -> dict[str, Any]:
    known = next(base.__name__ for base in type(fault).__mro__ if base.__module__ == errors.__name__)
    told: dict[str, Any] = {"class": known, "cause": fault.cause, "place": fault.place, "remedy": fault.remedy}
    if isinstance(fault, RecipeError):
        told["faults"] = [asdict(each) for each in fault.faults]
    if isinstance(fault, StoppedError):
        told["signal"] = fault.exit_code - 128
    return told


def _fault_from_json(told: Mapping[str, Any]) -> ArtgenError:
    kind: type[ArtgenError] = getattr(errors, told["class"])
    said = {"place": told["place"], "remedy": told["remedy"]}
    if issubclass(kind, RecipeError):
        return kind(told["cause"], **said, faults=[Fault(**_with_tuples(each)) for each in told["faults"]])
    if issubclass(kind, StoppedError):
        return kind(told["cause"], signal_number=told["signal"], remedy=told["remedy"])
    return kind(told["cause"], **said)
