# SPDX-License-Identifier: Apache-2.0
"""Replay: bit-equal on an untouched record, and every change of record, model or input is found and placed in time."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tidegate.bag import BagReader, BagWriter
from tidegate.bag.typestore import deserialise, make, serialise
from tidegate.bundle import Bundle
from tidegate.cli.replay import replay as replay_command
from tidegate.errors import BagError, TidegateError
from tidegate.evaluation.difference import (
    Tolerances,
    against_record,
    agreement,
    compare,
    full_scales,
    missing_records,
)
from tidegate.evaluation.replay import replay
from tidegate.liquid.compiled import RUNS_IN
from tidegate.messages import CHANGED, DIAGNOSTICS, decode, encode_diagnostics, encode_policy
from tidegate.perception import Perception
from tidegate.records import CameraInfo, Level, Mode
from tidegate.robot.contract import contract_of
from tidegate.share import share_path

CONFIG = share_path("config/car.yaml")
app = typer.Typer()
app.command()(replay_command)


def rewritten(source, target, change, topics=None):
    """A copy of a bag with ``change(topic, record)`` for every record; None leaves it out, the record itself keeps the
    message as it is."""
    reader = BagReader(source)
    names = topics or [name[1:] for name in reader.topics if name != "/camera/camera_info"]
    with BagWriter(target) as writer:
        for name, kind, received, data in reader.raw([f"/{topic}" for topic in names]):
            record = decode(name[1:], deserialise(data, kind))
            made = change(name[1:], record)
            if made is record:
                writer.write_raw(name, kind, data, received)
            elif made is not None:
                writer.write(name[1:], made, received)
    return target


def from_record(path, bundle, settings, **options):
    """A replay of a bag, and what differs from its record, by field."""
    model = Bundle.load(bundle)
    made = replay(BagReader(path), model, settings, **options)
    scales = full_scales(model, settings)
    found = compare(*against_record(made), scales, made.start, Tolerances())
    return made, {one.name: one for one in found}


def commands(found):
    return [one for name, one in found.items() if name.startswith("command.") and name != "command.present"]


def test_a_recorded_drive_is_replayed_bit_for_bit(recorded, random_bundle, car_settings):
    _, path = recorded
    heard = []
    made, found = from_record(path, random_bundle, car_settings, told=lambda *at: heard.append(at))
    quantities = ["features", "lane", "health", "nominal", "gains", "command", "filter"]
    assert list(dict.fromkeys(one.quantity for one in found.values())) == quantities
    assert all(one.count == one.equal > 0 and one.at is None for one in found.values())
    assert len(commands(found)) == 6
    assert found["filter.mode"].count == made.ticks > 500
    assert (agreement(list(found.values())), made.notes) == ("bit-equal", ())
    assert missing_records(made.made, made.recorded) == []
    assert heard[-1][0] == heard[-1][1]


def test_a_changed_command_is_found_and_placed(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["command"]))
    scale = 600.0

    def change(topic, record):
        if topic == "command" and record.stamp == stamps[300]:
            return replace(record, effort=record.effort + np.eye(6)[0] * 0.6)
        return record

    _, found = from_record(rewritten(path, tmp_path / "b", change), random_bundle, car_settings)
    changed, *others = commands(found)
    assert changed.equal == changed.count - 1
    assert changed.largest == pytest.approx(0.6 / scale, rel=1e-6)
    assert changed.at == changed.since == pytest.approx((stamps[300] - stamps[0]) / 1e9)
    assert all(one.at is None for one in others)
    assert "front_left_steer_joint at 1.500 s" in agreement(list(found.values()))


def test_a_changed_diagnosis_of_a_tick_is_found(recorded, random_bundle, car_settings, tmp_path):
    """Mode, the row that intervened and each barrier's numbers are compared as well."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["command"]))

    def change(topic, record):
        if topic != "safety_node/barriers" or record.stamp < stamps[100]:
            return record
        barriers = tuple(one._replace(h=one.h + 1.0) if one.name == "speed" else one for one in record.barriers)
        return replace(record, mode=Mode.HOLD, intervened="speed", barriers=barriers)

    _, found = from_record(rewritten(path, tmp_path / "b", change), random_bundle, car_settings)
    beyond = {name for name, one in found.items() if one.since is not None}
    assert beyond == {"filter.mode", "filter.intervened", "filter.speed.h"}


