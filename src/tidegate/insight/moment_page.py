# SPDX-License-Identifier: Apache-2.0
"""The page about one moment of a drive, out of plain values alone (``moment_facts``) and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from tidegate.insight import charts
from tidegate.insight.intervention import Facts, around
from tidegate.insight.moment_otherwise import against, roll_out, what_if
from tidegate.insight.moment_parts import acting, column, drawn, heat, number
from tidegate.insight.moment_script import SCRIPT, STYLE
from tidegate.insight.moment_tree import way
from tidegate.insight.page import Section, Tile, page, table


def moment_page(told: Facts, frames: Sequence[Sequence[str]], altered: Sequence[str]) -> str:
    """The page as text.

    Args:
        told: as ``moment_facts`` makes it, with ``bag`` and ``bundle``, ``replay``, and, as far as there are any,
            ``what_if``, ``roll_out``, ``tree`` and ``against``, another bundle on the same bag.
        frames: of each of its frames the picture, with its saliency, and with that of the other bundle, as addresses
            (``data:``).
        altered: the picture of each of its what-ifs.
    """
    sections = [
        _words(told),
        roll_out(told),
        _pictures(told, frames),
        against(told),
        what_if(told, altered),
        way(told),
        _commands(told),
        _barriers(told),
        _neurons(told),
        _inputs(told),
        _verdict(told),
        _all(told),
        _replay(told),
        _data(told, frames, altered),
    ]
    title = f"tidegate: {told['bag']} at {told['at_s']:.3f} s"
    subtitle = f"{told['bundle']} · {told['begin_s']:.3f} to {told['end_s']:.3f} s of the bag"
    return page(title, subtitle, _tiles(told), [one for one in sections if one], style=STYLE, script=SCRIPT)


def _tiles(told: Facts) -> list[Tile]:
    tick, frame = told["tick"], told["frame"]
    tiles = []
    if tick is not None:
        asked, allowed = (number(tick[key], 0) for key in ("force_asked_n", "force_allowed_n"))
        tiles += [
            Tile(tick["rung"], "rung of the ladder", tick["rung"] == "NORMAL"),
            Tile(tick["row"] or "none", "row that changed the command"),
            Tile(number(tick["speed_m_s"], 1, "m/s"), "speed"),
            Tile(f"{asked} → {allowed} N", "force, asked → let through"),
            Tile(number(tick["picture_age_ms"], 0, "ms"), "age of the frame behind it"),
        ]
    if frame is not None:
        level = frame["health"]["level"]
        tiles.append(Tile(level, "image health", level == "OK"))
    return tiles


def _words(told: Facts) -> Section | None:
    if told["tick"] is None:
        return None
    begin, end, at = told["begin_s"], told["end_s"], told["tick"]["time_s"]
    inside = around(told["interventions"], begin, end)
    note = "Where the filter changed the command in these seconds, and why; in bold what was in force at the moment."
    if not inside:
        return Section("In words", "The filter changed no command in these seconds.", "")
    lines = []
    for one in inside:
        text = escape(f"{one['sentence']}{_driven(told, one)}")
        now = one["begin_s"] <= at <= one["end_s"]
        lines.append(f"<li>{f'<strong>{text}</strong>' if now else text}</li>")
    model = f"<p><b>Prediction</b>: a simple model, nothing was simulated. {escape(told['prediction_model'])}</p>"
    return Section("In words", note, f'<ol class="words">{"".join(lines)}</ol>{model}')


def _driven(told: Facts, one: Facts) -> str:
    """What came of driving on without the row of an intervention, where that was done."""
    rolled = told.get("roll_out")
    if rolled is None or (one["row"], one["begin_s"]) != (rolled["row"], rolled["begin_s"]):
        return ""
    course = rolled["courses"].get(f"without {one['row']}")
    if course is None or isinstance(course, str):
        return ""
    ends = (("contact", "contact"), ("lane_left", "the lane left"), ("off_road", "off the road"))
    came = [f"{words} after {number(course[key], 2, 's')}" for key, words in ends if course[key] is not None]
    said = f" Driven again in the simulator without it: {', '.join(came) or 'neither contact nor lane left'}."
    return f"{said} {rolled['explained']['sentence']}"


def _pictures(told: Facts, frames: Sequence[Sequence[str]]) -> Section | None:
    if not frames:
        return None
    at, one, other = _place(told), told["frame"] or told["frames"][0], told.get("against")
    words = ["picture of the camera", f"with the saliency of {told['bundle']}"]
    note = "The picture, and with what the camera network reacts to in amber (VisualBackProp)."
    if other is not None:
        words.append(f"with the saliency of {other['bundle']}")
        note = f"The picture, then with what the camera networks of {told['bundle']} and {other['bundle']} react to."
    images = "".join(
        f'<img id="frame-{place}" alt="{escape(what)}" src="{source}">'
        for place, (what, source) in enumerate(zip(words, frames[at], strict=True))
    )
    body = (
        f'<div class="pair">{images}</div>'
        f'<label for="frame">Frame <output id="frame-time" for="frame">{number(one["time_s"], 3, "s")}</output></label>'
        f'<input type="range" id="frame" min="0" max="{len(frames) - 1}" value="{at}">'
        f'<p id="frame-text" aria-live="polite">{escape(_frame_text(one))}</p>'
    )
    return Section("What it saw", note, body)


def _frame_text(one: Facts) -> str:
    reasons = "; ".join(one["health"]["reasons"])
    return (
        f"Asked: {number(one['force_n'], 0, 'N')}, {number(one['curvature_1_m'], 4, '1/m')}. Lane: "
        f"{number(one['offset_m'], 2)} ± {number(one['offset_bound_m'], 2, 'm')}, heading "
        f"{number(one['heading_deg'], 1)}°. Image health: {one['health']['level']}{f' ({reasons})' if reasons else ''}."
    )


def _commands(told: Facts) -> Section | None:
    ticks, at = told["ticks"], told["at_s"]
    if len(ticks["time_s"]) < 2:
        return None
    time, active = column(ticks["time_s"]), acting(ticks)
    body = ""
    for what, factor, label in (("force", 1000, "force [kN]"), ("curvature", 1, "curvature [1/m]")):
        unit = "n" if what == "force" else "1_m"
        curves = [(word, time, column(ticks[f"{what}_{key}_{unit}"]) / factor) for word, key in SIDES]
        body += drawn(charts.series(curves, label, spans=active, spans_label="a row acts", at=at), f"{label} over time")
    speed = charts.series([("speed", time, column(ticks["speed_m_s"]))], "speed [m/s]", spans=active, at=at)
    note = "What the ladder asked for and what the filter let through. Dotted: the moment."
    return Section("Asked and let through", note, body + drawn(speed, "speed over time"))


SIDES = (("asked", "asked"), ("let through", "allowed"))


def _barriers(told: Facts) -> Section | None:
    ticks, at = told["ticks"], told["at_s"]
    if not told["barriers"]:
        return None
    rows = [
        (
            one["name"],
            "acted" if one["acted"] else "",
            number(one["h"], 3),
            number(one["margin"], 4),
            number(one["multiplier"], 3),
            "yes" if one["gave_way"] else "",
        )
        for one in told["barriers"]
    ]
    body = table(("at the moment", "", "h", "margin of its row", "multiplier", "gave way"), rows)
    if len(ticks["time_s"]) > 1:
        time = column(ticks["time_s"])
        active = {name: acting(ticks, name) for name in ticks["h"]}
        for key, words in (("h", "h of each barrier"), ("margin", "margin of each row after the solve")):
            values = {name: column(one) for name, one in ticks[key].items()}
            body += f"<h3>{words}</h3>" + drawn(charts.barriers(time, values, active, at), f"{words} over time")
    note = "Below the red line h leaves its safe set. Shaded: the row changed the command. A dash: it does not apply."
    return Section("Barriers", note, body)


def _neurons(told: Facts) -> Section | None:
    chart = heat(told)
    if not chart:
        return None
    rows = [(name, number(value, 3)) for name, value in told["neurons"].items()]
    body = f"{chart}<details><summary>State at the moment</summary>{table(('neuron', 'state'), rows)}</details>"
    return Section("Neurons", "State of every neuron of the liquid network. Dotted: the moment.", body)


def _inputs(told: Facts) -> Section | None:
    if not told["inputs"]:
        return None
    rows = [
        (one["name"], number(one["taken_s"], 3), number(one["age_ms"], 1), one["verdict"]) for one in told["inputs"]
    ]
    note = "What the tick at the moment was given, how old it was, and whether the watchdog let it be used."
    return Section("Inputs", note, table(("input", "taken at [s]", "age [ms]", "verdict"), rows))


def _verdict(told: Facts) -> Section | None:
    tick, frame = told["tick"], told["frame"]
    body = ""
    if tick is not None:
        asked = [*tick["reasons"], *(flag.replace("_", " ") for flag in tick["flags"])]
        why = escape("; ".join(asked))
        body += f"<p>Ladder: {tick['rung']}{f': {why}' if why else ''}.</p>"
        efforts = [(name, number(effort, 1)) for name, effort in tick["efforts_nm"].items()]
        body += table(("joint", "effort that went out [N·m]"), efforts)
    if frame is not None:
        health = frame["health"]
        reasons = "; ".join(health["reasons"])
        body += f"<p>Image health: {health['level']}{f': {escape(reasons)}' if reasons else ''}.</p>"
        body += table(("measured", ""), [(name, number(value, 3)) for name, value in health["values"].items()])
        if frame["gains_1_s"]:
            gains = [(name, number(value, 2)) for name, value in frame["gains_1_s"].items()]
            body += table(("gain of the barrier", "[1/s]"), gains)
    return Section(
        "Verdict", "What the ladder and the watch over the pictures said, and what went to the joints.", body
    )


def _all(told: Facts) -> Section | None:
    if not told["interventions"]:
        return None
    lines = "".join(f"<li>{escape(one['sentence'])}</li>" for one in told["interventions"])
    count = told["interventions_in_all"]
    body = f"<details><summary>All {count} in the order of time</summary><ol class='words'>{lines}</ol></details>"
    return Section(
        "Every intervention in this bag", f"Stretches less than {told['joined_s']:g} s apart are told as one.", body
    )


def _replay(told: Facts) -> Section:
    made = told["replay"]
    lines = "".join(f"<li>{escape(note)}</li>" for note in made["notes"])
    note = (
        "All of this comes from running the recorded inputs again through perception, policy and filter. "
        f"Against what was recorded: {made['agreement']}"
    )
    return Section("How exact this is", note, f"<ul>{lines}</ul>" if lines else "")


def _data(told: Facts, frames: Sequence[Sequence[str]], pictures: Sequence[str]) -> Section | None:
    """What the script needs."""
    if not frames:
        return None
    shown = [{"time": number(one["time_s"], 3, "s"), "text": _frame_text(one)} for one in told["frames"]]
    data: dict[str, Any] = {"frames": shown, "pictures": frames}
    if pictures:
        data |= {"what_if": told["what_if"], "altered": pictures}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    where = "The JSON file of the same name beside this page holds every number in it, and the columns of its charts."
    return Section("Data", where, f'<script type="application/json" id="data">{text}</script>')


def _place(told: Facts) -> int:
    """Index of the frame behind the moment."""
    times = [one["time_s"] for one in told["frames"]]
    return times.index(told["frame"]["time_s"]) if told["frame"] is not None else 0
