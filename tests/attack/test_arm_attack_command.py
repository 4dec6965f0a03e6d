# SPDX-License-Identifier: Apache-2.0
"""``tidegate attack --config config/arm.yaml`` as it is typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

import tidegate.cli.attack_arm as attacking
from tidegate.attack.arm.adversary import ARM_ADVERSARIES
from tidegate.attack.arm.outcome import PAYLOAD, ArmOutcome
from tidegate.attack.arm.policy import ARM_POLICIES
from tidegate.attack.campaign import OUTCOMES
from tidegate.cli.attack import attack
from tidegate.errors import BundleError, SettingsError
from tidegate.share import share_path

ARM, CAR = str(share_path("config/arm.yaml")), str(share_path("config/car.yaml"))
BUNDLE = str(share_path("models/arm-ltc19"))
WIDTH = 80
FEW = ("--scenes", "surface", "--adversaries", "press", "--seeds", "5002", "--seconds", "1", "--processes", "1")


def typed(*words: str) -> str:
    """What the command writes when it succeeds."""
    app = typer.Typer()
    app.command("attack")(attack)
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": str(WIDTH)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_an_arm_is_attacked_by_its_settings_and_not_again(tmp_path: Path) -> None:
    words = ("--config", ARM, *FEW, "--out", str(tmp_path), "--sensors", "wrong", "--stiffness", "100000")
    written = typed(*words)
    rows = {line.split("[")[0].strip(): line.split("]")[-1].split() for line in written.splitlines() if "]" in line}
    assert list(rows) == list(attacking.LIMITS)
    assert all((broke, also) == ("0", "1") for _, broke, _, _, _, also in rows.values())
    said = " ".join(written.split())
    assert "0 of 1 episodes broke what is promised" in said
    assert "the tool touched the surface in 1 episodes" in said
    kept = (tmp_path / OUTCOMES).read_bytes()
    assert typed(*words).splitlines()[1:] == written.splitlines()[1:]  # but for the bar
    assert (tmp_path / OUTCOMES).read_bytes() == kept
    assert json.loads(kept.splitlines()[1])["episode"]["stiffness"] == 1e5


def test_scenes_stand_beside_starts_and_policies_beside_torques(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    words = (
        "--config",
        ARM,
        "--scenes",
        "rest,press",
        "--adversaries",
        "policy,pump",
        "--seconds",
        "1",
        "--seeds",
        "7",
    )
    words += ("--sensors", "wrong", "--stiffness", "100000", "--bundle", BUNDLE, "--processes", "1")
    said = " ".join(typed(*words, "--out", str(tmp_path)).split())
    assert "0 of 3 episodes broke what is promised" in said
    driven = [json.loads(line)["episode"] for line in (tmp_path / OUTCOMES).read_text().splitlines()[1:]]
    assert {(one["start"], one["adversary"]) for one in driven} == {
        ("rest", "pump"),
        ("press", "pump"),
        ("press", "policy"),
    }
    assert {one["seconds"] for one in driven} == {1.0}


def test_an_episode_in_a_scene_is_as_long_as_that_and_in_none_two_seconds() -> None:
    def lasts(seconds: float | None) -> dict[str, float]:
        what = "speed,reach,wipe", "pump", [7], "", seconds, "", 0.0, (), None
        return {one.start: one.seconds for one in attacking.ArmCampaign(ARM, *what).episodes()}

    assert lasts(None) == {"speed": 2.0, "reach": 5.0, "wipe": 6.6}
    assert lasts(6.0) == {"speed": 6.0, "reach": 5.0, "wipe": 6.0}


def test_where_no_scene_is_named_the_arm_is_attacked_alone_as_ever() -> None:
    drawn = attacking.ArmCampaign(ARM, "", "", [7], "", None, "", 0.0, (), None).episodes()
    assert {one.start for one in drawn} == {"rest", "speed", "surface"}
    assert {one.adversary for one in drawn} == set(ARM_ADVERSARIES)
    assert {one.bundle for one in drawn} == {""}
    named = attacking.ArmCampaign(ARM, "press", "", [7], "", None, "", 0.0, (), None).episodes()
    assert {one.adversary for one in named} == {*ARM_ADVERSARIES, *ARM_POLICIES}


@pytest.mark.slow
def test_what_a_search_drives_has_a_table_of_its_own(tmp_path: Path) -> None:
    words = ("--config", ARM, *FEW, "--out", str(tmp_path), "--sensors", "wrong", "--stiffness", "1e5", "--search", "1")
    said = " ".join(typed(*words).split())
    assert "12 searched episodes, by turns for the most of position, velocity, power, tool speed, contact force" in said
    assert "profile, searched 12 0 0 6000" in said
    assert "0 of 1 episodes broke what is promised" in said
    assert (tmp_path / OUTCOMES).read_text().count("\n") == 1 + 1 + 12


def test_a_bundle_of_another_robot_drives_no_arm(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was made for robot 'car'; this one is 'arm'"):
        typed(
            "--config",
            ARM,
            "--scenes",
            "press",
            "--bundle",
            str(share_path("models/car-ltc19")),
            "--out",
            str(tmp_path),
        )


@pytest.mark.parametrize(
    ("config", "words", "said"),
    [
        (ARM, ("--camera", "1"), "describes an arm, which has no --camera"),
        (ARM, ("--worst", "1"), "describes an arm, which has no --worst"),
        (ARM, ("--scenes", "road"), "no start or scene 'road'; known: rest, speed, surface, hand_over, press"),
        (ARM, ("--adversaries", "slalom"), "no adversary 'slalom'; known: bang_bang"),
        (ARM, ("--sensors", "failing"), "no kind of sensors 'failing'; known: exact, wrong"),
        (ARM, ("--stiffness", "soft"), "--stiffness is 'soft'; it must be numbers in N/m"),
        (ARM, ("--adversaries", "amplified"), "no adversary 'amplified'; known: bang_bang"),
        (ARM, ("--bundle", BUNDLE), "--bundle drives in scenes alone; name some with --scenes: hand_over, press"),
        (ARM, ("--scenes", "press", "--search", "1"), "--search knows no scene; name one of rest, speed, surface"),
        (ARM, ("--disable", "lane"), "cannot disable 'lane'"),
        (CAR, ("--stiffness", "20000"), "describes a car, which has no --stiffness"),
        (CAR, ("--overload", "1"), "describes a car, which has no --overload"),
    ],
)
def test_what_is_for_the_other_kind_of_robot_is_refused(
    config: str, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said):
        typed("--config", config, *words, "--out", str(tmp_path))
    assert not list(tmp_path.iterdir())


def outcome(**changes: object) -> ArmOutcome:
    """A harmless one with changes."""
    none = dict.fromkeys(attacking.LIMITS, -1.0)
    facts = {"start": "surface", "adversary": "full_torque", "seed": 5000, "plan": []}
    harmless = ArmOutcome(facts, none, {}, dict.fromkeys(none, 1e5), 0.0, 0, [], 1000, {"NORMAL": 1000}, {}, 1000, 0)
    return replace(harmless, **changes)  # type: ignore[arg-type]


def written(*outcomes: ArmOutcome) -> str:
    console = Console(width=WIDTH)
    with console.capture() as capture:
        attacking._sum_up(console, list(outcomes))
    return " ".join(capture.get().split())


def test_what_was_overloaded_is_counted_apart() -> None:
    broken = outcome().excess | {"velocity": 0.1}
    told = written(outcome(), outcome(excess=broken), outcome(excess=broken, broken=[PAYLOAD]))
    assert "1 of 2 episodes broke what is promised" in told
    assert (
        "1 of 1 episodes in which a stated assumption was broken (payload) broke what rests on it, and 0 what" in told
    )
    assert "0 what" not in written(outcome(broken=[PAYLOAD], excess=broken | {"torque": 1.0}))


def test_the_tables_fit_with_the_longest_names() -> None:
    many = [outcome(relaxed={"acceleration": 1000})] * 1000
    console = Console(width=200)
    with console.capture() as capture:
        console.print(attacking.limit_table(many))
        console.print(attacking._table(many, "adversary", lambda one: one.who))
    assert max(len(line.rstrip()) for line in capture.get().splitlines()) <= WIDTH
