# SPDX-License-Identifier: Apache-2.0
"""An arm's policy live: what torch trained, in true time, with scales of its own, and nothing for what is no number."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.liquid.tool_policy import HARDEST, ToolPolicy, heard, read_aim
from tidegate.liquid.wiring import TOOL_HEARS, TOOL_MOTORS, Wiring, input_names, neuron_names
from tidegate.perception.image import normalise
from tidegate.perception.sight import Sight
from tidegate.records import nanoseconds
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.settings.arm_policy import ToolScales
from tidegate.share import share_path

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
PERIOD = nanoseconds(1 / SETTINGS.camera.rate_hz)
SENSED = ToolSenses(np.array([0.52, -0.1, 0.4]), np.array([0.1, -0.2, 0.05]), 3.0, 7.0, 0.02)


def settings_of(cell: str) -> ArmSettings:
    return replace(SETTINGS, policy=replace(SETTINGS.policy, cell=cell))


def random_senses(random: np.random.Generator) -> ToolSenses:
    return ToolSenses(
        random.uniform(0.2, 0.6, 3), random.uniform(-0.4, 0.4, 3), *random.uniform((0, 5, -0.1), (9, 9, 0.2))
    )


@pytest.mark.parametrize("cell", ["ltc", "cfc"])
def test_the_live_path_says_what_torch_says_picture_by_picture(cell: str) -> None:
    settings, random = settings_of(cell), np.random.default_rng(3000)
    stack = ArmStack(settings, 3000)
    bundle = stack.to_bundle("arm-test")
    camera, steps = settings.camera, 8
    images = random.integers(0, 256, (steps, camera.height, camera.width, 3), dtype=np.uint8)
    sensed = [random_senses(random) for _ in images]
    with torch.no_grad():
        seen = stack.sight(torch.from_numpy(normalise(images))).numpy().astype(float)
        dt = torch.full((1, steps), 1 / camera.rate_hz)
        dt[0, 5] *= 2  # a picture that was lost
        moved = np.diff(seen, axis=0, prepend=seen[:1]) / dt[0].numpy()[:, None]
        rows = heard(seen, moved, np.array([one.row() for one in sensed]), settings.policy.tool)
        said, neurons = stack(torch.from_numpy(rows.astype(np.float32))[None], dt)
    policy, sight, stamp = ToolPolicy(bundle, settings), Sight(bundle), 0
    for step, (image, senses) in enumerate(zip(images, sensed, strict=True)):
        stamp += PERIOD * (2 if step == 5 else 1)
        aim = policy.step(stamp, sight(image), senses)
        assert aim is not None
        wanted = read_aim(said[0, step].numpy().astype(float), seen[step], senses, settings.policy.tool)
        np.testing.assert_allclose(aim.place, wanted.place, atol=2e-5)
        assert aim.push == pytest.approx(wanted.push, abs=2e-4)
        np.testing.assert_allclose(policy.neurons, neurons[0, step].numpy(), atol=1e-4)


def aim_of(outputs: list[float], goal: tuple[float, float, float] = (0, 0, 0), wanted: float = 7.0) -> ToolAim:
    """Asked for where a goal is seen so far from the tool; the place as from the tool."""
    sights = np.array([*(SENSED.place + goal), *[0.0] * 5])
    aim = read_aim(np.array(outputs), sights, SENSED._replace(wanted=wanted), ToolScales())
    return aim._replace(place=aim.place - SENSED.place)


def test_the_goal_draws_the_tool_and_motor_neurons_add_to_that() -> None:
    np.testing.assert_allclose(aim_of([0.0] * 4).place, np.zeros(3))
    np.testing.assert_allclose(aim_of([0.0] * 4, (0.01, -0.02, 0.0)).place, [0.01, -0.02, 0.0])
    np.testing.assert_allclose(aim_of([0.0] * 4, (0.0, 0.4, 0.3)).place, [0.0, 0.048, 0.036], err_msg="6 cm at most")
    np.testing.assert_allclose(aim_of([1.0, -1.0, 0.5, 0.0], (0.01, 0.0, 0.0)).place, [0.06, -0.05, 0.025])


def test_the_last_motor_neuron_asks_for_a_share_of_the_wanted_force() -> None:
    assert aim_of([0.0, 0.0, 0.0, 0.9]).push == pytest.approx(6.3)
    assert aim_of([0.0, 0.0, 0.0, 0.49]).push == 0.0, "less than half is none"
    assert aim_of([0.0, 0.0, 0.0, 50.0]).push == HARDEST * 7.0
    assert aim_of([0.0, 0.0, 0.0, 1.0], wanted=0.0).push == 0.0, "where no force is wanted"


def hear(senses: ToolSenses = SENSED, **seen: float) -> dict[str, float]:
    """What the network hears by name, of a goal and an obstacle so far from the tool, and their speeds along x."""
    goal, thing = (senses.place + [seen.get(f"{what}_{axis}", 0.0) for axis in "xyz"] for what in ("goal", "thing"))
    sights = np.array([*goal, seen.get("extent", 0.0), *thing, seen.get("there", 0.0)])
    moved = np.array([seen.get("goal_moves", 0.0), 0, 0, 0, seen.get("thing_moves", 0.0), 0, 0, 0])
    return dict(zip(TOOL_HEARS, heard(sights, moved, senses.row(), ToolScales()), strict=True))


def test_of_the_way_to_the_goal_a_millimetre_counts_near_it_and_not_far_off() -> None:
    near, far = ([hear(goal_x=x + way)["goal x"] for way in (0, 0.001)] for x in (0.0, 0.4))
    assert near[0] == pytest.approx(0.0)
    assert near[1] == pytest.approx(0.02, rel=1e-3)
    assert 0 < far[1] - far[0] < near[1] / 5
    assert hear(goal_y=-0.4)["goal y"] == pytest.approx(-far[0])


def test_an_obstacle_is_felt_where_it_is_near_and_only_if_there_is_one() -> None:
    assert hear(thing_y=0.1, there=1.0)["obstacle y"] == pytest.approx(0.5)
    assert hear(thing_y=0.06, there=1.0)["obstacle y"] > 0.7
    assert 0 < hear(thing_y=0.5, there=1.0)["obstacle y"] < 0.05
    assert hear(thing_y=0.1, there=0.0)["obstacle y"] == 0.0


def test_how_fast_things_move_is_heard_up_to_a_limit() -> None:
    assert hear(goal_moves=0.03)["goal's speed x"] == pytest.approx(0.1, abs=1e-3)
    assert 0.99 < hear(goal_moves=5.0)["goal's speed x"] <= 1.0
    assert hear(thing_moves=0.03, there=1.0)["obstacle's speed x"] == pytest.approx(0.1, abs=1e-3)
    assert hear(thing_moves=0.03, there=0.0)["obstacle's speed x"] == 0.0


def test_senses_are_heard_in_their_scales_and_far_above_is_far_above() -> None:
    told = hear(extent=0.07)
    wanted = {"speed x": 1 / 3, "speed y": -2 / 3, "speed z": 1 / 6, "force": 0.3, "wanted force": 0.7, "height": 0.4}
    assert {name: told[name] for name in wanted} == pytest.approx(wanted)
    assert told["extent"] == pytest.approx(0.7)
    assert hear(SENSED._replace(height=0.4))["height"] == 1.0


def test_what_is_no_number_moves_no_neuron_and_a_gap_begins_anew() -> None:
    bundle = ArmStack(SETTINGS, 3000).to_bundle("arm-test")
    policy, sights = ToolPolicy(bundle, SETTINGS), np.full(8, 0.4, np.float32)
    first = policy.step(PERIOD, sights, SENSED)
    assert first is not None
    before = policy.neurons.copy()
    assert policy.step(2 * PERIOD, sights, SENSED._replace(force=np.nan)) is None
    for index, value in product(range(8), (np.nan, np.inf, -np.inf)):
        assert policy.step(2 * PERIOD, np.where(np.arange(8) == index, np.float32(value), sights), SENSED) is None
    np.testing.assert_array_equal(policy.neurons, before)
    second = policy.step(2 * PERIOD, sights, SENSED)
    late = policy.step(2 * PERIOD + nanoseconds(2 * SETTINGS.policy.dt_max_s), sights, SENSED)
    assert second is not None
    assert late is not None
    assert not np.array_equal(second.place, first.place)
    np.testing.assert_array_equal(late.place, first.place)


def test_a_bundle_of_an_arm_keeps_its_scales_and_a_cars_is_refused(tmp_path: Path) -> None:
    made = replace(ArmStack(SETTINGS, 3000).to_bundle("arm-test"), tool=ToolScales(place=0.3))
    made.save(tmp_path / "arm-test")
    kept = Bundle.load(tmp_path / "arm-test", "arm")
    assert kept.tool == ToolScales(place=0.3)
    with pytest.raises(BundleError, match="robot 'car'"):
        ToolPolicy(Bundle.load(share_path("models/car-ltc19")), SETTINGS)
    with pytest.raises(BundleError, match="its network is corrupt"):
        ToolPolicy(replace(made, arrays={}), SETTINGS)


def test_a_picture_of_another_size_is_refused() -> None:
    sight = Sight(ArmStack(SETTINGS, 3000).to_bundle("arm-test"))
    with pytest.raises(ImageError, match="trained with 160 × 112 px"):
        sight(np.zeros((60, 80, 3), np.uint8))


def test_its_neurons_and_inputs_have_names() -> None:
    wiring = Wiring.from_dict(ArmStack(SETTINGS, 3000).to_bundle("arm-test").wiring)
    assert neuron_names(wiring)[-4:] == list(TOOL_MOTORS)
    assert input_names(wiring) == list(TOOL_HEARS)
