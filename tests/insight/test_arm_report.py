# SPDX-License-Identifier: Apache-2.0
"""An arm's bag, recorded by the real graph in lock-step, is told truly: by the command, in words, on one page."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("pinocchio")
pytest.importorskip("onnx")

from chromium import BROWSER, LARGEST_BYTES, NO_AUDIT, audit, look, outside, serious
from page_numbers import shown, unknown
from typer.testing import CliRunner, Result

from domains import random_domain
from tidegate.bag import BagReader, BagWriter
from tidegate.bundle import Bundle
from tidegate.cli.app import app
from tidegate.errors import BagError, SettingsError
from tidegate.evaluation.whose import arm_settings_of
from tidegate.insight.arm.drive import load_arm_drive
from tidegate.insight.arm.interventions import UNITS, interventions
from tidegate.insight.arm.report import report
from tidegate.insight.arm.sight import moments, sight_sections
from tidegate.records import ArmSafetyState, BarrierState, Floats, JointStates, Mode
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.safety.arm import arm_barriers
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

ARM_YAML = share_path("config/arm.yaml")
GOLDEN = Path(__file__).parents[1] / "golden" / "road"
MS = 1_000_000


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.9 s of ``press`` by the shipped policy: it comes down, and touches."""
    folder = tmp_path_factory.mktemp("arm") / "press"
    words = ["run", "--robot", "arm", "--scene", "press", "--seed", "1000", "--lock-step", "--duration", "0.9"]
    program = [sys.executable, "-c", "from tidegate.cli.app import main; main()", *words, "--record", str(folder)]
    local = {"ROS_DOMAIN_ID": random_domain(), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    told = subprocess.run(program, capture_output=True, text=True, check=False, env=os.environ | local)
    assert (told.returncode, told.stderr) == (0, "")
    return folder


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def told(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The page, what the JSON beside it holds, and what the command said."""
    out = tmp_path_factory.mktemp("out")
    said = command(bag, "--out", out).stdout
    return out / "report.html", json.loads((out / "report.json").read_text("utf-8")), said


@cache
def ticks(bag: Path) -> list[ArmSafetyState]:
    return [record for _, _, record in BagReader(bag).messages(["safety_node/barriers"])]


def test_the_page_tells_all_and_needs_nothing_else(told: tuple[Path, dict[str, Any], str]) -> None:
    page, facts, said = told
    text = page.read_text("utf-8")
    assert re.findall("<h2>(.*?)</h2>", text) == [
        "Before and after the filter",
        "Rungs",
        "Force at the tool",
        "The tool",
        "Interventions",
        "Margins",
        "What it sees",
        "Typical moments",
        "What the camera network looks at",
        "Nineteen neurons",
        "Neurons on the tool&#x27;s way",
        "What the motor neurons ask for",
        "Wiring",
    ]
    assert outside(text) == []
    assert page.stat().st_size < LARGEST_BYTES
    sentences = [one["sentence"] for one in facts["drive"]["interventions"]]
    assert said.splitlines()[:-1] == sentences
    assert all(sentence in text for sentence in sentences)


def test_every_number_of_the_page_is_in_the_json_beside_it(told: tuple[Path, dict[str, Any], str]) -> None:
    page, facts, _ = told
    text = page.read_text("utf-8")
    assert len(shown(text)) > 60
    assert unknown(text, facts) == []


def test_interventions_are_those_of_the_bag(bag: Path, told: tuple[Path, dict[str, Any], str]) -> None:
    """By the records themselves: which row, from when to when, the torques at the peak."""
    every, drive = ticks(bag), told[1]["drive"]
    stamps = {round((tick.stamp - every[0].stamp) / 1e9, 6): tick for tick in every}
    rows = {tick.intervened for tick in every} - {""}
    assert "approach" in rows, "a tool that comes down as fast as this one is held"
    assert {one["row"] for one in drive["interventions"]} == rows
    covered = set()
    for one in drive["interventions"]:
        mine = [at for at, tick in stamps.items() if tick.intervened == one["row"]]
        inside = [at for at in mine if one["begin_s"] <= at <= one["end_s"]]
        assert (inside[0], inside[-1], len(inside)) == (one["begin_s"], one["end_s"], one["ticks"])
        covered |= set(inside)
        peak = stamps[one["peak"]["time_s"]]
        for joint, name in enumerate(peak.names):
            torque = one["peak"]["torques"][name]
            asked = None if np.isnan(peak.wanted[joint]) else pytest.approx(peak.wanted[joint], rel=1e-6)
            assert torque["asked_nm"] == asked  # None while nobody asks: a row may hold an arm that is stopped
            assert torque["allowed_nm"] == pytest.approx(peak.allowed[joint], rel=1e-6)
        states = [state for at in inside for state in stamps[at].barriers if state.name == one["row"]]
        assert one["smallest_h"] == pytest.approx(min(state.h for state in states), rel=1e-6)
        assert one["multiplier"] == pytest.approx(max(state.multiplier for state in states), rel=1e-6)
    assert covered == {at for at, tick in stamps.items() if tick.intervened}
    changes = [np.abs(tick.allowed - tick.wanted) for tick in every if tick.intervened]
    changed = np.nanmax(changes)
    assert max(one["changed_most_nm"] for one in drive["torques"].values()) == pytest.approx(changed, rel=1e-6)


def test_the_tool_is_where_the_simulator_has_it_and_the_surface_where_the_scene_put_it(bag: Path) -> None:
    settings = arm_settings_of(BagReader(bag), None)
    assert settings.safety.surface.offset != load_arm_settings(ARM_YAML).safety.surface.offset
    assert settings.arm.urdf == load_arm_settings(ARM_YAML).arm.urdf
    drive = load_arm_drive(BagReader(bag), "press", settings)
    truth = {record.stamp: record.values for _, _, record in BagReader(bag).messages(["truth"])}
    known = [truth[tick.stamp] for tick in drive.ticks]
    place = np.array([[one[f"tool_{axis}"] for axis in "xyz"] for one in known])
    np.testing.assert_allclose(drive.tool.place, place, atol=2e-4)
    np.testing.assert_allclose(drive.tool.force, [one["force"] for one in known], atol=0.05)
    touching = drive.tool.force > 1
    assert touching.any()
    assert drive.tool.height[touching].max() < 1e-3, "it touches where the surface is"


def test_pictures_are_of_what_happens_and_where_the_goal_is(bag: Path, told: tuple[Path, dict[str, Any], str]) -> None:
    facts = told[1]
    shown_ = facts["Typical moments"]["pictures"]
    assert [one["time_s"] for one in shown_] == sorted({one["time_s"] for one in shown_})
    whys = ", ".join(one["why"] for one in shown_)
    assert all(word in whys for word in ("the first picture", "it touches", "changes the torques most", "the last"))
    pad = np.array([0.51, 0.0, 0.25])  # simulation/arm/press.py
    assert all(np.linalg.norm(np.array(one["goal_m"]) - pad) < 0.005 for one in shown_)
    assert all(one["obstacle_m"] is None for one in shown_), "there is nothing in the way"
    assert facts["Typical moments"]["bundle_apart_mm"] < 0.01
    touch = next(one for one in shown_ if "it touches" in one["why"])
    assert touch["way_mm"] < 15 < shown_[0]["way_mm"]
    drive = load_arm_drive(BagReader(bag), "press", arm_settings_of(BagReader(bag), None))
    assert len(moments(drive, list(range(len(drive.images))))) == len(shown_)


def test_what_is_salient_is_what_the_sight_goes_by(told: tuple[Path, dict[str, Any], str]) -> None:
    faith = told[1]["What the camera network looks at"]
    assert faith["advantage"] > 3
    assert all(own > chance for own, chance in zip(faith["moved_salient_first"], faith["moved_by_chance"], strict=True))


def test_another_bundle_than_the_one_that_drove_is_told(bag: Path) -> None:
    torch = pytest.importorskip("torch")
    from tidegate.arm_stack import ArmStack

    settings = arm_settings_of(BagReader(bag), None)
    with torch.random.fork_rng():
        other = ArmStack(settings, 1).to_bundle("another")
    seen = sight_sections(load_arm_drive(BagReader(bag), "press", settings), other)[0]
    assert seen.facts["bundle_apart_mm"] > 1
    assert "Bundle another sees the goal up to" in seen.note
    assert unknown(seen.note, seen.facts) == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1100, 500])
def test_a_browser_has_nothing_to_complain_of(
    told: tuple[Path, dict[str, Any], str], tmp_path: Path, width: int
) -> None:
    found = look(told[0], tmp_path, width)
    assert found["failed"] == []
    assert found["images"] == []
    assert len(found["drawn"]) > 8
    assert min(found["drawn"]) > 1000
    assert found["wide"] <= 0


@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
def test_the_page_shuts_nobody_out(told: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    assert serious(audit(told[0], tmp_path)["faults"]) == []


def test_what_there_is_not_for_an_arm_is_refused_in_one_line(bag: Path, tmp_path: Path) -> None:
    for words in (("--at", "0.5s"), ("--seeds", "1:3"), ("--no-roll-out",), ("--asked",), ("--tree", "tree.json")):
        with pytest.raises(BagError, match=r"is an arm's, for which there is no --[\w-]+ yet; there are --out, --con"):
            command(bag, *words, "--out", tmp_path / "out")
    with pytest.raises(BagError, match=r"is an arm's; it is told by itself: tidegate explain /"):
        command("--bag", bag, "--out", tmp_path / "out")
    with pytest.raises(SettingsError, match=r"arm\.yaml: describes an arm, of which a bag can be explained"):
        command("--config", ARM_YAML, "--out", tmp_path / "out")
    with pytest.raises(SettingsError, match=r"arm\.yaml: describes an arm"):
        command(GOLDEN, "--config", ARM_YAML, "--out", tmp_path / "out")
    with pytest.raises(BagError, match="is a bag; explain one moment of it"):
        command(GOLDEN, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_of_another_size_than_the_bundles_are_refused(bag: Path) -> None:
    drive = load_arm_drive(BagReader(bag), "press", arm_settings_of(BagReader(bag), None))
    small = dataclasses.replace(drive, images=tuple(image[::2, ::2] for image in drive.images))
    with pytest.raises(BagError, match=r"press: its pictures are 80 × 56 px; bundle 'arm-ltc19' was trained with 160"):
        report(small, Bundle.load(share_path("models/arm-ltc19")))


POSITION = np.array([0.0, 0.3, 0.0, 1.5, 0.0, 1.34, 0.0])
VELOCITY = np.array([0.1, -1.6, 0.0, 0.2, 0.0, 0.0, 0.0])


def made(folder: Path, *, joints: bool = True) -> tuple[Path, Floats]:
    """A bag in which every row acts for one tick, and then in a stop; and what was asked for."""
    arm = Arm.from_settings(load_arm_settings(ARM_YAML))
    wanted = np.array([1.0, -20.0, 3.0, -15.0, 0.5, 0.2, 0.01])
    rows = [*sorted(arm_barriers), "power"]
    with BagWriter(folder) as writer:
        for place, row in enumerate(rows):
            stop = place == len(rows) - 1
            for offset, acts in ((0, row), (2 * MS, "")):
                now = 500 * MS * place + offset
                states = tuple(
                    BarrierState(name, 0.25, 0.0, float(name == acts), stop) for name in sorted(arm_barriers)
                )
                allowed = wanted + ([0.5, -2.0, 0, 0, 0, 0, 0.001] if acts else 0)
                asked = np.full(7, np.nan) if stop else wanted
                mode = Mode.STOPPING if stop else Mode.NORMAL
                if joints:
                    writer.write("joint_states", JointStates(now, arm.joint_names, POSITION, VELOCITY, wanted))
                state = ArmSafetyState(now, mode, arm.joint_names, asked, allowed, states, acts)
                writer.write("safety_node/barriers", state)
    return folder, wanted


def test_every_row_says_what_it_went_by(tmp_path: Path) -> None:
    folder, wanted = made(tmp_path / "bag")
    settings = load_arm_settings(ARM_YAML)
    arm = Arm.from_settings(settings)
    found = interventions(load_arm_drive(BagReader(folder), "made", settings))
    said = {one["row"]: one["sentence"] for one in reversed(found)}
    motion = Dynamics(arm)(POSITION, VELOCITY)
    asked = motion.inverse @ (wanted - motion.bias)
    joint = int(np.argmax(np.abs(asked) / settings.safety.motion.acceleration))
    most, size = settings.safety.motion.acceleration[joint], abs(asked[joint])
    height, speed = 1000 * (motion.position[2] - 0.25), float(np.linalg.norm(motion.velocity))
    assert arm.upper[3] - POSITION[3] == pytest.approx(0.6), (
        "nearer than any other end, where joint_2 brakes in 0.26 rad"
    )
    for row, words in {
        "acceleration": f"joint_{joint + 1} would get {size:.1f} of {most:.1f} rad/s²; h 0.25 rad/s²",
        "velocity": f"joint_2 at 1.60 of {arm.velocity[1]:.2f} rad/s; h 0.25 rad/s",
        "position": "joint_4 0.600 rad from its upper end, going there at 0.20 rad/s; h 0.25 rad",
        "tool_speed": f"the tool at {speed:.2f} of 1.50 m/s; h 0.25 m/s",
        "approach": f"the tool {height:.1f} mm above the surface as told, {_going(motion.velocity[2])}; h 0.25 m/s",
        "power": f"{abs(wanted @ VELOCITY):.1f} of 100.0 W asked for; what braking may take is bounded as well; h 0.25",
    }.items():
        assert f" s: {row}: {words}" in said[row]
        assert said[row].endswith("joint_2 −20.00 → −22.00 N·m, joint_1 1.00 → 1.50 N·m."), (
            "joint_7 changed by too little"
        )
        assert "margin 0.000; multiplier up to 1.000" in said[row]
    assert "force: h 0.25 N" in said["force"], "nothing measures it here"
    assert unknown(" ".join(said.values()), found) == []
    stop = found[-1]["sentence"]
    assert stop.startswith("3.500 s: power (STOPPING): h 0.25 W")
    assert stop.endswith("the row gave way to others; a stop was asked for, not torques.")


def _going(up: float) -> str:
    return f"{'coming' if up <= 0 else 'leaving'} at {abs(up):.3f} m/s"


@pytest.mark.parametrize("joints", [True, False])
def test_what_a_bag_lacks_is_left_out(tmp_path: Path, joints: bool) -> None:
    """Of an arm without camera and policy; of one whose joints are not in it either."""
    folder, _ = made(tmp_path / "bag", joints=joints)
    assert "most at" not in command(folder, "--config", ARM_YAML, "--out", tmp_path / "out").stdout
    text = (tmp_path / "out" / "report.html").read_text("utf-8")
    titles = re.findall("<h2>(.*?)</h2>", text)
    tool = ["The tool"] if joints else []
    assert titles == ["Before and after the filter", "Rungs", *tool, "Interventions", "Margins"]
    assert unknown(text, json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))) == []


def test_an_arm_of_other_joints_than_the_settings_is_refused(tmp_path: Path) -> None:
    state = ArmSafetyState(1, Mode.NORMAL, ("shoulder",), np.zeros(1), np.zeros(1), (), "")
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("safety_node/barriers", state)
    with pytest.raises(
        BagError, match=r"is of the joints shoulder; the settings have joint_1, .* \(--config names oth"
    ):
        command(tmp_path / "bag", "--config", ARM_YAML)
    with pytest.raises(SettingsError, match=r"bag: is of an arm and does not carry its settings; name"):
        command(tmp_path / "bag")


def test_every_built_in_row_has_a_unit() -> None:
    assert set(UNITS) == set(arm_barriers)
