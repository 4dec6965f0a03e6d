# SPDX-License-Identifier: Apache-2.0
"""The way through a tree at one moment of a bag: that of the state behind the command, beside what the network said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from tidegate.cli.app import app
from tidegate.errors import BundleError
from tidegate.insight.model_tree import Leaf, Split
from tidegate.insight.policy_tree import PolicyTree

ROAD = Path(__file__).parents[1] / "golden" / "road"
MADE = PolicyTree(
    "made by hand",
    (0.0, 12.0, 24.0, 36.0),
    Split(6, 0.5, Leaf(900.0, (), 900.0, 900.0, 0.4), Leaf(1800.0, ((6, -10.0),), 0.0, 2000.0, 0.6)),
    Leaf(0.0, ((0, -0.02), (2, 1.0)), -0.1, 0.1, 1.0),
)


def asked(tree: Path, out: Path) -> None:
    words = ["explain", str(ROAD), "--at", "1.8s", "--window", "0.2s", "--tree", str(tree), "--no-roll-out"]
    CliRunner().invoke(app, [*words, "--out", str(out)], catch_exceptions=False)


@pytest.mark.slow
def test_the_page_tells_the_way_of_the_moments_state(tmp_path: Path) -> None:
    MADE.save(tmp_path / "tree.json")
    asked(tmp_path / "tree.json", tmp_path / "page.html")
    facts = json.loads((tmp_path / "page.json").read_text("utf-8"))
    told, frame = facts["tree"], facts["frame"]
    speed, offset = told["state"]["speed [m/s]"], told["state"]["lane offset [m]"]
    assert speed > 0.5
    assert offset == pytest.approx(frame["offset_m"])
    assert told["path"]["force"][0] == "speed ≤ 0.5 m/s: no"
    assert told["force_n"] == pytest.approx(1800.0 - 10.0 * speed)
    bend = told["state"]["lane curvature here [1/m]"]
    assert told["curvature_1_m"] == pytest.approx(bend - 0.02 * offset)
    assert told["network_force_n"] == pytest.approx(frame["force_n"])
    assert told["network_curvature_1_m"] == pytest.approx(frame["curvature_1_m"])
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "The way through the tree" in page
    assert "speed ≤ 0.5 m/s: no" in page


def test_a_tree_that_goes_by_other_distances_is_refused(tmp_path: Path) -> None:
    other = PolicyTree("other", (0.0, 10.0), MADE.force, Leaf(0.0, (), 0.0, 0.0, 1.0))
    other.save(tmp_path / "tree.json")
    with pytest.raises(BundleError, match=r"goes by the lane \(0.0, 10.0\) m ahead, the bundle by \(0.0, 12.0"):
        asked(tmp_path / "tree.json", tmp_path / "page.html")
