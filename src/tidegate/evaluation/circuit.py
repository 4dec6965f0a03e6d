# SPDX-License-Identifier: Apache-2.0
"""What a liquid network heard and did, frame by frame, beside what was true when the frame was taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tidegate.evaluation.pilot import Moment
from tidegate.records import Decision, Features, Floats, Odometry, nanoseconds
from tidegate.simulation import Truth

KNOWN = (
    "lane offset [m]",
    "heading [rad]",
    "curvature here [1/m]",
    "curvature ahead [1/m]",
    "speed [m/s]",
    "gap [m]",
    "slope",
    "light [0–255]",
)
"""What is known of each frame: the truth of the simulator, and how bright the picture is on average."""

CLEAR_M = 80.0
"""A clear road reads as this gap [m]: what the range sensor can see."""


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """One drive, one row per frame (F,): ``stamp`` [ns] of the frame.

    ``features`` (F, I − 1) and ``speed`` (F,) [m/s] are what the network heard, ``neurons`` (F, N) its state after it,
    ``command`` (F, 2) path curvature [1/m] and acceleration [m/s²] that it asked for. ``known`` (F, K) is in the order
    of ``KNOWN``, ``position`` (F, 2) [m].
    """

    stamp: NDArray[np.int64]
    features: NDArray[np.float32]
    speed: Floats
    neurons: NDArray[np.float32]
    command: Floats
    known: Floats
    position: Floats

    def after(self, start_s: float) -> Circuit:
        """The drive from ``start_s`` [s] after its first frame on."""
        kept = self.stamp >= self.stamp[0] + nanoseconds(start_s)
        return Circuit(*(getattr(self, item.name)[kept] for item in fields(self)))


class CircuitWatch:
    """Sees every tick of a closed loop; ``circuit`` is what came of it."""

    def __init__(self, mass: float, memory: int) -> None:
        """``mass`` [kg] turns force into acceleration; ``memory``: ticks that a frame takes to arrive, at most."""
        self._mass = mass
        self._past: deque[tuple[Odometry, Truth]] = deque(maxlen=memory)
        self._rows: list[tuple[Features, Odometry, Decision, Floats, tuple[float, float]]] = []

    def __call__(self, moment: Moment) -> None:
        """Keep the truth and the odometry of this tick; where a decision came, those of its frame."""
        self._past.append((moment.sensors.odometry, moment.truth))
        percept, decision, frame = moment.step.percept, moment.step.decision, moment.sensors.frame
        if percept is None or decision is None or frame is None or not np.isfinite(decision.nominal.force):
            return
        stamp = percept.features.stamp
        odometry, truth = next(one for one in reversed(self._past) if one[0].stamp <= stamp)
        known = known_of(truth, float(frame.image.mean()))
        self._rows.append((percept.features, odometry, decision, known, (truth.x, truth.y)))

    @property
    def heard(self) -> list[tuple[Features, Odometry]]:
        """What the policy was stepped with, in order."""
        return [(features, odometry) for features, odometry, *_ in self._rows]

    def circuit(self) -> Circuit:
        """All frames so far.

        Raises:
            ValueError: there were none.
        """
        features, odometry, decisions, known, position = zip(*self._rows, strict=True)
        nominal = [decision.nominal for decision in decisions]
        return Circuit(
            stamp=np.array([one.stamp for one in features], np.int64),
            features=np.stack([one.values for one in features]),
            speed=np.array([one.speed for one in odometry]),
            neurons=np.stack([decision.neurons for decision in decisions]),
            command=np.array([(one.curvature, one.force / self._mass) for one in nominal]),
            known=np.stack(known),
            position=np.array(position),
        )


def known_of(truth: Truth, light: float) -> Floats:
    """(K,) in the order of ``KNOWN``."""
    ahead = float(truth.curvature[min(1, len(truth.curvature) - 1)])
    lane = truth.offset, truth.heading, float(truth.curvature[0]), ahead
    return np.array([*lane, truth.speed, min(truth.gap, CLEAR_M), truth.slope, light])