def test_the_recorded_inputs_are_what_the_filter_gets(recorded, random_bundle, car_settings, tmp_path):
    """A record that a tick used, changed in the bag, changes the replayed commands from that moment on."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["odom"]))

    def change(topic, record):
        return replace(record, speed=record.speed + 3.0) if topic == "odom" and record.stamp >= stamps[400] else record

    _, found = from_record(rewritten(path, tmp_path / "b", change), random_bundle, car_settings)
    assert all(one.equal >= 400 for one in commands(found))
    assert max(one.largest for one in commands(found)) > 0


def test_frames_that_were_never_perceived_are_left_out_and_named(recorded, random_bundle, car_settings, tmp_path):
    """In real time a frame may be overtaken: features, lane and health of it were never made."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["camera/image_raw"]))
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw", "odom", "features"])
    lost, undecided = {stamps[3], stamps[4], stamps[9]}, stamps[12]
    gone = dict.fromkeys(("features", "lane", "health"), lost)
    gone |= {topic: lost | {undecided} for topic in ("nominal", "gains")}

    def change(topic, record):
        return None if record.stamp in gone.get(topic, ()) else record

    every, _ = from_record(bag, random_bundle, car_settings)
    some, found = from_record(rewritten(path, tmp_path / "c", change), random_bundle, car_settings)
    assert list(every.made["features"]) == stamps
    assert set(some.made["features"]) == set(stamps) - lost
    assert set(some.made["nominal"]) == set(stamps) - lost - {undecided}
    first, second, *_ = (note.line() for note in some.notes)
    at = [f"{(stamp - stamps[0]) / 1e9:.3f}" for stamp in (stamps[3], stamps[4], stamps[9], undecided)]
    assert first.startswith(f"3 of {len(stamps)} frames have no lane")
    assert f"(at {at[0]} to {at[1]}, {at[2]} s)" in first
    assert second.startswith(f"1 of {len(stamps)} frames have no nominal command")
    assert f"(at {at[3]} s)" in second
    assert found["features.0"].count == len(stamps) - len(lost)


def test_inputs_and_ticks_that_are_not_in_the_bag_are_named(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["command"]))

    def change(topic, record):
        gone = {"imu": stamps[40], "safety_node/inputs": stamps[50]}.get(topic)
        return None if record.stamp == gone else record

    made, found = from_record(rewritten(path, tmp_path / "b", change), random_bundle, car_settings)
    missing, unheard = (note.line() for note in made.notes)
    assert missing == "1 inputs of ticks are not in the bag, the newest before was taken (at imu 0.200 s)"
    assert unheard == "1 commands have no inputs of their tick in the bag: not run (at 0.250 s)"
    alone = [note.line() for note in missing_records(made.made, made.recorded)]
    assert "command: 0 records here alone, 1 there alone" in alone
    assert found["command.present"].at is None


def test_what_the_bag_holds_of_a_frame_that_was_run_must_come_out_again(
    recorded, random_bundle, car_settings, monkeypatch
):
    """A policy that falls silent, and a filter that leaves out the last ticks."""
    _, path = recorded
    made = replay(BagReader(path), Bundle.load(random_bundle), car_settings)
    scales = full_scales(Bundle.load(random_bundle), car_settings)
    made.made["nominal"].clear()
    last = max(made.made["command"])
    del made.made["command"][last]
    found = {one.name: one for one in compare(*against_record(made), scales, made.start, Tolerances())}
    assert {name for name, one in found.items() if one.since is not None} == {"nominal.present", "command.present"}
    assert found["nominal.present"].beyond.all()
    assert found["command.present"].at == pytest.approx((last - made.start) / 1e9)


