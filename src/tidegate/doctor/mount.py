# SPDX-License-Identifier: Apache-2.0
"""Whether the camera looks where the robot's description says: the lane that it sees, against the way driven in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tidegate.doctor.finding import Finding, ok, warn
from tidegate.records import LaneEstimate, Odometry, seconds

WAY_M = 100.0
"""Way after which the noise of single frames has evened out."""
ASKEW_DEG = 1.2
"""Mean error of the heading that is told of. On 100 m the shipped network shows up to 0.6 with a camera that is right,
and 1.8 to 3.4 with one that is turned by 5: it sees about half of it. Pitch and roll show in it too, less surely."""


class Askew(NamedTuple):
    """By how much the lane's headings contradict its offsets on average [rad], and over what way [m]."""

    heading: float
    way: float


def askew(lanes: Sequence[LaneEstimate], odometry: Sequence[Odometry]) -> Askew:
    """Compare the heading in the lane with the offset that it must lead to: ḋ = v sin μ, whatever the road does.

    Args:
        lanes: of successive frames; those that are not finite are left out.
        odometry: over the same time; a frame's speed is that of the last before it.

    Returns:
        asin of the mean of sin μ over the way, less the offset gained per metre; NaN where the car did not move.
    """
    known = sorted((odom.stamp, odom.speed) for odom in odometry if math.isfinite(odom.speed))
    frames = sorted(
        (lane.stamp, lane.offset, lane.heading) for lane in lanes if math.isfinite(lane.offset + lane.heading)
    )
    way = drift = 0.0
    index = 0
    for (stamp, offset, heading), (later, then, _) in pairwise(frames):
        while index + 1 < len(known) and known[index + 1][0] <= stamp:
            index += 1
        if not known or known[index][0] > stamp:
            continue
        step = known[index][1] * seconds(later - stamp)
        way += step
        drift += math.sin(heading) * step - (then - offset)
    return Askew(math.asin(min(max(drift / way, -1.0), 1.0)) if way > 0 else math.nan, way)


def check_mount(lanes: Sequence[LaneEstimate], odometry: Sequence[Odometry]) -> Iterator[Finding]:
    """Told where the car drove far enough while it was watched."""
    found = askew(lanes, odometry)
    if not found.way >= WAY_M:
        return
    said = f"on {found.way:.0f} m the lane's heading was {math.degrees(found.heading):+.1f}° off the way driven in it"
    if abs(math.degrees(found.heading)) > ASKEW_DEG:
        side = "left" if found.heading > 0 else "right"
        remedy = f"the camera looks too far to the {side}: turn it on its mount; a bundle is trained for one view"
        yield warn("camera mount", said, remedy)
    else:
        yield ok("camera mount", said)
