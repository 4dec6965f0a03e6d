# SPDX-License-Identifier: Apache-2.0
"""Kinematics of a walker: its next state, some frames left out (Lechner & Hasani 2020; Hasani et al. 2022).

The body is the one of Gymnasium's ``Walker2d-v5``, read from its file, as that environment itself needs a renderer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import mujoco
import numpy as np
import torch
from examples.liquid.task import Data, Series, Task
from numpy.typing import NDArray

from tidegate.liquid.generators import fully_connected
from tidegate.liquid.wiring import Wiring

Array = NDArray[np.float64]

BODY = files("gymnasium") / "envs/mujoco/assets/walker2d_v5.xml"
PHYSICS = 4
"""Physics steps a frame, as in the environment: 125 frames a second."""
FASTEST = 10.0
"""Where observed velocities are clipped, as there [m/s, rad/s]."""
SAMPLES, LEFT_OUT = 64, 0.1
"""Samples of a sequence, and the share of frames that is left out, as in the papers."""
FRAMES, LEAD = 90, 25
"""Frames that are enough for a sequence, and how many may pass before it begins."""
RANDOM_ACTION = 0.1
"""Share of the frames with a random action, as in the papers."""


@dataclass(frozen=True)
class Walker(Task):
    """Walkers that try to step and mostly stumble."""

    name, title = "walker", "A walker's next state"
    text = (
        "Gymnasium's Walker2d body in MuJoCo, 125 frames a second, 17 observations: height, pitch, six joint angles, "
        "and velocities. Its legs are held along random opposed swings by weak springs and dampers; one action in ten "
        "is random, one frame in ten is left out, sequences are 64 samples long and dt is the time since the last kept "
        "frame: so in Lechner & Hasani 2020 and the CfC paper, whose rollouts came from trained policies, so that "
        "their figures are no measure for these. Every sequence is a walker of its own. Asked is the change until the "
        "frame after each sample, each of the 17 in units of its standard deviation; repeating the last state leaves "
        "about 100 %."
    )
    inputs, outputs = 17, 17
    period, ahead, tau = 0.008, 0.008, (0.008, 0.4)
    shown = 11, "change of the thigh's velocity [sd]"

    steps: int = 250
    batch: int = 32
    train: int = 192
    test: int = 96

    def draw(self) -> Data:
        parts = [
            [np.stack(part) for part in zip(*(sequence(seed, index) for index in range(count)), strict=True)]
            for seed, count in enumerate((self.train, self.test))
        ]
        states, _, changes = parts[0]
        mean, spread, unit = states.mean(axis=(0, 1)), states.std(axis=(0, 1)), changes.std(axis=(0, 1))

        def series(states: Array, dt: Array, changes: Array) -> Series:
            numbers = ((states - mean) / spread, dt, changes / unit, np.zeros_like(changes))
            return Series(*(torch.from_numpy(part).float() for part in numbers))

        train, test = (series(*part) for part in parts)
        return Data(train, {"test": test})

    def wiring(self, seed: int) -> Wiring:
        return fully_connected(self.inputs, 20, 20, seed)


def sequence(*seed: int) -> tuple[Array, Array, Array]:
    """States (T, 17), dt (T,) [s] and the changes (T, 17) until the frame after each, of one walker."""
    random = np.random.default_rng(seed)
    states = rollout(random)[random.integers(LEAD) :]
    kept = np.flatnonzero(random.random(len(states) - 1) >= LEFT_OUT)[: SAMPLES + 1]
    before, at = kept[:-1], kept[1:]
    return states[at], (at - before) * Walker.period, states[at + 1] - states[at]


def rollout(random: np.random.Generator) -> Array:
    """States (LEAD + FRAMES, 17) of a walker that is dropped upright and tries to step."""
    model: Any = mujoco.MjModel.from_xml_path(str(BODY))
    data: Any = mujoco.MjData(model)
    data.qpos[:] += random.uniform(-0.05, 0.05, model.nq)
    data.qvel[:] = random.uniform(-0.1, 0.1, model.nv)
    middle = np.tile([-0.3, -0.5, 0.0] * random.uniform(0.5, 1.5, 3), 2)
    swing = np.tile(random.uniform(0.1, 0.6, 3), 2)
    phase = np.tile(random.uniform(0, 2 * math.pi, 3), 2) + np.repeat([0, math.pi], 3)
    frequency, spring, damper = random.uniform(0.8, 2.5), random.uniform(0.5, 1.5), random.uniform(0.02, 0.06)
    states = []
    for _ in range(LEAD + FRAMES):
        states.append(np.concatenate((data.qpos[1:], np.clip(data.qvel, -FASTEST, FASTEST))))
        wanted = middle + swing * np.sin(2 * math.pi * frequency * data.time + phase)
        data.ctrl[:] = np.clip(spring * (wanted - data.qpos[3:]) - damper * data.qvel[3:], -1, 1)
        if random.random() < RANDOM_ACTION:
            data.ctrl[:] = random.uniform(-1, 1, model.nu)
        mujoco.mj_step(model, data, PHYSICS)
    return np.stack(states)
