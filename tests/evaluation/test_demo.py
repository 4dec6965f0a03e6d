# SPDX-License-Identifier: Apache-2.0
"""What explains a network is made from real drives, and the demo leaves what it promises."""

import json

import numpy as np
import pytest

from domains import random_domain
from tidegate.bundle import Bundle
from tidegate.cli import demo as command
from tidegate.cli.explain import explanations, sheet
from tidegate.evaluation.survey import survey_task


@pytest.mark.slow
def test_explanations_from_a_watched_drive(task, car_settings):
    watched = survey_task(task)
    assert watched.state.shape == (len(watched.output), 5)
    assert np.isfinite(watched.output).all()
    assert (watched.state[:, 4] > 0).all(), "the gap"
    assert np.all(np.abs(np.diff(watched.state[:, 3])) < 1.0), "speed from one frame to the next"
    assert len(watched.images) == len(watched.masks) >= 3
    for mask in watched.masks:
        assert mask["road"].shape == watched.images[0].shape[:2]
    assert watched.masks[0]["road"][60:].mean() > 0.3, "the car starts on the road"
    bundle = Bundle.load(task.bundle)
    sections = explanations(bundle, car_settings, [watched], [sheet(watched)])
    assert [section.title for section in sections][:2] == ["Wiring", "What the camera network looks at"]
    assert len(sections) == 4
    for surface in ("road", "vegetation", "lines"):
        assert f"<td>{surface}</td>" in sections[1].body
    assert "R² = " in sections[2].note


@pytest.mark.slow
def test_the_demo_leaves_bag_video_page_and_figures_twice_in_a_row(random_bundle, tmp_path, monkeypatch, recorded):
    av = pytest.importorskip("av")
    pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setattr(command, "LONGEST_S", 10.0)
    run, _ = recorded
    for _ in range(2):
        command.demo(out=tmp_path, seed=2000, bundle=random_bundle, config=None)
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert set(summary) >= set(run.as_dict()) | {"latency_ms", "pss_mb"}
        assert set(summary["pss_mb"]) >= {"perception_node", "policy_node", "safety_node", "simulator_node"}
        assert summary["latency_ms"]["median"] > 0
        assert summary["frames_recorded"] >= 0.99 * summary["frames_sent"] > 0
        assert "The lap" in (tmp_path / "report.html").read_text()
        with av.open(str(tmp_path / "drive.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == summary["frames_recorded"]
