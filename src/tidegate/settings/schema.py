# SPDX-License-Identifier: Apache-2.0
"""Declare a setting once (default, unit, range, meaning) and validate values against the declaration."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast, get_type_hints

from tidegate.errors import SettingsError

Live = Literal["fixed", "range", "lower", "higher"]
"""What may become of a setting while the robot runs: nothing; any allowed value; none above, or none below the file's.
Back to the file's it may always go."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a setting may be: ``unit`` and ``doc`` for people, ``low``/``high`` inclusive, ``choices`` for text; whether
    it may change at run time (``live``)."""

    unit: str
    doc: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    live: Live = "fixed"

    def allowed(self) -> str:
        """The allowed values in words, for error messages and parameter descriptors."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if math.isinf(self.low) and math.isinf(self.high):
            return "any value"
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


def setting(
    default: Any,
    unit: str,
    doc: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
    live: Live = "fixed",
) -> Any:
    """Declare one field of a settings section; ``unit`` is '' for text and counts are '1'.

    Raises:
        SettingsError: it may change at run time and is no number; only numbers are told to a recording.
    """
    if live != "fixed" and (isinstance(default, bool) or not isinstance(default, (int, float))):
        raise SettingsError(f"a setting of default {default!r} is declared live='{live}'; it must be a number for that")
    return dataclasses.field(default=default, metadata={"limits": Limits(unit, doc, low, high, choices, live)})


def named(build: Callable[[Any, str, str], Mapping[str, Any]]) -> Any:
    """Declare a field of sections by name, which only the file tells: ``build(values, source, key)`` makes them."""
    return dataclasses.field(kw_only=True, metadata={"build": build})


@dataclass(frozen=True, slots=True)
class Entry:
    """One declared setting: dotted ``key``, Python ``type``, ``limits``, ``default``, and its ``value`` where made."""

    key: str
    type: type
    limits: Limits
    default: Any
    value: Any = None


def entries(section: Any, prefix: str = "") -> Iterator[Entry]:
    """Walk the settings of a made section and of the sections inside it, in the order of declaration."""
    hints = _hints(section.__class__)
    for item in dataclasses.fields(section):
        key, value = f"{prefix}{item.name}", getattr(section, item.name)
        if isinstance(value, Mapping):
            for name, one in value.items():
                yield from entries(one, f"{key}.{name}.")
        elif dataclasses.is_dataclass(value):
            yield from entries(value, f"{key}.")
        else:
            yield Entry(key, hints[item.name], item.metadata["limits"], item.default, value)


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set what the dotted ``key`` names in nested plain ``values``; sections that are not there are made."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[last] = value


def build(section: type, values: Mapping[str, Any], source: str, prefix: str = "") -> Any:
    """Make a settings section from nested plain values; absent keys take their defaults.

    Raises:
        SettingsError: unknown key, wrong type, value out of range or beside another that it does not go with, naming
            ``source`` (a file), key, value, allowed.
    """
    hints = _hints(section)
    known = {item.name: item for item in dataclasses.fields(section)}
    for name in values:
        if name not in known:
            raise SettingsError(f"{source}: unknown key '{prefix}{name}'; known here: {', '.join(sorted(known))}")
    made: dict[str, Any] = {}
    for name, value in values.items():
        key, kind = f"{prefix}{name}", cast(type, hints[name])
        if "build" in known[name].metadata:
            made[name] = known[name].metadata["build"](mapping(value, key, source), source, key)
        elif dataclasses.is_dataclass(kind):
            made[name] = build(kind, mapping(value, key, source), source, f"{key}.")
        else:
            made[name] = check(value, Entry(key, kind, known[name].metadata["limits"], known[name].default), source)
    for name, kind in hints.items():
        if name not in made and "build" in known[name].metadata:
            made[name] = known[name].metadata["build"]({}, source, f"{prefix}{name}")
        elif name not in made and dataclasses.is_dataclass(kind):
            made[name] = build(cast(type, kind), {}, source, f"{prefix}{name}.")
    try:
        return section(**made)
    except SettingsError as error:  # of values that do not go together
        raise SettingsError(f"{source}: {error}") from error


