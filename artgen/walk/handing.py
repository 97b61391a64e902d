"""Who does which piece of which film next, and what became of it: the account that executors keep. No torch."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from artgen.errors import ArtgenError, ResourceError
from artgen.walk.jobs import Outcome, Task

MOST_DEATHS = 3
"""So many processes may die over a task; then it is the task's fault."""
MOST_TASKS = 16
"""In one run: enough that nobody waits for the next one."""


class Handing:
    """Hands out tasks in runs, each of one film and without a gap, so that whoever gets it keeps its generator.

    Runs grow shorter towards the end, where all should be done at once. What was in the hands of a process that died is
    handed out again, each task by itself: so the one that kills is found, and its neighbours are not blamed.

    Args:
        tasks: In order; those of one film stand together.
        hands: How many work at once.
        most: How many tasks a run may have.
    """

    def __init__(self, tasks: Sequence[Task], hands: int, most: int = MOST_TASKS) -> None:
        self._waiting, self._again, self._out = deque(tasks), deque[Task](), set[Task]()
        self._hands, self._most = hands, most
        self._faults, self._deaths = dict[str, ArtgenError](), Counter[Task]()

    @property
    def waiting(self) -> int:
        """How many tasks are in nobody's hands."""
        return len(self._again) + len(self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, and all is told."""
        return not self.waiting and not self._out

    def next(self) -> list[Task]:
        """The next run; empty if nothing waits."""
        if self._again:
            run = [self._again.popleft()]
        else:
            most = min(max(len(self._waiting) // (2 * self._hands), 1), self._most)
            run = []
            while self._waiting and len(run) < most and self._waiting[0].film == (run or self._waiting)[0].film:
                run.append(self._waiting.popleft())
        self._out.update(run)
        return run

    def told(self, outcome: Outcome) -> list[Outcome]:
        """Note what became of a task that was handed out; return what is to be yielded.

        Raises:
            ResourceError: That is its fault; the others would have it too.
        """
        if isinstance(outcome.fault, ResourceError):
            raise outcome.fault
        self._out.remove(outcome.task)
        if outcome.fault is None:
            return [outcome]
        film = outcome.task.film
        fault = self._faults.setdefault(film, outcome.fault)
        given_up = [task for task in (*self._again, *self._waiting) if task.film == film]
        self._again = deque(task for task in self._again if task.film != film)
        self._waiting = deque(task for task in self._waiting if task.film != film)
        return [outcome, *(Outcome(task, fault) for task in given_up)]

    def died(self, tasks: Iterable[Task], how: str, remedy: str) -> list[Outcome]:
        """Take back what a process had to do that has died; return what is to be yielded.

        Args:
            tasks: Those that it was handed and that are not told.
            how: What it died of, as far as that is known.
            remedy: What may help.
        """
        outcomes = []
        for task in tasks:
            self._deaths[task] += 1
            fault = self._faults.get(task.film)
            if fault is None and self._deaths[task] == MOST_DEATHS:
                fault = ArtgenError(f"{MOST_DEATHS} processes have died over it, {how}", place=str(task), remedy=remedy)
            if fault is None:
                self._out.remove(task)
                self._again.append(task)
            else:
                outcomes += self.told(Outcome(task, fault))
        return outcomes
