# SPDX-License-Identifier: Apache-2.0
"""What a drive was worth: pure functions of its trace. No simulator, no model, no clock."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from enum import Enum
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.evaluation.comfort import Comfort
from tidegate.records import Floats
from tidegate.settings.evaluation import EvaluationSettings


class End(str, Enum):
    """Why a drive ended."""

    GOAL = "goal"
    STANDING = "standing"
    CONTACT = "contact"
    OFF_ROAD = "off road"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Trace:
    """The truth along one drive, one row per control tick (K,), in the order of time.

    Attributes:
        period: time between rows [s].
        distance: way along the lane since the start [m].
        lane_error: lateral distance of ``base_link`` from the lane centre, left positive [m].
        speed: [m/s].
        yaw_rate: [rad/s].
        gap: to the nearest thing in the car's way [m]; inf where there is none.
        contact: whether the car touches something.
        wheels_off: whether a wheel is beyond the paved edge.
        room: from the side of the car, at either axle, to its lane's edge [m]; negative beyond it.
        violations: limits that the command or the car broke in this tick.
    """

    period: float
    distance: Floats
    lane_error: Floats
    speed: Floats
    yaw_rate: Floats
    gap: Floats
    contact: NDArray[np.bool_]
    wheels_off: NDArray[np.bool_]
    room: Floats
    violations: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.distance)

    @property
    def off_lane(self) -> NDArray[np.bool_]:
        """Whether a side of the car is beyond its lane's edge."""
        return self.room < 0


@dataclass(frozen=True, slots=True)
class Run:
    """One closed loop in figures; the rows of ``evaluation.json``. Lengths [m], times [s], speeds [m/s].

    ``expert_speed`` is None where the goal was not reached or no expert drives in that simulator, ``min_gap_m`` where
    nothing was ever in the way;
    ``worst_limit`` names the joint or speed limit that was exceeded most ('' = none).
    """

    seed: int
    scene: str
    completed: bool
    end: str
    distance_m: float
    duration_s: float
    mean_speed: float
    expert_speed: float | None
    max_abs_lane_error_m: float
    rms_lane_error_m: float
    off_lane_s: float
    off_road_s: float
    collisions: int
    min_gap_m: float | None
    limit_violations: int
    worst_limit: str
    interventions: int
    intervened_s: float
    interventions_by_row: dict[str, int]
    comfort: Comfort
    state_hash: str
    wall_s: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def rises(flags: NDArray[np.bool_]) -> int:
    """How often a condition began: a stretch of any length counts once."""
    return int(flags[:1].sum()) + int((flags[1:] & ~flags[:-1]).sum())


def mean_speed(trace: Trace) -> float:
    """Way over time [m/s]; zero for an empty drive."""
    return float(trace.distance[-1] / (len(trace) * trace.period)) if len(trace) else 0.0


def stands_safely(trace: Trace, still_speed: float, excused: bool) -> bool:
    """Whether the car ended at rest inside its lane and had a reason to (``excused``)."""
    return excused and len(trace) > 0 and abs(float(trace.speed[-1])) < still_speed and not trace.off_lane[-1]


def completed(trace: Trace, end: End, expert_speed: float, rules: EvaluationSettings, *, excused: bool) -> bool:
    """Whether a drive counts as done.

    Either the goal was reached after at least ``goal_m`` at ``pace`` times the expert's mean speed on the same road
    (nobody passes by crawling), or the car stands safely in its lane; contact always fails.

    Args:
        trace: the drive.
        end: why it ended.
        expert_speed: mean speed of the expert on this scene and seed [m/s]; 0 = any pace will do.
        rules: what counts.
        excused: something blocks the lane ahead of the standing car, or its camera is gone.
    """
    if trace.contact.any():
        return False
    if end is End.GOAL:
        far = float(trace.distance[-1]) >= rules.goal_m
        return far and mean_speed(trace) >= rules.pace * expert_speed
    return end is End.STANDING and stands_safely(trace, rules.still_speed, excused)


def smallest_gap(trace: Trace) -> float | None:
    """Smallest gap to anything in the car's way [m]; None if nothing ever was."""
    smallest = float(trace.gap.min(initial=math.inf))
    return smallest if math.isfinite(smallest) else None


def limit_violations(
    effort: Floats,
    before: Floats,
    low: Floats,
    high: Floats,
    step: Floats,
    speed: Floats,
    speed_max: float,
    slack: float = 1e-9,
) -> NDArray[np.int64]:
    """Count the limits that each tick breaks: (K,) from efforts (K, J) [N·m] and speeds (K,) [m/s].

    ``low``, ``high``, ``step`` (J,) bound each effort and its change from one tick to the next; ``before`` (J,) were
    the efforts before the first. A value that is not finite breaks every limit that it meets.
    """
    previous = np.vstack([before, effort[:-1]])
    inside = (effort >= low - slack) & (effort <= high + slack)
    slow = np.abs(effort - previous) <= step + slack
    broken: NDArray[np.int64] = (~inside).sum(axis=1) + (~slow).sum(axis=1) + ~(speed <= speed_max + slack)
    return broken


def typical(drives: list[Comfort]) -> dict[str, float]:
    """The median of each figure."""
    return {item.name: median(getattr(drive, item.name) for drive in drives) for item in fields(Comfort) if drives}


def summary(runs: list[Run], wall_s: float) -> dict[str, Any]:
    """Totals of a campaign that took ``wall_s`` [s] by the clock.

    ``real_time_factor`` is simulated over computing time of one process; ``throughput`` is that of all together.
    """
    driven, computed = sum(run.duration_s for run in runs), sum(run.wall_s for run in runs)
    gaps = [run.min_gap_m for run in runs if run.min_gap_m is not None]
    return {
        "completed": sum(run.completed for run in runs),
        "total": len(runs),
        "collisions": sum(run.collisions for run in runs),
        "limit_violations": sum(run.limit_violations for run in runs),
        "runs_with_a_wheel_off_the_road": sum(run.off_road_s > 0 for run in runs),
        "interventions": sum(run.interventions for run in runs),
        "min_gap_m": min(gaps, default=None),
        "max_abs_lane_error_m": max((run.max_abs_lane_error_m for run in runs), default=0.0),
        "distance_m": sum(run.distance_m for run in runs),
        "comfort": typical([run.comfort for run in runs]),
        "real_time_factor": driven / computed if computed else 0.0,
        "throughput": driven / wall_s if wall_s else 0.0,
    }
