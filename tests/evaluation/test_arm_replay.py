# SPDX-License-Identifier: Apache-2.0
"""An arm's bag is replayed to the bit by itself; what was changed, is missing or is another's is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")
pytest.importorskip("torch")

import torch

from tidegate.arm_stack import ArmStack
from tidegate.bag import BagReader, BagWriter
from tidegate.bag.typestore import deserialise
from tidegate.bundle import Bundle
from tidegate.cli.app import app
from tidegate.errors import TidegateError
from tidegate.evaluation import midway
from tidegate.evaluation.by_kind import replayed_robot
from tidegate.evaluation.difference import Difference, Tolerances, against_record, agreement, compare
from tidegate.evaluation.replay import Replay
from tidegate.liquid.arm_policy import ArmPolicy
from tidegate.messages import ARM_FORMS, decode
from tidegate.perception.arm_perception import ArmPerception
from tidegate.records import (
    ArmInputs,
    ArmSafetyState,
    Command,
    Floats,
    JointStates,
    Mode,
    Neurons,
    Received,
    Round,
    UsedInputs,
    nanoseconds,
)
from tidegate.robot.arm import Arm
from tidegate.robot.contract import contract_of
from tidegate.robot.dynamics import Dynamics
from tidegate.safety.arm import ArmSupervisor
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm.plant import ArmPlant
from tidegate.simulation.arm.told import write_told

ARM_YAML = share_path("config/arm.yaml")
QUANTITIES = ["features", "health", "neurons", "nominal", "command", "filter"]


def settings_file(folder: Path, scene: str = "", **safety: dict[str, Any]) -> Path:
    """Settings of an arm that is released after few ticks, in a scene by name as its filter is told of it."""
    document = yaml.safe_load(ARM_YAML.read_text(encoding="utf-8"))
    values = document["/**"]["ros__parameters"]
    values["arm"]["urdf"] = str(share_path("urdf/arm.urdf.xacro"))
    values["safety"]["motion"]["samples"] = 10
    values["safety"]["ladder"] = {"persist_s": 0.02, "standstill_s": 0.01}
    for section, changed in safety.items():
        values["safety"].setdefault(section, {}).update(changed)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "arm.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return write_told(file, scene, 1000, folder) if scene else file


@pytest.fixture(scope="module")
def save_random(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes the bundle of a network with the random weights of a seed, that goes down and presses."""

    def save(seed: int) -> Path:
        stack = ArmStack(load_arm_settings(ARM_YAML), seed)
        with torch.no_grad():
            stack.policy.output_bias += torch.tensor([0.3, -0.2, -3.0, 0.9])
        folder = tmp_path_factory.mktemp("bundle") / f"random{seed}"
        stack.to_bundle("arm-test").save(folder)
        return folder

    return save


@pytest.fixture(scope="module")
def bundle(save_random: Callable[[int], Path]) -> Path:
    return save_random(0)


class Drive:
    """Supervisor and world in lock-step, in exactly the order of the graph, kept in a bag."""

    def __init__(self, bag: Path, file: Path, bundle: Path | None, scene: str = "") -> None:
        self.settings: ArmSettings = load_arm_settings(file)
        self.plant = ArmPlant(self.settings, scene, 1000)
        self.supervisor = ArmSupervisor(self.settings)
        self.writer = BagWriter(bag, contract_of(file, bundle))
        self.mode = Mode.STOPPED

    def tick(self, now: int, joints: JointStates, nominal: Command | None, steady: int | None = None) -> None:
        write = self.writer.write
        asked = None if nominal is None else Received(nominal, now - nominal.stamp)
        inputs = ArmInputs(now, asked, Received(joints, 0), reset_requested=self.mode != Mode.NORMAL, steady=steady)
        told = self.supervisor.tick(inputs)
        self.mode = told.mode
        write("joint_states", joints)
        if nominal is not None:
            write("nominal", nominal)
        write("safety_node/inputs", UsedInputs.of(inputs))
        write("safety_node/barriers", ArmSafetyState.of(told, self.plant.arm.joint_names))
        if told.command is not None:
            write("command", told.command)
            self.plant.apply(replace(told.command, stamp=self.plant.now))
        self.plant.step()

    def close(self) -> None:
        self.writer.close()
        self.plant.close()
        assert self.mode == Mode.NORMAL


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    """A bag of an arm that drives itself."""
    folder = tmp_path_factory.mktemp("drive")
    drive = Drive(folder / "bag", settings_file(folder, "press"), bundle, "press")
    model = Bundle.load(bundle, "arm")
    perception, policy = ArmPerception(model), ArmPolicy(model, drive.settings, lock_step=True)
    for _ in range(200):
        seen, now, write = drive.plant.observe(), drive.plant.now, drive.writer.write
        made = [*policy.touch(seen.wrench)]
        write("wrench", seen.wrench)
        if seen.frame is not None and seen.request is not None:
            features, health = perception.process(seen.frame)
            for topic, record in (
                ("wrench_request", seen.request),
                ("camera/image_raw", seen.frame),
                ("features", features),
                ("health", health),
            ):
                write(topic, record)
            made += [*policy.request(seen.request), *policy.see(features)]
        made += policy.move(seen.joints)
        for one in made:
            if not isinstance(one, Command):
                write("neurons" if isinstance(one, Neurons) else "policy_node/inputs", one)
        (nominal,) = (one for one in made if isinstance(one, Command))
        write("tick", Round(now, ("joint_states", "nominal")))
        drive.tick(now, seen.joints, nominal)
    drive.close()
    return folder / "bag"


