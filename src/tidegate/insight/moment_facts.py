# SPDX-License-Identifier: Apache-2.0
"""One moment of a drive as plain values: the JSON beside the page, and all that the page takes its numbers from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product

from tidegate.insight.counterfactual import APART_M, Course
from tidegate.insight.drive import JOIN
from tidegate.insight.intervention import Account, Facts, facts, sentence
from tidegate.insight.moment import FrameView, Moment, TickView
from tidegate.insight.plain import plain
from tidegate.insight.prediction import MODEL
from tidegate.insight.together import HORIZON_S
from tidegate.insight.whatif import AXES, PLAIN, UNITS, Cell
from tidegate.liquid import Wiring
from tidegate.liquid.wiring import neuron_names
from tidegate.records import ImageHealth, Level
from tidegate.robot import Car
from tidegate.settings import Settings


def _plain_facts(value: Facts) -> Facts:
    made: Facts = plain(value)
    return made


def moment_facts(moment: Moment, told: Sequence[Account], settings: Settings, car: Car, wiring: Wiring) -> Facts:
    """All that is known of a moment but what-ifs and roll-outs; ``told`` are the interventions of the whole bag."""
    tick, frame, time = moment.tick, moment.frame, moment.time
    told_of = plain([facts(one, moment.start, settings, car) for one in told])
    for one in told_of:
        one["sentence"] = sentence(one)
    stamps = [one.stamp for one in moment.ticks] + [one.stamp for one in moment.frames]
    ends = stamps or [moment.at]
    return _plain_facts(
        {
            "at_s": time(moment.at),
            "begin_s": time(min(ends)),
            "end_s": time(max(ends)),
            "tick": None if tick is None else _tick(moment, tick),
            "frame": None if frame is None else _frame(moment, frame),
            "neurons": _neurons(frame, wiring),
            "barriers": [] if tick is None else _barriers(tick),
            "inputs": [] if tick is None else _inputs(moment, tick),
            "interventions": told_of,
            "interventions_in_all": len(told_of),
            "joined_s": JOIN,
            "prediction_model": MODEL,
            "ticks": _ticks(moment),
            "frames": [_frame(moment, one) for one in moment.frames],
        }
    )


def _tick(moment: Moment, view: TickView) -> Facts:
    tick, nominal = view.tick, view.inputs.nominal
    return {
        "time_s": moment.time(view.stamp),
        "rung": tick.mode,
        "reasons": list(tick.reasons),
        "row": tick.intervened,
        "speed_m_s": view.state.speed,
        "force_asked_n": tick.wanted[0],
        "force_allowed_n": tick.allowed[0],
        "curvature_asked_1_m": tick.wanted[1],
        "curvature_allowed_1_m": tick.allowed[1],
        "efforts_nm": dict(zip(tick.command.names, tick.command.effort.tolist(), strict=True)),
        "picture_age_ms": None if nominal is None else (view.stamp - nominal.record.stamp) / 1e6,
        "flags": [
            name
            for name in ("emergency_stop", "emergency_silent", "stop_requested", "reset_requested")
            if getattr(view.inputs, name)
        ],
    }


def _frame(moment: Moment, view: FrameView) -> Facts:
    lane, decision = view.percept.lane, view.decision
    return {
        "time_s": moment.time(view.stamp),
        "force_n": None if decision is None else decision.nominal.force,
        "curvature_1_m": None if decision is None else decision.nominal.curvature,
        "gains_1_s": {} if decision is None else decision.gains.values,
        "offset_m": lane.offset,
        "offset_bound_m": lane.bound[0],
        "heading_deg": math.degrees(lane.heading),
        "bend_1_m": lane.curvature[0],
        "health": _health(view.percept.health),
        "neurons": [] if decision is None else decision.neurons,
    }


def _health(health: ImageHealth) -> Facts:
    return {"level": Level(health.level), "reasons": list(health.reasons), "values": health.values}


def _neurons(frame: FrameView | None, wiring: Wiring) -> Facts:
    values = [] if frame is None or frame.decision is None else frame.decision.neurons.tolist()
    return dict(zip(neuron_names(wiring), values, strict=False))


def _barriers(view: TickView) -> list[Facts]:
    return [
        {
            "name": one.name,
            "h": one.h,
            "margin": one.margin,
            "multiplier": one.multiplier,
            "gave_way": one.relaxed,
            "acted": one.name == view.tick.intervened,
        }
        for one in view.tick.barriers
    ]


def _inputs(moment: Moment, view: TickView) -> list[Facts]:
    found = []
    for name, late in view.late.items():
        received = getattr(view.inputs, name)
        found.append(
            {
                "name": name,
                "taken_s": None if received is None else moment.time(received.record.stamp),
                "age_ms": None if received is None else received.age / 1e6,
                "verdict": "; ".join(late) or "used",
            }
        )
    return found


def _ticks(moment: Moment) -> Facts:
    """The window's ticks as columns."""
    views = moment.ticks
    names = dict.fromkeys(one.name for view in views for one in view.tick.barriers)
    state = [{one.name: one for one in view.tick.barriers} for view in views]
    return {
        "time_s": [moment.time(view.stamp) for view in views],
        "rung": [view.tick.mode for view in views],
        "row": [view.tick.intervened for view in views],
        "speed_m_s": [view.state.speed for view in views],
        "force_asked_n": [view.tick.wanted[0] for view in views],
        "force_allowed_n": [view.tick.allowed[0] for view in views],
        "curvature_asked_1_m": [view.tick.wanted[1] for view in views],
        "curvature_allowed_1_m": [view.tick.allowed[1] for view in views],
        "h": {name: [one[name].h if name in one else math.nan for one in state] for name in names},
        "margin": {name: [one[name].margin if name in one else math.nan for one in state] for name in names},
    }


