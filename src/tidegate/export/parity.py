# SPDX-License-Identifier: Apache-2.0
"""A short sequence with the outputs of the live path, which goes along with every export."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import ExportError
from tidegate.export.standalone import TOLERANCE, share_off
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Floats, Frame, Odometry, nanoseconds
from tidegate.settings import Settings

Images = NDArray[np.uint8]
Step = Callable[[Images, float, float, NDArray[np.float32]], tuple[Floats, NDArray[np.float32]]]
"""(image (H, W, 3), speed [m/s], dt [s], neurons (N,)) → (outputs in the order of ``facts["outputs"]``, neurons)."""


@dataclass(frozen=True, slots=True, eq=False)
class Parity:
    """T frames as inputs and what the live path makes of them.

    Attributes:
        images: (T, H, W, 3); ``speed`` (T,) [m/s]; ``dt`` (T,) [s] since the frame before, 0 for the first.
        outputs: (T, O) in the order of ``facts["outputs"]``.
    """

    images: Images
    speed: NDArray[np.float32]
    dt: NDArray[np.float32]
    outputs: Floats

    @classmethod
    def of(cls, bundle: Bundle, settings: Settings) -> Parity:
        """Four frames of blocks in random colours, one of them late, one so late that the neurons start anew.

        Raises:
            BundleError: the bundle cannot be run.
        """
        random = np.random.default_rng(0)
        height, width = settings.camera.height, settings.camera.width
        blocks = random.integers(0, 256, (4, math.ceil(height / 8), math.ceil(width / 8), 3), dtype=np.uint8)
        images = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        period, longest = 1 / settings.camera.rate_hz, settings.policy.dt_max_s
        dt = np.array([0.0, period, 0.9 * longest, 1.1 * longest], np.float32)
        speed = np.array([0.0, 3.0, 8.0, 15.0], np.float32)
        return cls(images, speed, dt, live(bundle, settings, images, speed, dt))

    def hold(self, step: Step, facts: Mapping[str, Any]) -> float:
        """Largest difference of ``step`` from the live path over the sequence, as a share of full scale.

        Raises:
            ExportError: it is above ``TOLERANCE``.
        """
        state, rows = np.zeros(sum(facts["neurons"].values()), np.float32), []
        for image, speed, dt in zip(self.images, self.speed, self.dt, strict=True):
            outputs, state = step(image, float(speed), float(dt), state)
            rows.append(outputs)
        worst = share_off(np.array(rows), self.outputs, np.array(facts["full_scale"]))
        if not worst <= TOLERANCE:
            raise ExportError(f"the export is {worst:.1e} of full scale off the live path; allowed {TOLERANCE:g}")
        return worst


def live(
    bundle: Bundle, settings: Settings, images: Images, speed: NDArray[np.float32], dt: NDArray[np.float32]
) -> Floats:
    """Outputs (T, O) of perception and policy, as they drive, on frames ``dt`` [s] apart.

    Raises:
        BundleError: the bundle cannot be run.
        ExportError: its camera's pictures would have to be rectified, which an export does not do.
    """
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    if perception.rectifies:
        raise ExportError(
            f"bundle '{bundle.name}' was trained with another camera than the settings and the URDF state; an export "
            "takes the trained camera's pictures: name its settings with --config"
        )
    rows, stamp = [], 0
    for image, one_speed, passed in zip(images, speed, dt, strict=True):
        stamp += nanoseconds(float(passed))
        percept = perception.process(Frame(stamp, image))
        lane = percept.lane
        decision = policy.step(percept.features, Odometry(stamp, 0.0, 0.0, 0.0, float(one_speed), 0.0))
        command = [decision.nominal.force, decision.nominal.curvature, *decision.gains.values.values()]
        rows.append([*command, lane.offset, lane.heading, *lane.curvature, *lane.bound])
    return np.array(rows)
