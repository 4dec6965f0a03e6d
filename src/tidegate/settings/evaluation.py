# SPDX-License-Identifier: Apache-2.0
"""What the figures of a drive mean: when it is over, and what counts as done."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The ends of a drive and the marks that it has to reach; read by evaluation alone, never while driving."""

    goal_m: float = setting(600.0, "m", "shortest drive that counts as a lap", low=1, high=1e6)
    pace: float = setting(
        0.8, "1", "slowest mean speed that counts, as a share of the expert's on the same road", low=0, high=1
    )
    still_speed: float = setting(0.1, "m/s", "slower than this is standing", low=0.01, high=1)
    standing_s: float = setting(
        15.0, "s", "a car that stood this long stands for good; no vehicle of the scenes waits longer", low=1, high=600
    )
    stopped_s: float = setting(
        1.0,
        "s",
        "the same at STOPPED, which only an operator leaves, with nothing in the way that may drive off",
        low=0.1,
        high=600,
    )
    off_road_s: float = setting(
        2.0, "s", "a wheel beyond the paved edge for this long is off the road for good", low=0.05, high=60
    )
    slowest: float = setting(3.0, "m/s", "mean speed that sets the time limit, 60 s on top", low=0.1, high=50)
    excess: float = setting(
        1e-3, "1", "relative excess over a joint or speed limit, at any physics step, that violates it", low=0, high=0.1
    )
