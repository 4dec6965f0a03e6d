# SPDX-License-Identifier: Apache-2.0
"""What the safety node and the recorder tell ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.messages import CHANGED, Make, encode_diagnostics
from tidegate.records import Level, Mode, Tick

DRY_RUN = "dry run: nothing is sent to the actuators"
LEVELS = {Mode.NORMAL: Level.OK, Mode.HOLD: Level.WARN, Mode.STOPPING: Level.ERROR, Mode.STOPPED: Level.ERROR}


def safety_diagnostics(
    tick: Tick,
    dropped: Mapping[str, int],
    make: Make,
    actuators: Sequence[str] = (),
    changed: Mapping[str, float] | None = None,
    *,
    dry_run: bool = False,
) -> Any:
    """A DiagnosticArray: mode as level, reasons as message, what the filter changed and dropped messages as values.

    ``actuators``: what is wrong with the topics that it commands; an ERROR whatever the mode. ``changed``: settings
    that are not the file's, by key. A ``dry_run`` is at least a WARN.
    """
    pairs = {
        "mode": tick.mode.name,
        "intervened": tick.intervened,
        **{f"reason_{index}": reason for index, reason in enumerate(tick.reasons)},
        **{f"not newer, dropped: {topic}": str(count) for topic, count in dropped.items()},
        **{f"relaxed: {barrier.name}": "true" for barrier in tick.barriers if barrier.relaxed},
        **{f"{CHANGED}{key}": repr(float(value)) for key, value in (changed or {}).items()},
        **({"dry_run": "true"} if dry_run else {}),
    }
    level = Level.ERROR if actuators else max(LEVELS[tick.mode], Level.WARN if dry_run else Level.OK)
    text = "; ".join((tick.mode.name, *tick.reasons, *actuators, *([DRY_RUN] if dry_run else [])))
    return encode_diagnostics(tick.command.stamp, "safety_node", level, text, pairs.items(), make, hardware_id="car")


def recorder_diagnostics(stamp: int, failure: str, make: Make) -> Any:
    """A DiagnosticArray: an ERROR, nothing is recorded any more, and why."""
    return encode_diagnostics(stamp, "recorder_node", Level.ERROR, f"recording has ended: {failure}", (), make, "car")
