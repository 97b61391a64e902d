"""Frames, stretches, easing: when a walk is where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artgen.errors import RecipeError
from artgen.videos import VideoOptions
from artgen.walk.curves import GRID
from artgen.walk.speed import Pace
from artgen.walk.timing import EASINGS, Timetable
from tests.walk.toys import stretches

LOOP = [0, 0.25, 0.5, 0.75]
OPEN = [0, 0.5, 1]


def table(walk, pace=None, **options):
    keys = options.pop("keyframes", len(walk.knots))
    return Timetable(walk, VideoOptions.model_validate({"fps": 10, "keyframes": keys, **options}, strict=False), pace)


def test_a_loop_shows_its_first_frame_once_and_an_open_walk_both_ends():
    found = table(stretches(LOOP), seconds=4).positions()
    assert found == pytest.approx(np.arange(40) / 40, abs=1e-12)
    found = table(stretches(OPEN, loops=False), seconds=4).positions()
    assert found == pytest.approx(np.arange(40) / 39, abs=1e-12)
    assert found[-1] == 1
    for walk in (stretches(LOOP), stretches(OPEN, loops=False), stretches([0]), stretches([0], loops=False)):
        assert table(walk, seconds=0.01).positions().tolist() == [0]
    assert table(stretches([0]), seconds=1).positions() == pytest.approx(np.arange(10) / 10)
    assert table(stretches([0], loops=False), seconds=1).positions() == pytest.approx(np.arange(10) / 9)


def test_positions_are_rounded_so_that_machines_agree():
    for value in table(stretches(LOOP), seconds=7, easing="ease-in").positions():
        assert (value * GRID).is_integer()


def test_stretches_last_as_their_keyframes_say_and_the_others_share_the_rest():
    keys = [{"seed": 0, "seconds": 1}, {"seed": 1}, {"seed": 2, "seconds": 5}, {"seed": 3}]
    timed = table(stretches(LOOP), seconds=10, keyframes=keys)
    assert timed.times * 10 == pytest.approx([0, 1, 3, 8, 10])
    assert timed.positions()[[0, 10, 30, 80]] == pytest.approx(LOOP)
    assert timed.positions()[55] == pytest.approx(0.625)  # halfway in the third
    keys = [{"seed": 0}, {"seed": 1, "seconds": 1}, {"seed": 2}]
    opened = table(stretches(OPEN, loops=False), seconds=4, keyframes=keys)
    assert opened.times * 4 == pytest.approx([0, 3, 4])


def test_the_others_share_by_length():
    keys = [{"seed": 0, "seconds": 4}, {"seed": 1}, {"seed": 2}, {"seed": 3}]
    lengths = (0.0, 0.1, 0.2, 0.8, 1.0)  # of stretches: 0.1, 0.1, 0.6, 0.2
    pace = Pace(True, lengths, (*LOOP, 1.0), (1.0,), (1.0,))
    timed = table(stretches(LOOP), pace, seconds=13, keyframes=keys)
    assert np.diff(timed.times) * 13 == pytest.approx([4, 1, 6, 2])
    assert timed.positions()[[0, 40, 50, 110]] == pytest.approx(LOOP)


def test_seconds_of_all_ways_are_those_of_the_film():
    keys = [{"seed": 0, "seconds": 1}, {"seed": 1, "seconds": 1.0}, {"seed": 2, "seconds": 2.02}]
    walk = stretches([0, 1 / 3, 2 / 3])
    timed = table(walk, seconds=4, keyframes=keys)  # to half a frame
    assert np.diff(timed.times) == pytest.approx(np.array([1, 1, 2.02]) / 4.02)
    with pytest.raises(RecipeError, match=r"take 4.02 seconds, and the film 5") as refused:
        table(walk, seconds=5, keyframes=keys)
    assert "seconds = 4.02" in refused.value.remedy


@pytest.mark.parametrize("seconds", [6.0, 5.0])
def test_seconds_that_leave_nothing_are_refused(seconds):
    keys = [{"seed": 0, "seconds": seconds}, {"seed": 1}]
    with pytest.raises(RecipeError, match="leaves nothing for the others") as refused:
        table(stretches([0, 0.5]), seconds=5, keyframes=keys)
    assert refused.value.place == "seconds"


def test_ways_that_are_not_there_cannot_be_timed():
    keys = [{"seed": 0}, {"seed": 1}, {"seed": 2, "seconds": 1}]
    with pytest.raises(RecipeError, match="ends at its last keyframe") as refused:
        table(stretches(OPEN, loops=False), keyframes=keys)
    assert refused.value.place == "keyframes.2"
    with pytest.raises(RecipeError, match="not come by its keyframes in turn"):
        table(stretches([0]), keyframes=[{"seed": 0}, {"seed": 1, "easing": "ease-in"}])
    assert len(table(stretches([0]), seconds=1, keyframes=[{"seed": 0}, {"seed": 1}]).positions()) == 10


def test_a_pause_is_a_way_from_a_picture_to_itself():
    keys = [{"seed": 0, "seconds": 3}, {"seed": 0}, {"seed": 2}]
    pace = Pace(True, (0.0, 1e-9, 0.5, 1.0), (0.0, 1 / 3, 2 / 3, 1.0), (1.0,), (1.0,))
    found = table(stretches([0, 1 / 3, 2 / 3]), pace, seconds=9, keyframes=keys).positions()
    assert found[29] < 1 / 3 <= found[30] + 1e-9
    assert np.diff(found).min() >= 0


@pytest.mark.parametrize(
    ("easing", "first", "last"),
    [("linear", 1, 1), ("ease-in", 0, 1.5), ("ease-out", 1.5, 0), ("ease-in-out", 0, 0)],
)
def test_easings_go_from_0_to_1_at_their_speeds(easing, first, last):
    ease, h = EASINGS[easing], 1e-6
    share = np.linspace(0, 1, 101)
    assert ease(np.array([0.0, 1.0])) == pytest.approx([0, 1])
    assert np.diff(ease(share)).min() > 0
    assert ease(np.array([h]))[0] / h == pytest.approx(first, abs=1e-5)
    assert (1 - ease(np.array([1 - h]))[0]) / h == pytest.approx(last, abs=1e-5)
    other = {"ease-in": "ease-out", "ease-out": "ease-in"}.get(easing, easing)
    assert ease(share) == pytest.approx(1 - EASINGS[other](1 - share))


def test_ways_are_eased_one_by_one():
    keys = [{"seed": 0}, {"seed": 1, "easing": "linear"}]
    found = table(stretches([0, 0.5]), seconds=20, easing="ease-in-out", keyframes=keys).positions()
    share = np.arange(100) / 100
    assert found[:100] == pytest.approx((3 * share**2 - 2 * share**3) / 2, abs=1e-11)
    assert found[100:] == pytest.approx(0.5 + share / 2, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(st.one_of(st.none(), st.floats(0.1, 3)), min_size=2, max_size=6),
    easing=st.sampled_from(sorted(EASINGS)),
    loops=st.booleans(),
)
def test_a_walk_never_goes_back(told, easing, loops):
    told[-1] = None
    told[0] = None
    keys = [{"seed": index} | ({} if one is None else {"seconds": one}) for index, one in enumerate(told)]
    knots = np.arange(len(keys)) / (len(keys) if loops else len(keys) - 1)
    timed = table(stretches(knots, loops), seconds=30, keyframes=keys, easing=easing)
    found = timed.positions()
    assert np.diff(found).min() >= 0
    assert found[0] == 0
    assert found[-1] < 1 if loops else found[-1] == 1
    for lasts, one in zip(np.diff(timed.times) * 30, told, strict=False):
        assert one is None or lasts == pytest.approx(one)
    assert timed.positions_at(timed.times[: len(knots)]) == pytest.approx(knots)
