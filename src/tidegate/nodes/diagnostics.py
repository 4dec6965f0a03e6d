# SPDX-License-Identifier: Apache-2.0
"""What the safety node tells ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.messages import DIAGNOSTIC_STATUS, DIAGNOSTICS, KEY_VALUE, Make
from tidegate.records import NANOSECONDS, Level, Mode, Tick

LEVELS = {Mode.NORMAL: Level.OK, Mode.HOLD: Level.WARN, Mode.STOPPING: Level.ERROR, Mode.STOPPED: Level.ERROR}


def safety_diagnostics(tick: Tick, dropped: Mapping[str, int], make: Make, actuators: Sequence[str] = ()) -> Any:
    """A DiagnosticArray: mode as level, reasons as message, what the filter changed and dropped messages as values.

    ``actuators``: what is wrong with the topics that it commands; an ERROR whatever the mode.
    """
    message = make(DIAGNOSTICS)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(tick.command.stamp, NANOSECONDS)
    status = make(DIAGNOSTIC_STATUS)
    status.level = bytes([Level.ERROR if actuators else LEVELS[tick.mode]])
    status.name, status.hardware_id = "safety_node", "car"
    status.message = "; ".join((tick.mode.name, *tick.reasons, *actuators))
    pairs = {
        "mode": tick.mode.name,
        "intervened": tick.intervened,
        **{f"reason_{index}": reason for index, reason in enumerate(tick.reasons)},
        **{f"not newer, dropped: {topic}": str(count) for topic, count in dropped.items()},
        **{f"relaxed: {barrier.name}": "true" for barrier in tick.barriers if barrier.relaxed},
    }
    for key, value in pairs.items():
        pair = make(KEY_VALUE)
        pair.key, pair.value = key, value
        status.values.append(pair)
    message.status = [status]
    return message
