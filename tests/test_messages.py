# SPDX-License-Identifier: Apache-2.0
"""Record → message → bytes → message → record, with the classes of rosbags and of rclpy."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.bag import typestore
from tidegate.errors import ImageError, MessageError
from tidegate.messages import (
    TOPICS,
    camera_info,
    decode,
    encode,
    encode_clock,
    encode_efforts,
    serialised_stamp,
    stamp_of,
)
from tidegate.messages.rates import rate_of
from tidegate.records import (
    NANOSECONDS,
    ArmSafetyState,
    BarrierState,
    CameraInfo,
    Command,
    Features,
    Frame,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    Joy,
    LaneEstimate,
    Level,
    Manual,
    Mode,
    MotionRequest,
    Neurons,
    Nominal,
    Odometry,
    Points,
    Received,
    Round,
    RowState,
    SafetyInputs,
    SafetyState,
    Twist,
    UsedInputs,
    Values,
    Wrench,
)
from tidegate.settings.sensors import CameraSettings


def rclpy_make(type_name: str) -> Any:
    package, _, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)()


def through_rosbags(message: Any) -> Any:
    return typestore.deserialise(typestore.serialise(message), message.__msgtype__)


def through_rclpy(message: Any) -> Any:
    from rclpy.serialization import deserialize_message, serialize_message

    return deserialize_message(serialize_message(message), type(message))


def rclpy_then_rosbags(message: Any) -> Any:
    """What a recorder writes and a bag reader reads."""
    from rclpy.serialization import serialize_message

    package, _, _ = type(message).__module__.partition(".")
    return typestore.deserialise(serialize_message(message), f"{package}/msg/{type(message).__name__}")


WAYS = [
    pytest.param(typestore.make, through_rosbags, id="rosbags"),
    pytest.param(rclpy_make, through_rclpy, id="rclpy"),
    pytest.param(rclpy_make, rclpy_then_rosbags, id="recorded"),
]
stamps = st.integers(0, 2**31 * 10**9 - 1)
doubles = st.floats(width=64)
singles = st.floats(width=32)
names = st.lists(st.text("abcdefgh_", min_size=1, max_size=8), min_size=1, max_size=6, unique=True).map(tuple)


def column(length: int) -> st.SearchStrategy[Any]:
    return arrays(np.float64, length, elements=doubles)


@st.composite
def joint_states(draw: st.DrawFn) -> JointStates:
    listed = draw(names)
    return JointStates(draw(stamps), listed, *(draw(column(len(listed))) for _ in range(3)))


@st.composite
def lanes(draw: st.DrawFn) -> LaneEstimate:
    knots = draw(st.integers(0, 5))
    return LaneEstimate(draw(stamps), draw(doubles), draw(doubles), draw(column(knots)), draw(column(2 + knots)))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 7)), 3)
    return Frame(draw(stamps), draw(arrays(np.uint8, shape)))


@st.composite
def clouds(draw: st.DrawFn) -> Points:
    count = draw(st.integers(0, 20))
    xyz = draw(arrays(np.float32, (count, 3), elements=singles))
    ring = draw(arrays(np.int32, count, elements=st.integers(0, 65535)))
    return Points(draw(stamps), xyz, ring, draw(st.sampled_from(["base_link", "range_link", ""])))


@st.composite
def safety_states(draw: st.DrawFn) -> SafetyState:
    listed = draw(names)
    barriers = tuple(
        BarrierState(name, draw(doubles), draw(doubles), draw(doubles), draw(st.booleans())) for name in listed
    )
    pair = st.tuples(doubles, doubles)
    who = draw(st.sampled_from(["", *listed]))
    row = st.builds(
        RowState, st.sampled_from(listed), st.integers(0, 99), doubles, doubles, st.sampled_from(["m/s²", "1", ""])
    )
    rows = draw(st.lists(row, max_size=4).map(tuple))
    return SafetyState(draw(stamps), draw(st.sampled_from(Mode)), draw(pair), draw(pair), barriers, who, rows)


@st.composite
def arm_states(draw: st.DrawFn) -> ArmSafetyState:
    listed, joints = draw(names), tuple(f"joint_{number}" for number in range(draw(st.integers(1, 7))))
    barriers = tuple(
        BarrierState(name, draw(doubles), draw(doubles), draw(doubles), draw(st.booleans())) for name in listed
    )
    who, torques = draw(st.sampled_from(["", *listed])), column(len(joints))
    mode = draw(st.sampled_from(Mode))
    return ArmSafetyState(draw(stamps), mode, joints, draw(torques), draw(torques), barriers, who)


tiny = 2 * sys.float_info.min
"""Angles [rad] below this have a half that is subnormal."""
yaws = st.one_of(st.sampled_from([0.0, -0.0]), st.floats(tiny, math.pi), st.floats(-math.pi, -tiny))
vectors = arrays(np.float32, st.integers(1, 40), elements=singles)
nanos = st.integers(0, 10**9)
used = st.one_of(st.none(), st.tuples(st.integers(10**18 - 10**10, 10**18), nanos))
RECORDS: dict[str, st.SearchStrategy[Any]] = {
    "camera/image_raw": frames(),
    "saliency": frames(),
    "camera/camera_info": st.builds(
        CameraInfo,
        stamps,
        st.integers(1, 4000),
        st.integers(1, 4000),
        arrays(np.float64, (3, 3), elements=doubles),
        st.sampled_from(["plumb_bob", "equidistant", ""]),
        column(5) | column(0) | column(8),
        st.tuples(st.integers(0, 8), st.integers(0, 8)),
        st.tuples(*[st.integers(0, 4000)] * 4),
    ),
    "joint_states": joint_states(),
    "odom": st.builds(Odometry, stamps, doubles, doubles, yaws, doubles, doubles),
    "imu": st.builds(Imu, stamps, column(3), column(3)),
    "points": clouds(),
    "wrench": st.builds(Wrench, stamps, column(3), column(3), st.sampled_from(["tool", "base_link", ""])),
    "wrench_request": st.builds(Wrench, stamps, column(3), column(3)),
    "features": st.builds(Features, stamps, vectors),
    "neurons": st.builds(Neurons, stamps, vectors),
    "lane": lanes(),
    "health": st.builds(
        ImageHealth,
        stamps,
        st.sampled_from(Level),
        st.lists(st.text("ab; :", min_size=1)).map(tuple),
        st.dictionaries(st.text("xyz", min_size=1), doubles),
    ),
    "nominal": st.builds(Nominal, stamps, doubles, doubles),
    "gains": st.builds(Gains, stamps, st.dictionaries(st.text("abc", min_size=1), doubles)),
    "joy": st.builds(
        Joy, stamps, st.lists(singles, max_size=9).map(tuple), st.lists(st.integers(-(2**31), 2**31 - 1)).map(tuple)
    ),
    "manual": st.builds(Manual, stamps, st.booleans(), doubles, doubles, st.booleans()),
    "emergency_stop": st.booleans(),
    **dict.fromkeys(
        ("command", "safety_node/would_command"),
        joint_states().map(lambda joints: Command(joints.stamp, joints.names, joints.effort)),
    ),
    "cmd_vel": st.builds(Twist, stamps, doubles, doubles),
    "motion_request": st.builds(MotionRequest, stamps, doubles, doubles, doubles, doubles),
    "safety_node/barriers": safety_states() | arm_states(),
    **dict.fromkeys(
        ("safety_node/inputs", "policy_node/inputs"),
        st.builds(
            UsedInputs,
            st.just(10**18),
            st.fixed_dictionaries({"nominal": used, "lane": used}),
            st.fixed_dictionaries({"emergency_stop": st.booleans()}),
            st.none() | st.integers(0, 2**62),
        ),
    ),
    "tick": st.builds(Round, stamps, names),
    "expert/nominal": st.builds(Nominal, stamps, doubles, doubles),
    "expert/lane": lanes(),
    **dict.fromkeys(
        ("timing/rendered", "timing/commanded", "truth"),
        st.builds(Values, stamps, st.dictionaries(st.text("abc", min_size=1), doubles)),
    ),
}


def same(one: Any, other: Any) -> None:
    """Equal in every field, NaN and the sign of zero included."""
    assert type(one) is type(other)
    if isinstance(one, bool):
        assert one == other
        return
    for name in one.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
        else:
            assert repr(left) == repr(right)


def test_every_topic_with_a_record_is_tested() -> None:
    assert set(RECORDS) == {name for name, topic in TOPICS.items() if topic.record is not None}


@pytest.mark.parametrize(("make", "wire"), WAYS)
@pytest.mark.parametrize("topic", list(RECORDS))
def test_a_record_survives(topic: str, make: Callable[[str], Any], wire: Callable[[Any], Any]) -> None:
    @given(RECORDS[topic])
    def survives(record: Any) -> None:
        message = encode(record, make)
        same(decode(topic, wire(message)), record)
        if topic not in ("emergency_stop", "tick"):
            assert stamp_of(message) == record.stamp

    survives()


@pytest.mark.parametrize("topic", list(TOPICS))
def test_the_table_names_the_type_that_is_encoded(topic: str) -> None:
    if TOPICS[topic].record is None:
        typestore.make(TOPICS[topic].type)  # exists
        return

    @given(RECORDS[topic])
    def typed(record: Any) -> None:
        assert encode(record, typestore.make).__msgtype__ == TOPICS[topic].type

    typed()


@pytest.mark.parametrize("make", [typestore.make, rclpy_make])
def test_bgr_and_padded_rows_become_rgb(make: Callable[[str], Any]) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    message = encode(Frame(5, np.concatenate([image[..., ::-1], np.zeros((2, 1, 3), np.uint8)], axis=1)), make)
    message.encoding, message.width = "bgr8", 3  # rows of 12 bytes, 9 of them used
    np.testing.assert_array_equal(decode("camera/image_raw", message).image, image)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "16UC1"}, "16UC1"),
        ({"height": 9}, "9 px"),
        ({"step": 2}, "rows of 2 bytes"),
        ({"width": 0}, "0 ×"),
    ],
)
def test_unusable_images_are_refused(change: dict[str, Any], said: str) -> None:
    message = encode(Frame(0, np.zeros((2, 3, 3), np.uint8)), typestore.make)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=said):
        decode("camera/image_raw", message)


def test_other_layouts_are_refused() -> None:
    joints = encode(JointStates(0, ("a",), np.zeros(1), np.zeros(1), np.zeros(1)), typestore.make)
    with pytest.raises(MessageError, match="lacks 'drive_force'"):
        decode("nominal", joints)
    with pytest.raises(MessageError, match="offset"):
        decode("lane", joints)
    joints.velocity = np.zeros(2)
    with pytest.raises(MessageError, match="1 names and 2 values of 'velocity'"):
        decode("joint_states", joints)
    cloud = encode(Points(0, np.zeros((1, 3), np.float32), np.zeros(1, np.int32)), typestore.make)
    cloud.fields = cloud.fields[:3]
    with pytest.raises(MessageError, match="lacks ring"):
        decode("points", cloud)


@pytest.mark.parametrize(
    ("field", "wrong"), [("datatype", 0), ("datatype", 9), ("offset", 100), ("offset", 2**32 - 1), ("step", 0)]
)
def test_a_cloud_whose_fields_do_not_fit_its_points_is_refused(field: str, wrong: int) -> None:
    cloud = encode(Points(0, np.zeros((1, 3), np.float32), np.zeros(1, np.int32)), typestore.make)
    if field == "step":
        cloud.point_step = wrong
    else:
        setattr(cloud.fields[-1], field, wrong)
    with pytest.raises(MessageError, match="bytes a point has x at byte 0 of type 7"):
        decode("points", cloud)


def test_a_ring_that_is_no_number_is_no_ring() -> None:
    cloud = encode(Points(0, np.full((1, 3), np.nan, np.float32), np.zeros(1, np.int32)), typestore.make)
    cloud.fields[-1].datatype, cloud.fields[-1].offset = 7, 0
    assert (decode("points", cloud).ring < 0).all()


def test_barriers_of_a_bag_from_before_have_no_rows_and_what_is_no_row_is_refused() -> None:
    state = SafetyState(
        3, Mode.HOLD, (1.0, 2.0), (3.0, 4.0), (BarrierState("lane", 0.4, -0.1, 2.0, True),), "lane",
        (RowState("lane", 1, 2.0, 0.3, "m/s²"), RowState("lane", 0, 0.0, 0.1, "m/s²")),
    )  # fmt: skip
    message = encode(state, typestore.make)
    assert list(message.name)[5:] == ["lane.1 [m/s²]", "lane.0 [m/s²]"]
    assert list(message.position)[5:] == [0.3, 0.1]
    for wrong in ("lane [m/s²]", "lane.x [m/s²]", "lane.1", f"lane.{'1' * 5000} []"):
        message.name[-1] = wrong
        with pytest.raises(MessageError, match="must end with mode, intervened"):
            decode("safety_node/barriers", message)
    message.name = message.name[:5]
    for column in ("position", "velocity", "effort"):
        setattr(message, column, getattr(message, column)[:5])
    assert decode("safety_node/barriers", message) == replace(state, rows=())


def test_absent_columns_are_nan() -> None:
    joints = encode(JointStates(0, ("a", "b"), np.ones(2), np.ones(2), np.zeros(0)), rclpy_make)
    assert np.isnan(decode("joint_states", joints).effort).all()


@pytest.mark.parametrize("order", "<>")
def test_a_foreign_cloud_is_read_by_its_fields(order: str) -> None:
    """Doubles of either byte order, another order of fields, padding and a field that nobody asked for."""
    double = f"{order}f8"
    kind = np.dtype({"names": ["ring", "z", "y", "x"], "formats": ["u1", double, double, double], "itemsize": 40})
    points = np.zeros(4, kind)
    for index, name in enumerate("xyz"):
        points[name] = np.arange(4) + 10 * index
    points["ring"] = 3
    message = encode(Points(7, np.zeros((0, 3), np.float32), np.zeros(0, np.int32)), typestore.make)
    message.width, message.point_step, message.data = 4, 40, points.view(np.uint8).reshape(-1)
    message.is_bigendian = order == ">"
    message.fields = []
    for name, code in (("ring", 2), ("z", 8), ("y", 8), ("x", 8), ("intensity", 7)):
        field = typestore.make("sensor_msgs/msg/PointField")
        field.name, field.datatype, field.count = name, code, 1
        field.offset = kind.fields[name][1] if name in kind.fields else 36
        message.fields.append(field)
    found = decode("points", message)
    np.testing.assert_array_equal(found.xyz[2], [2, 12, 22])
    assert found.ring.tolist() == [3] * 4


def test_a_tilted_pose_gives_its_yaw() -> None:
    """Roll by 90° about x, then yaw by 0.4 about z: q = q_z(0.4) q_x(0.3), multiplied out by hand."""
    message = encode(Odometry(0, 0.0, 0.0, 0.0, 0.0, 0.0), typestore.make)
    q, (sz, cz), (sx, cx) = (
        message.pose.pose.orientation,
        (math.sin(0.2), math.cos(0.2)),
        (math.sin(0.15), math.cos(0.15)),
    )
    q.w, q.x, q.y, q.z = cz * cx, cz * sx, sz * sx, sz * cx
    assert decode("odom", message).yaw == pytest.approx(0.4)


@pytest.mark.parametrize("q", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 2.0), (0.001, 0.0, 1.4, 1.4), (math.inf, 0, 0, 0)])
def test_an_orientation_that_is_no_rotation_gives_no_yaw(q: tuple[float, ...]) -> None:
    message = encode(Odometry(0, 0.0, 0.0, 0.0, 1.0, 0.0), typestore.make)
    turned = message.pose.pose.orientation
    turned.x, turned.y, turned.z, turned.w = q
    assert math.isnan(decode("odom", message).yaw)


def test_an_inertial_sensor_that_says_that_it_has_no_gyroscope_tells_no_turn() -> None:
    message = encode(Imu(0, np.zeros(3), np.ones(3)), typestore.make)
    message.angular_velocity_covariance[0] = -1.0
    imu = decode("imu", message)
    assert np.isnan(imu.angular_velocity).all()
    assert (imu.linear_acceleration == 1).all()


def test_a_stamp_that_is_none_is_refused_and_no_stamp() -> None:
    """What is made of a frame carries its stamp: a second more than its seconds may hold could not be sent."""
    from rclpy.serialization import serialize_message

    message = rclpy_make("sensor_msgs/msg/Imu")
    message.header.stamp.sec, message.header.stamp.nanosec = 2**31 - 1, 4_000_000_000
    with pytest.raises(MessageError, match="4000000000 ns besides"):
        decode("imu", message)
    assert serialised_stamp(serialize_message(message)) is None


def test_features_in_the_other_order_of_bytes_are_refused() -> None:
    message = encode(Features(0, np.ones(4, np.float32)), typestore.make)
    message.is_bigendian = 1
    with pytest.raises(ImageError, match="big-endian"):
        decode("features", message)


@pytest.mark.parametrize(("topic", "name"), [("joint_states", "a"), ("nominal", "drive_force"), ("manual", "engaged")])
def test_a_name_that_stands_twice_is_refused(topic: str, name: str) -> None:
    records = {
        "joint_states": JointStates(0, ("a", "b"), *np.zeros((3, 2))),
        "nominal": Nominal(0, 1.0, 2.0),
        "manual": Manual(0, True, 1.0, 2.0),
    }
    message = encode(records[topic], typestore.make)
    message.name = [*message.name, name]
    for column in ("position", "velocity", "effort"):
        values = getattr(message, column)
        setattr(message, column, np.append(values, 1.0) if len(values) else values)
    with pytest.raises(MessageError, match=f"{name} more than once"):
        decode(topic, message)


def test_a_lane_whose_curvatures_are_in_another_order_is_refused() -> None:
    message = encode(LaneEstimate(0, 0.0, 0.0, np.zeros(4), np.ones(6)), typestore.make)
    message.name = ["offset", "heading", *(f"curvature_{index}" for index in (3, 2, 1, 0))]
    with pytest.raises(MessageError, match="curvature_3"):
        decode("lane", message)


@given(st.floats(-tiny, tiny))
def test_a_yaw_whose_half_lacks_digits_survives_to_the_smallest_double(yaw: float) -> None:
    message = encode(Odometry(0, 0.0, 0.0, yaw, 0.0, 0.0), typestore.make)
    assert abs(decode("odom", message).yaw - yaw) <= math.ulp(0.0)


def test_a_take_over_of_before_hands_nothing_back() -> None:
    message = encode(Manual(0, True, 1.0, 0.0, hand_back=True), typestore.make)
    message.name, message.position, message.effort = message.name[:3], message.position[:3], message.effort[:3]
    assert decode("manual", message) == Manual(0, True, 1.0, 0.0, hand_back=False)


def test_efforts_and_clock() -> None:
    command = Command(3, ("a", "b"), np.array([1.5, -2.0]))
    for make in (typestore.make, rclpy_make):
        assert list(encode_efforts(command.effort, make).data) == [1.5, -2.0]
        clock = encode_clock(3_000_000_004, make).clock
        assert (clock.sec, clock.nanosec) == (3, 4)


def test_the_intrinsics_project_the_edge_of_the_field_of_view_to_the_edge_of_the_image() -> None:
    camera = CameraSettings()
    info = camera_info(0, camera)
    angle = math.radians(camera.fov_deg / 2)
    assert (info.k @ [0, math.tan(angle), 1])[1] == pytest.approx(
        camera.height - 0.5
    )  # pixel centres are whole numbers
    assert (info.k @ [0, 0, 1])[:2] == pytest.approx([(camera.width - 1) / 2, (camera.height - 1) / 2])


def test_used_inputs_are_read_off_the_inputs() -> None:
    inputs = SafetyInputs(now=100, nominal=Received(Nominal(40, 0.0, 0.0), 60), emergency_stop=True)
    found = UsedInputs.of(inputs)
    assert found.inputs["nominal"] == (40, 60)
    assert found.inputs["points"] is None
    raised = {name for name, flag in found.flags.items() if flag}
    assert raised == {"emergency_stop"}
    asked = {"emergency_stop", "emergency_silent", "stop_requested", "reset_requested"}
    assert set(found.flags) == {*asked, "out_of_time"}
    raised = {name for name, flag in UsedInputs.of(inputs, out_of_time=True).flags.items() if flag}
    assert raised == {"emergency_stop", "out_of_time"}


@given(st.floats(0.5, 500.0), st.integers(2, 50), st.integers(0, 10**18), st.randoms())
def test_the_rate_is_that_of_the_stamps_in_whatever_order_and_however_often_they_come(rate, count, first, random):
    stamps = [first + round(index * NANOSECONDS / rate) for index in range(count)] * 2
    random.shuffle(stamps)
    assert rate_of(stamps) == pytest.approx(rate, rel=1e-3)
    assert math.isnan(rate_of(stamps[:1]))
    assert math.isnan(rate_of([first, first]))
