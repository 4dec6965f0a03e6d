# SPDX-License-Identifier: Apache-2.0
"""What the arm's settings promise of its joints is what the model can do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pinocchio")

from arm_plant import arm, changed, dynamics, settings

from tidegate.errors import RobotError
from tidegate.robot.arm import Arm
from tidegate.safety.arm import ArmGuard, check_promises, promises
from tidegate.safety.arm.promises import power_drift


@pytest.mark.parametrize("samples", [400, pytest.param(20000, marks=pytest.mark.slow)])
def test_the_shipped_promises_are_kept_anywhere(samples: int) -> None:
    for share in promises(arm(), samples, seed=1):
        assert share.shape == (7,)
        assert (share <= 1).all()
        assert (share > 0.05).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"acceleration": (40.0, 40.0, 13.0, 13.0, 16.0, 24.0, 20.0)}, ["acceleration", "the torque is"]),
        ({"jerk": (800.0, 3000.0, 800.0, 800.0, 1000.0, 1200.0, 1000.0)}, ["jerk", "the torque rate is"]),
        ({"braking": (9.9, 5.0, 5.0, 5.0, 5.0, 5.0, 10.0)}, ["braking' of joint_1", "error of the acceleration"]),
        ({"drift": (300.0, 230.0, 300.0, 280.0, 180.0, 30.0, 40.0)}, ["drift' of joint_6", "drift of the acc"]),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(values: dict[str, tuple[float, ...]], words: list[str]) -> None:
    with pytest.raises(RobotError) as caught:
        ArmGuard(changed("motion", **values))
    for word in ("safety.motion.", "at most 1", *words):
        assert word in str(caught.value)


def test_a_power_that_changes_faster_than_promised_is_refused() -> None:
    assert 0.2 < power_drift(arm(), 400, seed=1) <= 1
    with pytest.raises(RobotError, match=r"'safety\.limits\.power_drift' cannot be kept: .* must be at most 1"):
        ArmGuard(changed("limits", power_drift=50.0))


@pytest.mark.slow
def test_the_shipped_power_drift_is_kept_anywhere() -> None:
    assert power_drift(arm(), 20000, seed=1) <= 1


def test_a_payload_that_is_known_too_badly_is_refused() -> None:
    """Two kilograms more or less leave no braking that could be promised."""
    with pytest.raises(RobotError, match="cannot be kept"):
        check_promises(Arm.from_settings(changed("arm", payload=2.0, payload_error=2.0)), 50)


def test_the_promised_accelerations_need_no_more_torque_than_there_is() -> None:
    """The share that is told, worked out for one state by inverse dynamics."""
    motion = np.array(settings().safety.motion.acceleration)
    rng, worst = np.random.default_rng(0), 0.0
    for number in range(20):
        position = rng.uniform(arm().lower, arm().upper)
        spread = rng.uniform(-1, 1, 7) if number % 2 else rng.integers(-1, 2, 7)
        here = dynamics()(position, spread * arm().velocity)
        rng.choice((-1.0, 1.0), 7)
        for signs in np.stack(np.meshgrid(*[(-1, 1)] * 7), -1).reshape(-1, 7):
            worst = max(worst, float((np.abs(here.mass @ (signs * motion) + here.bias) / arm().effort).max()))
    assert promises(arm(), 20).torque.max() == pytest.approx(worst)
