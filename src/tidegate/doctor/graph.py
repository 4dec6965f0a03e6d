# SPDX-License-Identifier: Apache-2.0
"""The running graph against settings and robot description."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tidegate.bundle import Bundle
from tidegate.doctor.facts import GraphFacts, TopicFacts
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.doctor.mount import check_mount
from tidegate.errors import ImageError
from tidegate.messages import LENS, PICTURES, SUFFIX, type_on
from tidegate.messages.graph import GRAPH, SENSORS
from tidegate.messages.rates import (
    EVERY_OUTPUT,
    FROM_FRAME,
    FROM_TICK,
    OUTPUTS,
    SLOW,
    TRUSTED,
    least_rates,
    stated_rates,
)
from tidegate.perception.lens import Lens
from tidegate.perception.rectify import Rectifier
from tidegate.records import CameraInfo, JointStates, Points
from tidegate.robot import Car, camera_view
from tidegate.robot.control import CONTROLLER
from tidegate.settings import Settings

STACK = ("perception_node", "policy_node", "safety_node")
OWN = (*FROM_FRAME, *FROM_TICK, *EVERY_OUTPUT)
MAKES = {topic: node for node in STACK for topic in GRAPH[node].publishes if topic in OWN}
"""Topic → the node of the stack that publishes it."""
OBEY = {
    "effort": "start the controller that listens to effort_controller/commands (ros2 control list_controllers)",
    "twist": "start the drive-by-wire driver that listens to cmd_vel or motion_request, or remap them to its names",
}
"""What to do where nobody obeys, by ``vehicle.output``."""
STOP = "emergency_stop"
BARE = ("effort_controller/commands", STOP)
"""Without a header, so that no rate is told; the array comes with each ``command``."""
WATCHED = (*SENSORS, *OWN, STOP)
"""Every topic that is looked at."""
LOOKED_AT = (LENS, "neurons", "safety_node/barriers", "safety_node/inputs")
"""Topics that the car drives without; a camera that says nothing of itself is taken for the stated one."""
FAST = 1.2
"""Share of the stated rate above which it is another rate, as it is below ``SLOW``."""
VIEW_DEG = 1.0
"""Error of the view that is told of: at 20 m it puts the lane 0.35 m aside."""
FUTURE_S = 0.05
"""Stamps may be ahead of the clock by this: two machines that are synchronised by NTP."""


def check_graph(graph: GraphFacts, settings: Settings, car: Car, bundle: Bundle | None = None) -> Iterator[Finding]:
    """Everything that can be seen from outside; ``bundle`` is the one that drives, None = not known."""
    if not graph.nodes:
        yield _nobody(graph)
        return
    place = f"in {graph.namespace} " if graph.namespace.strip("/") else ""
    yield ok("graph", f"{len(graph.nodes)} nodes {place}in domain {graph.domain}")
    yield from _lifecycle(graph)
    for topic in SENSORS:
        yield from _sensor(topic, graph, settings)
    yield from _lens(graph.topics.get(LENS, TopicFacts()), settings, car, bundle)
    for topic in (*FROM_FRAME, *FROM_TICK, *OUTPUTS[settings.vehicle.output]):
        if graph.states.get(MAKES[topic]) == "active":
            yield from _own(topic, graph, settings)
    yield from _stop_chain(graph.topics.get(STOP, TopicFacts()), settings)
    for topic in WATCHED:
        yield from _quality(topic, graph.topics.get(topic, TopicFacts()))
    yield from check_mount(*(graph.topics.get(topic, TopicFacts()).course for topic in ("lane", "odom")))
    yield from _joints(graph.topics.get("joint_states", TopicFacts()), car)
    yield from _masters(graph, settings.vehicle.output)
    yield from _controller(graph, car)


def _nobody(graph: GraphFacts) -> Finding:
    elsewhere = sorted(graph.elsewhere - {graph.domain})
    if elsewhere:
        said = f"nobody else in domain {graph.domain}; nodes of tidegate run here in domain {', '.join(elsewhere)}"
        return fail("graph", said, f"export ROS_DOMAIN_ID={elsewhere[0]}")
    remedy = "start the robot's drivers, and give all nodes the same ROS_DOMAIN_ID, discovery range and network"
    return fail("graph", f"nobody else in domain {graph.domain}", remedy)


def _lifecycle(graph: GraphFacts) -> Iterator[Finding]:
    if not any(name in graph.states for name in STACK):
        remedy = "ros2 launch tidegate robot.launch.py robot:=car (or tidegate run --hardware)"
        yield warn("nodes", "the stack is not up: only the robot's own topics were looked at", remedy)
        return
    for name in (*STACK, *sorted(set(graph.states) - set(STACK))):
        state, full = graph.states.get(name), f"{graph.namespace.rstrip('/')}/{name}"
        if state == "active":
            yield ok(name, "active")
        elif state is None:
            yield fail(name, "is not there", f"its log says why it ended; start it again: ros2 run tidegate {name}")
        elif not state:
            yield fail(name, "does not answer", "end it and start the graph anew; its log says what it was doing")
        else:
            step = "configure {0} && ros2 lifecycle set {0} activate" if state == "unconfigured" else "activate"
            remedy = f"ros2 lifecycle set {full} {step.format(full)}; if that fails, the node's log says why"
            yield fail(name, f"is {state}, not active", remedy)


def _sensor(topic: str, graph: GraphFacts, settings: Settings) -> Iterator[Finding]:
    facts, unneeded = graph.topics.get(topic, TopicFacts()), topic in LOOKED_AT
    kind = type_on(topic, facts.name)
    if not facts.publishers:
        nobody = f"nobody publishes {facts.name or 'it'}"
        seen = f"{nobody}: the camera's intrinsics cannot be compared with the settings" if unneeded else nobody
        named = _told_pictures(graph) if topic == PICTURES else f"remap the driver's topic to '{topic}' (type {kind})"
        yield (warn if unneeded else fail)(topic, seen, f"start its driver, or {named}")
        return
    if facts.types != (kind,):
        said = f"{facts.name} is {', '.join(facts.types)}; it must be {kind}".lstrip()
        ends = f"; compressed pictures are on a topic that ends in {SUFFIX}" if topic == PICTURES else ""
        yield fail(topic, said, f"remap it to the topic of that type, or convert it{ends}")
        return
    if not facts.count:
        who = ", ".join(facts.publishers)
        yield fail(topic, f"{who} publishes nothing", f"look at the log of {who}; is its sensor connected?")
        return
    wrong = [*_rate(topic, facts, settings), *_clock(topic, facts, settings), *_content(topic, facts, settings)]
    source = f" ({facts.name})" if facts.name else ""
    yield from wrong or [ok(topic, f"{facts.rate_hz:.1f} Hz, {1e3 * facts.behind_s:.0f} ms behind the clock{source}")]


def _told_pictures(graph: GraphFacts) -> str:
    """How the camera's topic is told, and what there is."""
    there = ", ".join(f"{name} ({kind})" for name, kind in sorted(graph.pictures.items()))
    return f"let camera.topic of the settings name where it publishes; topics of pictures: {there or 'none'}"


