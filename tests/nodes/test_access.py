# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy against live graphs: what real nodes have is allowed, and nothing else is.

``ros2 launch`` and an operator's calls: tests/launch/test_launch_access.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rclpy
import yaml
from plant import CAR_YAML
from rclpy.executors import Executor
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import Bool
from typer.testing import CliRunner

from granted import KINDS, PATIENCE_S, Observer, Rights, beyond, dds_names, nothing, rights, united, without
from tidegate.bag import BagWriter
from tidegate.cli.app import app
from tidegate.errors import SettingsError
from tidegate.messages import LENS, PICTURES, TOPICS, camera_info, published_as, type_on
from tidegate.messages.graph import SENSORS, SIMULATED
from tidegate.nodes.bringup import Graph
from tidegate.nodes.examine import examine
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.joystick_node import JoystickNode
from tidegate.nodes.markers_node import MarkersNode
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.player_node import OPERATOR, PlayerNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.run_graph import Watch
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.saliency_node import SaliencyNode
from tidegate.nodes.simulator_node import SimulatorNode
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, message_class, offered_qos, remap_flags, ros_name
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.nodes.watching import watching
from tidegate.records import Frame, Imu, JointStates, Manual, Odometry, Points
from tidegate.security.access import Time, access_policy
from tidegate.settings import Settings
from tidegate.share import share_path

GOLDEN = Path(__file__).parents[1] / "golden" / "road"
TIMES: tuple[Time, ...] = ("system", "simulator", "shared")
DRY, EFFORT, BY_WIRE = {"/safety_node/would_command"}, {"/effort_controller/commands"}, {"/cmd_vel", "/motion_request"}
"""What only a dry run publishes, and what goes to the actuators besides ``command``, by ``vehicle.output``."""
ARM = {"/wrench", "/wrench_request"}
OF_ARMS = {"policy_node": ARM | {"/joint_states", "/policy_node/inputs"}, "simulator_node": ARM}
"""What these nodes have where the robot is an arm."""
REMAPPED = {"system": [INSIDE], "shared": [INSIDE], "simulator": [INSIDE, CLOCK_INSIDE]}
"""As launch files and bring-up remap: the simulator's own clock goes into the namespace."""


@pytest.fixture(scope="module")
def bundle() -> Path:
    """The shipped one: no training code is needed."""
    return share_path("models/car-ltc19")


@pytest.fixture
def observer() -> Iterator[Observer]:
    made = Observer()
    yield made
    made.close()


def allowed(node: str, space: str = "", time: Time = "system", camera: str = PICTURES) -> Rights:
    return rights(access_policy(space or "/", time, camera))[f"/tidegate/{node}"]


def moved(space: str, names: set[str]) -> set[str]:
    return {f"{space}{name}" for name in names}


def placed(space: str, time: Time, *flags: str) -> list[str]:
    """Command line of a node in a namespace, with parameters."""
    given = [part for flag in flags for part in ("-p", flag)]
    return ["--ros-args", *given, *remap_flags(("__ns", space or "/"), *REMAPPED[time])]


def made(kind: type, *flags: str, space: str = "", time: Time = "system") -> Any:
    """A node of the car with these parameters."""
    return kind([*placed(space, time, *flags), "--params-file", str(CAR_YAML)])


def nodes(bundle: Path, *flags: str, space: str, time: Time) -> Iterator[Any]:
    for kind in (PerceptionNode, PolicyNode):
        yield made(kind, f"bundle:={bundle}", *flags, space=space, time=time)
    yield made(SafetyNode, *flags, space=space, time=time)


def watched(executor: Executor, observer: Observer, node: Any, expected: Rights) -> Rights:
    """What is seen of an active node, when that has become ``expected`` and stayed so, or does not."""
    executor.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    try:
        observer.until(node.get_fully_qualified_name(), lambda seen: seen == expected)
        time.sleep(0.3)  # what else it may have is announced by now
        return observer.sees(node.get_fully_qualified_name())
    finally:
        node.close()
        executor.remove_node(node)
        node.destroy_node()


def spun(executor: Executor, observer: Observer, node: Any, expected: Rights) -> Rights:
    """What is seen of a node without lifecycle, in the same way."""
    executor.add_node(node)
    end = time.monotonic() + PATIENCE_S
    while observer.sees(node.get_fully_qualified_name()) != expected and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    seen = observer.sees(node.get_fully_qualified_name())
    node.close()
    executor.remove_node(node)
    node.destroy_node()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("space", "clock"), [("", "system"), ("/car", "shared")])
