# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy against live graphs: what real nodes have is allowed, and nothing else is."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import rclpy
from plant import CAR_YAML
from rclpy.executors import Executor
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from tidegate.messages import TOPICS
from tidegate.messages.graph import SIMULATED
from tidegate.nodes.bringup import Graph, GraphOptions
from tidegate.nodes.examine import examine
from tidegate.nodes.markers_node import MarkersNode
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.run_graph import Watch
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.saliency_node import SaliencyNode
from tidegate.nodes.simulator_node import SimulatorNode
from tidegate.nodes.topics import message_class, offered_qos, ros_name
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.nodes.watching import watching
from tidegate.security.access import access_policy
from tidegate.share import share_path

Rights = dict[str, set[str]]
KINDS = ("publish", "subscribe", "reply", "request")
DRY, EFFORT, BY_WIRE = {"/safety_node/would_command"}, {"/effort_controller/commands"}, {"/cmd_vel", "/motion_request"}
"""What only a dry run publishes, and what goes to the actuators besides ``command``, by ``vehicle.output``."""
PATIENCE_S = 30.0


def rights(policy: str) -> dict[str, Rights]:
    """Full names by right, by enclave: read by the rules of the SROS 2 design, not by our code."""
    found = {}
    for place in ElementTree.fromstring(policy).iter("enclave"):
        (profile,) = place.iter("profile")
        space, node = profile.attrib["ns"].rstrip("/"), profile.attrib["node"]
        allowed: Rights = {kind: set() for kind in KINDS}
        for listed in profile:
            ((right, verdict),) = listed.attrib.items()
            assert verdict == "ALLOW"
            for name in (item.text or "" for item in listed):
                own = f"{space}/{node}{name[1:]}" if name[0] == "~" else f"{space}/{name}"
                allowed[right].add(name if name[0] == "/" else own)
        found[place.attrib["path"]] = allowed
    return found


ROBOT, SIMULATION = rights(access_policy()), rights(access_policy(simulation=True))


