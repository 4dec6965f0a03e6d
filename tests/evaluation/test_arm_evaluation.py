# SPDX-License-Identifier: Apache-2.0
"""An arm's scenes as ``tidegate evaluate`` does them: what counts as done, what counts as beyond a limit, one file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.errors import BundleError, SceneError, SettingsError
from tidegate.evaluation.arm import ArmEpisode, ArmResult, check_episode, run_episode, run_episodes, summary
from tidegate.evaluation.arm_excess import limit_excess
from tidegate.robot.arm import Arm
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ARM_SCENES, ArmRun, ArmTruth, Bound, make_arm_scene

ARM_YAML = share_path("config/arm.yaml")
EPISODE = ArmEpisode(str(ARM_YAML), "reach", 1000)
SHORT = replace(EPISODE, longest_s=0.2)


def without_clock(result: ArmResult) -> dict[str, object]:
    """What does not depend on how long it took; text, for a score that is no number is not equal to itself."""
    return {name: str(value) for name, value in asdict(result).items() if name != "wall_s"}


def evaluated(*words: str) -> dict[str, object]:
    """What ``tidegate evaluate`` of the arm wrote into ``out``."""
    done = CliRunner().invoke(app, ["evaluate", "--config", str(ARM_YAML), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    written: dict[str, object] = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    return written


def test_the_expert_does_a_scene_within_all_limits_and_the_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = evaluated("--driver", "expert", "--seeds", "1000", "--out", "out")
    (run,), total = told["runs"], told["summary"]
    assert (told["robot"], told["driver"], told["filter"], told["disable"]) == ("arm", "expert", "on", [])
    assert (run["scene"], run["seed"], run["completed"]) == ("reach", 1000, True)
    assert run["score"]["tracking_rms_m"] < 0.002
    assert run["duration_s"] == pytest.approx(5.0)
    assert run["limit_violations"] == 0
    assert (run["worst_limit"], min(run["left"].values()) > 0) == ("", True)
    assert (total["completed"], total["total"], total["runs_beyond_a_limit"]) == (1, 1, 0)
    assert total["score"]["tracking_rms_m"]["most"] == run["score"]["tracking_rms_m"]


def test_wishes_at_a_cameras_rate_do_the_scene_too_by_the_robots_own_model() -> None:
    result = run_episode(replace(EPISODE, driver="teacher", filtered=False))
    assert result.completed
    assert result.score["tracking_rms_m"] < 0.003
    assert (result.limit_violations, result.worst_limit) == (0, "")


def test_an_episode_that_is_broken_off_before_errors_count_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--driver", "expert", "--scene", "press", "--seeds", "1000", "--seconds", "0.1", "--filter", "off")
    told = evaluated(*words, "--out", "out")
    (run,) = told["runs"]
    assert (told["filter"], run["completed"], run["duration_s"]) == ("off", False, pytest.approx(0.1))
    assert run["score"] == {"force_rms_n": None, "force_share": None}
    assert told["summary"]["score"]["force_share"] == {"mean": None, "least": None, "most": None}
    assert run["interventions"] == 0


def test_the_same_seed_gives_the_same_episode_in_other_processes() -> None:
    here, heard = run_episode(SHORT), []
    results = run_episodes([replace(SHORT, seed=1001), SHORT], 2, heard.append)
    assert [result.seed for result in results] == [1001, 1000]
    assert sorted(result.seed for result in heard) == [1000, 1001]
    assert without_clock(results[1]) == without_clock(here)
    assert results[0].state_hash != here.state_hash
    assert summary(results)["total"] == 2


def test_a_limit_that_the_filter_would_have_kept_is_counted_and_named_without_it(tmp_path: Path) -> None:
    """Of an arm that may take a twenty-fifth of the power."""
    text = ARM_YAML.read_text(encoding="utf-8").replace("../urdf", str(ARM_YAML.parents[1] / "urdf"))
    assert "power_max: 100.0" in text
    weak = tmp_path / "weak.yaml"
    weak.write_text(text.replace("power_max: 100.0", "power_max: 4.0"), encoding="utf-8")
    episode = replace(EPISODE, settings=str(weak), scene="hand_over", longest_s=0.9)
    kept, broken = run_episode(episode), run_episode(replace(episode, filtered=False))
    loose = run_episode(replace(episode, disable=("power",)))
    assert (kept.limit_violations, kept.worst_limit) == (0, "")
    assert "power" in kept.interventions_by_row
    assert 0 < kept.intervened_s <= kept.duration_s
    assert (broken.worst_limit, broken.interventions) == ("power", 0)
    assert broken.left["power"] < -0.5
    assert broken.limit_violations > 100
    assert (loose.worst_limit, loose.interventions_by_row.keys() & {"power"}) == ("power", set())


@pytest.mark.parametrize("name", ARM_SCENES)
def test_what_a_scene_must_reach_is_among_its_figures(name: str) -> None:
    scene = make_arm_scene(name, load_arm_settings(ARM_YAML), 1000)
    assert {bound.name for bound in scene.passing} <= scene.score().keys()
    assert not scene.done(), "before it began"


@pytest.mark.parametrize(("value", "holds"), [(0.9, False), (1.0, True), (2.0, True), (2.1, False), (math.nan, False)])
def test_a_bound_holds_between_its_ends(value: float, holds: bool) -> None:
    assert Bound("x", least=1.0, most=2.0).holds(value) == holds


def test_each_limit_is_measured_as_a_share_of_itself() -> None:
    arm = Arm.from_settings(load_arm_settings(ARM_YAML))
    limits, zero = arm.settings.safety.limits, np.zeros(len(arm.effort))
    middle = 0.5 * (arm.upper + arm.lower)
    first = np.eye(len(zero))[0]
    still = ArmTruth(middle, zero, np.zeros(3), np.zeros(3), 0.0)
    moved = ArmTruth(
        arm.upper + 0.05 * (arm.upper - arm.lower),
        1.2 * arm.velocity[0] * first,
        np.zeros(3),
        np.array([0.0, 1.5 * limits.tool_speed_max, 0.0]),
        2.0 * arm.settings.safety.surface.force_max,
    )
    step = arm.settings.simulator.physics_step_s
    torque = np.array([zero, zero, 1.4 * arm.effort, 1.4 * arm.effort])
    excess = limit_excess(ArmRun(step, (still, still, still, moved), torque, torque[::2], ()), arm)
    change = 1.4 * (arm.effort * arm.settings.safety.rate_hz / arm.effort_rate).max()
    power = 1.4 * arm.effort[0] * 1.2 * arm.velocity[0] / limits.power_max
    assert excess["position"] == pytest.approx([-1, -1, -1, 0.1])
    assert excess["velocity"] == pytest.approx([-1, -1, -1, 0.2])
    assert excess["torque"] == pytest.approx([-1, -1, 0.4, 0.4])
    assert excess["torque rate"] == pytest.approx([change - 1])
    assert excess["power"] == pytest.approx([-1, -1, -1, power - 1])
    assert excess["tool speed"] == pytest.approx([-1, -1, -1, 0.5])
    assert excess["force"] == pytest.approx([-1, -1, -1, 1.0])


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"scene": "raech"}, SceneError, "'raech'; known: hand_over, press, reach, wipe"),
        ({"driver": "pilot"}, SettingsError, "driver is 'pilot'; it must be bundle or expert or teacher"),
        (
            {"driver": "bundle", "bundle": str(share_path("models/car-ltc19"))},
            BundleError,
            "made for robot 'car'; this one is 'arm'",
        ),
        ({"disable": ("lane",)}, SettingsError, "cannot disable 'lane'; an arm's parts are acceleration"),
    ],
)
def test_what_cannot_be_done_is_refused_before_processes_start(
    change: dict[str, object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        check_episode(replace(EPISODE, **change))


@pytest.mark.parametrize("option", ["--record", "--simulator=bicycle:Bicycle"])
def test_options_of_the_car_alone_are_refused_for_an_arm(option: str) -> None:
    with pytest.raises(SettingsError, match=rf"arm\.yaml: describes an arm, for which .* {option.split('=')[0]} yet"):
        CliRunner().invoke(app, ["evaluate", "--config", str(ARM_YAML), option], catch_exceptions=False)
