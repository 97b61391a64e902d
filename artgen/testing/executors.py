"""What an executor promises."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from artgen.components import Kind
from artgen.errors import ArtgenError, DataError, ResourceError
from artgen.testing.errands import BEAT_SECONDS, ERRANDS, mark_of
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import failed, require
from artgen.walk.jobs import Executor, Job, Outcome, Task

_TASKS = [Task(film, index) for film in ("day", "night") for index in range(5)]


class ExecutorContract(ComponentContract):
    """What an executor promises (`artgen.walk.jobs.Executor`)."""

    kind: ClassVar[Kind] = "executor"
    patience_seconds: float = 20.0
    """How long its processes may take to end."""

    def job(self, folder: Path, errands: Mapping[str, str]) -> Job:
        """A job without networks: what is wrong with which task (`artgen.testing.errands`)."""
        file = folder / "errands.json"
        file.write_text(json.dumps(errands), encoding="utf-8")
        return Job(str(file), (), (), "", str(folder), "cpu", 1, ERRANDS)

    def outcomes(self, folder: Path, errands: Mapping[str, str]) -> dict[Task, ArtgenError | None]:
        """What becomes of two films of five pieces."""
        executor: Executor = self.make()
        with closing(executor.render(self.job(folder, errands), _TASKS)) as rendered:
            told = list(rendered)
        twice = {str(outcome.task) for outcome in told if [one.task for one in told].count(outcome.task) > 1}
        require(not twice, f"It tells twice of {', '.join(sorted(twice))}: yield each task once.")
        absent = [str(task) for task in _TASKS if task not in [outcome.task for outcome in told]]
        require(not absent, f"It never tells of {', '.join(absent)}: yield each task, those of a film at fault too.")
        require(
            all(isinstance(outcome, Outcome) for outcome in told), "It yields something else than artgen.walk.Outcome."
        )
        return dict(told)

    def test_every_task_is_told_once(self, tmp_path: Path) -> None:
        """Each task is done, and yielded once; what its processes print mixes with no answer."""
        told = self.outcomes(tmp_path, {})
        faults = [str(fault) for fault in told.values() if fault is not None]
        require(not faults, f"Nothing is wrong with any task, and it tells of faults: {faults}")
        idle = [str(task) for task in _TASKS if not mark_of(self.job(tmp_path, {}), task).exists()]
        require(not idle, f"Nobody has begun {', '.join(idle)}, of which it tells that they are done.")

    def test_nothing_to_do_is_nothing(self, tmp_path: Path) -> None:
        """Without tasks it yields nothing."""
        executor: Executor = self.make()
        require(not list(executor.render(self.job(tmp_path, {}), [])), "It yields something where there are no tasks.")

    def test_what_a_dead_process_had_to_do_is_done_again(self, tmp_path: Path) -> None:
        """Processes are killed on the way; others take over, and every task is done."""
        told = self.outcomes(tmp_path, {"day/1": "die once", "night/3": "die once"})
        faults = [str(fault) for fault in told.values() if fault is not None]
        require(not faults, f"Two tasks kill the process that does them the first time, and it tells of: {faults}")

    def test_a_task_that_kills_is_given_up(self, tmp_path: Path) -> None:
        """After a few deaths a task is named as the fault of its film; the other film is made."""
        told = self.outcomes(tmp_path, {"day/2": "die"})
        fault = told[Task("day", 2)]
        require(
            fault is not None and "day" in str(fault) and "2" in str(fault) and fault.remedy,
            f"The task kills whoever does it, and this is told: {fault}. Name the film, the piece, and a remedy.",
        )
        self._require_other_film(told)

    def test_a_fault_comes_back_with_its_class(self, tmp_path: Path) -> None:
        """Class, cause, place and remedy of a fault are told as they were raised; the other film is made."""
        job, task = self.job(tmp_path, {}), Task("day", 1)
        told = self.outcomes(tmp_path, {"day/1": "DataError"})
        fault = told[task]
        require(
            type(fault) is DataError
            and (fault.cause, fault.place, fault.remedy) == ("it went wrong", str(mark_of(job, task)), "Mend it."),
            f"A DataError that a task raises comes back as {fault!r}: tell it as `Outcome.to_json` writes it.",
        )
        self._require_other_film(told)

    def test_a_bug_is_the_fault_of_its_film(self, tmp_path: Path) -> None:
        """What nobody foresaw comes back as an ArtgenError that says what it was; the other film is made."""
        told = self.outcomes(tmp_path, {"day/1": "bug"})
        faults = " ".join(str(fault) for task, fault in told.items() if task.film == "day")
        require("KeyError" in faults, f"A KeyError in a task comes back as: {faults}. Call `artgen.walk.jobs.perform`.")
        self._require_other_film(told)

    def test_a_full_disk_stops_all(self, tmp_path: Path) -> None:
        """A ResourceError is raised."""
        try:
            self.outcomes(tmp_path, {"day/1": "ResourceError"})
        except ResourceError:
            return
        raise failed("A ResourceError of a task is not raised, and the others go on into the full disk.")

    def test_nothing_is_left_running(self, tmp_path: Path) -> None:
        """When the generator is closed, nobody goes on with a task."""
        job, task = self.job(tmp_path, {"day/0": "meet", "night/0": "wait"}), Task("night", 0)
        executor: Executor = self.make()
        with closing(executor.render(job, [Task("day", 0), task])) as rendered:
            next(rendered)
        alive = mark_of(job, task).with_suffix(".alive")
        require(alive.exists(), "While one process does a task, no other does the next one: set `options` to two.")
        end, before = time.monotonic() + self.patience_seconds, 0
        while (now := alive.stat().st_mtime_ns) != before:
            require(time.monotonic() < end, "After it was closed, somebody still does a task: end all in a `finally`.")
            before = now
            time.sleep(10 * BEAT_SECONDS)

    def _require_other_film(self, told: Mapping[Task, ArtgenError | None]) -> None:
        lost = [str(task) for task, fault in told.items() if task.film == "night" and fault is not None]
        require(not lost, f"One film has a fault, and another one is not made for it: {', '.join(lost)}.")
