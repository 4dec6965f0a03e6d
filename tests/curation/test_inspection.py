# SPDX-License-Identifier: Apache-2.0
"""What an inspection tells of recorded drives."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curated import Altered, run
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bag import BagReader, frames_at
from tidegate.curation.curate import Seen
from tidegate.curation.inspection import Inspection, Notes, inspect, label_noise
from tidegate.curation.rules import Rules
from tidegate.errors import BagError, BundleError
from tidegate.records import nanoseconds
from tidegate.robot import Car
from tidegate.settings import Settings

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def of(settings: Settings, rules: Rules) -> Any:
    """``of(*bags)``: their inspection."""

    def look(*bags: Path) -> Inspection:
        notes = Notes(rules, settings.perception, Car.from_settings(settings).effective_mass)
        return inspect(Seen(bags, settings, rules, keep=notes.keep), notes, rules)

    return look


def test_a_recorded_drive_is_told(of: Any, bags: list[Path]) -> None:
    found = of(*bags)
    fact = found.bags["road-1000"]
    assert (fact.frames, fact.episodes_s, fact.gaps) == (80, (3.95,), 0)
    assert fact.rate_hz == pytest.approx(20)
    assert fact.jitter_s == pytest.approx(0, abs=1e-6)
    assert (fact.labelled, fact.blind, fact.repeated) == (1.0, 0.0, 0.0)
    speeds = [record.speed for _, _, record in BagReader(bags[0]).messages(["odom"])]
    assert fact.speed[1] == pytest.approx(np.median(speeds), abs=0.1)
    assert found.verdicts == {"usable": 12, "short": 2}
    assert sum(found.kinds.values()) == 12
    assert found.leaks == ()


def test_pauses_cut_episodes_and_missing_frames_are_gaps(of: Any, altered: Altered) -> None:
    def broken(topic: str, record: Any, n: int) -> Any:
        later = nanoseconds(1.0) if n >= 40 else 0
        return None if n in (10, 11) else replace(record, stamp=record.stamp + later)

    (fact,) = of(altered("broken", broken)).bags.values()
    assert fact.episodes_s == pytest.approx((1.95, 1.95))
    assert fact.gaps == 2
    assert fact.longest_s == pytest.approx(1.05)


def test_a_stretch_of_one_bag_is_found_in_another_whatever_frame_that_begins_with(
    of: Any, bags: list[Path], altered: Altered
) -> None:
    later = altered("later", lambda topic, record, n: record if n >= 29 else None)  # no window begins where one did
    found = of(bags[0], bags[1], later)
    told = {(leak.one, leak.other): (leak.windows, leak.of) for leak in found.leaks}
    assert told == {("later", "road-1000"): (4, 4), ("road-1000", "later"): (3, 6)}  # those at 36, 48 and 60


def test_repeats_and_contradictions_are_counted(of: Any, bags: list[Path], altered: Altered) -> None:
    def turned(topic: str, record: Any, n: int) -> Any:
        return replace(record, curvature=-record.curvature - 0.05) if topic == "expert/nominal" and n < 12 else record

    found = of(bags[0], bags[1], altered("turned", turned))
    assert found.verdicts == {"usable": 11, "duplicate": 5, "inconsistent": 2, "short": 3}
    assert found.bags["turned"].verdicts == {"duplicate": 5, "inconsistent": 1, "short": 1}
    assert any(one.why.startswith("inconsistent: same view as") for one in found.odd)


def test_noise_of_the_labels_is_measured(of: Any, altered: Altered) -> None:
    random = np.random.default_rng(0)

    def noisy(topic: str, record: Any, n: int) -> Any:
        noise = 0.01 * float(random.standard_normal())
        return replace(record, curvature=record.curvature + noise) if topic == "expert/nominal" else record

    (fact,) = of(altered("noisy", noisy)).bags.values()
    assert fact.noise[0] == pytest.approx(0.01, rel=0.4)
    assert fact.noise[1] < 0.2


@given(st.floats(-1, 1), st.floats(-1, 1), st.integers(5, 30))
def test_slopes_and_steps_are_no_noise(slope: float, step: float, count: int) -> None:
    values = slope * np.arange(2.0 * count)
    assert label_noise(values) == pytest.approx(0, abs=1e-9)
    assert label_noise(step * (np.arange(2 * count) >= count)) == pytest.approx(0, abs=1e-9)


def test_too_few_labels_tell_of_no_noise() -> None:
    assert math.isnan(label_noise(np.ones(4)))
    assert math.isnan(label_noise(np.array([1, 2, np.nan, 3, 4, 5, 6, np.nan, 7])))


def test_a_bag_without_labels_is_inspected_too(of: Any) -> None:
    (fact,) = of(GOLDEN / "road").bags.values()
    assert fact.labelled == 0.0
    assert math.isnan(fact.curvature[1])
    assert fact.speed[2] > 1
    assert set(fact.verdicts) == {"unlabelled", "short"}


def test_pictures_of_some_stamps_are_those_of_the_bag(bags: list[Path]) -> None:
    frames = [record for _, _, record in BagReader(bags[0]).messages(["camera/image_raw"])]
    found = frames_at(BagReader(bags[0]), [frames[3].stamp, frames[50].stamp, 17])
    assert set(found) == {frames[3].stamp, frames[50].stamp}
    np.testing.assert_array_equal(found[frames[50].stamp], frames[50].image)


def test_the_page_needs_nothing_else_and_the_json_beside_it_has_its_figures(
    bags: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text("window: 12", "utf-8")
    told = run("inspect", str(bags[0].parent), str(GOLDEN), "--rules", "rules.yaml", "--html", "out/page.html")
    text = Path("out/page.html").read_text("utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources
    assert all(one.startswith(("data:", "#")) for one in sources)
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", text)
    found = json.loads(Path("out/page.json").read_text("utf-8"))
    assert set(found["bags"]) == {"road-1000", "road-1001", "road"}
    assert "has no camera images" in found["refused"][str(GOLDEN / "traffic")]
    assert "has no camera images" in text
    assert found["bags"]["road"]["curvature"] == [None] * 3
    assert text.count("<figure>") == len(found["typical"]) + len(found["odd"])
    assert text.count("data:image/png") == 2 * text.count("<figure>")
    for name, count in found["verdicts"].items():
        assert re.search(rf"^{name} +{count} ", told, re.MULTILINE)


def test_the_page_stays_small_whatever_the_camera() -> None:
    pytest.importorskip("matplotlib")
    from tidegate.curation.examples import SHOWN, Example
    from tidegate.insight.data_page import data_page

    shown = [Example(index, "bag", 0.0, "like no other") for index in range(2 * SHOWN + 4)]
    large = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    found = Inspection({}, {}, {}, {}, (), tuple(shown[:SHOWN]), tuple(shown[SHOWN:]))
    values = {"speed [m/s]": np.array([1.0, np.nan]), "curvature [1/m]": np.array([np.nan])}
    text = data_page(found, values, {one.index: (large, large) for one in shown})
    assert text.count("<img") == 2 * len(shown)
    assert len(text) < 10_000_000


def test_what_belongs_to_a_bundle_is_refused_of_bags(bags: list[Path]) -> None:
    with pytest.raises(BundleError, match="are of one bundle; bags have neither"):
        run("inspect", *map(str, bags), "--svg", "wiring.svg")


def test_a_folder_of_neither_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        run("inspect", str(tmp_path))
    with pytest.raises(BagError, match="holds no bag"):
        run("inspect", str(tmp_path), str(GOLDEN))
