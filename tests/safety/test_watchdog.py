# SPDX-License-Identifier: Apache-2.0
"""Which records count as received, and until when: every limit from both sides."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from safety_plant import Plant, Sensors, car, settings

from tidegate.records import Gains, ImageHealth, Manual, Nominal, Points, Received, SafetyInputs, nanoseconds
from tidegate.safety.watchdog import Watchdog

PLACE, SPEED, TURN, CURVATURE = 1e7, 200.0, 50.0, 10.0
INPUTS = ["nominal", "gains", "lane", "health", "joints", "odometry", "imu", "points", "manual"]


def sound() -> SafetyInputs:
    """Everything there, nothing wrong."""
    return Sensors().look(Plant(speed=3.0), (100.0, 0.01), manual=Manual(0, True, 50.0, 0.01))


def usable(name: str, **changes: object) -> bool:
    """Whether the record of an input is taken with some of its fields changed."""
    watchdog, inputs = Watchdog(settings(), car()), sound()
    record = dataclasses.replace(getattr(inputs, name).record, **changes)
    watchdog.check(dataclasses.replace(inputs, **{name: Received(record, 0)}))
    return watchdog.newest(name) is record


def at(size: int, place: int, value: float) -> np.ndarray:
    """Zeros but for one entry."""
    made = np.zeros(size)
    made[place] = value
    return made


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("name", "field", "limit"),
    [
        ("odometry", "x", PLACE),
        ("odometry", "y", PLACE),
        ("odometry", "yaw", PLACE),
        ("odometry", "speed", SPEED),
        ("odometry", "yaw_rate", TURN),
        ("lane", "offset", PLACE),
        ("lane", "heading", TURN),
    ],
)
def test_a_number_counts_up_to_what_is_possible(name: str, field: str, limit: float, sign: float) -> None:
    assert usable(name, **{field: sign * np.nextafter(limit, 0)})
    for value in (sign * limit, sign * math.inf, math.nan):
        assert not usable(name, **{field: value})


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("name", "field", "size", "limit"),
    [
        ("lane", "curvature", 4, CURVATURE),
        ("joints", "position", 6, PLACE),
        ("joints", "velocity", 6, PLACE),
        ("imu", "angular_velocity", 3, PLACE),
        ("imu", "linear_acceleration", 3, PLACE),
    ],
)
def test_each_entry_counts_up_to_what_is_possible(name: str, field: str, size: int, limit: float, sign: float) -> None:
    for place in range(size):
        assert usable(name, **{field: at(size, place, sign * np.nextafter(limit, 0))})
        for value in (sign * limit, sign * math.inf, math.nan):
            assert not usable(name, **{field: at(size, place, value)})


def test_a_ring_that_the_settings_do_not_state_is_no_scan_of_this_robot() -> None:
    """Its returns could not be placed, and what they hit would be missed without a word."""
    rings = len(settings().ranging.elevation_deg)
    for ring, sound in ((-1, False), (0, True), (rings - 1, True), (rings, False)):
        assert usable("points", xyz=np.ones((2, 3), np.float32), ring=np.array([3, ring], np.int32)) == sound
    assert usable("points", xyz=np.empty((0, 3), np.float32), ring=np.empty(0, np.int32))


def test_error_bounds_of_the_lane_are_no_negative_numbers_but_may_be_unknown() -> None:
    for place in range(6):
        assert usable("lane", bound=at(6, place, math.inf))
        assert not usable("lane", bound=at(6, place, -1e-9))
        assert not usable("lane", bound=at(6, place, math.nan))
    assert usable("lane", bound=np.zeros(6))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lane", {"curvature": np.zeros(3)}),
        ("lane", {"curvature": np.zeros(5)}),
        ("lane", {"bound": np.zeros(5)}),
        ("lane", {"bound": np.zeros(7)}),
        ("lane", {"bound": np.zeros(4)}),
        ("lane", {"offset": None}),
        ("joints", {"position": np.zeros(5)}),
        ("joints", {"velocity": np.zeros(7)}),
        ("joints", {"names": ("a", "b", "c", "d", "e", "f")}),
        ("imu", {"angular_velocity": np.zeros(2)}),
        ("imu", {"angular_velocity": np.zeros(4)}),
        ("imu", {"linear_acceleration": np.zeros((3, 1))}),
        ("points", {"xyz": np.zeros(3)}),
        ("points", {"xyz": np.zeros((0, 2))}),
        ("points", {"xyz": np.zeros((0, 4))}),
        ("points", {"ring": np.zeros(1, np.int32)}),
        ("gains", {"values": None}),
        ("health", {"level": 4}),
        ("health", {"level": -1}),
        ("health", {"level": "fine"}),
        ("nominal", {"force": math.nan}),
        ("nominal", {"curvature": math.nan}),
        ("nominal", {"curvature": "left"}),
    ],
)
def test_what_has_not_its_shape_is_no_record(name: str, changes: dict[str, object]) -> None:
    assert not usable(name, **changes)


def test_every_joint_of_the_car_must_be_there_and_others_may() -> None:
    joints = sound().joints
    assert joints is not None
    names = joints.record.names
    for missing in range(6):
        renamed = (*names[:missing], "other", *names[missing + 1 :])
        assert not usable("joints", names=renamed)
    assert usable("joints", names=(*names, "other"), position=np.zeros(7), velocity=np.zeros(7))


def test_every_level_of_health_is_a_record() -> None:
    assert all(usable("health", level=level) for level in range(4))


def test_a_driver_who_has_let_go_may_leave_anything_on_the_stick() -> None:
    assert usable("manual", engaged=False, force=math.nan)
    assert not usable("manual", engaged=True, force=math.nan)
    assert not usable("manual", engaged=True, curvature=math.inf)
    assert usable("manual", engaged=True)


def test_the_wrong_kind_of_record_is_none() -> None:
    for name in INPUTS:
        watchdog = Watchdog(settings(), car())
        watchdog.check(SafetyInputs(now=0, **{name: Received(SimpleNamespace(), 0)}))
        assert watchdog.newest(name) is None
        assert watchdog.late(name) == (f"{name} is not usable (NaN, shape, names, frame or rings)",)
        assert watchdog.sound(name, Received(SimpleNamespace(), 0)) is False


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_fresh_up_to_its_own_limit(name: str) -> None:
    safety = settings().safety
    camera = nanoseconds(safety.camera_timeout_s)
    limit = dict.fromkeys(INPUTS, nanoseconds(safety.trusted_timeout_s)) | dict.fromkeys(
        ("nominal", "gains", "lane", "health"), camera
    )
    limit |= {"points": nanoseconds(safety.range_timeout_s), "manual": nanoseconds(safety.manual_timeout_s)}
    for late in (False, True):
        watchdog, inputs = Watchdog(settings(), car()), sound()
        record = getattr(inputs, name).record
        watchdog.check(SafetyInputs(now=0, **{name: Received(record, limit[name] + late)}))
        assert (watchdog.usable(name) is None) == late
        assert watchdog.late(name) == ((f"{name} is late ({(limit[name] + 1) / 1e6:.0f} ms)",) if late else ())
        assert watchdog.age(name) == limit[name] + late


def test_what_never_came_is_not_fresh_and_has_no_age() -> None:
    watchdog = Watchdog(settings(), car())
    watchdog.check(SafetyInputs(now=0))
    for name in INPUTS:
        assert (watchdog.newest(name), watchdog.age(name), watchdog.usable(name)) == (None, -1, None)
        assert watchdog.late(name) == (f"{name} never arrived",)


def test_between_records_the_age_grows_with_the_time_of_the_ticks_and_never_falls() -> None:
    watchdog, nominal = Watchdog(settings(), car()), Received(Nominal(0, 1.0, 0.0), 5)
    watchdog.check(SafetyInputs(now=1000, nominal=nominal))
    assert watchdog.age("nominal") == 5  # the first tick knows of no time before it
    watchdog.check(SafetyInputs(now=1030))
    assert watchdog.age("nominal") == 35
    watchdog.check(SafetyInputs(now=1010))  # time that runs backwards makes nothing younger
    assert watchdog.age("nominal") == 35
    watchdog.check(SafetyInputs(now=1020))
    assert watchdog.age("nominal") == 45
    watchdog.check(SafetyInputs(now=1030, nominal=dataclasses.replace(nominal, age=7)))
    assert watchdog.age("nominal") == 7  # the same record again: its own age counts


def test_ages_are_those_of_the_newest_sound_records_and_none_where_there_was_none() -> None:
    watchdog = Watchdog(settings(), car())
    assert watchdog.ages() == dict.fromkeys(INPUTS)
    first = dataclasses.replace(sound(), manual=None, imu=Received(sound().imu.record, 7))  # type: ignore[union-attr]
    watchdog.check(first)
    assert watchdog.ages() == {**dict.fromkeys(INPUTS, 0), "imu": 7, "manual": None}
    broken = Received(Nominal(0, math.nan, 0.0), 0)
    watchdog.check(dataclasses.replace(first, now=first.now + 5, nominal=broken, odometry=None))
    assert watchdog.ages() == {**dict.fromkeys(INPUTS, 0), "imu": 7, "manual": None, "nominal": 5, "odometry": 5}


def test_a_broken_record_does_not_replace_a_sound_one_nor_make_it_younger() -> None:
    watchdog, good, bad = Watchdog(settings(), car()), Nominal(0, 1.0, 0.0), Nominal(1, math.nan, 0.0)
    watchdog.check(SafetyInputs(now=0, nominal=Received(good, 0)))
    for tick in (1, 2):  # as new, then as seen before
        watchdog.check(SafetyInputs(now=10**7 * tick, nominal=Received(bad, 0)))
        assert watchdog.newest("nominal") is good
        assert watchdog.age("nominal") == 10**7 * tick
        assert watchdog.late("nominal") == ()  # still young enough
    watchdog.check(SafetyInputs(now=10**9, nominal=Received(bad, 0)))
    assert watchdog.late("nominal") == ("nominal is not usable (NaN, shape, names, frame or rings)",)
    newer = Nominal(2, 2.0, 0.0)
    watchdog.check(SafetyInputs(now=2 * 10**9, nominal=Received(newer, 0)))
    assert watchdog.newest("nominal") is newer
    watchdog.check(SafetyInputs(now=4 * 10**9))  # mended: what is wrong now is that it is late
    assert watchdog.late("nominal") == ("nominal is late (2000 ms)",)


def test_a_scan_in_a_frame_that_the_robot_does_not_have_is_none() -> None:
    scan = Points(0, np.zeros((1, 3), np.float32), np.zeros(1, np.int32))
    for frame, sound in (("base_link", True), ("range_link", True), ("velodyne", False), ("", False)):
        watchdog = Watchdog(settings(), car())
        watchdog.check(SafetyInputs(now=0, points=Received(dataclasses.replace(scan, frame=frame), 0)))
        assert (watchdog.usable("points") is not None) == sound


def test_inputs_are_judged_each_by_itself() -> None:
    watchdog, inputs = Watchdog(settings(), car()), sound()
    broken = {
        "nominal": Received(Nominal(0, math.nan, 0.0), 0),
        "health": Received(ImageHealth(0, 9), 0),  # type: ignore[arg-type]
        "points": Received(Points(0, np.zeros(3), np.zeros(0)), 0),  # type: ignore[arg-type]
        "gains": Received(Gains(0, None), 0),  # type: ignore[arg-type]
    }
    for _ in range(2):  # the second time every record was seen before
        watchdog.check(dataclasses.replace(inputs, **broken))
        for name in INPUTS:
            assert (watchdog.usable(name) is None) == (name in broken)


def test_all_inputs_are_watched() -> None:
    assert list(Watchdog(settings(), car()).names) == INPUTS


def test_a_record_may_be_asked_about_apart_from_what_came_before() -> None:
    watchdog, inputs = Watchdog(settings(), car()), sound()
    assert inputs.joints is not None
    joints, oldest = inputs.joints.record, nanoseconds(settings().safety.trusted_timeout_s)
    assert not watchdog.sound("joints", None)
    for age, young in ((0, True), (oldest, True), (oldest + 1, False)):
        assert watchdog.sound("joints", Received(joints, age)) == young
    broken = dataclasses.replace(joints, position=np.full(6, math.nan))
    assert not watchdog.sound("joints", Received(broken, 0))
    assert watchdog.newest("joints") is None