def asked_for(arm: Arm) -> Callable[[Floats], Floats]:
    """Torques that make it move."""
    gravity = Dynamics(arm).gravity
    return lambda position: gravity(position) + np.array([25.0, 0.0, 10.0, 0.0, 5.0, 0.0, 2.0])


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of an arm for which somebody's own node asks, without a camera: its system clock is set forward by a time
    for which the drives would hold it, were it to pass."""
    folder = tmp_path_factory.mktemp("clocked")
    drive = Drive(folder / "bag", settings_file(folder), None)
    ask = asked_for(drive.plant.arm)
    for number in range(120):
        steady = 123_456_789 + drive.plant.now
        now = 1_700_000_000_000_000_000 + drive.plant.now + (number >= 90) * 50_000_000
        joints = replace(drive.plant.observe().joints, stamp=now)
        drive.tick(now, joints, Command(now, joints.names, ask(joints.position)), steady)
    drive.close()
    return folder / "bag"


def rewritten(
    source: Path, target: Path, change: Callable[[str, Any], Any], contract: dict[str, str] | None = None
) -> Path:
    """A copy of a bag with ``change(topic, record)`` in the place of each record; None leaves it out."""
    reader = BagReader(source)
    with BagWriter(target, reader.contract() if contract is None else contract) as writer:
        for name, kind, received, data in reader.raw(set(reader.topics)):
            topic = name[1:]
            record = decode(ARM_FORMS.get(topic, topic), deserialise(data, kind))
            made = change(topic, record)
            if made is record:
                writer.write_raw(name, kind, data, received)
            elif made is not None:
                writer.write(topic, made, received)
    return target


def from_record(
    bag: Path, bundle: Path | None, config: Path | None = None, **options: Any
) -> tuple[Replay, dict[str, Difference]]:
    """A replay, and what differs from the record, by field."""
    reader = BagReader(bag)
    robot = replayed_robot(reader, config)
    model = None if bundle is None else Bundle.load(bundle, robot.name)
    asked = options.get("asked", False)
    made = robot.run(reader, model, frozenset(), lambda done, total: None, asked=asked)
    found = compare(*against_record(made), robot.scales(model), made.start, Tolerances())
    return made, {one.name: one for one in found}


def said(*words: object) -> tuple[int, str]:
    """Exit code and text of the command."""
    result = CliRunner().invoke(app, ["replay", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_bag_is_replayed_to_the_bit_by_the_settings_that_are_in_it(recorded: Path, bundle: Path) -> None:
    """Those of its scene, which stand nowhere else."""
    made, found = from_record(recorded, bundle)
    assert list(dict.fromkeys(one.quantity for one in found.values())) == QUANTITIES
    assert all(one.count == one.equal > 0 for one in found.values())
    assert (made.frames, made.ticks, made.notes) == (8, 200, ())
    assert found["nominal.joint_4"].count == found["filter.allowed.joint_7"].count == 200
    assert found["neurons.18"].count == 8
    assert agreement(list(found.values())) == "bit-equal"
    assert any(state.intervened for state in made.recorded["safety_node/barriers"].values())
    code, text = said(recorded, "--bundle", bundle)
    assert (code, "bit-equal" in text, "recorded with another" in text) == (0, True, False)


def test_another_limit_is_found_and_named(recorded: Path, bundle: Path, tmp_path: Path) -> None:
    """The policy is not told of it, so what it asks for is the same."""
    config = settings_file(tmp_path / "new", "press", limits={"power_max": 30.0})
    _, found = from_record(recorded, bundle, config)
    beyond = {name for name, one in found.items() if one.since is not None}
    assert {"filter.power.h", "filter.power.margin", "command.joint_2"} <= beyond
    assert {one.quantity for one in found.values() if one.since is not None} == {"command", "filter"}
    page = tmp_path / "page.html"
    code, text = said(recorded, "--bundle", bundle, "--config", config, "--html", page)
    assert code == 1
    assert "recorded with another: settings (" in text
    assert "filter.power.h" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("topic", "change", "in_them"),
    [
        ("camera/image_raw", lambda one: replace(one, image=255 - one.image), QUANTITIES),
        ("wrench", lambda one: replace(one, force=one.force - np.array([0.0, 0.0, 9.0])), QUANTITIES[2:]),
        ("wrench_request", lambda one: replace(one, force=2 * one.force), QUANTITIES[2:]),
        ("joint_states", lambda one: replace(one, velocity=one.velocity + 0.02), QUANTITIES[2:]),
        ("command", lambda one: replace(one, effort=one.effort + 0.1), ["command"]),
    ],
)
def test_a_record_that_was_changed_is_found_in_what_is_made_of_it(
    topic: str, change: Callable[[Any], Any], in_them: list[str], recorded: Path, bundle: Path, tmp_path: Path
) -> None:
    """From 0.15 s on, the picture of that time among it."""

    def changed(name: str, record: Any) -> Any:
        return change(record) if name == topic and record.stamp >= 150_000_000 else record

    _, found = from_record(rewritten(recorded, tmp_path / "bag", changed), bundle)
    beyond = [one for one in found.values() if one.since is not None]
    assert list(dict.fromkeys(one.quantity for one in beyond)) == in_them
    assert min(one.since for one in beyond if one.since is not None) >= 0.15


def test_time_on_the_steady_clock_is_kept(clocked: Path, tmp_path: Path) -> None:
    """Without it a clock that was set counts as a pause of the filter, so the same bag comes out otherwise."""
    made, found = from_record(clocked, None)
    assert (made.frames, made.ticks) == (0, 120)
    assert all(one.count == one.equal > 0 for one in found.values())
    assert list(dict.fromkeys(one.quantity for one in found.values())) == ["command", "filter"]
    assert [note.text for note in made.notes] == ["no camera in the bag: perception and policy were not run"]

    def without(topic: str, record: Any) -> Any:
        return replace(record, steady=None) if topic == "safety_node/inputs" else record

    _, found = from_record(rewritten(clocked, tmp_path / "bag", without), None)
    since = [one.since for one in found.values() if one.since is not None]
    assert min(since) == pytest.approx(0.23, abs=0.003)


def test_a_bag_that_begins_midway_has_its_filter_run_and_its_policy_not(
    recorded: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the policy remembers, such as the posture that it keeps, is in no record."""
    monkeypatch.setattr(midway, "SETTLED", nanoseconds(0.01))

    def late(topic: str, record: Any) -> Any:
        return record if record.stamp >= 250_000_000 else None

    made, found = from_record(rewritten(recorded, tmp_path / "bag", late), bundle)
    assert list(dict.fromkeys(one.quantity for one in found.values())) == ["features", "health", "command", "filter"]
    assert all(one.count == one.equal > 0 for one in found.values())
    assert found["filter.mode"].count == 70
    assert [note.text.partition(",")[0] for note in made.notes] == [
        "the bag begins while the policy was running",
        "the bag begins while the filter was running: its mode was taken from the record for 0.01 s",
    ]


