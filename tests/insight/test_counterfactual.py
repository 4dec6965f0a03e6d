# SPDX-License-Identifier: Apache-2.0
"""A drive that is driven again is the recorded one to the bit; without its row it ends as it must."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from tidegate.bag import BagReader
from tidegate.evaluation.rollout import Task, run_task
from tidegate.evaluation.topics import small_records
from tidegate.insight.counterfactual import Course, Rerun, drive_without, recorded_course, rerun_of
from tidegate.records import Values, nanoseconds
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import EPOCH

CONFIG, BUNDLE = share_path("config/car.yaml"), share_path("models/car-ltc19")
GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = load_settings(CONFIG)


def truth_of(bag: Path) -> Mapping[int, Values]:
    return small_records(BagReader(bag), ["truth"])["truth"]


def again(bag: Path) -> Rerun:
    found = rerun_of(bag, BagReader(bag).contract(), SETTINGS, CONFIG, BUNDLE, frozenset())
    assert isinstance(found, Rerun), found
    return found


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the expert behind a slower car."""
    bag = tmp_path_factory.mktemp("drive") / "bag"
    run_task(Task(str(CONFIG), str(BUNDLE), "traffic", 1003, "expert", record=str(bag), longest_s=2.0))
    return bag


def test_with_nothing_left_out_it_is_the_recorded_drive_to_the_bit(recording: Path) -> None:
    begin = EPOCH + nanoseconds(1.0)
    known = recorded_course(SETTINGS, truth_of(recording), begin)
    assert isinstance(known, Course), known
    made = drive_without(SETTINGS, again(recording), truth_of(recording), begin, frozenset(), "lane")
    assert isinstance(made, Course), made
    assert made.apart == 0.0
    both = min(len(known.time), len(made.time))
    assert both == 199  # the truth is recorded before each tick, so the last one is not in the bag
    for name in ("time", "speed", "lane_error", "gap"):
        assert np.array_equal(getattr(made, name)[:both], getattr(known, name)[:both]), name
    assert (made.contact, made.lane_left, made.off_road) == (None, None, None)
    assert made.watched is not None
    assert (made.watched.after_s, made.watched.broken) == (None, frozenset())


def test_another_drive_is_refused_and_says_how_far_it_is(recording: Path) -> None:
    begin = EPOCH + nanoseconds(1.0)
    other = replace(again(recording), seed=1004)
    said = drive_without(SETTINGS, other, truth_of(recording), begin, frozenset(), "lane")
    assert isinstance(said, str)
    assert "m from where it was recorded" in said


def test_full_throttle_behind_a_slower_car_runs_into_it_without_the_distance_row() -> None:
    bag, begin = GOLDEN / "traffic", EPOCH + nanoseconds(2.66)
    made = drive_without(SETTINGS, again(bag), truth_of(bag), begin, frozenset({"distance"}), "distance")
    assert isinstance(made, Course), made
    assert made.contact == pytest.approx(5.6, abs=0.3)
    assert made.gap.min() < 0.05  # they touch between two ticks
    assert made.watched is not None
    assert made.watched.after_s is not None
    assert made.watched.after_s < made.contact  # less than the gap at standstill
    assert "distance" not in made.watched.acted
    known = recorded_course(SETTINGS, truth_of(bag), begin)
    assert isinstance(known, Course), known
    assert known.contact is None


def test_a_truth_that_tells_too_little_is_said_to(recording: Path) -> None:
    known, begin = truth_of(recording), EPOCH + nanoseconds(1.0)
    lacking = {
        stamp: replace(one, values={name: value for name, value in one.values.items() if name != "slope"})
        for stamp, one in known.items()
    }
    assert "the bag's truth lacks 'slope'" in str(recorded_course(SETTINGS, lacking, begin))
    assert recorded_course(SETTINGS, known, max(known)) == "the bag ends where the row began to act"


def test_a_bag_that_does_not_say_what_it_is_of_is_not_driven(recording: Path, tmp_path: Path) -> None:
    bag = shutil.copytree(recording, tmp_path / "bag")
    (bag / "run.json").write_text(json.dumps({"scene": "traffic"}), "utf-8")
    contract = BagReader(bag).contract()
    assert "does not tell which drive it is" in str(rerun_of(bag, contract, SETTINGS, CONFIG, BUNDLE, frozenset()))
    (bag / "run.json").unlink()
    assert "is not beside the bag" in str(rerun_of(bag, contract, SETTINGS, CONFIG, BUNDLE, frozenset()))
