# SPDX-License-Identifier: Apache-2.0
"""A compared network at the wheel."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from tidegate.bundle import Bundle
from tidegate.comparison.conditions import Eyes
from tidegate.evaluation.drivers import EXPERT_BOUND, BundleDriver, Seen
from tidegate.perception.export import export_backbone
from tidegate.records import (
    Decision,
    Features,
    Gains,
    ImageHealth,
    LaneEstimate,
    Level,
    Nominal,
    Odometry,
    Percept,
    nanoseconds,
    seconds,
)
from tidegate.settings import Settings
from tidegate.simulation import Observation, Simulator
from tidegate.stack import Stack


class PeerPolicy:
    """The policy of ``stack`` step by step, with the clock of ``liquid.LiquidPolicy``: see there."""

    def __init__(self, stack: Stack, mass_kg: float, settings: Settings) -> None:
        self._policy, self._names, self._mass = stack.policy, stack.policy.settings.gain_names, mass_kg
        self._period = nanoseconds(1 / settings.camera.rate_hz)
        self._longest = nanoseconds(settings.policy.dt_max_s)
        self._state: torch.Tensor | None = None
        self._stamp: int | None = None
        self._last: Decision | None = None

    @torch.no_grad()
    def __call__(self, percept: Percept, odometry: Odometry) -> Decision:
        """Decide on one frame; a command of NaN (= not commanded) where something is not finite."""
        features = percept.features
        if self._last is not None and features.stamp == self._last.nominal.stamp:
            return self._last
        passed = self._period if self._stamp is None else features.stamp - self._stamp
        if self._last is not None and -self._longest <= passed <= 0:
            return dataclasses.replace(self._last, nominal=Nominal(features.stamp, math.nan, math.nan))
        if passed <= 0 or passed > self._longest:
            self._state, passed = None, self._period
        out = self._policy(
            torch.from_numpy(features.values)[None, None],
            torch.tensor([[odometry.speed]], dtype=torch.float32),
            torch.tensor([[seconds(passed)]], dtype=torch.float32),
            self._state,
        )
        force, curvature = float(out.acceleration) * self._mass, float(out.curvature)
        if math.isfinite(force + curvature):
            self._state, self._stamp = out.neurons[:, -1], features.stamp
        gains = dict(zip(self._names, out.gains[0, 0].tolist(), strict=True))
        nominal = Nominal(features.stamp, force, curvature)
        self._last = Decision(nominal, Gains(features.stamp, gains), out.neurons[0, -1].numpy())
        return self._last


def bundle_driver(bundle: Bundle, stack: Stack, settings: Settings) -> BundleDriver:
    """Perception of ``bundle`` with the features of ``stack``, and its policy in the place of the liquid one."""
    own = {key: value.detach().numpy() for key, value in stack.backbone.state_dict().items()}
    seeing = dataclasses.replace(bundle, backbone=export_backbone(own, bundle.perception))
    return BundleDriver(seeing, settings, PeerPolicy(stack, bundle.mass_kg, settings))


class PeerDriver:
    """``inner`` sees what ``eyes`` let through.

    With ``alone``, for drives without the filter, nothing but the network decides where the car goes: the ladder hears
    of a sound camera and of the true lane, and a command is held where no frame came. Else it would stop a car whose
    pictures are noisy, whoever drives.
    """

    def __init__(self, inner: BundleDriver, eyes: Eyes, simulator: Simulator, *, alone: bool) -> None:
        self._inner, self._eyes, self._simulator, self._alone = inner, eyes, simulator, alone
        self._last: Decision | None = None

    def look(self, sensors: Observation) -> Seen:
        """As ``evaluation.drivers.Driver.look``."""
        frame = sensors.frame
        seen = None if frame is None else self._eyes.see(frame)
        percept, decision = self._inner.look(dataclasses.replace(sensors, frame=seen))
        if not self._alone:
            return percept, decision
        self._last = decision or self._last
        if frame is None or self._last is None:
            return None, None
        truth, (offset, heading, curvature) = self._simulator.truth(), EXPERT_BOUND
        bound = np.array([offset, heading, *[curvature] * len(truth.curvature)])
        lane = LaneEstimate(truth.stamp, truth.offset, truth.heading, truth.curvature, bound)
        nothing = Features(truth.stamp, np.zeros(0, np.float32))
        nominal = dataclasses.replace(self._last.nominal, stamp=frame.stamp)
        return (
            Percept(nothing, lane, ImageHealth(truth.stamp, Level.OK)),
            dataclasses.replace(self._last, nominal=nominal),
        )
