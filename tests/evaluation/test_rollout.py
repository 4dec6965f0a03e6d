# SPDX-License-Identifier: Apache-2.0
"""Closed loops: the same seed gives the same drive anywhere, figures agree on two ways, refusals name what is wrong."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import BagError, BundleError, SceneError, SettingsError
from tidegate.evaluation.campaign import parse_seeds, run_campaign, write_evaluation
from tidegate.evaluation.drivers import expert_speed
from tidegate.evaluation.metrics import End
from tidegate.evaluation.recorded import judge_bag, survey_bag
from tidegate.evaluation.rollout import Task, check_task, drive, run_task
from tidegate.records import Mode

REQUIRED = {
    "seed",
    "scene",
    "completed",
    "distance_m",
    "max_abs_lane_error_m",
    "rms_lane_error_m",
    "off_lane_s",
    "collisions",
    "min_gap_m",
    "limit_violations",
    "interventions",
    "state_hash",
}


def without_clock(run):
    return {name: value for name, value in asdict(run).items() if name != "wall_s"}


def test_the_same_seed_gives_the_same_drive_in_other_processes(recorded, short_task, tmp_path):
    here, _ = recorded
    heard = []
    tasks = [replace(short_task, seed=1001), short_task]
    runs, totals = run_campaign(tasks, processes=2, heard=heard.append)
    assert [run.seed for run in runs] == [1001, 1000]
    assert sorted(run.seed for run in heard) == [1000, 1001]
    assert without_clock(runs[1]) == without_clock(here)
    assert runs[0].state_hash != runs[1].state_hash
    path = write_evaluation(tmp_path / "out", tasks[0], runs, totals)
    written = json.loads(path.read_text())
    assert written["summary"]["total"] == 2
    assert set(written["runs"][0]) >= REQUIRED
    assert written["summary"]["distance_m"] == sum(run["distance_m"] for run in written["runs"])


def test_a_random_network_does_not_complete_the_road(whole):
    run, _ = whole
    assert not run.completed
    assert run.limit_violations == 0, "whatever the network asks for"
    assert run.end in ("off road", "standing", "contact", "time limit")


def test_the_bag_is_judged_as_the_drive_was(whole, car_settings):
    run, path = whole
    end = End(run.end)
    again = judge_bag(BagReader(path), car_settings, "road", run.seed, end, 0.0)
    assert again.distance_m == pytest.approx(run.distance_m, abs=0.2)
    assert again.max_abs_lane_error_m == pytest.approx(run.max_abs_lane_error_m, abs=0.2)
    assert again.interventions == run.interventions
    assert again.limit_violations == 0
    assert (again.completed, again.end) == (run.completed, run.end)


def test_survey_of_a_bag_has_a_row_per_decision(recorded):
    _, path = recorded
    reader = BagReader(path)
    found = survey_bag(reader, 1200.0)
    assert abs(len(found.state) - reader.counts["/nominal"]) <= 1
    asked = [record for _, _, record in reader.messages(["nominal"])]
    assert found.output[0, 0] == asked[0].curvature
    assert found.output[0, 1] == asked[0].force / 1200.0


def test_a_bag_in_which_nobody_drove_is_refused(car_settings, tmp_path, recorded):
    from tidegate.bag import BagWriter

    _, path = recorded
    with BagWriter(tmp_path / "stopped") as writer:
        for topic, received, record in BagReader(path).messages(["command", "safety_node/barriers", "truth"]):
            if topic == "safety_node/barriers":
                record = replace(record, mode=Mode.STOPPED)
            writer.write(topic, record, received)
    with pytest.raises(BagError, match="never in NORMAL"):
        judge_bag(BagReader(tmp_path / "stopped"), car_settings, "road", 0, End.STANDING, 0.0)


def test_a_reset_is_asked_for_until_the_car_drives(short_task, car_settings):
    asked, modes = [], []

    def watch(moment):
        asked.append(moment.step.inputs.reset_requested)
        modes.append(moment.step.tick.mode)

    drive(car_settings, short_task, Bundle.load(short_task.bundle), watch)
    first = modes.index(Mode.NORMAL)
    assert asked == [True] * (first + 1) + [False] * (len(asked) - first - 1)
    assert 0 < first < 100


def test_the_policy_gets_the_odometry_of_the_moment_of_exposure(short_task, car_settings, monkeypatch):
    from tidegate.evaluation import drivers

    pairs = []
    step = drivers.LiquidPolicy.step

    def spied(self, features, odometry):
        pairs.append((features.stamp, odometry.stamp))
        return step(self, features, odometry)

    monkeypatch.setattr(drivers.LiquidPolicy, "step", spied)
    drive(car_settings, short_task, Bundle.load(short_task.bundle))
    assert len(pairs) > 20
    assert all(features == odometry for features, odometry in pairs)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"driver": "nobody"}, SettingsError, "bundle, expert"),
        ({"disable": ("brakes",)}, SettingsError, "image_health"),
        ({"scene": "moon"}, SceneError, "moon"),
        ({"bundle": "nowhere"}, BundleError, "nowhere"),
        ({"settings": "nowhere.yaml"}, SettingsError, "nowhere.yaml"),
    ],
)
def test_what_cannot_be_driven_is_refused_before_it_starts(task, change, error, words):
    with pytest.raises(error, match=words):
        check_task(replace(task, **change))


def test_seeds():
    assert parse_seeds("1000:1003") == [1000, 1001, 1002]
    assert parse_seeds("7") == [7]
    assert parse_seeds("1,5,9") == [1, 5, 9]
    for wrong in ("", "a", "5:5", "1:2:3", "-3", "4:2"):
        with pytest.raises(SceneError, match="1000:1020"):
            parse_seeds(wrong)


@pytest.mark.slow
def test_the_expert_is_a_yardstick(car_settings):
    speed = expert_speed(car_settings, "road", 1000)
    assert 8.0 < speed < 15.0
    assert speed == expert_speed(car_settings, "road", 1000)


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["road", "traffic", "truck", "truck_whiteout", "camera_lost"])
def test_the_expert_behind_the_filter_completes_every_scene(task, scene):
    run = run_task(replace(task, scene=scene, driver="expert"))
    assert run.completed, run
    assert run.collisions == run.limit_violations == 0


@pytest.mark.slow
def test_it_is_the_filter_that_saves_the_car(car_settings, task):
    """An expert who is blind to the truck: the distance rows stop the car; without them it hits."""
    ends = {}
    for disable in ((), ("distance",)):
        blind = replace(task, scene="truck", driver="expert", disable=disable)
        ends[disable] = run_blind(car_settings, blind)
    assert ends[()].collisions == 0
    assert ends[()].interventions_by_row.get("distance", 0) > 0
    assert ends[("distance",)].end == End.CONTACT.value
    assert not ends[("distance",)].completed


def run_blind(settings, blind: Task):
    from tidegate.simulation import Expert

    sees = Expert._follow
    Expert._follow = lambda self, truth: np.inf
    try:
        return drive(settings, blind, None)
    finally:
        Expert._follow = sees
