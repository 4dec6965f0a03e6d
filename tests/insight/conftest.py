# SPDX-License-Identifier: Apache-2.0
"""A small drive with everything in it, made by formulas."""

import numpy as np
import pytest

from tidegate.insight.drive import Barrier, Drive, Lane, Motion, Truth


def made_drive(duration: float = 4.0) -> Drive:
    rng = np.random.default_rng(0)
    time = np.arange(0, duration, 0.005)
    frames = np.arange(0, duration, 0.05)
    wanted = np.stack([1500 * np.sin(time), 0.04 * np.cos(time)], axis=1)
    allowed = wanted.copy()
    row = np.full(len(time), "", dtype="<U16")
    held = (time > 1.0) & (time < 1.5)
    allowed[held, 0] = -2000
    row[held] = "distance"
    path = np.stack([60 * np.cos(time / 3), 40 * np.sin(time / 3)], axis=1)
    angle = np.linspace(0, 2 * np.pi, 400)
    road = np.stack([61 * np.cos(angle), 41 * np.sin(angle)], axis=1)
    speed = 10 + np.sin(time)
    offset = 0.2 * np.sin(frames)
    images = rng.integers(40, 200, (len(frames), 80, 160, 3), dtype=np.uint8)
    return Drive(
        name="made drive",
        time=time,
        mode=np.where(time > duration - 0.5, 1, 0),
        wanted=wanted,
        allowed=allowed,
        row=row,
        barriers={
            "distance": Barrier(5 * np.cos(time) + 6, np.ones_like(time), held.astype(float)),
            "lane_left": Barrier(1 - 0.3 * np.sin(time), np.ones_like(time), np.zeros_like(time)),
        },
        motion=Motion(time, path, time / 3, speed),
        lane=Lane(frames, offset, 0.1 * offset, 0 * offset, np.full(len(frames), 0.3)),
        latency=4 + rng.exponential(1.0, len(frames)),
        image_time=frames,
        images=images,
        neuron_time=frames,
        neurons=np.sin(frames[:, None] * np.arange(1, 20)).astype(np.float32),
        truth=Truth(time, path, np.interp(time, frames, offset) + 0.05, speed, np.where(time < 2, np.inf, 20.0), road),
        facts={"scene": "made", "seed": 7, "completed": True, "end": "goal", "collisions": 0, "limit_violations": 0},
    )


@pytest.fixture
def drive() -> Drive:
    return made_drive()