def test_on_a_robot_every_node_has_what_the_policy_allows_and_nothing_else(
    ros: EventsExecutor, observer: Observer, bundle: Path, space: str, clock: Time
) -> None:
    """Its time may come from a ``/clock`` that several robots share."""
    for node in nodes(bundle, f"use_sim_time:={str(clock == 'shared').lower()}", space=space, time=clock):
        expected = without(
            allowed(node.get_name(), space, clock), moved(space, DRY | BY_WIRE | OF_ARMS.get(node.get_name(), set()))
        )
        assert watched(ros, observer, node, expected) == expected, node.get_name()


@pytest.mark.parametrize("camera", ["front/image_raw", "/front/image_raw/compressed"])
def test_a_camera_by_another_name_is_allowed_by_that_name_alone(
    ros: EventsExecutor, observer: Observer, bundle: Path, tmp_path: Path, camera: str
) -> None:
    """Absolute, it stays outside of the namespace, as for the nodes."""
    flags = f"bundle:={bundle}", f"camera.topic:={camera}"
    names = {topic: published_as(topic, camera) for topic in (PICTURES, LENS)}
    full = {name if name[0] == "/" else f"/car/{name}" for name in names.values()}
    expected = {
        node: allowed(node, "/car", camera=camera) for node in ("perception_node", "saliency_node", "recorder_node")
    }
    for one in (*expected.values(), allowed("tidegate_doctor", "/car", camera=camera)):
        assert full <= one["subscribe"]
        assert not {"/car/camera/image_raw", "/car/camera/camera_info"} & one["subscribe"]
    node = made(PerceptionNode, *flags, space="/car")
    assert watched(ros, observer, node, expected["perception_node"]) == expected["perception_node"]
    viewer = rclpy.create_node("viewer", cli_args=placed("/car", "system"), use_global_arguments=False)
    viewer.create_subscription(message_class(TOPICS["saliency"].type), "saliency", lambda _: None, 1)
    saliency = made(SaliencyNode, *flags, space="/car")
    assert spun(ros, observer, saliency, expected["saliency_node"]) == expected["saliency_node"]
    for topic in TOPICS.values():
        name = ros_name(names.get(topic.name, topic.name))
        if topic.name not in SIMULATED:
            viewer.create_publisher(message_class(type_on(topic.name, name)), name, offered_qos(topic.name, False))
    flags = f"path:={tmp_path / 'bag'}", f"camera.topic:={camera}"
    recorder = RecorderNode(placed("/car", "system", *flags))
    assert spun(ros, observer, recorder, expected["recorder_node"]) == expected["recorder_node"]
    viewer.destroy_node()


def test_the_command_makes_the_policy_of_the_robots_camera(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"camera": {"topic": "/front/image_raw"}}}}))
    told = CliRunner().invoke(app, ["security", "--config", str(path)])
    assert told.stdout == access_policy(camera="/front/image_raw") != access_policy()
    with pytest.raises(SettingsError, match="leave out --config"):
        CliRunner().invoke(app, ["security", "--simulation", "--config", str(path)], catch_exceptions=False)


def test_a_dry_run_has_another_topic_in_the_place_of_the_actuators(ros: EventsExecutor, observer: Observer) -> None:
    expected = without(allowed("safety_node"), {"/command"} | EFFORT | BY_WIRE)
    assert watched(ros, observer, made(SafetyNode, "dry_run:=true"), expected) == expected


def test_a_drive_by_wire_car_has_a_motion_request_in_the_place_of_the_array(
    ros: EventsExecutor, observer: Observer
) -> None:
    expected = without(allowed("safety_node"), DRY | EFFORT)
    assert watched(ros, observer, made(SafetyNode, "vehicle.output:=twist"), expected) == expected


@pytest.mark.parametrize(
    ("space", "lock_step", "absent"),
    [("/car", False, {"/tick"}), ("", True, {"/timing/rendered", "/timing/commanded"})],
)
def test_in_simulation_too_but_for_the_topics_of_the_other_mode(
    ros: EventsExecutor, observer: Observer, bundle: Path, space: str, lock_step: bool, absent: set[str]
) -> None:
    flags = ("use_sim_time:=true", f"lock_step:={str(lock_step).lower()}")
    simulator = made(SimulatorNode, *flags, space=space, time="simulator")
    for node in (*nodes(bundle, *flags, space=space, time="simulator"), simulator):
        away = absent | DRY | BY_WIRE | OF_ARMS.get(node.get_name(), set())
        expected = without(allowed(node.get_name(), space, "simulator"), moved(space, away))
        assert watched(ros, observer, node, expected) == expected, node.get_name()


