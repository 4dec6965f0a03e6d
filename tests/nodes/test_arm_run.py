# SPDX-License-Identifier: Apache-2.0
"""An arm's graph as processes, brought up by the executables, the files and the command that a car's is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

from arm_graph import ARM_YAML, User, hurried, patient
from rclpy.experimental import EventsExecutor
from rosbags.highlevel import AnyReader
from typer.testing import CliRunner

from tidegate.bag import BagReader
from tidegate.cli.app import app
from tidegate.errors import SceneError, SettingsError
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.records import Mode
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

pytestmark = pytest.mark.real_time


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Settings of an arm that counts as standing after few ticks: in lock-step each is a round of three processes."""
    document = yaml.safe_load(ARM_YAML.read_text(encoding="utf-8"))
    values = document["/**"]["ros__parameters"]
    values["arm"]["urdf"] = str(share_path("urdf/arm.urdf.xacro"))
    values["safety"] |= {"ladder": {"standstill_s": 0.01}}
    values["safety"]["motion"]["samples"] = 10
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return tmp_path / "quick.yaml"


def replayed(bag: Path, *words: str) -> tuple[int, str]:
    """Exit code and text of ``tidegate replay``: to the bit."""
    result = CliRunner().invoke(
        app, ["replay", str(bag), "--tolerance", "0", *words], catch_exceptions=False, env={"COLUMNS": "150"}
    )
    return result.exit_code, result.output


def test_an_arm_is_brought_up_recorded_and_goes_down_braked_and_held_and_its_bag_is_replayed_to_the_bit(
    ros: EventsExecutor, quick: Path, tmp_path: Path
) -> None:
    options = GraphOptions(None, quick, seed=1000, lock_step=True, namespace="arm", record=tmp_path / "bag")
    with Graph(options, lambda node, level, text: None) as graph:
        assert set(graph.children) == {"recorder_node", "simulator_node", "safety_node"}
        user = User(ros, "arm")
        patient(ros, lambda: user.asks.get_subscription_count() == 3, "safety node, recorder and he himself hear it")
        user.wish = hurried
        user.until(Mode.NORMAL)
        patient(ros, lambda: user.speed > 0.15, "it moves")
        user.close()
    with AnyReader([tmp_path / "bag"]) as reader:
        topics = {connection.topic.removeprefix("/arm/") for connection in reader.connections}
    bag = BagReader(tmp_path / "bag")
    moved = [record.values["fastest"] for _, _, record in bag.messages(["truth"])]
    modes = [record.mode for _, _, record in bag.messages(["safety_node/barriers"])]
    contract = bag.contract()
    assert contract["robot"] == "arm"
    assert json.loads(contract["joints"])["joint_1"]["velocity"] == 2.0
    assert topics >= {"joint_states", "wrench", "nominal", "command", "effort_controller/commands", "truth"}
    assert Mode.NORMAL in modes
    assert max(moved) > 0.15
    assert modes[-1] == Mode.STOPPED
    assert moved[-1] < 0.03
    assert "bundle" not in contract
    code, said = replayed(tmp_path / "bag")
    assert (code, "no camera in the bag" in said) == (0, True), said


def test_nobody_asks_for_anything_and_the_arm_is_held_all_along() -> None:
    words = ["run", "--config", str(ARM_YAML), "--lock-step", "--duration", "0.3"]
    program = [sys.executable, "-c", "from tidegate.cli.app import main; main()", *words]
    told = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(r"duration after 0\.[3-9] s; the arm stands\n", told.stdout)  # seen a little later, maybe


def test_an_arm_with_a_scene_drives_itself_and_it_is_told_whether_it_did_what_is_wanted(tmp_path: Path) -> None:
    """With an untrained bundle, for long enough to move; and its bag is replayed to the bit."""
    pytest.importorskip("torch")
    from tidegate.arm_stack import ArmStack

    ArmStack(load_arm_settings(ARM_YAML), 3000).to_bundle("arm-test").save(tmp_path / "model")
    words = ["run", "--robot", "arm", "--scene", "wipe", "--seed", "1000", "--bundle", str(tmp_path / "model")]
    words += ["--lock-step", "--duration", "0.2", "--record", str(tmp_path / "bag")]
    program = [sys.executable, "-c", "from tidegate.cli.app import main; main()", *words]
    told = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.match(r"duration after 0\.[2-9] s; the arm stands; not done\n", told.stdout)
    bag = BagReader(tmp_path / "bag")
    assert {"/camera/image_raw", "/features", "/health", "/wrench_request", "/neurons"} <= set(bag.topics)
    (limit,) = re.findall(r"tool_speed_max: ([\d.]+)", bag.contract()["settings"])
    assert float(limit) == 0.5, "the filter was told of the scene, and the bag tells of it"
    code, said = replayed(tmp_path / "bag", "--bundle", str(tmp_path / "model"))
    assert code == 0, said
    assert not re.search("alone|not run|recorded with another", said), said
    weaker = bag.contract()["settings"].replace("power_max: 100.0", "power_max: 20.0")
    (tmp_path / "weaker.yaml").write_text(weaker, encoding="utf-8")
    weaker_too = ["--bundle", str(tmp_path / "model"), "--config", str(tmp_path / "weaker.yaml")]
    code, said = replayed(tmp_path / "bag", *weaker_too)
    assert code == 1, said
    assert "filter.power.h" in said
    assert not re.search("nominal.joint|neurons.[0-9]", said), said


def test_what_an_arms_graph_does_not_have_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError, match=r"arm\.yaml: describes an arm, for which .* --until-goal yet"):
        CliRunner().invoke(app, ["run", "--robot", "arm", "--until-goal"], catch_exceptions=False)


def test_a_scene_that_there_is_not_is_refused_before_anything_starts() -> None:
    with pytest.raises(SceneError, match="'road'"):
        CliRunner().invoke(app, ["run", "--robot", "arm", "--scene", "road", "--bundle", "x"], catch_exceptions=False)
