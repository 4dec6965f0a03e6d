# SPDX-License-Identifier: Apache-2.0
"""One moment of a bag: what is told is what was recorded, and every number of the page is in the JSON beside it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from chromium import BROWSER, LARGEST_BYTES, NO_AUDIT, audit, look, outside, serious
from page_numbers import shown, unknown

from tidegate.bag import BagReader, BagWriter
from tidegate.bundle import Bundle
from tidegate.cli.app import app
from tidegate.evaluation.reference import read_reference
from tidegate.insight.drive import JOIN
from tidegate.insight.intervention import accounts, around, facts, outlook, sentence
from tidegate.insight.moment import Moment, observe
from tidegate.records import SafetyState, nanoseconds
from tidegate.robot import Car
from tidegate.security.manifest import write_manifest
from tidegate.settings import load_settings
from tidegate.share import share_path

GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = load_settings(share_path("config/car.yaml"))
BUNDLE = Bundle.load(share_path("models/car-ltc19"))
CAR = Car.from_settings(SETTINGS)


@pytest.fixture(scope="module")
def traffic() -> Moment:
    return observe(BagReader(GOLDEN / "traffic"), BUNDLE, SETTINGS, 6.7, 0.2, asked=True)


@pytest.fixture(scope="module")
def states() -> list[SafetyState]:
    """What the filter made of that bag when its reference was written."""
    made, _ = read_reference(GOLDEN / "traffic")
    return [made["safety_node/barriers"][stamp] for stamp in sorted(made["safety_node/barriers"])]


def test_every_tick_in_which_a_row_acted_is_in_one_intervention_of_that_row(
    traffic: Moment, states: list[SafetyState]
) -> None:
    found = accounts(traffic.active, traffic.start, SETTINGS, CAR)
    for state in states:
        time = traffic.time(state.stamp)
        of_the_row = [one for one in found if one.row == state.intervened and one.begin <= time <= one.end]
        assert len(of_the_row) == bool(state.intervened), time
    for one in found:
        inside = [state for state in states if one.begin <= traffic.time(state.stamp) <= one.end]
        mine = [state for state in inside if state.intervened == one.row]
        assert traffic.time(mine[0].stamp) == one.begin
        assert traffic.time(mine[-1].stamp) == one.end
        gaps = np.diff([traffic.time(state.stamp) for state in mine])
        assert gaps.max(initial=0.0) <= JOIN
        multipliers = [b.multiplier for state in mine for b in state.barriers if b.name == one.row]
        assert one.multiplier == pytest.approx(max(multipliers))
        change = max(mine, key=lambda state: abs(state.allowed[0] - state.wanted[0]))
        assert one.peak.tick.wanted == pytest.approx(change.wanted)
        assert one.peak.tick.allowed == pytest.approx(change.allowed)


def test_an_intervention_is_told_in_one_sentence_with_its_numbers(traffic: Moment) -> None:
    one = next(one for one in accounts(traffic.active, traffic.start, SETTINGS, CAR) if one.row == "distance")
    told = facts(one, traffic.start, SETTINGS, CAR)
    seen, peak = told["seen"], told["peak"]
    said = sentence(told)
    assert said.startswith(f"{one.begin:.3f} to {one.end:.3f} s: row distance active: something at ")
    assert f"at {seen['distance_m']:.1f} m, closing at {seen['closing_m_s']:.1f} m/s" in said
    assert f"drive force {peak['force_asked_n']:,.0f} → {peak['force_allowed_n']:,.0f} N" in said
    assert f"; multiplier up to {one.multiplier:.2f}; " in said
    assert said.endswith(f"without it, as predicted, contact in {told['predicted']['contact_s']:.1f} s.")
    ahead = min(one.first.state.arc.distance, one.first.state.along_lane.distance)
    assert seen["distance_m"] == ahead


@pytest.mark.parametrize(
    ("kind", "predicted", "said"),
    [
        ("distance", {"contact_s": None}, "no contact for 8.0 s"),
        ("lane", {"lane_left_s": 1.24, "lane_known_s": 1.2}, "the lane left in 1.2 s"),
        ("edge", {"lane_left_s": None, "lane_known_s": 2.1}, "the lane kept for 2.1 s"),
        ("lane", {}, "nothing that can be told: no lane was known"),
        ("speed", {"too_fast_s": 0.4, "contact_s": 0.2}, "above 16.5 m/s in 0.4 s"),
        ("sight", {"contact_s": 3.0, "too_fast_s": 1.0}, "above 16.5 m/s in 1.0 s and contact in 3.0 s"),
        ("sight", {}, "no contact, the speed limit kept for 8.0 s"),
    ],
)
def test_the_outlook_speaks_of_what_the_row_is_for(kind: str, predicted: dict[str, float], said: str) -> None:
    nothing = {"contact_s": None, "lane_left_s": None, "too_fast_s": None, "lane_known_s": 0.0, "horizon_s": 8.0}
    told = {"type": kind, "predicted": nothing | {"speed_limit_m_s": 16.5} | predicted}
    assert outlook(told) == said


def test_those_around_are_those_in_force() -> None:
    told = [{"begin_s": 1.0, "end_s": 2.0}, {"begin_s": 3.0, "end_s": 3.0}]
    assert around(told, 2.0, 2.9) == told[:1]
    assert around(told, 2.1, 3.0) == told[1:]
    assert around(told, 2.1, 2.9) == []


def test_the_moment_is_what_the_bag_has_there(traffic: Moment, states: list[SafetyState]) -> None:
    tick = traffic.tick
    assert tick is not None
    assert tick.stamp == traffic.at == traffic.start + nanoseconds(6.7)
    state = next(state for state in states if state.stamp == tick.stamp)
    assert tick.tick.intervened == state.intervened == "distance"
    assert tick.tick.wanted == pytest.approx(state.wanted)
    before = next(one for one in reversed(states) if one.stamp < tick.stamp)
    assert tick.before == pytest.approx(before.allowed)
    assert traffic.frame is None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a moment with a camera, and the JSON beside it."""
    page = tmp_path_factory.mktemp("moment") / "page.html"
    return explained(GOLDEN / "road", page, "--at", "1.8s", "--window", "0.6s")


