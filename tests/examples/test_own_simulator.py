# SPDX-License-Identifier: Apache-2.0
"""A simulator from outside the repository: the evaluator drives in it, judges and records it, in any process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mujoco")

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.evaluation.recorded import survey_bag
from tidegate.share import share_path

ROOT = Path(__file__).parents[2]
NAME = "users_bicycle:Bicycle"
SECONDS = 3


def evaluate(site: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Drive by the command line, in processes that find the user's module in ``site``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src")]), "COLUMNS": "100"}
    script = "from tidegate.cli.app import main; main()"
    words = ["evaluate", "--simulator", NAME, "--seconds", str(SECONDS), "--out", str(out), *options]
    return subprocess.run(
        [sys.executable, "-c", script, *words], env=environment, cwd=site, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "examples/own_simulator/bicycle.py", folder / "users_bicycle.py")
    return folder


@pytest.fixture(scope="module")
def driven(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Folder, figures and output of two drives in two processes."""
    out = tmp_path_factory.mktemp("out")
    ran = evaluate(site, out, "--seeds", "1000:1002", "--processes", "2", "--record")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out, json.loads((out / "evaluation.json").read_text(encoding="utf-8")), ran.stdout


@pytest.mark.slow
def test_the_shipped_network_drives_in_it(driven: tuple[Path, dict[str, Any], str]) -> None:
    _, figures, _ = driven
    for run in figures["runs"]:
        assert run["end"] == "time limit"
        assert run["distance_m"] > 1.0
        assert run["limit_violations"] == run["collisions"] == 0
        assert run["off_lane_s"] == 0.0


@pytest.mark.slow
def test_figures_say_where_it_was_and_that_no_expert_set_the_pace(driven: tuple[Path, dict[str, Any], str]) -> None:
    _, figures, said = driven
    assert figures["simulator"] == NAME
    assert figures["pace_judged"] is False
    assert [run["expert_speed"] for run in figures["runs"]] == [None, None]
    assert f"the pace was not judged: no expert drives in {NAME}" in said


@pytest.mark.slow
def test_its_bags_hold_what_the_graph_would(driven: tuple[Path, dict[str, Any], str]) -> None:
    out, figures, _ = driven
    reader = BagReader(out / "bags" / "road-1000")
    rate, pictures = 200, 20
    assert reader.counts["/truth"] == reader.counts["/command"] == SECONDS * rate
    assert abs(reader.counts["/camera/image_raw"] - SECONDS * pictures) <= 1
    truths = [record.values for _, _, record in reader.messages(["truth"])]
    assert truths[-1]["distance"] == pytest.approx(figures["runs"][0]["distance_m"], abs=0.1)
    mass = Bundle.load(share_path("models/car-ltc19")).mass_kg
    assert len(survey_bag(reader, mass).state) > SECONDS * pictures // 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_drive(
    site: Path, driven: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    _, figures, _ = driven
    assert evaluate(site, tmp_path, "--seeds", "1001", "--processes", "1").returncode == 0
    again = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))["runs"]
    assert [run["state_hash"] for run in again] == [figures["runs"][1]["state_hash"]]
    assert again[0]["state_hash"] != figures["runs"][0]["state_hash"]


def test_what_it_cannot_do_is_said_in_one_line(site: Path, tmp_path: Path) -> None:
    refused = evaluate(site, tmp_path / "out", "--driver", "expert")
    assert refused.returncode == 2
    assert (
        refused.stderr
        == f"error: driver is 'expert', who knows the embedded world alone; in {NAME} it must be 'bundle'\n"
    )
    assert not (tmp_path / "out").exists()
