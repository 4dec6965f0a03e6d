# SPDX-License-Identifier: Apache-2.0
"""An arm's policy live: what torch trained, in true time, with scales of its own, and nothing for what is no number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.liquid.tool_policy import HARDEST, ToolPolicy, read_aim, scaled
from tidegate.liquid.wiring import SENSES, TOOL_MOTORS, Wiring, input_names, neuron_names
from tidegate.perception.image import normalise
from tidegate.perception.sight import Sight
from tidegate.records import nanoseconds
from tidegate.robot.task_space import ToolSenses
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
        code = stack.backbone.code(torch.from_numpy(normalise(images)))
        rows = scaled(np.array([one.row() for one in sensed]), settings.policy.tool)
        dt = torch.full((1, steps), 1 / camera.rate_hz)
        dt[0, 5] *= 2  # a picture that was lost
        said, neurons = stack(code[None], torch.from_numpy(rows.astype(np.float32))[None], dt)
    policy, sight, stamp = ToolPolicy(bundle, settings), Sight(bundle), 0
    for step, (image, senses) in enumerate(zip(images, sensed, strict=True)):
        stamp += PERIOD * (2 if step == 5 else 1)
        aim = policy.step(stamp, sight(image), senses)
        assert aim is not None
        wanted = read_aim(said[0, step].numpy().astype(float), senses.wanted, settings.policy.tool)
        np.testing.assert_allclose(aim.place, wanted.place, atol=2e-5)
        assert aim.push == pytest.approx(wanted.push, abs=2e-4)
        np.testing.assert_allclose(policy.neurons, neurons[0, step].numpy(), atol=1e-4)


def test_motor_neurons_ask_for_a_place_and_a_share_of_the_wanted_force() -> None:
    scales = ToolScales()
    middle = read_aim(np.array([0.0, 0.0, 0.0, 0.49]), 8.0, scales)
    np.testing.assert_array_equal(middle.place, scales.centre)
    assert middle.push == 0.0, "less than half is none"
    assert read_aim(np.array([1.0, -1.0, 0.5, 0.9]), 8.0, scales).push == pytest.approx(7.2)
    assert read_aim(np.array([0.0, 0.0, 0.0, 50.0]), 8.0, scales).push == HARDEST * 8.0
    assert read_aim(np.array([0.0, 0.0, 0.0, 1.0]), 0.0, scales).push == 0.0, "where no force is wanted"


def test_senses_are_heard_in_their_scales_and_far_above_is_far_above() -> None:
    scales = ToolScales()
    heard = scaled(SENSED.row(), scales)
    np.testing.assert_allclose(heard[:3], [0.1, -0.5, 0.2])
    np.testing.assert_allclose(heard[3:8], [1 / 3, -2 / 3, 1 / 6, 0.3, 0.7])
    assert heard[8] == pytest.approx(0.4)
    assert scaled(SENSED._replace(height=0.4).row(), scales)[8] == 1.0


def test_what_is_no_number_moves_no_neuron_and_a_gap_begins_anew() -> None:
    bundle = ArmStack(SETTINGS, 3000).to_bundle("arm-test")
    policy, features = ToolPolicy(bundle, SETTINGS), np.ones(bundle.perception.features, np.float32)
    first = policy.step(PERIOD, features, SENSED)
    assert first is not None
    before = policy.neurons.copy()
    assert policy.step(2 * PERIOD, features, SENSED._replace(force=np.nan)) is None
    assert policy.step(2 * PERIOD, features[1:], SENSED) is None
    np.testing.assert_array_equal(policy.neurons, before)
    second = policy.step(2 * PERIOD, features, SENSED)
    late = policy.step(2 * PERIOD + nanoseconds(2 * SETTINGS.policy.dt_max_s), features, SENSED)
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
    with pytest.raises(ImageError, match="trained with 112 × 80 px"):
        sight(np.zeros((60, 80, 3), np.uint8))


def test_its_neurons_and_inputs_have_names() -> None:
    wiring = Wiring.from_dict(ArmStack(SETTINGS, 3000).to_bundle("arm-test").wiring)
    assert neuron_names(wiring)[-4:] == list(TOOL_MOTORS)
    assert input_names(wiring)[-10:] == ["feature 31", *SENSES]
