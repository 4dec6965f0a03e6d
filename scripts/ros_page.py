# SPDX-License-Identifier: Apache-2.0
"""Print the page docs/ros.md, from the real nodes: each is configured and activated, in real time and in lock-step."""

from __future__ import annotations

import inspect
import os
import random
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from tidegate.messages import TOPICS, camera_info, encode
from tidegate.messages.markers import Shape, encode_shapes
from tidegate.messages.rates import least_rates, stated_rates
from tidegate.middleware import FILES, VARIABLES
from tidegate.nodes.main import ENTRIES
from tidegate.nodes.parameters import ROS_OWN
from tidegate.nodes.player_node import PlayerNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.stack_node import StackNode
from tidegate.nodes.topics import GLOBAL, make
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.settings import Settings, entries, load_settings
from tidegate.simulation import Simulator

ROOT = Path(__file__).resolve().parents[1]
CONFIG, BUNDLE = ROOT / "config" / "car.yaml", ROOT / "models" / "car-ltc19"
BAG = ROOT / "tests" / "golden" / "road"
OF_ROS = ("rosout", "parameter_events")
TRANSITION = "transition_event"
SERVICES = {
    "stop": "brake to standstill and stay there",
    "reset": "leave STOPPED; refused, and said why in `/diagnostics`, while an input is not as it must be",
}
FOR_EVER = 10**18
"""Deadlines [ns] above this are none."""
MEANS = {
    "emergency_stop": "true = stop; what leads out is a reset",
    "effort_controller/commands": "`command` as an array in its order, for a forward_command_controller",
    "clock": "simulated time",
    "markers": "lane, stop, commands and verdict as shapes",
    "diagnostics": "state of the safety filter and its reasons; in which arithmetic the policy runs; perception's "
    "frames; recorder's counts and faults",
}
"""Topics whose messages are no records."""
WAYS = ("lock_step:=true", "dry_run:=true", "vehicle.output:=twist")
"""Parameters that change a node's topics: the first of each node in the graph, the others of the safety node."""
SENSED = {"camera/image_raw": "frame", "odom": "odometry", "imu": "imu", "points": "points"}
"""Topic → field of an observation."""
YOURS = "*yours*"
INTRODUCTION = """# ROS interface

Made by `make docs`: `scripts/ros_page.py` brings each node up and asks it. Topics, services and nodes are relative to
the namespace but for {absolute}. What the columns of a vector mean, which clock stamps are of, and how
replay is exact: [architecture.md](architecture.md). Rates are those of `config/car.yaml`; "at least" is what the safety
filter asks of a sensor. The recorder subscribes to every topic that somebody publishes, with the quality that is
offered.
"""
ARM = """With an arm's settings (`config/arm.yaml`) `simulator_node`, `perception_node`, `policy_node` and `safety_node`
are the arm's, by the same names, services and parameters; the second and third where a scene or `policy:=true` asks for
them, the others are not there. What is other than above, the rest in [arm.md](arm.md):
"""
OF_AN_ARM = (
    ("joint_states", "of the arm's joints; every period"),
    ("wrench", "what presses on the tool, in the tool's axes"),
    ("wrench_request", "how hard an arm's policy is to press: its size"),
    ("nominal", "torques that are asked for, by joint in `effort` [N·m], from the policy or a node of yours"),
    ("policy_node/inputs", "what the policy's answers are made of: joint states and wrench, or features and request"),
    ("safety_node/barriers", "wanted beside allowed torques by joint, in the place of force and curvature"),
)
LIFECYCLE = """All nodes but those that say so here are managed: `ros2 lifecycle set /safety_node configure`, then
`activate`; the launch files do it in order. A transition that fails says why in one line of the node's log. Going down,
by a transition or a signal, deactivates and cleans up first.
"""
PARAMETERS = """Besides these every node but recorder and player has all settings of the robot, by the same names:
[settings.md](settings.md); the recorder has `camera.topic` alone, in the place of what its `config` states. They
come from `--params-file`; an unknown name or a value out of range is refused when the node starts. They are read-only,
but for those that `ros2 param set` may change while a node runs, within what
`ros2 param describe` says: {live}. The nodes' own parameters above are read when a node is
configured (where it has no lifecycle, when it starts), and fixed after that. With ROS's own `use_sim_time` the safety
node ticks as `/clock` passes.
"""
MIDDLEWARE = """{cells}
Every node of the stack sets the variable for itself, and the launch files for whatever they start, unless you have set
it; the file is chosen by `RMW_IMPLEMENTATION`. **What other people's launch files start has not got it**: the shared
memory of an image is its publisher's, so the camera's driver needs the variable, set before it starts
([robot.md](robot.md), step 2). Why, in the files themselves. `tidegate doctor` reads what the running driver has.
"""
NAMESPACES = """`namespace:=left` moves nodes, topics and services below `/left`. The launch files and `tidegate run`
remap `/diagnostics` into it as well, and the `/clock` of a simulator of their own. Where the camera's driver publishes,
`camera.topic` of the settings says: who hears `camera/image_raw` and `camera/camera_info` above then hears them by the
names that they have there. Pictures under a name that ends in `/compressed` are `sensor_msgs/CompressedImage` (JPEG or
PNG). A node that is started by itself takes `--ros-args -r imu:=/imu/data`, as everywhere; the launch files do so
inside a `SetRemap`: [robot.md](robot.md), "Drivers with names of their own".
"""