def test_a_node_that_gains_a_topic_is_found_out(ros: EventsExecutor, observer: Observer, bundle: Path) -> None:
    node = made(PolicyNode, f"bundle:={bundle}")
    node.create_publisher(Bool, "leak", 1)
    node.create_subscription(Bool, "ear", lambda _: None, 1)
    expected = without(allowed("policy_node"), OF_ARMS["policy_node"])
    wider = {**expected, "publish": expected["publish"] | {"/leak"}, "subscribe": expected["subscribe"] | {"/ear"}}
    assert watched(ros, observer, node, wider) == wider != expected


@pytest.mark.parametrize(("space", "clock"), [("", "system"), ("/car", "simulator"), ("/car", "shared")])
def test_the_recorder_hears_what_the_policy_allows(
    ros: EventsExecutor, observer: Observer, tmp_path: Path, space: str, clock: Time
) -> None:
    """It subscribes whatever is published; here everything is, but for what only a simulator or a clock publishes."""
    source = rclpy.create_node("source", cli_args=placed(space, clock), use_global_arguments=False)
    for topic in TOPICS.values():
        if clock == "simulator" or topic.name not in SIMULATED or (topic.name, clock) == ("clock", "shared"):
            source.create_publisher(message_class(topic.type), ros_name(topic.name), offered_qos(topic.name, False))
    recorder = RecorderNode(placed(space, clock, f"path:={tmp_path / 'bag'}"))
    expected = allowed("recorder_node", space, clock)
    assert spun(ros, observer, recorder, expected) == expected
    source.destroy_node()


def test_the_player_has_what_the_policy_allows(
    ros: EventsExecutor, observer: Observer, tmp_path: Path, settings: Settings
) -> None:
    """From a bag of every topic that is played, as ``replay.launch.py`` starts it; its clock is for all."""
    stamp, wheel, one = 10**9, np.zeros(1), np.ones(3)
    records = {
        "camera/image_raw": Frame(stamp, np.zeros((2, 2, 3), np.uint8)),
        "camera/camera_info": camera_info(stamp, settings.camera),
        "joint_states": JointStates(stamp, ("rear_left_wheel_joint",), wheel, wheel, wheel),
        "odom": Odometry(stamp, 0.0, 0.0, 0.0, 0.0, 0.0),
        "imu": Imu(stamp, one, one),
        "points": Points(stamp, np.zeros((0, 3), np.float32), np.zeros(0, np.int32)),
        "manual": Manual(stamp, False, 0.0, 0.0),
        "emergency_stop": False,
    }
    assert set(records) == {*SENSORS, *OPERATOR}
    with BagWriter(tmp_path / "bag") as writer:
        for topic, record in records.items():
            writer.write(topic, record, stamp)
    player = PlayerNode(placed("/replay", "shared", f"bag:={tmp_path / 'bag'}"))
    expected = allowed("player_node", "/replay", "shared")
    assert "/clock" in expected["publish"]
    assert spun(ros, observer, player, expected) == expected


@pytest.mark.parametrize("kind", [MarkersNode, SaliencyNode])
def test_viewers_have_what_the_policy_allows(
    ros: EventsExecutor, observer: Observer, bundle: Path, kind: type[ViewerNode]
) -> None:
    """While somebody looks."""
    flags = (f"bundle:={bundle}",) if kind is SaliencyNode else ()
    node, viewer = made(kind, *flags, space="/car"), rclpy.create_node("viewer", namespace="car")
    viewer.create_subscription(message_class(TOPICS[kind.SHOWS].type), ros_name(kind.SHOWS), lambda _: None, 1)
    expected = allowed(node.get_name(), "/car")
    assert spun(ros, observer, node, expected) == expected
    viewer.destroy_node()


def test_the_joystick_has_what_the_policy_allows(ros: EventsExecutor, observer: Observer) -> None:
    expected = allowed("joystick_node", "/car")
    assert spun(ros, observer, made(JoystickNode, space="/car"), expected) == expected


def test_the_watch_has_what_the_policy_allows(observer: Observer) -> None:
    expected = allowed("tidegate_watch", "/car")
    with watching("car"):
        assert observer.until("/car/tidegate_watch", lambda seen: seen == expected) == expected


@pytest.mark.parametrize(
    ("words", "node", "clock"),
    [
        (("record", "--snapshots", "{folder}", "--namespace", "car"), "/car/recorder_node", "system"),
        (("replay", "{golden}", "--live", "--rate", "0.1"), "/replay/player_node", "shared"),
    ],
)
def test_commands_that_are_nodes_are_in_their_enclaves(
    observer: Observer, tmp_path: Path, words: tuple[str, ...], node: str, clock: Time
) -> None:
    given = [word.format(folder=tmp_path / "kept", golden=GOLDEN) for word in words]
    program = [sys.executable, "-c", "from tidegate.cli.app import main; main()", *given]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    try:
        seen = observer.until(node, lambda seen: any(name.endswith("/get_parameters") for name in seen["reply"]))
        assert observer.names().get(node) == f"/tidegate/{node.rpartition('/')[2]}"
        assert beyond(seen, allowed(node.rpartition("/")[2], node.rpartition("/")[0], clock)) == nothing()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


