# SPDX-License-Identifier: Apache-2.0
"""Each planted fault is the only one that the doctor finds, and its mend is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sound import (
    BUNDLE,
    BY_WIRE,
    CAR,
    CHAINED,
    OWN,
    SETTINGS,
    SQUEEZED,
    bad,
    driven,
    healthy,
    joints,
    machine,
    off_axis,
    with_topic,
)

from tidegate.doctor.facts import GraphFacts, RosFacts
from tidegate.doctor.finding import Finding
from tidegate.doctor.graph import check_graph
from tidegate.doctor.images import SEGMENT, check_images
from tidegate.doctor.machine import check_machine
from tidegate.doctor.middleware import check_domain, check_ros
from tidegate.doctor.robot import read_bundle
from tidegate.doctor.segments import check_left_over
from tidegate.messages import TOPICS, camera_info
from tidegate.messages.rates import OUTPUTS
from tidegate.records import Points
from tidegate.share import share_path

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


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_the_only_one_found_and_its_mend_is_named(name: str) -> None:
    plant, verdict, said, remedy = FAULTS[name]
    found = bad(plant())
    mine = [finding for finding in found if said in finding.said]
    assert mine, found
    assert mine[0].verdict.value == verdict
    assert remedy in mine[0].remedy
    assert len(found) == 1 or name == "wrong image size", found  # its camera_info is of another size too