def test_what_the_bag_lacks_is_named(recorded: Path, bundle: Path, tmp_path: Path) -> None:
    """Joint states, a wrench, the answers of a moment, a picture; what does not need them comes out again."""
    at = 140_000_000

    def lost(topic: str, record: Any) -> Any:
        gone = {"joint_states": at, "wrench": at + 2_000_000, "camera/image_raw": 100_000_000}
        gone["policy_node/inputs"] = 300_000_000
        return None if gone.get(topic) == record.stamp else record

    made, found = from_record(rewritten(recorded, tmp_path / "bag", lost), bundle)
    assert [note.line() for note in made.notes] == [
        "2 inputs of the policy's answers are not in the bag: what it had before was taken "
        "(at joint_states 0.140, wrench 0.142 s)",
        "1 records of neurons whose answers are not in the bag: not run (at 0.300 s)",
        "2 records of nominal whose answers are not in the bag: not run (at 0.140, 0.300 s)",
        "1 frames that were processed are not in the bag: not run, and the policy was given what is recorded of them "
        "(at 0.100 s)",
        "1 inputs of ticks are not in the bag, the newest before was taken (at joint_states 0.140 s)",
    ]
    assert found["features.0"].equal == found["features.0"].count == 7
    assert min(one.since for one in found.values() if one.since is not None) == pytest.approx(0.14)


