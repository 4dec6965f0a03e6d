# SPDX-License-Identifier: Apache-2.0
"""Named vectors: JointState with three columns, one value per name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tidegate.errors import MessageError
from tidegate.messages.common import assign, stamp_of, stamped
from tidegate.messages.topics import CURVATURE, FORCE, JOINT_STATE, JOY, Make
from tidegate.records import (
    NANOSECONDS,
    ArmSafetyState,
    BarrierState,
    Command,
    Floats,
    Gains,
    JointStates,
    Joy,
    LaneEstimate,
    Manual,
    Mode,
    MotionRequest,
    Nominal,
    RowState,
    SafetyState,
    UsedInputs,
    Values,
)

HAND_BACK = "hand_back"
STATE = ("mode", "intervened", FORCE, CURVATURE)
"""Entries of ``~/barriers`` after those of the barriers."""
ROW = re.compile(r"(?P<barrier>[^ ]+)\.(?P<row>\d{1,4}) \[(?P<unit>[^]]*)\]")
"""An entry of a row, after these. No barrier's name has a space or a dot."""
STEADY = "steady"


def _named(
    stamp: int,
    names: Sequence[str],
    make: Make,
    position: Sequence[float] | Floats = (),
    velocity: Sequence[float] | Floats = (),
    effort: Sequence[float] | Floats = (),
    frame_id: str = "",
) -> Any:
    message = stamped(JOINT_STATE, stamp, make, frame_id)
    message.name = list(names)
    for name, column in (("position", position), ("velocity", velocity), ("effort", effort)):
        assign(message, name, np.asarray(column, np.float64))
    return message


def _column(message: Any, name: str) -> Floats:
    """A column of a JointState, one value per name; an empty column is NaN throughout (the message allows that)."""
    column = np.array(getattr(message, name), np.float64)
    if len(column) == 0:
        return np.full(len(message.name), math.nan)
    if len(column) != len(message.name):
        raise MessageError(f"JointState has {len(message.name)} names and {len(column)} values of '{name}'")
    return column


def _check_once(message: Any) -> None:
    """A name that stands twice has two values, and nobody knows which is meant."""
    names = list(message.name)
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise MessageError(f"JointState has {', '.join(twice)} more than once")


def _entry(message: Any, column: str, name: str) -> float:
    names = list(message.name)
    if name not in names:
        raise MessageError(f"JointState lacks '{name}'; it has {', '.join(names) or 'no names'}")
    _check_once(message)
    return float(_column(message, column)[names.index(name)])


def encode_joints(record: JointStates, make: Make) -> Any:
    return _named(record.stamp, record.names, make, record.position, record.velocity, record.effort)


def decode_joints(message: Any) -> JointStates:
    _check_once(message)
    columns = (_column(message, name) for name in ("position", "velocity", "effort"))
    return JointStates(stamp_of(message), tuple(message.name), *columns)


def encode_command(record: Command, make: Make) -> Any:
    return _named(record.stamp, record.names, make, effort=record.effort)


def decode_command(message: Any) -> Command:
    return Command(stamp_of(message), tuple(message.name), _column(message, "effort"))


REQUEST = ("speed", "acceleration", "steering_angle", "yaw_rate")
"""Entries of a motion request, in the order of the record's fields."""


def encode_request(record: MotionRequest, make: Make) -> Any:
    values = [record.speed, record.acceleration, record.steering, record.yaw_rate]
    return _named(record.stamp, REQUEST, make, values)


def decode_request(message: Any) -> MotionRequest:
    return MotionRequest(stamp_of(message), *(_entry(message, "position", name) for name in REQUEST))


def encode_nominal(record: Nominal, make: Make) -> Any:
    nan = math.nan
    return _named(record.stamp, (FORCE, CURVATURE), make, [nan, record.curvature], [nan, nan], [record.force, nan])


def decode_nominal(message: Any) -> Nominal:
    return Nominal(stamp_of(message), _entry(message, "effort", FORCE), _entry(message, "position", CURVATURE))


def encode_manual(record: Manual, make: Make) -> Any:
    nan = math.nan
    names = ("engaged", FORCE, CURVATURE, HAND_BACK)
    position = [float(record.engaged), nan, record.curvature, float(record.hand_back)]
    return _named(record.stamp, names, make, position, effort=[nan, record.force, nan, nan])


def decode_manual(message: Any) -> Manual:
    """``hand_back`` may be absent: then a driver who lets go stops the car."""
    return Manual(
        stamp_of(message),
        _entry(message, "position", "engaged") == 1.0,
        _entry(message, "effort", FORCE),
        _entry(message, "position", CURVATURE),
        HAND_BACK in message.name and _entry(message, "position", HAND_BACK) == 1.0,
    )


def encode_joy(record: Joy, make: Make) -> Any:
    message = stamped(JOY, record.stamp, make)
    assign(message, "axes", np.array(record.axes, np.float32))
    assign(message, "buttons", np.array(record.buttons, np.int32))
    return message


def decode_joy(message: Any) -> Joy:
    axes, buttons = (tuple(np.asarray(column).tolist()) for column in (message.axes, message.buttons))
    return Joy(stamp_of(message), axes, buttons)


def encode_gains(record: Gains | Values, make: Make) -> Any:
    return _named(record.stamp, tuple(record.values), make, list(record.values.values()))


def decode_gains(message: Any) -> Gains:
    values = _column(message, "position").tolist()
    return Gains(stamp_of(message), dict(zip(message.name, values, strict=True)))


