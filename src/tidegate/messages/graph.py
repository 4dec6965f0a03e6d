# SPDX-License-Identifier: Apache-2.0
"""Who says, hears, serves and calls what: the node graph as a table."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.messages.rates import EVERY_OUTPUT, FROM_FRAME, FROM_TICK, TRUSTED
from tidegate.messages.topics import TOPICS

SENSORS = ("camera/image_raw", "camera/camera_info", *TRUSTED, "points")
OF_ARMS = ("wrench", "wrench_request")
"""What only an arm is told: what presses on its tool, how hard to press. It has ``joint_states`` and a camera too."""
GLOBAL = ("clock", "diagnostics")
"""Topics that the rest of ROS expects outside any namespace."""
SIMULATED = ("clock", "tick", "truth", "timing/rendered")
"""Topics that only a simulator publishes."""
LIFECYCLE = ("simulator_node", "perception_node", "policy_node", "safety_node")
"""Sources first: whoever comes up finds what it listens to."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Topics and services of one node, by relative name, beyond what every ROS node and every lifecycle node has.

    ``onlooker``: a node without log and parameter services.
    """

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    onlooker: bool = False


GRAPH: dict[str, Interface] = {
    "perception_node": Interface(
        ("features", "lane", "health", "diagnostics"), ("camera/image_raw", "camera/camera_info")
    ),
    "policy_node": Interface(
        ("nominal", "gains", "neurons", "policy_node/inputs", "diagnostics"),
        ("features", "odom", "joint_states", *OF_ARMS),
    ),
    "safety_node": Interface(
        (*FROM_TICK, *EVERY_OUTPUT, "safety_node/would_command", "timing/commanded", "diagnostics"),
        (*TRUSTED, "points", "nominal", "gains", "lane", "health", "manual", "emergency_stop", "tick"),
        serves=("safety_node/stop", "safety_node/reset"),
    ),
    "simulator_node": Interface((*SENSORS, *OF_ARMS, *SIMULATED), ("command",)),
    "recorder_node": Interface(("diagnostics",), tuple(topic.name for topic in TOPICS.values() if topic.recorded)),
    "player_node": Interface((*SENSORS, "manual", "emergency_stop", "clock")),
    "joystick_node": Interface(("manual",), ("joy",), calls=("safety_node/stop", "safety_node/reset")),
    "markers_node": Interface(("markers",), ("odom", "health", "lane", "safety_node/barriers")),
    "saliency_node": Interface(("saliency",), ("camera/image_raw", "camera/camera_info")),
    "tidegate_run": Interface(
        subscribes=("safety_node/barriers", "timing/commanded", "timing/rendered", "truth"),
        calls=tuple(f"{node}/{service}" for node in LIFECYCLE for service in ("change_state", "get_state")),
    ),
    "tidegate_doctor": Interface(
        subscribes=(*SENSORS, *FROM_FRAME, *FROM_TICK, *EVERY_OUTPUT, "emergency_stop", "clock"),
        calls=(*(f"{node}/get_state" for node in LIFECYCLE), "effort_controller/get_parameters"),
        onlooker=True,
    ),
    "tidegate_watch": Interface(
        subscribes=(
            *("camera/camera_info", *TRUSTED, "points", *FROM_FRAME, *FROM_TICK, *EVERY_OUTPUT),
            *("manual", "emergency_stop", "clock", "diagnostics"),
        ),
        onlooker=True,
    ),
    "launch_ros": Interface(
        ("diagnostics",),
        subscribes=tuple(f"{node}/transition_event" for node in LIFECYCLE),
        calls=tuple(f"{node}/{service}" for node in LIFECYCLE for service in ("change_state", "get_state")),
    ),
}
"""The nodes of the stack, then those that bring it up and watch it; ``launch_ros`` is ``ros2 launch`` itself."""
