# SPDX-License-Identifier: Apache-2.0
"""The page is whole, valid and alone; the charts lose no spike; interventions are told as they happened."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from page_numbers import shown, unknown

from tidegate.bundle import Bundle
from tidegate.insight.charts import thin
from tidegate.insight.drive import interventions, stretches
from tidegate.insight.explain import saliency_section, tree_sections, wiring_section
from tidegate.insight.page import Section, picture
from tidegate.insight.report import Bounds, report
from tidegate.insight.report_facts import beside
from tidegate.insight.tree import Sheet
from tidegate.liquid import Wiring
from tidegate.perception import Perception
from tidegate.settings import load_settings
from tidegate.share import share_path

VOID = {"meta", "img", "br"}


class Strict(HTMLParser):
    """Refuses elements that are not closed in order, and collects identifiers and sources."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.titles: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href"):
                self.sources.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["h2"]:
            self.titles.append(data)


def test_the_page_is_valid_and_needs_nothing_else(drive):
    extra = Section("Saliency", "note with <angle> & ampersand", picture(drive.images[0], "a frame"))
    parser = Strict()
    parser.feed(report(drive, Bounds(16.5, 0.9), [extra]))
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    outside = [source for source in parser.sources if not source.startswith(("#", "data:"))]
    assert outside == []
    known = set(parser.ids)
    assert {source[1:] for source in parser.sources if source.startswith("#")} <= known
    assert parser.titles == [
        "The lap",
        "In the lane",
        "Speed",
        "Gaps",
        "Before and after the filter",
        "Margins",
        "Interventions",
        "Latency",
        "Nineteen neurons",
        "Saliency",
    ]


@pytest.mark.slow
def test_the_page_is_the_same_each_time(drive):
    assert report(drive, Bounds(16.5, 0.9)) == report(drive, Bounds(16.5, 0.9))


def test_the_row_that_caused_an_intervention_is_named(drive):
    (one,) = interventions(drive)
    assert one.row == "distance"
    assert one.start == pytest.approx(1.005, abs=0.006)
    assert one.end == pytest.approx(1.495, abs=0.006)
    assert one.force == pytest.approx(2000 + 1500 * np.sin(1.495), rel=1e-3)
    assert one.least_h == pytest.approx(5 * np.cos(1.495) + 6, rel=1e-3)
    text = report(drive, Bounds(16.5, 0.9))
    assert re.search(r"<td>distance</td><td>1</td><td>0\.49</td>", text)


def test_every_number_of_the_page_is_in_the_json_beside_it(drive):
    """With every section that has numbers: two frames of the drive are pictures enough for the saliency."""
    bundle = Bundle.load(share_path("models/car-ltc19"))
    surfaces = [{"road": np.arange(image[..., 0].size).reshape(image.shape[:2]) % 3 == 0} for image in drive.images[:2]]
    rng = np.random.default_rng(0)
    sheets = [Sheet(rng.normal(size=(400, 5)), rng.normal(size=(400, 2))) for _ in range(3)]
    extra = [
        wiring_section(Wiring.from_dict(bundle.wiring)),
        saliency_section(Perception(bundle, load_settings(share_path("config/car.yaml"))), drive.images[:2], surfaces),
        *tree_sections(sheets[:2], sheets[2:]),
    ]
    told = json.loads(json.dumps(beside(drive, extra), allow_nan=False))
    text = report(drive, Bounds(16.5, 0.9), extra)
    assert len(shown(text)) > 40
    assert unknown(text, told) == []
    assert told["drive"]["interventions"][0]["row"] == "distance"
    assert told["Wiring"]["neurons"] == 19


def test_stretches_join_over_short_gaps_only():
    time = np.arange(0, 2, 0.1)
    flags = np.isin(np.arange(20), [2, 3, 4, 10, 11])
    assert stretches(flags, time) == [
        (pytest.approx(0.2), pytest.approx(0.4)),
        (pytest.approx(1.0), pytest.approx(1.1)),
    ]
    assert len(stretches(flags, time, join=1.0)) == 1
    assert stretches(np.zeros(20, bool), time) == []


def test_thinning_keeps_every_spike():
    values = np.zeros(100_000)
    values[41_234], values[77_777], values[5:9] = 3.0, -2.0, np.nan
    time, kept = thin(np.arange(100_000.0), values)
    assert len(time) < 2_000
    assert np.nanmax(kept) == 3.0
    assert np.nanmin(kept) == -2.0
    assert np.all(np.diff(time) >= 0)
