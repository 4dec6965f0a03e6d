# SPDX-License-Identifier: Apache-2.0
"""Pages shut nobody out by what axe-core finds, need nothing else, and stay small.

The pages about a moment and about a distilled policy, which take longer to make, are held to the same in their own
modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from chromium import LARGEST_BYTES, NO_AUDIT, audit, outside, serious

from tidegate.bundle import Bundle
from tidegate.curation.examples import Example
from tidegate.curation.inspection import Inspection
from tidegate.evaluation.difference import Difference
from tidegate.insight.comparison import comparison_page
from tidegate.insight.data_page import data_page
from tidegate.insight.drive import Drive
from tidegate.insight.explain import wiring_section
from tidegate.insight.page import Section, picture, table
from tidegate.insight.report import Bounds, report
from tidegate.liquid import Wiring
from tidegate.share import share_path

WIRING = Wiring.from_dict(Bundle.load(share_path("models/car-ltc19")).wiring)


def of_a_drive(drive: Drive) -> str:
    """As of ``tidegate explain --bag`` and the demo."""
    wide = table(["", *(f"a column of figures {column}" for column in range(9))], [["a row"] + ["0.123"] * 9])
    more = [Section("Saliency", "where it looks", picture(drive.images[0], "a frame") + wide), wiring_section(WIRING)]
    return report(drive, Bounds(16.5, 0.9), more)


def of_a_replay(drive: Drive) -> str:
    words = np.where(np.arange(40) < 20, "", "lane")
    time, gap = np.linspace(0.0, 2.0, 40), np.linspace(0.0, 0.2, 40)
    found = [
        Difference("command.rear_left_wheel_joint", time, gap, 0 * gap, gap, 0.01),
        Difference("filter.intervened", time, words, words[::-1], (words != words[::-1]).astype(float), 0.0),
    ]
    return comparison_page("tidegate replay: bag", "now against recorded", ("now", "recorded"), found, ["a note"])


def of_data(drive: Drive) -> str:
    shown = (Example(0, "bag", 1.0, "like many others"),)
    values = {"speed [m/s]": drive.motion.speed, "curvature [1/m]": np.full(9, np.nan)}
    return data_page(Inspection({}, {}, {}, {}, (), shown, ()), values, {0: (drive.images[0], drive.images[1])})


PAGES = {make.__name__: make for make in (of_a_drive, of_a_replay, of_data)}


@pytest.fixture(params=PAGES)
def made(request: pytest.FixtureRequest, drive: Drive, tmp_path: Path) -> Path:
    make: Callable[[Drive], str] = PAGES[request.param]
    file = tmp_path / "page.html"
    file.write_text(make(drive), "utf-8")
    return file


def test_a_page_needs_nothing_else_and_is_small(made: Path) -> None:
    assert outside(made.read_text("utf-8")) == []
    assert made.stat().st_size < LARGEST_BYTES


def test_what_a_page_would_load_is_seen() -> None:
    text = '<img src="a.png"><a href="#b"><i style="background: url(http://c)"><img src="data:d"><script src=e.js>'
    assert outside(text) == ["a.png", "http://c", "e.js"]
    assert outside("<style>@import 'f.css';</style>") == ["f.css"]


@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
@pytest.mark.parametrize("width", [1100, 500])
def test_a_page_shuts_nobody_out(made: Path, tmp_path: Path, width: int) -> None:
    found = audit(made, tmp_path, width)
    assert serious(found["faults"]) == []
    assert found["passed"] > 15


@pytest.mark.skipif(bool(NO_AUDIT), reason=NO_AUDIT)
def test_a_fault_is_seen(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(re.sub(r' alt="a frame"', "", of_a_drive(drive)), "utf-8")
    assert [one["rule"] for one in serious(audit(file, tmp_path)["faults"])] == ["image-alt"]
