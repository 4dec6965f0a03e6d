# SPDX-License-Identifier: Apache-2.0
"""Distilling drives: the tree is at the wheel, the network says what it would do, and what comes of it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from chromium import BROWSER, LARGEST_BYTES, NO_AUDIT, audit, look, outside, serious

from tidegate.cli.app import app
from tidegate.errors import SceneError, SettingsError
from tidegate.evaluation.rollout import Task
from tidegate.insight.distil import APART_S, Driven, Job, Round, drive_job
from tidegate.insight.distil_facts import distil_facts, drives_facts
from tidegate.insight.distil_page import distil_page
from tidegate.insight.model_tree import Leaf
from tidegate.insight.policy_tree import PolicyTree
from tidegate.share import share_path

TASK = Task(
    str(share_path("config/car.yaml")),
    str(share_path("models/car-ltc19")),
    "road",
    3000,
    filtered=False,
    longest_s=4.0,
)
SLOW = PolicyTree(
    "slow", (0.0, 12.0, 24.0, 36.0), Leaf(600.0, (), 600.0, 600.0, 1.0), Leaf(0.0, ((2, 1.0),), -0.1, 0.1, 1.0)
)
"""Always the same small force, and the curvature of the lane here."""


@pytest.fixture(scope="module")
def driven() -> Driven:
    return drive_job(Job(TASK, SLOW, judged=True))


def test_the_tree_drives_and_the_network_labels(driven: Driven) -> None:
    speed = driven.states[:, -1]
    assert len(driven.states) == len(driven.commands) == len(driven.neurons)
    assert 1.0 < speed[-1] < 2.5  # what 600 N make of 1,240 kg in 4 s on some slope; the network is at 7 m/s by then
    assert np.median(driven.commands[:, 0]) > 1500.0
    assert np.ptp(driven.neurons, axis=0).max() > 0.1
    assert driven.run is not None
    assert driven.run.end == "time limit"


def test_the_frames_that_are_furthest_apart_are_kept_with_their_pictures(driven: Driven) -> None:
    found = driven.disagreements
    assert [one.size for one in found] == sorted((one.size for one in found), reverse=True)
    assert len(found) == 3
    times = [one.time_s for one in found]
    assert min(abs(a - b) for a in times for b in times if a != b) >= APART_S
    for one in found:
        row = int(np.abs(driven.states - one.state).sum(axis=1).argmin())
        np.testing.assert_array_equal(driven.commands[row], one.network)
        assert one.tree[0] == 600.0
        assert one.image.shape == (80, 160, 3)


@pytest.fixture(scope="module")
def page(driven: Driven, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a drive that is its own judge, which no command would allow."""
    names = [f"neuron {index}" for index in range(19)]
    told, pictures = distil_facts(SLOW, "constant", 16, [driven], [Round(80, 2, [])], [driven], names)
    assert driven.run is not None
    told |= {"scene": "road", "drives": {"behind the filter": drives_facts([driven.run])}}
    assert json.loads(json.dumps(told, allow_nan=False))["r2"]["constant"]["leaves"] == 2
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(distil_page(told, pictures), "utf-8")
    return file


def test_the_page_tells_how_drives_went(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<td>behind the filter</td><td>0/1</td><td>0</td><td>0</td>" in text
    assert text.count("data:image/png") == 3
    assert outside(text) == []
    assert page.stat().st_size < LARGEST_BYTES


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1100, 500])
def test_in_a_browser_all_is_shown_and_nothing_is_wider_than_the_screen(page: Path, width: int, tmp_path: Path) -> None:
    found = look(page, tmp_path, width)
    assert (found["failed"], found["images"]) == ([], [])
    assert found["wide"] <= 0


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
@pytest.mark.parametrize("width", [1100, 500])
def test_the_page_shuts_nobody_out(page: Path, width: int, tmp_path: Path) -> None:
    assert serious(audit(page, tmp_path, width)["faults"]) == []


def distilled(*words: str) -> None:
    CliRunner().invoke(app, ["distil", *words], catch_exceptions=False)


@pytest.mark.slow
def test_the_command_writes_the_tree_and_what_it_is_worth(tmp_path: Path) -> None:
    told = ("--rounds", "1", "--seconds", "8", "--judge", "", "--processes", "1", "--out", str(tmp_path))
    distilled("--seeds", "3000:3002", "--held-out", "3100", *told)
    facts = json.loads((tmp_path / "report.json").read_text("utf-8"))
    tree = PolicyTree.load(tmp_path / "tree.json")
    assert facts["leaves"] == tree.leaves <= 16
    assert facts["tree"] == (tmp_path / "tree.txt").read_text("utf-8")
    assert facts["r2"]["linear"]["held_out"]["curvature"] <= 1.0
    assert len(facts["neurons"]["neurons"]) == 19
    assert [one["frames"] for one in facts["rounds"]] == sorted(one["frames"] for one in facts["rounds"])
    room: dict[str, object] = {}
    exec((tmp_path / "tree.py").read_text("utf-8"), room)
    page = (tmp_path / "report.html").read_text("utf-8")
    worst = facts["disagreements"][0]
    assert page.count("data:image/png") == len(facts["disagreements"]) == 3
    assert f"seed {worst['seed']}" in page
    state = list(worst["state"].values())
    assert room["tidegate_tree"](*state) == pytest.approx(list(worst["tree"].values()))  # type: ignore[operator]


def test_a_tree_is_judged_by_other_drives_than_it_was_fitted_to(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="seed 3003 is in --seeds"):
        distilled("--seeds", "3000:3004", "--held-out", "3003:3006", "--out", str(tmp_path / "out"))
    with pytest.raises(SceneError, match="3 rounds need at least 4"):
        distilled("--seeds", "3000:3003", "--out", str(tmp_path / "out"))
    with pytest.raises(SettingsError, match="--leaf is 'round'; it must be linear or constant"):
        distilled("--leaf", "round", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
