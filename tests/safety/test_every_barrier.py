# SPDX-License-Identifier: Apache-2.0
"""What every barrier carries, whichever it is: its own part of the robot's file, and the robot."""

from __future__ import annotations

from typing import Any

import pytest
from safety_plant import PERIOD, car, settings

from tidegate.safety.barrier import Barrier, Priority, barriers
from tidegate.safety.linear import LinearConstraint


class Written(LinearConstraint):
    """A user's own, in CVXPY."""

    priority = Priority.COMFORT

    def constraints(self, force: Any, curvature: Any) -> list[Any]:
        return [force <= 1.0]


@pytest.mark.parametrize("kind", [*(barriers[name] for name in settings().safety.barriers), Written])
def test_a_barrier_carries_robot_settings_period_and_its_own_parameters(kind: type[Barrier]) -> None:
    given = kind.Parameters(type="some", enabled=False)
    made = kind(settings(), car(), given)
    assert (made.settings, made.car, made.period, made.parameters) == (settings(), car(), PERIOD, given)
    assert kind(settings(), car()).parameters == kind.Parameters()
