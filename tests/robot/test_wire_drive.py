# SPDX-License-Identifier: Apache-2.0
"""A drive-by-wire car drives the embedded road behind the filter: it hears twists alone, a tenth of a second late."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("mujoco")

from wire_car import WireCar, front_wheel

from tidegate.evaluation.drivers import ExpertDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.records import Mode, MotionRequest, SafetyInputs, Tick
from tidegate.robot import DriveByWire
from tidegate.safety import Supervisor
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator, Truth

SETTINGS = load_settings(share_path("config/car.yaml"))
PERIOD = 1 / SETTINGS.safety.rate_hz


class Loop:
    """The expert asks, the filter decides, the drive-by-wire car does what the twist says."""

    def __init__(self, seed: int) -> None:
        self.simulator = Simulator(SETTINGS, "road", seed, camera=False)
        car = self.simulator.car
        self.supervisor = Supervisor(SETTINGS, car)
        self.pilot = Pilot(ExpertDriver(SETTINGS, self.simulator), self.supervisor)
        self.pilot.tamper = self._tampered
        self.wire, self.car, self.log = DriveByWire(car, PERIOD), WireCar(self.simulator), DriveLog(SETTINGS, car)
        self.stop = False
        self.tick: Tick | None = None
        self.asked: MotionRequest | None = None

    def _tampered(self, inputs: SafetyInputs) -> SafetyInputs:
        return replace(inputs, stop_requested=self.stop)

    @property
    def truth(self) -> Truth:
        return self.simulator.truth()

    def drive(self, seconds: float) -> list[Mode]:
        """For so long; the modes."""
        modes, limits = [], SETTINGS.vehicle
        for _ in range(round(seconds / PERIOD)):
            tick = self.pilot.tick(self.simulator.now, self.simulator.observe()).tick
            asked = self.wire.request(tick.command, tick.allowed[1], self.supervisor.speed)
            self.car.take(asked.twist)
            self.car.step()
            self.log.add(tick.command.effort, tick.intervened, tick.mode, self.truth)
            assert 0.0 <= asked.speed <= limits.speed_max
            assert asked.speed * abs(asked.yaw_rate) <= limits.lateral_acceleration_max * (1 + 1e-9)
            self.tick, self.asked = tick, asked
            modes.append(tick.mode)
        return modes

    def in_lane(self) -> bool:
        """Whether no side of the car was ever beyond the lane's edge."""
        trace = self.log.trace()
        return not trace.off_lane.any() and not trace.wheels_off.any()


@pytest.fixture
def loop() -> Loop:
    return Loop(1003)


@pytest.mark.slow
def test_it_drives_in_its_lane_and_a_stop_stands(loop: Loop) -> None:
    loop.drive(1.0)
    assert set(loop.drive(11.0)) == {Mode.NORMAL}
    assert loop.truth.speed > 8.0
    begun, loop.stop = loop.truth, True
    modes = loop.drive(6.0)
    assert list(dict.fromkeys(modes)) == [Mode.STOPPING, Mode.STOPPED]
    ended, asked = loop.truth, loop.asked
    assert abs(ended.speed) < 0.01
    # as far as the comfortable stop that was asked for, the lag, and what a first-order end of it adds
    braking, horizon = SETTINGS.safety.ladder.stop_deceleration, SETTINGS.vehicle.speed_horizon_s
    longest = begun.speed**2 / (2 * braking) + begun.speed * horizon + braking * horizon**2
    assert ended.distance - begun.distance < longest
    assert asked is not None
    assert (asked.speed, asked.yaw_rate) == (0.0, 0.0)
    assert loop.in_lane()
    angle = front_wheel(loop.simulator.car, loop.simulator.observe().joints)
    loop.drive(1.0)
    still = front_wheel(loop.simulator.car, loop.simulator.observe().joints)
    assert still == pytest.approx(angle, abs=0.005)  # at standstill it holds what it had


def test_where_twists_end_it_stops_by_its_own_time_out(loop: Loop) -> None:
    loop.drive(8.0)
    begun = loop.truth
    assert not loop.car.alone
    for _ in range(round(6.0 / PERIOD)):
        loop.car.step()
    assert loop.car.alone
    assert abs(loop.truth.speed) < 0.01
    assert loop.truth.distance - begun.distance < begun.speed**2 / 2 / 4.0 + 0.4 * begun.speed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_a_lap(seed: int) -> None:
    loop = Loop(seed)
    loop.drive(1.0)
    while not loop.truth.reached:
        assert set(loop.drive(5.0)) == {Mode.NORMAL}
        assert loop.log.end() is None or loop.truth.reached
    assert loop.in_lane()
