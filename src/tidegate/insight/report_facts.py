# SPDX-License-Identifier: Apache-2.0
"""A drive in figures: what its page shows, and what the JSON beside it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tidegate.insight.drive import Drive, Intervention, interventions
from tidegate.insight.page import Section
from tidegate.insight.plain import plain

Facts = dict[str, Any]


def beside(drive: Drive | None, extra: Iterable[Section]) -> Facts:
    """All numbers of a page as plain values: of the ``drive``, if it is of one, and of the ``extra`` sections by title.

    ``null`` is not known, or not finite; units are in the names.
    """
    told: Facts = {} if drive is None else {"drive": drive_facts(drive)}
    return told | {one.title: plain(one.facts) for one in extra if one.facts}


def drive_facts(drive: Drive) -> Facts:
    """What a drive was, and every intervention of it."""
    motion, gap = drive.motion, None if drive.truth is None else drive.truth.gap
    mean = float(motion.speed.mean()) if len(motion.time) else None
    found = interventions(drive)
    rows = sorted({one.row for one in found})
    told = {
        "name": drive.name,
        "run": {key: value for key, value in drive.facts.items() if key != "neurons"},
        "driven_m": None if mean is None else mean * float(motion.time[-1] - motion.time[0]),
        "mean_speed_m_s": mean,
        "smallest_gap_m": None if gap is None or not np.isfinite(gap).any() else float(np.min(gap)),
        "latency_ms": latency_facts(drive),
        "camera": camera_facts(drive),
        "interventions_in_all": len(found),
        "by_row": {name: row_facts([one for one in found if one.row == name]) for name in rows},
        "interventions": [_intervention(one) for one in found],
    }
    return dict(plain(told))


def latency_facts(drive: Drive) -> Facts | None:
    """Camera to command; None = it is not known."""
    if not len(drive.latency):
        return None
    middle, late = np.quantile(drive.latency, (0.5, 0.99))
    return {"median": float(middle), "p99": float(late)}


def camera_facts(drive: Drive) -> Facts | None:
    """How far its lane estimate was off, and in what share of the frames its bound held; None = the truth is not known.

    ``bound_held`` None: it states no bound.
    """
    lane, truth = drive.lane, drive.truth
    if truth is None or len(lane.time) < 2:
        return None
    error = np.abs(lane.offset - np.interp(lane.time, truth.time, truth.lane_error))
    known = np.isfinite(lane.bound)
    held = float((error <= lane.bound)[known].mean()) if known.any() else None
    return {"error_median_m": float(np.median(error)), "bound_held": held}


def row_facts(mine: list[Intervention]) -> Facts:
    """The interventions of one row together."""
    least = [one.least_h for one in mine if np.isfinite(one.least_h)]
    return {
        "times": len(mine),
        "lasted_s": sum(one.end - one.start for one in mine),
        "force_change_n": max(one.force for one in mine),
        "curvature_change_1_m": max(one.curvature for one in mine),
        "smallest_h": min(least, default=None),
    }


def _intervention(one: Intervention) -> Facts:
    return {"row": one.row, "begin_s": one.start, **row_facts([one])}