class Observer:
    """A participant of its own that asks the live graph."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node: Any = rclpy.create_node("observer", context=self.context)
        self._ask = {
            "publish": self.node.get_publisher_names_and_types_by_node,
            "subscribe": self.node.get_subscriber_names_and_types_by_node,
            "reply": self.node.get_service_names_and_types_by_node,
            "request": self.node.get_client_names_and_types_by_node,
        }

    def sees(self, node: str) -> Rights:
        """What ``node`` has; all empty while it is not known."""
        if node not in self.node.get_node_names():
            return {kind: set() for kind in KINDS}
        try:
            return {kind: {name for name, _ in ask(node, "/")} for kind, ask in self._ask.items()}
        except RuntimeError:  # it has just gone
            return {kind: set() for kind in KINDS}

    def until(self, node: str, wanted: Callable[[Rights], bool]) -> Rights:
        """What it has once it is as ``wanted``, or when patience ends."""
        end = time.monotonic() + PATIENCE_S
        while not wanted(self.sees(node)) and time.monotonic() < end:
            time.sleep(0.05)
        return self.sees(node)

    def enclaves(self) -> dict[str, str]:
        """The enclave by node name."""
        return {name: place for name, _, place in self.node.get_node_names_and_namespaces_with_enclaves()}

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture(scope="module")
def bundle() -> Path:
    """The shipped one: no training code is needed."""
    return share_path("models/car-ltc19")


@pytest.fixture
def observer() -> Iterator[Observer]:
    made = Observer()
    yield made
    made.close()


def made(kind: type, *flags: str) -> Any:
    """A node of the car with these parameters."""
    given = [part for flag in flags for part in ("-p", flag)]
    return kind(["--ros-args", "--params-file", str(CAR_YAML), *given])


def without(rights: Rights, absent: set[str]) -> Rights:
    return {kind: names - absent for kind, names in rights.items()}


def nodes(bundle: Path, *flags: str) -> Iterator[Any]:
    for kind in (PerceptionNode, PolicyNode):
        yield made(kind, f"bundle:={bundle}", *flags)
    yield made(SafetyNode, *flags)


def watched(executor: Executor, observer: Observer, node: Any, expected: Rights) -> Rights:
    """What is seen of an active node, when that has become ``expected`` and stayed so, or does not."""
    executor.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    try:
        observer.until(node.get_name(), lambda seen: seen == expected)
        time.sleep(0.3)  # what else it may have is announced by now
        return observer.sees(node.get_name())
    finally:
        node.close()
        executor.remove_node(node)
        node.destroy_node()


def test_on_a_robot_every_node_has_what_the_policy_allows_and_nothing_else(
    ros: EventsExecutor, observer: Observer, bundle: Path
) -> None:
    for node in nodes(bundle):
        name = node.get_name()
        expected = without(ROBOT[f"/tidegate/{name}"], DRY | BY_WIRE)
        assert watched(ros, observer, node, expected) == expected, name


def test_a_dry_run_has_another_topic_in_the_place_of_the_actuators(ros: EventsExecutor, observer: Observer) -> None:
    expected = without(ROBOT["/tidegate/safety_node"], {"/command"} | EFFORT | BY_WIRE)
    assert watched(ros, observer, made(SafetyNode, "dry_run:=true"), expected) == expected


def test_a_drive_by_wire_car_has_a_motion_request_in_the_place_of_the_array(
    ros: EventsExecutor, observer: Observer
) -> None:
    expected = without(ROBOT["/tidegate/safety_node"], DRY | EFFORT)
    assert watched(ros, observer, made(SafetyNode, "vehicle.output:=twist"), expected) == expected


@pytest.mark.parametrize(
    ("lock_step", "absent"), [(False, {"/tick"}), (True, {"/timing/rendered", "/timing/commanded"})]
)
def test_in_simulation_too_but_for_the_topics_of_the_other_mode(
    ros: EventsExecutor, observer: Observer, bundle: Path, lock_step: bool, absent: set[str]
) -> None:
    flags = ("use_sim_time:=true", f"lock_step:={str(lock_step).lower()}")
    for node in (*nodes(bundle, *flags), made(SimulatorNode, *flags)):
        name = node.get_name()
        expected = without(SIMULATION[f"/tidegate/{name}"], absent | DRY | BY_WIRE)
        assert watched(ros, observer, node, expected) == expected, name


def test_a_node_that_gains_a_topic_is_found_out(ros: EventsExecutor, observer: Observer, bundle: Path) -> None:
    node = made(PolicyNode, f"bundle:={bundle}")
    node.create_publisher(Bool, "leak", 1)
    node.create_subscription(Bool, "ear", lambda _: None, 1)
    expected = ROBOT["/tidegate/policy_node"]
    wider = {**expected, "publish": expected["publish"] | {"/leak"}, "subscribe": expected["subscribe"] | {"/ear"}}
    assert watched(ros, observer, node, wider) == wider != expected


@pytest.mark.parametrize("simulation", [False, True])
def test_the_recorder_hears_what_the_policy_allows(
    ros: EventsExecutor, observer: Observer, tmp_path: Path, simulation: bool
) -> None:
    """It subscribes whatever is published; here everything is, but for what only a simulator publishes."""
    source = rclpy.create_node("source")
    for topic in TOPICS.values():
        if simulation or topic.name not in SIMULATED:
            source.create_publisher(message_class(topic.type), ros_name(topic.name), offered_qos(topic.name, False))
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path / 'bag'}"])
    ros.add_node(recorder)
    expected = (SIMULATION if simulation else ROBOT)["/tidegate/recorder_node"]
    end = time.monotonic() + PATIENCE_S
    while observer.sees("recorder_node") != expected and time.monotonic() < end:
        ros.spin_once(timeout_sec=0.05)
    assert observer.sees("recorder_node") == expected
    recorder.close()
    ros.remove_node(recorder)
    recorder.destroy_node()
    source.destroy_node()


@pytest.mark.parametrize("kind", [MarkersNode, SaliencyNode])
def test_viewers_have_what_the_policy_allows(
    ros: EventsExecutor, observer: Observer, bundle: Path, kind: type[ViewerNode]
) -> None:
    """While somebody looks."""
    flags = (f"bundle:={bundle}",) if kind is SaliencyNode else ()
    node, viewer = made(kind, *flags), rclpy.create_node("viewer")
    ros.add_node(node)
    viewer.create_subscription(message_class(TOPICS[kind.SHOWS].type), ros_name(kind.SHOWS), lambda _: None, 1)
    expected = ROBOT[f"/tidegate/{node.get_name()}"]
    end = time.monotonic() + PATIENCE_S
    while observer.sees(node.get_name()) != expected and time.monotonic() < end:
        ros.spin_once(timeout_sec=0.05)
    assert observer.sees(node.get_name()) == expected
    node.close()
    ros.remove_node(node)
    node.destroy_node()
    viewer.destroy_node()


def test_the_watch_has_what_the_policy_allows(observer: Observer) -> None:
    expected = ROBOT["/tidegate/tidegate_watch"]
    with watching(""):
        assert observer.until("tidegate_watch", lambda seen: seen == expected) == expected


@pytest.mark.slow
def test_a_whole_drive_is_within_the_policy_each_process_in_its_enclave(observer: Observer, bundle: Path) -> None:
    options = GraphOptions(bundle, CAR_YAML, scene="road", lock_step=True)
    with Graph(options, lambda node, level, text: None) as graph:
        Watch().begin(graph, lock_step=True)
        run = observer.until("tidegate_run", lambda seen: len(seen["subscribe"]) == 4)
        seen: list[Rights] = []
        doctor = threading.Thread(target=lambda: examine(watch_s=2.0))
        doctor.start()
        while doctor.is_alive():
            seen.append(observer.sees("tidegate_doctor"))
            time.sleep(0.05)
        names = {*options.parameters(), "tidegate_run"}
        for name in names:
            found = observer.sees(name)
            for kind in KINDS:
                assert found[kind] <= SIMULATION[f"/tidegate/{name}"][kind], name
        assert {name: observer.enclaves()[name] for name in names} == {name: f"/tidegate/{name}" for name in names}
    # its clients come and go with each question
    clients = {"request": SIMULATION["/tidegate/tidegate_run"]["request"]}
    assert {**run, **clients} == SIMULATION["/tidegate/tidegate_run"]
    heard = {kind: set().union(*(one[kind] for one in seen)) for kind in KINDS}
    assert heard == without(SIMULATION["/tidegate/tidegate_doctor"], BY_WIRE)


def test_the_committed_policy_is_that_of_a_robot() -> None:
    shipped = share_path("config/sros2_policy.xml").read_text(encoding="utf-8")
    assert shipped == access_policy(), "run `make docs`"


def test_a_namespace_moves_all_but_what_every_node_of_ros_has_in_common() -> None:
    moved = rights(access_policy("/car"))["/tidegate/safety_node"]
    plain = ROBOT["/tidegate/safety_node"]
    globally = {"/rosout", "/parameter_events"}
    for kind in KINDS:
        assert moved[kind] == {name if name in globally else f"/car{name}" for name in plain[kind]}


def test_the_policy_has_the_form_that_the_tools_of_ros_ask_for() -> None:
    """The published form: policy > enclaves > enclave > profiles > profile > lists of expressions."""
    for simulation in (False, True):
        root = ElementTree.fromstring(access_policy(simulation=simulation))
        assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
        (enclaves,) = root
        assert enclaves.tag == "enclaves"
        paths = [place.attrib["path"] for place in enclaves]
        assert len(set(paths)) == len(paths)
        for place in enclaves:
            ((profiles,), (profile,)) = (place, *place)
            assert (place.tag, profiles.tag, profile.tag) == ("enclave", "profiles", "profile")
            assert set(profile.attrib) == {"ns", "node"}
            for listed in profile:
                ((right, verdict),) = listed.attrib.items()
                assert (listed.tag, right) in {
                    ("topics", "publish"),
                    ("topics", "subscribe"),
                    ("services", "reply"),
                    ("services", "request"),
                }
                assert verdict == "ALLOW"
                assert len(listed)
                assert all(item.tag == listed.tag[:-1] and item.text and not item.attrib for item in listed)


def test_the_tools_of_ros_take_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are installed: their schema, and the permissions that they make of it for each enclave."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.environ.get("AMENT_PREFIX_PATH") or sys.prefix)
    policies = pytest.importorskip("sros2.policy")
    etree = pytest.importorskip("lxml.etree")
    made = etree.XSLT(etree.parse(str(policies.get_transport_template("dds", "permissions.xsl"))))
    for simulation, expected in ((False, ROBOT), (True, SIMULATION)):
        path = tmp_path / "policy.xml"
        path.write_text(access_policy(simulation=simulation), encoding="utf-8")
        granted = made(policies.load_policy(path))
        for grant in granted.iter("grant"):
            allowed = expected[grant.get("name")]
            says = {item.text for item in grant.findall("allow_rule/publish/topics/topic")}
            hears = {item.text for item in grant.findall("allow_rule/subscribe/topics/topic")}
            assert says == {
                *(f"rt{name}" for name in allowed["publish"]),
                *(f"rr{name}Reply" for name in allowed["reply"]),
                *(f"rq{name}Request" for name in allowed["request"]),
            }
            assert hears == {
                *(f"rt{name}" for name in allowed["subscribe"]),
                *(f"rq{name}Request" for name in allowed["reply"]),
                *(f"rr{name}Reply" for name in allowed["request"]),
            }
