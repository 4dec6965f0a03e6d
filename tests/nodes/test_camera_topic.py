# SPDX-License-Identifier: Apache-2.0
"""``camera.topic``: who looks at the camera looks where the robot's driver publishes, raw or compressed; bags keep our
names."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from plant import CAR_YAML, until
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import SettingsError
from tidegate.messages import COMPRESSED, LENS, PICTURES, TOPICS, camera_info, decode, encode, published_as, type_on
from tidegate.messages.compressed import decompress
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.saliency_node import SaliencyNode
from tidegate.nodes.topics import camera_names, make, message_class, offered_qos, requested_qos
from tidegate.nodes.watching import watching
from tidegate.perception import Perception
from tidegate.records import Frame, Level
from tidegate.settings import Settings
from tidegate.share import share_path

RAW, JPEG = "/front/image_raw", "/front/image_raw/compressed"
PERIOD = 50_000_000


@pytest.mark.parametrize(
    ("camera", "lens", "kind"),
    [
        ("camera/image_raw", "camera/camera_info", TOPICS[PICTURES].type),
        ("/front/image_raw", "/front/camera_info", TOPICS[PICTURES].type),
        ("left/zed/image_color/compressed", "left/zed/camera_info", COMPRESSED[PICTURES]),
        ("pictures/compressed", "camera_info", COMPRESSED[PICTURES]),
        ("pictures", "camera_info", TOPICS[PICTURES].type),
    ],
)
def test_the_name_says_where_camera_info_is_and_of_what_type_pictures_are(camera: str, lens: str, kind: str) -> None:
    assert (published_as(PICTURES, camera), published_as(LENS, camera)) == (camera, lens)
    assert type_on(PICTURES, camera) == kind
    assert type_on(LENS, lens) == TOPICS[LENS].type
    others = [topic for topic in TOPICS if topic not in (PICTURES, LENS)]
    assert [published_as(topic, camera) for topic in others] == others


LOOK = {"perception_node", "saliency_node", "recorder_node"}


@pytest.mark.parametrize("feigned", ["simulation", "replay", "gazebo", "robot"])
def test_who_hears_feigned_sensors_hears_them_by_our_names(feigned: str) -> None:
    """A robot's own name may be absolute: a simulated picture there would reach the robot."""
    pytest.importorskip("launch")
    told = {}
    for action in every(described(f"{feigned}.launch.py").entities):
        name = getattr(action, "node_executable", "")
        if name in LOOK:
            told[name] = dict(pair for one in action._Node__parameters if isinstance(one, dict) for pair in one.items())
    assert told.keys() == LOOK
    for parameters in told.values():
        values = {text(name): value for name, value in parameters.items()}
        assert ("camera.topic" in values) == (feigned != "robot")
        if feigned != "robot":
            assert yaml.safe_load(text(values["camera.topic"])) == PICTURES
    for simulate in (True, False):
        values = GraphOptions(Path(), CAR_YAML, simulate=simulate).parameters()["perception_node"]
        assert values.get("camera.topic") == (PICTURES if simulate else None)


def every(actions: Iterable[Any]) -> Iterator[Any]:
    """The actions of a description, those for a car included; an arm has no camera."""
    for action in actions:
        yield action
        for condition, some in action.describe_conditional_sub_entities():
            yield from some if "car" in condition else ()


def text(parts: Any) -> str:
    """Of plain text or YAML, as launch keeps it."""
    return "".join(getattr(part, "text", "?") for part in getattr(parts, "value", parts))


