# SPDX-License-Identifier: Apache-2.0
"""Judge a drive that the node graph recorded with the simulator's truth, by the same figures as a rollout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.bag import BagReader
from tidegate.errors import BagError
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.metrics import End, Run
from tidegate.evaluation.survey import Survey, state_of
from tidegate.records import Floats, Mode
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.simulation import Truth
from tidegate.simulation.road import CENTRE_LINE
from tidegate.simulation.scene import make_scene

NOT_REPEATABLE = ""
"""State hash of a drive in real time."""


def judge_bag(reader: BagReader, settings: Settings, scene: str, seed: int, end: End, wall_s: float) -> Run:
    """Figures of a recorded drive, from the first tick in NORMAL to the goal or to the end of the bag.

    Each command is paired with the first truth after it.

    Raises:
        BagError: the bag lacks commands, ticks or truth, or the car never drove.
    """
    held = _by_stamp(reader, ("command", "safety_node/barriers", "truth"))
    truths = [Truth.from_values(stamp, held["truth"][stamp].values) for stamp in sorted(held["truth"])]
    stamps = np.array([truth.stamp for truth in truths])
    states = held["safety_node/barriers"]
    ticks = [stamp for stamp in sorted(held["command"]) if stamp in states and stamp < stamps[-1]]
    first = next((place for place, stamp in enumerate(ticks) if states[stamp].mode is Mode.NORMAL), None)
    if first is None:
        raise BagError(f"{reader.path}: the safety filter was never in NORMAL; the car did not drive")
    before = held["command"][ticks[first - 1]].effort if first else None
    log = DriveLog(settings, Car.from_settings(settings), before)
    for stamp in ticks[first:]:
        state = states[stamp]
        truth = truths[int(np.searchsorted(stamps, stamp, "right"))]
        log.add(held["command"][stamp].effort, state.intervened, state.mode, truth)
        if truth.reached or truth.contact:
            end = End.CONTACT if truth.contact else End.GOAL
            break
    return log.judge(scene, seed, end, NOT_REPEATABLE, wall_s)


def survey_bag(reader: BagReader, mass: float) -> Survey:
    """States and what the network asked for, per frame, of a recorded drive; no pictures.

    Args:
        reader: of the bag.
        mass: turns force into acceleration [kg].

    Raises:
        BagError: the bag lacks commands of the network or truth.
    """
    held = _by_stamp(reader, ("nominal", "truth"))
    stamps = np.array(sorted(held["truth"]))
    rows = []
    for stamp, nominal in held["nominal"].items():
        place = int(np.searchsorted(stamps, stamp))
        if place < len(stamps) and np.isfinite(nominal.force + nominal.curvature):
            truth = Truth.from_values(int(stamps[place]), held["truth"][stamps[place]].values)
            rows.append((*state_of(truth), nominal.curvature, nominal.force / mass))
    table = np.array(rows).reshape(-1, 7)
    return Survey(table[:, :5], table[:, 5:], [], [])


def road_outline(scene: str, seed: int, points: int = 800) -> Floats:
    """Centre line (R, 2) [m] of the simulated road of a scene and seed.

    Raises:
        SceneError: there is no road for this seed.
    """
    road = make_scene(scene, seed).road
    return road.points(np.linspace(0, road.length, points), np.full(points, CENTRE_LINE))


def _by_stamp(reader: BagReader, topics: tuple[str, ...]) -> dict[str, dict[int, Any]]:
    held: dict[str, dict[int, Any]] = {topic: {} for topic in topics}
    for topic, _, record in reader.messages(topics):
        held[topic].setdefault(record.stamp, record)
    return held
