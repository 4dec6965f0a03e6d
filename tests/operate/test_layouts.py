# SPDX-License-Identifier: Apache-2.0
"""The shipped layouts of RViz and Foxglove show what the graph publishes: every topic, type, frame and field exists."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tidegate.bag import typestore
from tidegate.messages import DIAGNOSTICS, TOPICS, encode
from tidegate.messages.topics import CLOUD, IMAGE, JOINT_STATE, MARKERS
from tidegate.operate.shapes import Scene
from tidegate.records import BarrierState, LaneEstimate, Mode, Odometry, SafetyState
from tidegate.robot import Car
from tidegate.safety import Filter
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
RVIZ = "tidegate.rviz"
DESCRIPTION = "robot_description"
"""Of robot_state_publisher, not of the graph."""


@pytest.fixture(scope="module")
def rviz() -> dict[str, Any]:
    return yaml.safe_load(share_path("config/tidegate.rviz").read_text("utf-8"))["Visualization Manager"]


@pytest.fixture(scope="module")
def foxglove() -> dict[str, Any]:
    return json.loads(share_path("config/foxglove.json").read_text("utf-8"))


def test_the_fixed_frame_of_rviz_is_a_link_of_the_car(rviz: dict[str, Any]) -> None:
    assert rviz["Global Options"]["Fixed Frame"] in CAR.description.links


def test_the_displays_of_rviz_show_topics_of_their_type(rviz: dict[str, Any]) -> None:
    types = {"MarkerArray": MARKERS, "PointCloud2": CLOUD, "Image": IMAGE}
    shown = []
    for display in rviz["Displays"]:
        kind, topic = display["Class"].split("/")[1], display.get("Topic", display.get("Description Topic"))
        if topic is None:
            continue
        name = topic["Value"].removeprefix("/")
        shown.append(name)
        if name != DESCRIPTION:
            assert TOPICS[name].type == types[kind]
        if name in TOPICS and TOPICS[name].qos == "sensor":  # drivers offer no more than that
            assert topic["Reliability Policy"] == "Best Effort"
    assert {"markers", "points", "saliency", DESCRIPTION} <= set(shown)


def test_the_marker_groups_of_rviz_are_those_that_are_drawn(rviz: dict[str, Any]) -> None:
    scene = Scene(SETTINGS, CAR)
    scene.moved(Odometry(1, 0.0, 0.0, 0.0, 8.0, 0.0))
    scene.saw(LaneEstimate(1, 0.0, 0.0, np.zeros(4), np.full(6, 0.001)))
    state = SafetyState(1, Mode.NORMAL, (1.0, 0.0), (1.0, 0.0), ())
    groups = {shape.group for shape in scene.shapes(state)}
    (markers,) = [display for display in rviz["Displays"] if display["Name"] == "Markers"]
    assert set(markers["Namespaces"]) == groups


def test_the_launch_remaps_every_topic_of_rviz(rviz: dict[str, Any]) -> None:
    pytest.importorskip("launch_ros")
    from tidegate.nodes.viewing import rviz_topics

    said = set(re.findall(r"Value: (/\S+)", share_path("config/tidegate.rviz").read_text("utf-8")))
    assert set(rviz_topics(share_path("config/tidegate.rviz"))) == said


def panels(part: Any) -> Iterator[dict[str, Any]]:
    """Every panel of a layout."""
    if isinstance(part, dict):
        if part.get("type") == "panel":
            yield part
        for value in part.values():
            yield from panels(value)
    elif isinstance(part, list):
        for value in part:
            yield from panels(value)


def test_the_layout_of_foxglove_is_what_its_script_writes(foxglove: dict[str, Any]) -> None:
    pytest.importorskip("foxglove.layouts")
    script = Path(__file__).parents[2] / "scripts" / "foxglove_layout.py"
    assert json.loads(runpy.run_path(str(script))["layout"].to_json()) == foxglove


def test_the_bridge_only_shows_and_only_here() -> None:
    pytest.importorskip("launch_ros")
    from tidegate.nodes.viewing import ONLY_SHOW

    assert ip_address(ONLY_SHOW["address"]).is_loopback
    assert not {"clientPublish", "services", "parameters", "parametersSubscribe"} & set(ONLY_SHOW["capabilities"])
    for kind in ("client_topic", "service", "param"):
        lists = [re.compile(pattern) for pattern in ONLY_SHOW[f"{kind}_whitelist"]]
        assert not any(
            pattern.fullmatch(name) for pattern in lists for name in ("/command", "/safety_node/reset", "a.b")
        )


def test_the_panels_of_foxglove_show_topics_of_their_type(foxglove: dict[str, Any]) -> None:
    kinds = {panel["panelType"]: panel["config"] for panel in panels(foxglove)}
    assert kinds["ThreeDee"]["followTf"] in CAR.description.links
    scene = {topic.removeprefix("/"): TOPICS[topic.removeprefix("/")].type for topic in kinds["ThreeDee"]["topics"]}
    assert scene == {"markers": MARKERS, "points": CLOUD}
    images = [one["config"]["imageMode"]["imageTopic"] for one in panels(foxglove) if one["panelType"] == "Image"]
    assert images == ["/saliency", "/neurons"]
    assert {TOPICS[topic.removeprefix("/")].type for topic in images} == {IMAGE}
    assert TOPICS[kinds["DiagnosticsSummary"]["topicToRender"].removeprefix("/")].type == DIAGNOSTICS
    writers = {"Publish", "CallService", "ServiceCall", "Parameters", "Teleop"}
    assert not writers & set(kinds)


def test_the_lines_of_foxglove_are_the_entries_that_their_labels_name(foxglove: dict[str, Any]) -> None:
    """JointState carries vectors with names: an index is right if the name there is the label's."""
    names = [barrier.name for barrier in Filter(SETTINGS, CAR).barriers]
    barriers = tuple(BarrierState(name, 0.0, 0.0, 0.0) for name in names)
    lane = LaneEstimate(1, 0.0, 0.0, np.zeros(4), np.zeros(6))
    messages = {
        "safety_node/barriers": SafetyState(1, Mode.NORMAL, (1.0, 2.0), (3.0, 4.0), barriers, names[0]),
        "lane": lane,
        "odom": Odometry(1, 0.0, 0.0, 0.0, 8.0, 0.0),
    }
    meant = {
        "bound": "offset",
        "Drive force [N]": "drive_force",
        "Path curvature [1/m]": "path_curvature",
        "acts": "intervened",
    }
    seen = []
    for panel in panels(foxglove):
        for line in panel["config"].get("paths", []):
            topic, _, field = line["value"].removeprefix("/").partition(".")
            message = encode(messages[topic], typestore.make)
            assert message.__msgtype__ == TOPICS[topic].type
            seen.append(line["label"])
            if TOPICS[topic].type != JOINT_STATE:
                value: Any = message
                for part in field.split("."):
                    value = getattr(value, part)
                assert isinstance(value, float)
                continue
            column, index = re.fullmatch(r"(position|velocity|effort)\[(\d+)\]", field).groups()  # type: ignore[union-attr]
            label = meant.get(panel.get("title", ""), meant.get(line["label"], line["label"]))
            assert message.name[int(index)] == label
            assert not np.isnan(getattr(message, column)[int(index)])
    assert {*names, "mode", "acts", "wanted", "allowed", "offset", "bound", "speed"} == set(seen)