def explained(bag: Path, page: Path, *options: str) -> Path:
    result = CliRunner().invoke(app, ["explain", str(bag), "--out", str(page), *options])
    assert result.exception is None, result.exception
    assert result.exit_code == 0, result.output
    return page


def told(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.with_suffix(".json").read_text("utf-8"))
    return found


def test_every_number_of_the_page_is_in_the_json(made: Path) -> None:
    text = made.read_text("utf-8")
    assert len(shown(text)) > 100
    assert unknown(text, {key: item for key, item in told(made).items() if key != "ticks"}) == []


def test_the_page_needs_nothing_else(made: Path) -> None:
    assert outside(made.read_text("utf-8")) == []
    assert made.stat().st_size < LARGEST_BYTES


def test_the_recorded_place_of_the_grid_is_the_recorded_frame(made: Path) -> None:
    found = told(made)
    asked, frame = found["what_if"], found["frame"]
    plain = next(one for one in asked["cells"] if all(one[name] == at for name, at in asked["recorded"].items()))
    for name in ("offset_m", "offset_bound_m"):
        assert plain[name] == frame[name]
    assert plain["force_n"] == pytest.approx(frame["force_n"], abs=0.01)  # neurons are kept as float32
    assert plain["curvature_1_m"] == pytest.approx(frame["curvature_1_m"], abs=1e-6)
    assert plain["health"]["level"] == "OK"
    (bright,) = [
        one for one in asked["cells"] if (one["brightness"], one["gain"], one["blur"], one["noise"]) == (80, 2, 0, 0)
    ]
    assert bright["health"]["level"] == "ERROR"
    assert "over-exposed" in bright["health"]["reasons"][0]
    assert len(asked["cells"]) == np.prod([len(values) for values in asked["axes"].values()])


def test_what_is_told_of_a_frame_is_what_the_reference_has(made: Path) -> None:
    reference, _ = read_reference(GOLDEN / "road")
    found = told(made)
    start = min(reference["command"])
    for frame in found["frames"]:
        stamp = start + nanoseconds(frame["time_s"])
        assert frame["force_n"] == pytest.approx(reference["nominal"][stamp].force, rel=1e-4)
        assert frame["offset_m"] == pytest.approx(reference["lane"][stamp].offset, abs=1e-5)
    assert found["frame"] in found["frames"]
    assert found["tick"]["time_s"] == 1.8
    ages = {one["name"]: one["age_ms"] for one in found["inputs"]}
    assert ages["nominal"] == pytest.approx(1e3 * (found["tick"]["time_s"] - found["frame"]["time_s"]))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")
