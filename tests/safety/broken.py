# SPDX-License-Identifier: Apache-2.0
"""One drive for each guarantee, in which what it rests on may be broken: for the tests that break it grossly and for
the search of how little is enough (benchmarks/cliffs.py)."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.evaluation.drivers import ExpertDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.rollout import drive_tick
from tidegate.records import Command, LaneEstimate, Mode, Received, SafetyInputs
from tidegate.robot import GRAVITY
from tidegate.safety import Supervisor
from tidegate.safety.ladder import Rung
from tidegate.simulation import Simulator

Change = Callable[[SafetyInputs], SafetyInputs]
LANE = settings().safety.lane


@dataclass
class Worse(Plant):
    """A car that is not what the settings say: ``brakes`` give a share of what is commanded, the road grips by
    ``grip``, wheels and steering answer ``wheel_delay`` and ``steer_delay`` [s] late; in a bend at the lateral limit
    the rear axle slips outwards by ``slip`` metres per metre, in others by as much less."""

    brakes: float = 1.0
    grip: float = 0.8
    wheel_delay: float = 0.0
    steer_delay: float = 0.0
    slip: float = 0.0
    sent: deque[np.ndarray] = field(default_factory=lambda: deque([np.zeros(6)], maxlen=400))

    def step(self, command: Command, substeps: int = 2) -> None:
        self.sent.append(command.effort)
        steer, wheels = (
            self.sent[max(len(self.sent) - 1 - round(delay / PERIOD), 0)]
            for delay in (self.steer_delay, self.wheel_delay)
        )
        super().step(dataclasses.replace(command, effort=np.concatenate((steer[:2], wheels[2:]))), substeps)
        lateral = self.speed**2 * car().curvature(*self.steer) / settings().vehicle.lateral_acceleration_max
        self.offset -= PERIOD * self.speed * self.slip * lateral

    def _force(self, wheels: np.ndarray) -> float:
        force = wheels.sum() / car().wheel_radius
        most = self.grip * GRAVITY * car().effective_mass
        return float(np.clip(force * (self.brakes if force < 0 else 1.0), -most, most))


def rolling(plant: Plant, speed: float, change: Change = lambda inputs: inputs, **look: object) -> Drive:
    """The car released where the plant stands, and at once rolling at ``speed`` [m/s]."""
    drive = Drive(plant, **look)
    drive.run(0.5, (0.0, 0.0), change, reset_requested=True)
    assert drive.tick is not None
    assert drive.tick.mode == Mode.NORMAL
    plant.speed = speed
    return drive


def rolled_back(slope: float, wish: float, speed: float = 0.0) -> tuple[float, Drive]:
    """How far [m] a car at ``speed`` [m/s] that asks for the force ``wish`` [N] rolls back on a ``slope`` until it is
    STOPPED."""
    drive, farthest, most = Drive(Plant(speed=speed, slope=slope)), 0.0, 0.0
    drive.supervisor.rung = Rung(Mode.NORMAL)
    while drive.modes[-1:] != [Mode.STOPPED] and len(drive.modes) < 20_000:
        drive.run(PERIOD, (wish, 0.0))
        farthest = max(farthest, drive.plant.rolled)
        most = max(most, farthest - drive.plant.rolled)
    return most, drive


def gap_to_a_wall(plant: Plant, change: Change = lambda inputs: inputs, ahead: float = 60.0, **then: float) -> float:
    """Smallest gap [m] to a wall that stands ``ahead`` of the bumper of a car that rolls at 12 m/s, from then on under
    full throttle; ``then``: what becomes of the plant at that moment. Negative = contact."""
    drive = rolling(plant, 12.0, change)
    drive.run(0.5, (0.0, 0.0), change)
    for name, value in then.items():
        setattr(plant, name, value)
    wall = plant.x + car().front + ahead
    gap = math.inf
    while gap > 0 and (plant.speed > 0.05 or gap > 20.0):
        drive.run(PERIOD, (9000.0, 0.0), change, walls=np.array([[wall, -1.5, wall, 1.5]]))
        gap = min(gap, wall - plant.x - car().front)
    return gap


def with_points(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Range returns (P, 3) as ``change`` makes them; the same scan stays the same object."""
    last: list[Received] = []

    def changed(inputs: SafetyInputs) -> SafetyInputs:
        received = inputs.points
        assert received is not None
        if not last or last[0].record.stamp != received.record.stamp:
            xyz = change(received.record.xyz.copy()).astype(np.float32)
            points = dataclasses.replace(received.record, xyz=xyz, ring=received.record.ring[: len(xyz)])
            last[:] = [Received(points, 0)]
        return dataclasses.replace(inputs, points=Received(last[0].record, received.age))

    return changed


def shifted(by: float) -> Change:
    """Returns of things farther off by this [m]."""
    return with_points(lambda xyz: xyz + np.where(xyz[:, 2:] > 0.3, [by, 0.0, 0.0], 0.0))


def top_speed(change: Change = lambda inputs: inputs, slope: float = 0.0) -> float:
    """Highest speed [m/s] under full throttle, ``slope`` coming when the limit is near; no lane holds the car back."""
    drive, top = rolling(Worse(), 14.0, disable=frozenset({"lane", "sight"})), 0.0
    drive.run(1.5, (9000.0, 0.0), change)
    drive.plant.slope = slope
    for _ in range(round(3.0 / PERIOD)):
        drive.run(PERIOD, (9000.0, 0.0), change)
        top = max(top, drive.plant.speed)
    return top


