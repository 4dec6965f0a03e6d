# SPDX-License-Identifier: Apache-2.0
"""An arm's policy: its camera, its network, and the scales between that and the tool."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings
from tidegate.settings.schema import setting

SIGHTS = 8
"""Values that a sight tells (``arm_stack.sight_scale``)."""


@dataclass(frozen=True, slots=True)
class ArmCameraSettings:
    """The camera of a policy: the network sees its pictures as they are."""

    rate_hz: float = setting(20.0, "Hz", "pictures per second, each of which the policy answers", low=1, high=120)
    width: int = setting(160, "px", "of a picture", low=16, high=1024)
    height: int = setting(112, "px", "of a picture", low=16, high=512)
    latency_s: float = setting(0.02, "s", "from a picture to the answer's being heard (simulated)", low=0, high=0.5)


@dataclass(frozen=True, slots=True)
class ToolScales:
    """Between an arm's policy and what it senses and asks for."""

    centre: tuple[float, ...] = setting((0.5, 0.0, 0.36), "m", "place that is zero to the sight", low=-10, high=10)
    place: float = setting(0.2, "m", "distance from there that is one to the sight", low=0.01, high=10)
    near: float = setting(0.05, "m", "distance from the tool that is one; of farther ones the logarithm", low=1e-3)
    far: float = setting(0.06, "m", "most by which what is seen draws the tool by itself", low=0, high=10)
    clear: float = setting(0.1, "m", "distance at which an obstacle is felt by one half", low=0.01, high=10)
    speed: float = setting(0.3, "m/s", "speed of the tool that is one", low=0.01, high=10)
    force: float = setting(10.0, "N", "force that is one", low=0.1, high=1e4)
    height: float = setting(0.05, "m", "height above the surface that is one, as is any beyond it", low=1e-3, high=10)


@dataclass(frozen=True, slots=True)
class ArmPolicySettings:
    """The network that asks for the tool's motion and force. All but ``dt_max_s`` is taken from a bundle once one is
    loaded: it was trained so."""

    cell: str = setting("ltc", "", "differential equation of the neurons", choices=("ltc", "cfc"))
    inter_neurons: int = setting(9, "1", "neurons that read features and senses", low=1, high=1000)
    command_neurons: int = setting(6, "1", "neurons that decide; four motor neurons follow", low=1, high=1000)
    dt_max_s: float = setting(
        0.5, "s", "a longer gap between pictures, or time going back by more, resets the state", low=0.01
    )
    tool: ToolScales = ToolScales()


def network_settings(camera: ArmCameraSettings, own: ArmPolicySettings) -> tuple[PerceptionSettings, PolicySettings]:
    """What shapes the convolutional and the liquid network of an arm's policy, as the car's code takes it."""
    perception = PerceptionSettings(
        crop_top=0.0, input_height=camera.height, input_width=camera.width, features=SIGHTS, preview_m=()
    )
    policy = PolicySettings(
        cell=own.cell,
        inter_neurons=own.inter_neurons,
        command_neurons=own.command_neurons,
        sensory_fanout=own.inter_neurons,
        inter_fanout=own.command_neurons,
        command_recurrent=own.command_neurons**2,
        motor_fanin=own.command_neurons,
        dt_max_s=own.dt_max_s,
        gain_names=(),
    )
    return perception, policy