def encode_lane(record: LaneEstimate, make: Make) -> Any:
    names = ("offset", "heading", *(f"curvature_{index}" for index in range(len(record.curvature))))
    return _named(
        record.stamp, names, make, [record.offset, record.heading, *record.curvature.tolist()], effort=record.bound
    )


def decode_lane(message: Any) -> LaneEstimate:
    knots = len(message.name) - 2
    if list(message.name) != ["offset", "heading", *(f"curvature_{index}" for index in range(knots))]:
        raise MessageError(f"lane has the names {list(message.name)}; they must be offset, heading, curvature_0, …")
    value, bound = _column(message, "position"), _column(message, "effort")
    return LaneEstimate(stamp_of(message), float(value[0]), float(value[1]), value[2:], bound)


def encode_safety(record: SafetyState | ArmSafetyState, make: Make) -> Any:
    """Barriers as the columns h, margin, multiplier; then mode, who intervened, wanted beside allowed commands, an
    arm's by joint; then a car's rows that push or give way, ``lane.0 [m/s²]``: position = slack, effort = multiplier.

    The header's frame_id lists the relaxed barriers, space separated.
    """
    nan = math.nan
    names = [barrier.name for barrier in record.barriers]
    rows = [(barrier.h, barrier.margin, barrier.multiplier) for barrier in record.barriers]
    who = float(names.index(record.intervened)) if record.intervened in names else nan
    rows += [(float(record.mode), nan, nan), (who, nan, nan)]
    rows += [(wanted, allowed, nan) for wanted, allowed in zip(record.wanted, record.allowed, strict=True)]
    asked: tuple[str, ...] = STATE[2:]
    told: tuple[str, ...] = ()
    if isinstance(record, ArmSafetyState):
        asked = record.names
    else:
        rows += [(row.slack, nan, row.multiplier) for row in record.rows]
        told = tuple(f"{row.barrier}.{row.row} [{row.unit}]" for row in record.rows)
    position, velocity, effort = np.array(rows).T
    relaxed = " ".join(barrier.name for barrier in record.barriers if barrier.relaxed)
    return _named(record.stamp, [*names, *STATE[:2], *asked, *told], make, position, velocity, effort, relaxed)


def decode_safety(message: Any) -> SafetyState | ArmSafetyState:
    """Where what was wanted are no force and curvature, it is an arm's, by joint."""
    columns = tuple(_column(message, name).tolist() for name in ("position", "velocity", "effort"))
    names = list(message.name)
    position, velocity, effort = columns
    rows: list[RowState] = []
    while names and (row := ROW.fullmatch(names[-1])):
        names.pop()
        place = len(names)
        rows.insert(0, RowState(row["barrier"], int(row["row"]), effort[place], position[place], row["unit"]))
    pairs = list(pairwise(names))
    mode = pairs.index(STATE[:2]) if STATE[:2] in pairs else len(names)
    asked = tuple(names[mode + 2 :])
    if not asked or (asked != STATE[2:] and (rows or set(asked) & set(STATE))):
        raise MessageError(f"barriers end with {names[-4:]}; they must end with {', '.join(STATE)}, then rows")
    relaxed = message.header.frame_id.split()
    barriers = tuple(
        BarrierState(name, position[index], velocity[index], effort[index], relaxed=name in relaxed)
        for index, name in enumerate(names[:mode])
    )
    stamp, rung, who = stamp_of(message), Mode(int(position[mode])), position[mode + 1]
    intervened = "" if math.isnan(who) else names[int(who)]
    if asked != STATE[2:]:
        wanted, allowed = (np.array(column[mode + 2 :]) for column in (position, velocity))
        return ArmSafetyState(stamp, rung, asked, wanted, allowed, barriers, intervened)
    force, curvature = mode + 2, mode + 3
    return SafetyState(
        stamp,
        rung,
        (position[force], position[curvature]),
        (velocity[force], velocity[curvature]),
        barriers,
        intervened,
        tuple(rows),
    )


def encode_used(record: UsedInputs, make: Make) -> Any:
    """Position = stamp minus tick, velocity = age [ns]; a flag has its value in effort. The steady clock's time comes
    last, in two parts, for a double has not its digits: position = [s], velocity = the rest [ns]."""
    nan = math.nan
    rows = [
        (nan, nan, nan) if used is None else (used[0] - record.stamp, used[1], nan) for used in record.inputs.values()
    ]
    rows += [(nan, nan, float(flag)) for flag in record.flags.values()]
    names = [*record.inputs, *record.flags]
    if record.steady is not None:
        names.append(STEADY)
        rows.append((*divmod(record.steady, NANOSECONDS), nan))
    position, velocity, effort = np.array(rows, np.float64).reshape(-1, 3).T
    return _named(record.stamp, names, make, position, velocity, effort)


def decode_used(message: Any) -> UsedInputs:
    stamp = stamp_of(message)
    inputs: dict[str, tuple[int, int] | None] = {}
    flags: dict[str, bool] = {}
    steady: int | None = None
    columns = (_column(message, name).tolist() for name in ("position", "velocity", "effort"))
    for name, since, age, flag in zip(message.name, *columns, strict=True):
        if name == STEADY:
            steady = int(since) * NANOSECONDS + int(age)
        elif not math.isnan(flag):
            flags[name] = flag != 0.0
        else:
            inputs[name] = None if math.isnan(since) else (stamp + int(since), int(age))
    return UsedInputs(stamp, inputs, flags, steady)
