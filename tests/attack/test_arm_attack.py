# SPDX-License-Identifier: Apache-2.0
"""Hostile torques find an arm's limits where nothing stands between, and not where the filter does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

import tidegate.attack.arm.search as searching
from tidegate.attack.arm.adversary import ARM_ADVERSARIES, STRENGTH, Profile
from tidegate.attack.arm.conditions import STARTS, Errors, draw_start
from tidegate.attack.arm.episode import ArmEpisode, drive, prepared, run_arm_attack, run_arm_episode
from tidegate.attack.arm.limits import LIMITS, ArmExcess
from tidegate.attack.arm.outcome import FAULT, PAYLOAD, ArmOutcome, over
from tidegate.attack.arm.stage import Bare
from tidegate.attack.arm.supervised import Supervised
from tidegate.attack.campaign import OUTCOMES
from tidegate.attack.search import POPULATION
from tidegate.errors import SettingsError
from tidegate.records import ArmInputs, ArmTick, Received
from tidegate.safety.arm import ArmGuard, ArmSupervisor
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene, ArmTruth

SETTINGS = str(share_path("config/arm.yaml"))
UP = np.array([0.0, 0.0, 1.0])


def guard() -> ArmGuard:
    return deepcopy(prepared(SETTINGS, 0.0, ()).guard)


def bare(seed: int, sensors: str = "wrong", overload: float = 0.0) -> Any:
    return Bare(np.random.default_rng(seed), deepcopy(prepared(SETTINGS, 0.0, ())), "rest", sensors, overload)


def still(position: Any = None) -> ArmTruth:
    """An arm at rest there, or with all joints at 0; where its tool is does not matter."""
    return ArmTruth(np.zeros(7) if position is None else position, np.zeros(7), np.zeros(3), np.zeros(3), 0.0)


def episode(adversary: str, start: str = "speed", seconds: float = 0.6, **more: Any) -> ArmEpisode:
    return ArmEpisode(SETTINGS, start, 5000, adversary, seconds=seconds, **more)


@pytest.mark.parametrize("name", list(ARM_ADVERSARIES))
def test_every_adversary_says_what_it_does_and_asks_for_more_than_the_joints_can_give(name: str) -> None:
    made = guard()
    adversary = ARM_ADVERSARIES[name](made.arm, made.dynamics, np.random.default_rng(1))
    assert adversary.__doc__
    place, speed = 0.3 * made.arm.upper, 0.5 * made.arm.velocity
    asked = [adversary.wish(0.002 * tick, place, speed) for tick in range(500)]
    wishes = [wish for wish in asked if wish is not None]
    assert all(wish.shape == place.shape for wish in wishes)
    assert max(float(np.nanmax(np.abs(wish / made.arm.effort))) for wish in wishes) > 1


def test_what_is_no_wish_is_silent_broken_or_of_another_time() -> None:
    made, rest = guard(), np.zeros(7)

    def asked(name: str, see: Callable[[Any, Any], Any]) -> set[Any]:
        adversary = ARM_ADVERSARIES[name](made.arm, made.dynamics, np.random.default_rng(1))
        return {see(adversary, adversary.wish(0.002 * tick, rest, rest)) for tick in range(500)}

    assert asked("stutter", lambda _, wish: wish is None) == {True, False}
    assert asked("nan", lambda _, wish: bool(np.isfinite(wish).all())) == {True, False}
    ages = asked("stale", lambda adversary, _: adversary.late)
    patience = made.arm.settings.safety.ladder.nominal_timeout_s
    assert min(ages) < 0 < patience < max(ages)


@pytest.mark.parametrize("kind", STARTS)
def test_an_episode_starts_where_every_row_holds_without_any_acceleration(kind: str) -> None:
    made, rng = guard(), np.random.default_rng(3)
    for _ in range(5):
        start = draw_start(rng, made, kind)
        made.engage(start.position, start.torque)
        rows = made.filter.rows(made.state(start.position, start.velocity))
        assert min(rows.values) > 0
        assert min(rows.margins(start.torque / made.filter.scale)) >= 0
        assert bool(start.velocity.any()) == (kind != "rest")
        motion = made.dynamics(start.position, start.velocity)
        gap = motion.position[2] - made.arm.settings.safety.surface.offset
        assert (gap < 0.05) == (kind == "surface")
        assert kind != "surface" or motion.velocity[2] <= 0


def test_without_a_surface_nothing_starts_at_it() -> None:
    settings = load_arm_settings(SETTINGS)
    surface = replace(settings.safety.surface, enabled=False)
    free = ArmGuard(replace(settings, safety=replace(settings.safety, surface=surface)))
    with pytest.raises(SettingsError, match=r"safety\.surface\.enabled is false"):
        draw_start(np.random.default_rng(0), free, "surface")


def test_what_is_drawn_stays_within_what_the_settings_bound() -> None:
    made, limits = guard(), load_arm_settings(SETTINGS).safety.limits
    model, found = made.arm.settings.arm, []
    for seed in range(12):
        one = bare(seed)
        assert abs(one.body.payload - model.payload) <= model.payload_error
        assert 1e3 <= one.scene._surface.stiffness <= made.arm.settings.safety.surface.stiffness
        assert (one.body.friction + np.abs(one.body.motor) <= np.array(model.torque_error) + 1e-12).all()
        assert np.array_equal(one.scene.model.dof_frictionloss, one.body.friction)
        errors = np.array([one.errors(0.002 * tick, one.begin()) for tick in range(200)])
        assert np.abs(errors[:, 0]).max() <= limits.position_error
        assert np.abs(errors[:, 1]).max() <= limits.velocity_error
        found.append(bool(np.ptp(errors, axis=0).any()))
    assert set(found) == {True, False}  # some errors are constant, some are not
    exact = bare(1, "exact", 0.5)
    assert exact.body.payload == model.payload + 0.5
    assert not exact.body.motor.any()
    assert not exact.errors(0.1, exact.begin()).any()


def test_the_same_errors_come_again_with_the_filter_off() -> None:
    errors, truth = [Errors(guard(), np.random.default_rng(seed), "wrong", near=False) for seed in range(6)], still()
    for one in errors:
        one.begin()
        first = [one(0.002 * tick, truth) for tick in range(5)]
        one.begin()
        assert np.array_equal(first, [one(0.002 * tick, truth) for tick in range(5)])


def hiding(kind: str) -> Errors:
    near = kind == "surface"
    found = (Errors(guard(), np.random.default_rng(seed), "wrong", near=near) for seed in range(20))
    return next(one for one in found if one._shape == "hide")


def test_errors_of_all_joints_together_may_hide_how_low_and_how_fast_the_tool_is() -> None:
    made, rng = guard(), np.random.default_rng(2)
    for kind in ("surface", "speed"):
        start = draw_start(rng, made, kind)
        true = made.dynamics(start.position, start.velocity)
        truth = still(start.position)._replace(velocity=start.velocity, tool_velocity=true.velocity)
        off = hiding(kind)(0.1, truth)
        seen = made.dynamics(start.position + off[0], start.velocity + off[1])
        limits = made.arm.settings.safety.limits
        if kind == "surface":
            reach = np.abs(true.jacobian[2]).sum()
            assert seen.position[2] - true.position[2] == pytest.approx(limits.position_error * reach, rel=0.02)
            assert seen.velocity[2] - true.velocity[2] == pytest.approx(limits.velocity_error * reach, rel=0.2)
        else:
            assert np.linalg.norm(seen.velocity) < np.linalg.norm(true.velocity) - 0.005


def test_what_is_no_number_breaks_the_limit_that_it_is_judged_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that sends NaN, or an arm that is driven to where numbers end, has kept nothing."""
    monkeypatch.chdir(tmp_path)  # MuJoCo leaves a log
    made = guard()
    scene, excess, none = ArmScene(made.arm), ArmExcess(made.arm), np.full(7, math.nan)
    truth = scene.place(np.zeros(7), np.zeros(7))
    excess.command(none, np.zeros(7), truth)
    assert {name for name, value in excess.found.items() if value == math.inf} == {"torque", "torque rate", "power"}
    for _ in range(3):
        truth = scene.step(none)
        excess.step(np.zeros(7), truth, UP)
    assert {name for name, value in excess.found.items() if value == math.inf} == set(LIMITS) - {"contact force"}
    excess.step(np.zeros(7), still(), UP)
    assert excess.found["position"] == math.inf


