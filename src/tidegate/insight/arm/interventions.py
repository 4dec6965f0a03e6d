# SPDX-License-Identifier: Apache-2.0
"""Interventions of an arm's filter in words: which row, what it went by, and what it made of the torques."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tidegate.insight.arm.drive import ArmDrive
from tidegate.insight.intervention import stretches
from tidegate.insight.plain import fixed, plain
from tidegate.robot.arm import surface_normal
from tidegate.robot.dynamics import Dynamics

UNITS = {
    "acceleration": "rad/s²",
    "approach": "m/s",
    "force": "N",
    "position": "rad",
    "power": "W",
    "tool_speed": "m/s",
    "velocity": "rad/s",
}
"""Of h, by barrier; of one that a package adds it is not known."""
CHANGED, SHARE = 0.005, 0.05
"""A joint is named where its torque was changed by so much [N·m], and by this share of what the most changed one's
was."""

Facts = dict[str, Any]
"""Plain values for JSON, SI but for names that say otherwise; None = not known, or there is none."""


def interventions(drive: ArmDrive) -> list[Facts]:
    """Every stretch of every row, in the order of time, with its sentence; neighbours closer than ``JOIN`` [s] are told
    as one."""
    dynamics = Dynamics(drive.arm)
    spans = stretches(drive.row.tolist(), [tick.stamp for tick in drive.ticks])
    told = [plain(_facts(drive, span, dynamics)) for span in spans]
    return [one | {"sentence": sentence(one)} for one in told]


def by_row(told: Sequence[Facts]) -> dict[str, Facts]:
    """The interventions of each row together."""
    found = {}
    for name in sorted({one["row"] for one in told}):
        mine = [one for one in told if one["row"] == name]
        joint, change = max((_most(one) for one in mine), key=lambda pair: pair[1])
        least = [one["smallest_h"] for one in mine if one["smallest_h"] is not None]
        pushes = [one["multiplier"] for one in mine if one["multiplier"] is not None]
        found[name] = {
            "times": len(mine),
            "lasted_s": sum(one["lasted_s"] for one in mine),
            "most_changed": joint,
            "change_nm": change,
            "smallest_h": min(least, default=None),
            "unit": mine[0]["unit"],
            "multiplier": max(pushes, default=None),
        }
    return dict(plain(found))


def _most(told: Mapping[str, Any]) -> tuple[str, float]:
    """The joint whose torque was changed most, and by how much [N·m]."""
    changes = {name: abs(one["change_nm"] or 0.0) for name, one in told["peak"]["torques"].items()}
    name = max(changes, key=lambda joint: changes[joint])
    return name, changes[name]


def _facts(drive: ArmDrive, span: Sequence[int], dynamics: Dynamics) -> Facts:
    ticks = [drive.ticks[place] for place in span]
    row = ticks[0].intervened
    change = drive.allowed[span] - drive.wanted[span]
    sizes = np.nan_to_num(np.linalg.norm(change / drive.arm.effort, axis=1), nan=-1.0)
    peak = span[int(np.argmax(sizes))]
    states = [state for tick in ticks for state in tick.barriers if state.name == row]
    return {
        "row": row,
        "unit": UNITS.get(row, ""),
        "begin_s": drive.time[span[0]],
        "end_s": drive.time[span[-1]],
        "lasted_s": drive.time[span[-1]] - drive.time[span[0]] + _period(drive),
        "ticks": len(span),
        "rungs": list(dict.fromkeys(tick.mode.name for tick in ticks)),
        "first_h": states[0].h if states else None,
        "smallest_h": min((state.h for state in states if math.isfinite(state.h)), default=None),
        "smallest_margin": min((state.margin for state in states if math.isfinite(state.margin)), default=None),
        "multiplier": max((state.multiplier for state in states if math.isfinite(state.multiplier)), default=None),
        "gave_way": any(state.relaxed for state in states),
        "seen": _seen(drive, row, peak, dynamics),
        "peak": {
            "time_s": drive.time[peak],
            "torques": {
                name: {"asked_nm": asked, "allowed_nm": allowed, "change_nm": allowed - asked}
                for name, asked, allowed in zip(
                    drive.arm.joint_names, drive.wanted[peak], drive.allowed[peak], strict=True
                )
            },
        },
    }


def _period(drive: ArmDrive) -> float:
    """Of a tick [s]: its torques are held for so long."""
    return 1 / drive.arm.settings.safety.rate_hz


def _seen(drive: ArmDrive, row: str, tick: int, dynamics: Dynamics) -> Facts:
    """What the row went by at a tick, by the same model and the joints as they were recorded."""
    position, velocity, wanted = drive.position[tick], drive.velocity[tick], drive.wanted[tick]
    if not np.isfinite([*position, *velocity]).all():
        return {}
    arm, names = drive.arm, drive.arm.joint_names
    safety, tool = arm.settings.safety, drive.tool
    if row == "acceleration":
        motion = dynamics(position, velocity)
        asked, most = motion.inverse @ (wanted - motion.bias), np.array(safety.motion.acceleration)
        joint = int(np.argmax(np.abs(asked) / most))
        return {"joint": names[joint], "asked_rad_s2": abs(asked[joint]), "limit_rad_s2": most[joint]}
    if row == "velocity":
        joint = int(np.argmax(np.abs(velocity) / arm.velocity))
        return {"joint": names[joint], "speed_rad_s": abs(velocity[joint]), "limit_rad_s": arm.velocity[joint]}
    if row == "position":
        towards, left = np.array((velocity, -velocity)), np.array((arm.upper - position, position - arm.lower))
        braked = left - np.maximum(towards, 0) ** 2 / (2 * np.array(safety.motion.braking))
        end, joint = (int(index) for index in np.unravel_index(np.argmin(braked), braked.shape))
        which = ("upper", "lower")[end]
        return {"joint": names[joint], "end": which, "left_rad": left[end, joint], "speed_rad_s": towards[end, joint]}
    if row == "tool_speed":
        return {"speed_m_s": tool.speed[tick], "limit_m_s": safety.limits.tool_speed_max}
    if row == "approach":
        coming = -float(surface_normal(arm.settings) @ tool.velocity[tick])
        return {"height_mm": 1e3 * tool.height[tick], "coming_m_s": coming}
    if row == "force":
        limit = safety.surface.static_share * safety.surface.force_max
        return {"height_mm": 1e3 * tool.height[tick], "force_n": tool.force[tick], "static_limit_n": limit}
    if row == "power":
        return {"asked_w": float(wanted @ velocity), "limit_w": safety.limits.power_max}
    return {}


def sentence(told: Mapping[str, Any]) -> str:
    """One intervention in one English sentence; every number is one of ``told``."""
    when = " to ".join(dict.fromkeys(f"{told[key]:.3f}" for key in ("begin_s", "end_s")))
    rungs = [rung for rung in told["rungs"] if rung != "NORMAL"]
    also = f" ({' and '.join(rungs)})" if rungs else ""
    unit = f" {told['unit']}" if told["unit"] else ""
    parts = [_why(told)]
    if told["smallest_h"] is not None:
        parts.append(f"h {told['smallest_h']:.3g}{unit} at the least")
    if told["smallest_margin"] is not None:
        parts.append(f"margin {fixed(told['smallest_margin'], 3)}")
    if told["multiplier"] is not None:
        parts.append(f"multiplier up to {told['multiplier']:.3f}")
    text = "; ".join(part for part in parts if part)
    way = "; the row gave way to others" if told["gave_way"] else ""
    most = "" if told["begin_s"] == told["end_s"] else f"most at {told['peak']['time_s']:.3f} s: "
    return f"{when} s: {told['row']}{also}: {text}{way}; {most}{_torques(told)}.".replace("-", "−")


def _torques(told: Mapping[str, Any]) -> str:
    """Which joints' torques were changed, the most first."""
    torques = told["peak"]["torques"]
    if any(one["asked_nm"] is None for one in torques.values()):
        return "a stop was asked for, not torques"
    least = max(CHANGED, SHARE * _most(told)[1])
    named = [(name, one) for name, one in torques.items() if abs(one["change_nm"]) >= least]
    named.sort(key=lambda pair: -abs(pair[1]["change_nm"]))
    words = [f"{name} {fixed(one['asked_nm'], 2)} → {fixed(one['allowed_nm'], 2)} N·m" for name, one in named]
    return ", ".join(words) if words else f"no torque changed by {CHANGED:g} N·m"


