# SPDX-License-Identifier: Apache-2.0
"""Replay: bit-equal on an untouched record, and every change of record, model or input is found and placed in time."""

from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tidegate.bag import BagReader, BagWriter
from tidegate.bag.typestore import make, serialise
from tidegate.bundle import Bundle
from tidegate.cli.replay import replay as replay_command
from tidegate.errors import BagError
from tidegate.evaluation.replay import agreement, replay
from tidegate.liquid.compiled import RUNS_IN
from tidegate.messages import CHANGED, DIAGNOSTICS, encode_diagnostics, encode_policy
from tidegate.records import Level
from tidegate.robot.contract import contract_of
from tidegate.share import share_path

CONFIG = share_path("config/car.yaml")
app = typer.Typer()
app.command()(replay_command)


def rewritten(source, target, change, topics=None):
    """A copy of a bag with ``change(topic, record)`` for every record; None leaves it out."""
    reader = BagReader(source)
    names = topics or [name[1:] for name in reader.topics if name != "/camera/camera_info"]
    with BagWriter(target) as writer:
        for topic, received, record in reader.messages(names):
            made = change(topic, record)
            if made is not None:
                writer.write(topic, made, received)
    return target


def test_a_recorded_drive_is_replayed_bit_for_bit(recorded, random_bundle, car_settings):
    _, path = recorded
    heard = []
    found = replay(BagReader(path), Bundle.load(random_bundle), car_settings, told=lambda *at: heard.append(at))
    assert [one.name for one in found.differences] == ["features", "lane", "nominal", "gains", "command"]
    assert all(one.count == one.equal > 0 and one.at is None for one in found.differences)
    assert found.differences[-1].count == found.ticks > 500
    assert (found.largest, agreement(found.differences), found.notes) == (0.0, "bit-equal", ())
    assert heard[-1][0] == heard[-1][1]


def test_a_changed_command_is_found_and_placed(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["command"]))
    scale = 600.0

    def change(topic, record):
        if topic == "command" and record.stamp == stamps[300]:
            return replace(record, effort=record.effort + np.eye(6)[0] * 0.6)
        return record

    found = replay(BagReader(rewritten(path, tmp_path / "b", change)), Bundle.load(random_bundle), car_settings)
    command = found.differences[-1]
    assert command.equal == command.count - 1
    assert command.largest == pytest.approx(0.6 / scale, rel=1e-6)
    assert command.at == pytest.approx((stamps[300] - stamps[0]) / 1e9)
    assert "command at 1.500 s" in agreement(found.differences)


def test_the_recorded_inputs_are_what_the_filter_gets(recorded, random_bundle, car_settings, tmp_path):
    """A record that a tick used, changed in the bag, changes the replayed commands from that moment on."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["odom"]))

    def change(topic, record):
        return replace(record, speed=record.speed + 3.0) if topic == "odom" and record.stamp >= stamps[400] else record

    found = replay(BagReader(rewritten(path, tmp_path / "b", change)), Bundle.load(random_bundle), car_settings)
    command = found.differences[-1]
    assert 400 <= command.equal < command.count
    assert command.largest > 0


def test_frames_that_were_never_perceived_are_left_out(recorded, random_bundle, car_settings, tmp_path):
    """In real time a frame may be overtaken: features, lane and health of it were never made."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["camera/image_raw"]))
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw", "odom", "features"])
    with_lane = rewritten(
        path,
        tmp_path / "c",
        lambda topic, record: None if topic == "lane" and record.stamp in stamps[::3] else record,
    )
    every = replay(BagReader(bag), Bundle.load(random_bundle), car_settings)
    some = replay(BagReader(with_lane), Bundle.load(random_bundle), car_settings)
    assert every.differences[0].count == len(stamps)
    assert some.differences[0].count == len(stamps) - len(stamps[::3])


