"""What travels between processes comes as it went, and tasks are handed out so that none is lost and none is blamed."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from artgen.errors import ArtgenError, DataError, Fault, PluginError, RecipeError, ResourceError, StoppedError
from artgen.walk.handing import MOST_DEATHS, Handing
from artgen.walk.jobs import Job, Outcome, Task, perform

JOB = Job("films.toml", ("seed=1", "x=[1,2]"), (), "runs/a", "out", "cpu", 2)


def film(name, count):
    return [Task(name, piece) for piece in range(count)]


def sent(outcome):
    """As it arrives in another process."""
    return Outcome.from_json(json.loads(json.dumps(outcome.to_json())))


# Jobs and outcomes


def test_a_job_comes_as_it_went():
    assert "\n" not in JOB.to_json()
    assert Job.from_json(JOB.to_json().encode()) == JOB
    assert hash(Job.from_json(JOB.to_json())) == hash(JOB)  # a studio is kept by its job


@pytest.mark.parametrize(
    "fault",
    [
        ArtgenError("a", place="b", remedy="c"),
        DataError("höher\nals", place="b"),
        ResourceError("a"),
        RecipeError("a", faults=[Fault(("videos", 3, "fps"), "b", line=3, column=4, via=("x.toml", "y.toml"))]),
        StoppedError("terminated", signal_number=15, remedy="c"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_fault_comes_as_it_went(fault):
    task, found = sent(Outcome(Task("a", 3), fault))
    assert task == Task("a", 3)
    assert type(found) is type(fault)
    assert vars(found) == vars(fault)
    assert (str(found), found.exit_code) == (str(fault), fault.exit_code)


def test_the_fault_of_a_plugin_comes_as_what_it_derives_from():
    class OwnError(PluginError):
        pass

    assert type(sent(Outcome(Task("a", 0), OwnError("b"))).fault) is PluginError
    assert sent(Outcome(Task("a", 0))) == Outcome(Task("a", 0))


# Work


def half(job, tasks, tell):
    tell(Outcome(tasks[0]))
    raise SystemExit(3)


def silent(job, tasks, tell):
    tell(Outcome(tasks[0]))


@pytest.mark.parametrize(("work", "words"), [("half", "SystemExit: 3"), ("silent", "tells nothing of it")])
def test_every_task_is_told_whatever_happens(work, words):
    told = []
    perform(replace(JOB, work=f"{__name__}:{work}"), film("a", 3), told.append)
    assert [outcome.task for outcome in told] == film("a", 3)
    assert told[0].fault is None
    assert all(words in str(outcome.fault) and "film a, piece 1" in str(outcome.fault) for outcome in told[1:])


# Handing out


def test_runs_are_of_one_film_in_order_and_end_together():
    tasks = film("a", 40) + film("b", 3) + film("c", 20)
    handing, runs = Handing(tasks, 2, most=8), []
    while run := handing.next():
        runs.append(run)
    assert [task for run in runs for task in run] == tasks
    assert all(len({task.film for task in run}) == 1 for run in runs)
    assert len(runs[0]) == 8
    assert [len(run) for run in runs[-4:]] == [1] * 4  # nobody has a long run while the other has nothing to do


def test_after_a_death_each_task_comes_by_itself_and_only_the_one_that_kills_is_given_up():
    handing = Handing([*film("a", 8), *film("b", 2)], 1)
    told, alone = [], []
    while not handing.is_over:
        run = handing.next()
        alone.append(len(run) == 1)
        for task in run:
            if task == Task("a", 2):
                told += handing.died(run[run.index(task) :], "of poison", "Do not eat it.")
                break
            told += handing.told(Outcome(task))
    faults = {task.piece: fault for task, fault in told if task.film == "a" and fault is not None}
    assert len(told) == 10
    assert len({outcome.task for outcome in told}) == 10
    assert "film a, piece 2: 3 processes have died over it, of poison\n  Do not eat it." in str(faults[2])
    assert all(fault is None for task, fault in told if task.film == "b")
    assert alone.count(False) <= 3


def test_a_film_that_has_a_fault_is_given_up_with_it():
    handing = Handing([*film("a", 9), *film("b", 1)], 2)
    first, second = handing.next(), handing.next()
    fault = DataError("c")
    told = handing.told(Outcome(first[0], fault))
    rest = set(film("a", 9)) - {*first, *second}
    assert set(told) == {Outcome(first[0], fault), *(Outcome(task, fault) for task in rest)}
    assert handing.next() == film("b", 1)
    told = handing.died([*first[1:], *second], "e", "f")  # those that are under way are not begun again
    assert set(told) == {Outcome(task, fault) for task in [*first[1:], *second]}
    assert not handing.is_over
    handing.told(Outcome(Task("b", 0)))
    assert handing.is_over


def test_a_full_disk_is_raised():
    handing = Handing(film("a", 2), 1)
    with pytest.raises(ResourceError):
        handing.told(Outcome(handing.next()[0], ResourceError("full")))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_task_is_told_once(seed):
    """Random deaths and faults among several hands."""
    draw = random.Random(seed)
    tasks = [task for name in "abc" for task in film(name, draw.randint(1, 30))]
    handing, hands, told = Handing(tasks, 3), [[] for _ in range(3)], []
    steps = 0
    while not handing.is_over:
        steps += 1
        for hand in hands:
            hand[:] = hand or handing.next()
        hand = draw.choice([hand for hand in hands if hand])
        chance = draw.random()
        if chance < 0.2:
            told += handing.died(hand, "x", "y")
            hand.clear()
        else:
            told += handing.told(Outcome(hand.pop(0), DataError("z") if chance < 0.22 else None))
    assert sorted(outcome.task for outcome in told) == sorted(tasks)
    assert steps <= len(tasks) * (1 + MOST_DEATHS)