@dataclass(slots=True)
class Seen:
    """What one node was seen to have: publishers and subscriptions by topic, in real time and in lock-step."""

    kind: type
    offered: dict[str, QoSProfile] = field(default_factory=dict)
    asked: dict[str, QoSProfile] = field(default_factory=dict)
    only_lock_step: set[str] = field(default_factory=set)
    lock_step_qos: set[tuple[str, str]] = field(default_factory=set)
    services: dict[str, str] = field(default_factory=dict)
    parameters: list[tuple[str, ...]] = field(default_factory=list)
    live: list[str] = field(default_factory=list)


def main() -> None:
    """Print the page."""
    print(page(), end="")


def page() -> str:
    """The page, of all executables."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 99))
    settings = load_settings(CONFIG)
    rclpy.init(args=["--ros-args", "--log-level", "fatal"], signal_handler_options=SignalHandlerOptions.NO)
    try:
        nodes = {executable: look(executable, settings) for executable in ENTRIES}
    finally:
        rclpy.try_shutdown()
    absolute = " and ".join(f"`/{name}`" for name in sorted(GLOBAL))
    parts = [
        INTRODUCTION.format(absolute=absolute),
        "## Nodes\n",
        diagram(nodes),
        "## Topics\n",
        topics(nodes, settings),
        lock_step(nodes),
        "## An arm\n",
        ARM,
        table(("topic", "type", "one message"), of_an_arm()),
        "## Frames\n",
        frames(settings),
        "## Services\n",
        services(nodes),
        "## Parameters\n",
        table(("node", "parameter", "type", "default", "meaning"), parameters(nodes)),
        PARAMETERS.format(live=live_ones(nodes)),
        "## Middleware\n",
        MIDDLEWARE.format(cells=middleware()),
        "## Lifecycle\n",
        LIFECYCLE,
        table(("node", "configure", "activate", "deactivate", "clean up"), lifecycle(nodes)),
        "## Namespaces\n",
        NAMESPACES,
    ]
    return "\n".join(parts)


def look(executable: str, settings: Settings) -> Seen:
    """Bring one node up in each way that changes its topics, and down again."""
    name = "".join(word.capitalize() for word in executable.split("_"))
    kind = getattr(import_module(f"tidegate.nodes.{executable}"), name)
    seen = Seen(kind)
    own = {item.name for item in getattr(kind, "OWN", ())}
    ways = ["", *(way for way in WAYS if way.partition(":")[0] in own or "dry_run" in own)]
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            values = {"bundle": str(BUNDLE), "path": f"{folder}/bag"}
            flags = [part for key, value in values.items() if key in own for part in ("-p", f"{key}:={value}")]
            flags += ["-p", way] if way else []
            if kind in (RecorderNode, PlayerNode):
                flags = ["-p", f"path:={values['path']}", "-p", f"bag:={BAG}"]
            node = kind(["--ros-args", "--params-file", str(CONFIG), *flags])
            if isinstance(node, ViewerNode):
                node.listen()
            if isinstance(node, LifecycleNode):
                node.trigger_configure()
                node.trigger_activate()
            note(seen, node, settings, lock_step=way.startswith("lock_step"))
            node.close()
            node.destroy_node()
    return seen


def note(seen: Seen, node: Any, settings: Settings, *, lock_step: bool) -> None:
    """Write down what ``node`` has."""
    for there, found in ((seen.offered, node.publishers), (seen.asked, node.subscriptions)):
        for endpoint in found:
            topic = endpoint.topic_name.removeprefix("/")
            if topic in OF_ROS or topic.endswith(TRANSITION):
                continue
            if not lock_step:
                there[topic] = endpoint.qos_profile
            else:
                if topic not in there:
                    seen.only_lock_step.add(topic)
                there.setdefault(topic, endpoint.qos_profile)
                seen.lock_step_qos.add((topic, quality(endpoint.qos_profile)))
    if seen.services:
        return
    seen.services = {service.srv_name: service.srv_type for service in node.services}
    known = {entry.key for entry in entries(settings)}
    for name, parameter in sorted(node.get_parameters_by_prefix("").items()):
        if name not in known and name.partition(".")[0] not in ROS_OWN:
            default = "" if isinstance(parameter.value, str) and "/" in parameter.value else parameter.value
            told = node.describe_parameter(name).description
            seen.parameters.append((f"`{name}`", type(parameter.value).__name__, str(default), told))
        elif name in known and not node.describe_parameter(name).read_only:
            seen.live.append(name)


def quality(profile: QoSProfile) -> str:
    """``reliable, depth 10`` and so on."""
    words = ["best effort" if profile.reliability == ReliabilityPolicy.BEST_EFFORT else "reliable"]
    words += ["transient local"] if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL else []
    words += [f"depth {profile.depth}"]
    deadline = profile.deadline.nanoseconds
    words += [f"deadline {deadline / 1e6:g} ms, lease of liveliness"] if 0 < deadline < FOR_EVER else []
    return ", ".join(words)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def first_line(documented: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(documented) or "").partition("\n")[0].replace("``", "`")


def shown(topic: str) -> str:
    """The name of a topic, as nodes without a namespace have it."""
    return f"`{'/' if topic in GLOBAL else ''}{topic}`"


def ends(nodes: dict[str, Seen], topic: str, side: str) -> list[str]:
    """The nodes that publish (``offered``) or subscribe to (``asked``) ``topic``."""
    return [name for name, seen in nodes.items() if topic in getattr(seen, side)]


def diagram(nodes: dict[str, Seen]) -> str:
    """Who talks to whom in real time; what the simulator publishes, a robot's drivers do."""
    lines = ["```mermaid", "flowchart LR"]
    for source, seen in nodes.items():
        for sink, other in nodes.items():
            shared = sorted(
                topic for topic in seen.offered if topic in other.asked and topic not in seen.only_lock_step
            )
            if shared and source != sink:
                lines.append(f'  {source} -- "{"<br>".join(shared)}" --> {sink}')
    rows = [(f"`{name}`", first_line(seen.kind)) for name, seen in nodes.items()]
    return "\n".join([*lines, "```", "", table(("node", "what it does"), rows)])


