# SPDX-License-Identifier: Apache-2.0
"""Commands of the documentation that need a sourced workspace, read from their pages."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("ros2pkg")
pytest.importorskip("ros2run")

from launched import PATIENCE_S

from blocks import ROOT, blocks
from tidegate.nodes.onlooker import onlooker

pytestmark = pytest.mark.real_time


def block(page: str, word: str) -> str:
    """The only block of a page that has ``word`` in it."""
    (found,) = [one.text for one in blocks(ROOT / page) if word in one.text]
    return found


def test_the_profiles_are_where_robot_says(environment: dict[str, str]) -> None:
    text = block("docs/robot.md", "FASTRTPS_DEFAULT_PROFILES_FILE")
    told = 'printf "%s\\n" "$FASTRTPS_DEFAULT_PROFILES_FILE" "${CYCLONEDDS_URI#file://}"'
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text + told], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    shipped = [(ROOT / "config" / name).read_bytes() for name in ("fastdds.xml", "cyclonedds.xml")]
    assert [Path(line).read_bytes() for line in ran.stdout.splitlines()] == shipped


def test_the_saliency_node_of_operate_comes_up_and_goes_down(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text, log = block("docs/operate.md", "saliency_node"), tmp_path / "log"
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, environment[name])
    with log.open("w") as stream, onlooker("looks", "") as (node, spin):
        process = subprocess.Popen(
            ["bash", "-euc", text], cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            spin(PATIENCE_S, lambda: process.poll() is not None or node.count_publishers("saliency") > 0)
            assert process.poll() is None, log.read_text()
            assert node.count_publishers("saliency") == 1
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert "Traceback" not in log.read_text()
