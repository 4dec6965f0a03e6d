# SPDX-License-Identifier: Apache-2.0
"""What the safety node and the recorder tell ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.messages import Make, encode_diagnostics
from tidegate.records import Level, Mode, Tick

LEVELS = {Mode.NORMAL: Level.OK, Mode.HOLD: Level.WARN, Mode.STOPPING: Level.ERROR, Mode.STOPPED: Level.ERROR}


def safety_diagnostics(tick: Tick, dropped: Mapping[str, int], make: Make, actuators: Sequence[str] = ()) -> Any:
    """A DiagnosticArray: mode as level, reasons as message, what the filter changed and dropped messages as values.

    ``actuators``: what is wrong with the topics that it commands; an ERROR whatever the mode.
    """
    pairs = {
        "mode": tick.mode.name,
        "intervened": tick.intervened,
        **{f"reason_{index}": reason for index, reason in enumerate(tick.reasons)},
        **{f"not newer, dropped: {topic}": str(count) for topic, count in dropped.items()},
        **{f"relaxed: {barrier.name}": "true" for barrier in tick.barriers if barrier.relaxed},
    }
    level = Level.ERROR if actuators else LEVELS[tick.mode]
    text = "; ".join((tick.mode.name, *tick.reasons, *actuators))
    return encode_diagnostics(tick.command.stamp, "safety_node", level, text, pairs.items(), make, hardware_id="car")


def recorder_diagnostics(stamp: int, failure: str, make: Make) -> Any:
    """A DiagnosticArray: an ERROR, nothing is recorded any more, and why."""
    return encode_diagnostics(stamp, "recorder_node", Level.ERROR, f"recording has ended: {failure}", (), make, "car")
