# SPDX-License-Identifier: Apache-2.0
"""One lifecycle node of a launch file: how it is started, and how it is started again after it died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE
from tidegate.security.access import enclave

GO_DOWN_S = "12"
"""How long a node may take to go down: the safety node brakes the car first, the others wait for it."""

ALL = {"namespace": LaunchConfiguration("namespace"), "output": "screen"}
LOG_LEVEL = ["--log-level", LaunchConfiguration("log_level")]


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the graph.

    Attributes:
        executable: also its name.
        own: its own parameters.
        own_clock: whether the simulator is the graph's own, so that its clock belongs into the namespace.
    """

    executable: str
    own: dict[str, Any]
    own_clock: bool

    def first(self) -> LifecycleNode:
        """The action that starts it."""
        return LifecycleNode(**self._options(self.own))

    def again(self) -> Node:
        """The action that starts it after it died. A safety node then waits for an operator, in the simulation too: why
        its last one died is not known, and the car may be anywhere."""
        kept = {name: value for name, value in self.own.items() if name != "auto_reset"}
        return Node(**self._options(kept))

    def _options(self, own: dict[str, Any]) -> dict[str, Any]:
        return {
            **_shared(self.executable),
            "name": self.executable,
            "parameters": [
                LaunchConfiguration("params_file"),
                {"use_sim_time": LaunchConfiguration("use_sim_time"), **own},
            ],
            "remappings": remappings(self.own_clock),
            "sigterm_timeout": GO_DOWN_S,
            "sigkill_timeout": GO_DOWN_S,
        }


def bystander(executable: str, **options: Any) -> Node:
    """A node without lifecycle; ``options`` of the action besides those that every node of the graph has."""
    return Node(**_shared(executable), **options)


def stranger(package: str, executable: str, **options: Any) -> Node:
    """A node of another package; ``options`` of the action besides those that every node of a launch file has."""
    return Node(package=package, executable=executable, **ALL, ros_arguments=LOG_LEVEL, **options)


def _shared(executable: str) -> dict[str, Any]:
    """Options of every node of the graph."""
    flags = [*LOG_LEVEL, "--enclave", enclave(executable)]
    return {"package": "tidegate", "executable": executable, "ros_arguments": flags, **ALL}


def remappings(own_clock: bool) -> list[tuple[str, str]]:
    """What puts the global topics into the namespace."""
    return [INSIDE, *([CLOCK_INSIDE] if own_clock else [])]