def described(name: str) -> Any:
    spec = importlib.util.spec_from_file_location("some_launch", share_path("launch") / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def file_of(folder: Path, topic: str) -> Path:
    """The car's settings with another topic of the camera."""
    document = yaml.safe_load(CAR_YAML.read_text(encoding="utf-8"))
    values = document["/**"]["ros__parameters"]
    values["camera"] = {**values.get("camera", {}), "topic": topic}
    values["vehicle"]["urdf"] = str((CAR_YAML.parent / values["vehicle"]["urdf"]).resolve())
    made = folder / "own.yaml"
    made.write_text(yaml.safe_dump(document), encoding="utf-8")
    return made


def compressed(image: np.ndarray, stamp: int, form: str = "jpeg") -> CompressedImage:
    done, data = cv2.imencode(f".{form}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    message = CompressedImage(format=f"rgb8; {form} compressed bgr8", data=data.tobytes())
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


def picture(settings: Settings, seed: int) -> np.ndarray:
    """Smooth, as a JPEG likes it."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (settings.camera.width, settings.camera.height)), np.uint8)


class Driver:
    """A camera's driver: pictures on ``topic``, camera_info beside; it hears what perception says."""

    def __init__(self, added: Callable[[Any], Any], topic: str, *heard: str) -> None:
        self.node: Any = added(rclpy.create_node("camera_driver"))
        self.got: dict[str, list[Any]] = {name: [] for name in heard}
        kind = message_class(type_on(PICTURES, topic))
        lens = message_class(TOPICS[LENS].type)
        self.pictures = self.node.create_publisher(kind, topic, offered_qos(PICTURES, False))
        self.lens = self.node.create_publisher(lens, published_as(LENS, topic), offered_qos(LENS, False))
        for name in heard:
            self.node.create_subscription(
                message_class(TOPICS[name].type), name, self._keep(name), requested_qos(name, False), raw=True
            )

    def heard_by(self, count: int) -> bool:
        return all(sender.get_subscription_count() == count for sender in (self.pictures, self.lens))

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            message = deserialize_message(data, message_class(TOPICS[topic].type))
            self.got[topic].append(decode(topic, message) if TOPICS[topic].record else message)

        return keep


@pytest.fixture
def added(ros: Executor) -> Iterator[Callable[[Any], Any]]:
    """Nodes that are taken down at the end."""
    nodes: list[Any] = []

    def add(node: Any) -> Any:
        nodes.append(node)
        ros.add_node(node)
        return node

    yield add
    for node in nodes:
        getattr(node, "close", lambda: None)()
        ros.remove_node(node)
        node.destroy_node()


def perceiving(added: Callable[[Any], Any], bundle: Path, file: Path, *flags: str) -> PerceptionNode:
    node = added(PerceptionNode(["--ros-args", "--params-file", str(file), "-p", f"bundle:={bundle}", *flags]))
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    return node


@pytest.mark.parametrize("topic", [RAW, JPEG])
def test_perception_sees_and_the_recorder_keeps_what_the_drivers_topics_carry(
    ros: Executor, added: Callable[[Any], Any], bundle: Path, settings: Settings, tmp_path: Path, topic: str
) -> None:
    """And what is read from the bag gives the same features, to the bit."""
    file = file_of(tmp_path, topic)
    driver = Driver(added, topic, "features", "health")
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path / 'bag'}", "-p", f"config:={file}"])
    ros.add_node(recorder)
    perception = perceiving(added, bundle, file)
    info = camera_info(0, settings.camera)
    info.k[0, 2] += 6.0
    until(ros, lambda: driver.heard_by(2), "both listeners")
    until(ros, lambda: camera_names(driver.node, PICTURES)[PICTURES] == topic, "what perception listens to is known")
    assert camera_names(driver.node, PICTURES)[LENS] == "/front/camera_info"
    driver.lens.publish(encode(info, make))
    until(ros, lambda: perception._perception.rectifies, "the camera's intrinsics")
    for index in range(3):
        stamp, image = (1 + index) * PERIOD, picture(settings, index)
        form = "png" if index == 2 else "jpeg"
        driver.pictures.publish(compressed(image, stamp, form) if topic == JPEG else encode(Frame(stamp, image), make))
        until(ros, lambda count=index: len(driver.got["features"]) > count, "its features")
    recorder.close()
    ros.remove_node(recorder)
    recorder.destroy_node()
    reader, suffix = BagReader(tmp_path / "bag"), "/compressed" if topic == JPEG else ""
    assert reader.topics[f"/camera/image_raw{suffix}"] == type_on(PICTURES, topic)
    assert f"/{LENS}" in reader.topics
    assert not any(name.startswith("/front") for name in reader.topics)
    direct = Perception(Bundle.load(bundle, "car"), settings)
    direct.calibrate(info)
    frames = [record for _, _, record in reader.messages([PICTURES])]
    assert [frame.stamp for frame in frames] == [PERIOD, 2 * PERIOD, 3 * PERIOD]
    for frame, features in zip(frames, driver.got["features"], strict=True):
        np.testing.assert_array_equal(features.values, direct.process(frame).features.values)
    np.testing.assert_array_equal(frames[2].image, picture(settings, 2))  # PNG keeps every pixel


def test_a_damaged_picture_is_bad_health_with_its_reason_and_the_next_one_is_read(
    ros: Executor, added: Callable[[Any], Any], bundle: Path, settings: Settings, tmp_path: Path
) -> None:
    driver = Driver(added, JPEG, "features", "health")
    perceiving(added, bundle, CAR_YAML, "-p", f"camera.topic:={JPEG}")
    until(ros, lambda: driver.heard_by(1), "perception listens")
    small = np.zeros((40, 64, 3), np.uint8)
    faults = {"cut off": compressed(picture(settings, 0), 1), "JPEG or PNG": compressed(small, 2)}
    faults["cut off"].data = faults["cut off"].data[:-40]
    faults["JPEG or PNG"].data = b"GIF89a" + bytes(faults["JPEG or PNG"].data)
    faults["64 × 40"] = compressed(small, 3)
    for index, (said, message) in enumerate(faults.items()):
        driver.pictures.publish(message)
        until(ros, lambda count=index: len(driver.got["health"]) > count, said)
        health = driver.got["health"][index]
        assert (health.stamp, health.level) == (index + 1, Level.ERROR)
        assert said in health.reasons[0]
    driver.pictures.publish(compressed(picture(settings, 1), 4))
    until(ros, lambda: any(np.isfinite(one.values).all() for one in driver.got["features"]), "a good one")


def test_whatever_is_damaged_in_a_picture_nothing_is_raised(
    ros: Executor, added: Callable[[Any], Any], bundle: Path, settings: Settings
) -> None:
    """The node itself: each message is judged, those that decode to a picture by the same code as ever."""
    node = perceiving(added, bundle, CAR_YAML, "-p", f"camera.topic:={JPEG}", "-p", "lock_step:=true")
    whole = {form: bytes(compressed(picture(settings, 5), 7, form).data) for form in ("jpeg", "png")}

    @hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["jpeg", "png"]), st.floats(0, 1), st.binary(max_size=5), st.floats(0, 1) | st.just(1.0))
    def damaged(form: str, place: float, put: bytes, kept: float) -> None:
        data = bytearray(whole[form])
        at = int(place * (len(data) - 1))
        data[at : at + len(put)] = put
        message = CompressedImage(format=form, data=bytes(data[: int(kept * len(data))]))
        message.header.stamp.nanosec = 7
        node._see(PICTURES, serialize_message(message))
        health = node._status._health
        assert health.stamp == 7
        if health.level != Level.ERROR:
            assert decompress(bytes(message.data)).shape == (settings.camera.height, settings.camera.width, 3)

    damaged()
    node._see(PICTURES, b"\x00\x01")
    assert node._status._health.level == Level.ERROR


