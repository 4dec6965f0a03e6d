# SPDX-License-Identifier: Apache-2.0
"""The doctor's checks: silent on what is healthy, and each planted fault found with its mend."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.doctor.facts import GraphFacts, MachineFacts, RosFacts, TopicFacts
from tidegate.doctor.finding import Finding, Verdict, worst
from tidegate.doctor.graph import MAKES, SENSORS, WATCHED, check_graph
from tidegate.doctor.images import SEGMENT, check_images, segment_size
from tidegate.doctor.machine import check_disk, check_machine, machine_facts
from tidegate.doctor.middleware import check_domain, check_ros
from tidegate.doctor.robot import check_bundle, read_bundle, read_robot
from tidegate.doctor.segments import check_left_over, left_over
from tidegate.messages import TOPICS, camera_info
from tidegate.messages.rates import EVERY_OUTPUT, OUTPUTS, stated_rates
from tidegate.records import Frame, JointStates, LaneEstimate, Odometry, Points
from tidegate.robot import Car
from tidegate.security.manifest import write_manifest
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
BUNDLE = share_path("models/car-ltc19")
GIB = 2**30


def machine(**other: object) -> MachineFacts:
    facts = MachineFacts(
        environment={},
        here=Path("/"),
        shared_memory=4 * GIB,
        left_over=3,
        receive_buffer=212992,
        folder=Path("/bags"),
        free=500 * GIB,
        governors=frozenset({"performance"}),
        priority=70,
        priority_refused="",
        graphics="",
    )
    return replace(facts, **other)  # type: ignore[arg-type]


def joints(*without: str) -> JointStates:
    names = tuple(name for name in CAR.joint_names if name not in without)
    return JointStates(0, names, np.zeros(len(names)), np.zeros(len(names)), np.zeros(0))


def healthy() -> GraphFacts:
    """As a robot whose graph drives."""
    camera = SETTINGS.camera
    records = {
        "joint_states": joints(),
        "camera/image_raw": Frame(0, np.zeros((camera.height, camera.width, 3), np.uint8)),
        "camera/camera_info": camera_info(0, camera),
    }
    topics = {
        topic: TopicFacts(
            publishers=(f"/{MAKES.get(topic, 'driver')}",),
            subscribers=("/controller",) if topic in ("command", *EVERY_OUTPUT) else (),
            types=(TOPICS[topic].type,),
            count=50,
            rate_hz=stated_rates(SETTINGS).get(topic, 100.0),
            behind_s=0.004,
            record=records.get(topic),
        )
        for topic in WATCHED
    }
    states = dict.fromkeys(("perception_node", "policy_node", "safety_node"), "active")
    return GraphFacts("7", "/", ("/controller", "/driver"), states, topics=topics, controlled=CAR.joint_names)


def with_topic(topic: str, **other: object) -> GraphFacts:
    graph = healthy()
    changed = replace(graph.topics.get(topic, TopicFacts()), **other)  # type: ignore[arg-type]
    return replace(graph, topics={**graph.topics, topic: changed})


def bad(findings: list[Finding]) -> list[Finding]:
    for finding in findings:
        assert (finding.verdict is Verdict.OK) == (not finding.remedy), finding
    return [finding for finding in findings if finding.verdict is not Verdict.OK]


def test_a_healthy_machine_and_graph_give_no_warning() -> None:
    here = machine()
    findings = [
        *check_ros(RosFacts("7.1", "rmw_fastrtps_cpp")),
        *check_domain(here),
        *check_left_over(here),
        *check_images(here, SETTINGS.camera),
        *check_machine(here, simulated=False),
        *check_disk(here, SETTINGS),
        *check_bundle(BUNDLE, SETTINGS, CAR),
        *check_graph(healthy(), SETTINGS, CAR),
    ]
    assert bad(findings) == []
    assert worst(findings) is Verdict.OK
    assert {finding.check for finding in findings} >= {
        *SENSORS,
        "joints",
        "actuators",
        "effort_controller",
        "disk",
        "bundle",
        "priority",
    }


def test_a_segment_is_left_over_once_nobody_holds_its_lock(tmp_path: Path) -> None:
    owned = tmp_path / "fastrtps_0123456789abcdef_el"
    for name in (owned.name, "fastrtps_00000000000000aa_el", "fastrtps_00000000000000aa", "fastrtps_port7411_el"):
        (tmp_path / name).touch()
    with owned.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert left_over(tmp_path) == 1
    assert left_over(tmp_path) == 2
    assert left_over(tmp_path, tmp_path / "no such file") == 0


def test_in_simulation_priority_and_governor_do_not_matter_and_on_a_robot_they_do() -> None:
    slow = machine(governors=frozenset({"powersave"}), priority_refused="Operation not permitted")
    assert bad(list(check_machine(slow, simulated=True))) == []
    found = bad(list(check_machine(slow, simulated=False)))
    assert [finding.check for finding in found] == ["processor", "priority"]
    assert "cpupower frequency-set -g performance" in found[0].remedy
    assert "rtprio 70" in found[1].remedy


BY_WIRE = replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, output="twist"))
OWN = replace(SETTINGS, camera=replace(SETTINGS.camera, width=640, height=480))
SQUEEZED = TopicFacts(name="/front/image_raw/compressed", largest=600_000)
"""Pictures that came compressed, larger than most."""
CHAINED = replace(SETTINGS, safety=replace(SETTINGS.safety, emergency_stop_timeout_s=0.5))

FAULTS: dict[str, tuple[Callable[[], list[Finding]], str, str, str]] = {
    "ros absent": (
        lambda: list(check_ros(RosFacts(absent="No module named 'rclpy'"))),
        "fail",
        "rclpy",
        "source ROS 2",
    ),
    "another middleware": (
        lambda: list(check_ros(RosFacts("7", "rmw_zenoh_cpp"))),
        "warn",
        "rmw_zenoh_cpp",
        "RMW_IMPLEMENTATION=rmw_fastrtps_cpp",
    ),
    "impossible domain": (
        lambda: list(check_domain(machine(environment={"ROS_DOMAIN_ID": "999"}))),
        "fail",
        "'999'",
        "0 to 232",
    ),
    "discovery off": (
        lambda: list(check_domain(machine(environment={"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}))),
        "fail",
        "do not find",
        "LOCALHOST",
    ),
    "no picture": (
        lambda: list(check_machine(machine(graphics="no egl; apt-get install libegl1"), simulated=True)),
        "warn",
        "no picture",
        "apt-get install",
    ),
    "images that a driver from this shell would lose": (
        lambda: list(check_images(machine(), OWN.camera)),
        "warn",
        "a camera's driver from this shell has 0.5 MiB, which holds 0 images",
        f"export FASTRTPS_DEFAULT_PROFILES_FILE={share_path('config/fastdds.xml')}",
    ),
    "images that the running driver loses": (
        lambda: list(check_images(machine(), OWN.camera, segments={"/driver": SEGMENT})),
        "fail",
        "/driver has a segment of 0.5 MiB",
        "the camera's driver included, and start it again",
    ),
    "compressed images that the running driver loses": (
        lambda: list(check_images(machine(), OWN.camera, segments={"/driver": SEGMENT}, heard=SQUEEZED)),
        "fail",
        "0.5 MiB, which holds 0 images",
        "start it again",
    ),
    "images that do not fit a socket": (
        lambda: list(check_images(machine(), OWN.camera, "rmw_cyclonedds_cpp")),
        "warn",
        "0.2 MiB, 0 images",
        "sysctl -w net.core.rmem_max=8388608",
    ),
    "small /dev/shm": (
        lambda: list(check_images(machine(shared_memory=2**24), SETTINGS.camera)),
        "warn",
        "/dev/shm has 16.0 MiB",
        "--shm-size=112m",
    ),
    "segments of killed processes": (
        lambda: list(check_left_over(machine(left_over=700))),
        "warn",
        "700 segments of killed processes",
        "rm /dev/shm/fastrtps_*",
    ),
    "wrong domain": (
        lambda: list(check_graph(GraphFacts("7", "/", (), elsewhere=frozenset({"3"})), SETTINGS, CAR)),
        "fail",
        "run here in domain 3",
        "ROS_DOMAIN_ID=3",
    ),
    "no graph": (
        lambda: list(check_graph(GraphFacts("7", "/", ()), SETTINGS, CAR)),
        "fail",
        "nobody else in domain 7",
        "start the robot's drivers",
    ),
    "inactive node": (
        lambda: list(
            check_graph(replace(healthy(), states={**healthy().states, "safety_node": "inactive"}), SETTINGS, CAR)
        ),
        "fail",
        "is inactive",
        "ros2 lifecycle set /safety_node activate",
    ),
    "cut emergency stop": (
        lambda: list(check_graph(with_topic("emergency_stop", publishers=(), count=0), CHAINED, CAR)),
        "fail",
        "nobody publishes it",
        "every 0.5 s",
    ),
    "silent emergency stop": (
        lambda: list(check_graph(with_topic("emergency_stop", count=0), CHAINED, CAR)),
        "fail",
        "says nothing",
        "close the chain",
    ),
    "missing joint": (
        lambda: list(check_graph(with_topic("joint_states", record=joints("rear_left_wheel_joint")), SETTINGS, CAR)),
        "fail",
        "lacks rear_left_wheel_joint",
        "joint_state_broadcaster",
    ),
    "joint without velocity": (
        lambda: list(
            check_graph(
                with_topic("joint_states", record=replace(joints(), velocity=np.full(6, np.nan))), SETTINGS, CAR
            )
        ),
        "fail",
        "no velocity of",
        "velocity",
    ),
    "rival": (
        lambda: list(check_graph(with_topic("command", publishers=("/joy", "/safety_node")), SETTINGS, CAR)),
        "fail",
        "published by /joy too",
        "end /joy",
    ),
    "nobody obeys": (
        lambda: list(
            check_graph(
                replace(
                    healthy(),
                    topics={topic: replace(facts, subscribers=()) for topic, facts in healthy().topics.items()},
                ),
                SETTINGS,
                CAR,
            )
        ),
        "fail",
        "nobody listens",
        "controller",
    ),
    "joints in another order": (
        lambda: list(check_graph(replace(healthy(), controlled=CAR.joint_names[::-1]), SETTINGS, CAR)),
        "fail",
        "drives rear_right_wheel_joint, ",
        "let its parameter 'joints' be front_left_steer_joint, ",
    ),
    "rival by wire": (
        lambda: list(check_graph(with_topic("cmd_vel", publishers=("/safety_node", "/teleop")), BY_WIRE, CAR)),
        "fail",
        "published by /teleop too",
        "end /teleop",
    ),
    "nobody drives by wire": (
        lambda: list(
            check_graph(
                replace(
                    healthy(),
                    topics={
                        topic: replace(facts, subscribers=("/logger",) if topic in OUTPUTS["effort"] else ())
                        for topic, facts in healthy().topics.items()
                    },
                ),
                BY_WIRE,
                CAR,
            )
        ),
        "fail",
        "nobody listens",
        "listens to cmd_vel or motion_request",
    ),
    "dead topic": (
        lambda: list(check_graph(with_topic("imu", count=0), SETTINGS, CAR)),
        "fail",
        "/driver publishes nothing",
        "log of /driver",
    ),
    "absent topic": (
        lambda: list(check_graph(with_topic("points", publishers=(), count=0), SETTINGS, CAR)),
        "fail",
        "nobody publishes it",
        "remap",
    ),
    "wrong type": (
        lambda: list(check_graph(with_topic("points", types=("sensor_msgs/msg/LaserScan",)), SETTINGS, CAR)),
        "fail",
        "must be sensor_msgs/msg/PointCloud2",
        "convert",
    ),
    "pictures by another name": (
        lambda: list(
            check_graph(
                replace(
                    with_topic("camera/image_raw", publishers=(), types=()),
                    pictures={"/front/image_raw": TOPICS["camera/image_raw"].type},
                ),
                SETTINGS,
                CAR,
            )
        ),
        "fail",
        "nobody publishes it",
        "let camera.topic of the settings name where it publishes; topics of pictures: /front/image_raw (sensor_msgs",
    ),
    "raw pictures by the name of compressed ones": (
        lambda: list(check_graph(with_topic("camera/image_raw", name=SQUEEZED.name), SETTINGS, CAR)),
        "fail",
        "/front/image_raw/compressed is sensor_msgs/msg/Image; it must be sensor_msgs/msg/CompressedImage",
        "compressed pictures are on a topic that ends in /compressed",
    ),
    "slow sensor": (
        lambda: list(check_graph(with_topic("odom", rate_hz=12.0), SETTINGS, CAR)),
        "fail",
        "below 20.0 Hz",
        "raise the rate",
    ),
    "another camera rate": (
        lambda: list(check_graph(with_topic("camera/image_raw", rate_hz=15.0), SETTINGS, CAR)),
        "warn",
        "settings state 20 Hz",
        "set /driver to 20 Hz",
    ),
    "clock behind": (
        lambda: list(check_graph(with_topic("imu", behind_s=2.0), SETTINGS, CAR)),
        "fail",
        "2.00 s behind",
        "chrony",
    ),
    "clock ahead": (
        lambda: list(check_graph(with_topic("points", behind_s=-0.08), SETTINGS, CAR)),
        "warn",
        "0.08 s ahead",
        "chrony",
    ),
    "wrong image size": (
        lambda: list(check_graph(healthy(), OWN, CAR)),
        "fail",
        "160 × 80 px; the settings state 640 × 480",
        "set the driver",
    ),
    "more scan planes than stated": (
        lambda: list(
            check_graph(
                with_topic("points", record=Points(0, np.ones((2, 3), np.float32), np.array([0, 7], np.int32))),
                SETTINGS,
                CAR,
            )
        ),
        "fail",
        "has rings 0 to 7; the settings state 7 planes, 0 to 6",
        "ranging.elevation_deg",
    ),
    "wrong encoding": (
        lambda: list(
            check_graph(with_topic("camera/image_raw", record=None, fault="image has encoding 'mono8'"), SETTINGS, CAR)
        ),
        "fail",
        "mono8",
        "driver",
    ),
    "other lens": (
        lambda: list(
            check_graph(
                with_topic("camera/camera_info", record=camera_info(0, replace(SETTINGS.camera, fov_deg=60.0))),
                SETTINGS,
                CAR,
            )
        ),
        "warn",
        "sees 60.0°",
        "state it",
    ),
    "axis off the centre": (
        lambda: list(check_graph(off_axis(9.0), SETTINGS, CAR, read_bundle(BUNDLE))),
        "fail",
        "may be missing",
        "camera_calibration",
    ),
    "camera not calibrated": (
        lambda: list(
            check_graph(
                with_topic("camera/camera_info", record=replace(camera_info(0, SETTINGS.camera), k=np.zeros((3, 3)))),
                SETTINGS,
                CAR,
            )
        ),
        "warn",
        "not calibrated",
        "camera_calibration",
    ),
    "camera turned to the left": (
        lambda: list(check_graph(driven(5.0), SETTINGS, CAR)),
        "warn",
        "on 120 m the lane's heading was +5.0° off the way driven in it",
        "the camera looks too far to the left: turn it on its mount",
    ),
    "camera turned to the right": (
        lambda: list(check_graph(driven(-5.0), SETTINGS, CAR)),
        "warn",
        "-5.0° off the way",
        "the camera looks too far to the right",
    ),
    "quality": (
        lambda: list(check_graph(with_topic("odom", mismatched=("/driver → /policy_node: x",)), SETTINGS, CAR)),
        "fail",
        "no message passes",
        "reliable",
    ),
}


def driven(degrees: float) -> GraphFacts:
    """12 s at 10 m/s along the lane, seen by a camera that is turned to the left by so much."""
    stamps = range(0, 12_050_000_000, 50_000_000)
    lanes = [LaneEstimate(stamp, 0.3, np.radians(degrees), np.zeros(4), np.zeros(6)) for stamp in stamps]
    odometry = [Odometry(stamp, 0.0, 0.0, 0.0, 10.0, 0.0) for stamp in stamps]
    graph = with_topic("lane", course=tuple(lanes))
    return replace(graph, topics={**graph.topics, "odom": replace(graph.topics["odom"], course=tuple(odometry))})


def off_axis(degrees: float) -> GraphFacts:
    info = camera_info(0, SETTINGS.camera)
    info.k[0, 2] += info.k[0, 0] * np.tan(np.radians(degrees))
    return with_topic("camera/camera_info", record=info)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_the_only_one_found_and_its_mend_is_named(name: str) -> None:
    plant, verdict, said, remedy = FAULTS[name]
    found = bad(plant())
    mine = [finding for finding in found if said in finding.said]
    assert mine, found
    assert mine[0].verdict.value == verdict
    assert remedy in mine[0].remedy
    assert len(found) == 1 or name == "wrong image size", found  # its camera_info is of another size too


def test_a_camera_that_looks_where_it_should_is_told_after_a_drive() -> None:
    findings = list(check_graph(driven(0.0), SETTINGS, CAR))
    assert bad(findings) == []
    assert [finding.said for finding in findings if finding.check == "camera mount"] == [
        "on 120 m the lane's heading was +0.0° off the way driven in it"
    ]


def test_a_camera_that_is_rectified_is_told_and_no_warning() -> None:
    findings = list(check_graph(off_axis(3.0), SETTINGS, CAR, read_bundle(BUNDLE)))
    assert bad(findings) == []
    assert any("pictures are rectified" in finding.said for finding in findings)


def test_a_moved_camera_and_a_bundle_that_does_not_tell_its_own_are_found(tmp_path: Path) -> None:
    urdf = tmp_path / "moved.urdf.xacro"
    urdf.write_text(share_path("urdf/car.urdf.xacro").read_text().replace('"2.4 0 1.36"', '"1.2 0 1.7"'))
    moved = replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, urdf=str(urdf)))
    (finding,) = bad(list(check_bundle(BUNDLE, moved, CAR)))
    assert finding.verdict is Verdict.FAIL
    assert "camera_link is at (1.2, 0, 1.7) m" in finding.said
    assert "tidegate train" in finding.remedy
    folder = Path(shutil.copytree(BUNDLE, tmp_path / "before"))
    described = json.loads((folder / "bundle.json").read_text())
    del described["camera"]
    (folder / "bundle.json").write_text(json.dumps(described))
    write_manifest(folder)
    (finding,) = bad(list(check_bundle(folder, SETTINGS, CAR)))
    assert finding.verdict is Verdict.WARN
    assert "does not say what camera" in finding.said


def test_a_segment_too_small_for_the_camera_is_read_off_the_profile(tmp_path: Path) -> None:
    shipped = share_path("config/fastdds.xml")
    assert segment_size(shipped) == 8 * 2**20
    small = tmp_path / "small.xml"
    small.write_text(shipped.read_text().replace("8388608", "524288"))
    where = machine(environment={"FASTRTPS_DEFAULT_PROFILES_FILE": str(small)})
    (finding,) = bad(list(check_images(where, OWN.camera)))
    assert finding.verdict is Verdict.FAIL
    assert "0.5 MiB, which holds 0 images of 640 × 480 px" in finding.said
    assert f"FASTRTPS_DEFAULT_PROFILES_FILE={shipped}" in finding.remedy
    unused = tmp_path / "unused.xml"
    unused.write_text(shipped.read_text().replace('is_default_profile="true"', ""))
    assert segment_size(unused) == SEGMENT
    (absent,) = bad(list(check_images(machine(environment={"FASTRTPS_DEFAULT_PROFILES_FILE": "/no"}), OWN.camera)))
    assert "No such file" in absent.said


def test_room_is_counted_by_the_compressed_pictures_that_came() -> None:
    settings = replace(OWN, camera=replace(OWN.camera, topic="front/image_raw/compressed"))
    (unknown,) = check_images(machine(), settings.camera)
    assert unknown.verdict is Verdict.OK
    heard = replace(SQUEEZED, largest=60_000)
    (fits,) = check_images(machine(), settings.camera, segments={"/driver": SEGMENT}, heard=heard)
    assert fits.verdict is Verdict.OK
    assert "holds 8 images of 640 × 480 px" in fits.said


def test_a_full_disk_is_found_where_bags_would_go() -> None:
    """/proc is a file system without any room, whatever machine this is."""
    full = machine_facts({}, Path("/proc/bags"), 70, "")
    assert full.free == 0
    (finding,) = bad(list(check_disk(full, SETTINGS)))
    assert finding.verdict is Verdict.FAIL
    assert "/proc/bags has room for 0 min" in finding.said
    assert "delete old bags" in finding.remedy


def test_bundles_that_are_corrupt_of_another_robot_or_of_another_mass_are_told(tmp_path: Path) -> None:
    def found(change: Callable[[Path], None]) -> Finding:
        folder = tmp_path / change.__name__
        shutil.copytree(BUNDLE, folder)
        change(folder)
        (finding,) = bad(list(check_bundle(folder, SETTINGS, CAR)))
        return finding

    def manifest(folder: Path, **other: object) -> None:
        path = folder / "bundle.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **other}))
        write_manifest(folder)

    def corrupt(folder: Path) -> None:
        data = bytearray((folder / "weights.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "weights.safetensors").write_bytes(data)

    def another(folder: Path) -> None:
        manifest(folder, robot="boat")

    def heavy(folder: Path) -> None:
        manifest(folder, mass_kg=2400.0)

    spoilt = found(corrupt)
    assert "is corrupt" in spoilt.said
    assert "git checkout" in spoilt.remedy
    assert "made for robot 'boat'" in found(another).said
    weighed = found(heavy)
    assert weighed.verdict is Verdict.WARN
    assert "2400 kg" in weighed.said
    (absent,) = bad(list(check_bundle(tmp_path / "nothing", SETTINGS, CAR)))
    assert "no such bundle" in absent.said


def test_settings_and_urdf_that_are_refused_are_lines(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("/**:\n  ros__parameters:\n    camera: {rate_hz: 0.0}\n")
    findings: list[Finding] = []
    assert read_robot(wrong, findings) is None
    assert "camera.rate_hz" in bad(findings)[0].said
    wrong.write_text("/**:\n  ros__parameters:\n    vehicle: {urdf: nowhere.xacro}\n")
    findings = []
    assert read_robot(wrong, findings) is None
    assert "no such robot description" in bad(findings)[0].said


def test_the_command_without_rclpy_and_without_gl_tells_both_in_lines_and_fails() -> None:
    """A real process in which rclpy cannot be imported and no graphics library is asked for that exists."""
    script = "import sys; sys.modules['rclpy'] = None; from tidegate.cli.app import main; main()"
    words = [sys.executable, "-c", script, "doctor", "--offline", "--json"]
    environment = {**os.environ, "MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa", "ROS_DOMAIN_ID": "5"}
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    told = {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert told["ros"]["verdict"] == "fail"
    assert "pip install 'tidegate[ros]'" in told["ros"]["remedy"]
    assert told["bundle"]["verdict"] == "ok"
    if told["graphics"]["verdict"] == "warn":  # elsewhere the library may be installed
        assert "osmesa" in told["graphics"]["remedy"]
