# SPDX-License-Identifier: Apache-2.0
"""An arm's policy as it runs: features and what the arm senses in, where the tool is to be drawn and pressed out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.live_network import LiveNetwork
from tidegate.liquid.wiring import SENSES, TOOL_MOTORS
from tidegate.records import Floats
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.settings.arm import ArmSettings
from tidegate.settings.arm_policy import ToolScales

PRESSES, HARDEST = 0.5, 1.2
"""Share of the wanted force that a motor neuron must ask for to press at all, and the most that it is given."""


class ToolPolicy:
    """Liquid neurons at the tool. Its clock is ``LiveNetwork``'s."""

    def __init__(self, bundle: Bundle, settings: ArmSettings) -> None:
        """Take the network and its scales from ``bundle``, the camera's rate and ``dt_max_s`` from ``settings``.

        Raises:
            BundleError: it is no arm's, or its arrays do not fit its wiring.
        """
        if bundle.tool is None:
            raise BundleError(f"bundle '{bundle.name}': was made for robot '{bundle.robot}', not for an arm")
        self._scales = bundle.tool
        try:
            self._network = LiveNetwork(bundle, settings.camera.rate_hz, settings.policy.dt_max_s)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error
        wiring, inputs = self._network.wiring, bundle.perception.features + len(SENSES)
        if (wiring.inputs, wiring.motor) != (inputs, len(TOOL_MOTORS)):
            raise BundleError(
                f"bundle '{bundle.name}': has {wiring.inputs} inputs and {wiring.motor} motor neurons; an arm's has "
                f"{inputs} and {len(TOOL_MOTORS)}"
            )

    @property
    def neurons(self) -> Floats:
        """The state (N,)."""
        return self._network.neurons

    def reset(self) -> None:
        """Forget everything."""
        self._network.reset()

    def step(self, stamp: int, features: NDArray[np.float32], senses: ToolSenses) -> ToolAim | None:
        """Decide on the picture at ``stamp`` [ns]; None where what it hears is no number.

        Args:
            stamp: of the picture.
            features: (F,) of it.
            senses: at that time.
        """
        if not self._network.advance(stamp, np.append(features, scaled(senses.row(), self._scales))):
            return None
        return read_aim(self._network.outputs(), senses.wanted, self._scales)


def scaled(senses: Floats, scales: ToolScales) -> Floats:
    """Rows (…, 9) of ``ToolSenses`` as the network hears them."""
    place = (senses[..., :3] - np.array(scales.centre)) / scales.place
    height = np.clip(senses[..., 8:] / scales.height, -1, 1)
    return np.concatenate((place, senses[..., 3:6] / scales.speed, senses[..., 6:8] / scales.force, height), axis=-1)


def read_aim(outputs: Floats, wanted: float, scales: ToolScales) -> ToolAim:
    """What the motor neurons' ``outputs`` (4,) ask for where a force of ``wanted`` [N] is: the last is its share."""
    share = min(float(outputs[3]), HARDEST)
    return ToolAim(np.array(scales.centre) + scales.place * outputs[:3], wanted * share if share > PRESSES else 0.0)