def test_each_limit_is_judged_against_its_own_number() -> None:
    arm = guard().arm
    safety = arm.settings.safety
    rest = np.zeros(7)
    torque, last = arm.effort + 1.0, arm.effort + 1.0 - arm.effort_rate / safety.rate_hz
    middle = still(0.5 * (arm.lower + arm.upper))
    excess = ArmExcess(arm)
    excess.command(torque, last - 2 / safety.rate_hz, middle)
    assert excess.found["torque"] == pytest.approx(1.0)
    assert excess.found["torque rate"] == pytest.approx(2.0)
    down = np.array([0.0, 0.0, -safety.limits.tool_speed_max - 0.1])
    excess.step(rest, middle._replace(tool_velocity=down), UP)
    speed = np.where(np.arange(7) == 2, -arm.velocity - 0.3, 0.0)
    excess.step(
        np.where(np.arange(7) == 2, (safety.limits.power_max + 5) / (arm.velocity + 0.3), 0.0),
        ArmTruth(arm.lower - 0.01, speed, np.zeros(3), np.zeros(3), safety.surface.force_max + 4),
        UP,
    )
    assert excess.found == pytest.approx(
        {
            "position": 0.01,
            "velocity": 0.3,
            "torque": 1.0,
            "torque rate": 2.0,
            "power": 5.0,
            "tool speed": 0.1,
            "contact force": 4.0,
        }
    )
    assert excess.touched == pytest.approx(-down[2])