def _why(told: Mapping[str, Any]) -> str:
    seen, row = told["seen"], told["row"]
    if not seen or any(value is None for value in seen.values()):
        return ""
    if row == "acceleration":
        return f"{seen['joint']} would get {seen['asked_rad_s2']:.1f} of {seen['limit_rad_s2']:.1f} rad/s²"
    if row == "velocity":
        return f"{seen['joint']} at {seen['speed_rad_s']:.2f} of {seen['limit_rad_s']:.2f} rad/s"
    if row == "position":
        going = "going there" if seen["speed_rad_s"] >= 0 else "leaving"
        where = f"{seen['joint']} {seen['left_rad']:.3f} rad from its {seen['end']} end"
        return f"{where}, {going} at {abs(seen['speed_rad_s']):.2f} rad/s"
    if row == "tool_speed":
        return f"the tool at {seen['speed_m_s']:.2f} of {seen['limit_m_s']:.2f} m/s"
    if row == "approach":
        going = "coming" if seen["coming_m_s"] >= 0 else "leaving"
        return f"the tool {_above(seen)}, {going} at {abs(seen['coming_m_s']):.3f} m/s"
    if row == "force":
        return f"the tool {_above(seen)}, pressing with {seen['force_n']:.1f} of {seen['static_limit_n']:.1f} N"
    return f"{abs(seen['asked_w']):.1f} of {seen['limit_w']:.1f} W asked for; what braking may take is bounded as well"


def _above(seen: Mapping[str, Any]) -> str:
    side = "above" if seen["height_mm"] >= 0 else "below"
    return f"{abs(seen['height_mm']):.1f} mm {side} the surface as told"


def modes(drive: ArmDrive) -> list[Facts]:
    """The rungs of the ladder that it was on, in the order of time."""
    cuts = [0, *(np.flatnonzero(np.diff(drive.mode)) + 1).tolist(), len(drive.mode)]
    ends = [*drive.time, float(drive.time[-1]) + _period(drive)]
    return [
        {"rung": drive.ticks[low].mode.name, "begin_s": ends[low], "lasted_s": ends[high] - ends[low]}
        for low, high in pairwise(cuts)
    ]
