# SPDX-License-Identifier: Apache-2.0
"""The doctor on real graphs: no warning on a healthy one, and faults that are planted in it are found."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from plant import CAR_YAML
from rclpy.qos import QoSProfile, ReliabilityPolicy

from domains import random_domain
from tidegate.doctor.finding import Finding, Verdict
from tidegate.doctor.graph import SENSORS, check_graph
from tidegate.nodes.bringup import Graph
from tidegate.nodes.examine import examine, ros_facts
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.remote import Remote
from tidegate.nodes.topics import message_class
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.share import share_path

pytestmark = pytest.mark.real_time

WATCH_S = 4.0
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
TURNED = math.radians(5.0)
TRIES = 3
"""Whoever takes both cores in real time makes ticks be left out, which the doctor tells."""
NOT_UP = ["nodes"]
"""What is said where only the sensors are there: the stack is not up."""


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of its own: nobody of the test before is still listed."""
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())


@pytest.fixture
def sensors(domain: None) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start(**wrong: Any) -> None:
        script = str(Path(__file__).parent / "sensors.py")
        started.append(subprocess.Popen([sys.executable, script, json.dumps(wrong)], stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "ready\n"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def look(settings: Settings, watch_s: float = WATCH_S) -> list[Finding]:
    """All that is found in the graph; a remedy stands where something is not well."""
    facts = examine(watch_s=watch_s)
    findings = list(check_graph(facts, settings, Car.from_settings(settings)))
    for finding in findings:
        assert (finding.verdict is Verdict.OK) == (not finding.remedy), finding
    return findings


def bad(settings: Settings, watch_s: float = WATCH_S) -> list[Finding]:
    """What is not well with the graph."""
    return [finding for finding in look(settings, watch_s) if finding.verdict is not Verdict.OK]


def test_this_ros_is_named() -> None:
    found = ros_facts()
    assert found.rmw.startswith("rmw_")
    assert found.rclpy


def test_healthy_sensors_give_no_warning_but_that_the_stack_is_not_up(sensors: Any, settings: Settings) -> None:
    sensors(controller=Car.from_settings(settings).joint_names, speed=40.0)
    found = look(settings)
    assert [finding.check for finding in found if finding.verdict is not Verdict.OK] == NOT_UP, found
    (mount,) = [finding for finding in found if finding.check == "camera mount"]  # the way was long enough for it
    assert "+0.0° off the way" in mount.said


@pytest.mark.slow
def test_a_camera_by_another_name_is_looked_at_there(sensors: Any, settings: Settings) -> None:
    """And where the settings do not name it, the doctor names what there is."""
    own = "/front/image_raw/compressed"
    sensors(camera=own)
    car = Car.from_settings(settings)
    facts = examine(watch_s=1.0, camera=own)
    camera = facts.topics["camera/image_raw"]
    assert (camera.name, camera.publishers) == (own, ("/driver",))
    assert 0 < camera.largest < 3 * settings.camera.width * settings.camera.height
    findings = {one.check: one for one in check_graph(facts, settings, car)}
    assert [one.check for one in findings.values() if one.verdict is not Verdict.OK] == NOT_UP, findings
    assert own in findings["camera/image_raw"].said
    blind = {one.check: one for one in check_graph(examine(watch_s=0.5), settings, car)}
    assert blind["camera/image_raw"].verdict is Verdict.FAIL
    assert f"let camera.topic of the settings name where it publishes; topics of pictures: {own} (sensor_msgs/ms" in (
        blind["camera/image_raw"].remedy
    )


NTP = "synchronise the clocks of both machines (chrony), and let the driver stamp with the time of measurement"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "check", "said", "mend"),
    [
        (
            {"joints": ["rear_left_wheel_joint"]},
            "joints",
            "lacks rear_left_wheel_joint",
            "let joint_state_broadcaster publish front_left_steer_joint, ",
        ),
        (
            {"controller": ["a", "b"]},
            "effort_controller",
            "drives a, b; the",
            "let its parameter 'joints' be front_left_steer_joint, ",
        ),
        (
            {"drop": ["imu"]},
            "imu",
            "/driver publishes nothing",
            "look at the log of /driver; is its sensor connected?",
        ),
        ({"every": {"odom": 10}}, "odom", "10.0 Hz; below 20.0 Hz", "raise the rate of /driver, or free its processor"),
        ({"skew_s": 3.0, "wall": True}, "joint_states", "s behind the clock", NTP),
        (
            {"size": [96, 48]},
            "camera/image_raw",
            "96 × 48 px; the settings state 160 × 80",
            "set the driver to that size, or resize with image_proc",
        ),
        ({"rival": True}, "command", "published by /driver too", "end /driver, or remap its output"),
    ],
    ids=["joints", "controller", "silent", "rate", "clock", "size", "rival"],
)
def test_a_fault_planted_in_the_sensors_is_found_and_its_mend_is_named(
    sensors: Any, settings: Settings, wrong: dict[str, Any], check: str, said: str, mend: str
) -> None:
    sensors(**wrong)
    found = bad(settings)
    mine = [finding for finding in found if finding.check == check and said in finding.said]
    assert mine, found
    assert all(mend in finding.remedy for finding in mine)
    allowed = {check, *NOT_UP}
    if "size" in wrong:  # the intrinsics are of that size too
        allowed |= {"camera/camera_info"}
    if "skew_s" in wrong:
        allowed |= set(SENSORS)
    assert {finding.check for finding in found} <= allowed


