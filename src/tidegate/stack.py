# SPDX-License-Identifier: Apache-2.0
"""Camera to wanted command as one differentiable module: what is trained, and what becomes a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.generators import ncp
from tidegate.liquid.wired import PolicyOutput, WiredPolicy
from tidegate.liquid.wiring import Wiring
from tidegate.perception.backbone import Backbone
from tidegate.perception.export import backbone_weights, export_backbone
from tidegate.perception.health import Training
from tidegate.robot import camera_view, load_description
from tidegate.settings import Settings
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings


class StackOutput(NamedTuple):
    """What the network says about each frame.

    ``acceleration`` [m/s²], ``curvature`` [1/m] (B, T); ``lane`` (B, T, 2 + K) [m, rad, 1/m…] and ``lane_log_scale``,
    log of its error scale in the same units; ``gains`` [1/s] (B, T, G); ``features`` (B, T, F); ``neurons``
    (B, T, N); ``state`` (B, N), the neurons after the last frame.
    """

    acceleration: Tensor
    curvature: Tensor
    lane: Tensor
    lane_log_scale: Tensor
    gains: Tensor
    features: Tensor
    neurons: Tensor
    state: Tensor


class Cell(Protocol):
    """What carries the state of a policy."""

    neurons: int
    """Numbers N of its state."""


class Policy(Protocol):
    """What may stand behind the features: ``WiredPolicy``, or another ``nn.Module`` that is called like it."""

    settings: PolicySettings

    @property
    def cell(self) -> Cell:
        """What carries its state."""

    def __call__(self, features: Tensor, speed: Tensor, dt: Tensor, state: Tensor | None = None) -> PolicyOutput:
        """As ``WiredPolicy.forward``."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained."""

    def state_dict(self) -> dict[str, Any]:
        """What is kept."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take what was kept."""


class Stack(nn.Module):
    """Backbone and liquid policy, end to end."""

    policy: Policy

    def __init__(self, perception: PerceptionSettings, policy: PolicySettings, wiring: Wiring, seed: int) -> None:
        """Draw initial weights from ``seed``; torch's global generator is left as it was."""
        super().__init__()
        self.perception = perception
        self.wiring = wiring
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = Backbone(perception)
        self.policy = WiredPolicy(wiring, policy, torch.Generator().manual_seed(seed))

    @classmethod
    def from_settings(cls, settings: Settings, seed: int) -> Stack:
        """An untrained network; ``seed`` draws its wiring and its weights.

        Raises:
            SettingsError: the wiring asked for cannot be drawn.
        """
        wiring = ncp(settings.perception.features + 1, settings.policy, seed)
        return cls(settings.perception, settings.policy, wiring, seed)

    def forward(self, images: Tensor, speed: Tensor, dt: Tensor, state: Tensor | None = None) -> StackOutput:
        """Drive through T frames.

        Args:
            images: (B, T, 3, h, w) float32, as ``perception.image.normalise`` makes them.
            speed: (B, T) [m/s].
            dt: (B, T) [s] since the frame before; the nominal period where there was none.
            state: (B, N) neurons before the first frame; None = zero.
        """
        code = self.backbone.code(images.flatten(0, 1))
        return self.from_code(code.view(*images.shape[:2], -1), speed, dt, state)

    def from_code(self, code: Tensor, speed: Tensor, dt: Tensor, state: Tensor | None = None) -> StackOutput:
        """Drive through T frames whose ``code`` (B, T, C) the backbone has made already; the rest as ``forward``."""
        seen = self.backbone.heads(code.flatten(0, 1))
        features, lane, log_scale = (part.view(*code.shape[:2], -1) for part in seen)
        decided = self.policy(features, speed, dt, state)
        return StackOutput(
            acceleration=decided.acceleration,
            curvature=decided.curvature,
            lane=lane,
            lane_log_scale=log_scale,
            gains=decided.gains,
            features=features,
            neurons=decided.neurons,
            state=decided.neurons[:, -1],
        )

    def to_bundle(
        self,
        name: str,
        settings: Settings,
        mass_kg: float,
        training: dict[str, Any] | None = None,
        conformal: Sequence[float] = (),
        seen: Training | None = None,
    ) -> Bundle:
        """Pack the network.

        Raises:
            RobotError: the URDF says no mount of the camera.

        Args:
            name: of the model.
            settings: of the robot; the network's own are those that it was built with. Its camera, with the mount in
                its URDF, is the one that the network knows.
            mass_kg: of the robot, turns acceleration into force.
            training: record of how it was trained.
            conformal: (2 + K,) from ``perception.lane.conformal_factors``; empty = the lane's bounds are unknown.
            seen: the look of the training images, ``Training.of(backbone.signature(images))``; None = nothing is
                out of distribution.
        """
        arrays = {f"liquid.{key}": value.detach().numpy() for key, value in self.policy.state_dict().items()}
        if seen is not None:
            arrays |= {"outlier.mean": seen.mean.astype(np.float32), "outlier.whiten": seen.whiten.astype(np.float32)}
        weights = {key: value.detach().numpy() for key, value in self.backbone.state_dict().items()}
        return Bundle(
            name=name,
            robot=settings.vehicle.name,
            mass_kg=mass_kg,
            wiring=self.wiring.to_dict(),
            perception=self.perception,
            policy=self.policy.settings,
            arrays=arrays,
            backbone=export_backbone(weights, self.perception),
            conformal=tuple(float(factor) for factor in conformal),
            outlier_distance=0.0 if seen is None else seen.distance,
            camera=camera_view(settings, load_description(settings.vehicle.urdf)),
            training=training or {},
        )

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Stack:
        """The network of ``bundle``, to train on or to look into.

        Raises:
            BundleError: its arrays do not fit its wiring and settings.
        """
        try:
            stack = cls(bundle.perception, bundle.policy, Wiring.from_dict(bundle.wiring), 0)
            stack.policy.load_state_dict(_tensors(bundle.part("liquid")))
            stack.backbone.load_state_dict(_tensors(backbone_weights(bundle.backbone)))
        except (KeyError, ValueError, IndexError, TypeError, RuntimeError) as error:
            raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error
        return stack


def _tensors(arrays: dict[str, Any]) -> dict[str, Tensor]:
    return {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
