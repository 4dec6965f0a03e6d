# SPDX-License-Identifier: Apache-2.0
"""An arm that drives itself, over real DDS: camera, perception, policy, filter and simulator in lock-step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")
pytest.importorskip("torch")

from arm_graph import ARM_YAML, ArmGraph, arm, patient
from rclpy.experimental import EventsExecutor
from rclpy.serialization import serialize_message

from tidegate.arm_stack import ArmStack
from tidegate.messages import PICTURES, TOPICS, encode
from tidegate.nodes import filter_node
from tidegate.nodes.arm_perception_node import ArmPerceptionNode
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name
from tidegate.records import Frame, JointStates, Level, Mode, Wrench
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm.told import write_told

SETTINGS = load_arm_settings(ARM_YAML)
SHIPPED = share_path("config/arm.yaml").parents[1] / "models/arm-ltc19"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    ArmStack(SETTINGS, 3000).to_bundle("arm-test").save(folder)
    return folder


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see it brake


def test_from_the_camera_to_torques_every_record_is_that_of_its_round(
    ros: EventsExecutor, untrained: Path, tmp_path: Path
) -> None:
    """And a second drive repeats the first to the bit."""
    told, drives = write_told(ARM_YAML, "press", 1000, tmp_path), []
    for _ in range(2):
        graph = ArmGraph(ros, file=told, scene="press", seed=1000, bundle=untrained)
        user = graph.user
        user.until(Mode.NORMAL)
        user.ticks(60)
        assert user.mode == Mode.NORMAL
        nominal, joints = user.heard["nominal"], user.heard["joint_states"]
        stamps = [command.stamp for command in nominal]
        assert len(stamps) > 60
        assert stamps == [record.stamp for record in joints[: len(stamps)]]
        pictures = [record.stamp for record in user.heard["features"]]
        assert pictures == [50_000_000 * number for number in range(len(pictures))]
        assert [record.stamp for record in user.heard["neurons"]] == pictures[: len(user.heard["neurons"])]
        assert {record.level for record in user.heard["health"]} == {Level.OK}
        drives.append(np.array([command.effort for command in nominal[:60]]))
        graph.close()
    np.testing.assert_array_equal(*drives)


def test_without_a_camera_nothing_is_asked_for_and_the_arm_is_stopped(ros: EventsExecutor, untrained: Path) -> None:
    """On a robot: joint states come from its drivers, pictures do not any more; then one of another size."""
    graph = ArmGraph(ros, bundle=untrained, simulate=False, lock_step=False)
    user, camera = graph.user, SETTINGS.camera
    senders = {
        topic: user.node.create_publisher(message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, False))
        for topic in (PICTURES, "joint_states", "wrench")
    }
    random = np.random.default_rng(1000)

    def picture(height: int) -> None:
        image = random.integers(20, 200, (height, camera.width, 3)).astype(np.uint8)
        stamp = user.node.get_clock().now().nanoseconds
        senders[PICTURES].publish(encode(Frame(stamp, image), make))

    def driven() -> None:
        stamp, count = user.node.get_clock().now().nanoseconds, len(arm().joint_names)
        position = np.array(SETTINGS.simulator.start) + 1e-5 * random.standard_normal(count)
        state = JointStates(stamp, arm().joint_names, position, 1e-4 * random.standard_normal(count), np.zeros(count))
        senders["joint_states"].publish(encode(state, make))
        senders["wrench"].publish(encode(Wrench(stamp, np.zeros(3), np.zeros(3), arm().tool), make))

    def asked() -> bool:
        driven()
        picture(camera.height)
        return bool(user.heard["nominal"])

    def lost() -> bool:
        driven()
        picture(camera.height // 2)
        return user.newest("health").level == Level.ERROR

    def silent() -> bool:
        """While joint states go on."""
        heard, joints = len(user.heard["nominal"]), len(user.heard["joint_states"])

        def more() -> bool:
            driven()
            return len(user.heard["joint_states"]) > joints + 30

        patient(ros, more, "joint states are heard")
        return len(user.heard["nominal"]) == heard

    patient(ros, asked, "torques are asked for")
    patient(ros, lost, "no picture can be used")
    patient(ros, silent, "nothing is asked for")
    assert "image is 160 × 56 px" in user.newest("health").reasons[0]
    graph.close()


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED.exists(), reason="no model of the arm is shipped")
@pytest.mark.parametrize(("scene", "seconds"), [("press", 3.5), ("hand_over", 4.0)])
def test_the_shipped_policy_does_in_the_live_graph_what_it_does_in_evaluation(
    ros: EventsExecutor, tmp_path: Path, scene: str, seconds: float
) -> None:
    graph = ArmGraph(ros, file=write_told(ARM_YAML, scene, 1001, tmp_path), scene=scene, seed=1001, bundle=SHIPPED)
    graph.user.until(Mode.NORMAL)
    graph.user.ticks(round(seconds * SETTINGS.safety.rate_hz))
    truth = graph.user.newest("truth").values
    graph.close()
    assert truth["done"] == 1.0, truth
    assert truth["excess"] == 0.0


def test_a_picture_that_was_queued_when_its_node_was_cleaned_up_is_left_alone(ros: EventsExecutor) -> None:
    image = Frame(1, np.full((SETTINGS.camera.height, SETTINGS.camera.width, 3), 90, np.uint8))
    node = ArmPerceptionNode(["--ros-args", "--params-file", str(ARM_YAML)])
    try:
        node._see(PICTURES, serialize_message(encode(image, make)))
    finally:
        node.destroy_node()
