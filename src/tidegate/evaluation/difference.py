# SPDX-License-Identifier: Apache-2.0
"""What two replays, or a replay and a record, have different: field by field over time, as a share of full scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import SettingsError
from tidegate.evaluation.fields import Value, fields_of
from tidegate.evaluation.note import Note
from tidegate.evaluation.replay import Replay
from tidegate.evaluation.topics import EVERY_OUTPUT, OUTPUTS, Records
from tidegate.records import Floats, seconds
from tidegate.robot import Car
from tidegate.settings import Settings

QUANTITIES = {topic: "filter" if topic == "safety_node/barriers" else topic for topic in EVERY_OUTPUT}
"""Topic → first part of the names of its fields."""
TOLERANCE = 1e-6
"""Share of full scale that may differ where nothing else is said."""
PRESENT = "present"
"""Field of every quantity: whether a side has the record at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """One field on both sides.

    Attributes:
        name: such as ``lane.offset`` or ``command.rear_left_wheel_joint``.
        time: (N,) [s] since the start of the bag.
        ours, theirs: (N,) numbers in the field's units, or texts.
        gap: (N,) how far apart they are, as a share of full scale: 0 = equal bit for bit, 1 for texts that differ,
            inf where one side alone has the field, or a number that is finite.
        tolerance: gaps above it count.
    """

    name: str
    time: Floats
    ours: NDArray[Any]
    theirs: NDArray[Any]
    gap: Floats
    tolerance: float

    @property
    def quantity(self) -> str:
        """The part of the name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def count(self) -> int:
        """Records that were compared."""
        return len(self.gap)

    @property
    def equal(self) -> int:
        """Of these, how many are equal bit for bit."""
        return int((self.gap == 0).sum())

    @property
    def largest(self) -> float:
        """Largest gap."""
        return float(self.gap.max(initial=0.0))

    @property
    def at(self) -> float | None:
        """When the gap was largest [s]; None = all equal."""
        return float(self.time[self.gap.argmax()]) if self.equal < self.count else None

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """(N,) where the gap is above the tolerance."""
        return self.gap > self.tolerance

    @property
    def since(self) -> float | None:
        """When the gap was first above the tolerance [s]; None = never."""
        return float(self.time[self.beyond.argmax()]) if self.beyond.any() else None


class Tolerances:
    """A tolerance per field, by the longest beginning of its name: ``command`` stands for all that begin with it."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        """``given``: such as ``1e-6`` for all fields, ``command=1e-4``, ``lane.offset=1e-3``; the last one counts.

        Raises:
            SettingsError: one is not of this form, or below zero.
        """
        self._by_name = {"": TOLERANCE}
        for text in given:
            name, _, number = text.rpartition("=")
            try:
                value = float(number)
            except ValueError:
                value = -1.0
            if not value >= 0:
                raise SettingsError(f"tolerance '{text}': must be a share of full scale, such as 1e-6 or command=1e-4")
            self._by_name[name.strip()] = value

    @property
    def names(self) -> list[str]:
        """The fields or beginnings of fields that have a tolerance of their own."""
        return [name for name in self._by_name if name]

    def of(self, field: str) -> float:
        """The tolerance of a field."""
        return self._by_name[max((name for name in self._by_name if covers(name, field)), key=len)]


def covers(name: str, field: str) -> bool:
    """Whether ``name`` is ``field``, or the first of its parts; '' is the beginning of all."""
    return not name or field == name or field.startswith(f"{name}.")


def compare(
    ours: Records,
    theirs: Records,
    scales: Mapping[str, float],
    start: int,
    tolerances: Tolerances,
    ignore: Sequence[str] = (),
) -> tuple[Difference, ...]:
    """Compare the records of the same topics and stamps; one that a side has alone differs in the field ``present``.

    Args:
        ours, theirs: the two sides.
        scales: full scale of the fields whose names begin so; of another, the median of its magnitudes on their side
            (a row's margin or multiplier may be a thousand times as large for moments).
        start: stamp [ns] that times are told from.
        tolerances: what may differ.
        ignore: fields, or beginnings of fields, that are left out.

    Raises:
        SettingsError: a tolerance or ``ignore`` names no field that is compared.
    """
    found = [
        difference
        for topic in EVERY_OUTPUT
        for difference in _compare(topic, ours.get(topic, {}), theirs.get(topic, {}), scales, start, tolerances)
    ]
    for name in (*tolerances.names, *ignore):
        if not any(covers(name, one.name) for one in found):
            known = ", ".join(dict.fromkeys(one.quantity for one in found)) or "none"
            raise SettingsError(f"no field '{name}' is compared; what is, by quantity: {known}")
    return tuple(one for one in found if not any(covers(name, one.name) for name in ignore))


def full_scales(bundle: Bundle, settings: Settings) -> dict[str, float]:
    """Full scale of what has one, in its own units: the ranges that the network was made for, the joints' limits."""
    shape, policy, car = bundle.perception, bundle.policy, Car.from_settings(settings)
    lane = {"offset": shape.offset_scale, "heading": shape.heading_scale, "curvature": shape.lane_curvature_scale}
    asked = {"force": policy.acceleration_scale * bundle.mass_kg, "curvature": policy.curvature_scale}
    return {
        "features": 1.0,
        **{f"{place}.{name}": scale for name, scale in lane.items() for place in ("lane", "lane.bound")},
        **{f"{place}.{name}": scale for name, scale in asked.items() for place in ("nominal", *WISHES)},
        "gains": policy.gain_high,
        **{f"command.{name}": car.limits[name].effort for name in car.joint_names},
    }


def against_record(replayed: Replay) -> tuple[Records, Records]:
    """Both sides of a comparison with what was recorded: of each frame and tick that was run, what the bag holds must
    have been made anew. What a recorder has lost, or was not asked to keep, is no difference."""
    theirs = {
        topic: {stamp: record for stamp, record in records.items() if stamp in replayed.ran.get(topic, ())}
        for topic, records in replayed.recorded.items()
        if topic in replayed.ran
    }
    ours = {
        topic: {stamp: record for stamp, record in replayed.made.get(topic, {}).items() if stamp in held}
        for topic, held in theirs.items()
    }
    return ours, theirs


def missing_records(ours: Records, theirs: Records, outputs: Sequence[str] = OUTPUTS) -> list[Note]:
    """How many records one side alone has, a note for each topic of ``outputs``."""
    notes = []
    for topic in outputs:
        mine, other = set(ours.get(topic, ())), set(theirs.get(topic, ()))
        if mine != other:
            text = f"{QUANTITIES[topic]}: {len(mine - other)} records here alone, {len(other - mine)} there alone"
            notes.append(Note(text))
    return notes


def agreement(differences: Sequence[Difference]) -> str:
    """One line on the whole: bit-equal, or the largest difference and when; what one side lacks is the largest."""
    worst = max(differences, key=lambda one: one.largest, default=None)
    if worst is None:
        return "nothing was recorded that could be compared"
    if worst.at is None:
        return "bit-equal"
    if math.isinf(worst.largest):
        return f"on one side alone: {worst.name} at {worst.at:.3f} s"
    return f"largest difference {worst.largest:.2g} of full scale, in {worst.name} at {worst.at:.3f} s"


WISHES = ("filter.wanted", "filter.allowed")


def _compare(
    topic: str,
    ours: dict[int, Any],
    theirs: dict[int, Any],
    scales: Mapping[str, float],
    start: int,
    tolerances: Tolerances,
) -> list[Difference]:
    """Whether both sides have each record, and every field of those that both have."""
    every, stamps = sorted(set(ours) | set(theirs)), sorted(set(ours) & set(theirs))
    if not every:
        return []
    field = f"{QUANTITIES[topic]}.{PRESENT}"
    here, there = (np.array(["yes" if stamp in side else "no" for stamp in every]) for side in (ours, theirs))
    gap = np.where(here == there, 0.0, np.inf)
    found = [Difference(field, _times(every, start), here, there, gap, tolerances.of(field))]
    mine, other = ([fields_of(side[stamp]) for stamp in stamps] for side in (ours, theirs))
    for name in dict.fromkeys(name for record in (*mine, *other) for name in record):
        field = f"{QUANTITIES[topic]}.{name}"
        (one, has), (two, had) = _column(mine, name), _column(other, name)
        gap = _gaps(one, two, next((scale for known, scale in scales.items() if covers(known, field)), None))
        gap[has != had] = np.inf
        found.append(Difference(field, _times(stamps, start), one, two, gap, tolerances.of(field)))
    return found


def _times(stamps: Sequence[int], start: int) -> Floats:
    return np.array([seconds(stamp - start) for stamp in stamps])


def _column(records: Sequence[dict[str, Value]], name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """One field of all records, NaN or an empty text where a record lacks it; and which have it."""
    values, has = [record.get(name) for record in records], np.array([name in record for record in records], np.bool_)
    instead = "" if str in set(map(type, values)) else np.nan
    return np.array([instead if value is None else value for value in values]), has


def _gaps(ours: NDArray[Any], theirs: NDArray[Any], scale: float | None) -> Floats:
    """How far apart, as a share of full ``scale``; None = the median magnitude on their side, zeros left out."""
    if ours.dtype.kind == "U" or theirs.dtype.kind == "U":
        return np.array(ours.astype(str) != theirs.astype(str), np.float64)
    both = np.isfinite(ours) & np.isfinite(theirs)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if scale is None:
        known = np.abs(theirs[np.isfinite(theirs) & (theirs != 0)])
        scale = float(np.median(known)) if len(known) else 1.0
    gaps: Floats = np.abs(np.subtract(ours, theirs, where=both, out=np.zeros(len(ours)))) / scale
    gaps[~both & ~same] = np.inf
    return gaps