def test_perception_says_that_pictures_are_of_another_type(
    ros: Executor, added: Callable[[Any], Any], bundle: Path
) -> None:
    driver = Driver(added, RAW, "diagnostics")
    context = rclpy.Context()  # within one participant, which this process has otherwise, a topic has one type
    rclpy.init(context=context)
    stranger = rclpy.create_node("stranger", context=context)
    other = stranger.create_publisher(message_class(TOPICS[PICTURES].type), JPEG, 1)
    perceiving(added, bundle, CAR_YAML, "-p", f"camera.topic:={JPEG}")
    wanted = f"{JPEG} is sensor_msgs/msg/Image; it must be sensor_msgs/msg/CompressedImage"
    until(ros, lambda: any(wanted in one.status[0].message for one in driver.got["diagnostics"]), "it says so")
    assert other.get_subscription_count() == 0
    stranger.destroy_node()
    rclpy.try_shutdown(context=context)


def test_saliency_looks_at_compressed_pictures_and_leaves_damaged_ones_out(
    ros: Executor, added: Callable[[Any], Any], settings: Settings
) -> None:
    driver = Driver(added, JPEG)
    flags = ["-p", f"bundle:={share_path('models/car-ltc19')}", "-p", f"camera.topic:={JPEG}", "-p", "rate_hz:=0.1"]
    node = added(SaliencyNode(["--ros-args", "--params-file", str(CAR_YAML), *flags]))
    node.listen()
    until(ros, lambda: driver.heard_by(1), "it listens")
    whole, cut = compressed(picture(settings, 3), 5), compressed(picture(settings, 3), 6)
    cut.data = cut.data[:-40]
    shown = []
    for message in (cut, whole):
        driver.pictures.publish(message)
        until(ros, lambda: PICTURES in node._newest, "it has come")
        shown.append(node.show())
    assert shown[0] is None
    got = decode("saliency", shown[1])
    assert got.stamp == 5
    assert got.image.shape == picture(settings, 3).shape


