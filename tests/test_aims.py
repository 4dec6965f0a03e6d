# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: ``--check`` tells a figure that misses its aim and fails; the page keeps what was not measured anew."""

from __future__ import annotations

import copy
import json
import math
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "common", raising=False)  # examples have one too


def test_each_missed_aim_is_a_line_and_the_exit_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    common = import_module("common")
    aims = [
        common.Aim("load [ms]", 2.0, most=2.0),
        common.Aim("drive [ms]", 2.5, most=2.0),
        common.Aim("share", 0.9, least=0.99),
        common.Aim("no figure", math.nan, most=1.0),
    ]
    common.judge(aims, check=False)
    common.judge(aims[:1], check=True)
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit) as ended:
        common.judge(aims, check=True)
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "missed: drive [ms]: 2.5; the aim is at most 2",
        "missed: share: 0.9; the aim is at least 0.99",
        "missed: no figure: nan; the aim is at most 1",
    ]


LARGE = {"published": 1000, "hops": {"nominal": {"frames": 990}, "command": {"median": 20.0}}}


@pytest.mark.parametrize(
    ("name", "figures", "place", "value"),
    [
        ("large_frames", LARGE, ("hops", "nominal", "frames"), 989),
        ("large_frames", LARGE, ("hops", "command", "median"), 20.1),
        ("bring_up", {"seconds": {"launch": {"active": [3.0, 10.0]}}}, ("seconds", "launch", "active"), [3.0, 10.1]),
        ("latency", {"latency_ms": {"median": 10.0, "p99": 25.0}}, ("latency_ms", "p99"), 25.1),
    ],
)
def test_the_live_graph_is_held_to_its_aims(name: str, figures: Any, place: tuple[str, ...], value: object) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("mujoco")
    aims = import_module(name).aims
    assert all(aim.met for aim in aims(figures))
    worse = copy.deepcopy(figures)
    part = worse
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    assert [aim.met for aim in aims(worse)].count(False) == 1


def test_the_page_of_results_is_written_from_figures_and_else_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy")
    results = import_module("results")
    before = (Path(__file__).parents[1] / results.PAGE).read_text("utf-8")
    parts = results.sections(before)
    assert parts.keys() == results.TABLES.keys()
    page = tmp_path / "results.md"
    page.write_text(before, "utf-8")
    monkeypatch.setattr(results, "PAGE", page)
    monkeypatch.setattr(results, "FIGURES", tmp_path)
    machine = dict.fromkeys(("processor", "cores", "memory_gib", "load_1min", "python"), "here") | {"packages": {}}
    (tmp_path / "jitter.json").write_text(json.dumps({"name": "jitter", "date": "today", "machine": machine}), "utf-8")
    monkeypatch.setitem(results.TABLES, "jitter", lambda _: "## Jitter\n\nnone")
    results.main()
    after = results.sections(page.read_text("utf-8"))
    assert after.pop("jitter").startswith("## Jitter\n\nnone\n\n*`benchmarks/jitter.py`, today")
    parts.pop("jitter")
    assert after == parts
