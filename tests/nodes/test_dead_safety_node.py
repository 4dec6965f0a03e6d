# SPDX-License-Identifier: Apache-2.0
"""A safety node that dies or freezes at speed: the actuators' own time-out stops the car, and waking up starts nothing.

Real processes and the MuJoCo world, on the clock that the simulator publishes.
"""

from __future__ import annotations

import signal

import pytest
from drive import AT_SPEED, Drive

from tidegate.errors import GraphError
from tidegate.records import NANOSECONDS, Mode, Values, nanoseconds, seconds

pytestmark = pytest.mark.real_time

STANDING = 0.05
GAINED = 0.05
"""Speed [m/s] that a car may gain whose brakes are on: none but what a slope and the tick of waking give."""
UNDER_WAY_S = 0.02
"""Simulated time that a command may be under way on a busy machine."""
SETTLE_S = 8.0
"""Real time in which the car comes to stand, on a busy machine too."""


@pytest.fixture
def drive() -> Drive:
    return Drive()


def stopped_since(drive: Drive, begun: Values) -> bool:
    """Whether the car stands, and came to it on twice the way that the guaranteed braking needs on the flat."""
    way = drive.truth[-1].values["distance"] - begun.values["distance"]
    limit = begun.values["speed"] ** 2 / drive.graph.settings.vehicle.brake_guaranteed
    return drive.speed < STANDING and way < limit


@pytest.mark.slow
def test_a_car_whose_safety_node_is_killed_stands_still_by_the_actuators_time_out(drive: Drive) -> None:
    killed: list[Values] = []

    def kill() -> None:
        with drive.graph:
            drive.listen()
            drive.until(lambda: drive.speed > AT_SPEED)
            killed.append(drive.truth[-1])
            drive.hit(signal.SIGKILL)
            drive.graph.spin(SETTLE_S)  # handles what comes for as long, and only then looks who is alive

    with pytest.raises(GraphError, match=r"safety_node ended by itself \(code -9\)"):
        kill()
    assert stopped_since(drive, killed[0]), drive.truth[-1]
    assert not drive.truth[-1].values["contacts"]
    settings, last = drive.graph.settings, drive.commands[-1].stamp
    braking = [truth.stamp for truth in drive.truth if truth.stamp >= last and truth.values["sink_braking"]]
    stated = nanoseconds(settings.simulator.command_timeout_s + UNDER_WAY_S)
    assert braking[0] - last <= stated, f"brakes began {seconds(braking[0] - last):g} s after the last command"


@pytest.mark.parametrize("until_it_stands", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_safety_node_that_was_frozen_does_not_drive_on(drive: Drive, until_it_stands: bool) -> None:
    """It wakes up to young inputs, while the car still rolls or when it has long been standing."""
    with drive.graph:
        drive.listen()
        drive.until(lambda: drive.speed > AT_SPEED and drive.states[-1].mode == Mode.NORMAL)
        frozen = drive.truth[-1]
        drive.hit(signal.SIGSTOP)
        try:
            if until_it_stands:
                drive.until(lambda: stopped_since(drive, frozen))
            else:
                drive.until(lambda: drive.truth[-1].stamp - frozen.stamp > 0.4 * NANOSECONDS)
                assert drive.speed > 1.0
        finally:
            drive.hit(signal.SIGCONT)
        woke, ticks = drive.truth[-1], len(drive.states)
        drive.until(lambda: drive.states[-1].mode == Mode.STOPPED)
        drive.graph.spin(1.0)
        assert drive.speed < STANDING
        fastest = max(truth.values["speed"] for truth in drive.truth if truth.stamp > woke.stamp)
        assert fastest < woke.values["speed"] + GAINED
        modes = {state.mode for state in drive.states[ticks:] if state.stamp > woke.stamp}
        assert modes <= {Mode.STOPPING, Mode.STOPPED}
