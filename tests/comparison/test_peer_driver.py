# SPDX-License-Identifier: Apache-2.0
"""A compared network at the wheel: its clock is that of the live policy, and without the filter it is alone."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from tidegate.bundle import Bundle
from tidegate.comparison.conditions import Condition, Eyes
from tidegate.comparison.driver import PeerDriver, PeerPolicy, bundle_driver
from tidegate.comparison.peers import peer_stack
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, roll
from tidegate.liquid import LiquidPolicy
from tidegate.records import Features, ImageHealth, LaneEstimate, Level, Mode, Odometry, Percept
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

CONFIG, MODEL = share_path("config/car.yaml"), share_path("models/car-ltc19")
CAR, BUNDLE = load_settings(CONFIG), Bundle.load(MODEL)
PERIOD = 50_000_000


def percept(stamp: int, values: np.ndarray) -> Percept:
    lane = LaneEstimate(stamp, 0.0, 0.0, np.zeros(4), np.zeros(6))
    return Percept(Features(stamp, values.astype(np.float32)), lane, ImageHealth(stamp, Level.OK))


def test_the_network_of_a_bundle_drives_here_as_it_does_live() -> None:
    """Late, doubled and reversed frames, a long gap, and one that is not finite."""
    peer, live = PeerPolicy(Stack.from_bundle(BUNDLE), BUNDLE.mass_kg, CAR), LiquidPolicy(BUNDLE, CAR)
    random, stamp = np.random.default_rng(0), 0
    for k, step in enumerate([1, 1, 1.3, 0.6, 0, 2, 1, -3, 1, 1, 40, 1, 1, 1]):
        stamp += round(step * PERIOD)
        values = random.normal(size=BUNDLE.perception.features)
        seen = percept(stamp, np.full_like(values, np.nan) if k == 12 else values)
        odometry = Odometry(stamp, 0.0, 0.0, 0.0, 8.0 + k / 10, 0.0)
        mine, theirs = peer(seen, odometry), live.step(seen.features, odometry)
        assert mine.nominal.stamp == theirs.nominal.stamp == stamp
        assert mine.nominal.force == pytest.approx(theirs.nominal.force, rel=1e-3, abs=1.0, nan_ok=True), k
        assert mine.nominal.curvature == pytest.approx(theirs.nominal.curvature, abs=1e-5, nan_ok=True), k
        assert not math.isnan(mine.nominal.force) or k in (7, 8, 9, 12), "of before the last one, or none"


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False])
def test_without_the_filter_commands_are_held_where_frames_are_missing_and_the_ladder_stops_nobody(
    alone: bool,
) -> None:
    heard: list[Moment] = []
    inner = bundle_driver(BUNDLE, peer_stack(BUNDLE, "lstm", 0), CAR)
    roll(
        CAR,
        Task(str(CONFIG), str(MODEL), "road", 3400, filtered=not alone),
        lambda simulator: PeerDriver(inner, Eyes(Condition(noise=0.3, dropped=0.5), 1), simulator, alone=alone),
        heard.append,
        5.0,
        camera=True,
    )
    wished = [moment.step.decision.nominal for moment in heard if moment.step.decision]
    frames = [moment.sensors.frame.stamp for moment in heard if moment.sensors.frame]
    stopped = [moment.step.tick.mode != Mode.NORMAL for moment in heard]
    if alone:
        late = len(frames) - len(wished)  # those before the first that came
        assert [one.stamp for one in wished] == frames[late:]
        held = sum(one.force == other.force for one, other in pairwise(wished))
        assert held / len(wished) == pytest.approx(0.5, abs=0.15)
        driving = stopped.index(False)
        assert not any(stopped[driving:])
    else:
        assert len(wished) / len(frames) == pytest.approx(0.5, abs=0.15)
        assert any(stopped[len(stopped) // 2 :])