def _own(topic: str, graph: GraphFacts, settings: Settings) -> Iterator[Finding]:
    """A topic of the stack, whose node is active."""
    facts = graph.topics.get(topic, TopicFacts())
    if not facts.count:
        remedy = f"its inputs are missing or not usable: see the lines above, and the log of {MAKES[topic]}"
        yield fail(topic, "is silent though its node is active", remedy)
        return
    yield from list(_rate(topic, facts, settings)) or [
        ok(topic, "alive" if topic in BARE else f"{facts.rate_hz:.1f} Hz")
    ]


def _stop_chain(facts: TopicFacts, settings: Settings) -> Iterator[Finding]:
    """The chain of emergency stops, where the settings want it to speak all the time."""
    oldest = settings.safety.emergency_stop_timeout_s
    if oldest > 0:
        silent = "says nothing" if facts.publishers else "nobody publishes it"
        mend = f"close the chain and start its driver: it must say false more often than every {oldest:g} s"
        heard = ok(STOP, f"{', '.join(facts.publishers)} speaks")
        yield heard if facts.count else fail(STOP, f"{silent}; the car stays STOPPED", mend)


def _rate(topic: str, facts: TopicFacts, settings: Settings) -> Iterator[Finding]:
    if topic in BARE:
        return
    stated = stated_rates(settings).get(topic)
    lowest = least_rates(settings).get(topic, 0.0)
    came = "a single message came" if math.isnan(facts.rate_hz) else f"{facts.rate_hz:.1f} Hz"
    source = ", ".join(facts.publishers)
    if topic not in LOOKED_AT and not facts.rate_hz >= lowest:
        said = f"{came}; below {lowest:.1f} Hz it counts as late"
        yield fail(topic, said, f"raise the rate of {source}, or free its processor and network")
    elif stated is not None and not SLOW * stated <= facts.rate_hz <= FAST * stated:
        said = f"{came}; the settings state {stated:g} Hz"
        yield warn(topic, said, f"set {source} to {stated:g} Hz, or state its rate in the settings (and train for it)")


