# SPDX-License-Identifier: Apache-2.0
"""States and settings with some of their numbers replaced, by name; with duals, rows tell derivatives by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from tidegate.safety.barrier import Ahead, State
from tidegate.safety.lane_tracker import TrackedLane

T = TypeVar("T")

_PARTS = {"": State, "lane.": TrackedLane, "arc.": Ahead, "along_lane.": Ahead}
QUANTITIES = tuple(
    part + known.name for part, record in _PARTS.items() for known in fields(record) if known.type == "float"
)
"""Numbers of a ``State``, as named there and with the units given there; those of its parts as ``lane.offset``."""
KNOTS = ("lane.ahead", "lane.curvature")
"""The same of which a lane has several: by index, ``lane.curvature.0`` at the rear axle."""
LIMITS = (
    "vehicle.speed_max",
    "vehicle.lateral_acceleration_max",
    "vehicle.brake_guaranteed",
    "vehicle.tyre_friction",
    "safety.distance.standstill_gap",
    "safety.lane.half_width",
)
"""Settings that rows are made from, with the units of docs/settings.md: m/s, m/s², m/s², 1, m, m."""


def with_numbers(record: T, numbers: Mapping[str, Any]) -> T:
    """``record`` with the number at each dotted name replaced; what it lacks (no lane, fewer knots) is passed over."""
    for name, number in numbers.items():
        record = _with(record, name.split("."), number)
    return record


def _with(record: Any, path: list[str], number: Any) -> Any:
    if not path:
        return number
    name, *rest = path
    if is_dataclass(record):
        return replace(record, **{name: _with(getattr(record, name), rest, number)})  # type: ignore[type-var]
    if isinstance(record, tuple) and int(name) < len(record):
        at = int(name)
        return (*record[:at], _with(record[at], rest, number), *record[at + 1 :])
    return record
