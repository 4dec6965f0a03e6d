# SPDX-License-Identifier: Apache-2.0
"""The import rules of docs/architecture.md, read off the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tidegate

ROOT = Path(tidegate.__file__).parent
LEVEL = {
    "errors": 1,
    "records": 1,
    "machine": 1,
    "share": 2,
    "middleware": 2,
    "registry": 2,
    "settings": 2,
    "messages": 2,
    "bundle": 2,
    "card": 2,
    "workers": 2,
    "security": 2,
    "robot": 3,
    "bag": 3,
    "perception": 4,
    "liquid": 4,
    "safety": 4,
    "stack": 5,
    "arm_stack": 5,
    "simulation": 5,
    "export": 5,
    "doctor": 5,
    "data": 5,
    "curation": 5,
    "operate": 5,
    "learning": 6,
    "evaluation": 6,
    "attack": 6,
    "calibration": 6,
    "insight": 6,
    "comparison": 6,
    "campaign": 6,
    "nodes": 7,
    "cli": 8,
}
SAME_LEVEL_ALLOWED = {2, 6}  # rooms of one concept chain; perception, liquid and safety never meet
NODES_MAY = 5
TORCH_HOMES = {
    "arm_stack.py",
    "perception/backbone.py",
    "perception/places.py",
    "liquid/ltc.py",
    "liquid/cfc.py",
    "liquid/closed_form.py",
    "liquid/dense_cfc.py",
    "liquid/network.py",
    "liquid/ragged.py",
    "liquid/wired.py",
    "safety/barriernet.py",
    "safety/qp_layer.py",
    "safety/relaxed_layer.py",
    "stack.py",
}
ROS = {"rclpy", "sensor_msgs", "std_msgs", "nav_msgs", "diagnostic_msgs", "lifecycle_msgs", "std_srvs", "rosgraph_msgs"}
LINES = 300
MODULES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every absolute module that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "tidegate"}
    return found


def room(path: Path) -> str:
    """The room that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_never_point_back(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        assert not any(name.startswith("tidegate.") for name in imports(path))
        return
    level = LEVEL[own]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "tidegate" or len(parts) == 1 or parts[1] == own or parts[1].startswith("__"):
            continue
        other = LEVEL[parts[1]]
        if own == "nodes":
            assert other <= NODES_MAY, f"{own} imports {name}"
        elif own in ("simulation", "data"):
            assert other <= 3, f"{own} imports {name}"
        elif other == level:
            assert level in SAME_LEVEL_ALLOWED, f"{own} imports {name} of its own level"
        else:
            assert other < level, f"{own} (level {level}) imports {name} (level {other})"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_foreign_packages_have_one_home(path: Path) -> None:
    own, tops = room(path), {name.split(".")[0] for name in imports(path)}
    relative = str(path.relative_to(ROOT))
    if "mujoco" in tops:
        assert own == "simulation"
    if "gz" in tops:
        assert relative == "simulation/gazebo_server.py"
    if tops & ROS:
        assert own == "nodes"
    if "rosbags" in tops or "mcap" in tops:
        assert own == "bag"
    if "cvxpy" in tops:
        assert relative == "safety/linear.py"
    if "ncps" in tops:
        assert relative.startswith("liquid/conversion/")
    if "pyarrow" in tops:
        assert own == "data" or relative == "campaign/results.py"
    if "ray" in tops:
        assert relative == "campaign/cluster.py"
    if "pinocchio" in tops:
        assert relative == "robot/dynamics.py"
    if "scipy" in tops:
        assert own == "calibration" or relative == "insight/ranking.py"
    if "torch" in tops:
        assert relative in TORCH_HOMES or own in {"learning", "insight", "comparison"} or "conversion" in path.parts, (
            f"{relative} imports torch"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_of_the_car_imports_the_arms_dynamics(path: Path) -> None:
    """But for what is chosen by an arm's settings."""
    arms = ("safety/arm/", "attack/arm/", "nodes/arm_safety_node.py", "evaluation/arm", "insight/arm/")
    arms += ("robot/tool_law.py",)
    if not str(path.relative_to(ROOT)).startswith(arms):
        assert not any(name.startswith(("tidegate.robot.dynamics", "tidegate.safety.arm")) for name in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_contract_of_barriers_is_for_tests_alone(path: Path) -> None:
    if "contract" not in path.parts:
        assert not any(name.startswith("tidegate.safety.contract") for name in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_of_more_than_300_lines_says_why_in_its_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = "Long because " in (ast.get_docstring(ast.parse(text)) or "")
    assert told == (len(text.splitlines()) > LINES), (
        "give the reason as 'Long because …', or split it; a short module needs none"
    )


def test_every_source_file_carries_a_licence_line() -> None:
    repository = ROOT.parents[1]
    line = "SPDX-License-Identifier: Apache-2.0"
    for folder in ("src", "tests", "launch", "benchmarks", "examples", "scripts"):
        for path in sorted((repository / folder).rglob("*.py")):
            assert path.read_text(encoding="utf-8").startswith(f"# {line}"), path
    others = ("src/**/*.[ch]", "scripts/*.sh", "docker/*", "urdf/*", "config/*.yaml", "setup.py", "Makefile", ".ci/run")
    for path in (path for pattern in others for path in repository.glob(pattern) if path.is_file()):
        assert line in "".join(path.read_text(encoding="utf-8").splitlines()[:3]), path  # after a shebang, in a comment


def test_the_repository_names_its_licence_as_ament_copyright_asks() -> None:
    repository = ROOT.parents[1]
    assert "Apache License" in (repository / "LICENSE").read_text("utf-8")
    assert "Version 2.0, January 2004" in (repository / "LICENSE").read_text("utf-8")
    assert (repository / "CONTRIBUTING.md").is_file()
