# SPDX-License-Identifier: Apache-2.0
"""A row counts with more worlds than the one that is: in them its limit is broken without it, and kept with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("mujoco")

from tidegate.attack.episode import Episode, run_episode
from tidegate.insight.investigate import Question, investigate
from tidegate.insight.removal import _in_a_copy, _World, in_worlds, removals
from tidegate.insight.together import CAUSED, HORIZON_S, NOT_NEEDED, Finding, Watched, explained
from tidegate.insight.worlds import BOTH, BOUND, WISH, Drive, World, until_explained, worlds
from tidegate.records import RowState, SafetyInputs, Tick, nanoseconds
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import EPOCH

CONFIG, BUNDLE = str(share_path("config/car.yaml")), str(share_path("models/car-ltc19"))
UNNEEDED = Finding(NOT_NEEDED, NOT_NEEDED, None, (), ())


def driven_to(episode: Episode, after_s: float) -> _World:
    world = _World(episode)
    while world.now < EPOCH + nanoseconds(after_s):
        world.tick()
    return world


@pytest.fixture(scope="module")
def steady() -> Iterator[_World]:
    """The expert's steering without a force, rolling on from 5 m/s."""
    with closing(driven_to(Episode(CONFIG, BUNDLE, "road", 1004, "coast", from_speed=5.0), 4.0)) as world:
        yield world


def pushing(step: tuple[Tick, SafetyInputs], row: str, number: int) -> dict[str, World]:
    """Worlds of the barrier ``row`` that pushes by its row ``number``."""
    tick, inputs = step
    return worlds(row, row, replace(tick, rows=(RowState(row, number, 1.0, 0.0, "m"),)), inputs)


def seen(world: _World, other: World | None, count: int = 60) -> list[tuple[SafetyInputs, float, float]]:
    """What the filter hears at each of the next ticks, and the truth that it leads to: offset [m], heading [rad]."""

    def drive() -> list[tuple[SafetyInputs, float, float]]:
        if other is not None:
            other(Drive(world._simulator, world._pilot, world._log))
        made = []
        for _ in range(count):
            inputs = world.step().inputs
            truth = world._log.last
            assert truth is not None
            made.append((inputs, truth.offset, truth.heading))
        return made

    return _in_a_copy(drive)


@pytest.mark.parametrize(("number", "side"), [(0, 1.0), (1, -1.0)])
def test_the_car_is_farther_out_by_what_the_estimate_may_err_and_what_was_seen_stays(
    steady: _World, number: int, side: float
) -> None:
    step = _in_a_copy(steady.step)
    other = pushing((step.tick, step.inputs), "lane", number)[BOUND]
    here, there = seen(steady, None), seen(steady, other)
    lane = here[0][0].lane
    assert lane is not None
    bound = lane.record.bound
    true = steady._log.at(lane.record.stamp)
    assert true is not None
    erred = side * (lane.record.offset - true.offset)
    assert side * (there[0][1] - here[0][1]) == pytest.approx(bound[0] + erred, abs=0.005)
    seen_there = there[0][0].lane
    assert seen_there is not None
    assert seen_there.record.stamp == lane.record.stamp
    assert (seen_there.record.offset, seen_there.record.heading) == (lane.record.offset, lane.record.heading)
    felt, feels = here[0][0].odometry, there[0][0].odometry
    assert felt is not None
    assert feels is not None
    assert (feels.record.speed, feels.record.yaw_rate) == pytest.approx(
        (felt.record.speed, felt.record.yaw_rate), abs=1e-3
    )
    truths = {inputs.now + nanoseconds(0.005): offset for inputs, offset, _ in there}
    fresh = {one.lane.record.stamp: one.lane.record.offset for one, _, _ in there if one.lane is not None}
    erring = [side * (truths[stamp] - offset) for stamp, offset in fresh.items() if stamp in truths]
    assert len(erring) >= 3
    assert erring == pytest.approx([bound[0]] * len(erring))


def test_the_policy_goes_on_asking_for_what_it_asked(steady: _World) -> None:
    step = _in_a_copy(steady.step)
    asked = replace(step.tick, wanted=(500.0, 0.02), allowed=(0.0, 0.01))
    for row, curvature in (("lane", 0.02), ("distance", 0.01)):
        heard = seen(steady, worlds(row, row, asked, step.inputs)[WISH], 10)
        for inputs, _, _ in heard:
            assert inputs.nominal is not None
            assert (inputs.nominal.record.force, inputs.nominal.record.curvature) == (500.0, curvature)
            assert inputs.nominal.age == 0