@pytest.mark.slow
def test_a_whole_drive_is_within_the_policy_each_process_in_its_enclave(observer: Observer, bundle: Path) -> None:
    """In a namespace: bring-up, nodes, and the doctor who looks at them."""
    options = GraphOptions(bundle, CAR_YAML, scene="road", lock_step=True, namespace="car")
    names = {*options.parameters(), "tidegate_run"}
    policy = {name: allowed(name, "/car", "simulator") for name in (*names, "tidegate_doctor")}
    with Graph(options, lambda node, level, text: None) as graph:
        Watch().begin(graph, lock_step=True)
        observer.node.create_publisher(Bool, "/car/emergency_stop", 1)  # the doctor hears what somebody publishes
        run = observer.until("/car/tidegate_run", lambda seen: len(seen["subscribe"]) == 4)
        seen: list[Rights] = []
        doctor = threading.Thread(target=lambda: examine("car", watch_s=2.0))
        doctor.start()
        while doctor.is_alive():
            seen.append(observer.sees("/car/tidegate_doctor"))
            time.sleep(0.05)
        for name in names:
            found = observer.sees(f"/car/{name}")
            for kind in KINDS:
                assert found[kind] <= policy[name][kind], name
        assert {name: observer.names()[f"/car/{name}"] for name in names} == {
            name: f"/tidegate/{name}" for name in names
        }
    # its clients come and go with each question
    assert {**run, "request": policy["tidegate_run"]["request"]} == policy["tidegate_run"]
    assert united(*seen) == without(policy["tidegate_doctor"], moved("/car", BY_WIRE))


def test_the_committed_policy_is_that_of_a_robot() -> None:
    shipped = share_path("config/sros2_policy.xml").read_text(encoding="utf-8")
    assert shipped == access_policy(), "run `make docs`"


@pytest.mark.parametrize("clock", TIMES)
def test_a_namespace_moves_all_but_what_every_node_of_ros_has_in_common(clock: Time) -> None:
    """And but for a shared clock, and what ROS's own tools call their own."""
    plain, inside = (rights(access_policy(space, clock)) for space in ("/", "car/"))
    everywhere = {"/rosout", "/parameter_events"}
    assert set(inside) == set(plain)
    for place, found in inside.items():
        looks = place in ("/tidegate/tidegate_doctor", "/tidegate/tidegate_watch")
        stay = everywhere | ({"/clock"} if clock == "shared" and not looks else set())
        for kind in KINDS:
            own = {name for name in plain[place][kind] if name.startswith(("/launch_ros_*/", "/_ros2cli_"))}
            kept = plain[place][kind] & (stay | own)
            assert found[kind] == kept | moved("/car", plain[place][kind] - kept), (place, kind)


def test_who_feigns_sensors_has_no_rights_on_a_robot() -> None:
    feign = {"/tidegate/simulator_node": "simulator", "/tidegate/player_node": "shared"}
    for clock in TIMES:
        places = set(rights(access_policy("/", clock)))
        assert {place for place in feign if place in places} == {place for place in feign if feign[place] == clock}


@pytest.mark.parametrize("space", ["/car-1", "1st", "*", "car/*"])
def test_a_namespace_that_cannot_be_is_refused(space: str) -> None:
    with pytest.raises(SettingsError, match=r"namespace is '.*'; it must be letters"):
        access_policy(space)


@pytest.mark.parametrize("clock", TIMES)
def test_the_policy_has_the_form_that_the_tools_of_ros_ask_for(clock: Time) -> None:
    """The published form: policy > enclaves > enclave > profiles > profile > lists of expressions."""
    root = ElementTree.fromstring(access_policy(time=clock))
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
    for clock in TIMES:
        path = tmp_path / "policy.xml"
        path.write_text(access_policy("/car", clock), encoding="utf-8")
        expected = rights(path.read_text(encoding="utf-8"))
        granted = made(policies.load_policy(path))
        for grant in granted.iter("grant"):
            says = {item.text for item in grant.findall("allow_rule/publish/topics/topic")}
            hears = {item.text for item in grant.findall("allow_rule/subscribe/topics/topic")}
            assert (says, hears) == dds_names(expected[grant.get("name")])