def test_the_states_of_foxglove_are_modes_and_barriers_by_their_numbers(foxglove: dict[str, Any]) -> None:
    (panel,) = [one["config"] for one in panels(foxglove) if one["panelType"] == "StateTransitions"]
    told = {
        line["label"]: {int(one["value"]): one["label"] for one in line["customStates"]["states"]}
        for line in panel["paths"]
    }
    assert told == {
        "mode": {mode.value: mode.name for mode in Mode},
        "acts": dict(enumerate(barrier.name for barrier in Filter(SETTINGS, CAR).barriers)),
    }


def test_rviz_and_what_tells_it_of_the_links_keep_their_frames_inside_the_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two cars have links of the same names: on one ``/tf`` each would stand where the other does."""
    launch = pytest.importorskip("launch")
    from launch.conditions import IfCondition
    from launch.utilities import perform_substitutions

    from tidegate.nodes import viewing

    monkeypatch.setattr(viewing, "installed", lambda package: True)
    context = launch.LaunchContext()
    config = share_path("config/car.yaml")
    context.launch_configurations.update(
        namespace="left", use_sim_time="true", params_file=str(config), rviz_config_file=str(config.parent / RVIZ)
    )
    nodes = viewing._rviz(context, IfCondition("false"))
    assert [node.node_executable for node in nodes] == [viewing.RVIZ, viewing.DESCRIBER]
    for node in nodes:
        rules = [
            tuple(perform_substitutions(context, list(part)) for part in rule) for rule in node._Node__remappings or ()
        ]
        assert {("/tf", "tf"), ("/tf_static", "tf_static")} <= set(rules)