def test_a_bag_with_a_camera_only_says_what_it_lacks(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw"])
    found = replay(BagReader(bag), Bundle.load(random_bundle), car_settings)
    assert found.differences == ()
    assert found.frames > 20
    assert [note.split(" ")[1] for note in found.notes] == ["odometry", "commands"]
    assert agreement(found.differences) == "nothing was recorded that could be compared"


@pytest.mark.parametrize("recorded_in", ["C", "NumPy"])
def test_a_step_that_ran_in_something_else_is_noted(recorded_in, recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    with BagWriter(tmp_path / "b") as writer:
        for topic, received, record in BagReader(path).messages(["camera/image_raw", "odom", "nominal"]):
            writer.write(topic, record, received)
        for stamp, data in ((0, make(DIAGNOSTICS)), (1, encode_policy(1, recorded_in, make))):  # another's, ours
            writer.write_raw("/diagnostics", DIAGNOSTICS, serialise(data), stamp)
    notes = replay(BagReader(tmp_path / "b"), Bundle.load(random_bundle), car_settings).notes
    assert any("differ by rounding" in note for note in notes) == (recorded_in != RUNS_IN)


def test_settings_that_changed_while_recording_are_replayed_from_their_tick_on(
    recorded, random_bundle, car_settings, tmp_path
):
    """The bag says that they changed, its commands were made without: they differ from there on, never before."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["safety_node/inputs"]))
    at, key = stamps[400], "vehicle.speed_max"
    with BagWriter(tmp_path / "b") as writer:
        for topic, received, record in BagReader(path).messages(
            [name[1:] for name in BagReader(path).topics if name != "/camera/camera_info"]
        ):
            writer.write(topic, record, received)
        for stamp, values in ((stamps[0], []), (at, [(f"{CHANGED}{key}", "0.1")])):
            data = encode_diagnostics(stamp, "safety_node", Level.OK, "NORMAL", values, make)
            writer.write_raw("/diagnostics", DIAGNOSTICS, serialise(data), stamp)
    found = replay(BagReader(tmp_path / "b"), Bundle.load(random_bundle), car_settings)
    command = found.differences[-1]
    assert command.name == "command"
    assert 400 <= command.equal < command.count
    (note,) = found.notes
    assert note == f"settings changed at {(at - stamps[0]) / 1e9:.3f} s and replayed so: {key} 0.1"


def test_a_bag_without_a_camera_is_refused(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["odom"])
    with pytest.raises(BagError, match="camera"):
        replay(BagReader(bag), Bundle.load(random_bundle), car_settings)


def test_exit_codes(recorded, random_bundle, save_random):
    _, path = recorded
    good = CliRunner().invoke(app, [str(path), "--bundle", str(random_bundle)])
    assert good.exit_code == 0, good.output
    assert "bit-equal" in good.output
    differs = CliRunner().invoke(app, [str(path), "--bundle", str(save_random(1))])
    assert differs.exit_code == 1
    assert "largest difference" in differs.output


def test_a_recorded_drive_carries_its_contract(recorded, random_bundle):
    _, path = recorded
    assert BagReader(path).contract() == contract_of(CONFIG, random_bundle, RUNS_IN)


def test_other_settings_and_bundle_than_the_bags_are_told_not_refused(recorded, random_bundle, save_random, tmp_path):
    _, path = recorded
    same = CliRunner().invoke(app, [str(path), "--bundle", str(random_bundle)])
    assert "recorded with another" not in same.output
    config = tmp_path / "car.yaml"
    config.write_text(CONFIG.read_text().replace("../urdf/", f"{CONFIG.parents[1]}/urdf/"))
    other = CliRunner().invoke(app, [str(path), "--bundle", str(save_random(1)), "--config", str(config)])
    assert other.exit_code == 1
    told = next(line for line in other.output.splitlines() if line.startswith("recorded with another"))
    assert [part in told for part in ("settings (", "bundle (", "robot description")] == [True, True, False]