def _clock(topic: str, facts: TopicFacts, settings: Settings) -> Iterator[Finding]:
    safety = settings.safety
    known = {"points": safety.range_timeout_s, **dict.fromkeys(TRUSTED, safety.trusted_timeout_s)}
    oldest = known.get(topic, safety.camera_timeout_s)
    mend = "synchronise the clocks of both machines (chrony), and let the driver stamp with the time of measurement"
    if math.isnan(facts.behind_s):
        return
    if facts.behind_s > oldest:
        said = f"stamps are {facts.behind_s:.2f} s behind the clock; older than {oldest:g} s is late"
        yield fail(topic, said, mend)
    elif facts.behind_s < -oldest:
        yield fail(topic, f"stamps are {-facts.behind_s:.2f} s ahead of the clock", mend)
    elif facts.behind_s < -FUTURE_S:
        yield warn(topic, f"stamps are {-facts.behind_s:.2f} s ahead of the clock", mend)


def _content(topic: str, facts: TopicFacts, settings: Settings) -> Iterator[Finding]:
    camera = settings.camera
    size = f"{camera.width} × {camera.height} px"
    if facts.fault:
        yield fail(topic, facts.fault, "set the driver to what the topic needs (docs/architecture.md)")
    elif topic == PICTURES:
        height, width = facts.record.image.shape[:2]
        if (height, width) != (camera.height, camera.width):
            remedy = "set the driver to that size, or resize with image_proc; a bundle is trained for one camera"
            yield fail(topic, f"images have {width} × {height} px; the settings state {size}", remedy)
    elif isinstance(facts.record, Points) and len(facts.record.ring):
        low, high, planes = facts.record.ring.min(), facts.record.ring.max(), len(settings.ranging.elevation_deg)
        if not 0 <= low <= high < planes:
            remedy = (
                "state the elevation of every plane of the sensor in ranging.elevation_deg, in the order of its rings"
            )
            yield fail(
                topic, f"has rings {low} to {high}; the settings state {planes} planes, 0 to {planes - 1}", remedy
            )