def test_a_second_camera_by_the_name_of_the_contract_is_not_mixed_into_the_cars(
    ros: Executor, added: Callable[[Any], Any], tmp_path: Path
) -> None:
    driver = Driver(added, RAW)
    second = driver.node.create_publisher(message_class(TOPICS[PICTURES].type), f"/{PICTURES}", 1)
    flags = ["-p", f"path:={tmp_path / 'bag'}", "-p", f"camera.topic:={RAW}", "-p", "all_topics:=true"]
    recorder = RecorderNode(["--ros-args", *flags])
    ros.add_node(recorder)
    until(ros, lambda: driver.heard_by(1), "the recorder listens")
    for index, sender in enumerate((second, driver.pictures)):
        sender.publish(encode(Frame(index + 1, np.zeros((2, 2, 3), np.uint8)), make))
    until(ros, lambda: recorder._writer.written > 0, "it is written")
    assert second.get_subscription_count() == 0
    recorder.close()
    ros.remove_node(recorder)
    recorder.destroy_node()
    frames = [record.stamp for _, _, record in BagReader(tmp_path / "bag").messages([PICTURES])]
    assert frames == [2]


def test_what_is_no_topic_is_refused_by_the_recorder(ros: Executor, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"recorder_node: 'camera.topic' is 'a b'; it must be the name of a topic"):
        RecorderNode(["--ros-args", "-p", f"path:={tmp_path / 'bag'}", "-p", "camera.topic:='a b'"])


def test_the_watch_tells_the_drivers_topic_and_then_what_perception_listens_to(
    ros: Executor, added: Callable[[Any], Any], bundle: Path
) -> None:
    driver = Driver(added, RAW)
    other = driver.node.create_publisher(message_class(COMPRESSED[PICTURES]), JPEG, 1)
    with watching(camera=RAW) as heard:

        def told(topic: str) -> bool:
            heard.spin(0.05)
            view = heard.view()
            return (view.pictures, view.topics[PICTURES].publishers) == (topic, ("/camera_driver",))

        until(ros, lambda: told(RAW), "the driver")
        perceiving(added, bundle, CAR_YAML, "-p", f"camera.topic:={JPEG}")
        until(ros, lambda: told(JPEG), "what perception listens to")
    assert other.get_subscription_count() == 1
