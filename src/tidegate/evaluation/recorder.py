# SPDX-License-Identifier: Apache-2.0
"""Keep a drive as the node graph would: the same topics in a bag."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from tidegate.bag import BagWriter
from tidegate.evaluation.metrics import Run
from tidegate.evaluation.pilot import Moment
from tidegate.messages import camera_info
from tidegate.records import Neurons, SafetyState, UsedInputs, Values
from tidegate.settings import Settings

RUN = "run.json"
"""The figures of the drive, beside the bag's own files."""


class DriveRecorder:
    """Writes the bag ``path`` tick by tick, then the figures into the same folder."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Begin the bag.

        Raises:
            BagError: the folder exists already or cannot be made.
        """
        self._path, self._camera = path, settings.camera
        self._writer = BagWriter(path)

    def __enter__(self) -> DriveRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def keep(self, moment: Moment) -> None:
        """Write one tick, in the order in which the graph publishes it."""
        sensors, step, now = moment.sensors, moment.step, moment.step.inputs.now
        write = self._writer.write
        for topic, record in (("joint_states", sensors.joints), ("odom", sensors.odometry), ("imu", sensors.imu)):
            write(topic, record, now)
        if sensors.points is not None:
            write("points", sensors.points, now)
        if sensors.frame is not None:
            write("camera/camera_info", camera_info(sensors.frame.stamp, self._camera), now)
            write("camera/image_raw", sensors.frame, now)
        write("truth", Values(now, moment.truth.to_values()), now)
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
        write("command", step.tick.command, now)
        write("safety_node/barriers", SafetyState.of(step.tick), now)
        write("safety_node/inputs", UsedInputs.of(step.inputs), now)

    def conclude(self, run: Run) -> None:
        """Write how the drive was judged."""
        (self._path / RUN).write_text(json.dumps(run.as_dict(), indent=1) + "\n", encoding="utf-8")