def test_what_a_recorder_lost_is_named_and_no_difference(recorded, random_bundle, car_settings, tmp_path):
    """Of some frames the image, of others the lane or the nominal command, of another tick the command."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["camera/image_raw"]))
    ticks = sorted(record.stamp for _, _, record in BagReader(path).messages(["command"]))
    last = stamps[-1]  # no later one knows what it did to the neurons
    gone = {
        "camera/image_raw": {last}, "lane": {stamps[5]}, "nominal": {stamps[6]}, "command": {ticks[30]},
    }  # fmt: skip

    def change(topic, record):
        return None if record.stamp in gone.get(topic, ()) else record

    made, found = from_record(rewritten(path, tmp_path / "b", change), random_bundle, car_settings)
    assert {name for name, one in found.items() if one.since is not None} == set()
    assert set(made.made["lane"]) == set(stamps) - {last}
    (lost,) = [note.line() for note in made.notes if "were processed" in note.text]
    assert lost.startswith("1 frames that were processed are not in the bag")
    assert lost.endswith(f"(at {(last - stamps[0]) / 1e9:.3f} s)")


def cut_off(source, target, begins_s, keep=lambda topic: True):
    """What a recorder has that comes ``begins_s`` after the first message."""
    reader = BagReader(source)
    first = None
    with BagWriter(target) as writer:
        for name, kind, received, data in reader.raw([name for name in reader.topics if keep(name[1:])]):
            first = received if first is None else first
            if received - first >= begins_s * 1e9:
                writer.write_raw(name, kind, data, received)
    return target


@pytest.mark.parametrize("begins_s", [0.1, pytest.param(0.33, marks=pytest.mark.slow), 2.0])
def test_a_bag_that_begins_midway_is_replayed_from_what_it_tells_of_the_state(
    begins_s, whole, random_bundle, car_settings, tmp_path
):
    """A recorder that came late, or a snapshot: within 1e-6 of full scale once the filter has settled; and what is
    another's command is still found."""
    _, path = whole
    bag = cut_off(path, tmp_path / "b", begins_s)
    made, found = from_record(bag, random_bundle, car_settings)
    told = [note.text for note in made.notes]
    assert any(text.startswith("the bag begins while the policy was running: its neurons") for text in told)
    assert any(text.startswith("the bag begins while the filter was running: its mode") for text in told)
    assert {name: one.largest for name, one in found.items() if one.since is not None} == {}
    assert len(made.ran["command"]) == made.ticks - 600  # of 3 s
    last = max(made.made["command"])
    made.made["command"][last] = replace(made.made["command"][last], effort=np.zeros(6))
    model = Bundle.load(random_bundle)
    again = compare(*against_record(made), full_scales(model, car_settings), made.start, Tolerances())
    assert any(one.since is not None and one.quantity == "command" for one in again)