def what_if_facts(cells: Sequence[Cell], settings: Settings) -> Facts:
    """The grid of what-ifs as plain values, in the order of ``AXES``, the last fastest."""
    found = []
    for values, cell in zip(product(*AXES.values()), cells, strict=True):
        percept, decision = cell.percept, cell.decision
        far = percept.health.values.get("outlier_distance", math.nan)
        found.append(
            dict(zip(AXES, values, strict=True))
            | {
                "force_n": None if decision is None else decision.nominal.force,
                "curvature_1_m": None if decision is None else decision.nominal.curvature,
                "offset_m": percept.lane.offset,
                "offset_bound_m": percept.lane.bound[0],
                "health": _health(percept.health),
                "unlike_training": far > settings.perception.outlier_factor,
            }
        )
    axes = {name: list(values) for name, values in AXES.items()}
    threshold = {
        "outlier_factor": settings.perception.outlier_factor,
        "outlier_frames": settings.perception.outlier_frames,
    }
    return _plain_facts({"axes": axes, "units": UNITS, "recorded": PLAIN, **threshold, "cells": found})


def roll_out_facts(begin_s: float, row: str, courses: Mapping[str, Course | str], explained: Facts | None) -> Facts:
    """What came of driving on, by name of what was left out; a text says why it was not driven.

    ``begin_s``: of the intervention [s since the bag's start], caused by ``row``; ``explained`` as ``finding_facts``;
    None = nothing could be driven.
    """
    made = {name: one if isinstance(one, str) else _course(one) for name, one in courses.items()}
    return _plain_facts(
        {
            "begin_s": begin_s,
            "row": row,
            "horizon_s": HORIZON_S,
            "apart_allowed_m": APART_M,
            "explained": explained,
            "courses": made,
        }
    )


def _course(one: Course) -> Facts:
    seen = one.watched
    told = {name: value for name, value in asdict(one).items() if name != "watched"}
    return told | {
        "limit": None if seen is None else seen.after_s,
        "acted_s": {} if seen is None else seen.lasted(HORIZON_S),
    }
