# SPDX-License-Identifier: Apache-2.0
"""Commands and what the car did, as even time series: from a bag, or as a manoeuvre goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader
from tidegate.errors import BagError
from tidegate.records import Floats
from tidegate.robot import Car

GAP = 0.1
"""A longer silence [s] of any input is a gap: nothing is fitted across it."""
TOPICS = ("command", "safety_node/barriers", "joint_states", "imu")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """T samples, ``period`` [s] apart; the arrays are in the order of ``TOPICS``.

    Commands hold until the next one: ``force`` (T,) [N] at the wheels' rims, ``curvature`` (T,) [1/m]. Measured:
    ``steered`` (T,) [1/m] by the angles of the front wheels; ``speed`` (T,) [m/s], the wheels' median, so that one that
    locks does not count; ``pushed`` (T,) [m/s²] and ``turned`` (T,) [rad/s] by the IMU: the specific force along the
    car at ``base_link``, and the yaw rate. ``known`` (T,): no input is in a gap.
    """

    source: str
    period: float
    force: Floats
    curvature: Floats
    steered: Floats
    speed: Floats
    pushed: Floats
    turned: Floats
    known: NDArray[np.bool_]

    @property
    def duration(self) -> float:
        """Length [s]."""
        return len(self.force) * self.period


class Series:
    """Records by topic, as they come."""

    def __init__(self, source: str, car: Car) -> None:
        """``source`` names the recording in messages."""
        self._source, self._car = source, car
        (self._imu, _, _), _ = car.description.origin("imu_link")
        self._rows: dict[str, list[tuple[float, ...]]] = {topic: [] for topic in TOPICS}

    def add(self, topic: str, record: Any) -> None:
        """Take in one record of a topic.

        Raises:
            BagError: joints that are not the car's.
        """
        self._rows[topic].append((record.stamp / 1e9, *self._values(topic, record)))

    def _values(self, topic: str, record: Any) -> tuple[float, ...]:
        car = self._car
        if topic in ("command", "joint_states"):
            absent = [name for name in car.joint_names if name not in record.names]
            if absent:
                raise BagError(f"{self._source}: '{topic}' lacks joint '{absent[0]}'; it has {', '.join(record.names)}")
        if topic == "command":
            efforts = dict(zip(record.names, record.effort.tolist(), strict=True))
            return (car.wheel_force(np.array([efforts[name] for name in car.wheel_joints])),)
        if topic == "joint_states":
            angles = [record.position.item(record.names.index(name)) for name in car.steer_joints]
            return car.curvature(*angles), car.rim_speed(record)
        if topic == "safety_node/barriers":
            return (record.allowed[1],)
        turned = record.angular_velocity.item(2)
        return record.linear_acceleration.item(0) + turned**2 * self._imu, turned

    def recording(self, period: float) -> Recording:
        """Everything on one grid of ``period`` [s], over the time in which all topics speak.

        Raises:
            BagError: the topics have no time in common, or hold what is no number.
        """
        series = {topic: np.array(sorted(rows)) for topic, rows in self._rows.items()}
        first = max((rows[0, 0] if len(rows) else np.inf) for rows in series.values())
        last = min((rows[-1, 0] if len(rows) else -np.inf) for rows in series.values())
        if not last - first > GAP:
            raise BagError(f"{self._source}: {', '.join(TOPICS)} have no time in common")
        grid = np.arange(first, last, period)
        known = np.ones(len(grid), bool)
        values: list[Floats] = []
        for topic, (stamp, *columns) in ((topic, rows.T) for topic, rows in series.items()):
            if not np.isfinite(columns).all():
                raise BagError(f"{self._source}: '{topic}' holds values that are no numbers (or lacks a column)")
            # a stamp that is a rounding error later than its sample is not the next one
            held = np.searchsorted(stamp, grid + 1e-6 * period, side="right") - 1
            known &= grid - stamp[held] < GAP
            commanded = topic in ("command", "safety_node/barriers")
            values += [column[held] if commanded else np.interp(grid, stamp, column) for column in columns]
        force, curvature, steered, speed, pushed, turned = values
        return Recording(self._source, period, force, curvature, steered, speed, pushed, turned, known)


def read_recording(reader: BagReader, car: Car, period: float) -> Recording:
    """The recording in a bag, on a grid of ``period`` [s].

    Raises:
        BagError: a topic is missing or corrupt or holds no numbers, joints are not the car's, or the topics have no
            time in common.
    """
    series = Series(str(reader.path), car)
    for topic, _, record in reader.messages(TOPICS):
        series.add(topic, record)
    return series.recording(period)
