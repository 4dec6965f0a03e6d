# SPDX-License-Identifier: Apache-2.0
"""What is identified is what was put in: made-up drives of known delay, gain and servo, bags, the simulator."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from scipy.integrate import cumulative_trapezoid
from scipy.signal import TransferFunction, lsim

from tidegate.bag import BagReader, BagWriter
from tidegate.calibration.estimate import Estimate, estimate, stretches
from tidegate.calibration.findings import Finding, Verdict, find, unsafe
from tidegate.calibration.force import measure_force
from tidegate.calibration.manoeuvre import drive_manoeuvre
from tidegate.calibration.patch import setting_of, settings_patch
from tidegate.calibration.recording import TOPICS, Recording, read_recording
from tidegate.calibration.steering import measure_steering
from tidegate.cli.app import main
from tidegate.errors import BagError, SettingsError
from tidegate.records import Command, Imu, JointStates, Mode, SafetyState
from tidegate.robot import Car
from tidegate.settings import load_settings, settings_from
from tidegate.share import share_path
from tidegate.simulation import Simulator

CONFIG = share_path("config/car.yaml")
SETTINGS = load_settings(CONFIG)
CAR = Car.from_settings(SETTINGS)
PERIOD = 1 / SETTINGS.safety.rate_hz
SAMPLES = 6000


def commands() -> tuple[np.ndarray, np.ndarray]:
    """Acceleration [m/s²] and curvature [1/m]: braking and driving steps at the torque rate, then steering steps."""
    acceleration, curvature = np.zeros(SAMPLES), np.zeros(SAMPLES)
    force_step = CAR.force_rate(-1) / CAR.effective_mass * PERIOD
    turn_step = CAR.curvature_rate * PERIOD
    for k in range(1, SAMPLES):
        phase, turn = k // 200 % 4, (0.05, -0.05)[k // 100 % 2] if k > 4000 else 0.0
        wanted = (0.0, -5.0, 0.0, 5.0)[phase] if k <= 4000 else 0.0
        acceleration[k] = acceleration[k - 1] + np.clip(wanted - acceleration[k - 1], -force_step, force_step)
        curvature[k] = curvature[k - 1] + np.clip(turn - curvature[k - 1], -turn_step, turn_step)
    return acceleration, curvature


def late(values: np.ndarray, delay: float) -> np.ndarray:
    """What was held ``delay`` [s] ago, and one sample more: the answer to a command is seen at the next one."""
    time = np.arange(len(values)) * PERIOD
    return np.interp(time - delay - PERIOD, time, values)


def made(
    gain: float = 0.9,
    delay: float = 0.03,
    servo: tuple[float, float] = (0.02, 0.04),
    slope: float = 0.02,
    seed: int = 0,
) -> Recording:
    """A drive of a car that answers so, on a road whose slope comes and goes; with noise."""
    rng, time = np.random.default_rng(seed), np.arange(SAMPLES) * PERIOD
    acceleration, curvature = commands()
    hill = 9.81 * slope * np.sin(time / 10)
    pushed = gain * late(acceleration, delay)
    speed = 12.0 + cumulative_trapezoid(pushed - hill, dx=PERIOD, initial=0.0)
    _, steered, _ = lsim(TransferFunction([1], [servo[1], 1]), late(curvature, servo[0]), time)
    return Recording(
        "made",
        PERIOD,
        acceleration * CAR.effective_mass,
        curvature,
        steered + 1e-5 * rng.standard_normal(SAMPLES),
        speed + 0.004 * rng.standard_normal(SAMPLES),
        pushed + 0.05 * rng.standard_normal(SAMPLES),
        steered * speed + 0.002 * rng.standard_normal(SAMPLES),
        np.ones(SAMPLES, bool),
    )


@given(gain=st.floats(0.7, 1.2), delay=st.floats(0.0, 0.2), slope=st.floats(-0.05, 0.05), seed=st.integers(0, 99))
@profile(max_examples=5)
def test_gain_lag_and_ramp_of_the_force_are_what_they_are(gain: float, delay: float, slope: float, seed: int) -> None:
    recording = made(gain, delay, slope=slope, seed=seed)
    for side in (-1, 1):
        found = measure_force(recording, CAR, side)
        assert isinstance(found.gain, Estimate)
        assert isinstance(found.lag, Estimate)
        assert isinstance(found.ramp, Estimate) or side > 0
        assert found.gain.value == pytest.approx(gain, abs=0.02)
        assert found.lag.value == pytest.approx(delay, abs=0.004)
        assert found.hardest == pytest.approx(5.0)
    assert isinstance(found.ramp, Estimate)
    assert found.ramp.value == pytest.approx(1.0, abs=0.06)


@given(delay=st.floats(0.0, 0.1), constant=st.floats(0.01, 0.12), seed=st.integers(0, 99))
@profile(max_examples=5)
def test_delay_constant_and_lag_of_the_steering_are_what_they_are(delay: float, constant: float, seed: int) -> None:
    found = measure_steering(made(servo=(delay, constant), seed=seed), CAR)
    assert isinstance(found.delay, Estimate)
    assert isinstance(found.constant, Estimate)
    assert isinstance(found.lag, Estimate)
    assert isinstance(found.gain, Estimate)
    assert found.delay.value == pytest.approx(delay, abs=0.004)
    assert found.constant.value == pytest.approx(constant, abs=0.004)
    assert found.lag.value == pytest.approx(delay + constant, abs=0.006)
    assert found.gain.value == pytest.approx(1.0, abs=0.02)


def test_a_servo_that_turns_at_half_the_rate_is_found() -> None:
    recording = made(servo=(0.0, 0.001))
    slow = np.zeros(SAMPLES)
    for k in range(1, SAMPLES):
        most = 0.5 * CAR.curvature_rate * PERIOD
        slow[k] = slow[k - 1] + np.clip(recording.curvature[k] - slow[k - 1], -most, most)
    found = measure_steering(dataclasses.replace(recording, steered=slow), CAR)
    assert isinstance(found.rate, Estimate)
    assert found.rate.value == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("low", "high", "at_most", "verdict"),
    [
        (0.01, 0.04, True, Verdict.SAFE),
        (0.04, 0.06, True, Verdict.OPEN),
        (0.051, 0.06, True, Verdict.UNSAFE),
        (0.051, 0.06, False, Verdict.SAFE),
        (0.04, 0.06, False, Verdict.OPEN),
        (0.01, 0.049, False, Verdict.UNSAFE),
    ],
)
def test_a_setting_is_safe_only_beyond_the_whole_interval(
    low: float, high: float, at_most: bool, verdict: Verdict
) -> None:
    measured = Estimate((low + high) / 2, low, high, 5)
    assert Finding("x", "s", measured, "safety.lane.lag_s", 0.05, at_most).verdict is verdict


def test_what_decides_is_named_and_judged() -> None:
    found = {one.quantity: one for one in find(made(gain=1.02, delay=0.02, servo=(0.01, 0.02)), SETTINGS, CAR)}
    assert not unsafe(found.values())
    assert found["brake lag"].verdict is found["backup on the steepest slope"].verdict is Verdict.SAFE
    weak = {one.quantity: one for one in find(made(gain=0.9, delay=0.08, servo=(0.05, 0.05)), SETTINGS, CAR)}
    assert {one.key for one in unsafe(weak.values())} == {
        "safety.distance.lag_s",
        "safety.lane.lag_s",
        "vehicle.brake_guaranteed",
    }
    stop = weak["backup on the steepest slope"].measured
    assert isinstance(stop, Estimate)
    slope = 9.81 * SETTINGS.vehicle.slope_max
    asked = (SETTINGS.vehicle.brake_guaranteed + slope) * (1 + SETTINGS.vehicle.mass_margin)
    assert stop.value == pytest.approx(0.9 * asked - slope, abs=0.1)


def test_a_drive_without_steps_says_what_it_lacks() -> None:
    still = made()
    flat = np.zeros(SAMPLES)
    lacking = find(dataclasses.replace(still, force=flat, curvature=flat), SETTINGS, CAR)
    judged = [one for one in lacking if one.key]
    assert {one.verdict for one in judged} == {Verdict.UNKNOWN}
    assert "0 braking steps of at least 1 m/s²" in str(lacking[3].measured)
    gentle = dataclasses.replace(still, force=0.4 * still.force)
    stop = next(one for one in find(gentle, SETTINGS, CAR) if one.key == "vehicle.brake_guaranteed")
    assert stop.measured == "never braked harder than 2.0 m/s²; at least 3.0 are needed"


def test_nothing_is_fitted_across_a_gap_and_few_experiments_are_none() -> None:
    recording = made()
    assert measure_force(dataclasses.replace(recording, known=np.zeros(SAMPLES, bool)), CAR, -1).hardest == 0.0
    assert estimate([1.0, 1.0], "steps") == "2 steps; at least 3 are needed"
    wanted = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0, 1], bool)
    assert list(stretches(wanted, 2, 3)) == [slice(0, 2), slice(3, 6), slice(6, 8)]


def first(recording: Recording, samples: int) -> Recording:
    """The beginning of a recording."""
    arrays = ("force", "curvature", "steered", "speed", "pushed", "turned", "known")
    return dataclasses.replace(recording, **{name: getattr(recording, name)[:samples] for name in arrays})


def write_bag(path: Path, recording: Recording, **change: object) -> Path:
    """The bag of a recording; ``change``: 'lacks' a topic, other 'names' of the joints, an IMU that speaks 'later' or
    is 'broken'."""
    names = change.get("names", CAR.joint_names)
    with BagWriter(path) as writer:
        for k in range(len(recording.force)):
            stamp = 10**9 + round(k * PERIOD * 1e9)
            angles = CAR.steering(recording.steered[k])
            spin = recording.speed[k] / CAR.wheel_radius
            joints = np.array([*angles, 0, 0, 0, 0]), np.array([0, 0, *[spin] * 4]), np.zeros(6)
            wheels = np.full(4, recording.force[k] * CAR.wheel_radius / 4)
            allowed = (float(recording.force[k]), float(recording.curvature[k]))
            turned = recording.turned[k]
            (mount, _, _), _ = CAR.description.origin("imu_link")
            push = recording.pushed[k] - turned**2 * mount
            records = (
                Command(stamp, names, np.concatenate(([0.0, 0.0], wheels))),  # type: ignore[arg-type]
                SafetyState(stamp, Mode.NORMAL, allowed, allowed, ()),
                JointStates(stamp, CAR.joint_names, *joints),
                Imu(
                    stamp + int(change.get("later", 0)),
                    np.array([0, 0, turned]),
                    np.array([push + change.get("broken", 0.0), 0, 9.81]),
                ),  # type: ignore[call-overload]
            )
            for topic, record in zip(TOPICS, records, strict=True):
                if topic != change.get("lacks"):
                    writer.write(topic, record, stamp)
    return path


def test_a_bag_gives_the_recording_that_was_written(tmp_path: Path) -> None:
    recording = first(made(), 800)
    read = read_recording(BagReader(write_bag(tmp_path / "drive", recording)), CAR, PERIOD)
    size = len(read.force)
    assert 800 - size <= 1
    assert read.known.all()
    for name in ("force", "curvature", "steered", "speed", "pushed", "turned"):
        np.testing.assert_allclose(getattr(read, name), getattr(recording, name)[:size], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lacks": "imu"}, "has no topic 'imu'"),
        ({"names": (*CAR.steer_joints, "a", "b", "c", "d")}, "'command' lacks joint 'front_left_wheel_joint'"),
        ({"later": 10**12}, "have no time in common"),
        ({"broken": math.nan}, "'imu' holds values that are no numbers"),
    ],
)
def test_a_bag_that_cannot_be_used_says_why(tmp_path: Path, change: dict[str, object], words: str) -> None:
    reader = BagReader(write_bag(tmp_path / "drive", first(made(), 40), **change))
    with pytest.raises(BagError, match=words):
        read_recording(reader, CAR, PERIOD)


def test_silence_is_a_gap(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "drive", first(made(), 200))
    reader = BagReader(path)
    kept = [item for item in reader.messages(TOPICS) if item[0] != "imu" or not 1.3e9 < item[2].stamp < 1.6e9]
    with BagWriter(tmp_path / "holes") as writer:
        for topic, received, record in kept:
            writer.write(topic, record, received)
    known = read_recording(BagReader(tmp_path / "holes"), CAR, PERIOD).known
    assert known[:50].all()
    assert not known[90:110].any()
    assert known[-60:].all()


def test_the_settings_file_can_be_merged_and_says_why() -> None:
    findings = find(made(gain=0.9, delay=0.08, servo=(0.05, 0.05)), SETTINGS, CAR)
    text = settings_patch(findings, SETTINGS)
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    lag = next(one for one in findings if one.quantity == "brake lag").measured
    assert isinstance(lag, Estimate)
    assert values["safety"]["distance"]["lag_s"] >= float(f"{lag.high:.3g}")
    assert "brake_guaranteed" not in values["vehicle"]  # a smaller one would be missed again
    assert "# vehicle.brake_guaranteed: backup on the steepest slope" in text
    base = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    merged = base | {"safety": values["safety"], "vehicle": base["vehicle"] | values["vehicle"]}
    mended = settings_from(merged, "merged", CONFIG.parent)
    again = find(made(gain=0.9, delay=0.08, servo=(0.05, 0.05)), mended, CAR)
    assert {one.key for one in unsafe(again)} == {"vehicle.brake_guaranteed"}
    assert setting_of(mended, "safety.lane.lag_s") == values["safety"]["lane"]["lag_s"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_findings_on_a_setting_the_worst_decides(order: int) -> None:
    key, limit = "safety.distance.lag_s", SETTINGS.safety.distance.lag_s
    late_drive = Finding("drive lag", "s", Estimate(0.09, 0.08, 0.1, 5), key, limit)
    brake = Finding("brake lag", "s", Estimate(0.02, 0.01, 0.03, 5), key, limit)
    text = settings_patch([late_drive, brake][::order], SETTINGS)
    assert yaml.safe_load(text)["/**"]["ros__parameters"] == {"safety": {"distance": {"lag_s": 0.1}}}


def test_a_value_that_no_setting_may_have_is_refused() -> None:
    late_brake = Finding("brake lag", "s", Estimate(0.9, 0.8, 1.0, 5), "safety.distance.lag_s", 0.05)
    with pytest.raises(SettingsError, match=r"'safety\.distance\.lag_s' is 1\.0"):
        settings_patch([late_brake], SETTINGS)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["tidegate", "calibrate", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    short = write_bag(tmp_path / "short", first(made(), 100))
    assert run(monkeypatch, short) == 0
    assert "not measured: 0 braking steps of at least 1 m/s²" in capfd.readouterr().out
    late_brake = write_bag(tmp_path / "late", first(made(gain=1.02, delay=0.08), 2500))
    assert run(monkeypatch, late_brake, "--out", tmp_path / "new" / "measured.yaml") == 1
    assert "safety.distance.lag_s is on the unsafe side" in capfd.readouterr().out
    values = yaml.safe_load((tmp_path / "new" / "measured.yaml").read_text())["/**"]["ros__parameters"]
    assert values["safety"]["distance"]["lag_s"] == pytest.approx(0.08, abs=0.01)
    assert run(monkeypatch, tmp_path / "none") == 2
    assert capfd.readouterr().err.strip().splitlines() == [f"error: {tmp_path / 'none'}: no such bag"]


@pytest.mark.slow
def test_the_manoeuvre_finds_the_simulated_car_s_mass_and_a_brake_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 5000 loads its car by 4 %; besides, its wheels get each torque 60 ms after it was commanded."""
    waiting: list[np.ndarray] = [np.zeros(4)] * 12
    apply = Simulator.apply

    def apply_late(simulator: Simulator, command: Command) -> None:
        waiting.append(command.effort[2:])
        effort = np.concatenate((command.effort[:2], waiting.pop(0)))
        apply(simulator, dataclasses.replace(command, effort=effort))

    monkeypatch.setattr(Simulator, "apply", apply_late)
    recording = drive_manoeuvre(SETTINGS, 5000)
    with Simulator(SETTINGS, "proving_ground", 5000, camera=False) as simulator:
        loaded = float(simulator.world.model.body_mass.sum()) - CAR.mass
    brake = measure_force(recording, CAR, -1)
    assert isinstance(brake.gain, Estimate)
    assert isinstance(brake.lag, Estimate)
    assert brake.gain.low - 0.005 < CAR.effective_mass / (CAR.effective_mass + loaded) < brake.gain.high + 0.005
    assert 0.055 < brake.lag.value < 0.07
    keys = {one.key for one in unsafe(find(recording, SETTINGS, CAR))}
    assert "safety.distance.lag_s" in keys
    assert "safety.lane.lag_s" not in keys
