# SPDX-License-Identifier: Apache-2.0
"""Keep a drive as the node graph would: the same topics in a bag, and beside it what only the simulator knows."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from tidegate.bag import BagWriter
from tidegate.evaluation.metrics import Run
from tidegate.messages import camera_info
from tidegate.records import Neurons, SafetyState, UsedInputs
from tidegate.settings import Settings
from tidegate.simulation.road import CENTRE_LINE

if TYPE_CHECKING:
    from tidegate.evaluation.rollout import Moment

TRUTH, RUN = "truth.npz", "run.json"
"""Files beside the bag's own."""


class DriveRecorder:
    """Writes the bag ``path`` tick by tick, then the truth and the figures into the same folder."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Begin the bag.

        Raises:
            BagError: the folder exists already or cannot be made.
        """
        self._path, self._camera = path, settings.camera
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = BagWriter(path)
        self._rows: list[tuple[float, ...]] = []
        self._road = np.zeros((0, 2))

    def __enter__(self) -> DriveRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def keep(self, moment: Moment) -> None:
        """Write one tick, in the order in which the graph publishes it."""
        sensors, step, truth, now = moment.sensors, moment.step, moment.truth, moment.step.inputs.now
        write = self._writer.write
        for topic, record in (("joint_states", sensors.joints), ("odom", sensors.odometry), ("imu", sensors.imu)):
            write(topic, record, now)
        if sensors.points is not None:
            write("points", sensors.points, now)
        if sensors.frame is not None:
            write("camera/image_raw", sensors.frame, now)
            write("camera/camera_info", camera_info(sensors.frame.stamp, self._camera), now)
        if step.percept is not None:
            if len(step.percept.features.values):
                write("features", step.percept.features, now)
            write("lane", step.percept.lane, now)
            write("health", step.percept.health, now)
        if step.decision is not None:
            write("nominal", step.decision.nominal, now)
            write("gains", step.decision.gains, now)
            if len(step.decision.neurons):
                write("neurons", Neurons(step.decision.nominal.stamp, step.decision.neurons), now)
        write("safety_node/inputs", UsedInputs.of(step.inputs), now)
        write("safety_node/barriers", SafetyState.of(step.tick), now)
        write("command", step.tick.command, now)
        self._rows.append((now, truth.x, truth.y, truth.yaw, truth.speed, truth.offset, truth.heading, truth.gap))
        if not len(self._road):
            road = moment.simulator.road
            self._road = road.points(np.linspace(0, road.length, 600), np.full(600, CENTRE_LINE))

    def conclude(self, run: Run) -> None:
        """Write what the simulator knows and how the drive was judged."""
        columns = ("stamp", "x", "y", "yaw", "speed", "offset", "heading", "gap")
        table = dict(zip(columns, np.array(self._rows).T, strict=True))
        np.savez_compressed(self._path / TRUTH, road=self._road, **table)
        (self._path / RUN).write_text(json.dumps(run.as_dict(), indent=1) + "\n", encoding="utf-8")
