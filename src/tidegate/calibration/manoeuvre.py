# SPDX-License-Identifier: Apache-2.0
"""The calibration manoeuvre in simulation: steps of force and of steering on the flat proving ground."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from tidegate.calibration.recording import TOPICS, Recording, Series
from tidegate.evaluation.drivers import ExpertDriver, Seen
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Moment, Pilot
from tidegate.evaluation.rollout import drive_tick
from tidegate.records import SafetyState, nanoseconds
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.safety.braking import Braking
from tidegate.settings import Settings
from tidegate.simulation import Observation, Simulator, Truth

SCENE = "proving_ground"
FREE = frozenset({"distance", "edge", "lane", "curve", "sight"})
"""Barriers that would keep the car in its lane; limits of joints, grip and speed stay on."""
FAST, SLOW, ROLLING = 12.0, 7.0, 2.5
"""Speeds [m/s] from which the car brakes, at which it steers, and at which a braking step ends."""
PAUSE_S = 0.8
"""No force between two steps, so that each has a beginning [s]."""
FORCES = ((0.6, 0.5, 0.0), (0.8, 0.75, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, -1.0))
"""Steps of the force: share of the strongest drive, share of the backup's braking, steering meanwhile."""
STEERING, STEPS, STEER_S = (0.5, 0.75, 1.0), 24, 0.5
"""Steps of the steering, to either side in turns: how much, how many, and how long each is held [s]."""
LATERAL = 0.65
"""Steering of one: this share of the allowed lateral acceleration."""

Wish = tuple[float, float]
"""Acceleration [m/s²], and curvature [1/m] added to what keeps the car on the road."""
Script = Generator[Wish, Truth, None]


def script(settings: Settings, car: Car) -> Script:
    """What is asked for, one camera frame after the other, given the truth of each."""
    lateral = LATERAL * settings.vehicle.lateral_acceleration_max
    braking = Braking(settings, car).backup(FAST)
    driving = car.force_max / car.effective_mass
    truth = yield 0.0, 0.0
    for drive, brake, steer in FORCES:
        while truth.speed < FAST:
            truth = yield drive * driving, 0.0
        yield from _pause(truth)
        turn = steer * lateral / FAST**2
        truth = yield 0.0, turn
        while truth.speed > ROLLING:
            truth = yield brake * braking, turn
        yield from _pause(truth)
        truth = yield 0.0, 0.0
    for step in range(STEPS):
        while truth.speed < SLOW:
            truth = yield 0.6 * driving, 0.0
        turn = (-1) ** step * STEERING[step // 2 % len(STEERING)] * lateral / SLOW**2
        until = truth.stamp + nanoseconds(STEER_S)
        while truth.stamp < until:
            truth = yield 0.0, turn


def _pause(truth: Truth) -> Script:
    until = truth.stamp + nanoseconds(PAUSE_S)
    while truth.stamp < until:
        truth = yield 0.0, 0.0


class ScriptDriver:
    """Asks for what a script says, at the camera's rate.

    Attributes:
        done: the script has ended.
    """

    def __init__(self, settings: Settings, simulator: Simulator) -> None:
        self._expert, self._simulator = ExpertDriver(settings, simulator), simulator
        self._script = script(settings, simulator.car)
        self._wish = next(self._script)
        self.done = False

    def look(self, sensors: Observation) -> Seen:
        """As ``Driver.look``."""
        percept, decision = self._expert.look(sensors)
        if decision is None or self.done:
            return percept, decision
        try:
            self._wish = self._script.send(self._simulator.truth())
        except StopIteration:
            self.done = True
        acceleration, turn = self._wish
        nominal = decision.nominal
        force = acceleration * self._simulator.car.effective_mass
        return percept, replace(decision, nominal=replace(nominal, force=force, curvature=nominal.curvature + turn))


def drive_manoeuvre(settings: Settings, seed: int) -> Recording:
    """Drive the manoeuvre with the simulated car of a ``seed`` (its mass and tyres differ by seed), camera off.

    Raises:
        SceneError: the simulator cannot be made with these settings.
    """
    with Simulator(settings, SCENE, seed, camera=False) as simulator:
        driver = ScriptDriver(settings, simulator)
        pilot = Pilot(driver, Supervisor(settings, simulator.car, disable=FREE))
        log, series = DriveLog(settings, simulator.car), Series(f"simulation, seed {seed}", simulator.car)

        def watch(moment: Moment) -> None:
            sensors, tick = moment.sensors, moment.step.tick
            records = tick.command, SafetyState.of(tick), sensors.joints, sensors.imu
            for topic, record in zip(TOPICS, records, strict=True):
                series.add(topic, record)

        while not driver.done:
            drive_tick(simulator, pilot, log, watch)
        return series.recording(1 / settings.safety.rate_hz)
