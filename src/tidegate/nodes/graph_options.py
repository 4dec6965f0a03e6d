# SPDX-License-Identifier: Apache-2.0
"""What of the node graph to bring up, and with which parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tidegate.messages.graph import LIFECYCLE
from tidegate.nodes.topics import OUR_NAMES
from tidegate.settings.kind import robot_kind
from tidegate.share import share_path


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """What to bring up.

    Attributes:
        bundle: folder of the model; None = an arm's user has a node that asks for torques.
        params_file: the robot's settings, a ROS parameter file.
        scene, seed: of the simulated world; an empty scene is a car's first, an arm's surface.
        simulate: start the simulator; without it the sensors come from a robot.
        lock_step: the simulator's ticks drive the graph; else real time, or slower if the machine is.
        record: folder of the bag to make; None = no bag.
        namespace: of all nodes.
        disable: parts to switch off, for evaluation.
        auto_reset: release the car after bring-up.
        dry_run: publish everything but what the actuators listen to.
    """

    bundle: Path | None
    params_file: Path
    scene: str = ""
    seed: int = 0
    simulate: bool = True
    lock_step: bool = False
    record: Path | None = None
    namespace: str = ""
    disable: tuple[str, ...] = ()
    auto_reset: bool = True
    dry_run: bool = False

    def parameters(self) -> dict[str, dict[str, object]]:
        """The own parameters of each node to start, in the order of bring-up."""
        lock_step, bundle = {"lock_step": self.lock_step}, {"bundle": str(self.bundle)}
        arm = robot_kind(self.params_file) == "arm"
        nodes: dict[str, dict[str, object]] = {
            "simulator_node": {"scene": self.scene, "seed": self.seed, **lock_step},
            "perception_node": {**bundle, **lock_step, **(OUR_NAMES if self.simulate and not arm else {})},
            "policy_node": {**bundle, **lock_step},
            "safety_node": {
                **lock_step,
                "use_sim_time": self.simulate,
                "auto_reset": self.auto_reset,
                "disable": ",".join(self.disable),
                "dry_run": self.dry_run,
            },
        }
        absent = {"perception_node", "policy_node"} if self.bundle is None else set()
        absent |= set() if self.simulate else {"simulator_node"}
        return {name: nodes[name] for name in LIFECYCLE if name not in absent}


def robot_file(robot: str) -> Path:
    """The settings file of a robot that is shipped.

    Raises:
        SettingsError: there is none.
    """
    return share_path(f"config/{robot}.yaml")
