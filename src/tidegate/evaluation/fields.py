# SPDX-License-Identifier: Apache-2.0
"""What a replay makes, as values by name: the fields that are compared."""

from __future__ import annotations

from typing import Any

from tidegate.records import (
    ArmSafetyState,
    Command,
    Features,
    Gains,
    ImageHealth,
    LaneEstimate,
    Neurons,
    Nominal,
    SafetyState,
)

Value = float | str


def fields_of(record: Any) -> dict[str, Value]:
    """The values of a record by name, its stamp left out.

    Raises:
        KeyError: a class that no topic of ``EVERY_OUTPUT`` carries.
    """
    found: dict[str, Value] = _FIELDS[type(record)](record)
    return found


def _lane(record: LaneEstimate) -> dict[str, Value]:
    names = ("offset", "heading", *(f"curvature.{place}" for place in range(len(record.curvature))))
    values = zip(names, (record.offset, record.heading, *record.curvature.tolist()), strict=True)
    return {
        **dict(values),
        **{f"bound.{name}": bound for name, bound in zip(names, record.bound.tolist(), strict=True)},
    }


def _state(record: SafetyState | ArmSafetyState) -> dict[str, Value]:
    found: dict[str, Value] = {"mode": record.mode.name, "intervened": record.intervened}
    parts = record.names if isinstance(record, ArmSafetyState) else ("force", "curvature")
    for name, values in (("wanted", record.wanted), ("allowed", record.allowed)):
        found |= {f"{name}.{part}": float(value) for part, value in zip(parts, values, strict=True)}
    for one in record.barriers:
        found |= {f"{one.name}.h": one.h, f"{one.name}.margin": one.margin, f"{one.name}.multiplier": one.multiplier}
        found[f"{one.name}.relaxed"] = "yes" if one.relaxed else "no"
    return found


def _numbered(record: Features | Neurons) -> dict[str, Value]:
    return {str(place): float(value) for place, value in enumerate(record.values)}


_FIELDS: dict[type, Any] = {
    Features: _numbered,
    Neurons: _numbered,
    LaneEstimate: _lane,
    ImageHealth: lambda record: {"level": record.level.name, "reasons": "; ".join(record.reasons), **record.values},
    Nominal: lambda record: {"force": record.force, "curvature": record.curvature},
    Gains: lambda record: record.values,
    Command: lambda record: dict(zip(record.names, record.effort.tolist(), strict=True)),
    SafetyState: _state,
    ArmSafetyState: _state,
}
