# SPDX-License-Identifier: Apache-2.0
"""The embedded MuJoCo world (only home of ``mujoco``): roads by seed, scenes, sensors, truth, and an expert driver."""

from tidegate.simulation import adversarial as _adversarial
from tidegate.simulation.expert import Expert
from tidegate.simulation.restage import Change
from tidegate.simulation.scene import SCENES, Scene
from tidegate.simulation.simulator import EPOCH, Observation, Simulator
from tidegate.simulation.truth import Truth

__all__ = ["EPOCH", "SCENES", "Change", "Expert", "Observation", "Scene", "Simulator", "Truth"]

del _adversarial  # imported because it registers its scenes
