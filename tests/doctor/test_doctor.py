# SPDX-License-Identifier: Apache-2.0
"""The doctor's checks: silent on what is healthy, and what they read off machine and files."""

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

from sound import BUNDLE, CAR, OWN, SETTINGS, SQUEEZED, bad, driven, healthy, machine, off_axis

from tidegate.doctor.facts import RosFacts
from tidegate.doctor.finding import Finding, Verdict, worst
from tidegate.doctor.graph import SENSORS, check_graph
from tidegate.doctor.images import SEGMENT, check_images, segment_size
from tidegate.doctor.machine import check_disk, check_machine, machine_facts
from tidegate.doctor.middleware import check_domain, check_ros
from tidegate.doctor.robot import check_bundle, read_bundle, read_robot
from tidegate.doctor.segments import check_left_over, left_over
from tidegate.security.manifest import write_manifest
from tidegate.share import share_path


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


def test_an_arm_is_refused_in_one_line() -> None:
    findings: list[Finding] = []
    assert read_robot(share_path("config/arm.yaml"), findings) is None
    (one,) = findings
    assert (one.check, one.verdict) == ("settings", Verdict.FAIL)
    assert "arm.yaml describes an arm, which doctor does not know yet" in one.said