def test_a_new_command_is_judged_by_its_power_at_once() -> None:
    arm, torque = guard().arm, np.zeros(7)
    torque[0] = 80.0
    moving = ArmTruth(np.zeros(7), np.where(np.arange(7) == 0, -2.0, 0.0), np.zeros(3), np.zeros(3), 0.0)
    excess = ArmExcess(arm)
    excess.command(torque, torque, moving)
    assert excess.found["power"] == pytest.approx(160 - arm.settings.safety.limits.power_max)
    assert excess.found["position"] == -math.inf


@pytest.mark.parametrize(("adversary", "start"), [("bang_bang", "speed"), ("press", "surface")])
def test_with_the_filter_nothing_is_broken_and_without_it_everything(adversary: str, start: str) -> None:
    found = run_arm_episode(episode(adversary, start, seconds=1.0))
    assert found.harmless
    assert max(found.excess.values()) <= 1e-6
    assert set(found.excess) == set(LIMITS)
    assert {name for name, value in found.alone.items() if value > 0} >= set(LIMITS) - {"contact force"}
    if start == "surface":
        assert found.alone["contact force"] > 0
        assert found.excess["contact force"] > -load_arm_settings(SETTINGS).safety.surface.force_max
        assert 0 < found.touched < 0.3
    assert found.modes == {"NORMAL": 500}


class Delayed(Supervised):
    """Joint states come nine periods late, just inside what the ladder lets pass."""

    def __init__(self, supervisor: ArmSupervisor) -> None:
        super().__init__(supervisor)
        self.seen: list[ArmInputs] = []
        tick = self._supervisor.tick

        def late(inputs: ArmInputs) -> ArmTick:
            self.seen.append(inputs)
            joints = self.seen[max(len(self.seen) - 10, 0)].joints
            assert joints is not None
            return tick(replace(inputs, joints=Received(joints.record, inputs.now - joints.record.stamp)))

        self._supervisor.tick = late  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", [5000, 5001])
