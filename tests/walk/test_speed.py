"""How far pictures are apart, and walks that are timed by it, on generators whose speed is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from artgen.plugins import load_plugins
from artgen.run.making import make
from artgen.training import Features
from artgen.videos import VideoOptions
from artgen.walk.speed import Pace, distance, even_pace
from artgen.walk.timing import Timetable
from tests.walk.toys import stretches

FILM = VideoOptions(seconds=4)
LOOP = np.arange(4) / 4
OPEN = np.arange(4) / 3


def blob(x, y, side_px=32):
    """A spot at (x, y) in 0..1: pictures (N, 3, side, side)."""
    at = torch.arange(side_px).double()

    def profile(centre):
        return torch.exp(-((at - side_px * (0.2 + 0.6 * torch.as_tensor(centre)[:, None])) ** 2) / 18)

    spot = profile(y)[:, None, :, None] * profile(x)[:, None, None, :]
    return (2 * spot - 1).expand(-1, 3, -1, -1).float()


def across(place):
    """A look at a spot that goes from left to right as `place` says."""
    return lambda positions: (
        blob(place(part), np.full(len(part), 0.5)) for part in np.array_split(positions, range(7, len(positions), 7))
    )


def around(angle):
    return lambda positions: (
        blob(0.5 + 0.4 * np.cos(angle(part)), 0.5 + 0.4 * np.sin(angle(part)))
        for part in np.array_split(positions, range(16, len(positions), 16))
    )


def uneven(position):
    return 2 * np.pi * (position + 0.13 * np.sin(2 * np.pi * position))


# Distances


class Halves(Features):
    """Two layers that can be computed by hand."""

    layers = ("whole", "half")

    def forward(self, pictures):
        return pictures[:, :2], pictures[:, :, ::2, ::2]


def test_distance_in_features_is_that_of_lpips_without_weights():
    torch.manual_seed(0)
    before, after = torch.rand(5, 3, 8, 8) * 2 - 1, torch.rand(5, 3, 8, 8) * 2 - 1
    wanted = []
    for x, y in zip(before.double(), after.double(), strict=True):
        squares = 0.0
        for a, b in ((x[:2], y[:2]), (x[:, ::2, ::2], y[:, ::2, ::2])):
            a, b = a / a.square().sum(0).sqrt(), b / b.square().sum(0).sqrt()
            squares += float((a - b).square().sum(0).mean())
        wanted.append(math.sqrt(squares))
    assert distance(before, after, Halves()).tolist() == pytest.approx(wanted, rel=1e-5)


def test_distance_without_features_is_that_of_pictures_at_every_half():
    torch.manual_seed(0)
    before, after = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    wanted = []
    for change in (after - before).double():
        levels = [change.view(3, n, 8 // n, n, 8 // n).mean((2, 4)) for n in (8, 4, 2)]
        wanted.append(math.sqrt(sum(float(level.square().mean()) for level in levels)))
    assert distance(before, after).tolist() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("features", [None, "wavelets"])
def test_distances_of_small_steps_add_up(features):
    """So that they are a length: a 10th of the way is a 10th of the distance; equal pictures have none."""
    if features:
        component = load_plugins().component("features", features)
        features = make(component, component.options(octaves=3))
    x = 0.5 + np.array([0, 0.01, 0.1])
    start, near, far = blob(x, np.full(3, 0.5)).split(1)
    small, large = distance(start, near, features), distance(start, far, features)
    assert 0.85 < 10 * small / large < 1.25
    assert distance(start, start, features) == 0
    assert distance(near, start, features) == small


def test_large_pictures_are_looked_at_smaller():
    picture = blob(np.array([0.3, 0.6]), np.array([0.5, 0.5]), side_px=32)
    large = picture.repeat_interleave(16, 2).repeat_interleave(16, 3)  # 512 px
    half = picture.repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert distance(large[:1], large[1:]).item() == pytest.approx(distance(half[:1], half[1:]).item(), rel=1e-5)


# Pace


@pytest.mark.parametrize(
    ("walk", "look", "least"),
    [
        (stretches(OPEN, loops=False), across(lambda t: t**3), 100),
        (stretches(OPEN, loops=False), across(lambda t: 1 - (1 - t) ** 2), 20),
        (stretches(LOOP), around(uneven), 5),
    ],
    ids=["cube", "square", "circle"],
)
def test_an_uneven_walk_becomes_even(walk, look, least):
    pace = even_pace(look, walk, FILM)
    assert pace.ratio_before > least
    assert pace.ratio_after < 1.1
    positions = Timetable(walk, VideoOptions(seconds=5), pace).positions()  # finer than what was looked at
    pictures = torch.cat(list(look(np.append(positions, positions[:1]) if walk.loops else positions)))
    steps = distance(pictures[:-1], pictures[1:])
    assert steps.max() / steps.min() < 1.3
    assert np.diff(positions).min() >= 0


def test_a_walk_whose_pictures_move_by_the_cube_is_timed_by_the_root():
    pace = even_pace(across(lambda t: t**3), stretches(OPEN, loops=False), FILM)
    lengths = np.linspace(0, 1, 11)
    assert pace.positions_at(lengths) == pytest.approx(np.cbrt(lengths), abs=0.01)
    assert pace.lengths_at(np.cbrt(lengths)) == pytest.approx(lengths, abs=0.03)


def test_the_speed_has_no_jump_at_the_seam():
    pace = even_pace(around(uneven), stretches(LOOP), FILM)
    h = 1e-5
    speed = (pace.positions_at(np.array([h])) - 0) / h, (1 - pace.positions_at(np.array([1 - h]))) / h
    assert speed[0] == pytest.approx(speed[1], rel=1e-2)
    assert speed[0] < 0.8  # it is slowed down there


def test_lengths_of_keyframes_are_where_they_are_reached():
    pace = even_pace(around(uneven), stretches(LOOP), FILM)
    assert pace.positions_at(pace.lengths_at(LOOP)) == pytest.approx(LOOP, abs=1e-9)
    assert pace.lengths_at(np.array([0.0, 1.0])).tolist() == [0, 1]


def test_a_walk_that_turns_at_keyframes_is_even_on_both_sides():
    """As fast as it likes from one to the next, and with a corner at each of them."""
    corners = np.array([[0, 0], [1, 0], [1, 0.3], [0, 0.3], [0, 0]])

    def look(positions):
        at = [np.interp(positions * 4, np.arange(5), corners[:, axis]) for axis in (0, 1)]
        yield blob(*at)

    pace = even_pace(look, stretches(LOOP), FILM)
    assert pace.ratio_before > 3
    assert pace.ratio_after < 1.1
    long, short = np.diff(np.append(pace.lengths_at(LOOP), 1))[:2]
    assert 3 < long / short < 3.6  # 10 / 3, and the last bit of the picture's edge


def test_pictures_that_do_not_change_leave_the_timing():
    for loops, knots in ((True, LOOP), (False, OPEN)):
        pace = even_pace(across(lambda t: 0 * t), stretches(knots, loops), FILM)
        assert (pace.ratio_before, pace.ratio_after) == pytest.approx((1, 1))
        assert pace.positions_at(np.linspace(0, 1, 7)) == pytest.approx(np.linspace(0, 1, 7))


def test_where_nothing_happens_no_time_is_spent():
    walk = stretches(OPEN, loops=False)
    pace = even_pace(across(lambda t: np.clip(3 * t - 1, 0, 1)), walk, FILM)
    positions = Timetable(walk, VideoOptions(seconds=5), pace).positions()
    assert np.diff(positions).min() >= 0
    assert ((positions > 0.32) & (positions < 0.68)).mean() > 0.95
    assert math.isfinite(pace.ratio_before)


def test_a_leap_is_no_trouble():
    walk = stretches(OPEN, loops=False)
    pace = even_pace(across(lambda t: (t > 0.4) * 1.0), walk, FILM)
    assert math.isfinite(pace.ratio_before)
    assert pace.ratio_after <= pace.ratio_before
    assert np.diff(Timetable(walk, FILM, pace).positions()).min() >= 0


def test_looks_are_cheap():
    """16 steps for each stretch, no more than there are frames; and no third look where two are enough."""
    seen = []

    def look(positions):
        seen.append(len(positions))
        return around(uneven)(positions)

    even_pace(look, stretches(np.arange(8) / 8), VideoOptions(seconds=60))
    assert seen[0] == 128
    assert sum(seen) < 300
    seen.clear()
    even_pace(look, stretches(np.arange(100) / 100), FILM)
    assert seen[0] <= 120 + 100  # 120 frames, and the keyframes


def test_batches_do_not_matter():
    wanted = even_pace(around(uneven), stretches(LOOP), FILM)
    for size in (1, 5, 64):

        def look(positions, size=size):
            return (batch for part in around(uneven)(positions) for batch in part.split(size))

        assert even_pace(look, stretches(LOOP), FILM).places == pytest.approx(wanted.places, abs=1e-6)


def test_features_say_what_counts():
    """A spot that changes its brightness, then moves: features that see no brightness give that no time."""

    class Shape(Features):
        def forward(self, pictures):
            grey = (pictures[:, :1] + 1).clamp(min=1e-3)
            return (torch.cat([grey, grey.flip(3)], 1),)

    def look(positions):
        moved = blob(0.2 + 0.6 * np.clip(2 * positions - 1, 0, 1), np.full(len(positions), 0.5))
        light = torch.from_numpy(0.2 + 1.6 * np.clip(positions, 0, 0.5)).float().view(-1, 1, 1, 1)
        yield light * (moved + 1) - 1

    walk = stretches([0, 0.5, 1], loops=False)
    plain, by_shape = even_pace(look, walk, FILM), even_pace(look, walk, FILM, Shape())
    halfway = np.array([0.5])
    assert by_shape.lengths_at(halfway) < 0.7 * plain.lengths_at(halfway)


# Kept as JSON


def test_a_pace_comes_back_from_json_bit_for_bit():
    for look, walk in ((around(uneven), stretches(LOOP)), (across(lambda t: t**3), stretches(OPEN, loops=False))):
        pace = even_pace(look, walk, FILM)
        again = Pace.from_json(json.loads(json.dumps(pace.to_json())))
        assert again == pace
        assert (again.ratio_before, again.ratio_after) == (pace.ratio_before, pace.ratio_after)
        options = VideoOptions(seconds=33, easing="ease-in-out")
        assert np.array_equal(Timetable(walk, options, again).positions(), Timetable(walk, options, pace).positions())


@pytest.mark.parametrize(
    "change",
    [
        {"lengths": [0.0, 0.5]},
        {"lengths": [0.0, 0.7, 0.6, 1.0], "places": [0.0, 0.1, 0.2, 1.0]},
        {"places": [0.0, 0.5, 0.4, 1.0], "lengths": [0.0, 0.1, 0.2, 1.0]},
        {"places": [0.0, float("nan"), 1.0]},
        {"lengths": []},
        {"before": []},
        {"after": ["x"]},
        {"after": 3},
        {"after": [10**400]},
        {"loops": 1},
        {"loops": None},
    ],
)
def test_what_is_no_pace_is_refused(change):
    sound = {"loops": True, "lengths": [0.0, 0.5, 1.0], "places": [0.0, 0.2, 1.0], "before": [1.0], "after": [1.0]}
    assert Pace.from_json(sound).positions_at(np.array([0.5]))[0] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="no pace"):
        Pace.from_json(sound | change)


@pytest.mark.parametrize("value", [None, [], "pace", 3, {}])
def test_other_json_is_no_pace(value):
    with pytest.raises(ValueError, match="no pace"):
        Pace.from_json(value)