def topics(nodes: dict[str, Seen], settings: Settings) -> str:
    """All topics of the graph."""
    rates, least = stated_rates(settings), least_rates(settings)
    rows = []
    for name, topic in TOPICS.items():
        sources, sinks = ends(nodes, name, "offered"), ends(nodes, name, "asked")
        if not sources and not sinks:
            continue
        offered = {quality(nodes[one].offered[name]) for one in sources}
        asked = {quality(nodes[one].asked[name]) for one in sinks}
        rate = f"{rates[name]:g} Hz" if name in rates else f"at least {least[name]:g} Hz" if name in least else ""
        in_lock_step = any(name in nodes[one].only_lock_step for one in (*sources, *sinks))
        rows.append(
            (
                shown(name) + (" (lock-step)" if in_lock_step else ""),
                topic.type.replace("/msg/", "/"),
                ", ".join(sources) or YOURS,
                ", ".join(sinks) or "whoever looks",
                "; ".join(sorted(offered)),
                "; ".join(sorted(asked)),
                rate,
                first_line(topic.record) if topic.record not in (None, bool) else MEANS[name],
            )
        )
    return table(("topic", "type", "from", "to", "offered", "asked for", "rate", "one message"), rows)


def of_an_arm() -> list[tuple[str, ...]]:
    """Topics whose messages are others with an arm."""
    return [(shown(name), TOPICS[name].type.replace("/msg/", "/"), told) for name, told in OF_AN_ARM]


