# SPDX-License-Identifier: Apache-2.0
"""What README.md says was measured is what docs/results.md, written by the benchmarks, has."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCENES = {
    "empty road, one lap": "road",
    "traffic": "traffic",
    "a white truck crosses": "truck",
    "a white truck crosses, camera over-exposed": "truck_whiteout",
    "the camera is lost": "camera_lost",
}
PARTS = {
    "the safety filter": "filter",
    "image health": "image_health",
    "image health, distance": "image_health, distance",
}


def section(page: str, title: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the first table, its head left out."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.group().splitlines()[2:]]


def test_closed_loops_are_those_of_the_results_and_of_their_machine() -> None:
    told, measured = section("README.md", "Results"), section("docs/results.md", "Closed loops")
    shown = [[SCENES[scene], PARTS.get(part, part), *counts] for scene, part, *counts in rows(told)]
    assert shown == [row[:5] for row in rows(measured)]
    machine = re.search(r"Closed loops with the camera on 20 roads that no training run saw \((\w+ \w+),", told)
    assert machine
    assert machine[1] in re.sub(r"\(R\)", "", measured)


def test_the_live_graph_and_large_frames_are_those_of_the_results() -> None:
    told = section("README.md", "Results").replace("\n", " ")
    live, frames = section("docs/results.md", "Live graph"), section("docs/results.md", "Large frames")
    ((median, _, most, _),) = rows(live)
    (memory,) = re.findall(r"the stack \(.*\) \| (\d+) \|", live)
    assert f"{median} ms in the median, {most} ms at the 99th percentile; {memory} MB" in told
    (count,) = re.findall(r"(\d+) frames of 640 × 480", frames)
    until, share, median, *_ = rows(frames)[-1]
    assert (until, share) == ("command published", "100.0%")
    assert f"all of {count} processed, {median} ms in the median" in told
