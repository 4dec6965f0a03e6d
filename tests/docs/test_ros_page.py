# SPDX-License-Identifier: Apache-2.0
"""docs/ros.md is what the nodes do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.messages import TOPICS

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from tidegate.nodes.main import ENTRIES
from tidegate.nodes.topics import GLOBAL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ros.md").read_text(encoding="utf-8")
NOT_OF_NODES = {"expert/nominal", "expert/lane"}
"""Labels that only bags have."""


def test_the_page_is_up_to_date() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MUJOCO_GL": "egl"}
    command = [sys.executable, str(ROOT / "scripts" / "ros_page.py")]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert made.returncode == 0, made.stderr
    assert made.stdout == PAGE, "run `make docs`"


def test_it_names_every_node_and_every_topic_of_the_graph() -> None:
    for node in ENTRIES:
        assert f"| `{node}` |" in PAGE
    for topic in TOPICS.keys() - NOT_OF_NODES:
        assert f"| `{'/' if topic in GLOBAL else ''}{topic}`" in PAGE
