# SPDX-License-Identifier: Apache-2.0
"""docs/ros.md is what the nodes do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domains import random_domain
from tidegate.messages import TOPICS
from tidegate.settings import entries, load_settings

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from tidegate.nodes.main import ENTRIES
from tidegate.nodes.markers_node import MarkersNode
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import GLOBAL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ros.md").read_text(encoding="utf-8")
CONFIG = ROOT / "config" / "car.yaml"
NOT_OF_NODES = {"expert/nominal", "expert/lane"}
"""Labels that only bags have."""


def test_the_page_is_up_to_date() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MUJOCO_GL": "egl"}
    command = [sys.executable, str(ROOT / "scripts" / "ros_page.py")]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert made.returncode == 0, made.stderr
    assert made.stdout == PAGE, "run `make docs`"


@pytest.mark.parametrize("kind", [PerceptionNode, PolicyNode, SafetyNode, MarkersNode])
def test_the_parameters_it_calls_changeable_are_those_that_the_live_node_takes(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting is set to what it is already: the node takes that or says that it is read-only."""
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = kind(["--ros-args", "--params-file", str(CONFIG)])
    taken = set()
    for entry in entries(load_settings(CONFIG)):
        same = Parameter(entry.key, value=node.get_parameter(entry.key).value)
        (result,) = node.set_parameters([same])
        if result.successful:
            taken.add(entry.key)
    name = node.get_name()
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()
    told = re.search(rf"of `{name}` ((?:`[\w.]+`(?:, )?)+)", PAGE.partition("`ros2 param describe` says")[2])
    assert set(re.findall(r"`([\w.]+)`", told[1]) if told else ()) == taken
    assert bool(taken) == (kind is SafetyNode)


def test_every_parameter_of_a_node_is_explained() -> None:
    table = PAGE.partition("## Parameters")[2].partition("## Middleware")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    assert {"`player_node`", "`recorder_node`"} <= {row[0].strip() for row in rows}
    assert all(row[-1].strip() for row in rows)


def test_it_names_every_node_and_every_topic_of_the_graph() -> None:
    for node in ENTRIES:
        assert f"| `{node}` |" in PAGE
    for topic in TOPICS.keys() - NOT_OF_NODES:
        assert f"| `{'/' if topic in GLOBAL else ''}{topic}`" in PAGE
