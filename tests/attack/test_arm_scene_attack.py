# SPDX-License-Identifier: Apache-2.0
"""An arm's policy in its scenes, sound at first: something goes wrong with it, and the filter keeps the limits."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from tidegate.attack.arm.adversary import ARM_ADVERSARIES
from tidegate.attack.arm.episode import ArmEpisode, drive, prepared, run_arm_attack, run_arm_episode
from tidegate.attack.arm.limits import LIMITS, MEMORY, ArmExcess
from tidegate.attack.arm.outcome import PAYLOAD, SLOPE, over
from tidegate.attack.arm.policy import ARM_POLICIES, FAR, HELD, MUCH, PolicyAsItIs
from tidegate.attack.arm.stage import LATEST, InScene
from tidegate.attack.arm.supervised import unfiltered
from tidegate.attack.campaign import OUTCOMES
from tidegate.errors import SettingsError
from tidegate.records import Floats
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.security.manifest import MANIFEST, identity
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmTruth

SETTINGS, BUNDLE = str(share_path("config/arm.yaml")), str(share_path("models/arm-ltc19"))
ARM = prepared(SETTINGS, 0.0, ()).guard.arm
SENSES = ToolSenses(np.array([0.5, 0.0, 0.3]), np.zeros(3), 2.0, 6.0, 0.05)
AIM = ToolAim(np.array([0.52, 0.01, 0.25]), 5.0)
SIGHTS, PICTURE = np.arange(8, dtype=np.float32), np.full((112, 160, 3), 90, np.uint8)
PICTURE[40:60, 40:60] = 200


def episode(adversary: str, scene: str = "press", seconds: float = 0.6, **more: Any) -> ArmEpisode:
    return ArmEpisode(SETTINGS, scene, 5000, adversary, seconds=seconds, bundle=BUNDLE, **more)


def stage(scene: str, seed: int = 5000, sensors: str = "wrong", overload: float = 0.0) -> InScene:
    rng = np.random.default_rng(seed)
    return InScene(rng, ARM, scene, seed, sensors, overload, (), BUNDLE, 0.6)


def made(name: str, seed: int = 0) -> PolicyAsItIs:
    return ARM_POLICIES[name](ARM, np.random.default_rng(seed))


def changes(one: PolicyAsItIs) -> set[str]:
    """What it meddles with in 20 pictures."""
    found = set()
    for _ in range(20):
        torque, aim = np.arange(7.0), one.aim(AIM, SENSES)
        same = {
            "picture": np.array_equal(one.picture(PICTURE), PICTURE),
            "sights": np.array_equal(one.sights(SIGHTS), SIGHTS),
            "senses": np.array_equal(one.senses(SENSES).row(), SENSES.row()),
            "aim": np.array_equal(aim.place, AIM.place) and aim.push == AIM.push,
            "torque": np.array_equal(one.torque(torque), torque),
        }
        found |= {name for name, alike in same.items() if not alike}
    return found


@pytest.mark.parametrize(
    ("name", "meddles"),
    [
        ("policy", set()),
        ("flipped_policy", {"torque"}),
        ("amplified", {"torque"}),
        ("mirrored_aim", {"aim"}),
        ("wild_aim", {"aim"}),
        ("stale_aim", set()),  # of an aim that does not change the old one is the new one
        ("black_picture", {"picture"}),
        ("noise_picture", {"picture"}),
        ("frozen_picture", set()),  # nor does this picture
        ("nan_sights", {"sights"}),
        ("wrong_request", {"senses"}),
    ],
)
def test_every_policy_is_wrong_in_one_place(name: str, meddles: set[str]) -> None:
    assert changes(made(name)) == meddles
    assert ARM_POLICIES[name].__doc__


def test_every_policy_is_tried_above() -> None:
    marks = test_every_policy_is_wrong_in_one_place.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in marks[0].args[1]} == set(ARM_POLICIES)


def test_a_policy_is_wrong_in_the_way_that_it_says() -> None:
    torque = np.arange(7.0)
    assert made("flipped_policy").torque(torque).tolist() == (-torque).tolist()
    assert made("amplified").torque(torque).tolist() == (MUCH * torque).tolist()
    away = made("mirrored_aim").aim(AIM, SENSES)
    assert (away.place - SENSES.place).tolist() == pytest.approx((SENSES.place - AIM.place).tolist())
    assert away.push == AIM.push
    assert not made("black_picture").picture(PICTURE).any()
    noise = made("noise_picture")
    assert noise.picture(PICTURE).std() > 60
    assert not np.array_equal(noise.picture(PICTURE), noise.picture(PICTURE))
    frozen = made("frozen_picture")
    assert [frozen.picture(PICTURE // share).max() for share in (1, 2, 4)] == [200] * 3
    broken = [made("nan_sights", seed).sights(SIGHTS) for seed in range(40)]
    assert {bool(np.isfinite(one).all()) for one in broken} == {True, False}
    assert any(np.array_equal(one, SIGHTS) for one in broken)
    assert made("wrong_request").senses(SENSES).wanted == 60.0
    assert made("wrong_request").senses(SENSES._replace(wanted=0.0)).wanted == ARM.settings.safety.surface.force_max


def test_a_stale_aim_is_heard_for_up_to_two_seconds_and_a_wild_one_is_anywhere() -> None:
    stale, wild = made("stale_aim"), made("wild_aim")
    heard = [stale.aim(AIM._replace(push=float(number)), SENSES).push for number in range(400)]
    lasts = np.diff(np.flatnonzero(np.diff(heard, prepend=-1.0)))
    assert 2 <= lasts.min() < lasts.max() <= HELD
    assert max(number - push for number, push in enumerate(heard)) > 20
    aims = [wild.aim(AIM, SENSES) for _ in range(200)]
    assert 0.9 * FAR < max(float(np.abs(one.place - SENSES.place).max()) for one in aims) <= FAR
    assert max(one.push for one in aims) > 5 * ARM.settings.safety.surface.force_max
    assert min(one.push for one in aims) < 0


@cache
def wishes(adversary: str) -> Floats:
    """What is asked for (T, N) in 0.6 s of a scene where nothing stands between."""
    asked: list[Floats] = []
    let_through = unfiltered(ARM)

    def answer(now: float, seen: Floats, wish: Floats | None, late: float, last: Floats) -> Floats:
        assert wish is not None
        asked.append(wish.copy())
        return let_through(now, seen, wish, late, last)

    one = stage("reach")
    drive(one, one.ask(adversary, np.random.default_rng(2), ()), answer, 300)
    one.close()
    return np.array(asked)


@pytest.mark.parametrize(
    ("adversary", "pictures"),
    [
        ("amplified", 0),
        ("full_torque", 0),
        ("noise_picture", 1),
        ("nan_sights", 4),
        ("wrong_request", 1),
        ("mirrored_aim", 1),
    ],
)
def test_the_policy_drives_until_something_goes_wrong(adversary: str, pictures: int) -> None:
    sound, wrong = wishes("policy"), wishes(adversary)
    least = min(len(sound), len(wrong))
    differ = (sound[:least] != wrong[:least]).any(axis=1)
    began = int(differ.argmax())
    onset = 500 * 0.6 * LATEST * np.random.default_rng(2).uniform()
    late = pictures / ARM.settings.camera.rate_hz + (pictures > 0) * ARM.settings.camera.latency_s
    assert onset <= began <= onset + 1 + 500 * late
    assert differ[began:].all()


@pytest.mark.parametrize("scene", ["press", "hand_over"])
def test_the_policy_as_it_is_breaks_nothing_with_the_filter_or_without(scene: str) -> None:
    found = run_arm_episode(episode("policy", scene, seconds=1.0))
    assert found.harmless
    assert over(found.alone) == []
    assert found.excess["power"] > -ARM.settings.safety.limits.power_max + 1  # it moved
    assert (found.faults, found.modes) == (0, {"NORMAL": 500})


@pytest.mark.parametrize(("adversary", "scene"), [("flipped_policy", "reach"), ("wild_aim", "press")])
def test_a_policy_that_is_wrong_breaks_limits_where_nothing_stands_between(adversary: str, scene: str) -> None:
    found = run_arm_episode(episode(adversary, scene, seconds=1.5))
    assert found.harmless
    assert {"torque", "torque rate", "power"} <= set(over(found.alone))
    assert found.changed > 0


def test_every_way_to_be_wrong_is_driven_and_held() -> None:
    for name in ("mirrored_aim", "stale_aim", "black_picture", "frozen_picture", "nan_sights", "wrong_request"):
        found = run_arm_episode(episode(name, "press", seconds=0.3))
        assert (found.violations, found.faults, found.ticks) == ([], 0, 150), name


def test_the_arm_in_a_scene_is_what_was_drawn() -> None:
    one, settings = stage("hand_over", overload=1.0), load_arm_settings(SETTINGS)
    lighter = stage("hand_over")
    assert one.body.payload == lighter.body.payload + 1.0
    assert one.scene.model.body_mass.sum() - lighter.scene.model.body_mass.sum() == pytest.approx(1.0)
    assert 1.0 <= one.body.payload <= 1.0 + settings.arm.payload + settings.arm.payload_error
    assert np.array_equal(one.scene.model.dof_frictionloss, one.body.friction)
    assert one.errors(0.1, one.begin()).any()
    exact = stage("hand_over", sensors="exact")
    assert exact.body.payload == settings.arm.payload
    assert not exact.errors(0.1, exact.begin()).any()
    assert stage("wipe").supervisor.guard.arm.settings.safety.limits.tool_speed_max == 0.5


def test_an_episode_in_a_scene_can_be_driven_again_by_what_its_line_says() -> None:
    first = run_arm_episode(episode("wrong_request", "wipe", seconds=0.3))
    told = json.loads(json.dumps(first.episode))
    assert "bundle" not in told
    assert run_arm_episode(ArmEpisode.of(told, SETTINGS, BUNDLE)) == first


def test_a_campaign_in_scenes_is_of_one_bundle(tmp_path: Path) -> None:
    first = episode("policy", "reach", seconds=0.1)
    run_arm_attack([first], tmp_path, 1)
    facts = json.loads((tmp_path / OUTCOMES).read_text().splitlines()[0])
    assert facts["bundle"] == identity((Path(BUNDLE) / MANIFEST).read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    (other / MANIFEST).write_bytes(b"another bundle")
    with pytest.raises(SettingsError, match="results of other bundle than now"):
        run_arm_attack([replace(first, bundle=str(other))], tmp_path, 1)


def touching(force: float, speed: float) -> ArmTruth:
    middle = 0.5 * (ARM.lower + ARM.upper)
    return ArmTruth(middle, np.zeros(7), np.zeros(3), np.array([speed, 0.0, 0.0]), force)


@pytest.mark.parametrize(("tilt", "force", "sloped"), [(0.1, 5.0, True), (0.1, 0.0, False), (0.0, 5.0, False)])
def test_what_follows_a_touch_of_an_untold_slope_is_kept_apart(tilt: float, force: float, sloped: bool) -> None:
    normal = np.array([np.sin(tilt), 0.0, np.cos(tilt)])
    excess, most = ArmExcess(ARM), ARM.settings.safety.limits.tool_speed_max
    excess.step(np.zeros(7), touching(force, most + 0.3), normal)
    assert excess.sloped == sloped
    assert excess.found["tool speed"] == pytest.approx(0.3)
    assert (excess.level["tool speed"] < 0) == sloped
    for _ in range(round(MEMORY / ARM.settings.simulator.physics_step_s)):
        excess.step(np.zeros(7), touching(0.0, most + 0.2), normal)
    assert excess.level["tool speed"] == pytest.approx(0.2 if sloped else 0.3)  # longer ago it explains nothing


def test_a_slope_excuses_what_followed_its_touch_alone() -> None:
    found = run_arm_episode(episode("policy", "wipe", seconds=2.5))
    assert found.broken == [SLOPE]  # it wipes
    assert found.harmless
    assert set(found.level) == set(LIMITS)
    slid = replace(found, excess=found.excess | {"tool speed": 0.01})
    assert (slid.violations, slid.behind("tool speed"), slid.excused) == (["tool speed"], [SLOPE], True)
    free = replace(slid, level=slid.level | {"tool speed": 0.005})
    assert (free.behind("tool speed"), free.excused) == ([], False)
    assert not replace(slid, excess=slid.excess | {"power": 1.0}).excused
    heavy = replace(free, broken=[PAYLOAD, SLOPE])
    assert heavy.behind("tool speed") == [PAYLOAD]


def test_a_pad_is_as_its_filter_is_told() -> None:
    found = run_arm_episode(episode("policy", "press", seconds=2.0))
    assert found.touched > 0
    assert (found.broken, found.level) == ([], {})


def test_policies_and_torques_go_by_other_names() -> None:
    assert not set(ARM_POLICIES) & set(ARM_ADVERSARIES)
