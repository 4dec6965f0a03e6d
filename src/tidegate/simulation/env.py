# SPDX-License-Identifier: Apache-2.0
"""The world as a Gymnasium environment, without ROS: one step per camera frame."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Command
from tidegate.robot import Actuation
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path
from tidegate.simulation.simulator import Observation, Simulator

Observed = dict[str, NDArray[Any]]


class RoadEnv(gymnasium.Env[Observed, NDArray[np.float32]]):  # type: ignore[misc]  # Gymnasium is not followed
    """Drive along a procedural road.

    Observation: ``image`` (H, W, 3) uint8; ``motion`` (2,) = speed [m/s] and yaw rate [rad/s] as odometry has them.
    Action (2,) in [−1, 1]: acceleration and path curvature in units of ``policy.acceleration_scale`` [m/s²] and
    ``policy.curvature_scale`` [1/m]. Reward: metres of lane gained, less the squared offset from its centre.
    An episode ends off the road, in a contact, or (truncated) at the goal or after ``max_steps``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  (Gymnasium's own convention)

    def __init__(
        self,
        settings: Settings | None = None,
        scene: str = "road",
        *,
        max_steps: int = 4000,
        render_mode: str | None = None,
    ) -> None:
        self.settings = settings or load_settings(share_path("config/car.yaml"))
        self.scene, self.max_steps, self.render_mode = scene, max_steps, render_mode
        camera = self.settings.camera
        self.observation_space = gymnasium.spaces.Dict(
            {
                "image": gymnasium.spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8),
                "motion": gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
            }
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._simulator: Simulator | None = None

    @property
    def simulator(self) -> Simulator:
        """The world of this episode.

        Raises:
            RuntimeError: before the first ``reset``.
        """
        if self._simulator is None:
            raise RuntimeError("call reset() before step()")
        return self._simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Start on the road of ``seed``; without one, on a new road each time."""
        super().reset(seed=seed)
        chosen = seed if seed is not None else int(self.np_random.integers(2**31))
        self.close()
        self._simulator = Simulator(self.settings, self.scene, chosen)
        self._actuation = Actuation(self._simulator.car, 1 / self.settings.safety.rate_hz)
        self._steps = 0
        seen = self._until_frame(0.0, 0.0)
        return seen, self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Hold the action until the next camera frame."""
        simulator, policy = self.simulator, self.settings.policy
        before = simulator.truth()
        force = float(action[0]) * policy.acceleration_scale * simulator.car.effective_mass
        seen = self._until_frame(force, float(action[1]) * policy.curvature_scale)
        truth = simulator.truth()
        self._steps += 1
        reward = truth.distance - before.distance - 0.1 * truth.offset**2
        ended = truth.wheels_off or truth.contacts > 0
        return seen, float(reward), ended, truth.reached or self._steps >= self.max_steps, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The newest camera picture."""
        return self._image if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Release the graphics context."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def _until_frame(self, force: float, curvature: float) -> Observed:
        """Advance tick by tick to the next frame; a camera that is lost delivers black ones at its rate."""
        simulator, camera = self.simulator, self.settings.camera
        for _ in range(round(self.settings.safety.rate_hz / camera.rate_hz)):
            observation = simulator.observe()
            efforts = self._actuation.efforts(force, curvature, observation.joints, simulator.now)
            simulator.apply(Command(simulator.now, simulator.car.joint_names, efforts))
            simulator.step()
            observation = simulator.observe()
            if observation.frame is not None:
                self._image = observation.frame.image
                return self._seen(observation)
        self._image = np.zeros((camera.height, camera.width, 3), np.uint8)
        return self._seen(simulator.observe())

    def _seen(self, observation: Observation) -> Observed:
        motion = np.array([observation.odometry.speed, observation.odometry.yaw_rate], np.float32)
        return {"image": self._image, "motion": motion}

    def _info(self) -> dict[str, Any]:
        truth = self.simulator.truth()
        return {"distance_m": truth.distance, "offset_m": truth.offset, "gap_m": truth.gap, "contacts": truth.contacts}
