# SPDX-License-Identifier: Apache-2.0
"""Sections on what would have been otherwise: without a row, with another bundle, with another picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from tidegate.insight import charts
from tidegate.insight.intervention import Facts
from tidegate.insight.moment_parts import column, drawn, heat, number
from tidegate.insight.page import Section, table


def roll_out(told: Facts) -> Section | None:
    """What came of driving on without the row; None = it was not asked for."""
    rolled = told.get("roll_out")
    if rolled is None:
        return None
    title = f"Without {rolled['row']}"
    refused = sorted({one for one in rolled["courses"].values() if isinstance(one, str)})
    courses = {name: one for name, one in rolled["courses"].items() if not isinstance(one, str)}
    if refused:
        return Section(title, f"No roll-out, the prediction above is all there is: {'; '.join(refused)}.", "")
    begin = rolled["begin_s"]
    note = (
        f"Roll-out, no prediction: the same scene and seed were driven again to {begin:.3f} s and from there on for "
        f"{rolled['horizon_s']:.0f} s at most, or to the end of the drive. Times in the table are since then; limit is "
        f"what {rolled['row']} stands for, broken."
    )
    rows = [
        (
            name,
            *(number(one[key], 2, "s") for key in ("limit", "contact", "lane_left", "off_road")),
            number(_least(one["gap"]), 1, "m"),
        )
        for name, one in courses.items()
    ]
    body = f"<p><b>{escape(rolled['explained']['sentence'])}</b></p>"
    body += table(("", "limit", "contact", "lane left", "off the road", "smallest gap"), rows)
    for key, label in (("gap", "gap [m]"), ("lane_error", "offset [m]"), ("speed", "speed [m/s]")):
        curves = [(name, begin + column(one["time"]), column(one[key])) for name, one in courses.items()]
        if any(np.isfinite(values).any() for _, _, values in curves):
            body += drawn(charts.series(curves, label, limit=0.0 if key == "gap" else None), f"{label} of each drive")
    apart = max(one["apart"] for one in courses.values())
    body += f"<p>Before that moment the car was at most {number(apart, 3, 'm')} from where it was recorded.</p>"
    return Section(f"{title}: driven again", note, body)


def against(told: Facts) -> Section | None:
    """The same recorded frames and sensors with another bundle."""
    other = told.get("against")
    if other is None or not told["frames"] or told["frame"] is None or other["frame"] is None:
        return None
    names = told["bundle"], other["bundle"]
    pair = told["frame"], other["frame"]
    rows = [
        (words, *(number(one[key], digits, unit) for one in pair))
        for words, key, digits, unit in (
            ("force asked for", "force_n", 0, "N"),
            ("curvature asked for", "curvature_1_m", 4, "1/m"),
            ("offset in the lane", "offset_m", 2, "m"),
            ("its error bound", "offset_bound_m", 2, "m"),
            ("heading", "heading_deg", 1, "°"),
        )
    ]
    rows.append(("image health", *(one["health"]["level"] for one in pair)))
    ticks = told["tick"], other["tick"]
    if all(tick is not None for tick in ticks):
        rows += [
            ("force let through", *(number(tick["force_allowed_n"], 0, "N") for tick in ticks)),
            ("curvature let through", *(number(tick["curvature_allowed_1_m"], 4, "1/m") for tick in ticks)),
            ("row that acted", *(tick["row"] or "none" for tick in ticks)),
            ("rung", *(tick["rung"] for tick in ticks)),
        ]
    body = table(("at the moment", *names), rows)
    for key, label in (("force_n", "force [N]"), ("curvature_1_m", "curvature [1/m]"), ("offset_m", "offset [m]")):
        curves = [
            (name, column([one["time_s"] for one in side["frames"]]), column([one[key] for one in side["frames"]]))
            for name, side in zip(names, (told, other), strict=True)
        ]
        if all(len(time) > 1 for _, time, _ in curves):
            body += drawn(charts.series(curves, label, at=told["at_s"]), f"{label} of both bundles over time")
    body += "".join(f"<h3>Neurons of {escape(side['bundle'])}</h3>{heat(side)}" for side in (told, other))
    note = (
        "Both bundles were given the recorded pictures and sensors, and the filter what each asked for. Nothing is "
        "driven again: the pictures are those that the recorded drive led to."
    )
    return Section(f"{names[0]} and {names[1]}", note, body)


def what_if(told: Facts, pictures: Sequence[str]) -> Section | None:
    """Sliders over the altered ``pictures``; None = there is no frame."""
    asked = told.get("what_if")
    if asked is None or not pictures:
        return None
    note = (
        "Perception and policy were run on the frame at the moment with the picture altered, for every step of the "
        "sliders. The filter and the drive are not simulated again; the frames before are as recorded."
    )
    plain = recorded_cell(asked)
    sliders = "".join(
        f'<label for="if-{name}">{name.capitalize()} '
        f'<output id="if-{name}-value" for="if-{name}">{values[values.index(asked["recorded"][name])]:g}</output> '
        f"{escape(asked['units'][name])}</label>"
        f'<input type="range" id="if-{name}" min="0" max="{len(values) - 1}" '
        f'value="{values.index(asked["recorded"][name])}">'
        for name, values in asked["axes"].items()
    )
    cell = asked["cells"][plain]
    rows = "".join(
        f"<tr><td>{name}</td><td>{words}</td><td id='if-{key}'>{words}</td></tr>"
        for key, name, words in (
            ("force", "force asked for", number(cell["force_n"], 0, "N")),
            ("curvature", "curvature asked for", number(cell["curvature_1_m"], 4, "1/m")),
            (
                "offset",
                "offset in the lane",
                f"{number(cell['offset_m'], 2)} ± {number(cell['offset_bound_m'], 2, 'm')}",
            ),
            ("health", "image health", cell["health"]["level"]),
            ("unlike", "unlike the training images", "yes" if cell["unlike_training"] else "no"),
        )
    )
    body = (
        f'<div class="pair"><img id="if-picture" alt="the altered picture" src="{pictures[plain]}"><div>'
        f"<table><thead><tr><td></td><th>recorded</th><th>altered</th></tr></thead><tbody>{rows}</tbody></table>"
        f'<p id="if-reasons" aria-live="polite"></p></div></div>'
        f'<div class="sliders">{sliders}<button type="button" id="if-reset">as recorded</button></div>'
        f"<p>Unlike the training images: farther than {asked['outlier_factor']:g} times their own distance; the "
        f"verdict turns after {asked['outlier_frames']} such frames in a row.</p>"
    )
    return Section("What if the picture were otherwise", note, body)


def recorded_cell(asked: Facts) -> int:
    """Index of the cell of the recorded picture."""
    return next(
        place
        for place, cell in enumerate(asked["cells"])
        if all(cell[name] == value for name, value in asked["recorded"].items())
    )


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
