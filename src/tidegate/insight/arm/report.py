# SPDX-License-Identifier: Apache-2.0
"""The page about an arm's drive, and what the JSON beside it holds."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.insight import charts, neuron_charts
from tidegate.insight.arm.drive import ArmDrive
from tidegate.insight.arm.interventions import Facts, by_row, interventions, modes
from tidegate.insight.arm.sight import TOUCHES, seen_section, sight_sections
from tidegate.insight.drive import stretches
from tidegate.insight.explain import wiring_section
from tidegate.insight.page import Section, Tile, page, table
from tidegate.insight.plain import plain
from tidegate.insight.report import margins, neurons_over_time
from tidegate.liquid.tool_policy import PRESSES
from tidegate.liquid.wiring import TOOL_MOTORS, Wiring, neuron_names
from tidegate.records import Floats, Mode

TOLD = 200
"""Interventions that the page tells in words; the JSON has all."""


def report(drive: ArmDrive, bundle: Bundle | None) -> tuple[str, Facts]:
    """The page as text and all its numbers: of the ``drive``, and of further sections by title.

    Args:
        drive: of the bag.
        bundle: of the policy that drove; None = nobody's, or it is not known.

    Raises:
        BagError, BundleError: as ``sight_sections``.
    """
    told = drive_facts(drive)
    extra = [seen_section(drive)]
    if bundle is not None:
        extra += sight_sections(drive, bundle)
        extra += _neurons(drive, bundle)
    sections = [
        _torques(drive),
        _rungs(told),
        _force(drive, told),
        _tool(drive),
        _interventions(told),
        margins(drive.time, drive.row, drive.barriers),
        *extra,
    ]
    shown = [section for section in sections if section is not None]
    subtitle = f"robot {told['robot']} · {told['joints']} joints"
    text = page(f"tidegate: {drive.name}", subtitle, _tiles(told), shown)
    return text, {"drive": told} | {one.title: plain(one.facts) for one in shown if one.facts}


def drive_facts(drive: ArmDrive) -> Facts:
    """What a drive was, and every intervention of it."""
    tool, found = drive.tool, interventions(drive)
    rungs = modes(drive)
    lasted = {mode.name: sum(one["lasted_s"] for one in rungs if one["rung"] == mode.name) for mode in Mode}
    return dict(
        plain(
            {
                "name": drive.name,
                "robot": drive.arm.settings.arm.name,
                "joints": len(drive.arm.joint_names),
                "ticks": len(drive.ticks),
                "lasted_s": sum(lasted.values()),
                "on_rung_s": lasted,
                "rungs": rungs,
                "outcome": dict(drive.outcome),
                "force": {
                    "touched_s": _first(drive.time, tool.force > TOUCHES),
                    "most_n": _most(tool.force),
                    "wanted_most_n": _most(tool.wanted),
                    "limit_n": drive.arm.settings.safety.surface.force_max,
                    "static_share": drive.arm.settings.safety.surface.static_share,
                },
                "tool_speed_most_m_s": _most(tool.speed),
                "torques": {
                    name: {
                        "wanted_most_nm": _most(np.abs(drive.wanted[:, joint])),
                        "allowed_most_nm": _most(np.abs(drive.allowed[:, joint])),
                        "limit_nm": drive.arm.effort[joint],
                        "changed_most_nm": _most(_change(drive)[:, joint]),
                    }
                    for joint, name in enumerate(drive.arm.joint_names)
                },
                "interventions_in_all": len(found),
                "by_row": by_row(found),
                "interventions": found,
            }
        )
    )


def _change(drive: ArmDrive) -> Floats:
    """By how much a row changed each torque (K, N) [N·m]."""
    change: Floats = np.abs(drive.allowed - drive.wanted)
    change[drive.row == ""] = 0.0
    return change


def _most(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else None


def _first(time: Floats, flags: NDArray[np.bool_]) -> float | None:
    found = np.flatnonzero(flags)
    return float(time[found[0]]) if len(found) else None


def _tiles(told: Facts) -> list[Tile]:
    tiles, outcome, force = [], told["outcome"], told["force"]
    if "done" in outcome:
        tiles.append(Tile("yes" if outcome["done"] else "no", "did what is wanted", bool(outcome["done"])))
    tiles.append(Tile(f"{told['on_rung_s']['NORMAL']:.2f} s", f"in NORMAL, of {told['lasted_s']:.2f}"))
    if force["most_n"] is not None:
        tiles.append(Tile(f"{force['most_n']:.1f} N", f"most at the tool, of {force['limit_n']:g}"))
    if told["tool_speed_most_m_s"] is not None:
        tiles.append(Tile(f"{told['tool_speed_most_m_s']:.2f} m/s", "fastest tool"))
    if outcome.get("excess") is not None:
        tiles.append(Tile(f"{outcome['excess']:.1%}", "worst excess of a limit", outcome["excess"] == 0))
    tiles.append(Tile(str(told["interventions_in_all"]), "interventions"))
    return tiles


def _active(drive: ArmDrive) -> list[tuple[float, float]]:
    return stretches(drive.row != "", drive.time)


def _stopped(drive: ArmDrive) -> list[tuple[float, float]]:
    return stretches(drive.mode != Mode.NORMAL, drive.time)


def _torques(drive: ArmDrive) -> Section | None:
    if len(drive.time) < 2:
        return None
    pairs = {
        f"{name} [N·m]": (drive.wanted[:, joint], drive.allowed[:, joint])
        for joint, name in enumerate(drive.arm.joint_names)
    }
    body = charts.wanted_and_allowed(drive.time, pairs, _active(drive), "filter acts")
    note = "Torques that the ladder asked for and what the filter let through. In a stop none are asked for."
    return Section("Before and after the filter", note, body)


def _rungs(told: Facts) -> Section:
    rows = [(one["rung"], f"{one['begin_s']:.3f}", f"{one['lasted_s']:.3f}") for one in told["rungs"]]
    note = "The safety ladder over time; in NORMAL the policy is followed."
    return Section("Rungs", note, table(("rung", "from [s]", "for [s]"), rows))


def _force(drive: ArmDrive, told: Facts) -> Section | None:
    tool, force = drive.tool, told["force"]
    if len(drive.time) < 2 or not np.isfinite(tool.force).any():
        return None
    curves = [("measured", drive.time, tool.force)]
    if np.isfinite(tool.wanted).any():
        curves.append(("wanted", drive.time, tool.wanted))
    body = charts.series(curves, "[N]", spans=_stopped(drive), spans_label="hold or stop")
    note = (
        "Along the normal of the surface that the filter was told of. "
        f"The limit is {force['limit_n']:g} N, of which {force['static_share']:.0%} may be pressed with."
    )
    return Section("Force at the tool", note, body)


def _tool(drive: ArmDrive) -> Section | None:
    tool = drive.tool
    if len(drive.time) < 2 or not np.isfinite(tool.place).any():
        return None
    body = ""
    if np.isfinite(tool.height).any():
        body = charts.series([("above the surface", drive.time, 1000 * tool.height)], "[mm]", spans=_stopped(drive))
    body += charts.series([("speed", drive.time, tool.speed)], "[m/s]", spans=_stopped(drive))
    note = "The tool point by the robot's model and its measured joints. Shaded: hold or stop."
    return Section("The tool", note, body)


def _interventions(told: Facts) -> Section:
    if not told["interventions"]:
        return Section("Interventions", "The filter changed no torque in this drive.", "")
    rows = table(
        ("row", "times", "seconds", "largest change [N·m]", "of", "smallest h", "unit of h", "multiplier"),
        [
            (
                name,
                str(one["times"]),
                f"{one['lasted_s']:.3f}",
                "–" if one["change_nm"] is None else f"{one['change_nm']:.2f}",
                one["most_changed"],
                "–" if one["smallest_h"] is None else f"{one['smallest_h']:.3g}",
                one["unit"] or "–",
                "–" if one["multiplier"] is None else f"{one['multiplier']:.3f}",
            )
            for name, one in told["by_row"].items()
        ],
    )
    shown = told["interventions"][:TOLD]
    items = "".join(f"<li>{escape(one['sentence'])}</li>" for one in shown)
    left = len(told["interventions"]) - len(shown)
    more = " Later ones are in the JSON beside the page." if left else ""
    note = (
        "Each with the barrier row that pushed hardest: what it went by; its value h, below zero where its safe set is "
        "left; the least that its rows kept, as a share of full torque; its multiplier; and each joint's torque, asked "
        f"for → let through, where the torques were changed most.{more}"
    )
    return Section("Interventions", note, f"{rows}<ul>{items}</ul>")


def _neurons(drive: ArmDrive, bundle: Bundle) -> list[Section]:
    """Their states over time and along the tool's way, what the motor neurons ask for, and who is wired to whom."""
    wiring = Wiring.from_dict(bundle.wiring)
    time, neurons = drive.neuron_time, drive.neurons
    sections = [neurons_over_time(time, neurons, neuron_names(wiring))]
    if len(time) < 2 or neurons.shape[1] != wiring.neurons or bundle.tool is None:
        return [section for section in sections if section is not None]
    place = drive.tool.place[[drive.tick_at(one) for one in time]]
    known = np.isfinite(place).all(axis=1)
    if known.sum() > 1:
        widest = np.sort(np.argsort(-np.ptp(place[known], axis=0))[:2])
        drawn = neuron_charts.on_the_map(
            place[known][:, widest], neurons[known].astype(np.float64), neuron_names(wiring)
        )
        along, up = ("xyz"[axis] for axis in widest)
        note = (
            f"The tool's way in {along} (to the right) and {up} (upwards), along which it moves most, from dark to "
            "bright as the neuron's state goes from least to largest; a dot where it begins."
        )
        sections.append(Section("Neurons on the tool's way", note, drawn))
    sections += [_motors(drive, bundle, wiring), wiring_section(wiring)]
    return [section for section in sections if section is not None]


def _motors(drive: ArmDrive, bundle: Bundle, wiring: Wiring) -> Section | None:
    """What the motor neurons add to the way that is seen."""
    assert bundle.tool is not None
    arrays, near = bundle.part("liquid"), bundle.tool.near
    outputs = drive.neurons[:, wiring.layers[2]] * arrays["output_weight"] + arrays["output_bias"]
    if outputs.shape[1] != len(TOOL_MOTORS):
        return None
    leads = [(name, drive.neuron_time, 1000 * near * outputs[:, index]) for index, name in enumerate(TOOL_MOTORS[:3])]
    body = charts.series(leads, "added [mm]")
    share = [(TOOL_MOTORS[3], drive.neuron_time, outputs[:, 3])]
    body += charts.series(share, "share of the wanted force", height=1.6, limit=PRESSES)
    note = (
        "What the four motor neurons add to the way to the goal that is seen, and the share of the wanted force that "
        "they ask for; it presses above the dashed line."
    )
    return Section("What the motor neurons ask for", note, body)