def mapping(value: Any, key: str, source: str) -> Mapping[str, Any]:
    """``value``, which must be a section.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, Mapping):
        raise SettingsError(f"{source}: '{key}' is {value!r}; it must be a mapping of settings")
    return value


def check(value: Any, entry: Entry, source: str) -> Any:
    """Return ``value`` in the declared type.

    Raises:
        SettingsError: wrong type or out of range.
    """
    if entry.type in (tuple[float, ...], tuple[str, ...]):
        item = float if entry.type == tuple[float, ...] else str
        if not isinstance(value, (list, tuple)):
            raise SettingsError(f"{source}: '{entry.key}' is {value!r}; it must be a list")
        inner = Entry(entry.key, item, entry.limits, None)
        return tuple(check(one, inner, source) for one in value)
    wrong = f"{source}: '{entry.key}' is {value!r}; it must be"
    if entry.type is bool:
        if not isinstance(value, bool):
            raise SettingsError(f"{wrong} true or false")
        return value
    if entry.type is str:
        if not isinstance(value, str):
            raise SettingsError(f"{wrong} text")
        if entry.limits.choices and value not in entry.limits.choices:
            raise SettingsError(f"{wrong} {entry.limits.allowed()}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingsError(f"{wrong} a number [{entry.limits.unit}]")
    if entry.type is int and isinstance(value, float) and not value.is_integer():
        raise SettingsError(f"{wrong} a whole number")
    if not entry.limits.low <= value <= entry.limits.high:  # also refuses NaN
        raise SettingsError(f"{wrong} {entry.limits.allowed()} [{entry.limits.unit}]")
    if value == math.inf or value > sys.float_info.max:
        raise SettingsError(f"{wrong} a finite number [{entry.limits.unit}]")
    return entry.type(value)


def check_change(value: Any, entry: Entry) -> Any:
    """``value`` for the setting ``entry``, whose own value is the file's, while the robot runs.

    Raises:
        SettingsError: it is fixed, or the value is not allowed, naming the key, the value and what is.
    """
    limits = entry.limits
    if limits.live == "fixed":
        raise SettingsError(
            f"at run time: '{entry.key}' is {value!r}; it is fixed while the robot runs, change it in the file"
        )
    checked = check(value, entry, "at run time")
    loosened = {"lower": checked > entry.value, "higher": checked < entry.value}
    if loosened.get(limits.live):
        bound = f"{'at most' if limits.live == 'lower' else 'at least'} {entry.value:g} [{limits.unit}], as in the file"
        raise SettingsError(f"at run time: '{entry.key}' is {value!r}; it must be {bound}")
    return checked


def adjusted(section: Any, changed: Mapping[str, float]) -> Any:
    """A copy of a made section with the settings that ``changed``, by dotted key.

    Raises:
        SettingsError: it has no such setting, or the value is out of range.
    """
    left = dict(changed)
    made = _adjusted(section, left, "")
    if left:
        raise SettingsError(f"changed at run time: there is no '{min(left)}' in these settings")
    return made


def _adjusted(section: Any, changed: dict[str, float], prefix: str) -> Any:
    """Takes out of ``changed`` what it has set."""
    made: dict[str, Any] = {}
    for item in dataclasses.fields(section):
        key, value = f"{prefix}{item.name}", getattr(section, item.name)
        if not any(name == key or name.startswith(f"{key}.") for name in changed):
            continue
        if isinstance(value, Mapping):
            made[item.name] = {name: _adjusted(one, changed, f"{key}.{name}.") for name, one in value.items()}
        elif dataclasses.is_dataclass(value):
            made[item.name] = _adjusted(value, changed, f"{key}.")
        else:
            entry = Entry(key, _hints(section.__class__)[item.name], item.metadata["limits"], item.default, value)
            made[item.name] = check(changed.pop(key), entry, "changed at run time")
    return dataclasses.replace(section, **made)


@cache
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section)
