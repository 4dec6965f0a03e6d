# SPDX-License-Identifier: Apache-2.0
"""Barriers of a robot by name: each has a registered type and the parameters that its type declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.errors import SettingsError
from tidegate.registry import barriers
from tidegate.settings.schema import build, mapping, setting


@dataclass(frozen=True, slots=True)
class BarrierParameters:
    """What can be said of any barrier; a type with parameters of its own declares a subclass with more fields."""

    type: str = setting("", "", "registered type; left out, it is the barrier's own name")
    enabled: bool = setting(True, "", "whether it is in use")


@dataclass(frozen=True, slots=True)
class DistanceParameters(BarrierParameters):
    """Of one ``distance`` barrier; what all of them share is ``safety.distance``."""

    extra_gap: float = setting(
        0.0, "m", "kept at standstill beyond safety.distance.standstill_gap", low=0, high=50, live="higher"
    )


BUILT_IN: dict[str, type[BarrierParameters]] = {
    "distance": DistanceParameters,
    **dict.fromkeys(("traction", "lateral", "edge", "lane", "speed", "curve", "sight"), BarrierParameters),
}
"""What every robot has unless its file says otherwise; here, so that who only reads settings loads no filter."""


def build_barriers(values: Mapping[str, Any], source: str, key: str) -> dict[str, BarrierParameters]:
    """The built-in barriers with what ``values`` say of them, then the others of ``values`` by name.

    The order is the same whoever reads the file: ROS does not keep the file's.

    Raises:
        SettingsError: a name, a type or a parameter that is not allowed, naming ``source``, key, value and what is.
    """
    added = sorted((name for name in values if name not in BUILT_IN), key=str)
    return {
        name: _built(name, values.get(name, {"type": name}), source, f"{key}.{name}") for name in (*BUILT_IN, *added)
    }


def _built(name: str, values: Any, source: str, key: str) -> BarrierParameters:
    if not (isinstance(name, str) and name.isidentifier()):
        raise SettingsError(f"{source}: '{key}' is no name of a barrier; it must be letters, digits and underscores")
    given = dict(mapping(values, key, source))
    if not given:  # ROS's parser takes the next barrier for a part of it
        raise SettingsError(f"{source}: '{key}' is empty; it must say its type, such as {{type: {name}}}")
    kind = given.setdefault("type", name)
    known = sorted({*BUILT_IN, *barriers})
    if kind not in known:
        raise SettingsError(f"{source}: '{key}.type' is {kind!r}; it must be one of {', '.join(known)}")
    declared = BUILT_IN[kind] if kind in BUILT_IN else barriers[kind].Parameters
    made: BarrierParameters = build(declared, given, source, f"{key}.")
    return made
