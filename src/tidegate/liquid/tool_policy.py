# SPDX-License-Identifier: Apache-2.0
"""An arm's policy as it runs: what is seen and sensed in, where the tool is to be drawn and how hard to press out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.live_network import LiveNetwork
from tidegate.liquid.wiring import TOOL_HEARS, TOOL_MOTORS
from tidegate.records import Floats, seconds
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.settings.arm import ArmSettings
from tidegate.settings.arm_policy import ToolScales

PRESSES, HARDEST = 0.5, 1.2
"""Share of the wanted force that a motor neuron must ask for to press at all, and the most that it is given."""


class ToolPolicy:
    """Liquid neurons at the tool. Its clock is ``LiveNetwork``'s.

    Attributes:
        network: with its state.
    """

    def __init__(self, bundle: Bundle, settings: ArmSettings) -> None:
        """Take the network and its scales from ``bundle``, the camera's rate and ``dt_max_s`` from ``settings``.

        Raises:
            BundleError: it is no arm's, or its arrays do not fit its wiring.
        """
        if bundle.tool is None:
            raise BundleError(f"bundle '{bundle.name}': was made for robot '{bundle.robot}', not for an arm")
        self._scales, self._longest = bundle.tool, settings.policy.dt_max_s
        self._before: tuple[int, Floats] | None = None
        try:
            self.network = LiveNetwork(bundle, settings.camera.rate_hz, settings.policy.dt_max_s)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error
        wiring = self.network.wiring
        if (wiring.inputs, wiring.motor) != (len(TOOL_HEARS), len(TOOL_MOTORS)):
            raise BundleError(
                f"bundle '{bundle.name}': has {wiring.inputs} inputs and {wiring.motor} motor neurons; an arm's has "
                f"{len(TOOL_HEARS)} and {len(TOOL_MOTORS)}"
            )

    @property
    def neurons(self) -> Floats:
        """The state (N,)."""
        return self.network.neurons

    def reset(self) -> None:
        """Forget everything."""
        self.network.reset()
        self._before = None

    def step(self, stamp: int, sights: NDArray[np.float32], senses: ToolSenses) -> ToolAim | None:
        """Decide on the picture at ``stamp`` [ns]; None where what it hears is no number.

        Args:
            stamp: of the picture.
            sights: (8,) what is seen in it.
            senses: at that time.
        """
        if not np.isfinite(sights).all():
            return None
        seen = sights.astype(np.float64)
        before = self._before or (stamp, seen)
        passed = seconds(stamp - before[0])
        moved = (seen - before[1]) / passed if 0 < passed <= self._longest else np.zeros(len(seen))
        if not self.network.advance(stamp, heard(seen, moved, senses.row(), self._scales)):
            return None
        self._before = stamp, seen
        return read_aim(self.network.outputs(), seen, senses, self._scales)


def heard(sights: Floats, moved: Floats, senses: Floats, scales: ToolScales) -> Floats:
    """What the network hears (…, 19), ``TOOL_HEARS``.

    Near the tool small distances count, far from it the direction does: of the way to the goal each coordinate's
    inverse hyperbolic sine. An obstacle is felt in its direction, by one half at ``clear``, hardly far off and not at
    all where there is none. How fast both move is noisy from one picture to the next: neurons that are slower than
    that make it smooth.

    Args:
        sights: rows (…, 8) of what is seen.
        moved: (…, 8) how fast that changed since the picture before, per second.
        senses: rows (…, 9) of ``ToolSenses``.
        scales: of the policy.
    """
    goal, thing = (sights[..., first : first + 3] - senses[..., :3] for first in (0, 4))
    there, off = np.clip(sights[..., 7:], 0, 1), np.linalg.norm(thing, axis=-1, keepdims=True)
    felt = there * thing / np.maximum(off, 1e-6) / (1 + np.square(off / scales.clear))
    height = np.clip(senses[..., 8:] / scales.height, -1, 1)
    speed, force = senses[..., 3:6] / scales.speed, senses[..., 6:8] / scales.force
    way, extent = np.arcsinh(goal / scales.near), sights[..., 3:4] / scales.clear
    goes, comes = (np.tanh(moved[..., first : first + 3] / scales.speed) for first in (0, 4))
    return np.concatenate((way, extent, felt, goes, there * comes, speed, force, height), axis=-1)


def read_aim(outputs: Floats, sights: Floats, senses: ToolSenses, scales: ToolScales) -> ToolAim:
    """What the motor neurons' ``outputs`` (4,) ask for: a way from the tool, beside that to the goal that is seen
    (``sights`` (8,)), and a share of the wanted force."""
    way = drawn(sights[:3] - senses.place, scales.far) + scales.near * outputs[:3]
    share = min(float(outputs[3]), HARDEST)
    return ToolAim(senses.place + way, senses.wanted * share if share > PRESSES else 0.0)


def drawn(way: Floats, far: float) -> Floats:
    """``way`` (…, 3) to a place, no longer than ``far`` [m]: how what is seen draws the tool by itself. The motor
    neurons add to it what a picture does not show: where that goes, to and fro, around what is in the way."""
    long = np.linalg.norm(way, axis=-1, keepdims=True)
    limited: Floats = way * (far / np.maximum(long, far))
    return limited