def test_a_bag_that_begins_midway_without_neurons_says_so(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    bag = cut_off(path, tmp_path / "b", 2.0, lambda topic: topic != "neurons")
    notes = [note.text for note in from_record(bag, random_bundle, car_settings)[0].notes]
    assert any("has no neurons: they begin at rest" in text for text in notes)


@pytest.mark.slow
def test_all_frames_that_were_dropped_are_named_where_all_are_asked_for(recorded, random_bundle, tmp_path):
    """Ten of them, no two neighbours: six in the terminal, all with --all and on the page."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["camera/image_raw"]))
    lost = set(stamps[2:22:2])
    assert len(lost) == 10
    made_of_them = ("features", "lane", "health", "nominal", "gains")

    def change(topic, record):
        return None if topic in made_of_them and record.stamp in lost else record

    bag, page = rewritten(path, tmp_path / "b", change), tmp_path / "page.html"
    short = run(bag, "--bundle", random_bundle, "--html", page).output
    whole = run(bag, "--bundle", random_bundle, "--all").output
    times = [f"{(stamp - stamps[0]) / 1e9:.3f}" for stamp in sorted(lost)]
    said = f"10 of {len(stamps)} frames have no lane: perception did not process them (at "
    assert f"{said}{', '.join(times)} s)" in whole
    assert f"{said}{', '.join(times[:6])} and 4 more s)" in short
    assert f"{said}{', '.join(times)} s)" in page.read_text()


def test_a_bag_with_a_camera_only_says_what_it_lacks(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw"])
    made, found = from_record(bag, random_bundle, car_settings)
    assert found == {}
    assert made.frames > 20
    assert [note.text.split(" ")[1] for note in made.notes] == ["odometry", "commands"]
    assert agreement([]) == "nothing was recorded that could be compared"


@pytest.mark.parametrize("recorded_in", ["C", "NumPy"])
def test_a_step_that_ran_in_something_else_is_noted(recorded_in, recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    with BagWriter(tmp_path / "b") as writer:
        for topic, received, record in BagReader(path).messages(["camera/image_raw", "odom", "nominal"]):
            writer.write(topic, record, received)
        for stamp, data in ((0, make(DIAGNOSTICS)), (1, encode_policy(1, recorded_in, make))):  # another's, ours
            writer.write_raw("/diagnostics", DIAGNOSTICS, serialise(data), stamp)
    notes = replay(BagReader(tmp_path / "b"), Bundle.load(random_bundle), car_settings).notes
    assert any("differ by rounding" in note.text for note in notes) == (recorded_in != RUNS_IN)


def test_settings_that_changed_while_recording_are_replayed_from_their_tick_on(
    recorded, random_bundle, car_settings, tmp_path
):
    """The bag says that they changed, its commands were made without: they differ from there on, never before."""
    _, path = recorded
    stamps = sorted(record.stamp for _, _, record in BagReader(path).messages(["safety_node/inputs"]))
    at, key = stamps[400], "vehicle.speed_max"
    reader = BagReader(path)
    with BagWriter(tmp_path / "b") as writer:
        for name, kind, received, data in reader.raw(reader.topics.keys() - {"/camera/camera_info"}):
            writer.write_raw(name, kind, data, received)
        for stamp, values in ((stamps[0], []), (at, [(f"{CHANGED}{key}", "0.1")])):
            data = encode_diagnostics(stamp, "safety_node", Level.OK, "NORMAL", values, make)
            writer.write_raw("/diagnostics", DIAGNOSTICS, serialise(data), stamp)
    made, found = from_record(tmp_path / "b", random_bundle, car_settings)
    assert all(one.equal >= 400 for one in commands(found))
    assert any(one.equal < one.count for one in commands(found))
    (note,) = made.notes
    assert note.line() == f"settings changed at {(at - stamps[0]) / 1e9:.3f} s and replayed so: {key} 0.1"


@pytest.mark.parametrize(
    ("k", "said"),
    [
        ([[104.0, 0, 84.0], [0, 104.0, 42.0], [0, 0, 1]], "camera_info: the picture is rectified"),
        ([[300.0, 0, 79.5], [0, 300.0, 39.5], [0, 0, 1]], "may be missing"),
        ([[np.nan, 0, 79.5], [0, 104.0, 39.5], [0, 0, 1]], "camera_info: K is nan"),
    ],
)
def test_what_the_camera_said_of_itself_is_gone_by(k, said, recorded, random_bundle, car_settings, tmp_path):
    told = np.array(k)

    def change(topic, record):
        return replace(record, k=told) if topic == "camera/camera_info" else record

    topics = ["camera/image_raw", "camera/camera_info", "odom"]
    path = rewritten(recorded[1], tmp_path / "other", change, topics)
    bundle, reader = Bundle.load(random_bundle), BagReader(path)
    made = replay(reader, bundle, car_settings)
    assert sum(said in note.line() for note in made.notes) == 1, made.notes
    direct = Perception(bundle, car_settings)
    direct.calibrate(CameraInfo(0, 160, 80, told))
    for _, _, frame in reader.messages(["camera/image_raw"]):
        percept = direct.process(frame)
        np.testing.assert_array_equal(made.made["features"][frame.stamp].values, percept.features.values)
        assert made.made["health"][frame.stamp] == percept.health
    assert (percept.health.level == Level.ERROR) == (not said.startswith("camera_info: the picture"))


def test_a_bag_without_a_camera_is_refused(recorded, random_bundle, car_settings, tmp_path):
    _, path = recorded
    bag = rewritten(path, tmp_path / "b", lambda topic, record: record, ["odom"])
    with pytest.raises(BagError, match="camera"):
        replay(BagReader(bag), Bundle.load(random_bundle), car_settings)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_exit_codes(recorded, random_bundle, save_random, tmp_path):
    _, path = recorded
    good = run(path, "--bundle", random_bundle)
    assert good.exit_code == 0, good.output
    assert "bit-equal" in good.output
    other = save_random(1)
    differs = run(path, "--bundle", other)
    assert differs.exit_code == 1
    assert "largest difference" in differs.output
    assert run(path, "--bundle", other, "--tolerance", "inf").exit_code == 0
    for wrong in (
        (path, "--bundle", random_bundle, "--ignore", "lanes"),
        (path, "--bundle", random_bundle, "--tolerance", "lane"),
        (path, "--bundle", random_bundle, "--against", tmp_path / "nothing"),
        (path, "--bundle", random_bundle, "--against", "reference"),
        (tmp_path / "nothing",),
        (
            rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw"]),
            "--bundle",
            random_bundle,
        ),
    ):
        assert isinstance(run(*wrong).exception, TidegateError), wrong  # the command line makes it exit code 2


@pytest.mark.slow
def test_two_bundles_are_compared_on_the_same_bag(recorded, random_bundle, save_random, tmp_path):
    """Neither need be the one that drove; where they are the same, nothing differs."""
    _, path = recorded
    other, page = save_random(1), tmp_path / "page.html"
    same = run(path, "--bundle", other, "--against", other)
    assert same.exit_code == 0, same.output
    assert "bit-equal" in same.output
    found = run(path, "--bundle", random_bundle, "--against", other, "--html", page)
    assert found.exit_code == 1
    text = page.read_text()
    assert f"{random_bundle.name} against {other.name}" in text
    assert {"nominal.curvature", "command.front_left_steer_joint"} <= set(re.findall(r"<h2>([^<]+)</h2>", text))
    sensors = rewritten(path, tmp_path / "b", lambda topic, record: record, ["camera/image_raw", "odom"])
    assert run(sensors, "--bundle", random_bundle, "--against", other).exit_code == 1  # nothing need be recorded


@pytest.mark.slow
def test_a_reference_is_what_came_out_when_it_was_made(recorded, random_bundle, save_random, tmp_path):
    _, path = recorded
    bag, other = tmp_path / "bag", save_random(1)
    shutil.copytree(path, bag)
    for bundle in (other, random_bundle):  # the second takes the place of the first
        made = run(bag, "--bundle", bundle, "--update-reference")
        assert made.exit_code == 0, made.output
    same = run(bag, "--bundle", random_bundle, "--against", "reference", "--tolerance", "0")
    assert (same.exit_code, "another bundle" in same.output) == (0, False), same.output
    found = run(bag, "--bundle", other, "--against", "reference")
    assert found.exit_code == 1
    assert f"{other} is another bundle" in found.output.replace("\n", "")
    assert run(bag, "--bundle", random_bundle).exit_code == 0  # the record itself is untouched


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