def lock_step(nodes: dict[str, Seen]) -> str:
    """The qualities of service in lock-step, by quality."""
    by_quality: dict[str, set[str]] = {}
    for seen in nodes.values():
        for topic, told in seen.lock_step_qos:
            by_quality.setdefault(told, set()).add(topic)
    most = max(by_quality, key=lambda told: len(by_quality[told]))
    others = [
        f"{told}: " + ", ".join(map(shown, sorted(names))) for told, names in sorted(by_quality.items()) if told != most
    ]
    return f"In lock-step whatever is offered and asked for is {most}; but " + "; ".join(others) + ".\n"


def frames(settings: Settings) -> str:
    """The frame in the header of what has one, read off messages of the embedded world."""
    simulator, seen = Simulator(settings), dict.fromkeys(SENSED)
    while not all(seen.values()):  # a frame comes when its exposure is over
        observation = simulator.observe()
        seen.update({topic: getattr(observation, field) or seen[topic] for topic, field in SENSED.items()})
        simulator.step()
    simulator.close()
    seen["camera/camera_info"] = camera_info(0, settings.camera)
    messages = {topic: encode(record, make) for topic, record in seen.items()}
    messages["saliency"] = messages["camera/image_raw"]  # the same frame, drawn on
    shape = Shape("any", "any", "text", np.zeros((1, 3)), (1, 1, 1, 1), 1.0)
    (messages["markers"],) = encode_shapes(0, [shape], make).markers
    rows = [(f"`{topic}`", f"`{message.header.frame_id}`") for topic, message in messages.items()]
    return table(("topic", "`header.frame_id`"), rows)


def services(nodes: dict[str, Seen]) -> str:
    """The services that are ours."""
    rows = []
    for node, seen in nodes.items():
        for name, kind in seen.services.items():
            if name.startswith("~/") and not name.startswith("~/_") and kind.__module__.startswith("std_srvs"):
                full = name.replace("~", node)
                rows.append((f"`{full}`", f"{kind.__module__.partition('.')[0]}/{kind.__name__}", SERVICES[name[2:]]))
    return table(("service", "type", "what it does"), rows)


def parameters(nodes: dict[str, Seen]) -> list[tuple[str, ...]]:
    """The nodes' own parameters."""
    return [(f"`{node}`", *row) for node, seen in nodes.items() for row in seen.parameters]


def live_ones(nodes: dict[str, Seen]) -> str:
    """The settings that may change at run time, by node."""
    told = {node: ", ".join(f"`{name}`" for name in seen.live) for node, seen in nodes.items() if seen.live}
    return "; ".join(f"of `{node}` {names}" for node, names in told.items())


def middleware() -> str:
    """Which profile is told by which variable."""
    rows = [(f"`{rmw}`", f"`{file}`", ", ".join(f"`{name}`" for name in VARIABLES[rmw])) for rmw, file in FILES.items()]
    return table(("middleware", "profile", "told by"), rows)


def lifecycle(nodes: dict[str, Seen]) -> list[tuple[str, ...]]:
    """What each transition does, as the nodes' own methods say."""
    rows = []
    for node, seen in nodes.items():
        if issubclass(seen.kind, LifecycleNode):
            steps = [getattr(seen.kind, step) for step in ("build", "start", "stop", "drop")]
            told = ("Stop listening." if step is StackNode.stop else first_line(step) for step in steps)
            rows.append((f"`{node}`", *told))
        else:
            rows.append((f"`{node}`", "no lifecycle", "", "", ""))
    return rows


if __name__ == "__main__":
    main()