@pytest.mark.slow
def test_a_camera_that_is_5_degrees_off_is_noticed_on_a_drive(sensors: Any, settings: Settings, tmp_path: Path) -> None:
    """The shipped network drives in simulation with such a camera; what it sees and hears there comes over DDS."""
    pytest.importorskip("mujoco")
    from tidegate.bundle import Bundle
    from tidegate.evaluation.drivers import BundleDriver
    from tidegate.evaluation.recorder import DriveRecorder
    from tidegate.evaluation.rollout import Task, roll
    from tidegate.simulation import Simulator

    def turn(simulator: Simulator) -> BundleDriver:
        camera = simulator.world.model.camera("front")
        w, x, y, z = camera.quat
        c, s = math.cos(TURNED / 2), math.sin(TURNED / 2)  # about the picture's upward axis: to the left
        camera.quat[:] = w * c - y * s, x * c - z * s, y * c + w * s, z * c + x * s
        return BundleDriver(Bundle.load(share_path("models/car-ltc19"), settings.vehicle.name), settings)

    with DriveRecorder(tmp_path / "drive", settings, {}) as recorder:
        roll(settings, Task("", "", "road", 904), turn, recorder.keep, 22.0, camera=True)
    sensors(bag=str(tmp_path / "drive"))
    found = {finding.check: finding for finding in bad(settings, watch_s=14.0)}
    assert set(found) == {"camera mount", *NOT_UP}, found
    assert "the lane's heading was +" in found["camera mount"].said
    assert "the camera looks too far to the left: turn it on its mount" in found["camera mount"].remedy


@pytest.mark.slow
def test_an_empty_domain_names_the_one_in_which_a_node_runs(domain: None, settings: Settings) -> None:
    other = str((int(os.environ["ROS_DOMAIN_ID"]) + 1) % 100)
    node = subprocess.Popen(
        [sys.executable, "-m", "tidegate.nodes.main", "safety_node", "--ros-args", "--params-file", str(CAR_YAML)],
        env={**os.environ, "ROS_DOMAIN_ID": other},
        stderr=subprocess.DEVNULL,
    )
    try:
        cmdline = Path(f"/proc/{node.pid}/cmdline")
        while b"safety_node" not in cmdline.read_bytes():  # between fork and exec
            time.sleep(0.01)
        facts = examine(watch_s=0.5)
        assert facts.nodes == ()
        assert other in facts.elsewhere
        (finding,) = check_graph(facts, settings, Car.from_settings(settings))
        assert finding.verdict is Verdict.FAIL
        assert finding.remedy == f"export ROS_DOMAIN_ID={other}"
    finally:
        node.kill()
        node.wait()


LACKING = {"disk", "shared memory", "graphics", "domain"}
"""Lines that tell of the machine on which the test runs."""


def assert_the_command_is_content() -> None:
    """``tidegate doctor`` itself, beside the graph: exit code 0, and no warning but of what this machine lacks."""
    command = "from tidegate.cli.app import main; main()"
    words = [sys.executable, "-c", command, "doctor", "--config", str(CAR_YAML), "--seconds", str(WATCH_S), "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    findings = json.loads(ran.stdout)["findings"]
    assert ran.returncode == 0, findings
    assert {one["check"] for one in findings} >= {"ros", "images", "safety_node", "camera/image_raw", "actuators"}
    assert [one for one in findings if one["verdict"] != "ok" and one["check"] not in LACKING] == []
    (images,) = [one for one in findings if one["check"] == "images"]
    assert "/simulator_node has a segment of 8." in images["said"]


@pytest.mark.slow
def test_a_healthy_drive_gives_no_warning_and_what_is_planted_in_it_is_found(domain: None, settings: Settings) -> None:
    """The shipped network drives, in lock-step, where a busy machine loses no tick; then a node is switched off, and a
    rival and one that nobody hears come."""
    options = GraphOptions(share_path("models/car-ltc19"), CAR_YAML, lock_step=True)
    with Graph(options, lambda node, level, text: None) as graph:
        assert bad(settings) == []
        assert_the_command_is_content()
        graph.node.create_publisher(message_class("std_msgs/msg/Float64MultiArray"), "effort_controller/commands", 1)
        graph.node.create_publisher(message_class("sensor_msgs/msg/JointState"), "nominal", BEST_EFFORT)
        remote = Remote(graph.node, "perception_node")
        remote.change(Transition.TRANSITION_DEACTIVATE)
        while remote.outcome("inactive") is None:
            graph.spin(0.05)
        remote.close()
        found = {finding.check: finding for finding in bad(settings)}
        assert "published by /tidegate_run too" in found["effort_controller/commands"].said
        assert found["effort_controller/commands"].remedy == "end /tidegate_run, or remap its output"
        assert "is inactive" in found["perception_node"].said
        assert "ros2 lifecycle set /perception_node activate" in found["perception_node"].remedy
        assert "/tidegate_run → /safety_node" in found["nominal quality"].said
        assert "publish reliable and volatile" in found["nominal quality"].remedy


@pytest.mark.slow
def test_a_healthy_drive_in_real_time_gives_no_warning(domain: None, settings: Settings) -> None:
    with Graph(GraphOptions(share_path("models/car-ltc19"), CAR_YAML, seed=1000), lambda *said: None) as graph:
        tries = []
        while len(tries) < TRIES and [] not in tries:
            graph.spin(2.0)  # after bring-up, or whatever took both cores
            tries.append(bad(settings))
        assert [] in tries, tries
        assert_the_command_is_content()
