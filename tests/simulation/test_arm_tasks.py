# SPDX-License-Identifier: Apache-2.0
"""What the arm has to do: scenes by seed, their truth, their picture; and an expert that does it behind the filter."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from tidegate.errors import SceneError
from tidegate.records import Floats
from tidegate.safety.arm import ArmGuard
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ARM_SCENES, ArmRun, ArmTask, ArmTruth, Expert, drive, make_arm_scene
from tidegate.simulation.arm.furniture import pixels
from tidegate.simulation.arm.hand_over import HandOver
from tidegate.simulation.arm.press import Press
from tidegate.simulation.arm.reach import HOVER, Reach
from tidegate.simulation.arm.wipe import Wipe

NAMES = ("hand_over", "press", "reach", "wipe")
SEED = 1000


class Blind(Expert):
    """Goes straight."""

    def _around(self, wish: Floats) -> Floats:
        return wish


@cache
def settings() -> ArmSettings:
    return load_arm_settings(share_path("config/arm.yaml"))


@cache
def done(name: str) -> tuple[ArmTask, ArmRun]:
    """A whole episode of the expert behind the filter."""
    scene = make_arm_scene(name, settings(), SEED)
    return scene, drive(scene, Expert(scene).act, ArmGuard(scene.settings))


def excesses(scene: ArmTask, run: ArmRun) -> dict[str, float]:
    """The largest over every limit at any millisecond; negative = what was left."""
    arm, safety = scene.arm, scene.settings.safety
    position, velocity = run.of("position"), run.of("velocity")
    change = np.abs(np.diff(run.torque[:: scene.substeps], axis=0)) * safety.rate_hz
    return {
        "position": float(max((position - arm.upper).max(), (arm.lower - position).max())),
        "velocity": float((np.abs(velocity) - arm.velocity).max()),
        "torque": float((np.abs(run.torque) - arm.effort).max()),
        "slew": float((change - arm.effort_rate).max()),
        "power": float(np.abs((run.torque * velocity).sum(axis=1)).max() - safety.limits.power_max),
        "tool speed": float(np.linalg.norm(run.of("tool_velocity"), axis=1).max() - safety.limits.tool_speed_max),
        "force": float(run.of("force").max() - safety.surface.force_max),
    }


def test_the_scenes_are_those_of_the_page() -> None:
    assert tuple(ARM_SCENES) == NAMES


def test_what_the_page_says_of_scenes_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    page = share_path("docs/arm.md")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "make_arm_scene" in block)
    monkeypatch.chdir(page.parents[1])
    made: dict[str, Any] = {}
    exec(code, made)
    assert len(made["run"].truth) == 2000
    assert made["score"]["tracking_rms_m"] < 0.002


@pytest.mark.parametrize("name", NAMES)
def test_behind_the_filter_the_expert_keeps_every_limit_at_every_millisecond(name: str) -> None:
    scene, run = done(name)
    assert len(run.truth) == round(scene.seconds * 1000)
    assert max(excesses(scene, run).values()) < 1e-6


def test_the_expert_stays_above_the_ball_within_two_millimetres() -> None:
    score = done("reach")[0].score()
    assert score["tracking_rms_m"] < 0.002
    assert score["tracking_most_m"] < 0.005


def test_the_expert_presses_as_wanted_within_a_tenth() -> None:
    scene, run = done("press")
    assert isinstance(scene, Press)
    assert scene.score()["force_share"] < 0.1
    wanted = np.array([scene.wanted((step + 1) * run.period) for step in range(len(run.truth))])
    late = slice(round(scene.scored / run.period), None)
    rms = math.sqrt(np.mean((run.of("force") - wanted)[late] ** 2))
    assert scene.score()["force_rms_n"] == pytest.approx(rms, rel=0.01)


def test_the_expert_wipes_every_spot_with_the_wanted_force() -> None:
    score = done("wipe")[0].score()
    assert score["coverage"] == 1.0
    assert score["force_share"] < 0.1


def test_the_expert_hands_over_and_touches_nothing() -> None:
    score = done("hand_over")[0].score()
    assert score["distance_least_m"] > 0.04
    assert score["handed_over_s"] < 3.0


def test_who_does_not_see_the_obstacle_runs_into_it() -> None:
    scene = make_arm_scene("hand_over", settings(), SEED)
    drive(scene, Blind(scene).act, None, 2.0)
    assert scene.score()["distance_least_m"] < 0


@pytest.mark.parametrize("name", NAMES)
def test_who_does_nothing_scores_nothing(name: str) -> None:
    scene = make_arm_scene(name, settings(), SEED)
    guard = ArmGuard(scene.settings)
    drive(scene, lambda truth: guard.dynamics.gravity(truth.position), None, scene.scored + 0.2)
    score = scene.score()
    expected = {
        "reach": score.get("tracking_rms_m", 0) > 0.02,
        "press": score.get("force_share", 0) == pytest.approx(1.0),
        "wipe": score.get("coverage") == 0.0 and score.get("force_share", 0) == pytest.approx(1.0),
        "hand_over": score.get("handed_over_s") == math.inf,
    }
    assert expected[name], score


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_scene_and_another_seed_another(name: str) -> None:
    def shown(seed: int) -> tuple[Floats, Floats, bytes]:
        scene = make_arm_scene(name, settings(), seed)
        run = drive(scene, Expert(scene).act, None, 0.1)
        picture = scene.image(64, 48)
        scene.close()
        return run.of("position"), np.concatenate(scene.goal()[:3]), picture.tobytes()

    one, again, other = shown(SEED), shown(SEED), shown(SEED + 1)
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert one[2] == again[2]
    assert not np.array_equal(one[0], other[0])
    assert one[2] != other[2]


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_can_be_begun_again(name: str) -> None:
    scene = make_arm_scene(name, settings(), SEED)
    first = drive(scene, Expert(scene).act, None, 0.3)
    again = drive(scene, Expert(scene).act, None, 0.3)
    np.testing.assert_array_equal(first.of("position"), again.of("position"))


def test_the_picture_shows_the_ball_where_it_is() -> None:
    scene = make_arm_scene("reach", settings(), SEED)
    assert isinstance(scene, Reach)
    image = scene.image(160, 120).astype(float)
    scene.close()
    assert image.shape == (120, 160, 3)
    orange = (image[..., 0] > 150) & (image[..., 2] < 80) & (image[..., 0] > 1.6 * image[..., 1])
    rows, columns = np.nonzero(orange)
    ball = scene.goal().place - [0, 0, HOVER]
    eye, axes = scene.data.cam("front").xpos, scene.data.cam("front").xmat.reshape(3, 3)
    seen = axes.T @ (ball - eye)
    focal = 60 / math.tan(math.radians(scene.model.cam("front").fovy[0] / 2))
    assert rows.mean() == pytest.approx(60 + focal * seen[1] / seen[2], abs=2.0)
    assert columns.mean() == pytest.approx(80 - focal * seen[0] / seen[2], abs=2.0)


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_a_place_is_in_the_policys_picture_where_the_camera_shows_it(seed: int) -> None:
    scene = make_arm_scene("press", settings(), seed)
    image = scene.image(160, 112, "closer").astype(float)
    scene.close()
    orange = (image[..., 0] > 150) & (image[..., 2] < 80) & (image[..., 0] > 1.6 * image[..., 1])
    rows, columns = np.nonzero(orange)
    disc = pixels(scene.goal().place, 160, 112)
    assert disc.tolist() == pytest.approx([columns.mean() + 0.5, rows.mean() + 0.5], abs=1.0)
    places = np.random.default_rng(seed).uniform([0.2, -0.3, 0.0], [0.7, 0.3, 0.6], (20, 3))
    eye, axes = scene.data.cam("closer").xpos, scene.data.cam("closer").xmat.reshape(3, 3)
    seen = (places - eye) @ axes
    focal = 56 / math.tan(math.radians(scene.model.cam("closer").fovy[0] / 2))
    expected = np.stack((80 - focal * seen[:, 0] / seen[:, 2], 56 + focal * seen[:, 1] / seen[:, 2]), axis=1)
    np.testing.assert_allclose(pixels(places, 160, 112), expected, atol=1e-6)


def test_a_spot_that_was_wiped_is_gone_from_the_picture() -> None:
    scene, _ = done("wipe")
    assert isinstance(scene, Wipe)
    clean = scene.image(160, 120).astype(float)
    scene.begin()
    dirty = scene.image(160, 120).astype(float)
    scene.close()
    red = [float((image[..., 0] - image[..., 2] > 60).mean()) for image in (clean, dirty)]
    assert red[0] < 0.2 * red[1]


def test_the_stiffness_is_the_scenes_and_what_the_filter_is_told_bounds_it() -> None:
    told = settings().safety.surface.stiffness
    drawn = [make_arm_scene("press", settings(), seed) for seed in range(SEED, SEED + 4)]
    assert len({scene.stiffness for scene in drawn if isinstance(scene, Press)}) == 4
    for scene in drawn:
        assert isinstance(scene, Press)
        assert scene.stiffness <= told == scene.settings.safety.surface.stiffness
        normal, offset = np.array(scene.settings.safety.surface.normal), scene.settings.safety.surface.offset
        surface = scene.surface()
        assert surface.meet(offset * normal - 0.001 * normal)[0] == pytest.approx(0.001)
        assert surface.push(0.001, 0.0) == pytest.approx(0.001 * scene.stiffness)


@pytest.mark.parametrize("seed", [SEED, SEED + 1, SEED + 2])
def test_a_bent_board_pushes_along_its_own_normal_and_lies_below_the_filters_plane(seed: int) -> None:
    scene = make_arm_scene("wipe", settings(), seed)
    assert isinstance(scene, Wipe)
    board, tiny = scene.board, 1e-6
    for x, y in np.random.default_rng(seed).uniform([0.40, -0.10], [0.60, 0.10], (20, 2)):
        slope = [
            float(board.height(x + tiny, y) - board.height(x - tiny, y)) / (2 * tiny),
            float(board.height(x, y + tiny) - board.height(x, y - tiny)) / (2 * tiny),
        ]
        normal = board.normal(x, y)
        np.testing.assert_allclose(normal, np.array([-slope[0], -slope[1], 1.0]) / math.hypot(*slope, 1.0), atol=1e-6)
        assert float(board.height(x, y)) <= scene.settings.safety.surface.offset + 1e-12
        depth, there = board.meet(np.array([x, y, float(board.height(x, y))]) - 1e-4 * normal)
        assert depth == pytest.approx(1e-4, rel=0.02)
        np.testing.assert_allclose(there, normal, atol=1e-3)


def test_the_distance_to_the_obstacle_is_from_surface_to_surface() -> None:
    """The carried cube beside the knob, by hand."""
    scene = make_arm_scene("hand_over", settings(), SEED)
    assert isinstance(scene, HandOver)
    cube = scene.data.geom("carried").xpos.copy()
    scene.data.mocap_pos[0] = cube + [0.0, 0.0, -0.25]
    scene.data.geom("obstacle").xpos[:] = scene.data.mocap_pos[0]
    scene.data.geom("post").xpos[:] = scene.data.mocap_pos[0] - [0, 0, 0.2]
    found = scene.nearest()
    assert found.distance == pytest.approx(0.25 - 0.05 - 0.02, abs=2e-3)
    np.testing.assert_allclose(found.away, [0, 0, 1], atol=0.05)


def test_who_presses_with_ten_times_the_force_is_held_by_the_filter() -> None:
    scene = make_arm_scene("press", settings(), SEED)
    guard = ArmGuard(scene.settings)
    push = 10 * scene.settings.safety.surface.force_max * np.array([0.1, -0.1, -1.0])

    def shove(truth: ArmTruth) -> Floats:
        motion = guard.dynamics(truth.position, truth.velocity)
        return motion.bias + motion.jacobian.T @ push

    run = drive(scene, shove, guard, 1.0)
    assert run.of("force").max() > 3.0
    assert max(excesses(scene, run).values()) < 1e-6
    assert sum(map(bool, run.intervened)) > 400


def test_without_a_guard_torques_are_cut_to_the_joints_efforts_alone() -> None:
    scene = make_arm_scene("reach", settings(), SEED)
    run = drive(scene, lambda _: np.full(7, 1e3), None, 0.02)
    np.testing.assert_array_equal(run.torque, np.tile(scene.arm.effort, (20, 1)))
    assert run.intervened == ()
    assert np.abs(run.wanted).max() == 1e3


def test_an_unknown_scene_and_another_arm_are_refused() -> None:
    with pytest.raises(SceneError, match=r"unknown arm_scenes 'juggle'; known: hand_over, press, reach, wipe"):
        make_arm_scene("juggle", settings(), SEED)
    six = dataclasses.replace(settings(), arm=dataclasses.replace(settings().arm, joints=settings().arm.joints[:6]))
    with pytest.raises(SceneError, match=r"'arm\.joints' has 6 names; it is made for an arm of 7"):
        make_arm_scene("reach", six, SEED)


@pytest.fixture(autouse=True, scope="module")
def _no_graphics_left() -> Iterator[None]:
    yield
    for name in NAMES:
        done(name)[0].close()
    done.cache_clear()
