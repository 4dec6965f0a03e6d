# SPDX-License-Identifier: Apache-2.0
"""Keep a drive as the node graph would: the same topics in a bag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tidegate.bag import BagWriter
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.topics import FIELDS
from tidegate.messages import camera_info
from tidegate.records import Neurons, SafetyInputs, SafetyState, UsedInputs, Values
from tidegate.settings import Settings

RUN = "run.json"
"""The figures of the drive, beside the bag's own files."""


class DriveRecorder:
    """Writes the bag ``path`` tick by tick, then the figures into the same folder."""

    def __init__(self, path: Path, settings: Settings, contract: Mapping[str, str]) -> None:
        """Begin the bag; ``contract`` as ``robot.contract.contract_of`` makes it.

        Raises:
            BagError: the folder exists already or cannot be made.
        """
        self._path, self._camera = path, settings.camera
        self._writer = BagWriter(path, contract)
        self._heard: dict[str, Any] = {}

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
        self._hear(step.inputs, "joints", "odometry", "imu", "points")
        if sensors.frame is not None:
            write("camera/camera_info", camera_info(sensors.frame.stamp, self._camera), now)
            write("camera/image_raw", sensors.frame, now)
        write("truth", Values(now, moment.truth.to_values()), now)
        if step.percept is not None and len(step.percept.features.values):
            write("features", step.percept.features, now)
        self._hear(step.inputs, "lane", "health", "nominal", "gains")
        if step.decision is not None and len(step.decision.neurons):
            write("neurons", Neurons(step.decision.nominal.stamp, step.decision.neurons), now)
        write("command", step.tick.command, now)
        write("safety_node/barriers", SafetyState.of(step.tick), now)
        write("safety_node/inputs", UsedInputs.of(step.inputs), now)

    def _hear(self, inputs: SafetyInputs, *names: str) -> None:
        """Write what is new of the filter's inputs, as it heard them: an attack tampers with them on the way."""
        for name in names:
            received = getattr(inputs, name)
            if received is not None and received.record is not self._heard.get(name):
                self._heard[name] = received.record
                self._writer.write(FIELDS[name], received.record, inputs.now)

    def conclude(self, figures: dict[str, Any]) -> None:
        """Write how the drive was judged: plain values."""
        (self._path / RUN).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