def slow_by(share: float, offset: float) -> Change:
    """Wheels and odometry that agree on a speed that is too low."""

    def change(inputs: SafetyInputs) -> SafetyInputs:
        joints, odometry = inputs.joints, inputs.odometry
        assert joints is not None
        assert odometry is not None
        lost = share * odometry.record.speed + min(offset, odometry.record.speed)
        spins = np.where(np.isin(joints.record.names, car().wheel_joints), lost / car().wheel_radius, 0.0)
        slow_joints = dataclasses.replace(joints.record, velocity=joints.record.velocity - spins)
        slow_odometry = dataclasses.replace(odometry.record, speed=odometry.record.speed - lost)
        return dataclasses.replace(inputs, joints=Received(slow_joints, 0), odometry=Received(slow_odometry, 0))

    return change


def widest(
    plant: Plant,
    speed: float,
    nominal: Callable[[Plant], tuple[float, float]],
    error: float = 0.0,
    turned: float = 0.0,
    bound: float = 0.2,
    seconds: float = 4.0,
    road_seen: float | None = None,
) -> float:
    """How far [m] beyond the lane's edge (negative: inside) a side of the car gets that rolls at ``speed`` [m/s]; the
    lane estimate's offset errs by ``error``, its bound is ``bound`` [m], its heading by ``turned`` [rad]; it sees a
    road of ``road_seen`` [1/m]."""

    def change(inputs: SafetyInputs) -> SafetyInputs:
        received = inputs.lane
        if received is None:
            return inputs
        seen: LaneEstimate = received.record
        curvature = seen.curvature if road_seen is None else np.full_like(seen.curvature, road_seen)
        wrong = dataclasses.replace(
            seen, offset=seen.offset + error, heading=seen.heading + turned, curvature=curvature
        )
        return dataclasses.replace(inputs, lane=Received(wrong, received.age))

    drive, most = rolling(plant, speed, change, bound=bound), -math.inf
    for _ in range(round(seconds / PERIOD)):
        drive.run(PERIOD, nominal(plant), change)
        front = plant.offset + car().wheelbase * math.sin(plant.heading)
        most = max(most, abs(plant.offset), abs(front))
    return most + car().width / 2 - LANE.half_width


def to_the_left(plant: Plant) -> tuple[float, float]:
    """Steers for the lane's left edge at 8 m/s."""
    return 2000.0 * (8.0 - plant.speed), 0.1


def outwards(plant: Plant) -> tuple[float, float]:
    """Steers for the left edge at 12 m/s, in a bend to the right the outer one."""
    return 2000.0 * (12.0 - plant.speed), 0.1


def slalom(plant: Plant) -> tuple[float, float]:
    """Lock to lock at 12 m/s."""
    return 2000.0 * (12.0 - plant.speed), math.copysign(0.1, math.sin(3.0 * plant.along / 12.0))


def beyond_when_blind(plant: Plant, bend: float, side: float = 0.2, turned: float = 0.0) -> float:
    """How far [m] beyond the lane's edge (negative: inside) a side of the car gets that keeps to the middle of its lane
    under full throttle until the camera is lost; the lane that it remembers errs by ``bend`` [1/m] in curvature, by
    ``side`` [m], its odometry turns by ``turned`` [rad/m]. Errors push the same way; what is stated covers them."""

    def change(inputs: SafetyInputs) -> SafetyInputs:
        odometry, lane = inputs.odometry, inputs.lane
        assert odometry is not None
        turns = odometry.record.yaw_rate + turned * plant.speed
        made = dataclasses.replace(
            inputs, odometry=Received(dataclasses.replace(odometry.record, yaw_rate=turns), odometry.age)
        )
        if lane is None:
            return made
        seen: LaneEstimate = lane.record
        stated = np.array([side, 0.0, *[abs(bend)] * len(seen.curvature)])
        offset = seen.offset + math.copysign(side, -bend)
        wrong = dataclasses.replace(seen, offset=offset, curvature=seen.curvature + bend, bound=stated)
        return dataclasses.replace(made, lane=Received(wrong, lane.age))

    drive, most = rolling(plant, 12.0, change), -math.inf
    for _ in range(round(6.0 / PERIOD)):
        drive.run(PERIOD, (9000.0, plant.road_curvature - 0.2 * plant.heading - 0.01 * plant.offset), change)
    assert plant.speed > 10.0
    while plant.speed > 0:
        drive.run(PERIOD, (9000.0, 0.0), change, camera=False)
        front = plant.offset + car().wheelbase * math.sin(plant.heading)
        most = max(most, abs(plant.offset), abs(front))
    return most + car().width / 2 - LANE.half_width


def off_lane_on(friction: float | None) -> float:
    """Time [s] outside the lane of a simulated road that becomes as slippery as ``friction`` under the moving car."""
    with Simulator(settings(), "road", 5001, camera=False) as simulator:
        pilot = Pilot(ExpertDriver(settings(), simulator), Supervisor(settings(), simulator.car))
        log = DriveLog(settings(), simulator.car)
        for tick in range(round(10.0 / PERIOD)):
            drive_tick(simulator, pilot, log)
            if friction is not None and tick == round(6.0 / PERIOD):
                for index in range(len(car().wheel_joints)):
                    simulator.world.model.geom(f"tyre_{index}").friction[0] = friction
        trace = log.trace()
        return float(trace.off_lane.sum() * trace.period)
