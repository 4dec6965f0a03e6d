# SPDX-License-Identifier: Apache-2.0
"""The public colcon builds, installs and tests the package, and ``ros2 run`` starts each of its nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from workspace import Workspace

Built = Callable[[str], Workspace]
OPTIONS = pytest.mark.parametrize("option", ["", pytest.param("--symlink-install", marks=pytest.mark.slow)])
REFUSED = ("--ros-args", "-p", "vehicle.speed_max:=-1.0", "-p", "path:=''")
"""Parameters that no node takes; the recorder has a path, which must not be empty."""


@OPTIONS
def test_the_build_is_complete(built: Built, option: str, setup_arguments: dict[str, Any]) -> None:
    workspace = built(option)
    prefix = workspace.place / "install" / "tidegate"
    for folder, sources in setup_arguments["data_files"]:
        for source in sources:
            assert (prefix / folder / Path(source).name).exists(), source
    script = (
        "import tidegate, tidegate.share; print(tidegate.__file__); import tidegate.liquid.native\n"
        "print(tidegate.share.share_path('config/car.yaml'))"
    )
    told = workspace.run("python", "-c", script)
    assert told.returncode == 0, told.stderr
    assert all(line.startswith(str(workspace.place)) for line in told.stdout.splitlines()), told.stdout


@pytest.mark.slow
@OPTIONS
def test_ros2_run_starts_every_node(built: Built, option: str, setup_arguments: dict[str, Any]) -> None:
    """Far enough to read its parameters: what it cannot take is refused in one line."""
    pytest.importorskip("ros2run")
    workspace = built(option)
    scripts = {entry.split(" = ")[0] for entry in setup_arguments["entry_points"]["console_scripts"]}
    assert set(workspace.run("ros2", "pkg", "executables", "tidegate").stdout.split()) == scripts
    nodes = sorted(scripts - {"tidegate"})
    assert "safety_node" in nodes
    for node in nodes:
        ran = workspace.run("ros2", "run", "tidegate", node, *REFUSED)
        assert re.search(rf"^\[FATAL\] \[{node}\]: \S", ran.stderr, re.MULTILINE), ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_colcon_test_passes(built: Built, colcon: str) -> None:
    workspace = built("")
    ran = workspace.run(colcon, "test", "--return-code-on-test-failure", timeout=800)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = workspace.run(colcon, "test-result", "--verbose")
    assert told.returncode == 0, told.stdout
    assert "0 errors, 0 failures" in told.stdout
    (result,) = ElementTree.parse(workspace.place / "build/tidegate/pytest.xml").getroot().iter("testsuite")
    assert result.attrib["errors"] == result.attrib["failures"] == "0"
    assert int(result.attrib["tests"]) - int(result.attrib["skipped"]) > 100
