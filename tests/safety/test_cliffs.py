# SPDX-License-Identifier: Apache-2.0
"""The search for the place where an assumption breaks finds it (benchmarks/cliffs.py)."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safety_plant import settings

pytest.importorskip("mujoco")


@pytest.fixture
def cliffs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "common", raising=False)  # examples have one too
    return import_module("cliffs")


@pytest.mark.parametrize("gross", [-3.0, 17.0])
@pytest.mark.parametrize("way", [1e-3, 0.02, 0.3, 0.9])
def test_the_nearest_broken_value_is_found_on_either_side(cliffs: Any, gross: float, way: float) -> None:
    stated = 2.0
    tried = []

    def broken(value: float) -> bool:
        tried.append(value)
        return abs(value - stated) >= way * abs(gross - stated)

    found = cliffs.first(broken, stated, gross)
    share = (found - stated) / (gross - stated)
    assert broken(found)
    assert way <= share <= way + max(way, cliffs.SHARES[0]) / 2**cliffs.HALVINGS
    assert all(0 <= (value - stated) / (gross - stated) <= 1 for value in tried)


def test_what_is_broken_at_its_bound_and_what_nothing_breaks_is_told(cliffs: Any) -> None:
    assert cliffs.first(lambda value: True, 2.0, 17.0) == 2.0
    assert cliffs.first(lambda value: False, 2.0, 17.0) is None
    row = {"stated": 2.0, "gross": 17.0}
    assert cliffs._place(row, 2.0) == "at the bound"
    assert cliffs._place(row, None) == "not up to 17"
    assert cliffs._place(row, 3.0) == "3 (1.5)"


def test_a_push_that_is_misjudged_breaks_the_speed_limit_where_the_row_says(cliffs: Any) -> None:
    """Oracle: at rest the row leaves F/m + w = p h − margin, so that the car is p ε faster than the margin covers."""
    safety, gain = settings().safety, settings().policy.gain_low
    exact = safety.disturbance_margin + gain * safety.speed_margin
    found = cliffs.search("misjudged")
    assert found["guarantee"] == found["harm"]
    assert 0.99 * exact <= found["harm"] <= exact + (exact - safety.disturbance_margin) / 2**cliffs.HALVINGS
    page = cliffs.tell({"rows": [found]})
    assert "| speed | slope and drag are misjudged by | 0.15 m/s² |" in page


def test_every_assumption_is_of_a_barrier_of_the_car(cliffs: Any) -> None:
    for name, one in cliffs.ASSUMPTIONS.items():
        assert one.barrier in settings().safety.barriers, name
        assert 0 < one.stated != one.gross > 0
