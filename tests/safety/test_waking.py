# SPDX-License-Identifier: Apache-2.0
"""A filter that wakes up to actuators which have acted by themselves, in the MuJoCo world."""

from __future__ import annotations

import numpy as np
import pytest
from safety_plant import PERIOD, settings

from tidegate.evaluation.drivers import ExpertDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.rollout import drive_tick
from tidegate.records import Mode
from tidegate.safety import Supervisor
from tidegate.simulation import Simulator


@pytest.mark.parametrize("slept_s", [0.08, 0.2, 1.0])
def test_a_filter_that_slept_begins_where_the_actuators_are_by_then(slept_s: float) -> None:
    """The simulated actuators know nothing of the filter: their own brake is what its first command meets."""
    with Simulator(settings(), "road", 5000, camera=False) as simulator:
        wheels, vehicle = slice(2, None), settings().vehicle
        pilot = Pilot(ExpertDriver(settings(), simulator), Supervisor(settings(), simulator.car))
        log = DriveLog(settings(), simulator.car)
        for _ in range(round(3.0 / PERIOD)):
            driving = drive_tick(simulator, pilot, log).command
        assert driving.effort[wheels].max() > 0.5 * vehicle.drive_effort_max
        for _ in range(round(slept_s / PERIOD)):
            simulator.step()
        acting, speed = simulator.observe().joints.effort[wheels], simulator.truth().speed
        effort = drive_tick(simulator, pilot, log).command.effort[wheels]
        late = (vehicle.command_hold_s - settings().simulator.command_timeout_s) * vehicle.wheel_effort_rate
        assert np.abs(effort - acting).max() <= late + 2 * PERIOD * vehicle.wheel_effort_rate + 50
        for _ in range(round(0.5 / PERIOD)):
            mode = drive_tick(simulator, pilot, log).mode
            assert log.last is not None
            assert mode is Mode.NORMAL or log.last.speed < speed + 0.02