def test_each_type_of_barrier_has_its_worlds(steady: _World) -> None:
    step = _in_a_copy(steady.step)
    assert list(pushing((step.tick, step.inputs), "edge", 0)) == [BOUND, WISH, BOTH]
    assert list(pushing((step.tick, step.inputs), "distance", 0)) == [BOUND, WISH, BOTH]
    assert list(pushing((step.tick, step.inputs), "curve", 0)) == [WISH]
    assert list(pushing((step.tick, replace(step.inputs, lane=None)), "lane", 0)) == [WISH]


@pytest.mark.slow
def test_where_all_others_stop_at_once_there_is_contact_without_distance_and_none_with_it() -> None:
    """A car ahead draws away, and whatever is left out nothing happens; the row counts with one that stops."""
    gap = load_settings(CONFIG).safety.distance.standstill_gap
    with closing(driven_to(Episode(CONFIG, BUNDLE, "lead_brakes", 1003, "full_throttle"), 7.0)) as world:

        def most(names: frozenset[str], other: World | None) -> float:
            drive = partial(world.without, "distance", names, until_s=5.0, first=False, world=other)
            return _in_a_copy(drive).most(HORIZON_S)

        step = _in_a_copy(world.step)
        stops, every = pushing((step.tick, step.inputs), "distance", 0)[BOUND], frozenset(world.limits)
        assert max(most(frozenset(), None), most(frozenset({"distance"}), None)) < 0.6
        assert most(frozenset(), stops) < 0.6  # of the gap, by which the row stops late; no contact
        assert most(every, stops) >= gap


def test_the_lane_is_left_where_the_policy_asks_on_and_is_kept_with_the_rows(steady: _World) -> None:
    step = _in_a_copy(steady.step)
    asks = worlds("lane", "lane", replace(step.tick, wanted=(0.0, 0.05)), step.inputs)[WISH]

    def watched(names: frozenset[str], other: World | None) -> Watched:
        return _in_a_copy(partial(steady.without, "lane", names, until_s=3.0, first=True, world=other))

    assert watched(frozenset(steady.limits), None).after_s is None
    assert watched(frozenset(), asks).after_s is None
    assert watched(frozenset(steady.limits), asks).after_s is not None


@pytest.mark.slow
def test_what_is_kept_without_any_row_is_driven_on_in_other_worlds_until_rows_are_found() -> None:
    """An intervention that the episode itself explains, told as if it did not."""
    episode = Episode(CONFIG, BUNDLE, "road", 1001, "outward", longest_s=2.5)
    one = removals(episode)[0]
    (found,) = in_worlds(episode, [replace(one, found=UNNEEDED)])
    assert list(found.worlds) == [BOUND]
    assert explained(found.worlds[BOUND])
    assert in_worlds(episode, [one]) == [one]


@pytest.mark.slow
def test_a_margin_is_told_with_the_world_that_it_was_for(tmp_path: Path) -> None:
    """The policy steers as it should: with its next wishes nothing would have come of the one that was changed."""
    run_episode(Episode(CONFIG, BUNDLE, "road", 1004, "coast", longest_s=4.0, from_speed=5.0), tmp_path / "bag")
    question = Question(tmp_path / "bag", 3.5, 0.4, Path(BUNDLE), Path(CONFIG), asked=True)
    told = investigate(question).told["roll_out"]["explained"]
    assert (told["row"], told["verdict"]) == ("lane", NOT_NEEDED)
    assert [one["world"] for one in told["worlds"]] == [BOUND, WISH]
    assert told["worlds"][0]["rows"] == []
    assert "lane" in told["worlds"][1]["rows"]
    assert "would not have been broken without any row" in told["sentence"]
    assert "Where the policy goes on asking for the same, a side of the car is over the lane's edge" in told["sentence"]


def test_worlds_are_gone_through_until_one_explains() -> None:
    found = {"a": UNNEEDED, "b": Finding(CAUSED, CAUSED, 1.0, (), ()), "c": UNNEEDED}
    others: dict[str, World] = {name: partial(_named, name) for name in found}
    told = until_explained(others, lambda world: found[world.args[0]])  # type: ignore[attr-defined]
    assert list(told.items()) == [("a", UNNEEDED), ("b", found["b"])]


def _named(name: str, drive: Drive) -> None:
    """A world that is known by its name."""
