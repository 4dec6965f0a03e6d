# SPDX-License-Identifier: Apache-2.0
"""The map file: which topic, key or column carries what, and the vehicle's numbers that make SI units of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tidegate.errors import DataError, SettingsError
from tidegate.settings.document import read_document
from tidegate.settings.schema import build, mapping, named, setting

CHANNELS = {
    "angle": "share of full lock, −1 to 1, left positive",
    "steering": "angle of the front wheels [rad], left positive",
    "curvature": "of the path [1/m], left positive",
    "yaw_rate": "[rad/s], left positive",
    "throttle": "share of full throttle, −1 to 1",
    "speed": "measured [m/s]",
    "speed_command": "asked for [m/s]",
    "acceleration": "along the path [m/s²]",
    "force": "along the path [N]",
}
"""What may be recorded of a drive, by name."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a channel is found: the sum of ``fields`` times ``scale``."""

    key: str = setting("", "", "topic of a bag, key of a tub, or column of a LeRobot data set")
    fields: tuple[str, ...] = setting(
        (),
        "",
        "what of it: of a message such as twist.linear.x or effort[rear_left_wheel_joint], of a column a name or a "
        "number; several are added; none: it is a number itself",
    )
    scale: float = setting(1.0, "1", "turns it into the channel's unit and sign", low=-1e6, high=1e6)


@dataclass(frozen=True, slots=True)
class VehicleMap:
    """What is known of the vehicle that recorded; 0 = not known, and refused where it is needed."""

    wheelbase_m: float = setting(0.0, "m", "front to rear axle", low=0, high=20)
    full_lock_deg: float = setting(0.0, "deg", "angle of the front wheels where `angle` is 1", low=0, high=80)
    full_throttle_mps: float = setting(0.0, "m/s", "steady speed that `throttle` 1 leads to", low=0, high=100)
    throttle_lag_s: float = setting(0.0, "s", "time constant with which the speed follows `throttle`", low=0, high=20)
    speed_horizon_s: float = setting(0.5, "s", "time in which `speed_command` is meant to be reached", low=0.05, high=5)
    mass_kg: float = setting(0.0, "kg", "turns `force` into acceleration", low=0, high=1e5)

    def need(self, name: str, why: str) -> float:
        """The number ``name``.

        Raises:
            DataError: it is not known, saying ``why`` it is needed and how to give it.
        """
        value = float(getattr(self, name))
        if value > 0:
            return value
        raise DataError(f"{why} needs the vehicle's {name}: give it with --set {name}=…, or in the map file")


@dataclass(frozen=True, slots=True)
class DataMap:
    """What the map file says; where it is silent, the format's own names count."""

    camera: str = setting("", "", "topic, key or column of the pictures")
    clock: str = setting(
        "header", "", "stamps of a bag: by the headers or the times of receipt", choices=("header", "receipt")
    )
    rate_hz: float = setting(0.0, "Hz", "frames are so far apart, whatever the stamps say; 0: stamps", low=0, high=120)
    vehicle: VehicleMap = VehicleMap()
    channels: Mapping[str, Source] = named(lambda values, source, key: _channels(values, source, key))

    def with_default(self, **sources: Source) -> DataMap:
        """A copy with the format's own channels; a channel that the file names replaces what says the same."""
        kept = {
            name: one
            for name, one in sources.items()
            if name not in self.channels and not any(name in group and group & set(self.channels) for group in _SAME)
        }
        return replace(self, channels={**kept, **self.channels})


_SAME = ({"angle", "steering", "curvature", "yaw_rate"}, {"throttle", "speed_command", "acceleration", "force"})
"""Channels of a group tell the same thing in other units."""


def _channels(values: Mapping[str, Any], source: str, key: str) -> dict[str, Source]:
    found = {}
    for name, value in values.items():
        if name not in CHANNELS:
            raise SettingsError(f"{source}: unknown key '{key}.{name}'; known here: {', '.join(CHANNELS)}")
        inner = {"key": value} if isinstance(value, str) else mapping(value, f"{key}.{name}", source)
        found[name] = build(Source, inner, source, f"{key}.{name}.")
        if not found[name].key:
            raise SettingsError(f"{source}: '{key}.{name}' names no 'key' (a topic, key or column)")
    return found


def load_map(path: Path | None = None, rules: Iterable[str] = ()) -> DataMap:
    """The map in a YAML file, its vehicle's numbers and ``rate_hz`` changed by ``rules`` such as ``wheelbase_m=0.17``.

    Raises:
        SettingsError: no such file, no YAML, or a value that is refused.
    """
    values = {} if path is None else read_document(path)
    made: DataMap = build(DataMap, values, str(path))
    changed: dict[str, Any] = {}
    for rule in rules:
        name, sign, text = (part.strip() for part in rule.partition("="))
        if not (name and sign and text):
            raise SettingsError(f"--set '{rule}': must be of the form wheelbase_m=0.17")
        changed[name] = _number(text)
    rate = changed.pop("rate_hz", made.rate_hz)
    vehicle = build(VehicleMap, {**asdict(made.vehicle), **changed}, "--set")
    return replace(made, rate_hz=build(DataMap, {"rate_hz": rate}, "--set").rate_hz, vehicle=vehicle)


def _number(text: str) -> float | str:
    """What is no number stays text, which is refused as such."""
    try:
        return float(text)
    except ValueError:
        return text