def test_without_what_the_answers_were_made_of_the_filter_alone_is_run(
    recorded: Path, bundle: Path, tmp_path: Path
) -> None:
    bag = rewritten(recorded, tmp_path / "bag", lambda topic, one: None if topic == "policy_node/inputs" else one)
    for path, options in ((bag, {}), (recorded, {"asked": True})):
        made, found = from_record(path, bundle, **options)
        assert all(one.count == one.equal > 0 for one in found.values())
        assert not {"nominal.present", "neurons.present"} & set(found)
        assert len(made.notes) == 1


def test_another_bundle_is_told_and_its_answers_are_others(
    recorded: Path, bundle: Path, save_random: Callable[[int], Path]
) -> None:
    other = save_random(1)
    code, text = said(recorded, "--bundle", other)
    assert code == 1
    assert "recorded with another: bundle (" in text
    code, text = said(recorded, "--bundle", bundle, "--against", bundle)
    assert (code, "bit-equal" in text) == (0, True)
    code, text = said(recorded, "--bundle", bundle, "--against", other, "--ignore", "health")
    assert (code, "features." in text) == (1, True)


def test_a_reference_is_what_came_out_when_it_was_made(
    recorded: Path, bundle: Path, save_random: Callable[[int], Path], tmp_path: Path
) -> None:
    bag = rewritten(recorded, tmp_path / "bag", lambda topic, one: one)
    assert said(bag, "--bundle", bundle, "--update-reference")[0] == 0
    code, text = said(bag, "--bundle", bundle, "--against", "reference")
    assert (code, "bit-equal" in text, "another bundle" in text) == (0, True, False)
    code, text = said(bag, "--bundle", save_random(1), "--against", "reference")
    assert (code, "is another bundle (" in text) == (1, True)


def contract(recorded: Path, **changed: str | None) -> dict[str, str]:
    made = {**BagReader(recorded).contract(), **changed}
    return {key: value for key, value in made.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": None}, "is of an arm and does not carry its settings; name them by --config"),
        ({"settings": "a: ["}, "bag: its settings: is no YAML"),
        ({"settings": "a: 1"}, "bag: its settings: has no '/\\*\\*: ros__parameters:' section"),
        (("tool_speed_max: 1.5", "tool_speed_max: -1"), "bag: its settings: 'safety.limits.tool_speed_max' is -1; it"),
        (("arm.urdf.xacro", "other.urdf"), "other.urdf is not here; name settings that know where it is by --config"),
    ],
)
def test_a_bag_that_does_not_describe_its_arm_is_refused_in_one_line(
    change: dict[str, str | None] | tuple[str, str], message: str, recorded: Path, bundle: Path, tmp_path: Path
) -> None:
    if isinstance(change, tuple):
        before = BagReader(recorded).contract()["settings"]
        assert change[0] in before
        change = {"settings": before.replace(*change)}
    bag = rewritten(recorded, tmp_path / "bag", lambda topic, one: one, contract(recorded, **change))
    with pytest.raises(TidegateError, match=message):
        said(bag, "--bundle", bundle)


def test_the_shipped_description_is_taken_where_the_bags_is_elsewhere_and_another_one_is_told(
    recorded: Path, bundle: Path, tmp_path: Path
) -> None:
    """A bag from another machine names a file there."""
    text = BagReader(recorded).contract()["settings"]
    there = text.replace(str(share_path("urdf/arm.urdf.xacro")), "/nowhere/arm.urdf.xacro")
    assert there != text
    bag = rewritten(recorded, tmp_path / "bag", lambda topic, one: one, contract(recorded, settings=there))
    code, told = said(bag, "--bundle", bundle)
    assert (code, "recorded with another" in told) == (0, False)
    other = contract(recorded, settings=there, urdf_sha256="0" * 64)
    bag = rewritten(recorded, tmp_path / "other", lambda topic, one: one, other)
    code, told = said(bag, "--bundle", bundle)
    assert (code, "recorded with another: robot description (000000000000… there" in told) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--live"], "describes an arm, for which there is no --live yet; leave it out"),
        (["--disable", "lane"], "cannot disable 'lane'; an arm's parts are acceleration, approach"),
        (["--config", share_path("config/car.yaml")], "describes a robot of the kind 'car'; .* is of the kind 'arm'"),
        (["--bundle", share_path("models/car-ltc19")], "was made for robot 'car'; this one is 'arm'"),
    ],
)
def test_what_an_arm_does_not_have_is_refused_in_one_line(
    words: list[object], message: str, recorded: Path, bundle: Path
) -> None:
    with pytest.raises(TidegateError, match=message):
        said(recorded, *(words if "--bundle" in words else ["--bundle", bundle, *words]))
