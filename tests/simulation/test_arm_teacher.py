# SPDX-License-Identifier: Apache-2.0
"""What a policy should ask of the tool: a function of the moment alone, ahead of it, slow enough, and around things."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmTask, ArmTruth, make_arm_scene
from tidegate.simulation.arm.expert import CLOSE, EASE, SPEED
from tidegate.simulation.arm.teacher import PULL, WIDE, Teacher
from tidegate.simulation.arm.wipe import SHIFT, SWING

AHEAD = 0.07


def scene_of(name: str) -> ArmTask:
    return make_arm_scene(name, load_arm_settings(share_path("config/arm.yaml")), 1000)


def at(scene: ArmTask, offset: tuple[float, float, float], speed: tuple[float, float, float] = (0, 0, 0)) -> ArmTruth:
    """The tool so far from its goal."""
    return scene.begin()._replace(tool=scene.goal().place + np.array(offset), tool_velocity=np.array(speed, float))


def test_who_is_where_the_goal_will_be_is_to_go_as_fast_as_it() -> None:
    scene = scene_of("reach")
    goal = scene.goal()
    still = Teacher(scene, 0.0).wish(at(scene, (0, 0, 0)))
    np.testing.assert_allclose(still.velocity, goal.velocity)
    assert still.push == 0.0
    way = AHEAD * goal.velocity + AHEAD**2 / 2 * goal.acceleration
    there = at(scene, tuple(way))
    np.testing.assert_allclose(Teacher(scene, AHEAD).wish(there).velocity, goal.velocity + AHEAD * goal.acceleration)


def test_the_farther_the_faster_up_to_a_speed_and_less_for_who_is_on_the_way() -> None:
    scene = scene_of("reach")
    moving = scene.goal().velocity
    teacher = Teacher(scene, 0.0)
    np.testing.assert_allclose(teacher.wish(at(scene, (0.01, 0, 0))).velocity - moving, [-PULL * 0.01, 0, 0])
    assert np.linalg.norm(teacher.wish(at(scene, (0.3, 0.3, 0))).velocity - moving) == pytest.approx(SPEED)
    later = Teacher(scene, AHEAD)
    resting, coming = (later.wish(at(scene, (0.05, 0, 0), (-one, 0, 0))).velocity for one in (0.0, 0.2))
    assert coming[0] - resting[0] == pytest.approx(PULL * AHEAD * 0.2)


def test_near_a_surface_it_presses_and_does_not_pull_along_the_normal() -> None:
    scene = scene_of("press")
    goal, teacher = scene.goal(), Teacher(scene, AHEAD)
    above, near = (teacher.wish(at(scene, tuple(height * goal.normal))) for height in (0.05, CLOSE / 2))
    assert (above.push, near.push) == (0.0, goal.force)
    assert goal.normal @ above.velocity < -0.2
    assert goal.normal @ near.velocity == pytest.approx(0.0, abs=1e-12)


def test_it_leads_around_what_is_in_the_way() -> None:
    scene = scene_of("hand_over")
    teacher = Teacher(scene, AHEAD)
    scene.begin()
    for _ in range(2000):
        truth = scene.step(scene.data.qfrc_bias.copy())  # held where it is while the knob goes to and fro
        there = scene.nearest()
        assert there is not None
        wish = teacher.wish(truth).velocity
        assert there.away @ (wish - there.velocity) > -EASE * (there.distance - WIDE) - 1e-9


def test_its_aim_is_ahead_of_the_goal_wherever_the_tool_is() -> None:
    scene = scene_of("reach")
    near, far = (Teacher(scene, AHEAD).aim(at(scene, offset)).place for offset in ((0, 0, 0), (0.2, 0.1, 0.1)))
    np.testing.assert_array_equal(near, far)
    later = scene.goal().velocity + AHEAD * scene.goal().acceleration
    np.testing.assert_allclose(near - scene.goal().place, AHEAD * scene.goal().velocity + later / PULL, atol=0.003)


def test_where_something_is_in_the_way_its_aim_draws_the_tool_with_its_wish() -> None:
    scene = scene_of("hand_over")
    teacher, truth = Teacher(scene, AHEAD), at(scene, (0.05, 0.1, 0.02), (0.1, 0, -0.1))
    aim, wish = teacher.aim(truth), teacher.wish(truth)
    np.testing.assert_allclose(PULL * (aim.place - truth.tool - AHEAD * truth.tool_velocity), wish.velocity)
    assert aim.push == wish.push


def test_over_the_board_it_swings_to_and_fro_by_where_the_tool_is_and_how_it_moves() -> None:
    scene = scene_of("wipe")
    truth = scene.begin()
    begin = scene.due(truth)
    assert not begin.velocity.any(), "away from the board it goes to one end of the first spots"
    there = truth._replace(tool=begin.place, force=begin.force, tool_velocity=np.zeros(3))
    assert scene.due(there).acceleration[1] > 0.5, "there it sets out"
    middle = begin.place + np.array([0.0, SWING, 0.0])
    for way in (-1.0, 1.0):
        led = scene.due(there._replace(tool=middle, tool_velocity=np.array([0.0, 0.2 * way, 0.0])))
        assert way * led.velocity[1] > 0.1, "on the way that it goes"


def test_over_the_board_it_goes_on_along_x_when_the_first_spots_are_gone_and_rests_when_all_are() -> None:
    scene = scene_of("wipe")
    truth = scene.begin()
    first = scene.sights()
    scene.show(scene.start, scene.scored + 2.0)
    later = scene.sights()
    assert later[0] > first[0] + 0.02
    assert later[3] == first[3] > 0
    here = truth._replace(tool=np.array([first[0], 0.0, first[2]]), tool_velocity=np.array([0.0, 0.2, 0.0]))
    assert scene.due(here).place[0] == pytest.approx(first[0] + SHIFT), "no farther at a time"
    scene.show(scene.start, scene.seconds)
    assert scene.sights()[3] == 0.0
    assert not scene.due(here).velocity.any()