def _lens(facts: TopicFacts, settings: Settings, car: Car, bundle: Bundle | None) -> Iterator[Finding]:
    """What the camera says of itself, against the settings, and against the camera that the network knows."""
    info, camera = facts.record, settings.camera
    if not isinstance(info, CameraInfo):
        return
    remedy = "calibrate the camera (camera_calibration), and state its camera.width, height and fov_deg"
    if not info.k.any():
        yield warn(LENS, "the camera is not calibrated (K is zero): camera.fov_deg counts, without distortion", remedy)
        return
    own = camera_view(settings, car.description)
    view = own if bundle is None or bundle.camera is None else bundle.camera
    try:
        lens = Lens.of(info)
        if (lens.width, lens.height) != (camera.width, camera.height):
            said = f"is of {lens.width} × {lens.height} px; the settings state {camera.width} × {camera.height} px"
            yield fail(LENS, said, remedy)
            return
        fit = Rectifier(view, own.rpy, lens, settings.perception if bundle is None else bundle.perception)
    except ImageError as error:
        yield fail(LENS, str(error), remedy)
        return
    if fit.needed:
        said = f"pictures are rectified: mount turned by {fit.turned_deg:.1f}°, {fit.missing:.0%} of the view missing"
        yield ok("camera", said)
    sees = 2 * math.degrees(math.atan(lens.height / 2 / float(lens.k[1, 1])))
    if abs(sees - camera.fov_deg) > VIEW_DEG:
        said = f"sees {sees:.1f}° from top to bottom; the settings state camera.fov_deg {camera.fov_deg:g}"
        yield warn(LENS, f"{said}. Perception goes by the former", f"if that is right, state it; else {remedy}")


def _quality(topic: str, facts: TopicFacts) -> Iterator[Finding]:
    for pair in facts.mismatched:
        remedy = "publish reliable and volatile (it serves everybody), or ask for best effort"
        yield fail(f"{topic} quality", f"{pair}: no message passes", remedy)


def _joints(facts: TopicFacts, car: Car) -> Iterator[Finding]:
    joints = facts.record
    if not isinstance(joints, JointStates):
        return
    names = ", ".join(car.joint_names)
    remedy = f"let joint_state_broadcaster publish {names} with position and velocity, named as in the URDF"
    missing = [name for name in car.joint_names if name not in joints.names]
    if missing:
        has = ", ".join(joints.names) or "none"
        yield fail("joints", f"joint_states lacks {', '.join(missing)}; it has {has}", remedy)
        return
    for column in ("position", "velocity"):
        values = getattr(joints, column)
        silent = [name for name in car.joint_names if not math.isfinite(values[joints.names.index(name)])]
        if silent:
            yield fail("joints", f"joint_states has no {column} of {', '.join(silent)}", remedy)
            return
    yield ok("joints", f"all {len(car.joint_names)} of the URDF, with position and velocity")


def _masters(graph: GraphFacts, output: str) -> Iterator[Finding]:
    """Two masters of one actuator is the one thing never wanted."""
    own = f"{graph.namespace.rstrip('/')}/safety_node"
    up = graph.states.get("safety_node") == "active"
    heard = False
    for topic in ("command", *OUTPUTS[output]):
        facts = graph.topics.get(topic, TopicFacts())
        heard = heard or bool(facts.subscribers)
        rivals = sorted(set(facts.publishers) - {own})
        if rivals:
            yield fail(
                topic, f"is published by {', '.join(rivals)} too", f"end {', '.join(rivals)}, or remap its output"
            )
        elif facts.publishers.count(own) > 1:
            yield fail(topic, f"is published by {own} twice", "end one of the two graphs, or give it a namespace")
    if up and not heard:
        yield fail("actuators", "nobody listens to the commands", OBEY[output])
    elif up:
        yield ok("actuators", "one master, and somebody obeys")


def _controller(graph: GraphFacts, car: Car) -> Iterator[Finding]:
    """Its array has no names: with two joints swapped, brake torque goes to the steering."""
    if graph.controlled is None:
        return
    if graph.controlled == car.joint_names:
        yield ok(CONTROLLER, "drives the joints in the stack's order")
        return
    drives, order = ", ".join(graph.controlled) or "no joints", ", ".join(car.joint_names)
    remedy = f"let its parameter 'joints' be {order} (config/controllers.yaml), and load it anew"
    yield fail(CONTROLLER, f"drives {drives}; the stack's order is {order}", remedy)
