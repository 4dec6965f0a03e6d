# SPDX-License-Identifier: Apache-2.0
"""Plans: what they may say, and the episodes that they ask for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mujoco")

from tidegate.attack.episode import Episode
from tidegate.campaign.episodes import COLUMNS, episodes
from tidegate.campaign.plan import Plan
from tidegate.campaign.work import drive
from tidegate.errors import BundleError, SceneError, SettingsError
from tidegate.evaluation.rollout import Task
from tidegate.share import share_path

BOTH = """
tidegate_campaign: 1
scenes: [road, traffic]
seeds: "5000:5003"
evaluate: {driver: expert, seconds: 2}
attack: {adversaries: [noise, outward], seconds: 1.5, disable: [edge]}
"""


def plan(folder: Path, text: str) -> Plan:
    (folder / "plan.yaml").write_text(text, encoding="utf-8")
    return Plan.load(folder / "plan.yaml")


def test_episodes_are_scenes_times_seeds_times_who_and_each_says_of_itself_what_it_drives(tmp_path: Path) -> None:
    jobs, facts = episodes(plan(tmp_path, BOTH))
    assert [job.key for job in jobs[:4]] == [
        "evaluate road 5000",
        "evaluate road 5001",
        "evaluate road 5002",
        "evaluate traffic 5000",
    ]
    assert [job.key for job in jobs[6:9]] == [
        "attack road 5000 noise",
        "attack road 5000 outward",
        "attack road 5001 noise",
    ]
    assert len({job.key for job in jobs}) == len(jobs) == 2 * 3 + 2 * 3 * 2
    assert set(facts) == {"plan", "settings", "code", "bundle models/car-ltc19"}
    for job in jobs:
        assert set(job.columns) < set(COLUMNS)
        assert (job.columns["scene"], job.columns["seed"]) == (job.task.scene, job.task.seed)
        assert set(job.needs) == {"settings", "code"}  # no network takes part
    first, last = jobs[0].task, jobs[-1].task
    assert isinstance(first, Task)
    assert (first.driver, first.longest_s) == ("expert", 2.0)
    assert isinstance(last, Episode)
    assert (last.adversary, last.longest_s, last.disable, last.camera) == ("outward", 1.5, ("edge",), False)
    assert {job.columns["sensors"] for job in jobs if job.columns["what"] == "attack"} == {"exact", "wrong", "failing"}


def test_each_bundle_drives_each_road_and_a_copy_in_another_place_is_the_same(tmp_path: Path) -> None:
    for name in ("one", "other"):
        shutil.copytree(share_path("models/car-ltc19"), tmp_path / "models" / name)
    text = 'tidegate_campaign: 1\nbundles: [models/one, models/other]\nscenes: [road]\nseeds: "7"\nevaluate:\n'
    jobs, facts = episodes(plan(tmp_path, text))
    assert [job.key for job in jobs] == ["evaluate models/one road 7", "evaluate models/other road 7"]
    assert facts["bundle models/one"] == facts["bundle models/other"] == jobs[0].columns["bundle_sha256"]
    assert jobs[0].task.bundle != jobs[1].task.bundle
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "models", tmp_path / "elsewhere")
    assert episodes(plan(tmp_path / "elsewhere", text))[1] == facts


def test_with_a_camera_an_attack_is_of_each_bundle(tmp_path: Path) -> None:
    text = 'tidegate_campaign: 1\nscenes: [road]\nseeds: "7"\nattack: {camera: true, adversaries: [noise]}\n'
    (job,), _ = episodes(plan(tmp_path, text))
    assert job.key == "attack models/car-ltc19 road 7 noise"
    assert "bundle" in job.needs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tidegate_campaign: 1", "", "'tidegate_campaign' is None; it must be 1"),
        ("scenes: [road, traffic]", "", "nothing to drive; it must have scenes, and evaluate or attack"),
        (
            "scenes: [road, traffic]",
            "scene: [road]",
            "unknown key 'scene'; known here: bundles, scenes, seeds, settings",
        ),
        ("scenes: [road, traffic]", "scenes: road", "'scenes' is 'road'; it must be a list"),
        ('"5000:5003"', "5:10", "'seeds' is 310; it must be text"),
        ("driver: expert", "driver: nobody", "'evaluate.driver' is 'nobody'; it must be one of bundle, expert"),
        ("seconds: 1.5", "seconds: 0", "'attack.seconds' is 0; it must be at least 0.1"),
        ("seconds: 1.5", "sensors: [good]", "'attack.sensors' is 'good'; it must be one of exact, wrong, failing"),
        ("[noise, outward]", "[noise, noise]", "has the episode 'attack road 5000 noise' twice"),
        ("[noise, outward]", "[nobody]", "no adversary 'nobody'; known: bang_bang"),
        ("disable: [edge]", "disable: [egde]", "cannot disable 'egde'"),
        ("tidegate_campaign: 1", "- 1", "is no YAML|must be a mapping"),
    ],
)
def test_what_no_plan_can_say_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in BOTH
    with pytest.raises(SettingsError, match=said) as error:
        episodes(plan(tmp_path, BOTH.replace(old, new)))
    assert "\n" not in str(error.value)


def test_what_cannot_be_driven_is_refused_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="unknown scene"):
        episodes(plan(tmp_path, BOTH.replace("traffic", "trafic")))
    with pytest.raises(BundleError, match="no such bundle"):
        episodes(plan(tmp_path, BOTH + "bundles: [none]\n"))
    with pytest.raises(SettingsError, match=r"plan\.yaml: cannot be read"):
        Plan.load(tmp_path / "none" / "plan.yaml")


def test_a_worker_that_has_something_else_does_not_drive(tmp_path: Path) -> None:
    job = episodes(plan(tmp_path, BOTH))[0][0]
    assert drive(replace(job, needs={**job.needs, "code": "other"})).unfit == "another code"
    told = drive(job)
    assert (told.unfit, told.error, told.figures["end"]) == ("", "", "time limit")
    assert not {"wall_s", "episode"} & set(told.figures)


def test_what_an_episode_raises_is_told_of_it_alone(tmp_path: Path) -> None:
    job = episodes(plan(tmp_path, BOTH))[0][0]
    assert isinstance(job.task, Task)
    told = drive(replace(job, task=replace(job.task, scene="nowhere")))
    assert told.error.startswith("SceneError: ")
    assert told.figures == {}