def test_in_a_browser_all_is_drawn_and_the_sliders_work(made: Path, tmp_path: Path) -> None:
    found = look(made, tmp_path)
    assert found["failed"] == []
    assert found["images"] == []
    assert len(found["drawn"]) >= 5
    assert min(found["drawn"]) > 10_000
    asked = told(made)
    for name, values in asked["what_if"]["axes"].items():
        moved = found["moved"][f"if-{name}"]
        assert (moved["steps"], moved["states"], moved["named"]) == (len(values), len(values), 1)
    assert found["moved"]["frame"]["states"] == len(asked["frames"])
    assert all(moved["back"] for moved in found["moved"].values())
    assert found["same"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")
def test_on_a_phone_the_page_is_no_wider_than_its_screen(made: Path, tmp_path: Path) -> None:
    found = look(made, tmp_path, width=500)  # no window is narrower
    assert found["width"] == 500
    assert found["wide"] <= 0


@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
@pytest.mark.parametrize("width", [1100, 500])
def test_the_page_shuts_nobody_out(made: Path, tmp_path: Path, width: int) -> None:
    assert serious(audit(made, tmp_path, width)["faults"]) == []


def test_what_a_bag_lacks_is_left_out(tmp_path: Path) -> None:
    """A camera and odometry, as any robot may record them."""
    reader, page = BagReader(GOLDEN / "road"), tmp_path / "page.html"
    kept = [name for name in reader.topics if "camera" in name or name == "/odom"]
    with BagWriter(tmp_path / "bag") as writer:
        for name, kind, received, data in reader.raw(kept):
            writer.write_raw(name, kind, data, received)
    explained(tmp_path / "bag", page, "--at", "1.0", "--window", "0.2")
    found = told(page)
    assert (found["tick"], found["barriers"], found["inputs"], found["interventions"]) == (None, [], [], [])
    assert found["frame"]["time_s"] == pytest.approx(1.0)
    assert found["frame"]["force_n"] is not None
    titles = re.findall("<h2>([^<]+)</h2>", page.read_text("utf-8"))
    what_if = "What if the picture were otherwise"
    assert titles == ["What it saw", what_if, "Neurons", "Verdict", "How exact this is", "Data"]


@pytest.mark.slow
def test_two_bundles_are_told_side_by_side(tmp_path: Path) -> None:
    """The other one asks for a little more force; its camera network is the same."""
    other = Path(shutil.copytree(share_path("models/car-ltc19"), tmp_path / "other"))
    weights = load_file(other / "weights.safetensors")
    weights["liquid.output_bias"] = weights["liquid.output_bias"] + np.array([0.1, 0.0], np.float32)
    save_file(weights, other / "weights.safetensors")
    write_manifest(other)
    page = tmp_path / "page.html"
    explained(GOLDEN / "road", page, "--at", "1.8s", "--window", "0.2s", "--against", str(other))
    mine, theirs = told(page), told(page)["against"]
    more = 0.1 * BUNDLE.policy.acceleration_scale * BUNDLE.mass_kg
    assert len(mine["frames"]) == len(theirs["frames"]) > 2
    for one, another in zip(mine["frames"], theirs["frames"], strict=True):
        assert another["offset_m"] == one["offset_m"]
        assert another["curvature_1_m"] == one["curvature_1_m"]
        assert another["force_n"] == pytest.approx(one["force_n"] + more, rel=1e-5)
    assert theirs["tick"]["force_asked_n"] > mine["tick"]["force_asked_n"]
    text = page.read_text("utf-8")
    assert text.count('<img id="frame-') == 3
    assert f"<h2>{mine['bundle']} and {theirs['bundle']}</h2>" in text
    if BROWSER is not None:
        found = look(page, tmp_path)
        assert (found["failed"], found["images"]) == ([], [])


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an intervention, whose drive was driven again."""
    page = tmp_path_factory.mktemp("driven") / "page.html"
    return explained(GOLDEN / "traffic", page, "--at", "2.7", "--window", "1", "--asked")


@pytest.mark.slow
def test_the_page_of_an_intervention_says_what_is_predicted_and_what_was_driven(driven: Path) -> None:
    found = told(driven)["roll_out"]
    courses, why = found["courses"], found["explained"]
    assert list(courses) == ["recorded", "without distance", "without any row"]
    assert courses["recorded"]["contact"] is courses["recorded"]["limit"] is None
    assert courses["without distance"]["contact"] > courses["without distance"]["limit"] > 4.0
    assert (why["rows"], why["after_s"]) == (["distance"], courses["without distance"]["limit"])
    text = driven.read_text("utf-8")
    assert "Roll-out, no prediction" in text
    assert "nothing was simulated" in text
    assert "Driven again in the simulator without it: contact after" in text
    assert text.count(why["sentence"]) == 2


@pytest.mark.slow
def test_every_number_of_a_roll_out_is_in_the_json(driven: Path) -> None:
    known = {key: item for key, item in told(driven).items() if key != "ticks"}
    assert unknown(driven.read_text("utf-8"), known) == []


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
@pytest.mark.parametrize("width", [1100, 500])
def test_the_page_of_a_roll_out_shuts_nobody_out(driven: Path, tmp_path: Path, width: int) -> None:
    assert serious(audit(driven, tmp_path, width)["faults"]) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--at", "9s"), "--at 9 s is not in the bag, which has 0 to 7.995 s"),
        (("--at", "soon"), "--at is 'soon'; it must be a time in seconds"),
        (("--at", "1", "--window", "0s"), "--window is '0s'; it must be a time in seconds of at least 0.1"),
        (("--at", "1", "--disable", "distanc"), "cannot disable 'distanc'"),
        ((), "traffic: is a bag; explain one moment of it, such as"),
    ],
)
def test_a_moment_that_cannot_be_explained_is_refused_in_words(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["explain", str(GOLDEN / "traffic"), "--out", str(tmp_path / "x"), *options])
    assert result.exit_code != 0
    assert said in str(result.exception)
    assert not (tmp_path / "x").exists()