def test_joint_states_that_are_as_old_as_they_may_be_break_no_limit(seed: int) -> None:
    """The model moves them on, and errs meanwhile: without a margin for that a joint was 0.02 rad/s too fast."""
    rng = np.random.default_rng([seed, *b"speed outward wrong"])
    stage = Bare(rng, deepcopy(prepared(SETTINGS, 0.0, ())), "speed", "wrong", 0.0)
    made = Delayed(stage.supervisor)
    excess = drive(stage, stage.ask("outward", rng, ()), made, 500)
    assert over(excess.found) == []
    assert made.modes == {"NORMAL": 500}


def test_an_episode_can_be_driven_again_by_what_its_line_says() -> None:
    first = run_arm_episode(episode("stutter", seconds=0.3))
    told = json.loads(json.dumps(first.episode))
    assert run_arm_episode(ArmEpisode.of(told, SETTINGS)) == first


def test_a_barrier_that_is_left_out_is_missed() -> None:
    found = run_arm_episode(episode("full_torque", disable=("velocity", "power", "tool_speed")))
    assert "velocity" in found.violations
    assert not found.excused


def test_a_load_that_nobody_was_told_of_excuses_what_counts_on_mass_alone() -> None:
    found = run_arm_episode(episode("outward", seconds=1.0, overload=6.0))
    assert found.broken == [PAYLOAD]
    assert found.violations
    assert found.excused
    assert not replace(found, broken=[]).excused
    assert not replace(found, excess=found.excess | {"torque": 1.0}).excused
    assert not replace(found, faults=1).excused
    assert FAULT in replace(found, faults=1).violations


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, second = episode("nan", seconds=0.1), episode("pump", seconds=0.1)
    run_arm_attack([first], tmp_path, 1)
    fresh: list[ArmOutcome] = []
    both = run_arm_attack([first, second], tmp_path, 1, fresh.append)
    assert [one.episode["adversary"] for one in both] == ["nan", "pump"]
    assert [one.episode["adversary"] for one in fresh] == ["pump"]
    assert (tmp_path / OUTCOMES).read_text().count("\n") == 3


def test_a_search_looks_for_the_most_of_each_limit_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is driven here is pretended: the excess is near a plan of each limit's own."""

    def pretended(batch: list[ArmEpisode], *_: Any) -> list[Any]:
        aims = {name: np.full(28, 0.1 * number) for number, name in enumerate(searching.TARGETS)}
        plans = [np.array(one.plan) for one in batch]
        excess = [{name: -float(np.square(plan - aim).sum()) for name, aim in aims.items()} for plan in plans]
        return [SimpleNamespace(excess=one, plan=plan) for one, plan in zip(excess, plans, strict=True)]

    monkeypatch.setattr(searching, "run_arm_attack", pretended)
    drawn = [replace(episode(who), start=start) for who in ("nan", "pump") for start in ("rest", "speed", "surface")]
    starts = searching.arm_search_starts(drawn)
    assert [(one.start, one.adversary) for one in starts] == [(start, "profile") for start in STARTS]
    found: list[Any] = searching.search_arm(starts, 60, 7, Path())
    last = np.array([one.plan for one in found]).reshape(60, 3, POPULATION, 7 * Profile.SEGMENTS)[-1].mean(axis=1)
    for number, plan in enumerate(last):
        assert plan.mean() == pytest.approx(0.1 * number, abs=0.04)


def test_a_searched_plan_is_held_segment_by_segment() -> None:
    made, plan = guard(), tuple(np.linspace(-1, 1, 28).tolist())
    adversary = Profile(made.arm, made.dynamics, np.random.default_rng(0), plan)
    wish = adversary.wish(Profile.SECONDS * 1.5, np.zeros(7), np.zeros(7))
    assert wish is not None
    assert wish.tolist() == pytest.approx((np.array(plan[7:14]) * STRENGTH * made.arm.effort).tolist())
